use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::*;

/// An endorsement key and the registration id that the C SDK's
/// `tpm_device_provision` printed for it (github.com/Azure/azure-iot-sdk-c issue 2286).
const CAPTURED_KEY: &str = "AToAAQALAAMAsgAgg3GXZ0SEs/gakMyNRqXXJP1S124GUgtk8qHaGzMUaaoABgCAAEMAEAgAAAAAAAEAtKEADl/sNRgmYAjP6gXm\
    bccRaJoTnVixisUaek0OwAzFGN70xt9ZOYp6fhIwfcft3fdVKOrKpXYcTe72CGNkGJGlQz5ti9n2pQ0uJhcX8aefh4Onm7lVlUCQAVp1K0r6zI8\
    vkEXWsBIvwvxk0eMJbFaq146kbTkJHIGczb89RkFH2TX+CgXeZOG9oXQzUNwktmTUacspamune5Wywc/ce8HsDFYchyUHogFhrZ/LPnzyTDXO8s\
    SC5z5dvsUBtUME3iRYDyKgZOfBtmRMqQewD+4iH+ZEJjtsyJiWR8hFhyKROnOuqXfNFwjd5IcNU4wtlKO0cLyXmTOfQK6Da1pr5Q==";
const CAPTURED_ID: &str = "y5wivfciikcievvnsbpkhzcahwm4chuzx6v4hnqnlqfs3fjf6rxa";

/// Any odd number of 2048 bits.
fn modulus() -> Modulus {
    let mut modulus: Modulus = std::array::from_fn(|i| i as u8);
    modulus[0] = 0xc1;
    modulus
}

#[test]
fn a_captured_endorsement_key_is_marshalled_byte_for_byte() {
    let captured = STANDARD.decode(CAPTURED_KEY).expect("base64");
    let read = PublicArea::parse(&captured).expect("capture");
    assert_eq!(read.as_tpm2b(), captured);
    assert_eq!(endorsement_public(read.modulus()), read);
}

#[test]
fn the_registration_id_is_the_one_the_sdk_printed() {
    let captured =
        PublicArea::parse(&STANDARD.decode(CAPTURED_KEY).expect("base64")).expect("capture");
    assert_eq!(registration_id_of(&captured), CAPTURED_ID);
}

#[test]
fn templates_have_the_lengths_and_beginnings_of_the_profiles() {
    let endorsement = endorsement_public(&modulus());
    let storage_root = storage_root_public(&modulus());
    assert_eq!(
        (endorsement.as_tpm2b().len(), storage_root.as_tpm2b().len()),
        (316, 284)
    );
    assert!(
        STANDARD
            .encode(endorsement.as_tpm2b())
            .starts_with("AToAAQALAAMAsgAg")
    );
    assert!(
        STANDARD
            .encode(storage_root.as_tpm2b())
            .starts_with("ARoAAQALAAMEcgAA")
    );
    for public in [endorsement, storage_root] {
        assert_eq!(PublicArea::parse(public.as_tpm2b()), Ok(public));
    }
}

/// TCG part 3 §23.4: PolicySecret extends H(0 || TPM_CC_PolicySecret || name of the hierarchy) by an empty policyRef.
#[test]
fn the_endorsement_policy_is_the_digest_of_its_definition() {
    let extended = [
        &[0; 32][..],
        &0x0000_0151u32.to_be_bytes(),
        &0x4000_000Bu32.to_be_bytes(),
    ]
    .concat();
    let once = digest::digest(&digest::SHA256, &extended);
    let twice = digest::digest(&digest::SHA256, once.as_ref());
    assert_eq!(twice.as_ref(), ENDORSEMENT_POLICY);
}

#[test]
fn the_name_leaves_the_size_prefix_out() {
    let public = storage_root_public(&modulus());
    let name = public.name().0;
    assert_eq!(name[..2], [0x00, 0x0b]);
    assert_eq!(
        name[2..],
        *digest::digest(&digest::SHA256, &public.as_tpm2b()[2..]).as_ref()
    );
}

#[test]
fn every_truncation_is_refused() {
    for public in [
        endorsement_public(&modulus()),
        storage_root_public(&modulus()),
    ] {
        let bytes = public.as_tpm2b();
        for cut in 0..bytes.len() {
            assert!(PublicArea::parse(&bytes[..cut]).is_err(), "cut at {cut}");
            // The same with a size prefix that agrees with the cut.
            if let Some(contents) = bytes.get(2..cut) {
                assert!(
                    PublicArea::parse(&tpm2b(contents)).is_err(),
                    "cut at {cut} and resized"
                );
            }
        }
        assert!(
            PublicArea::parse(&[bytes, &[0]].concat()).is_err(),
            "a byte too many"
        );
    }
}

#[test]
fn other_keys_are_refused_by_the_field_that_differs() {
    // Offsets into the marshalled storage root key.
    let cases: [(usize, &[u8], &str); 11] = [
        (2, &[0x00, 0x23], "type"),
        (4, &[0x00, 0x04], "nameAlg"),
        (6, &[0x00, 0x04, 0x04, 0x72], "objectAttributes"),
        (12, &[0x00, 0x10], "symmetric"),
        (14, &[0x01, 0x00], "symmetric keyBits"),
        (16, &[0x00, 0x42], "symmetric mode"),
        (18, &[0x00, 0x14], "scheme"),
        (20, &[0x0c, 0x00], "keyBits"),
        (22, &[0, 0, 0, 3], "exponent"),
        (28, &[0x7f], "modulus"),
        (283, &[0xfe], "modulus"),
    ];
    for (at, replacement, field) in cases {
        let mut bytes = storage_root_public(&modulus()).as_tpm2b().to_vec();
        bytes[at..at + replacement.len()].copy_from_slice(replacement);
        let error = PublicArea::parse(&bytes).expect_err(field).to_string();
        assert!(error.contains(field), "{field}: {error}");
    }
}

#[test]
fn an_exponent_of_65537_may_be_spelled_out() {
    let mut bytes = storage_root_public(&modulus()).as_tpm2b().to_vec();
    bytes[22..26].copy_from_slice(&[0, 1, 0, 1]);
    assert!(PublicArea::parse(&bytes).is_ok());
}
