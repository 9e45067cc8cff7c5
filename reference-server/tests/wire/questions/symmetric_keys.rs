//! What devices with symmetric keys ask.

use fleetstorm_protocol::symmetric_key::SymmetricKey;

use super::{Expected, Row, register, signed_until};
use crate::dialect::{Ask, Caller};
use crate::instance::{Instance, caller, stranger};
use Expected::{Accepted, Disabled, Refused};

/// Every question.
pub fn rows(instance: &Instance) -> Vec<Row> {
    let shows = |id: &str, key: &SymmetricKey| keyed(id, id, key, FAR);
    let asks = |question, caller, expected| Row {
        question,
        caller,
        ask: register(),
        expected,
    };
    let [meters, lamps, old_meters] = [&instance.meters, &instance.lamps, &instance.retired_meters];
    let locks = &instance.locks;
    let stranger_key = SymmetricKey::from_bytes([99; 32]).expect("a key");
    let pump = instance.pump("pump-1");
    vec![
        asks(
            "a key derived from the group's primary",
            shows("meter-1", &meters[0].derive("meter-1")),
            Accepted,
        ),
        asks(
            "a key derived from the group's secondary",
            shows("meter-2", &meters[1].derive("meter-2")),
            Accepted,
        ),
        asks(
            "a key derived from a later group's",
            shows("lamp-1", &lamps[1].derive("lamp-1")),
            Accepted,
        ),
        asks(
            "a key derived from an id in mixed case",
            shows("Meter-3", &meters[0].derive("Meter-3")),
            Accepted,
        ),
        asks(
            "an id in mixed case, its key derived from lower case",
            shows("Meter-4", &meters[0].derive("meter-4")),
            Accepted,
        ),
        asks(
            "a token for the resource in lower case",
            keyed("Meter-5", "meter-5", &meters[0].derive("meter-5"), FAR),
            Accepted,
        ),
        asks(
            "an id in lower case, its key derived from mixed case",
            shows("meter-6", &meters[0].derive("Meter-6")),
            Refused(401_000),
        ),
        asks(
            "the group's key itself",
            shows("meter-1", &meters[0]),
            Refused(401_000),
        ),
        asks(
            "another device's derived key",
            shows("meter-1", &meters[0].derive("meter-2")),
            Refused(401_000),
        ),
        asks(
            "another device's token",
            keyed("meter-1", "meter-2", &meters[0].derive("meter-2"), FAR),
            Refused(401_000),
        ),
        asks(
            "an expired token of a derived key",
            keyed("meter-1", "meter-1", &meters[0].derive("meter-1"), PAST),
            Refused(401_000),
        ),
        asks(
            "a key that no group derives",
            shows("meter-1", &stranger_key),
            Refused(401_000),
        ),
        asks(
            "a key of a disabled group",
            shows("old-1", &old_meters[0].derive("old-1")),
            Disabled,
        ),
        asks(
            "the primary key of its own enrollment",
            shows("lock-1", &locks[0]),
            Accepted,
        ),
        asks(
            "the secondary key of its own enrollment",
            shows("LOCK-1", &locks[1]),
            Accepted,
        ),
        asks(
            "a wrong key for its own enrollment",
            shows("lock-1", &stranger_key),
            Refused(401_000),
        ),
        asks(
            "a group's key, though enrolled by itself",
            shows("lock-1", &meters[0].derive("lock-1")),
            Refused(401_000),
        ),
        asks(
            "a certificate, though enrolled with a key",
            Caller {
                registration_id: "lock-1".into(),
                ..caller("lock-1", &instance.valve)
            },
            Refused(401_000),
        ),
        asks("no key to show", stranger("lock-1"), Refused(401_000)),
        asks(
            "a token that can't be read, for a key",
            Caller {
                sas: Some("SharedAccessSignature sig=".into()),
                ..stranger("lock-1")
            },
            Refused(401_000),
        ),
        asks(
            "an expired token of its own key",
            keyed("lock-1", "lock-1", &locks[0], PAST),
            Refused(401_000),
        ),
        asks(
            "a device whose enrollment by key is disabled",
            shows("lock-2", &locks[0]),
            Disabled,
        ),
        asks(
            "keys that the service made up",
            shows("lock-3", &stranger_key),
            Refused(401_000),
        ),
        asks(
            "a good certificate beside a token of nobody",
            Caller {
                sas: shows("pump-1", &stranger_key).sas,
                ..pump
            },
            Accepted,
        ),
        Row {
            question: "an operation, by somebody else's key",
            caller: shows("meter-1", &stranger_key),
            ask: Ask::OperationStatus("5.0.0".into()),
            expected: Refused(401_000),
        },
    ]
}

/// Unix seconds.
const FAR: i64 = u32::MAX as i64;
const PAST: i64 = 1_000_000_000;

/// A device named `id` that shows a token for `resource`, signed with `key`.
pub fn keyed(id: &str, resource: &str, key: &SymmetricKey, expiry: i64) -> Caller {
    Caller {
        sas: Some(signed_until(resource, expiry, |text| key.sign(text))),
        ..stranger(id)
    }
}
