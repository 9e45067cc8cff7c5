//! Registrations and the operations that make them: accepted at once, assigned after a
//! processing time, told to whoever asks.

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest;
use fleetstorm_protocol::ids::{DeviceId, RegistrationId};
use fleetstorm_protocol::quota::Window;
use fleetstorm_protocol::registration::{
    DeviceRegistrationResult, GroupRegistrationResult, RegistrationStatus, TpmRegistrationResult,
};
use fleetstorm_protocol::timestamp;
use jiff::Timestamp;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, LogNormal};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::attestation::{Attested, Credential};
use super::custom::choice::Custom;
use super::enrollment_list::compiled::Settings;
use super::failure::Failure;
use super::issuing::Issued;
use super::tpm_challenge::HmacKey;

/// The 99th percentile of the standard normal distribution.
const Z99: f64 = 2.326_347_9;

/// One device's registration.
#[derive(Debug)]
pub struct Registration {
    /// As the device wrote it first: whatever its case later, it is the same device.
    pub registration_id: RegistrationId,
    /// The operation that makes it, or made it.
    pub operation_id: Box<str>,
    /// What the device has proven itself by.
    pub credential: Credential,
    /// The group that let it in.
    pub group: Option<Box<str>>,
    /// Its name at the hub.
    pub device_id: DeviceId,
    /// What its enrollment says.
    pub settings: Arc<Settings>,
    /// When it first registered.
    pub created: Timestamp,
    /// Where in the world it asked from, if that is known.
    pub region: Option<usize>,
    /// It asked with an api-version that knows no reprovisioning.
    pub is_settled: bool,
    /// Where it stood before it registered again.
    pub previous: Option<HubAssignment>,
    /// Custom allocation: what its webhook says.
    pub custom: Option<Box<Custom>>,
    /// The certificate that the device asked for: its hub knows it by that.
    pub issued: Option<Box<Issued>>,
    /// How far it is.
    pub progress: Progress,
    /// How often it was asked for lately.
    pub polls: Window,
}

/// How far a registration is.
#[derive(Debug, Clone)]
pub enum Progress {
    /// The service is at work until then.
    Assigning {
        /// When it will be done.
        done: Timestamp,
    },
    /// A hub holds the device.
    Assigned {
        /// The hub's place among the hubs of the server.
        hub: usize,
        /// When it was done.
        at: Timestamp,
        /// TPM: the key that the hub knows the device by.
        hub_key: Option<HmacKey>,
        /// What became of the device's data.
        substatus: Substatus,
    },
    /// The device is where it was before, if it was anywhere.
    Failed {
        /// When that was clear.
        at: Timestamp,
        /// Why.
        why: Failure,
    },
}

/// Where and how a device asked to be registered.
#[derive(Debug, Clone, Copy)]
pub struct Asking {
    /// Where in the world it was, if that is known.
    pub region: Option<usize>,
    /// Its api-version knows no reprovisioning.
    pub is_settled: bool,
}

/// A device's place at a hub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HubAssignment {
    /// The hub's place among the hubs of the server.
    pub hub: usize,
    /// Its name there.
    pub device_id: DeviceId,
}

/// What an assignment did (DPS documentation, "Reprovisioning devices").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Substatus {
    /// Assigned anew, or left where it was.
    InitialAssignment,
    /// Moved to another hub with its data.
    DeviceDataMigrated,
    /// Back to what its enrollment says.
    DeviceDataReset,
}

impl Substatus {
    /// As registrationState writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::InitialAssignment => "initialAssignment",
            Self::DeviceDataMigrated => "deviceDataMigrated",
            Self::DeviceDataReset => "deviceDataReset",
        }
    }
}

impl Registration {
    /// Accepted now.
    pub fn accepted(
        id: &RegistrationId,
        attested: Attested,
        asking: Asking,
        processing: Duration,
        now: Timestamp,
    ) -> Self {
        Self {
            registration_id: id.clone(),
            operation_id: new_operation_id(id.as_str()).into(),
            credential: attested.credential,
            group: attested.group.map(Into::into),
            device_id: attested.device_id.unwrap_or_else(|| id.into()),
            settings: attested.settings,
            created: now,
            region: asking.region,
            is_settled: asking.is_settled,
            previous: None,
            custom: None,
            issued: None,
            progress: Progress::Assigning {
                done: now.saturating_add(processing).unwrap_or(Timestamp::MAX),
            },
            polls: Window::default(),
        }
    }

    /// CertificateRequest again before it is done: what the device and its enrollment say now counts.
    pub fn renew(&mut self, attested: Attested, asking: Asking) {
        self.credential = attested.credential;
        self.group = attested.group.map(Into::into);
        let device_id = attested.device_id;
        self.device_id = device_id.unwrap_or_else(|| (&self.registration_id).into());
        self.settings = attested.settings;
        self.region = asking.region;
        self.is_settled = asking.is_settled;
        self.custom = None;
    }

    /// Takes the place of the same device's registration before: what stays of that.
    pub fn succeed(&mut self, before: &Self) {
        self.created = before.created;
        self.polls = before.polls;
        self.previous = match before.progress {
            Progress::Assigned { hub, .. } => Some(HubAssignment {
                hub,
                device_id: before.device_id.clone(),
            }),
            Progress::Assigning { .. } | Progress::Failed { .. } => before.previous.clone(),
        };
    }

    /// registrationState, as far as it goes. `hub` is the assigned hub's name; `wrapped_key` is
    /// the hub key in a TPM's envelope.
    pub fn state(
        &self,
        hub: Option<&str>,
        wrapped_key: Option<String>,
    ) -> DeviceRegistrationResult {
        let (status, changed, substatus, failure) = match &self.progress {
            Progress::Assigning { .. } => (RegistrationStatus::Assigning, self.created, None, None),
            Progress::Assigned { at, substatus, .. } => {
                let substatus = Some(substatus.name());
                (RegistrationStatus::Assigned, *at, substatus, None)
            }
            Progress::Failed { at, why } => (RegistrationStatus::Failed, *at, None, Some(why)),
        };
        let hub = hub.map(str::to_owned);
        let payload = match self.allocated() {
            Some(Ok(allocated)) if hub.is_some() => allocated.payload.clone(),
            _ => None,
        };
        let in_group = || GroupRegistrationResult {
            enrollment_group_id: self.group.as_deref().map(Into::into),
        };
        DeviceRegistrationResult {
            device_id: hub.is_some().then(|| self.device_id.to_string()),
            substatus: substatus.map(Into::into),
            assigned_hub: hub,
            status: Some(status),
            payload,
            issued_certificate_chain: None,
            error_code: failure.map(Failure::code),
            error_message: failure.map(ToString::to_string),
            tpm: wrapped_key.map(|authentication_key| TpmRegistrationResult { authentication_key }),
            x509: matches!(self.credential, Credential::Certificate(_)).then(in_group),
            // Unlike X.509's, it is not there at all for an individual enrollment.
            symmetric_key: (matches!(self.credential, Credential::SymmetricKey(_))
                && self.group.is_some())
            .then(in_group),
            registration_id: self.registration_id.to_string(),
            created_date_time_utc: Some(timestamp::format(self.created)),
            last_updated_date_time_utc: Some(timestamp::format(changed)),
            etag: Some(etag(&self.operation_id, changed)),
        }
    }
}

/// What a device hears whose enrollment is disabled.
pub fn disabled_state(id: &str, now: Timestamp) -> DeviceRegistrationResult {
    DeviceRegistrationResult {
        registration_id: id.into(),
        status: Some(RegistrationStatus::Disabled),
        created_date_time_utc: Some(timestamp::format(now)),
        last_updated_date_time_utc: Some(timestamp::format(now)),
        ..DeviceRegistrationResult::default()
    }
}

/// `<digit>.<16 hex>.<guid>`, as the real ones look; the hex stands for the device.
pub fn new_operation_id(registration_id: &str) -> String {
    let digest = digest::digest(&digest::SHA256, registration_id.as_bytes());
    let hex: String = digest
        .as_ref()
        .iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("5.{hex}.{}", Uuid::new_v4())
}

/// Base64 of a quoted etag that changes with the registration.
fn etag(operation_id: &str, changed: Timestamp) -> String {
    use base64::Engine;
    let tag = format!(
        "\"{:016x}-{:08x}\"",
        changed.as_microsecond(),
        operation_id.len()
    );
    base64::engine::general_purpose::STANDARD.encode(tag)
}

/// How long assignments take: log-normal, the same for the same device and seed.
#[derive(Debug, Clone, Copy)]
pub struct Processing {
    seed: u64,
    seconds: Option<LogNormal<f64>>,
}

impl Processing {
    /// With this median and 99th percentile, in microseconds; no time at all where the median is 0.
    pub fn new(p50_us: u64, p99_us: u64, seed: u64) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "microseconds of a wait")]
        let (p50, p99) = (p50_us as f64 / 1e6, p99_us.max(p50_us) as f64 / 1e6);
        let seconds = (p50 > 0.0)
            .then(|| LogNormal::new(p50.ln(), (p99 / p50).ln() / Z99).ok())
            .flatten();
        Self { seed, seconds }
    }

    /// For one device.
    pub fn of(&self, registration_id: &str) -> Duration {
        let Some(seconds) = self.seconds else {
            return Duration::ZERO;
        };
        let mut hash = digest::Context::new(&digest::SHA256);
        hash.update(&self.seed.to_be_bytes());
        hash.update(registration_id.as_bytes());
        let seed = hash
            .finish()
            .as_ref()
            .try_into()
            .expect("SHA-256 has 32 bytes");
        let sampled = seconds.sample(&mut ChaCha8Rng::from_seed(seed));
        Duration::try_from_secs_f64(sampled).unwrap_or(Duration::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processing_times_have_the_percentiles_that_were_asked_for() {
        let processing = Processing::new(40_000, 400_000, 7);
        let mut times: Vec<_> = (0..20_000)
            .map(|device| processing.of(&format!("device-{device}")))
            .collect();
        times.sort_unstable();
        let p50 = times[10_000].as_millis();
        let p99 = times[19_800].as_millis();
        assert!((38..=42).contains(&p50), "{p50}");
        assert!((360..=440).contains(&p99), "{p99}");
        assert_eq!(
            processing.of("device-1"),
            Processing::new(40_000, 400_000, 7).of("device-1")
        );
        assert_ne!(
            processing.of("device-1"),
            Processing::new(40_000, 400_000, 8).of("device-1")
        );
        assert_eq!(Processing::new(0, 0, 7).of("device-1"), Duration::ZERO);
    }

    #[test]
    fn operation_ids_look_like_the_real_ones() {
        let id = new_operation_id("device");
        let parts: Vec<_> = id.split('.').collect();
        assert_eq!(
            parts.iter().map(|part| part.len()).collect::<Vec<_>>(),
            [1, 16, 36]
        );
        assert_ne!(id, new_operation_id("device"));
    }
}
