//! Entries in the form of the service API (DPS REST API, "Individual Enrollment", "Enrollment Group").
//! Answers leave keys and certificates out; of certificates they tell what is in them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use fleetstorm_protocol::timestamp;
use serde_json::{Map, Value, json};

use super::certificate_info::info;
use super::compiled::{Group, GroupMechanism, Individual, IndividualMechanism, Settings};
use super::stamp::Stamp;
use crate::service::device_keys::KeyPair;

/// An individual enrollment.
pub(super) fn individual(id: &str, entry: &Individual) -> Value {
    let mut members = common(&entry.settings, entry.stamp);
    members.insert("registrationId".into(), id.into());
    if let Some(device_id) = &entry.device_id {
        members.insert("deviceId".into(), device_id.as_str().into());
    }
    let attestation = match &entry.proof {
        IndividualMechanism::Tpm { .. } => secret_of(&entry.proof),
        IndividualMechanism::SymmetricKey(_) => json!({"type": "symmetricKey"}),
        IndividualMechanism::Certificate { certificates } => json!({
            "type": "x509",
            "x509": {"clientCertificates": both(certificates.iter().map(|one| &*one.der))},
        }),
    };
    members.insert("attestation".into(), attestation);
    members.into()
}

/// A group.
pub(super) fn group(entry: &Group) -> Value {
    let mut members = common(&entry.settings, entry.stamp);
    members.insert("enrollmentGroupId".into(), entry.id.as_str().into());
    let attestation = match &entry.proof {
        GroupMechanism::SymmetricKey(_) => json!({"type": "symmetricKey"}),
        GroupMechanism::Certificates(_) | GroupMechanism::CaReferences(_) => {
            secret_of_group(&entry.proof)
        }
    };
    members.insert("attestation".into(), attestation);
    members.into()
}

/// The attestation mechanism with its keys.
pub(super) fn secret_of(proof: &IndividualMechanism) -> Value {
    match proof {
        IndividualMechanism::Tpm { endorsement_key } => json!({
            "type": "tpm",
            "tpm": {"endorsementKey": STANDARD.encode(endorsement_key)},
        }),
        IndividualMechanism::SymmetricKey(keys) => keyed(keys),
        IndividualMechanism::Certificate { certificates } => json!({
            "type": "x509",
            "x509": {"clientCertificates": both(certificates.iter().map(|one| &*one.der))},
        }),
    }
}

/// The same of a group.
pub(super) fn secret_of_group(proof: &GroupMechanism) -> Value {
    match proof {
        GroupMechanism::SymmetricKey(keys) => keyed(keys),
        GroupMechanism::CaReferences(names) => json!({
            "type": "x509",
            "x509": {"caReferences": names},
        }),
        GroupMechanism::Certificates(signers) => json!({
            "type": "x509",
            "x509": {"signingCertificates": both(signers.iter().map(|signer| signer.der()))},
        }),
    }
}

fn keyed(keys: &KeyPair) -> Value {
    json!({
        "type": "symmetricKey",
        "symmetricKey": {"primaryKey": keys.primary(), "secondaryKey": keys.secondary()},
    })
}

fn common(settings: &Settings, stamp: Stamp) -> Map<String, Value> {
    let written = serde_json::to_value(&settings.written);
    let Ok(Value::Object(mut members)) = written else {
        unreachable!("settings are an object of JSON");
    };
    members.insert("etag".into(), stamp.tag().into());
    members.insert(
        "createdDateTimeUtc".into(),
        timestamp::format(stamp.created).into(),
    );
    members.insert(
        "lastUpdatedDateTimeUtc".into(),
        timestamp::format(stamp.updated).into(),
    );
    members.into_iter().collect()
}

/// Primary and secondary.
fn both<'a>(ders: impl Iterator<Item = &'a [u8]>) -> Value {
    let named = ["primary", "secondary"].into_iter().zip(ders);
    let named = named.map(|(name, der)| (name.to_owned(), json!({"info": info(der)})));
    named.collect::<Map<_, _>>().into()
}
