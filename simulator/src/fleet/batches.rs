//! Devices of one cohort whose certificates expire while the run goes on.

use std::time::{Duration, SystemTime};

use fleetstorm_scenarios::event::{Action, Selector, When};
use fleetstorm_scenarios::{Chance, Scenario};
use jiff::{SignedDuration, Timestamp};

/// None by default.
#[derive(Debug, Default)]
pub struct Batches {
    /// Index of the cohort.
    cohort: u16,
    batches: Vec<Batch>,
}

#[derive(Debug)]
struct Batch {
    /// Index of the event that expires it.
    event: u16,
    selector: Selector,
    chance: Chance,
    /// The last second in which its certificates hold.
    last_second: SystemTime,
}

impl Batches {
    /// Those of the cohort of this index, in a run that starts then.
    pub fn of(scenario: &Scenario, cohort: u16, start: Timestamp) -> Self {
        let Some(name) = scenario.cohorts.get(usize::from(cohort)) else {
            return Self::default();
        };
        let chance = Chance::new(scenario.seed, "event", &name.name);
        let events = (0_u16..).zip(&scenario.events);
        let batches = events.filter_map(|(event, happens)| match (&happens.action, happens.when) {
            (Action::Certificates(expiry), When::At(at)) if expiry.cohort == cohort => {
                Some(Batch {
                    event,
                    selector: expiry.selector(),
                    chance: chance.clone(),
                    last_second: last_second_before(start, SignedDuration::try_from(at).ok()?)?,
                })
            }
            _ => None,
        });
        Self {
            cohort,
            batches: batches.collect(),
        }
    }

    /// The last second in which a device's certificate holds, if it is of a batch.
    pub fn last_second(&self, device: u32) -> Option<SystemTime> {
        let this = (self.cohort, device);
        let its = self
            .batches
            .iter()
            .filter(|batch| batch.selector.selects(this, batch.event, &batch.chance));
        its.map(|batch| batch.last_second).min()
    }
}

/// A certificate holds to the end of its last second (RFC 5280 section 4.1.2.5).
fn last_second_before(start: Timestamp, at: SignedDuration) -> Option<SystemTime> {
    let expired_from = start.checked_add(at).ok()?.as_second();
    let last = Duration::from_secs(u64::try_from(expired_from).ok()?.checked_sub(1)?);
    SystemTime::UNIX_EPOCH.checked_add(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCENARIO: &str = r#"
        name = "batches"
        seed = 3
        [[cohort]]
        name = "gateways"
        devices = 1_000
        attestation = "x509-group"
        transport = "https"
        arrival = { kind = "all-at-once" }
        [[cohort]]
        name = "others"
        devices = 10
        attestation = "x509-individual"
        transport = "https"
        arrival = { kind = "all-at-once" }
        [[event]]
        at = "20s"
        do = "expire-batch"
        cohort = "gateways"
        share = 0.5
        [[event]]
        at = "10s"
        do = "expire-batch"
        cohort = "gateways"
        share = 0.5
    "#;

    #[test]
    fn a_device_of_two_batches_is_of_the_one_that_expires_first() {
        let scenario = fleetstorm_scenarios::parse(SCENARIO, "batches.toml").expect("valid");
        let start = Timestamp::from_second(1_900_000_000).expect("a time");
        let gateways = Batches::of(&scenario, 0, start);
        let expire = |second: u64| {
            let last = Duration::from_secs(1_900_000_000 + second - 1);
            let last = SystemTime::UNIX_EPOCH + last;
            let its = (0..1_000).filter(|device| gateways.last_second(*device) == Some(last));
            its.count()
        };
        let (first, second) = (expire(10), expire(20));
        assert!((450..550).contains(&first), "{first}: half");
        assert!((200..300).contains(&second), "{second}: half of the rest");
        let never = (0..1_000).filter(|device| gateways.last_second(*device).is_none());
        assert_eq!(never.count(), 1_000 - first - second);
        let others = Batches::of(&scenario, 1, start);
        assert!((0..10).all(|device| others.last_second(device).is_none()));
    }
}
