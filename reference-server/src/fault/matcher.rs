//! Whether a rule hits: pure, told the time, and the same for the same seed, device and occurrence.

use std::time::Duration;

use aws_lc_rs::digest;
use fleetstorm_protocol::fault::{FaultAction, FaultRule, Occasion, Selector};
use jiff::Timestamp;

use super::delay::sample;

/// When something happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moment {
    /// After the server's start.
    pub(crate) since_start: Duration,
    /// By the calendar.
    pub(crate) at: Timestamp,
}

/// What a hit comes to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum FaultHit {
    /// Go on, later.
    Wait(Duration),
    /// Answer with an error.
    Refuse { code: u32, retry_after: Option<u32> },
    /// Close the connection.
    Drop,
    /// Reset it.
    Reset,
    /// Flip bytes, chosen by this number.
    Corrupt(u64),
}

/// A rule that was checked, ready to be asked.
#[derive(Debug)]
pub(crate) struct Matcher {
    selector: Selector,
}

/// `Retry-After` of a throttle that names none, as the real service mostly says.
const RETRY_AFTER: u32 = 5;
/// Too many requests.
const THROTTLED: u32 = 429_001;

impl Matcher {
    /// Of a rule that was checked.
    pub(crate) fn new(rule: FaultRule) -> Self {
        Self {
            selector: Selector::new(rule),
        }
    }

    /// The rule.
    pub(crate) fn rule(&self) -> &FaultRule {
        self.selector.rule()
    }

    /// Whether it could hit: all but its share.
    pub(crate) fn matches(&self, occasion: &Occasion<'_>, now: Moment) -> bool {
        let rule = self.rule();
        let begun = rule.after.is_none_or(|after| now.since_start >= after.0)
            && rule.from.is_none_or(|from| now.at >= from);
        let over = rule.before.is_some_and(|end| now.since_start >= end.0)
            || rule.until.is_some_and(|until| now.at >= until);
        begun && !over && self.selector.selects(occasion)
    }

    /// What it does to the device that comes by for the `occurrence`th time, unless it spares it.
    pub(crate) fn apply(&self, seed: u64, device: &str, occurrence: u64) -> Option<FaultHit> {
        let mut hash = digest::Context::new(&digest::SHA256);
        hash.update(&seed.to_be_bytes());
        hash.update(&occurrence.to_be_bytes());
        hash.update(self.rule().name.as_bytes());
        hash.update(&[0]);
        hash.update(device.as_bytes());
        let hash = hash.finish();
        let (lot, draw) = hash.as_ref().split_at(8);
        let share = unit(lot);
        if share >= self.rule().share {
            return None;
        }
        let draw = draw[..8]
            .iter()
            .fold(0, |sum, byte| sum << 8 | u64::from(*byte));
        let time = || {
            let time = self.rule().time.as_ref();
            time.map_or(Duration::ZERO, |time| {
                sample(time, draw, unit(&draw.to_be_bytes()))
            })
        };
        let retry_after = self.rule().retry_after;
        Some(match self.rule().action {
            FaultAction::Delay | FaultAction::Stall => FaultHit::Wait(time()),
            FaultAction::Throttle => FaultHit::Refuse {
                code: THROTTLED,
                retry_after: retry_after.or(Some(RETRY_AFTER)),
            },
            FaultAction::Refuse => FaultHit::Refuse {
                code: self.rule().code.unwrap_or(500_000),
                retry_after,
            },
            FaultAction::Drop => FaultHit::Drop,
            FaultAction::Reset => FaultHit::Reset,
            FaultAction::Corrupt => FaultHit::Corrupt(draw),
        })
    }
}

/// A number from 0 to just below 1 out of eight random bytes: 53 bits of them.
fn unit(bytes: &[u8]) -> f64 {
    let number = bytes
        .iter()
        .fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte));
    #[expect(clippy::cast_precision_loss, reason = "53 bits are exact")]
    let (number, all) = ((number >> 11) as f64, (1_u64 << 53) as f64);
    number / all
}

#[cfg(test)]
mod tests;
