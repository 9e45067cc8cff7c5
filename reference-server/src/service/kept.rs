//! Registrations as the store keeps them.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use fleetstorm_protocol::enrollment::EnrollmentSettings;
use fleetstorm_protocol::ids::{DeviceId, RegistrationId};
use fleetstorm_protocol::quota::Window;
use fleetstorm_protocol::x509::Thumbprint;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Service;
use super::attestation::Credential;
use super::custom::choice::{Allocated, Custom};
use super::device_keys::KeyPair;
use super::enrollment_list::compiled::Settings;
use super::failure::Failure;
use super::issuing::Issued;
use super::operation::{HubAssignment, Progress, Registration, Substatus};
use super::tpm_challenge::{Challenges, HmacKey};
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::kind::Kind;

/// One of them. Hubs and regions go by their names: their places may be others next time.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    registration_id: Box<str>,
    operation_id: Box<str>,
    credential: KeptCredential,
    group: Option<Box<str>>,
    device_id: Box<str>,
    created: Timestamp,
    previous: Option<KeptPlace>,
    payload: Option<Value>,
    #[serde(default)]
    issued: Option<Vec<String>>,
    progress: KeptProgress,
}

#[derive(Debug, Serialize, Deserialize)]
enum KeptCredential {
    Certificate(Thumbprint),
    SymmetricKey(Box<KeyPair>),
    Tpm {
        key: HmacKey,
        endorsement_key: String,
        storage_root_key: Option<String>,
    },
}

#[derive(Debug, Serialize, Deserialize)]
struct KeptPlace {
    hub: String,
    device_id: Box<str>,
}

#[derive(Debug, Serialize, Deserialize)]
enum KeptProgress {
    Assigning {
        done: Timestamp,
        /// What the enrollment said when the device registered.
        settings: Box<EnrollmentSettings>,
        region: Option<String>,
        is_settled: bool,
    },
    Assigned {
        hub: String,
        at: Timestamp,
        hub_key: Option<HmacKey>,
        substatus: Substatus,
    },
    Failed {
        at: Timestamp,
        code: u32,
        message: String,
    },
}

impl Service {
    /// With the registrations that a store knows of this instance, and from now on kept there.
    ///
    /// # Errors
    /// The store can't be read, or a registration does not fit the configuration.
    pub(crate) fn kept_in(mut self, store: &Store) -> Result<Self, StoreError> {
        // Nobody asks any more what the enrollment of a registration that is over said.
        let over = Arc::new(Settings::default());
        let mut leaving = Vec::new();
        store.each(Kind::Registration, &self.id_scope, |key, kept| {
            let registration = self.restored(kept, &over)?;
            let is_assigned = matches!(registration.progress, Progress::Assigned { .. });
            if is_assigned && registration.previous.is_some() {
                leaving.push(key.to_owned());
            }
            self.foresee(key, &registration);
            self.registrations.restore(key, registration);
            Ok(())
        })?;
        self.challenges = Challenges::kept_in(store, &self.id_scope)?;
        self.store = store.clone();
        // The server was stopped before these were taken out of the places that they have left.
        for key in leaving {
            if let Some(known) = self.registrations.of(key.as_str()).get_mut(key.as_str()) {
                self.take_out(known);
            }
        }
        Ok(self)
    }

    /// Keeps what a registration is now; under the lock of its shard.
    pub(super) fn keep(&self, registration: &Registration) {
        self.store.write(|writes| {
            let id = registration.registration_id.canonical();
            let kept = self.kept(registration);
            writes.put(Kind::Registration, &self.id_scope, &id, &kept);
        });
    }

    /// Keeps that a registration is gone; under the lock of its shard.
    pub(super) fn forget(&self, key: &str) {
        self.store
            .write(|writes| writes.remove(Kind::Registration, &self.id_scope, key));
    }

    fn kept(&self, registration: &Registration) -> Kept {
        let name = |hub: usize| {
            let hub = self.placement.hubs.get(hub);
            hub.map(|hub| hub.host_name().to_owned())
                .unwrap_or_default()
        };
        let credential = match &registration.credential {
            Credential::Certificate(thumbprint) => KeptCredential::Certificate(*thumbprint),
            Credential::SymmetricKey(keys) => KeptCredential::SymmetricKey(keys.clone()),
            Credential::Tpm {
                key,
                endorsement_key,
                storage_root_key,
            } => KeptCredential::Tpm {
                key: *key,
                endorsement_key: STANDARD.encode(endorsement_key),
                storage_root_key: storage_root_key.as_ref().map(|key| STANDARD.encode(key)),
            },
        };
        let region = registration
            .region
            .and_then(|region| self.placement.regions.name(region));
        let progress = match &registration.progress {
            Progress::Assigning { done } => KeptProgress::Assigning {
                done: *done,
                settings: Box::new(registration.settings.written.clone()),
                region: region.map(str::to_owned),
                is_settled: registration.is_settled,
            },
            Progress::Assigned {
                hub,
                at,
                hub_key,
                substatus,
            } => KeptProgress::Assigned {
                hub: name(*hub),
                at: *at,
                hub_key: *hub_key,
                substatus: *substatus,
            },
            Progress::Failed { at, why } => KeptProgress::Failed {
                at: *at,
                code: why.code(),
                message: why.to_string(),
            },
        };
        let is_assigned = matches!(progress, KeptProgress::Assigned { .. });
        let allocated = registration.allocated().filter(|_| is_assigned);
        Kept {
            registration_id: registration.registration_id.as_str().into(),
            operation_id: registration.operation_id.clone(),
            credential,
            group: registration.group.clone(),
            device_id: registration.device_id.as_str().into(),
            created: registration.created,
            previous: registration.previous.as_ref().map(|place| KeptPlace {
                hub: name(place.hub),
                device_id: place.device_id.as_str().into(),
            }),
            issued: registration.issued.as_ref().map(|issued| issued.chain()),
            payload: allocated.and_then(|chosen| chosen.as_ref().ok()?.payload.clone()),
            progress,
        }
    }

    fn restored(&self, kept: Kept, over: &Arc<Settings>) -> Result<Registration, String> {
        let credential = match kept.credential {
            KeptCredential::Certificate(thumbprint) => Credential::Certificate(thumbprint),
            KeptCredential::SymmetricKey(keys) => Credential::SymmetricKey(keys),
            KeptCredential::Tpm {
                key,
                endorsement_key,
                storage_root_key,
            } => Credential::Tpm {
                key,
                endorsement_key: bytes(&endorsement_key)?,
                storage_root_key: storage_root_key.as_deref().map(bytes).transpose()?,
            },
        };
        let previous = kept.previous.map(|place| {
            Ok::<_, String>(HubAssignment {
                hub: self.place_of(&place.hub)?,
                device_id: device_id(&place.device_id)?,
            })
        });
        let issued = kept.issued.as_deref();
        let issued = issued.map(|chain| Issued::of(chain).map(Box::new));
        let mut registration = Registration {
            registration_id: RegistrationId::parse(&kept.registration_id)
                .map_err(|e| e.to_string())?,
            operation_id: kept.operation_id,
            credential,
            group: kept.group,
            device_id: device_id(&kept.device_id)?,
            settings: Arc::clone(over),
            created: kept.created,
            region: None,
            is_settled: false,
            previous: previous.transpose()?,
            // What a webhook was asked is lost with the answer.
            custom: kept.payload.map(|payload| {
                let told = Allocated {
                    link: 0,
                    initial_twin: None,
                    payload: Some(payload),
                };
                Box::new(Custom::Answered(Ok(told)))
            }),
            issued: issued.transpose()?,
            progress: Progress::Assigning { done: kept.created },
            polls: Window::default(),
        };
        registration.progress = match kept.progress {
            KeptProgress::Assigning {
                done,
                settings,
                region,
                is_settled,
            } => {
                registration.settings = self.enrollments.settings(&settings)?;
                registration.region = region.and_then(|name| self.placement.regions.named(&name));
                registration.is_settled = is_settled;
                Progress::Assigning { done }
            }
            KeptProgress::Assigned {
                hub,
                at,
                hub_key,
                substatus,
            } => Progress::Assigned {
                hub: self.place_of(&hub)?,
                at,
                hub_key,
                substatus,
            },
            KeptProgress::Failed { at, code, message } => Progress::Failed {
                at,
                why: Failure::Told { code, message },
            },
        };
        Ok(registration)
    }

    /// The place of a hub among those of the server.
    fn place_of(&self, hub: &str) -> Result<usize, String> {
        let mut hubs = self.placement.hubs.iter();
        let place = hubs.position(|known| known.host_name().eq_ignore_ascii_case(hub));
        place.ok_or_else(|| {
            format!(
                "the device is at \"{hub}\", which is no [[hub]] of this server: bring that back, or name another folder"
            )
        })
    }
}

fn bytes(text: &str) -> Result<Box<[u8]>, String> {
    let bytes = STANDARD.decode(text).map_err(|e| e.to_string())?;
    Ok(bytes.into())
}

fn device_id(text: &str) -> Result<DeviceId, String> {
    DeviceId::parse(text).map_err(|e| e.to_string())
}
