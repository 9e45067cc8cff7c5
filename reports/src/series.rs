//! The series: what happened in each interval of a run, whatever the run's length.
//!
//! An interval is a second long at first. Where there are too many of them, or they take too much memory, neighbours
//! merge and all get twice as long.

mod heat_map;
mod interval;
mod point;
mod recent;
mod totals;

pub use heat_map::{HeatCell, HeatMap};
pub use point::{IntervalLatency, IntervalView, TimelinePoint};
pub use totals::{AttemptsSoFar, Totals};

use interval::Interval;
use recent::Recent;

use crate::latency::Percentiles;
use crate::phase::Metric;
use crate::record::Record;

/// Most intervals.
pub(crate) const MAX_INTERVALS: usize = 512;
/// What they may take together.
const MAX_BYTES: usize = 16 << 20;
/// What the series takes at most: they are weighed once a second, and what comes in that second is one's more.
pub(crate) const MOST_BYTES: usize = MAX_BYTES
    + recent::MOST_BYTES
    + interval::MOST_BYTES
    + 2 * MAX_INTERVALS * size_of::<Interval>();

/// Intervals, from the start of the run on.
#[derive(Debug)]
pub struct Series {
    span_s: u64,
    intervals: Vec<Interval>,
    due: u64,
    attempts: AttemptsSoFar,
    recent: Recent,
    /// The second whose bytes were counted last.
    weighed: u64,
}

impl Default for Series {
    fn default() -> Self {
        Self {
            span_s: 1,
            intervals: Vec::new(),
            due: 0,
            attempts: AttemptsSoFar::default(),
            recent: Recent::default(),
            weighed: 0,
        }
    }
}

impl Series {
    /// Counts one device that started.
    pub fn add(&mut self, record: &Record) {
        self.at(record.start_us).start(record);
        if let Some(registered_us) = record.registered_us {
            self.at(registered_us).registered += 1;
        }
        self.at(record.end_us).end(record);
        self.recent.add(record);
        let second = record.end_us / 1_000_000;
        if second > self.weighed {
            self.weighed = second;
            self.lighten();
        }
    }

    /// Counts one device that was due and not started.
    pub fn add_dropped(&mut self, record: &Record) {
        self.at(record.end_us).dropped += 1;
    }

    /// Counts one device that went back to DPS.
    pub fn add_reprovision(&mut self, record: &Record) {
        self.at(record.end_us).reprovision(record);
    }

    /// Hears what is known by the end of `second`.
    pub fn close(&mut self, second: u64, totals: &Totals) {
        let due = totals.due.saturating_sub(self.due);
        self.due = self.due.max(totals.due);
        let before = self.attempts;
        let now = totals
            .attempts
            .map_or(before, |now| now.no_less_than(before));
        self.attempts = now;
        let interval = self.interval(second);
        interval.due += due;
        interval.held = totals.held.or(interval.held);
        interval.attempts.throttled += now.throttled.saturating_sub(before.throttled);
        interval.attempts.retries += now.retries.saturating_sub(before.retries);
        interval.attempts.lost_connections +=
            now.lost_connections.saturating_sub(before.lost_connections);
        interval.attempts.messages += now.messages.saturating_sub(before.messages);
    }

    /// The intervals so far.
    pub fn points(&self) -> Vec<TimelinePoint> {
        let mut in_flight = 0_u64;
        let points = (0..).zip(&self.intervals).map(|(index, interval)| {
            in_flight = (in_flight + interval.released).saturating_sub(interval.ended());
            interval.point(index * self.span_s, self.span_s, in_flight)
        });
        points.collect()
    }

    /// The intervals so far, as they are shown live.
    pub(crate) fn views(&self) -> Vec<IntervalView> {
        let views = (0..).zip(&self.intervals);
        views
            .map(|(index, interval)| interval.view(index * self.span_s, self.span_s))
            .collect()
    }

    /// The distribution of a metric over the last ten seconds before `now_us`; none without a sample.
    pub(crate) fn recent(&self, metric: Metric, now_us: u64) -> Option<Percentiles> {
        self.recent.percentiles(metric, now_us / 1_000_000)
    }

    /// The provisioning response times of each interval.
    pub fn heat_map(&self) -> Option<HeatMap> {
        HeatMap::new(self.intervals.iter().map(Interval::responses))
    }

    fn at(&mut self, us: u64) -> &mut Interval {
        self.interval(us / 1_000_000)
    }

    fn interval(&mut self, second: u64) -> &mut Interval {
        while second / self.span_s >= MAX_INTERVALS as u64 {
            self.halve();
        }
        let index = usize::try_from(second / self.span_s).unwrap_or(MAX_INTERVALS - 1);
        if index >= self.intervals.len() {
            self.intervals.resize_with(index + 1, Interval::default);
        }
        &mut self.intervals[index]
    }

    fn lighten(&mut self) {
        while self.intervals.len() > 1 && self.bytes() > MAX_BYTES {
            self.halve();
        }
    }

    fn bytes(&self) -> usize {
        self.intervals.iter().map(Interval::bytes).sum()
    }

    fn halve(&mut self) {
        self.span_s *= 2;
        let mut old = std::mem::take(&mut self.intervals).into_iter();
        while let Some(mut first) = old.next() {
            if let Some(second) = old.next() {
                first.merge(second);
            }
            self.intervals.push(first);
        }
    }
}

#[cfg(test)]
mod tests;
