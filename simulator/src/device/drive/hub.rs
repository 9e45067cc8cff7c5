//! The way to the assigned hub, as often as it takes, and what is to be done there.

use fleetstorm_protocol::hub;
use fleetstorm_protocol::twin::DeviceTwin;
use fleetstorm_reports::{Outcome, Phase};
use fleetstorm_scenarios::Reprovision;
use fleetstorm_scenarios::retry::Step;
use serde_json::{Map, Value};

use super::member::Member;
use super::{Drive, Past, sas_token};
use crate::device::backoff::{Backoff, Moment, setback_of};
use crate::device::flow::{Assignment, ended};
use crate::device::phase_clock::PhaseClock;
use crate::fleet::Credential;
use crate::link::LinkError;
use crate::link::hub::HubLink;

/// What is still to be done at the hub; a new session goes on where the last was lost.
struct ToDo<'run> {
    twin: bool,
    report: Option<&'run Map<String, Value>>,
    /// Messages sent.
    sent: u32,
    /// Of how many.
    messages: u32,
}

impl Drive<'_> {
    /// The hub key comes out of the TPM before the device turns to its hub.
    pub(super) fn member(&self, assignment: Assignment) -> Result<Member, Outcome> {
        let blob = assignment.hub_key.as_deref();
        let tpm_key = blob.map(|blob| self.activate(blob, Phase::HubConnect));
        Ok(Member {
            tpm_key: tpm_key.transpose()?,
            assignment,
        })
    }

    /// From the assignment to the last thing to do: reads the twin, reports, sends.
    pub(super) async fn settle(
        &self,
        member: &Member,
        clock: &mut PhaseClock,
    ) -> (Outcome, Option<HubLink>) {
        let after = &self.profile.cohort.after;
        let mut to_do = ToDo {
            twin: true,
            report: Some(&after.reported).filter(|reported| !reported.is_empty()),
            sent: 0,
            messages: after.messages,
        };
        let mut backoff = Backoff::new(
            self.profile.cohort.retry,
            self.profile.hub_transport(self.release).protocol(),
        );
        let mut sought = clock.elapsed();
        loop {
            let mut served = false;
            let error = match self.visit(member, &mut to_do, &mut served, clock).await {
                Ok((outcome, hub)) => return (outcome, Some(hub)),
                Err(error) => error,
            };
            if served {
                backoff.served();
                sought = clock.elapsed();
            }
            self.conditions.failed(error);
            clock.failed(error);
            let now = Moment {
                elapsed: clock.elapsed().saturating_sub(sought),
                ..self.moment(clock)
            };
            let wait =
                setback_of(error).and_then(|setback| backoff.wait(Step::Hub, setback, None, now));
            let Some(wait) = wait else {
                return (ended(error, clock.phase()), None);
            };
            clock.tries_again();
            clock.sleep(wait).await;
        }
    }

    /// One session with the hub; `served` once the twin was read in it.
    async fn visit(
        &self,
        member: &Member,
        to_do: &mut ToDo<'_>,
        served: &mut bool,
        clock: &mut PhaseClock,
    ) -> Result<(Outcome, HubLink), LinkError> {
        // Once a device is provisioned, coming back is part of what it was doing.
        if to_do.twin {
            clock.enter(Phase::HubConnect);
        }
        let mut hub = self.connect(member).await?;
        if to_do.twin {
            clock.enter(Phase::Twin);
        }
        let device_counters = self.conditions.tally_of(member.hub());
        hub.prepare_for_twin().await?;
        let twin = device_counters.twins.count(hub.read_twin()).await?;
        *served = true;
        if to_do.twin {
            clock.leave();
            if !self.is_as_asked(&twin) {
                return Ok((Outcome::TwinMismatch, hub));
            }
            if !self.has_its_data(member, &twin) {
                return Ok((Outcome::DataMismatch, hub));
            }
            to_do.twin = false;
        }
        if let Some(reported) = to_do.report {
            clock.enter(Phase::Report);
            let patch = serde_json::to_vec(reported).expect("JSON values by name are JSON");
            device_counters.reports.count(hub.report(&patch)).await?;
            clock.leave();
            to_do.report = None;
        }
        while to_do.sent < to_do.messages {
            clock.enter(Phase::Telemetry);
            let sequence = to_do.sent + 1;
            let message = format!(r#"{{"sequence":{sequence}}}"#);
            hub.prepare_for_messages().await?;
            let sending = hub.send(message.as_bytes());
            device_counters.messages.count(sending).await?;
            to_do.sent = sequence;
            clock.sent();
        }
        clock.leave();
        Ok((Outcome::Provisioned, hub))
    }

    /// A session with the hub, for a device that was there before; and its twin, read in it.
    pub async fn join(&self, member: &Member) -> Result<(HubLink, DeviceTwin), LinkError> {
        let mut hub = self.connect(member).await?;
        hub.prepare_for_twin().await?;
        let device_counters = self.conditions.tally_of(member.hub());
        let twin = device_counters.twins.count(hub.read_twin()).await?;
        Ok((hub, twin))
    }

    async fn connect(&self, member: &Member) -> Result<HubLink, LinkError> {
        let Assignment { hub, device_id, .. } = &member.assignment;
        let transport = self.profile.hub_transport(self.release);
        let port = self.conditions.ports.of(transport);
        let (identity, way) = (self.certificate(), self.way(hub));
        let dialling = self.conditions.dialer.dial(hub, port, identity, way);
        let stream = dialling.await.map_err(|broken| broken.fault)?;
        HubLink::open(transport, stream, hub, device_id, self.hub_proof(member)).await
    }

    /// The SAS token that proves a device without certificate to its hub.
    fn hub_proof(&self, member: &Member) -> Option<String> {
        let Assignment { hub, device_id, .. } = &member.assignment;
        let resource = hub::sas_resource(hub, &device_id.into());
        match (&self.identity.credential, &member.tpm_key) {
            (Credential::SymmetricKey(key), _) => {
                Some(sas_token(&resource, None, |data| key.sign(data)))
            }
            (_, Some(key)) => Some(sas_token(&resource, None, |data| key.sign(data))),
            (_, None) => None,
        }
    }

    fn is_as_asked(&self, twin: &DeviceTwin) -> bool {
        let is_sold = self.owner() != self.profile.cohort.tenant;
        let asked = if is_sold {
            &self.profile.desired_when_sold
        } else {
            &self.profile.cohort.desired
        };
        let mut asked = asked.iter();
        asked.all(|(key, value)| twin.desired.get(key) == Some(value))
    }

    /// Whether what it has reported before is there still, or gone, as its enrollment says. A device
    /// that starts anew at the same hub is a matter of the service alone; a buyer has nothing of the seller's.
    fn has_its_data(&self, member: &Member, twin: &DeviceTwin) -> bool {
        let reported = &self.profile.cohort.after.reported;
        let is_gone = || reported.keys().all(|key| !twin.reported.contains_key(key));
        let last_hub = match self.past {
            Past::New => return true,
            Past::AtHub(last_hub) => last_hub,
            Past::Sold => return is_gone(),
        };
        match self.profile.cohort.reprovision {
            Reprovision::Migrate | Reprovision::Never => reported
                .iter()
                .all(|(key, value)| twin.reported.get(key) == Some(value)),
            Reprovision::Reset => last_hub == member.hub() || is_gone(),
        }
    }
}
