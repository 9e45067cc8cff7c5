//! One device: from its release to its record.

use fleetstorm_reports::Record;
use fleetstorm_scenarios::Release;

use self::drive::Drive;
use self::held::Settled;
use crate::generator::delay::Delay;

mod attempt;
pub mod backoff;
mod conditions;
pub mod counters;
pub mod drive;
pub mod flow;
pub mod geography;
pub mod goodbyes;
pub mod held;
pub mod orders;
pub mod phase_clock;
pub mod prover;

pub use conditions::{CohortProfile, Conditions, Goal};

/// Runs one device through the whole flow; keeps its session with the hub open, where it got that far.
/// `delay` is what its task measures of the generator.
pub async fn provision(
    release: Release,
    conditions: &Conditions,
    delay: Delay,
) -> (Record, Option<Settled>) {
    // A real device has its key: deriving it is the simulator's cost, and shows as time in the queue.
    let identity = conditions.fleet.identity(release.cohort, release.device);
    let drive = Drive::new(conditions, &identity, release, delay);
    let (record, settled) = attempt::provision_as(drive, conditions).await;
    let settled = settled.map(|(member, hub)| Settled {
        identity,
        member,
        hub,
    });
    (record, settled)
}

/// The same for a device that leaves its hub at once.
pub async fn provision_and_leave(release: Release, conditions: &Conditions) -> Record {
    let (record, settled) = provision(release, conditions, Delay::default()).await;
    if let Some(settled) = settled {
        settled.leave(conditions);
    }
    record
}

impl Settled {
    /// Leaves the hub: the device has what it came for.
    pub fn leave(self, conditions: &Conditions) {
        conditions.goodbyes.say(self.hub.close());
    }
}

#[cfg(test)]
mod tests;
