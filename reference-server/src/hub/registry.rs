//! A hub's identity registry: all that DPS may ask of a hub, and all that a
//! hub's session needs, so that a hub can live in a process of its own.

use std::sync::Arc;

use fleetstorm_protocol::hub::sas_resource;
use fleetstorm_protocol::ids::DeviceId;
use fleetstorm_protocol::sas::SasToken;
use fleetstorm_protocol::twin::{DeviceTwin, InitialTwin};
use fleetstorm_protocol::x509::{Thumbprint, thumbprint};
use jiff::Timestamp;
use rustls::pki_types::CertificateDer;
use serde_json::{Map, Value};

use crate::counters::Tally;
use crate::shards::Shards;

/// How a device proves itself to its hub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Authentication {
    /// By a shared key: SAS tokens.
    Sas {
        /// The key.
        key: Box<[u8]>,
    },
    /// By this very certificate, as DPS enters it for X.509 devices of either kind of
    /// enrollment (DPS documentation, "Roll X.509 device certificates").
    SelfSigned {
        /// Its thumbprint.
        thumbprint: Thumbprint,
    },
}

/// Why a hub does not let a device in or on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HubRefusal {
    /// No such hub.
    #[error("no such hub")]
    UnknownHub,
    /// No such device.
    #[error("no such device")]
    UnknownDevice,
    /// The proof does not hold.
    #[error("not authorised")]
    Unauthorized,
}

/// The hubs of a server.
pub struct HubRegistry {
    hubs: Vec<Hub>,
    tally: Arc<Tally>,
}

struct Hub {
    host_name: String,
    devices: Shards<DeviceId, Device>,
}

struct Device {
    authentication: Authentication,
    /// As its device reads it, rendered: read far more often than written.
    twin: Box<[u8]>,
}

impl HubRegistry {
    /// Hubs without devices.
    pub(crate) fn new(host_names: &[String], tally: Arc<Tally>) -> Self {
        let hub = |host_name: &String| Hub {
            host_name: host_name.clone(),
            devices: Shards::new(),
        };
        Self {
            hubs: host_names.iter().map(hub).collect(),
            tally,
        }
    }

    /// Host names, in order.
    pub fn host_names(&self) -> impl Iterator<Item = &str> {
        self.hubs.iter().map(|hub| hub.host_name.as_str())
    }

    /// Creates the identity with its twin, or replaces its authentication and keeps the twin.
    ///
    /// # Errors
    /// Unknown hub.
    pub fn create_or_update(
        &self,
        hub: &str,
        device: &DeviceId,
        authentication: Authentication,
        initial_twin: Option<&InitialTwin>,
    ) -> Result<(), HubRefusal> {
        let (_, hub) = self.hub(hub)?;
        let mut devices = hub.devices.of(device);
        match devices.get_mut(device) {
            Some(known) => known.authentication = authentication,
            None => {
                devices.insert(
                    device.clone(),
                    Device {
                        authentication,
                        twin: new_twin(initial_twin),
                    },
                );
            }
        }
        Ok(())
    }

    /// Lets a device in: by SAS token (`password`) or by its certificates, leaf first.
    ///
    /// # Errors
    /// See [`HubRefusal`].
    pub fn authenticate(
        &self,
        hub: &str,
        device: &DeviceId,
        password: Option<&str>,
        certificates: &[CertificateDer<'static>],
        now: Timestamp,
    ) -> Result<(), HubRefusal> {
        let admitted = self.admit(hub, device, password, certificates, now);
        if admitted.is_err() {
            self.tally.hub_refusals.add();
        }
        admitted
    }

    fn admit(
        &self,
        hub: &str,
        device: &DeviceId,
        password: Option<&str>,
        certificates: &[CertificateDer<'static>],
        now: Timestamp,
    ) -> Result<(), HubRefusal> {
        let (_, hub) = self.hub(hub)?;
        let devices = hub.devices.of(device);
        let known = devices.get(device).ok_or(HubRefusal::UnknownDevice)?;
        let proven = match &known.authentication {
            Authentication::Sas { key } => password
                .and_then(|token| SasToken::parse(token).ok())
                .is_some_and(|token| {
                    token
                        .verify(&sas_resource(&hub.host_name, device), key, now.as_second())
                        .is_ok()
                }),
            Authentication::SelfSigned {
                thumbprint: expected,
            } => certificates
                .first()
                .is_some_and(|leaf| thumbprint(leaf) == *expected),
        };
        if proven {
            Ok(())
        } else {
            Err(HubRefusal::Unauthorized)
        }
    }

    /// The twin as its device reads it, in JSON.
    ///
    /// # Errors
    /// See [`HubRefusal`].
    pub fn read_twin(&self, hub: &str, device: &DeviceId) -> Result<Vec<u8>, HubRefusal> {
        let (index, hub) = self.hub(hub)?;
        let devices = hub.devices.of(device);
        let twin = devices
            .get(device)
            .map(|known| known.twin.to_vec())
            .ok_or(HubRefusal::UnknownDevice)?;
        if let Some(tally) = self.tally.hub(index) {
            tally.twins_read.add();
        }
        Ok(twin)
    }

    /// A hub by name, whatever its case.
    fn hub(&self, host_name: &str) -> Result<(usize, &Hub), HubRefusal> {
        let mut hubs = self.hubs.iter().enumerate();
        hubs.find(|(_, hub)| hub.host_name.eq_ignore_ascii_case(host_name))
            .ok_or(HubRefusal::UnknownHub)
    }
}

/// A new twin as its device reads it: desired as the enrollment asks, nothing reported,
/// both parts at version 1 (IoT Hub documentation, "Understand and use device twins").
fn new_twin(initial: Option<&InitialTwin>) -> Box<[u8]> {
    let first_version = |mut properties: Map<String, Value>| {
        properties.insert("$version".into(), 1.into());
        properties
    };
    let desired = initial
        .map(|twin| twin.properties.desired.clone())
        .unwrap_or_default();
    let twin = DeviceTwin {
        desired: first_version(desired),
        reported: first_version(Map::new()),
    };
    serde_json::to_vec(&twin)
        .expect("a map of JSON values is JSON")
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const HUB: &str = "hub-1.fleetstorm.test";

    fn registry() -> HubRegistry {
        let hubs = [HUB.to_owned()];
        HubRegistry::new(&hubs, Arc::new(Tally::new(&hubs)))
    }

    fn device() -> DeviceId {
        DeviceId::parse("pump-1").expect("valid")
    }

    #[test]
    fn a_twin_survives_a_change_of_key() {
        let registry = registry();
        let desired = json!({"interval": 5})
            .as_object()
            .cloned()
            .expect("an object");
        let mut initial = InitialTwin::default();
        initial.properties.desired = desired;
        let sas = |key: u8| Authentication::Sas {
            key: [key; 32].into(),
        };
        registry
            .create_or_update(HUB, &device(), sas(1), Some(&initial))
            .expect("known hub");
        registry
            .create_or_update(HUB, &device(), sas(2), None)
            .expect("known hub");
        let twin: Value =
            serde_json::from_slice(&registry.read_twin(HUB, &device()).expect("known"))
                .expect("JSON");
        assert_eq!(
            twin,
            json!({"desired": {"interval": 5, "$version": 1}, "reported": {"$version": 1}})
        );

        let now = Timestamp::from_second(1_800_000_000).expect("in range");
        let token = |key: u8| {
            let sign = |text: &[u8]| {
                fleetstorm_protocol::tpm::IdentityKey::from_bytes([key; 32]).sign(text)
            };
            SasToken::format(&sas_resource(HUB, &device()), 1_800_003_600, None, sign)
        };
        let admits = |token: &str| registry.authenticate(HUB, &device(), Some(token), &[], now);
        assert_eq!(admits(&token(1)), Err(HubRefusal::Unauthorized));
        assert_eq!(admits(&token(2)), Ok(()));
        assert_eq!(admits("nonsense"), Err(HubRefusal::Unauthorized));
    }

    #[test]
    fn a_certificate_opens_its_own_door_only() {
        let registry = registry();
        let own = CertificateDer::from(vec![1; 100]);
        let authentication = Authentication::SelfSigned {
            thumbprint: thumbprint(&own),
        };
        registry
            .create_or_update(HUB, &device(), authentication, None)
            .expect("known hub");
        let now = Timestamp::UNIX_EPOCH;
        let admits = |hub: &str, chain: &[CertificateDer<'static>]| {
            registry.authenticate(hub, &device(), None, chain, now)
        };
        assert_eq!(
            admits("HUB-1.fleetstorm.test", std::slice::from_ref(&own)),
            Ok(())
        );
        assert_eq!(
            admits(HUB, &[CertificateDer::from(vec![2; 100]), own.clone()]),
            Err(HubRefusal::Unauthorized)
        );
        assert_eq!(admits(HUB, &[]), Err(HubRefusal::Unauthorized));
        assert_eq!(
            admits("hub-2.fleetstorm.test", &[own]),
            Err(HubRefusal::UnknownHub)
        );
        let stranger = DeviceId::parse("pump-2").expect("valid");
        assert_eq!(
            registry.read_twin(HUB, &stranger),
            Err(HubRefusal::UnknownDevice)
        );
    }
}
