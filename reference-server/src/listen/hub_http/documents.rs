//! Identities and twins as the service API writes them
//! (IoT Hub REST reference, "Device", "Module", "Twin").

use fleetstorm_protocol::ids::ClientId;
use fleetstorm_protocol::symmetric_key::SymmetricKey;
use fleetstorm_protocol::timestamp;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::hub::authentication::Authentication;
use crate::hub::identity::{Identity, WantedIdentity};
use crate::hub::thumbprint::CertificateThumbprint;
use crate::hub::twin::TwinDocument;
use crate::hub::{HubRefusal, generation};
use crate::randomness;

/// A time that never was.
const NEVER: &str = "0001-01-01T00:00:00Z";

/// An identity as the service sends it; what it can't change is ignored.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct IdentityDocument {
    device_id: Option<String>,
    module_id: Option<String>,
    managed_by: Option<String>,
    status: Option<Status>,
    status_reason: Option<String>,
    authentication: Option<AuthenticationDocument>,
    capabilities: Option<Capabilities>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Capabilities {
    iot_edge: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Status {
    Enabled,
    Disabled,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct AuthenticationDocument {
    r#type: Option<Kind>,
    symmetric_key: Option<Keys>,
    x509_thumbprint: Option<Thumbprints>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Kind {
    Sas,
    SelfSigned,
    CertificateAuthority,
    None,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Keys {
    primary_key: Option<String>,
    secondary_key: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Thumbprints {
    primary_thumbprint: Option<String>,
    secondary_thumbprint: Option<String>,
}

impl IdentityDocument {
    /// The identity of `client` that is asked for. Keys that are left out are made.
    pub(super) fn wanted(self, client: &ClientId) -> Result<WantedIdentity, HubRefusal> {
        for (name, written, asked) in [
            ("deviceId", &self.device_id, Some(client.device_id())),
            ("moduleId", &self.module_id, client.module_id()),
        ] {
            if let Some(other) = written.as_deref()
                && Some(other) != asked
            {
                let asked = asked.unwrap_or_default();
                return Err(malformed(name, format!("\"{other}\" is not \"{asked}\"")));
            }
        }
        Ok(WantedIdentity {
            authentication: self.authentication.unwrap_or_default().wanted()?,
            enabled: self.status != Some(Status::Disabled),
            status_reason: self.status_reason,
            iot_edge: self.capabilities.map(|capabilities| capabilities.iot_edge),
            managed_by: self.managed_by,
        })
    }
}

impl AuthenticationDocument {
    fn wanted(self) -> Result<Authentication, HubRefusal> {
        let thumbprints = self.x509_thumbprint.unwrap_or_default();
        let kind = self.r#type.unwrap_or(if thumbprints.is_empty() {
            Kind::Sas
        } else {
            Kind::SelfSigned
        });
        match kind {
            Kind::Sas => {
                let keys = self.symmetric_key.unwrap_or_default();
                Ok(Authentication::Sas {
                    primary: key("primaryKey", keys.primary_key)?,
                    secondary: Some(key("secondaryKey", keys.secondary_key)?),
                })
            }
            Kind::SelfSigned => {
                let primary = thumbprint("primaryThumbprint", thumbprints.primary_thumbprint)?;
                let secondary =
                    thumbprint("secondaryThumbprint", thumbprints.secondary_thumbprint)?;
                Ok(Authentication::SelfSigned {
                    primary: primary
                        .ok_or_else(|| malformed("primaryThumbprint", "is missing".into()))?,
                    secondary: secondary.map(Box::new),
                })
            }
            Kind::CertificateAuthority => Ok(Authentication::CertificateAuthority),
            Kind::None => Ok(Authentication::None),
        }
    }
}

impl Thumbprints {
    fn is_empty(&self) -> bool {
        let named =
            |thumbprint: &Option<String>| thumbprint.as_deref().is_some_and(|t| !t.is_empty());
        !named(&self.primary_thumbprint) && !named(&self.secondary_thumbprint)
    }
}

/// A key in base64, of 16 to 64 bytes; a new one where none is given.
fn key(name: &'static str, written: Option<String>) -> Result<SymmetricKey, HubRefusal> {
    match written.filter(|written| !written.is_empty()) {
        None => Ok(SymmetricKey::generate::<32>(randomness::fill)),
        Some(written) => {
            SymmetricKey::parse(&written).map_err(|error| malformed(name, error.problem))
        }
    }
}

fn thumbprint(
    name: &'static str,
    written: Option<String>,
) -> Result<Option<CertificateThumbprint>, HubRefusal> {
    let written = written.filter(|written| !written.is_empty());
    let read = written.map(|written| CertificateThumbprint::parse(&written));
    read.transpose()
        .map_err(|problem| malformed(name, problem.into()))
}

pub(super) fn malformed(name: &str, problem: String) -> HubRefusal {
    HubRefusal::Malformed(format!("{name}: {problem}"))
}

/// An identity as the service reads it.
pub(super) fn identity_document(client: &ClientId, identity: &Identity) -> Value {
    let Parts {
        kind,
        keys,
        thumbprints,
    } = Parts::of(&identity.authentication);
    let mut document = json!({
        "deviceId": client.device_id(),
        "generationId": generation(identity.created),
        "etag": identity.etag,
        "connectionState": connection_state(identity),
        "connectionStateUpdatedTime": time(identity.last_seen),
        "lastActivityTime": time(identity.last_seen),
        "cloudToDeviceMessageCount": identity.waiting_messages,
        "authentication": {
            "symmetricKey": {"primaryKey": keys[0], "secondaryKey": keys[1]},
            "x509Thumbprint": {
                "primaryThumbprint": thumbprints[0],
                "secondaryThumbprint": thumbprints[1],
            },
            "type": kind,
        },
    });
    add(
        &mut document,
        match client.module_id() {
            Some(module) => json!({"moduleId": module, "managedBy": identity.managed_by}),
            None => json!({
                "status": status(identity),
                "statusReason": identity.status_reason,
                "statusUpdatedTime": NEVER,
                "capabilities": {"iotEdge": identity.iot_edge},
            }),
        },
    );
    document
}

/// A twin as the service reads it.
pub(super) fn twin_document(client: &ClientId, identity: &Identity, twin: &TwinDocument) -> Value {
    let Parts {
        kind, thumbprints, ..
    } = Parts::of(&identity.authentication);
    let mut document = json!({
        "deviceId": client.device_id(),
        "etag": twin.etag,
        "deviceEtag": identity.etag,
        "status": status(identity),
        "statusReason": identity.status_reason,
        "statusUpdateTime": NEVER,
        "connectionState": connection_state(identity),
        "lastActivityTime": time(identity.last_seen),
        "cloudToDeviceMessageCount": identity.waiting_messages,
        "authenticationType": kind,
        "x509Thumbprint": {
            "primaryThumbprint": thumbprints[0],
            "secondaryThumbprint": thumbprints[1],
        },
        "modelId": twin.model_id.as_deref().unwrap_or_default(),
        "version": twin.version,
        "tags": twin.tags,
        "properties": {"desired": twin.desired, "reported": twin.reported},
    });
    add(
        &mut document,
        match client.module_id() {
            Some(module) => json!({"moduleId": module}),
            None => json!({"capabilities": {"iotEdge": identity.iot_edge}}),
        },
    );
    document
}

/// What only devices have, or only modules.
fn add(document: &mut Value, more: Value) {
    if let (Some(document), Value::Object(more)) = (document.as_object_mut(), more) {
        document.extend(more);
    }
}

/// How an authentication is written: primary, secondary.
struct Parts {
    kind: &'static str,
    keys: [Option<String>; 2],
    thumbprints: [Option<String>; 2],
}

impl Parts {
    fn without(kind: &'static str) -> Self {
        Self {
            kind,
            keys: [None, None],
            thumbprints: [None, None],
        }
    }

    fn of(authentication: &Authentication) -> Self {
        match authentication {
            Authentication::Sas { primary, secondary } => Self {
                kind: "sas",
                keys: [
                    Some(primary.clone().into()),
                    secondary.clone().map(Into::into),
                ],
                thumbprints: [None, None],
            },
            Authentication::SelfSigned { primary, secondary } => Self {
                kind: "selfSigned",
                keys: [None, None],
                thumbprints: [
                    Some(primary.format()),
                    secondary.as_deref().map(CertificateThumbprint::format),
                ],
            },
            Authentication::CertificateAuthority => Self::without("certificateAuthority"),
            Authentication::None => Self::without("none"),
        }
    }
}

fn status(identity: &Identity) -> &'static str {
    if identity.enabled {
        "enabled"
    } else {
        "disabled"
    }
}

fn connection_state(identity: &Identity) -> &'static str {
    if identity.connected {
        "Connected"
    } else {
        "Disconnected"
    }
}

fn time(time: Option<Timestamp>) -> String {
    time.map_or_else(|| NEVER.into(), timestamp::format)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(document: Value) -> Result<WantedIdentity, HubRefusal> {
        let device = ClientId::parse("d").expect("valid");
        let document: IdentityDocument = serde_json::from_value(document)
            .map_err(|problem| HubRefusal::Malformed(problem.to_string()))?;
        document.wanted(&device)
    }

    #[test]
    fn keys_that_are_left_out_are_made() {
        let made = wanted(json!({"deviceId": "d"})).expect("good");
        let Authentication::Sas {
            primary,
            secondary: Some(secondary),
        } = made.authentication
        else {
            panic!("two keys");
        };
        assert_ne!(primary, secondary);
        assert!(made.enabled);
    }

    #[test]
    fn thumbprints_are_read_and_written() {
        let digits = "0123456789ABCDEF".repeat(4);
        let wanted = wanted(json!({
            "status": "disabled",
            "authentication": {"x509Thumbprint": {"primaryThumbprint": digits.to_lowercase()}},
        }))
        .expect("good");
        assert!(!wanted.enabled);
        let parts = Parts::of(&wanted.authentication);
        assert_eq!(parts.kind, "selfSigned");
        assert_eq!(parts.thumbprints, [Some(digits), None]);
    }

    #[test]
    fn what_is_no_identity_is_refused_by_name() {
        for (document, words) in [
            (json!({"deviceId": "e"}), "deviceId: \"e\" is not \"d\""),
            (json!({"status": "retired"}), "unknown variant"),
            (
                json!({"authentication": {"symmetricKey": {"primaryKey": "?"}}}),
                "primaryKey: is not base64",
            ),
            (
                json!({"authentication": {"symmetricKey": {"primaryKey": "AAAA"}}}),
                "primaryKey: has 3 bytes",
            ),
            (
                json!({"authentication": {"type": "selfSigned"}}),
                "primaryThumbprint: is missing",
            ),
            (
                json!({"authentication": {"x509Thumbprint": {"primaryThumbprint": "ab"}}}),
                "is neither a SHA-256",
            ),
        ] {
            let problem = wanted(document).expect_err(words).to_string();
            assert!(problem.contains(words), "{problem}");
        }
    }
}
