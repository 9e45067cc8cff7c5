//! What every shape of an open load is asked.

/// How many devices have come by which time, were there any number of them.
pub(super) trait Curve {
    /// Seconds until the device that is at this place in the row comes. Never falls as `place` grows.
    fn start(&self, place: f64) -> f64;

    /// Seconds until one more would come after so many, by the rate alone.
    fn until(&self, place: f64) -> f64 {
        self.start(place)
    }

    /// The most that come within so many seconds; none where all come at once.
    fn peak(&self, seconds: f64) -> Option<f64>;

    /// Leaves this share of every rate, above zero: what remains for a cohort that shares it with others.
    fn scale(&mut self, share: f64);

    /// Lets so many seconds pass in one.
    fn quicken(&mut self, times: f64);
}
