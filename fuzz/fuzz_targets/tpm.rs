//! TPM structures that a peer sends: a TPM's public areas at the service, an activation blob at the device.
#![no_main]

use fleetstorm_protocol::tpm::{ActivationBlob, PublicArea, registration_id_of};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(area) = PublicArea::parse(bytes) {
        assert_eq!(area.as_tpm2b(), bytes);
        let _ = (area.name(), registration_id_of(&area));
    }
    let _ = ActivationBlob::parse(bytes);
});
