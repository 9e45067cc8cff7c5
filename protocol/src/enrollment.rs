//! What the service was told beforehand: individual enrollments and enrollment
//! groups, in the JSON of the service API (DPS REST API, "Individual
//! Enrollment", "Enrollment Group").
//!
//! One line of an enrollment stream is one [`Enrollment`].

use serde::de::{Deserializer, Error as _};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::DecodeError;
use crate::custom_allocation::CustomAllocationDefinition;
use crate::document;
use crate::registration::TpmAttestation;
use crate::symmetric_key::SymmetricKey;
use crate::twin::InitialTwin;

/// An individual enrollment or a group, told apart by which id it carries.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Enrollment {
    /// One device.
    Individual(IndividualEnrollment),
    /// Many devices below one signing certificate or one pair of keys.
    Group(EnrollmentGroup),
}

impl Enrollment {
    /// Reads one enrollment.
    ///
    /// # Errors
    /// Broken JSON, no id or both ids, or what the kind of enrollment that the
    /// id tells cannot be.
    pub fn from_json(text: &str) -> Result<Self, DecodeError> {
        serde_json::from_str(text)
            .map_err(|problem| DecodeError::new("enrollment", problem.to_string()))
    }

    /// Head and settings are read one by one: together, the names of members would be lost.
    fn of(document: &Value) -> Result<Self, String> {
        let head: Head = document::part(document)?;
        let settings = document::part(document)?;
        Ok(match head.registration_id {
            Some(registration_id) => Self::Individual(IndividualEnrollment {
                registration_id,
                device_id: head.device_id,
                attestation: head.attestation,
                settings,
            }),
            None => Self::Group(EnrollmentGroup {
                enrollment_group_id: head.enrollment_group_id,
                attestation: head.attestation,
                settings,
            }),
        })
    }

    /// The registration id or the enrollment group id.
    pub fn id(&self) -> &str {
        match self {
            Self::Individual(individual) => &individual.registration_id,
            Self::Group(group) => &group.enrollment_group_id,
        }
    }

    /// What both kinds have.
    pub fn settings(&self) -> &EnrollmentSettings {
        match self {
            Self::Individual(individual) => &individual.settings,
            Self::Group(group) => &group.settings,
        }
    }
}

/// By hand, because a derived untagged reader says "matched no variant" where
/// people need to hear which member is wrong.
impl<'de> Deserialize<'de> for Enrollment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut value = Value::deserialize(deserializer)?;
        document::in_our_words(&mut value);
        let (registration_id, group_id) =
            (value.get("registrationId"), value.get("enrollmentGroupId"));
        let name = match (registration_id, group_id) {
            (Some(id), None) => format!("individual enrollment {id}"),
            (None, Some(id)) => format!("enrollment group {id}"),
            (None, None) => {
                let problem = "has neither registrationId nor enrollmentGroupId";
                return Err(D::Error::custom(problem));
            }
            (Some(_), Some(_)) => {
                let problem = "has both registrationId and enrollmentGroupId; keep one";
                return Err(D::Error::custom(problem));
            }
        };
        Self::of(&value).map_err(|problem| D::Error::custom(format!("{name}: {problem}")))
    }
}

/// What an enrollment says beside its settings.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Head {
    registration_id: Option<String>,
    #[serde(default)]
    enrollment_group_id: String,
    device_id: Option<String>,
    attestation: AttestationMechanism,
}

/// One device that may register.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IndividualEnrollment {
    /// The device.
    pub registration_id: String,
    /// Its name at the hub; the registration id when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_id: Option<String>,
    /// How it proves who it is.
    pub attestation: AttestationMechanism,
    /// The rest, shared with groups.
    #[serde(flatten)]
    pub settings: EnrollmentSettings,
}

/// Many devices that may register.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EnrollmentGroup {
    /// The group.
    pub enrollment_group_id: String,
    /// How its devices prove who they are.
    pub attestation: AttestationMechanism,
    /// The rest, shared with individual enrollments.
    #[serde(flatten)]
    pub settings: EnrollmentSettings,
}

/// What individual enrollments and groups have in common.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct EnrollmentSettings {
    /// Whether its devices may register.
    pub provisioning_status: ProvisioningStatus,
    /// How a hub is chosen; the instance's default when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allocation_policy: Option<String>,
    /// Who chooses the hub with custom allocation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub custom_allocation_definition: Option<CustomAllocationDefinition>,
    /// Host names of the hubs to choose from; all linked ones when empty.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub iot_hubs: Vec<String>,
    /// Host name of the one hub, as the first versions of the service API wrote it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub iot_hub_host_name: Option<String>,
    /// What the device is beside a device, like an IoT Edge one: an object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capabilities: Option<Value>,
    /// What the operator keeps about the device: an object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub optional_device_information: Option<Value>,
    /// Policy that signs certificates for devices that ask for one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credential_policy_name: Option<String>,
    /// What the twin starts with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub initial_twin: Option<InitialTwin>,
    /// What happens when the device registers again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reprovision_policy: Option<ReprovisionPolicy>,
}

/// Whether an enrollment lets devices in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ProvisioningStatus {
    /// Devices may register.
    #[default]
    Enabled,
    /// Devices are refused.
    Disabled,
}

/// How a hub is chosen (DPS documentation, "How to use allocation policies").
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum AllocationPolicy {
    /// Evenly, by the weights of the linked hubs.
    #[default]
    Hashed,
    /// The hub with the lowest latency to the device.
    GeoLatency,
    /// The one hub that the enrollment names.
    Static,
    /// The hub that the enrollment's webhook names ([`crate::custom_allocation`]).
    Custom,
}

impl AllocationPolicy {
    /// Every one.
    pub const ALL: [Self; 4] = [Self::Hashed, Self::GeoLatency, Self::Static, Self::Custom];

    /// As the service API writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Hashed => "hashed",
            Self::GeoLatency => "geoLatency",
            Self::Static => "static",
            Self::Custom => "custom",
        }
    }

    /// Reads a name, whatever its case: documentation and clients don't agree on it.
    pub fn from_name(name: &str) -> Option<Self> {
        let mut all = Self::ALL.into_iter();
        all.find(|policy| policy.name().eq_ignore_ascii_case(name))
    }
}

/// What happens on registrations after the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReprovisionPolicy {
    /// Choose the hub anew.
    #[serde(default = "yes")]
    pub update_hub_assignment: bool,
    /// Carry the twin along when the hub changes.
    #[serde(default = "yes")]
    pub migrate_device_data: bool,
}

fn yes() -> bool {
    true
}

/// How devices prove who they are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "camelCase")]
pub enum AttestationMechanism {
    /// By a TPM with this endorsement key.
    Tpm {
        /// The public keys.
        tpm: TpmAttestation,
    },
    /// By certificate.
    X509 {
        /// The certificates.
        x509: X509Attestation,
    },
    /// By a shared key.
    #[serde(rename_all = "camelCase")]
    SymmetricKey {
        /// The keys.
        #[serde(default)]
        symmetric_key: SymmetricKeyAttestation,
    },
}

/// Keys of an enrollment: of the device itself (individual), or those that its devices' keys
/// derive from (group). Either opens the door, so that one can be rolled while the other serves.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SymmetricKeyAttestation {
    /// In use; the service makes one up when absent.
    #[serde(
        deserialize_with = "empty_as_absent",
        skip_serializing_if = "Option::is_none"
    )]
    pub primary_key: Option<SymmetricKey>,
    /// In use as well; the service makes one up when absent.
    #[serde(
        deserialize_with = "empty_as_absent",
        skip_serializing_if = "Option::is_none"
    )]
    pub secondary_key: Option<SymmetricKey>,
}

/// Some callers write `""` for "make one up".
fn empty_as_absent<'de, D: Deserializer<'de>>(key: D) -> Result<Option<SymmetricKey>, D::Error> {
    let written = Option::<String>::deserialize(key)?.filter(|written| !written.is_empty());
    written
        .map(SymmetricKey::try_from)
        .transpose()
        .map_err(D::Error::custom)
}

/// Certificates of an enrollment: of the device itself (individual) or of its signer (group).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct X509Attestation {
    /// Individual enrollments: the device's own certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_certificates: Option<X509Certificates>,
    /// Groups: root or intermediate below which devices stand.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signing_certificates: Option<X509Certificates>,
    /// Groups: the same by name, of CA certificates whose owner has proven to hold their keys.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_references: Option<X509CaReferences>,
}

/// Names of CA certificates of the instance, primary and secondary.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct X509CaReferences {
    /// In use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub primary: Option<String>,
    /// In use as well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secondary: Option<String>,
}

impl X509CaReferences {
    /// Those that are named.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        [&self.primary, &self.secondary]
            .into_iter()
            .flatten()
            .map(String::as_str)
    }
}

/// Primary and secondary, so that one can be rolled over while the other serves.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct X509Certificates {
    /// In use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub primary: Option<X509CertificateWithInfo>,
    /// In use as well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secondary: Option<X509CertificateWithInfo>,
}

/// A certificate as the service API takes it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct X509CertificateWithInfo {
    /// Base64 of DER, PEM text, or base64 of PEM; see [`crate::x509::certificate_from_text`].
    /// Empty where a client sends back what it got, for answers leave it out.
    #[serde(default)]
    pub certificate: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_individual_enrollment_reads_and_writes_back() {
        let text = r#"{"registrationId":"dev","deviceId":"Device 1","attestation":{"type":"tpm","tpm":{"endorsementKey":"AToA"}},"provisioningStatus":"disabled","iotHubs":["a.net","b.net"],"initialTwin":{"tags":{"floor":1},"properties":{"desired":{"rate":5}}},"reprovisionPolicy":{"updateHubAssignment":true,"migrateDeviceData":false}}"#;
        let enrollment = Enrollment::from_json(text).expect("documented form");
        assert_eq!(enrollment.id(), "dev");
        assert_eq!(
            serde_json::to_string(&enrollment).expect("serialises"),
            text
        );
    }

    #[test]
    fn a_group_needs_no_more_than_its_certificate() {
        let text = r#"{"enrollmentGroupId":"g","attestation":{"type":"x509","x509":{"signingCertificates":{"primary":{"certificate":"MII="}}}},"etag":"unknown members are ignored"}"#;
        let Ok(Enrollment::Group(group)) = Enrollment::from_json(text) else {
            panic!("a group")
        };
        assert_eq!(group.settings, EnrollmentSettings::default());
        assert!(
            matches!(group.attestation, AttestationMechanism::X509 { x509 } if x509.client_certificates.is_none())
        );
    }

    #[test]
    fn keys_read_and_write_back_and_are_not_told() {
        let text = r#"{"registrationId":"a","attestation":{"type":"symmetricKey","symmetricKey":{"primaryKey":"AAECAwQFBgcICQoLDA0ODw=="}},"provisioningStatus":"enabled"}"#;
        let enrollment = Enrollment::from_json(text).expect("documented form");
        assert_eq!(
            serde_json::to_string(&enrollment).expect("serialises"),
            text
        );
        assert!(!format!("{enrollment:?}").contains("AAEC"));
        for members in [
            "",
            r#","symmetricKey":{}"#,
            r#","symmetricKey":{"primaryKey":null}"#,
            r#","symmetricKey":{"primaryKey":"","secondaryKey":""}"#,
        ] {
            let text = format!(
                r#"{{"enrollmentGroupId":"g","attestation":{{"type":"symmetricKey"{members}}}}}"#
            );
            let Ok(Enrollment::Group(group)) = Enrollment::from_json(&text) else {
                panic!("{text}")
            };
            let symmetric_key = SymmetricKeyAttestation::default();
            let generated = AttestationMechanism::SymmetricKey { symmetric_key };
            assert_eq!(group.attestation, generated, "{text}");
        }
    }

    #[test]
    fn null_is_left_out() {
        let bare = r#"{"registrationId":"a","attestation":{"type":"symmetricKey"}}"#;
        let nulls = r#"{"registrationId":"a","enrollmentGroupId":null,"deviceId":null,
            "attestation":{"type":"symmetricKey","symmetricKey":null,"tpm":null},
            "provisioningStatus":null,"iotHubs":null,"capabilities":null,"reprovisionPolicy":null,
            "allocationPolicy":null,"initialTwin":{"tags":null,"properties":{"desired":null}},
            "etag":null,"registrationState":null}"#;
        let read = |text| Enrollment::from_json(text).expect("an enrollment");
        let Enrollment::Individual(mut read_nulls) = read(nulls) else {
            panic!("of one device")
        };
        let twin = read_nulls.settings.initial_twin.take();
        assert_eq!(twin, Some(InitialTwin::default()));
        assert_eq!(Enrollment::Individual(read_nulls), read(bare));
    }

    #[test]
    fn a_reprovision_policy_defaults_to_moving_with_data() {
        let policy: ReprovisionPolicy = serde_json::from_str("{}").expect("all optional");
        assert_eq!(
            policy,
            ReprovisionPolicy {
                update_hub_assignment: true,
                migrate_device_data: true
            }
        );
    }

    #[test]
    fn mistakes_are_named_precisely() {
        let cases = [
            ("{", "EOF"),
            ("[]", "neither registrationId nor enrollmentGroupId"),
            (
                r#"{"registrationId":"a","enrollmentGroupId":"b"}"#,
                "has both",
            ),
            (
                r#"{"registrationId":"a"}"#,
                "individual enrollment \"a\": missing field `attestation`",
            ),
            (
                r#"{"registrationId":7,"attestation":{"type":"tpm","tpm":{"endorsementKey":""}}}"#,
                "individual enrollment 7: registrationId: invalid type: integer `7`, expected a string",
            ),
            (
                r#"{"enrollmentGroupId":"g","attestation":{"type":"symmetricKey"},"iotHubs":7}"#,
                "enrollment group \"g\": iotHubs: invalid type: integer `7`, expected a sequence",
            ),
            (
                r#"{"enrollmentGroupId":"g","attestation":{"type":"symmetricKey"},"iotHubs":["a",null]}"#,
                "iotHubs[1]: invalid type: null",
            ),
            (
                r#"{"enrollmentGroupId":"g","attestation":{"type":"password"}}"#,
                "unknown variant `password`",
            ),
            (
                r#"{"enrollmentGroupId":"g","attestation":{"type":"x509"}}"#,
                "missing field `x509`",
            ),
            (
                r#"{"registrationId":"a","attestation":{"type":"symmetricKey","symmetricKey":{"primaryKey":"AAECAw=="}}}"#,
                "symmetric key: has 4 bytes, from 16 to 64 are allowed",
            ),
            (
                r#"{"registrationId":"a","attestation":{"type":"symmetricKey","symmetricKey":{"secondaryKey":"???"}}}"#,
                "symmetric key: is not base64",
            ),
            (
                r#"{"registrationId":"a","attestation":{"type":"tpm","tpm":{}}}"#,
                "missing field `endorsementKey`",
            ),
            (
                r#"{"registrationId":"a","attestation":{"type":"tpm","tpm":{"endorsementKey":""}},"provisioningStatus":"on"}"#,
                "unknown variant `on`, expected `enabled` or `disabled`",
            ),
        ];
        for (text, part) in cases {
            let error = Enrollment::from_json(text).expect_err(text).to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
