//! What swtpm and tpm2-tools made (`vectors/tpm2-tools.toml`), opened by this
//! crate: the part of `.ci/tpm-oracle` that needs no TPM.

use std::collections::BTreeMap;

use aws_lc_rs::rsa::{OaepPrivateDecryptingKey, PrivateDecryptingKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fleetstorm_protocol::tpm::credential::activate_credential;
use fleetstorm_protocol::tpm::duplication::import;
use fleetstorm_protocol::tpm::{PublicArea, endorsement_public, storage_root_public};
use serde::Deserialize;

/// Base64 by name.
type Values = BTreeMap<String, String>;

#[derive(Deserialize)]
struct Vectors {
    credential: Values,
    duplicate: Values,
    tpm: Values,
    #[serde(flatten)]
    keys: Values,
}

fn vectors() -> Vectors {
    toml::from_str(include_str!("../vectors/tpm2-tools.toml")).expect("well-formed vectors")
}

fn bytes(values: &Values, name: &str) -> Vec<u8> {
    STANDARD.decode(&values[name]).expect(name)
}

fn private_key(pkcs8: &[u8]) -> OaepPrivateDecryptingKey {
    let key = PrivateDecryptingKey::from_pkcs8(pkcs8).expect("PKCS#8");
    OaepPrivateDecryptingKey::new(key).expect("an RSA key")
}

#[test]
fn a_credential_of_tpm2_makecredential_opens() {
    let Vectors {
        credential, keys, ..
    } = vectors();
    let name = PublicArea::parse(&bytes(&keys, "storage_root_public"))
        .expect("our key")
        .name();
    let file = bytes(&credential, "file");
    // Eight bytes of header, then a TPM2B_ID_OBJECT: two bytes of size, TPM2B_DIGEST, TPM2B of 16 bytes.
    let (id_object, seed) = file[8..].split_at(2 + 34 + 18);
    let secret = activate_credential(
        &private_key(&bytes(&keys, "endorsement_key")),
        &name,
        id_object,
        seed,
    );
    assert_eq!(secret, Ok(bytes(&credential, "secret")));
}

#[test]
fn a_duplicate_of_tpm2_duplicate_is_imported_and_signs_as_the_original() {
    let Vectors {
        duplicate, keys, ..
    } = vectors();
    let identity = import(
        &private_key(&bytes(&keys, "storage_root_key")),
        &bytes(&duplicate, "inner_key").try_into().expect("16 bytes"),
        &bytes(&duplicate, "private"),
        &bytes(&duplicate, "seed"),
        &bytes(&duplicate, "public"),
    );
    let hmac = identity.expect("opens").sign(&bytes(&duplicate, "message"));
    assert_eq!(hmac.to_vec(), bytes(&duplicate, "hmac"));
}

#[test]
fn the_tpm_marshals_its_keys_and_computes_names_as_we_do() {
    let tpm = vectors().tpm;
    let endorsement = PublicArea::parse(&bytes(&tpm, "endorsement_public")).expect("tpm2_createek");
    assert_eq!(endorsement_public(endorsement.modulus()), endorsement);
    let storage_root =
        PublicArea::parse(&bytes(&tpm, "storage_root_public")).expect("tpm2_createprimary");
    assert_eq!(storage_root_public(storage_root.modulus()), storage_root);
    assert_eq!(
        storage_root.name().0.to_vec(),
        bytes(&tpm, "storage_root_name")
    );
}
