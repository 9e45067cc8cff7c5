//! How often devices tried, and what kept them from being served at once.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::record::Record;

/// Attempts of a group of devices.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Attempts {
    /// Attempts of all devices; one a device where nothing failed.
    pub total: u64,
    /// Most attempts of one device.
    pub most: u64,
    /// Devices that tried more than once.
    pub retried: u64,
    /// Devices that were told at least once that they came too often (429).
    pub throttled: u64,
    /// How often they were told so.
    pub throttled_answers: u64,
    /// Connections that could not be made, or broke.
    pub lost_connections: u64,
}

impl Attempts {
    /// Counts one device.
    pub(crate) fn add(&mut self, record: &Record) {
        let attempts = u64::from(record.attempts);
        self.total += attempts;
        self.most = self.most.max(attempts);
        self.retried += u64::from(attempts > 1);
        self.throttled += u64::from(record.throttled > 0);
        self.throttled_answers += u64::from(record.throttled);
        self.lost_connections += u64::from(record.lost);
    }

    /// Adds the attempts of other devices.
    pub(crate) fn merge(&mut self, other: Self) {
        self.total += other.total;
        self.most = self.most.max(other.most);
        self.retried += other.retried;
        self.throttled += other.throttled;
        self.throttled_answers += other.throttled_answers;
        self.lost_connections += other.lost_connections;
    }

    /// Whether every device was served at its first try.
    pub fn is_uneventful(&self) -> bool {
        self.retried == 0 && self.throttled == 0 && self.lost_connections == 0
    }

    /// Attempts a device, of as many `devices`; none without any.
    #[expect(
        clippy::cast_precision_loss,
        reason = "counts of devices and their attempts"
    )]
    pub fn mean(&self, devices: u64) -> Option<f64> {
        (devices > 0).then(|| self.total as f64 / devices as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::sample;

    #[test]
    fn devices_and_their_tries_are_counted_apart() {
        let mut attempts = Attempts::default();
        attempts.add(&sample());
        assert!(attempts.is_uneventful());
        let mut troubled = sample();
        (troubled.attempts, troubled.throttled, troubled.lost) = (4, 2, 1);
        attempts.add(&troubled);
        let expected = Attempts {
            total: 5,
            most: 4,
            retried: 1,
            throttled: 1,
            throttled_answers: 2,
            lost_connections: 1,
        };
        assert_eq!(attempts, expected);
        assert!(!attempts.is_uneventful());
        assert_eq!(attempts.mean(2), Some(2.5));
        assert_eq!(Attempts::default().mean(0), None);
        let mut both = attempts;
        both.merge(attempts);
        assert_eq!((both.total, both.most, both.throttled), (10, 4, 2));
    }
}
