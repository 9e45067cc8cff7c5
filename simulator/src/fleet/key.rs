//! P-256 keys by their scalar: for TLS, and to sign certificates.

use std::sync::Arc;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
use rcgen::{PKCS_ECDSA_P256_SHA256, PublicKeyData, SignatureAlgorithm as CertificateAlgorithm};
use rustls::sign::{Signer, SigningKey};
use rustls::{Error, SignatureAlgorithm, SignatureScheme};

use super::derive::Derivation;

/// A key in use: imported once, for TLS and certificates alike.
#[derive(Debug, Clone)]
pub struct DeviceKey {
    pair: Arc<EcdsaKeyPair>,
}

/// A key that signs the same bytes the same way, always (RFC 6979): what it
/// signs can be made again, and enrolled by its thumbprint. Slower by half an order.
pub struct RepeatableKey {
    key: p256::ecdsa::SigningKey,
    public: DeviceKey,
}

impl DeviceKey {
    /// The key of `purpose` and `index`.
    pub fn derive(derivation: &Derivation, purpose: &str, index: u64) -> Self {
        Self::with_scalar(derivation, purpose, index).0
    }

    /// The same, with its scalar. One derivation in 2³² gives no valid scalar: then the next is taken.
    fn with_scalar(derivation: &Derivation, purpose: &str, index: u64) -> (Self, [u8; 32]) {
        let mut scalar = derivation.bytes(purpose, index);
        loop {
            let imported =
                EcdsaKeyPair::from_private_key_der(&ECDSA_P256_SHA256_ASN1_SIGNING, &sec1(&scalar));
            match imported {
                Ok(pair) => {
                    return (
                        Self {
                            pair: Arc::new(pair),
                        },
                        scalar,
                    );
                }
                Err(_) => scalar = aws_lc_sha256(&scalar),
            }
        }
    }

    fn signature(&self, message: &[u8]) -> Option<Vec<u8>> {
        self.pair
            .sign(&SystemRandom::new(), message)
            .ok()
            .map(|signature| signature.as_ref().to_vec())
    }
}

impl RepeatableKey {
    /// The key of `purpose` and `index`.
    pub fn derive(derivation: &Derivation, purpose: &str, index: u64) -> Self {
        let (public, scalar) = DeviceKey::with_scalar(derivation, purpose, index);
        let key = p256::ecdsa::SigningKey::from_slice(&scalar)
            .expect("the other library took the scalar");
        Self { key, public }
    }

    /// The same key, for TLS and for signing fast.
    pub fn device_key(&self) -> &DeviceKey {
        &self.public
    }
}

/// ECPrivateKey of RFC 5915: version, scalar, curve; no public key.
fn sec1(scalar: &[u8; 32]) -> [u8; 51] {
    const HEAD: [u8; 7] = [0x30, 0x31, 0x02, 0x01, 0x01, 0x04, 0x20];
    const CURVE: [u8; 12] = [
        0xa0, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07,
    ];
    let mut der = [0; 51];
    der[..7].copy_from_slice(&HEAD);
    der[7..39].copy_from_slice(scalar);
    der[39..].copy_from_slice(&CURVE);
    der
}

fn aws_lc_sha256(bytes: &[u8; 32]) -> [u8; 32] {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
    let mut hashed = [0; 32];
    hashed.copy_from_slice(digest.as_ref());
    hashed
}

impl PublicKeyData for DeviceKey {
    fn der_bytes(&self) -> &[u8] {
        self.pair.public_key().as_ref()
    }

    fn algorithm(&self) -> &'static CertificateAlgorithm {
        &PKCS_ECDSA_P256_SHA256
    }
}

impl rcgen::SigningKey for DeviceKey {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        self.signature(message).ok_or(rcgen::Error::RemoteKeyError)
    }
}

impl PublicKeyData for RepeatableKey {
    fn der_bytes(&self) -> &[u8] {
        self.public.der_bytes()
    }

    fn algorithm(&self) -> &'static CertificateAlgorithm {
        &PKCS_ECDSA_P256_SHA256
    }
}

impl rcgen::SigningKey for RepeatableKey {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        use p256::ecdsa::signature::Signer;
        let signature: p256::ecdsa::Signature = self.key.sign(message);
        Ok(signature.to_der().as_bytes().to_vec())
    }
}

impl SigningKey for DeviceKey {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        offered
            .contains(&SignatureScheme::ECDSA_NISTP256_SHA256)
            .then(|| Box::new(self.clone()) as Box<dyn Signer>)
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::ECDSA
    }
}

impl Signer for DeviceKey {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        self.signature(message)
            .ok_or_else(|| Error::General("the device's key could not sign".into()))
    }

    fn scheme(&self) -> SignatureScheme {
        SignatureScheme::ECDSA_NISTP256_SHA256
    }
}
