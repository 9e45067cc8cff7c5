//! The envelope that credentials and duplicates share: encrypted, then
//! authenticated together with the name of an object, under keys derived from
//! one seed (TCG part 1 §22 "Protected storage", §24 "Credential protection").

use aws_lc_rs::cipher::{
    AES_128, DecryptingKey, DecryptionContext, EncryptingKey, EncryptionContext, UnboundCipherKey,
};
use aws_lc_rs::hmac;
use aws_lc_rs::iv::FixedLength;

use super::kdf::kdfa;
use super::marshal::{Reader, tpm2b};
use super::structures::Name;
use crate::DecodeError;

/// Every key here encrypts one message, so that the TPM's IV is zero.
const IV: [u8; 16] = [0; 16];

/// TPM2B_DIGEST of the integrity HMAC, then the ciphertext.
pub(super) fn seal(seed: &[u8; 32], name: &Name, plaintext: &[u8]) -> Vec<u8> {
    let mut ciphertext = plaintext.to_vec();
    encrypt(&storage_key(seed, name), &mut ciphertext);
    let integrity = hmac::sign(&integrity_key(seed), &[&ciphertext[..], &name.0].concat());
    [tpm2b(integrity.as_ref()), ciphertext].concat()
}

/// Undoes [`seal`]; `what` names the structure in errors.
pub(super) fn open(
    what: &'static str,
    seed: &[u8; 32],
    name: &Name,
    envelope: &[u8],
) -> Result<Vec<u8>, DecodeError> {
    let mut reader = Reader::new(what, envelope);
    let integrity = reader.sized("integrity")?;
    let ciphertext = reader.rest();
    hmac::verify(
        &integrity_key(seed),
        &[ciphertext, &name.0].concat(),
        integrity,
    )
    .map_err(|_| DecodeError::new(what, "fails its integrity check"))?;
    let mut plaintext = ciphertext.to_vec();
    decrypt(&storage_key(seed, name), &mut plaintext);
    Ok(plaintext)
}

/// AES-128-CFB in place.
pub(super) fn encrypt(key: &[u8; 16], data: &mut [u8]) {
    let context = EncryptionContext::Iv128(FixedLength::from(IV));
    EncryptingKey::cfb128(unbound(key))
        .and_then(|key| key.less_safe_encrypt(data, context))
        .expect("CFB takes any data under a 16-byte key");
}

/// AES-128-CFB in place.
pub(super) fn decrypt(key: &[u8; 16], data: &mut [u8]) {
    let context = DecryptionContext::Iv128(FixedLength::from(IV));
    DecryptingKey::cfb128(unbound(key))
        .and_then(|key| key.decrypt(data, context).map(|_| ()))
        .expect("CFB takes any data under a 16-byte key");
}

fn unbound(key: &[u8; 16]) -> UnboundCipherKey {
    UnboundCipherKey::new(&AES_128, key).expect("a 16-byte key")
}

fn storage_key(seed: &[u8; 32], name: &Name) -> [u8; 16] {
    kdfa(seed, "STORAGE", &name.0)
}

fn integrity_key(seed: &[u8; 32]) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, &kdfa::<32>(seed, "INTEGRITY", &[]))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: Name = Name([7; 34]);

    #[test]
    fn an_envelope_opens_with_its_seed_and_name_alone() {
        let sealed = seal(&[1; 32], &NAME, b"inside");
        assert_eq!(
            open("sample", &[1; 32], &NAME, &sealed).as_deref(),
            Ok(&b"inside"[..])
        );
        assert!(open("sample", &[2; 32], &NAME, &sealed).is_err());
        assert!(open("sample", &[1; 32], &Name([8; 34]), &sealed).is_err());
    }

    #[test]
    fn every_flipped_byte_and_every_truncation_is_noticed() {
        let sealed = seal(&[1; 32], &NAME, b"inside");
        for at in 0..sealed.len() {
            let mut broken = sealed.clone();
            broken[at] ^= 0x40;
            assert!(
                open("sample", &[1; 32], &NAME, &broken).is_err(),
                "flipped {at}"
            );
            assert!(
                open("sample", &[1; 32], &NAME, &sealed[..at]).is_err(),
                "cut at {at}"
            );
        }
    }

    #[test]
    fn cfb_with_an_empty_message_is_nothing() {
        let mut nothing = [];
        encrypt(&[9; 16], &mut nothing);
        decrypt(&[9; 16], &mut nothing);
    }

    /// Computed with `openssl enc -aes-128-cfb -nosalt -iv 0`, key 00 .. 0f.
    #[test]
    fn cfb_gives_the_independently_computed_ciphertext() {
        let key = std::array::from_fn(|i| i as u8);
        let mut data = *b"twenty bytes of text";
        encrypt(&key, &mut data);
        assert_eq!(
            data_encoding::HEXLOWER.encode(&data),
            "b2d65e59f3f67be0163be41181a7be59930595f8"
        );
        decrypt(&key, &mut data);
        assert_eq!(&data, b"twenty bytes of text");
    }
}
