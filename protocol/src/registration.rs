//! The JSON bodies of a registration (DPS REST API, "Runtime registration").
//!
//! Readers are lenient as the SDKs demand (an empty body, `{}` and
//! `"payload": null` all mean "no payload"); unknown words survive, but not unknown members of a
//! request.

use serde::{Deserialize, Serialize};

use crate::{DecodeError, document};

/// What a device sends to register.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct DeviceRegistration {
    /// Repeats the id of the path, topic or link; optional.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub registration_id: Option<String>,
    /// The TPM's public keys; TPM attestation only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tpm: Option<TpmAttestation>,
    /// Custom allocation data.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payload: Option<serde_json::Value>,
    /// A certificate that the device asks for: standard base64 of a PKCS#10 request in DER, from
    /// api-version 2025-07-01-preview on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub csr: Option<String>,
}

impl DeviceRegistration {
    /// Reads the body of a register request. No bytes at all, white space, `{}`
    /// and `"payload": null` all mean "no payload".
    ///
    /// # Errors
    /// Where the JSON is broken, has another shape, or a member that there is not.
    pub fn from_body(body: &[u8]) -> Result<Self, DecodeError> {
        if body.trim_ascii().is_empty() {
            return Ok(Self::default());
        }
        // Nearly all write it as we do; what the others write is looked at twice.
        serde_json::from_slice(body).or_else(|_| document::read("request body", body))
    }
}

/// A TPM's public keys, each standard base64 of a TPM2B_PUBLIC with its size prefix.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TpmAttestation {
    /// Endorsement key.
    pub endorsement_key: String,
    /// Storage root key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storage_root_key: Option<String>,
}

/// The 401 body that opens TPM attestation: has no `status`, so that clients
/// take it for a challenge.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TpmChallenge {
    /// Standard base64 of the activation blob ([`crate::tpm::activation`]).
    pub authentication_key: String,
    /// The `skn` of the SAS token to sign: `registration`.
    pub key_name: String,
    /// For people; no client reads it.
    #[serde(default)]
    pub message: String,
}

/// Answer to register and to an operation status look-up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RegistrationOperationStatus {
    /// Names the operation to poll.
    pub operation_id: String,
    /// Where the registration stands. Answers to register may leave it out: 202 says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<RegistrationStatus>,
    /// The result; absent in the first answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub registration_state: Option<DeviceRegistrationResult>,
}

/// Where a registration stands. Unknown words are kept.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum RegistrationStatus {
    /// Never assigned, or disenrolled.
    Unassigned,
    /// The service is at work: poll.
    Assigning,
    /// Done: a hub holds the device.
    Assigned,
    /// Gave up; see errorCode and errorMessage.
    Failed,
    /// The enrollment is disabled.
    Disabled,
    /// A word this crate does not know.
    Other(String),
}

/// What a registration came to.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DeviceRegistrationResult {
    /// TPM only: the wrapped hub key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tpm: Option<TpmRegistrationResult>,
    /// X.509 only: empty for individual enrollments.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub x509: Option<GroupRegistrationResult>,
    /// Symmetric keys of a group only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub symmetric_key: Option<GroupRegistrationResult>,
    /// The device.
    pub registration_id: String,
    /// When it first registered, RFC 3339 with seven fractional digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_date_time_utc: Option<String>,
    /// Host name of the hub to connect to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub assigned_hub: Option<String>,
    /// The device's name at that hub.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device_id: Option<String>,
    /// Same as outside.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<RegistrationStatus>,
    /// How the assignment came about, like `initialAssignment`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub substatus: Option<String>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_code: Option<u32>,
    /// Why it failed, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_message: Option<String>,
    /// Last change.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_updated_date_time_utc: Option<String>,
    /// Version tag: base64 of the quoted etag.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    /// What a custom allocation webhook returned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payload: Option<serde_json::Value>,
    /// The certificate that the device asked for, and those above it: standard base64 of DER, the
    /// leaf first. In answers to the operation alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issued_certificate_chain: Option<Vec<String>>,
}

/// TPM part of a result.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TpmRegistrationResult {
    /// Standard base64 of an activation blob that wraps the hub key.
    pub authentication_key: String,
}

/// Group part of a result.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct GroupRegistrationResult {
    /// The enrollment group that matched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enrollment_group_id: Option<String>,
}

impl From<String> for RegistrationStatus {
    fn from(word: String) -> Self {
        match word.to_ascii_lowercase().as_str() {
            "unassigned" => Self::Unassigned,
            "assigning" => Self::Assigning,
            "assigned" => Self::Assigned,
            "failed" => Self::Failed,
            "disabled" => Self::Disabled,
            _ => Self::Other(word),
        }
    }
}

impl From<RegistrationStatus> for String {
    fn from(status: RegistrationStatus) -> Self {
        match status {
            RegistrationStatus::Unassigned => "unassigned".into(),
            RegistrationStatus::Assigning => "assigning".into(),
            RegistrationStatus::Assigned => "assigned".into(),
            RegistrationStatus::Failed => "failed".into(),
            RegistrationStatus::Disabled => "disabled".into(),
            RegistrationStatus::Other(word) => word,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_say_no_payload_is_understood() {
        for body in [
            "",
            " ",
            "\r\n",
            "{}",
            r#"{"payload":null}"#,
            r#"{"payload": null, "tpm": null}"#,
        ] {
            assert_eq!(
                DeviceRegistration::from_body(body.as_bytes()),
                Ok(DeviceRegistration::default()),
                "{body:?}"
            );
        }
    }

    #[test]
    fn bodies_of_the_sdks_are_read() {
        let python = br#"{"payload": null, "registrationId": "Dev"}"#;
        let read = DeviceRegistration::from_body(python).expect("Python's body");
        assert_eq!(
            (read.registration_id.as_deref(), read.payload),
            (Some("Dev"), None)
        );

        let java = br#"{"registrationId":"Dev","payload":"{\"a\":1}","csr":"MII="}"#;
        let read = DeviceRegistration::from_body(java).expect("Java's body");
        assert_eq!(read.payload, Some(serde_json::Value::from(r#"{"a":1}"#)));

        let go = br#"{"RegistrationId":"Dev","Payload":{"Tpm":1},"Tpm":null}"#;
        let read = DeviceRegistration::from_body(go).expect("as Go writes what has no tags");
        assert_eq!(read.registration_id.as_deref(), Some("Dev"));
        assert_eq!(read.payload, Some(serde_json::json!({"Tpm": 1})));

        let tpm =
            br#"{"registrationId":"Dev","tpm":{"endorsementKey":"AToA","storageRootKey":"ARoA"}}"#;
        let read = DeviceRegistration::from_body(tpm)
            .expect("a TPM's body")
            .tpm
            .expect("has keys");
        assert_eq!(
            (
                read.endorsement_key.as_str(),
                read.storage_root_key.as_deref()
            ),
            ("AToA", Some("ARoA"))
        );
    }

    #[test]
    fn broken_bodies_say_where() {
        for (body, part) in [
            (&b"{\"tpm\":"[..], "line 1"),
            (b"[]x", "line 1"),
            (b"{\"tpm\":{}}", "endorsementKey"),
            (b"\xff\xfe", "line 1"),
            (b"\"text\"", "struct DeviceRegistration"),
            (b"{\"payload\":1,\"Payload\":", "line 1"),
            (b"{\"modelId\":\"dtmi:a;1\"}", "unknown field `modelId`"),
            (
                b"{\"tpm\":{\"endorsementKey\":\"\",\"ek\":\"\"}}",
                "unknown field `ek`",
            ),
        ] {
            let error = DeviceRegistration::from_body(body)
                .expect_err("broken")
                .to_string();
            assert!(error.contains(part), "{error}");
        }
    }

    /// Captured from the service (Azure documentation, "Symmetric key attestation over HTTPS").
    #[test]
    fn the_captured_answer_is_read_and_written_back_unchanged() {
        let text = r#"{"operationId":"5.316aac5bdc130deb.b1e02da8-c3a0-4ff2-a121-7ea7a6b7f550","status":"assigned","registrationState":{"x509":{},"registrationId":"my-device","createdDateTimeUtc":"2022-08-31T22:02:50.5163352Z","assignedHub":"MyExampleHub.azure-devices.net","deviceId":"my-device","status":"assigned","substatus":"initialAssignment","lastUpdatedDateTimeUtc":"2022-08-31T22:02:50.7370676Z","etag":"IjY5MDAzNTUyLTAwMDAtMDMwMC0wMDAwLTYzMGZkYThhMDAwMCI="}}"#;
        let answer: RegistrationOperationStatus = serde_json::from_str(text).expect("capture");
        assert_eq!(answer.status, Some(RegistrationStatus::Assigned));
        assert_eq!(serde_json::to_string(&answer).expect("serialises"), text);
    }

    #[test]
    fn unknown_status_words_survive() {
        for word in ["assigning", "parked"] {
            let text = format!(r#"{{"operationId":"1","status":"{word}"}}"#);
            let answer: RegistrationOperationStatus = serde_json::from_str(&text).expect("reads");
            assert_eq!(serde_json::to_string(&answer).expect("writes"), text);
        }
    }
}
