//! How often devices tried, and what kept them from being served at once.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::record::Record;

/// Tries of a group of devices.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Tries {
    /// Tries of all devices; one a device where nothing failed.
    pub attempts: u64,
    /// Most tries of one device.
    pub most: u64,
    /// Devices that tried more than once.
    pub tried_again: u64,
    /// Devices that were told at least once that they came too often (429).
    pub throttled: u64,
    /// How often they were told so.
    pub throttled_answers: u64,
    /// Connections that could not be made, or broke.
    pub lost_connections: u64,
}

impl Tries {
    /// Counts one device.
    pub(crate) fn add(&mut self, record: &Record) {
        let attempts = u64::from(record.attempts);
        self.attempts += attempts;
        self.most = self.most.max(attempts);
        self.tried_again += u64::from(attempts > 1);
        self.throttled += u64::from(record.throttled > 0);
        self.throttled_answers += u64::from(record.throttled);
        self.lost_connections += u64::from(record.lost);
    }

    /// Adds the tries of other devices.
    pub(crate) fn merge(&mut self, other: Self) {
        self.attempts += other.attempts;
        self.most = self.most.max(other.most);
        self.tried_again += other.tried_again;
        self.throttled += other.throttled;
        self.throttled_answers += other.throttled_answers;
        self.lost_connections += other.lost_connections;
    }

    /// Whether every device was served at its first try.
    pub fn is_uneventful(&self) -> bool {
        self.tried_again == 0 && self.throttled == 0 && self.lost_connections == 0
    }

    /// Tries a device, of as many `devices`; none without any.
    #[expect(
        clippy::cast_precision_loss,
        reason = "counts of devices and their tries"
    )]
    pub fn mean(&self, devices: u64) -> Option<f64> {
        (devices > 0).then(|| self.attempts as f64 / devices as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::sample;

    #[test]
    fn devices_and_their_tries_are_counted_apart() {
        let mut tries = Tries::default();
        tries.add(&sample());
        assert!(tries.is_uneventful());
        let mut troubled = sample();
        (troubled.attempts, troubled.throttled, troubled.lost) = (4, 2, 1);
        tries.add(&troubled);
        let expected = Tries {
            attempts: 5,
            most: 4,
            tried_again: 1,
            throttled: 1,
            throttled_answers: 2,
            lost_connections: 1,
        };
        assert_eq!(tries, expected);
        assert!(!tries.is_uneventful());
        assert_eq!(tries.mean(2), Some(2.5));
        assert_eq!(Tries::default().mean(0), None);
        let mut both = tries;
        both.merge(tries);
        assert_eq!((both.attempts, both.most, both.throttled), (10, 4, 2));
    }
}
