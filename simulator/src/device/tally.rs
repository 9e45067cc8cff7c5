//! What devices count that no record tells, from all cores.

use std::sync::atomic::{AtomicU64, Ordering};

use fleetstorm_reports::life::Life;

/// A number that cores share.
#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    /// One more.
    pub fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// How many.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// All of it.
#[derive(Debug, Default)]
pub struct Tally {
    held: AtomicU64,
    most_held: AtomicU64,
    /// How often this machine had no file, port or memory for a device's connection, whether the device
    /// got over it or not.
    pub shortages: Count,
    /// Devices that were to stay and had to leave.
    pub turned_away: Count,
    /// Connections lost.
    pub dropped: Count,
    /// Found their hub again.
    pub reconnected: Count,
    /// Gave up looking for it.
    pub given_up: Count,
    /// Booted again, once the power was back.
    pub rebooted: Count,
    /// Tries to find it again that broke: the hub may have done something that nobody heard of.
    pub lost: Count,
    hubs: Vec<HubTally>,
    /// Hubs that the run does not know: those of an endpoint that it did not start.
    others: HubTally,
}

/// One hub's.
#[derive(Debug, Default)]
pub struct HubTally {
    /// Twins read by devices that came back.
    pub twins: Count,
    /// Messages acknowledged.
    pub messages: Count,
    /// Changes of desired properties heard of.
    pub desired: Count,
    /// Methods answered.
    pub methods: Count,
}

impl Tally {
    /// All zero, for as many hubs as the run's dimensions have.
    pub fn new(hubs: usize) -> Self {
        let mut tally = Self::default();
        tally.hubs.resize_with(hubs, HubTally::default);
        tally
    }

    /// By index in the run's dimensions; one for all hubs that they don't have.
    pub fn hub(&self, index: Option<u16>) -> &HubTally {
        let known = index.and_then(|index| self.hubs.get(usize::from(index)));
        known.unwrap_or(&self.others)
    }

    /// One connection more is held, for as long as what is returned lives.
    pub fn hold(&self) -> Held<'_> {
        let held = self.held.fetch_add(1, Ordering::Relaxed) + 1;
        self.most_held.fetch_max(held, Ordering::Relaxed);
        Held { tally: self }
    }

    /// Where it stands.
    pub fn life(&self) -> Life {
        let of_hubs = |count: fn(&HubTally) -> &Count| {
            let hubs = self.hubs.iter().chain([&self.others]);
            hubs.map(|hub| count(hub).get()).sum()
        };
        Life {
            held: self.held.load(Ordering::Relaxed),
            most_held: self.most_held.load(Ordering::Relaxed),
            turned_away: self.turned_away.get(),
            dropped: self.dropped.get(),
            reconnected: self.reconnected.get(),
            given_up: self.given_up.get(),
            rebooted: self.rebooted.get(),
            messages: of_hubs(|hub| &hub.messages),
            desired: of_hubs(|hub| &hub.desired),
            methods: of_hubs(|hub| &hub.methods),
        }
    }
}

/// A connection that is held.
pub struct Held<'a> {
    tally: &'a Tally,
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.tally.held.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_ends_and_the_most_that_was_stays_known() {
        let tally = Tally::new(2);
        let first = tally.hold();
        drop(tally.hold());
        assert_eq!((tally.life().held, tally.life().most_held), (1, 2));
        drop(first);
        assert_eq!((tally.life().held, tally.life().most_held), (0, 2));
    }

    #[test]
    fn hubs_count_apart_and_show_together() {
        let tally = Tally::new(2);
        for hub in [Some(0), Some(1), Some(1), Some(2), None] {
            tally.hub(hub).messages.add();
        }
        assert_eq!(tally.hub(Some(1)).messages.get(), 2);
        assert_eq!(tally.life().messages, 5);
    }
}
