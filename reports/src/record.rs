//! The one thing that leaves a device: plain, small, no strings.

mod without_generator;

use serde::{Deserialize, Serialize};

use crate::outcome::Outcome;
use crate::phase::{Metric, Phase};

/// One finished provisioning, or a device that was due and not started. Times are microseconds since the run started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// When the plan wanted it to start.
    pub intended_start_us: u64,
    /// When it did start; when it was passed over, if it did not.
    pub start_us: u64,
    /// When the assigned hub was in hand; `None` if it never was.
    pub registered_us: Option<u64>,
    /// When it ended, however it ended.
    pub end_us: u64,
    /// What the generator itself added until the hub was assigned, microseconds: the queue before its start,
    /// and every time that it was ready to go on and did not get its core.
    pub added_to_registration_us: u32,
    /// The same until the twin was read, or it ended without.
    pub added_us: u32,
    /// Duration of each phase it went through, by [`Phase`] order; `u32::MAX` where it did not.
    pub phases_us: [u32; Phase::ALL.len()],
    /// Index within the cohort.
    pub device: u32,
    /// Index into [`crate::Dimensions::cohorts`].
    pub cohort: u16,
    /// Index into [`crate::Dimensions::transports`].
    pub transport: u8,
    /// Index into [`crate::Dimensions::attestations`].
    pub attestation: u8,
    /// Index into [`crate::Dimensions::regions`], for a device that is somewhere.
    pub region: Option<u8>,
    /// Index into [`crate::Dimensions::tenants`].
    pub tenant: u8,
    /// Polls that it took.
    pub polls: u16,
    /// Messages that its hub has acknowledged.
    pub messages: u16,
    /// How often it tried: not at all if it was not started, else once, and once more after each failure that it got over or not.
    pub attempts: u16,
    /// How often it was told that it came too often (429).
    pub throttled: u16,
    /// Connections that could not be made, or broke.
    pub lost: u16,
    /// Whether the device had been provisioned before, in this run.
    pub reprovision: bool,
    /// Index into [`crate::Dimensions::hubs`], when assigned to a known one.
    pub hub: Option<u16>,
    /// How it ended.
    pub outcome: Outcome,
}

/// Marks a phase that a device did not go through.
pub const NOT_REACHED: u32 = u32::MAX;

const _: () = assert!(size_of::<Record>() <= 136);

/// Which device a record is of, by the indices of [`crate::Dimensions`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RecordedDevice {
    /// Index within the cohort.
    pub device: u32,
    /// Cohort.
    pub cohort: u16,
    /// Transport.
    pub transport: u8,
    /// Attestation.
    pub attestation: u8,
    /// Region, of a device that is somewhere.
    pub region: Option<u8>,
    /// Tenant.
    pub tenant: u8,
}

impl Record {
    /// Of a device to which nothing has happened yet: it ended as it started, and got nowhere.
    pub fn new(
        of: RecordedDevice,
        intended_start_us: u64,
        start_us: u64,
        outcome: Outcome,
    ) -> Self {
        Self {
            intended_start_us,
            start_us,
            registered_us: None,
            end_us: start_us,
            added_to_registration_us: 0,
            added_us: 0,
            phases_us: [NOT_REACHED; Phase::ALL.len()],
            device: of.device,
            cohort: of.cohort,
            transport: of.transport,
            attestation: of.attestation,
            region: of.region,
            tenant: of.tenant,
            polls: 0,
            messages: 0,
            attempts: u16::from(outcome.is_started()),
            throttled: 0,
            lost: 0,
            reprovision: false,
            hub: None,
            outcome,
        }
    }

    /// Duration of `phase`, if the device went through it.
    pub fn phase_us(&self, phase: Phase) -> Option<u32> {
        Some(self.phases_us[phase as usize]).filter(|us| *us != NOT_REACHED)
    }

    /// What it adds to the distribution of a metric, microseconds; nothing if it did not get so far.
    pub fn sample(&self, metric: Metric) -> Option<u64> {
        let since = |at: Option<u64>, from: u64| at.map(|at| at.saturating_sub(from));
        match metric {
            Metric::RegistrationResponse => since(self.registered_us, self.intended_start_us),
            Metric::RegistrationService => since(self.registered_us, self.start_us),
            Metric::ProvisioningResponse => since(self.provisioned_us(), self.intended_start_us),
            Metric::ProvisioningService => since(self.provisioned_us(), self.start_us),
            Metric::Generator => self.outcome.is_started().then_some(self.added_us.into()),
            Metric::FailedResponse => since(self.failed_us(), self.intended_start_us),
            Metric::FailedService => since(self.failed_us(), self.start_us),
            Metric::Phase(phase) => self.phase_us(phase).map(u64::from),
        }
    }

    /// Whether the device was due to get so far and did not: to the end of registration or provisioning, or through
    /// the phase that it failed in.
    pub fn falls_short_of(&self, metric: Metric) -> bool {
        match metric {
            Metric::RegistrationResponse | Metric::RegistrationService => {
                self.registered_us.is_none()
            }
            Metric::ProvisioningResponse | Metric::ProvisioningService => {
                self.provisioned_us().is_none()
            }
            // What was added is known of whoever started, and who has not failed is not short of it.
            Metric::Generator | Metric::FailedResponse | Metric::FailedService => false,
            Metric::Phase(phase) => {
                self.failed_in() == Some(phase) && self.phase_us(phase).is_none()
            }
        }
    }

    /// When it failed, if it started and did.
    fn failed_us(&self) -> Option<u64> {
        match self.outcome {
            Outcome::Provisioned | Outcome::Registered | Outcome::NotStarted => None,
            _ => Some(self.end_us),
        }
    }

    /// The phase in which it failed.
    fn failed_in(&self) -> Option<Phase> {
        match self.outcome {
            Outcome::Refused { phase, .. }
            | Outcome::TimedOut { phase }
            | Outcome::Broken { phase, .. } => Some(phase),
            // DPS says so at once, or to one that asks how it stands.
            Outcome::AssignmentFailed { .. } | Outcome::Disabled => {
                match self.phase_us(Phase::Register) {
                    Some(_) => Some(Phase::Assign),
                    None => Some(Phase::Register),
                }
            }
            Outcome::TwinMismatch | Outcome::DataMismatch => Some(Phase::Twin),
            Outcome::NotStarted => Some(Phase::Queue),
            Outcome::Provisioned | Outcome::Registered | Outcome::Cancelled => None,
        }
    }

    /// When the twin was read, for a device that was provisioned: what comes after it lasts to the end.
    pub fn provisioned_us(&self) -> Option<u64> {
        let after = Phase::AFTER
            .into_iter()
            .filter_map(|phase| self.phase_us(phase));
        let after: u64 = after.map(u64::from).sum();
        self.outcome
            .is_provisioned()
            .then(|| self.end_us.saturating_sub(after))
    }
}

/// A device that was provisioned: 1 ms late, 3 ms until registered, 5 ms in all.
#[cfg(test)]
pub(crate) fn sample() -> Record {
    let mut phases_us = [NOT_REACHED; Phase::ALL.len()];
    for (phase, us) in [
        (Phase::Queue, 1_000),
        (Phase::Tls, 700),
        (Phase::Register, 900),
        (Phase::Twin, 400),
    ] {
        phases_us[phase as usize] = us;
    }
    Record {
        registered_us: Some(3_000),
        end_us: 5_000,
        added_to_registration_us: 1_000,
        added_us: 1_000,
        phases_us,
        polls: 1,
        hub: Some(0),
        ..Record::new(RecordedDevice::default(), 0, 1_000, Outcome::Provisioned)
    }
}

/// A device that was due then and not started.
#[cfg(test)]
pub(crate) fn dropped(at_us: u64) -> Record {
    Record {
        added_to_registration_us: 1_000,
        added_us: 1_000,
        ..Record::new(RecordedDevice::default(), at_us, at_us, Outcome::NotStarted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_after_the_twin_is_no_part_of_provisioning() {
        let mut record = sample();
        assert_eq!(record.provisioned_us(), Some(5_000));
        record.phases_us[Phase::Report as usize] = 600;
        record.phases_us[Phase::Telemetry as usize] = 1_400;
        record.end_us = 7_000;
        assert_eq!(record.provisioned_us(), Some(5_000));
        record.outcome = Outcome::Cancelled;
        assert_eq!(record.provisioned_us(), None);
    }
}
