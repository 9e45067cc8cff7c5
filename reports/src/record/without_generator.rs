//! A record without the generator's own share.

use super::{NOT_REACHED, Record};
use crate::outcome::{Fault, Outcome};
use crate::phase::Phase;

/// A device that ran out of time may have done so because of the generator where that took one part in so many
/// of the time that it had.
const PATIENCE_PART: u64 = 10;

impl Record {
    /// The record as it would be if the generator had added nothing: the second reading of thresholds and objectives
    /// (`verdict::readings`). None of a device that the generator kept from its end itself.
    ///
    /// The device starts when it is due. In which of its phases it had to wait is not known: each has all of
    /// that taken from it, so that none is called slow that may not be.
    pub fn without_generator(&self) -> Option<Self> {
        if self.is_kept_by_generator() {
            return None;
        }
        let added_us = self.added_us;
        let (until_registered_us, after_us) = match self.registered_us {
            Some(_) => {
                let until_us = self.added_to_registration_us;
                (until_us, added_us.saturating_sub(until_us))
            }
            None => (added_us, 0),
        };
        let queue_us = self.phase_us(Phase::Queue).unwrap_or(0);
        let mut phases_us = self.phases_us;
        for (phase, us) in Phase::ALL.into_iter().zip(&mut phases_us) {
            if *us == NOT_REACHED {
                continue;
            }
            *us = match phase {
                Phase::Queue => 0,
                Phase::HubConnect | Phase::Twin => us.saturating_sub(after_us),
                // What the generator adds to them is not counted.
                Phase::Report | Phase::Telemetry => *us,
                _ => us.saturating_sub(until_registered_us.saturating_sub(queue_us)),
            };
        }
        let earlier = |at_us: u64, by_us: u32| {
            let at_us = at_us.saturating_sub(by_us.into());
            at_us.max(self.intended_start_us)
        };
        Some(Self {
            start_us: self.intended_start_us,
            registered_us: self
                .registered_us
                .map(|at| earlier(at, until_registered_us)),
            end_us: earlier(self.end_us, added_us),
            phases_us,
            added_to_registration_us: 0,
            added_us: 0,
            ..*self
        })
    }

    /// Whether the device did not get to its end because of the generator.
    fn is_kept_by_generator(&self) -> bool {
        match self.outcome {
            Outcome::NotStarted
            | Outcome::Broken {
                fault: Fault::LocalResources,
                ..
            } => true,
            Outcome::TimedOut { .. } => {
                let queue_us = self.phase_us(Phase::Queue).unwrap_or(0);
                let held_up_us = u64::from(self.added_us.saturating_sub(queue_us));
                let patience_us = self.end_us.saturating_sub(self.start_us);
                held_up_us > 0 && held_up_us.saturating_mul(PATIENCE_PART) >= patience_us
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::phase::Metric;
    use crate::record::{dropped, sample};

    /// One second late, and two more seconds of waiting for its core: one until it was registered.
    fn held_up() -> Record {
        let mut record = Record {
            intended_start_us: 10_000_000,
            start_us: 11_000_000,
            registered_us: Some(15_000_000),
            end_us: 18_000_000,
            added_to_registration_us: 2_000_000,
            added_us: 3_000_000,
            ..sample()
        };
        for (phase, us) in [
            (Phase::Queue, 1_000_000),
            (Phase::Tls, 1_500_000),
            (Phase::Register, 300_000),
            (Phase::Twin, 2_500_000),
        ] {
            record.phases_us[phase as usize] = us;
        }
        record
    }

    #[test]
    fn every_latency_is_less_what_the_generator_added_to_it() {
        let without = held_up().without_generator().expect("a device");
        for (metric, us) in [
            (Metric::RegistrationResponse, Some(3_000_000)),
            (Metric::RegistrationService, Some(3_000_000)),
            (Metric::ProvisioningResponse, Some(5_000_000)),
            (Metric::ProvisioningService, Some(5_000_000)),
            (Metric::Phase(Phase::Queue), Some(0)),
            (Metric::Phase(Phase::Tls), Some(500_000)),
            (Metric::Phase(Phase::Register), Some(0)),
            (Metric::Phase(Phase::Twin), Some(1_500_000)),
            (Metric::Phase(Phase::Attest), None),
        ] {
            assert_eq!(without.sample(metric), us, "{metric:?}");
        }
        assert_eq!(without.without_generator(), Some(without));
    }

    #[test]
    fn what_comes_after_the_twin_stays_as_long_as_it_was() {
        let mut record = held_up();
        record.phases_us[Phase::Report as usize] = 500_000;
        let before = record.sample(Metric::ProvisioningResponse);
        let without = record.without_generator().expect("a device");
        assert_eq!(
            without.sample(Metric::ProvisioningResponse),
            before.map(|us| us - 3_000_000)
        );
        assert_eq!(without.phase_us(Phase::Report), Some(500_000));
    }

    #[test]
    fn whom_the_generator_kept_from_its_end_is_left_out() {
        assert_eq!(dropped(5).without_generator(), None);
        let broken = |fault| Record {
            outcome: Outcome::Broken {
                phase: Phase::Connect,
                fault,
            },
            ..sample()
        };
        assert_eq!(broken(Fault::LocalResources).without_generator(), None);
        assert!(broken(Fault::ConnectionLost).without_generator().is_some());
        // Of twenty seconds of patience.
        for (added_us, is_kept) in [(0, false), (1_999_999, false), (2_000_000, true)] {
            let mut record = Record {
                start_us: 1_000_000,
                end_us: 21_000_000,
                registered_us: None,
                added_us: added_us + 1_000_000,
                outcome: Outcome::TimedOut { phase: Phase::Twin },
                ..sample()
            };
            record.phases_us[Phase::Queue as usize] = 1_000_000;
            let is_left_out = record.without_generator().is_none();
            assert_eq!(is_left_out, is_kept, "{added_us}");
        }
    }
}
