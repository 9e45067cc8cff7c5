//! One device: from its release to its record.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use fleetstorm_protocol::attestation::TransportKind;
use fleetstorm_protocol::ids::IdScope;
use fleetstorm_reports::{Fault, Outcome, Record};
use fleetstorm_scenarios::{Boot, Chance, Ports, Release, Reprovision, RetryProfile};
use serde_json::{Map, Value};

use self::drive::Drive;
use self::drive::hub::Member;
use self::geography::Geography;
use self::goodbyes::Goodbyes;
use self::life::Settled;
use self::tally::{HubTally, Tally};
use crate::fleet::Fleet;
use crate::generator::delay::Delay;
use crate::link::LinkError;
use crate::link::dial::Dialer;
use crate::link::hub::HubLink;
use crate::stopwatch::RunClock;

pub mod drive;
pub mod flow;
pub mod geography;
pub mod goodbyes;
pub mod life;
pub mod orders;
pub mod patience;
pub mod prover;
pub mod tally;
pub mod trip;

/// How far a device goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Goal {
    /// Until a hub is assigned; for measuring that half alone.
    Registered,
    /// Until the twin is read.
    Provisioned,
}

/// What all devices of a run share.
pub struct Conditions {
    /// How far devices go.
    pub goal: Goal,
    /// The run's time line.
    pub clock: RunClock,
    /// Who they are.
    pub fleet: Arc<Fleet>,
    /// How they connect.
    pub dialer: Dialer,
    /// How they leave.
    pub goodbyes: Goodbyes,
    /// What they count.
    pub tally: Arc<Tally>,
    /// The instances, by tenant.
    pub id_scopes: Vec<IdScope>,
    /// Host name of the global endpoint.
    pub endpoint: String,
    /// Where the endpoint and the hubs listen.
    pub ports: Ports,
    /// Longest time from actual start to twin read.
    pub device_timeout: Duration,
    /// Where devices and hubs are.
    pub geography: Arc<Geography>,
    /// What each cohort's devices share.
    pub cohorts: Vec<Habits>,
    /// Hub host name to index in the run's dimensions.
    pub hubs: HashMap<String, u16>,
}

/// What the devices of one cohort share.
pub struct Habits {
    /// As index in the run's dimensions.
    pub attestation: u8,
    /// Index of their instance, as long as they are not sold.
    pub tenant: u8,
    /// Desired properties that twins must hold.
    pub desired: Map<String, Value>,
    /// Those of devices that were sold.
    pub desired_when_sold: Map<String, Value>,
    /// What they speak to hubs, where it is not what follows from their release.
    pub hub_transport: Option<TransportKind>,
    /// What becomes of their twins when they register again.
    pub reprovision: Reprovision,
    /// What they do once they have their twin.
    pub after: After,
    /// How they take being told to wait, and failures.
    pub retry: RetryProfile,
    /// Where they turn to when they boot again.
    pub boot: Boot,
    /// The chance in their waits.
    pub chance: Chance,
    /// The chance that an event befalls them.
    pub event_chance: Chance,
}

impl Conditions {
    /// Those of a cohort, by the index that its releases carry.
    pub fn habits(&self, cohort: u16) -> &Habits {
        &self.cohorts[usize::from(cohort)]
    }

    /// What devices count of a hub, by its host name.
    pub fn tally_of(&self, hub: &str) -> &HubTally {
        self.tally.hub(self.hubs.get(hub).copied())
    }

    /// A link failed: notes whether this machine is to blame.
    pub fn failed(&self, error: LinkError) {
        if error == LinkError::Broken(Fault::LocalResources) {
            self.tally.shortages.add();
        }
    }
}

/// What devices do at their hub once provisioning is over.
#[derive(Debug, Clone, Default)]
pub struct After {
    /// Properties to report; nothing is reported when empty.
    pub reported: Map<String, Value>,
    /// Messages to send, one after another.
    pub messages: u32,
    /// How long to stay, if at all.
    pub hold: Option<Duration>,
    /// Between two messages while it stays.
    pub telemetry: Option<Duration>,
    /// Between two times that it goes back to DPS by itself while it stays.
    pub reprovision_every: Option<Duration>,
}

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
    let (record, settled) = provision_as(drive, conditions).await;
    let settled = settled.map(|(member, hub)| Settled {
        identity,
        member,
        hub,
    });
    (record, settled)
}

/// The same for a device that somebody drives.
pub async fn provision_as(
    drive: Drive<'_>,
    conditions: &Conditions,
) -> (Record, Option<(Member, HubLink)>) {
    let mut trip = drive.trip();
    let ended = tokio::time::timeout(conditions.device_timeout, drive.run(&mut trip)).await;
    let (outcome, settled) = ended.unwrap_or_else(|_| {
        let phase = trip.phase();
        (Outcome::TimedOut { phase }, None)
    });
    if trip.may_be_assigned() {
        conditions.tally.unheard_assignments.add();
    }
    (trip.end(outcome), settled)
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
