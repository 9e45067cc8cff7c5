//! Documents as the real services read them, which is how Newtonsoft.Json reads: names of members and
//! words of enumerations in any case, numbers and truth values also as text, null as left out.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Number, Value};

use crate::DecodeError;

/// What a member holds, as far as reading it takes.
#[derive(Clone, Copy)]
enum Holds {
    /// Text, or more members.
    Anything,
    /// A number.
    Number,
    /// A truth value.
    Truth,
    /// One of these words.
    Word(&'static [&'static str]),
    /// What is the client's own: its names stay as they are.
    Own,
}

/// The words of `status` and `provisioningStatus`.
const STATUS: Holds = Holds::Word(&["enabled", "disabled"]);
/// The words of `allocationPolicy`.
const ALLOCATION: Holds = Holds::Word(&["hashed", "geoLatency", "static", "custom"]);
/// The words of `mode` and `importMode`.
const MODE: Holds = Holds::Word(&[
    "create",
    "createOrUpdate",
    "update",
    "updateIfMatchETag",
    "updateTwin",
    "updateTwinIfMatchETag",
    "delete",
    "deleteIfMatchETag",
]);
/// The words of `type`: of an attestation, and of an authentication.
const TYPE: Holds = Holds::Word(&[
    "none",
    "tpm",
    "x509",
    "symmetricKey",
    "sas",
    "selfSigned",
    "certificateAuthority",
]);

/// The members of every document that a service reads.
const MEMBERS: [(&str, Holds); 57] = [
    // Registrations and enrollments.
    ("registrationId", Holds::Anything),
    ("enrollmentGroupId", Holds::Anything),
    ("deviceId", Holds::Anything),
    ("attestation", Holds::Anything),
    ("type", TYPE),
    ("tpm", Holds::Anything),
    ("endorsementKey", Holds::Anything),
    ("storageRootKey", Holds::Anything),
    ("x509", Holds::Anything),
    ("clientCertificates", Holds::Anything),
    ("signingCertificates", Holds::Anything),
    ("caReferences", Holds::Anything),
    ("primary", Holds::Anything),
    ("secondary", Holds::Anything),
    ("certificate", Holds::Anything),
    ("symmetricKey", Holds::Anything),
    ("primaryKey", Holds::Anything),
    ("secondaryKey", Holds::Anything),
    ("payload", Holds::Own),
    ("csr", Holds::Anything),
    ("provisioningStatus", STATUS),
    ("allocationPolicy", ALLOCATION),
    ("customAllocationDefinition", Holds::Anything),
    ("webhookUrl", Holds::Anything),
    ("apiVersion", Holds::Anything),
    ("iotHubs", Holds::Anything),
    ("iotHubHostName", Holds::Anything),
    ("capabilities", Holds::Anything),
    ("iotEdge", Holds::Truth),
    ("optionalDeviceInformation", Holds::Own),
    ("credentialPolicyName", Holds::Anything),
    ("initialTwin", Holds::Anything),
    ("reprovisionPolicy", Holds::Anything),
    ("updateHubAssignment", Holds::Truth),
    ("migrateDeviceData", Holds::Truth),
    ("etag", Holds::Anything),
    // Queries and bulk operations.
    ("query", Holds::Anything),
    ("mode", MODE),
    ("enrollments", Holds::Anything),
    ("enrollmentGroups", Holds::Anything),
    // Identities of a hub, its twins and its methods.
    ("status", STATUS),
    ("statusReason", Holds::Anything),
    ("authentication", Holds::Anything),
    ("x509Thumbprint", Holds::Anything),
    ("primaryThumbprint", Holds::Anything),
    ("secondaryThumbprint", Holds::Anything),
    ("id", Holds::Anything),
    ("moduleId", Holds::Anything),
    ("importMode", MODE),
    ("twinETag", Holds::Anything),
    ("tags", Holds::Own),
    ("properties", Holds::Anything),
    ("desired", Holds::Own),
    ("reported", Holds::Own),
    ("methodName", Holds::Anything),
    ("responseTimeoutInSeconds", Holds::Number),
    ("connectTimeoutInSeconds", Holds::Number),
];

/// Reads a document.
///
/// # Errors
/// Where the JSON is broken; or which member has another shape.
pub fn read<Document: DeserializeOwned>(
    what: &'static str,
    body: &[u8],
) -> Result<Document, DecodeError> {
    let mut document = serde_json::from_slice(body)
        .map_err(|problem| DecodeError::new(what, problem.to_string()))?;
    in_our_words(&mut document);
    part(&document).map_err(|problem| DecodeError::new(what, problem))
}

/// What is of interest of a document.
///
/// # Errors
/// Which member has another shape.
pub fn part<'de, Part: Deserialize<'de>>(document: &'de Value) -> Result<Part, String> {
    // Whoever notes the place on the way takes longer: only where there is something to tell.
    Part::deserialize(document)
        .or_else(|_| serde_path_to_error::deserialize(document))
        .map_err(|problem| problem.to_string())
}

/// Writes members, words, numbers and truth values as our readers know them.
pub(crate) fn in_our_words(document: &mut Value) {
    let members = match document {
        Value::Object(members) => members,
        Value::Array(items) => return items.iter_mut().for_each(in_our_words),
        _ => return,
    };
    let mut otherwise = Vec::new();
    for (name, value) in members.iter_mut() {
        let mut known = MEMBERS.iter();
        let known = known.find(|(known, _)| known.eq_ignore_ascii_case(name));
        let Some((known, holds)) = known else {
            continue;
        };
        holds.read(value);
        if name != known || value.is_null() {
            otherwise.push((name.clone(), *known));
        }
    }
    for (name, known) in otherwise {
        if let Some(value) = members.remove(&name).filter(|value| !value.is_null()) {
            members.insert(known.to_owned(), value);
        }
    }
}

impl Holds {
    fn read(self, value: &mut Value) {
        let read = match (self, &mut *value) {
            (Self::Own, _) => None,
            (Self::Number, Value::String(text)) => {
                let number = text.trim().parse::<i64>().ok();
                number.map(|number| Value::Number(Number::from(number)))
            }
            (Self::Truth, Value::String(text)) => {
                let truths = [("true", true), ("false", false)];
                let mut truths = truths.into_iter();
                let truth = truths.find(|(word, _)| word.eq_ignore_ascii_case(text.trim()));
                truth.map(|(_, truth)| Value::Bool(truth))
            }
            (Self::Word(words), Value::String(text)) => {
                let mut words = words.iter();
                let word = words.find(|word| word.eq_ignore_ascii_case(text));
                word.map(|word| Value::from(*word))
            }
            (_, members) => {
                in_our_words(members);
                None
            }
        };
        if let Some(read) = read {
            *value = read;
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn documents_are_read_whatever_their_case_and_what_is_the_clients_stays() {
        let read: Value = read(
            "body",
            br#"{"RegistrationID": "Dev-A", "Attestation": {"Type": "SymmetricKey"},
                "ProvisioningStatus": "Disabled", "AllocationPolicy": "geolatency",
                "Capabilities": {"IotEdge": "True"},
                "InitialTwin": {"Tags": {"Type": "Tpm"}, "Properties": {"Desired": {"Status": "7"}}},
                "IotHubs": ["H"], "unknown": {"ID": 1}, "Payload": [{"Id": "3"}]}"#,
        )
        .expect("JSON");
        assert_eq!(
            read,
            json!({
                "registrationId": "Dev-A", "attestation": {"type": "symmetricKey"},
                "provisioningStatus": "disabled", "allocationPolicy": "geoLatency",
                "capabilities": {"iotEdge": true},
                "initialTwin": {"tags": {"Type": "Tpm"}, "properties": {"desired": {"Status": "7"}}},
                "iotHubs": ["H"], "unknown": {"ID": 1}, "payload": [{"Id": "3"}],
            })
        );
    }

    #[test]
    fn mistakes_are_named_by_their_place() {
        #[derive(Debug, Deserialize)]
        struct Document {
            #[expect(dead_code, reason = "it is never read")]
            attestation: std::collections::BTreeMap<String, String>,
        }
        for (body, problem) in [
            (
                &b"{"[..],
                "body: EOF while parsing an object at line 1 column 1",
            ),
            (b"{}", "body: missing field `attestation`"),
            (
                br#"{"Attestation": {"Type": 7}}"#,
                "body: attestation.type: invalid type: integer `7`, expected a string",
            ),
        ] {
            let read = read::<Document>("body", body).expect_err(problem);
            assert_eq!(read.to_string(), problem);
        }
    }

    #[test]
    fn numbers_and_truth_values_may_be_text_and_what_is_none_stays_text() {
        let read: Value = read(
            "body",
            br#"{"responseTimeoutInSeconds": "30", "ConnectTimeoutInSeconds": " 5 ",
                "iotEdge": "yes", "updateHubAssignment": "FALSE", "migrateDeviceData": null,
                "methodName": "30", "Query": "SELECT *", "ImportMode": "UpdateIfMatchEtag"}"#,
        )
        .expect("JSON");
        assert_eq!(
            read,
            json!({
                "responseTimeoutInSeconds": 30, "connectTimeoutInSeconds": 5, "iotEdge": "yes",
                "updateHubAssignment": false, "methodName": "30",
                "query": "SELECT *", "importMode": "updateIfMatchETag",
            })
        );
    }

    #[test]
    fn no_member_is_there_twice() {
        for (place, (name, _)) in MEMBERS.iter().enumerate() {
            let mut before = MEMBERS[..place].iter();
            assert!(
                !before.any(|(other, _)| other.eq_ignore_ascii_case(name)),
                "{name}"
            );
        }
    }
}
