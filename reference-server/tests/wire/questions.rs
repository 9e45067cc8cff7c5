//! The questions, and what each must be answered with.

use fleetstorm_protocol::http::MAX_BODY;
use fleetstorm_protocol::sas::SasToken;
use fleetstorm_protocol::tpm::IdentityKey;
use serde_json::json;

use Expected::{Accepted, Disabled, Refused};

use crate::certificates::{Authority, Validity, self_signed, without_intermediate};
use crate::dialect::{Ask, Caller};
use crate::instance::{ID_SCOPE, Instance, caller, stranger};

pub mod symmetric_keys;

/// One question and what it must be answered with.
pub struct Row {
    /// In words.
    pub question: &'static str,
    /// Who asks.
    pub caller: Caller,
    /// What it asks.
    pub ask: Ask,
    /// What it must hear.
    pub expected: Expected,
}

/// A kind of answer.
pub enum Expected {
    /// 202, and `assigning`.
    Accepted,
    /// 200, and `disabled`.
    Disabled,
    /// The documented error body with this code.
    Refused(u32),
}
/// The shortest register.
pub fn register() -> Ask {
    Ask::Register(b"{}".to_vec())
}

/// Every question.
pub fn rows(instance: &Instance) -> Vec<Row> {
    let row = |question, caller, ask, expected| Row {
        question,
        caller,
        ask,
        expected,
    };
    let asks = |question, caller, expected| row(question, caller, register(), expected);
    let registered = instance.pump("pump-1");
    let pump = || registered.clone();
    let valve = || caller("valve-1", &instance.valve);
    let with_body = |body: &[u8]| Ask::Register(body.to_vec());
    let imposter = self_signed("valve-1", Validity::Current);
    // Same names as the enrolled authority, other keys.
    let forger = Authority::new("pumps");
    let expired = instance.pumps.device("pump-2", Validity::Past);
    let leaf_alone = without_intermediate(&instance.pumps.device("pump-3", Validity::Current));
    let retired = instance.retired.device("retired-1", Validity::Current);
    let mut rows = vec![
        asks(
            "a good device of a group, through its intermediate",
            pump(),
            Accepted,
        ),
        asks("a good device of its own enrollment", valve(), Accepted),
        row(
            "a body with the device's own id",
            pump(),
            with_body(br#"{"registrationId":"PUMP-1"}"#),
            Accepted,
        ),
        row(
            "a body with a member that there is not",
            pump(),
            with_body(br#"{"registrationId":"pump-1","modelId":"dtmi:a;1"}"#),
            Refused(400_004),
        ),
        row(
            "a body whose members are written otherwise",
            pump(),
            with_body(br#"{"RegistrationId":"pump-1","PAYLOAD":null}"#),
            Accepted,
        ),
        asks(
            "an api-version that is none",
            Caller {
                api_version: "garbage",
                ..pump()
            },
            Refused(400_004),
        ),
        asks(
            "an api-version that nobody has published",
            Caller {
                api_version: "2099-01-01",
                ..pump()
            },
            Refused(400_004),
        ),
        row(
            "an operation, in an api-version that nobody has published",
            Caller {
                api_version: "2099-01-01",
                ..pump()
            },
            Ask::OperationStatus("5.0.0".into()),
            Refused(400_004),
        ),
        asks(
            "a preview of an api-version",
            Caller {
                api_version: "2026-11-15-preview",
                ..pump()
            },
            Accepted,
        ),
        row("an empty body", pump(), with_body(b""), Accepted),
        row("a blank body", pump(), with_body(b" "), Accepted),
        row(
            "a body with no payload",
            pump(),
            with_body(br#"{"payload":null}"#),
            Accepted,
        ),
        row(
            "a body with another device's id",
            pump(),
            with_body(br#"{"registrationId":"pump-9"}"#),
            Refused(400_004),
        ),
        row(
            "broken JSON",
            pump(),
            with_body(b"{\"payload\":"),
            Refused(400_004),
        ),
        row(
            "JSON that is no object",
            pump(),
            with_body(b"7"),
            Refused(400_004),
        ),
        row(
            "no UTF-8",
            pump(),
            with_body(b"{\"payload\":\"\xff\"}"),
            Refused(400_004),
        ),
        row(
            "JSON deeper than anyone means",
            pump(),
            with_body(&[b'['; 50_000]),
            Refused(400_004),
        ),
        row(
            "the longest body",
            pump(),
            with_body(&padded(MAX_BODY)),
            Accepted,
        ),
        row(
            "an oversize body",
            pump(),
            with_body(&padded(MAX_BODY + 1)),
            Refused(413_000),
        ),
        asks("nothing to show", stranger("pump-1"), Refused(401_000)),
        asks(
            "nothing to show, for its own enrollment",
            stranger("valve-1"),
            Refused(401_000),
        ),
        asks(
            "a token that is none",
            Caller {
                sas: Some("nonsense".into()),
                ..stranger("valve-1")
            },
            Refused(401_000),
        ),
        asks(
            "a token where a certificate is due",
            Caller {
                sas: Some(token("valve-1", 7)),
                ..stranger("valve-1")
            },
            Refused(401_000),
        ),
        asks(
            "another certificate than the enrolled one",
            caller("valve-1", &imposter),
            Refused(401_002),
        ),
        asks(
            "a certificate that no group signed",
            caller("nobody", &self_signed("nobody", Validity::Current)),
            Refused(401_002),
        ),
        asks(
            "a certificate of a forger",
            caller("pump-1", &forger.device("pump-1", Validity::Current)),
            Refused(401_002),
        ),
        asks(
            "a certificate in another's name",
            caller(
                "pump-9",
                &instance.pumps.device("pump-1", Validity::Current),
            ),
            Refused(401_002),
        ),
        asks(
            "an enrolled certificate in another's name",
            caller("valve-1", &instance.disabled_valve),
            Refused(401_002),
        ),
        asks(
            "an expired certificate of a group",
            caller("pump-2", &expired),
            Refused(401_002),
        ),
        asks(
            "an expired certificate, though enrolled",
            caller("valve-2", &instance.old_valve),
            Refused(401_002),
        ),
        asks(
            "a chain without its intermediate",
            caller("pump-3", &leaf_alone),
            Refused(401_002),
        ),
        asks(
            "a device of a disabled group",
            caller("retired-1", &retired),
            Disabled,
        ),
        asks(
            "a device whose enrollment is disabled",
            caller("valve-3", &instance.disabled_valve),
            Disabled,
        ),
        asks(
            "an unknown id scope",
            Caller {
                id_scope: "0ne0FFFFFFF".into(),
                ..pump()
            },
            Refused(404_000),
        ),
        row(
            "an operation that never was",
            pump(),
            Ask::OperationStatus("5.0.0".into()),
            Refused(404_203),
        ),
        row(
            "an operation of a device that never registered",
            stranger("pump-8"),
            Ask::OperationStatus("5.0.0".into()),
            Refused(404_203),
        ),
        row(
            "an operation, by somebody else",
            caller("pump-1", &imposter),
            Ask::OperationStatus("5.0.0".into()),
            Refused(401_002),
        ),
        row(
            "a TPM that nobody enrolled",
            stranger("vault-9"),
            with_body(&tpm_body(instance)),
            Refused(404_201),
        ),
        row(
            "a TPM's enrollment without a TPM",
            stranger("vault-1"),
            register(),
            Refused(400_004),
        ),
    ];
    rows.extend(symmetric_keys::rows(instance));
    rows
}

/// A JSON body of exactly `length` bytes.
fn padded(length: usize) -> Vec<u8> {
    let mut body = br#"{"payload":""}"#.to_vec();
    let at = body.len() - 2;
    body.splice(at..at, std::iter::repeat_n(b'x', length - body.len()));
    body
}

/// A register body that presents the enrolled TPM.
pub fn tpm_body(instance: &Instance) -> Vec<u8> {
    json!({"tpm": instance.tpm.presented()})
        .to_string()
        .into_bytes()
}

/// A SAS token signed with a key of one repeated byte.
pub fn token(registration_id: &str, key: u8) -> String {
    sas(registration_id, &IdentityKey::from_bytes([key; 32]))
}

/// A SAS token for one of the instance's devices.
pub fn sas(registration_id: &str, key: &IdentityKey) -> String {
    signed_until(registration_id, i64::from(u32::MAX), |text| key.sign(text))
}

/// A SAS token that holds until `expiry` (Unix seconds).
pub fn signed_until(
    registration_id: &str,
    expiry: i64,
    sign: impl FnOnce(&[u8]) -> [u8; 32],
) -> String {
    let resource = format!("{ID_SCOPE}/registrations/{registration_id}");
    SasToken::format(&resource, expiry, Some("registration"), sign)
}
