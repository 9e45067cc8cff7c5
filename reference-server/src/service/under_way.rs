//! Operations that are under way, by when they will be done: what nobody asks for is done all the same.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use tokio::sync::Notify;

/// The keys of registrations whose processing time is running; each once for each end that was
/// foreseen, so that there are never more of them than registrations that were accepted within a
/// processing time.
#[derive(Debug, Default)]
pub(super) struct UnderWay {
    ends: Mutex<BTreeSet<(Timestamp, Box<str>)>>,
    first_changed: Notify,
}

impl UnderWay {
    /// One will be done then. Also one that was added before, or is over before then.
    pub(super) fn add(&self, done: Timestamp, key: &str) {
        let mut ends = self.ends();
        let is_first = ends.first().is_none_or(|(first, _)| done < *first);
        ends.insert((done, key.into()));
        drop(ends);
        if is_first {
            self.first_changed.notify_one();
        }
    }

    /// Takes out at most `limit` of those that are done now.
    pub(super) fn take(&self, now: Timestamp, limit: usize) -> Vec<Box<str>> {
        let mut ends = self.ends();
        let mut taken = Vec::new();
        while taken.len() < limit
            && ends.first().is_some_and(|(done, _)| *done <= now)
            && let Some((_, key)) = ends.pop_first()
        {
            taken.push(key);
        }
        taken
    }

    /// When the next one will be done.
    pub(super) fn first(&self) -> Option<Timestamp> {
        self.ends().first().map(|(done, _)| *done)
    }

    /// Waits until another one is the next.
    pub(super) async fn first_changed(&self) {
        self.first_changed.notified().await;
    }

    fn ends(&self) -> MutexGuard<'_, BTreeSet<(Timestamp, Box<str>)>> {
        self.ends.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a time")
    }

    #[test]
    fn they_come_in_the_order_of_their_ends_and_none_too_early() {
        let under_way = UnderWay::default();
        for (second, key) in [(3, "c"), (1, "a"), (2, "b"), (1, "a")] {
            under_way.add(at(second), key);
        }
        assert_eq!(under_way.first(), Some(at(1)));
        assert_eq!(under_way.take(at(0), 9), [] as [Box<str>; 0]);
        assert_eq!(
            under_way.take(at(2), 1),
            ["a".into()],
            "added twice, there once"
        );
        assert_eq!(under_way.take(at(2), 9), ["b".into()]);
        assert_eq!(under_way.first(), Some(at(3)));
    }
}
