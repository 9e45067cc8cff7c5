use std::sync::LazyLock;

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::encoding::PublicKeyX509Der;
use aws_lc_rs::hmac;
use aws_lc_rs::rsa::{KeySize, OaepPrivateDecryptingKey, PrivateDecryptingKey};

use super::super::credential::Credential;
use super::super::structures::{Modulus, Name, endorsement_public, storage_root_public};
use super::*;

/// A TPM that holds real keys.
struct Tpm {
    endorsement_key: OaepPrivateDecryptingKey,
    storage_root_key: OaepPrivateDecryptingKey,
    endorsement_public: PublicArea,
    storage_root_public: PublicArea,
}

static TPM: LazyLock<Tpm> = LazyLock::new(Tpm::new);

impl Tpm {
    fn new() -> Self {
        let (endorsement_key, endorsement_modulus) = key_pair();
        let (storage_root_key, storage_root_modulus) = key_pair();
        Self {
            endorsement_key,
            storage_root_key,
            endorsement_public: endorsement_public(&endorsement_modulus),
            storage_root_public: storage_root_public(&storage_root_modulus),
        }
    }

    fn blob(&self, uri: &[u8]) -> Vec<u8> {
        make_activation_blob(
            &self.endorsement_public,
            &self.storage_root_public,
            &SECRETS,
            uri,
        )
        .expect("real keys")
    }

    fn activate(&self, blob: &[u8]) -> Result<IdentityKey, DecodeError> {
        activate(
            blob,
            &self.endorsement_key,
            &self.storage_root_key,
            &self.storage_root_public,
        )
    }
}

fn key_pair() -> (OaepPrivateDecryptingKey, Modulus) {
    let private = PrivateDecryptingKey::generate(KeySize::Rsa2048).expect("generates");
    let der: PublicKeyX509Der = private.public_key().as_der().expect("encodes");
    // SubjectPublicKeyInfo of RSA-2048 ends in the modulus and the five bytes of 65537.
    let der = der.as_ref();
    let modulus = der[der.len() - 261..der.len() - 5]
        .try_into()
        .expect("256 bytes");
    (
        OaepPrivateDecryptingKey::new(private).expect("an RSA key"),
        modulus,
    )
}

const SECRETS: ActivationSecrets = ActivationSecrets {
    identity_key: [1; 32],
    identity_seed: [2; 32],
    inner_key: [3; 16],
    credential_seed: [4; 32],
    outer_seed: [5; 32],
};

#[test]
fn the_activated_key_signs_as_the_service_expects() {
    let identity = TPM.activate(&TPM.blob(b"hub.local/dev")).expect("own blob");
    let key = hmac::Key::new(hmac::HMAC_SHA256, &SECRETS.identity_key);
    assert_eq!(
        identity.sign(b"message"),
        hmac::sign(&key, b"message").as_ref()
    );
}

#[test]
fn the_parts_have_the_sizes_that_the_sdks_read() {
    let blob = TPM.blob(b"hub.local/dev");
    let parts = ActivationBlob::parse(&blob).expect("own blob");
    let sizes = [
        parts.id_object,
        parts.credential_seed,
        parts.duplicate,
        parts.duplicate_seed,
        parts.identity_public,
        parts.uri,
    ]
    .map(<[u8]>::len);
    assert_eq!(sizes, [54, 258, 144, 258, 82, 15]);
    assert_eq!(blob.len(), 811);
}

#[test]
fn the_uri_comes_last_under_the_inner_key() {
    let blob = TPM.blob(b"hub.local/dev");
    let mut uri = blob[blob.len() - 13..].to_vec();
    envelope::decrypt(&SECRETS.inner_key, &mut uri);
    assert_eq!(uri, b"hub.local/dev");
    assert!(TPM.activate(&TPM.blob(b"")).is_ok(), "and may be empty");
    let long = make_activation_blob(
        &TPM.endorsement_public,
        &TPM.storage_root_public,
        &SECRETS,
        &[0; MAX_URI + 1],
    );
    assert!(long.is_err());
}

#[test]
fn a_blob_is_for_one_pair_of_keys() {
    let other = Tpm::new();
    let blob = TPM.blob(b"");
    assert!(other.activate(&blob).is_err(), "neither key");
    let ek = activate(
        &blob,
        &other.endorsement_key,
        &TPM.storage_root_key,
        &TPM.storage_root_public,
    );
    assert!(ek.is_err(), "another endorsement key");
    let srk = activate(
        &blob,
        &TPM.endorsement_key,
        &other.storage_root_key,
        &TPM.storage_root_public,
    );
    assert!(srk.is_err(), "another storage root key");
    let name = activate(
        &blob,
        &TPM.endorsement_key,
        &TPM.storage_root_key,
        &other.storage_root_public,
    );
    assert!(name.is_err(), "another name");
}

#[test]
fn a_flipped_byte_anywhere_before_the_uri_is_noticed() {
    let blob = TPM.blob(b"uri");
    let authenticated = blob.len() - 5;
    // Every byte of the short structures, some of the RSA ciphertexts.
    let positions = (0..authenticated)
        .filter(|at| !(60..310).contains(at) && !(460..710).contains(at) || at % 16 == 0);
    for at in positions {
        let mut broken = blob.clone();
        broken[at] ^= 1;
        assert!(TPM.activate(&broken).is_err(), "byte {at}");
    }
}

#[test]
fn every_truncation_is_refused_and_what_follows_is_ignored() {
    let blob = TPM.blob(b"uri");
    for cut in 0..blob.len() {
        assert!(ActivationBlob::parse(&blob[..cut]).is_err(), "cut at {cut}");
    }
    assert!(TPM.activate(&[&blob[..], b"more"].concat()).is_ok());
}

#[test]
fn truncated_structures_are_refused_one_by_one() {
    let blob = TPM.blob(b"");
    let parts = ActivationBlob::parse(&blob).expect("own blob");
    let name = TPM.storage_root_public.name();
    let open = |id_object: &[u8], seed: &[u8]| {
        activate_credential(&TPM.endorsement_key, &name, id_object, seed)
    };
    assert_eq!(
        open(parts.id_object, parts.credential_seed).as_deref(),
        Ok(&SECRETS.inner_key[..])
    );
    for cut in 0..parts.id_object.len() {
        assert!(
            open(&parts.id_object[..cut], parts.credential_seed).is_err(),
            "ID object cut at {cut}"
        );
    }
    for cut in (0..parts.credential_seed.len()).step_by(7) {
        assert!(
            open(parts.id_object, &parts.credential_seed[..cut]).is_err(),
            "seed cut at {cut}"
        );
    }
    let import = |private: &[u8], seed: &[u8], public: &[u8]| {
        import(
            &TPM.storage_root_key,
            &SECRETS.inner_key,
            private,
            seed,
            public,
        )
    };
    let (private, seed, public) = (parts.duplicate, parts.duplicate_seed, parts.identity_public);
    assert!(import(private, seed, public).is_ok());
    for cut in 0..private.len() {
        assert!(
            import(&private[..cut], seed, public).is_err(),
            "duplicate cut at {cut}"
        );
    }
    for cut in 0..public.len() {
        assert!(
            import(private, seed, &public[..cut]).is_err(),
            "public area cut at {cut}"
        );
    }
}

#[test]
fn an_inner_key_other_than_the_wrapped_one_is_noticed() {
    let blob = TPM.blob(b"");
    let parts = ActivationBlob::parse(&blob).expect("own blob");
    let other = [0; 16];
    let opened = import(
        &TPM.storage_root_key,
        &other,
        parts.duplicate,
        parts.duplicate_seed,
        parts.identity_public,
    );
    assert!(opened.is_err());
}

#[test]
fn credentials_carry_up_to_a_digest() {
    let name = Name([9; 34]);
    let make = |secret: &[u8]| make_credential(&TPM.endorsement_public, &name, secret, &[7; 32]);
    for secret in [&b""[..], b"x", &[1; 32]] {
        let Credential {
            id_object,
            encrypted_seed,
        } = make(secret).expect("short enough");
        let opened = activate_credential(&TPM.endorsement_key, &name, &id_object, &encrypted_seed);
        assert_eq!(opened.as_deref(), Ok(secret));
    }
    assert!(make(&[1; 33]).is_err());
}

#[test]
fn the_seeds_of_credential_and_duplicate_are_not_interchangeable() {
    let blob = TPM.blob(b"");
    let parts = ActivationBlob::parse(&blob).expect("own blob");
    let open = TPM
        .storage_root_key
        .oaep_decrypt(b"IDENTITY\0", &parts.duplicate_seed[2..]);
    assert!(open.is_err(), "the label differs");
    assert_eq!(
        TPM.storage_root_key
            .oaep_decrypt(b"DUPLICATE\0", &parts.duplicate_seed[2..])
            .as_deref(),
        Ok(&SECRETS.outer_seed[..])
    );
}

#[test]
fn a_modulus_that_is_no_key_is_refused() {
    let broken = storage_root_public(&[0; 256]);
    let made = make_activation_blob(&TPM.endorsement_public, &broken, &SECRETS, b"");
    assert!(made.is_err_and(|error| error.what == "RSA modulus"));
}
