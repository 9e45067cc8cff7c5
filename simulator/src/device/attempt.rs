//! One device on its way, driven to its record within its patience.

use fleetstorm_reports::{Outcome, Record};

use super::conditions::Conditions;
use super::drive::Drive;
use super::drive::member::Member;
use crate::link::hub::HubLink;

/// Runs a device that somebody drives through the whole flow; keeps its session with the hub open, where it got
/// that far.
pub(super) async fn provision_as(
    drive: Drive<'_>,
    conditions: &Conditions,
) -> (Record, Option<(Member, HubLink)>) {
    let mut clock = drive.clock();
    let ended = tokio::time::timeout(conditions.device_timeout, drive.run(&mut clock)).await;
    let (outcome, settled) = ended.unwrap_or_else(|_| {
        let phase = clock.phase();
        (Outcome::TimedOut { phase }, None)
    });
    for _ in 0..clock.unheard_assignments() {
        conditions.device_counters.unheard_assignments.add();
    }
    (clock.end(outcome), settled)
}
