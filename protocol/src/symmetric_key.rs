//! Symmetric keys: a secret that device and service share, and a group's keys from which
//! those of its devices derive (DPS documentation, "Symmetric key attestation").

use std::fmt;

use aws_lc_rs::{constant_time, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::DecodeError;

/// Shortest and longest key, bytes.
const LENGTHS: std::ops::RangeInclusive<usize> = 16..=64;

/// A secret for HMAC-SHA256. Written as standard base64, compared in constant time.
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SymmetricKey(Box<[u8]>);

impl SymmetricKey {
    /// Takes a key as it is.
    ///
    /// # Errors
    /// It has fewer than 16 or more than 64 bytes.
    pub fn from_bytes(key: impl Into<Box<[u8]>>) -> Result<Self, DecodeError> {
        let key = key.into();
        if LENGTHS.contains(&key.len()) {
            return Ok(Self(key));
        }
        Err(DecodeError::new(
            "symmetric key",
            format!("has {} bytes, from 16 to 64 are allowed", key.len()),
        ))
    }

    /// Reads standard base64. Messages never repeat the text.
    ///
    /// # Errors
    /// Not base64, or as [`SymmetricKey::from_bytes`].
    pub fn parse(base64: &str) -> Result<Self, DecodeError> {
        let key = STANDARD
            .decode(base64)
            .map_err(|_| DecodeError::new("symmetric key", "is not base64"))?;
        Self::from_bytes(key)
    }

    /// A new key; `fill` gives random bytes. DPS makes keys of 64 bytes, IoT Hub of 32.
    pub fn generate<const BYTES: usize>(fill: impl FnOnce(&mut [u8])) -> Self {
        const { assert!(*LENGTHS.start() <= BYTES && BYTES <= *LENGTHS.end()) };
        let mut key = [0; BYTES];
        fill(&mut key);
        Self(key.into())
    }

    /// The key of one device below this key of a group. The id counts as it is written:
    /// devices and service must agree on its case.
    #[must_use]
    pub fn derive(&self, registration_id: &str) -> Self {
        Self(self.sign(registration_id.as_bytes()).into())
    }

    /// HMAC-SHA256.
    pub fn sign(&self, data: &[u8]) -> [u8; 32] {
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &self.0), data);
        tag.as_ref().try_into().expect("SHA-256 has 32 bytes")
    }

    /// The secret.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Says nothing of the key.
impl fmt::Debug for SymmetricKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SymmetricKey").finish_non_exhaustive()
    }
}

impl PartialEq for SymmetricKey {
    fn eq(&self, other: &Self) -> bool {
        constant_time::verify_slices_are_equal(&self.0, &other.0).is_ok()
    }
}

impl Eq for SymmetricKey {}

impl TryFrom<String> for SymmetricKey {
    type Error = DecodeError;

    fn try_from(base64: String) -> Result<Self, DecodeError> {
        Self::parse(&base64)
    }
}

impl From<SymmetricKey> for String {
    fn from(key: SymmetricKey) -> Self {
        STANDARD.encode(key.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first from the documentation, "Symmetric key attestation: group enrollments"; the
    /// others computed with OpenSSL under the key of the bytes 00 to 3f.
    #[test]
    fn the_documented_device_key_derives() {
        let counted: Box<[u8]> = (0..64).collect();
        let counted = String::from(SymmetricKey::from_bytes(counted).expect("64 bytes"));
        let documented = "8isrFI1sGsIlvvFSSFRiMfCNzv21fjbE/+ah/lSh3lF8e2YG1Te7w1KpZhJFFXJrqYKi9yegxkqIChbqOS9Egw==";
        let long_id = "sn-007-888-abc-mac-a1-b2-c3-d4-e5-f6";
        for (group, id, device) in [
            (
                documented,
                long_id,
                "Jsm0lyGpjaVYVP2g3FnmnmG9dI/9qU24wNoykUmermc=",
            ),
            (
                &counted,
                long_id,
                "H49tqPHTlla5LkNA3pLy6NhQsAJ1mlIoQhoIwGmv15I=",
            ),
            (
                &counted,
                "device-0001",
                "+1fi9ZFGE1LjGrIgob/lXJUzCZtw09BomVTmTNQ31c8=",
            ),
        ] {
            let derived = SymmetricKey::parse(group).expect("a key").derive(id);
            assert_eq!(String::from(derived), device, "{id}");
        }
    }

    #[test]
    fn only_keys_of_16_to_64_bytes_are_keys() {
        for length in [16, 17, 32, 64] {
            assert!(
                SymmetricKey::from_bytes(vec![7; length]).is_ok(),
                "{length}"
            );
        }
        for length in [0, 15, 65, 1000] {
            assert!(
                SymmetricKey::from_bytes(vec![7; length]).is_err(),
                "{length}"
            );
        }
    }

    #[test]
    fn nothing_tells_a_key() {
        let secret = "c2VjcmV0IGtleSBvZiBhIGRldmljZQ==";
        let key = SymmetricKey::parse(secret).expect("a key");
        assert_eq!(format!("{key:?}"), "SymmetricKey { .. }");
        for text in ["c2VjcmV0", "c2VjcmV0IGtleSBvZiBhIGRldmljZQ", "s€cret!"] {
            let problem = SymmetricKey::parse(text).expect_err(text).to_string();
            assert!(!problem.contains(text), "{problem}");
        }
    }

    #[test]
    fn keys_compare_by_every_byte() {
        let key = |last: u8| SymmetricKey::from_bytes([[1; 31].as_slice(), &[last]].concat());
        assert_eq!(key(1), key(1));
        assert_ne!(key(1), key(2));
        assert_ne!(key(1), SymmetricKey::from_bytes([1; 33]));
    }
}
