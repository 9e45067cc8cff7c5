//! Shared access signatures, and the keys that sign them.
#![no_main]

use fleetstorm_protocol::sas::SasToken;
use fleetstorm_protocol::symmetric_key::SymmetricKey;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let _ = SasToken::parse(text);
    let _ = SymmetricKey::parse(text);
});
