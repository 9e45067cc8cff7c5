//! The certificates that devices show: good ones, and each kind of bad one.

use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, SigningKey as _, date_time_ymd,
};
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use rustls::sign::CertifiedKey;

/// Until when a leaf is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Validity {
    /// Now.
    Current,
    /// Years ago.
    Past,
}

/// A root and an intermediate below it.
pub struct Authority {
    root: rcgen::Certificate,
    root_issuer: Issuer<'static, KeyPair>,
    intermediate: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// With keys of its own, whatever the name.
    pub fn new(name: &str) -> Self {
        let root_key = key();
        let root_params = authority_params(&format!("{name} root"));
        let root = root_params.self_signed(&root_key).expect("a root");
        let intermediate_key = key();
        let intermediate_params = authority_params(&format!("{name} intermediate"));
        let root_issuer = Issuer::new(root_params, root_key);
        let intermediate = intermediate_params
            .signed_by(&intermediate_key, &root_issuer)
            .expect("an intermediate");
        Self {
            root,
            root_issuer,
            intermediate: intermediate.der().clone(),
            issuer: Issuer::new(intermediate_params, intermediate_key),
        }
    }

    /// PEM of the root, as it is enrolled.
    pub fn root_pem(&self) -> String {
        self.root.pem()
    }

    /// PEM of a certificate that only who has the root's key can sign: proof of possession.
    pub fn proof(&self, code: &str) -> String {
        let signed = params(code).signed_by(&key(), &self.root_issuer);
        signed.expect("a proof").pem()
    }

    /// A server below the intermediate, by one name.
    pub fn server(&self, name: &str) -> Arc<CertifiedKey> {
        let key = key();
        let mut params = CertificateParams::new([name.to_owned()]).expect("a name");
        params.not_after = date_time_ymd(2054, 1, 1);
        let leaf = params.signed_by(&key, &self.issuer).expect("a leaf");
        certified(vec![leaf.der().clone(), self.intermediate.clone()], &key)
    }

    /// A device below the intermediate, which it shows as well.
    pub fn device(&self, name: &str, validity: Validity) -> Arc<CertifiedKey> {
        let key = key();
        let leaf = leaf_params(name, validity)
            .signed_by(&key, &self.issuer)
            .expect("a leaf");
        certified(vec![leaf.der().clone(), self.intermediate.clone()], &key)
    }
}

/// Signs certificates, whether it may or not.
pub type Signer = Issuer<'static, KeyPair>;

impl Authority {
    /// What is shown of the root.
    pub fn root(&self) -> CertificateDer<'static> {
        self.root.der().clone()
    }

    /// What is shown of the intermediate.
    pub fn intermediate(&self) -> CertificateDer<'static> {
        self.intermediate.clone()
    }

    /// Signs as the root does.
    pub fn root_signer(&self) -> &Signer {
        &self.root_issuer
    }

    /// A good device that signs for others, with itself as their issuer.
    pub fn insider(&self, name: &str) -> (Arc<CertifiedKey>, Signer) {
        let key = key();
        let params = leaf_params(name, Validity::Current);
        let leaf = params.signed_by(&key, &self.issuer).expect("a leaf");
        let device = certified(vec![leaf.der().clone(), self.intermediate.clone()], &key);
        (device, Issuer::new(params, key))
    }
}

/// What `openssl x509 -req` makes without extensions: X.509 version 1.
mod version_1 {
    use super::*;

    const SEQUENCE: u8 = 0x30;
    const BIT_STRING: u8 = 0x03;
    /// Tags of the version and of the extensions.
    const ADDED_LATER: [u8; 2] = [0xA0, 0xA3];

    /// The same certificate without what version 3 added, signed anew.
    pub(super) fn of(certificate: &[u8], signer: &KeyPair) -> CertificateDer<'static> {
        let (_, whole, _) = element(certificate);
        let (_, signed, rest) = element(whole);
        let (_, _, signature) = element(rest);
        let algorithm = &rest[..rest.len() - signature.len()];
        let (mut old, mut left) = (Vec::new(), signed);
        while !left.is_empty() {
            let (tag, _, rest) = element(left);
            if !ADDED_LATER.contains(&tag) {
                old.extend_from_slice(&left[..left.len() - rest.len()]);
            }
            left = rest;
        }
        let signed = wrapped(SEQUENCE, &old);
        let signature = signer.sign(&signed).expect("a signature");
        let signature = wrapped(BIT_STRING, &[&[0][..], &signature].concat());
        wrapped(SEQUENCE, &[&signed[..], algorithm, &signature].concat()).into()
    }

    /// Tag, content, and what follows.
    fn element(der: &[u8]) -> (u8, &[u8], &[u8]) {
        let (head, length) = match der[1] {
            0x81 => (3, usize::from(der[2])),
            0x82 => (4, usize::from(u16::from_be_bytes([der[2], der[3]]))),
            short => (2, usize::from(short)),
        };
        let (content, rest) = der[head..].split_at(length);
        (der[0], content, rest)
    }

    fn wrapped(tag: u8, content: &[u8]) -> Vec<u8> {
        let length = u16::try_from(content.len()).expect("short").to_be_bytes();
        let head: &[u8] = match content.len() {
            ..0x80 => &[tag, length[1]],
            0x80..0x100 => &[tag, 0x81, length[1]],
            _ => &[tag, 0x82, length[0], length[1]],
        };
        [head, content].concat()
    }
}

/// A device that signed its own certificate, of X.509 version 1.
pub fn self_signed_of_version_1(name: &str) -> Arc<CertifiedKey> {
    let key = key();
    let leaf = params(name).self_signed(&key).expect("a leaf");
    certified(vec![version_1::of(leaf.der(), &key)], &key)
}

impl Authority {
    /// A device right below the root, of X.509 version 1.
    pub fn device_of_version_1(&self, name: &str) -> Arc<CertifiedKey> {
        let key = key();
        let leaf = params(name).signed_by(&key, &self.root_issuer);
        let leaf = version_1::of(leaf.expect("a leaf").der(), self.root_issuer.key());
        certified(vec![leaf], &key)
    }

    /// The proof of possession of [`Self::proof`], of X.509 version 1: base64 of DER.
    pub fn proof_of_version_1(&self, code: &str) -> String {
        use base64::Engine;
        let proof = &self.device_of_version_1(code).cert[0];
        base64::engine::general_purpose::STANDARD.encode(proof)
    }

    /// A device below the intermediate, with an extension that is critical and nobody's.
    pub fn device_with_critical_extension(&self, name: &str) -> Arc<CertifiedKey> {
        let key = key();
        let mut params = leaf_params(name, Validity::Current);
        let mut extension = CustomExtension::from_oid_content(&[1, 2, 3, 4], vec![5, 0]);
        extension.set_criticality(true);
        params.custom_extensions.push(extension);
        let leaf = params.signed_by(&key, &self.issuer).expect("a leaf");
        certified(vec![leaf.der().clone(), self.intermediate.clone()], &key)
    }
}

/// A device that somebody signed.
pub fn signed_by(signer: &Signer, name: &str) -> Arc<CertifiedKey> {
    let key = key();
    let leaf = leaf_params(name, Validity::Current).signed_by(&key, signer);
    certified(vec![leaf.expect("a leaf").der().clone()], &key)
}

/// The same device, that shows these above its own certificate.
pub fn showing(device: &CertifiedKey, above: &[&CertificateDer<'static>]) -> Arc<CertifiedKey> {
    let leaf = std::iter::once(&device.cert[0]);
    let chain = leaf.chain(above.iter().copied()).cloned().collect();
    Arc::new(CertifiedKey::new(chain, Arc::clone(&device.key)))
}

/// A device that signed its own certificate.
pub fn self_signed(name: &str, validity: Validity) -> Arc<CertifiedKey> {
    let key = key();
    let leaf = leaf_params(name, validity)
        .self_signed(&key)
        .expect("a leaf");
    certified(vec![leaf.der().clone()], &key)
}

/// The same device, that shows its leaf only.
pub fn without_intermediate(device: &CertifiedKey) -> Arc<CertifiedKey> {
    Arc::new(CertifiedKey::new(
        device.cert[..1].to_vec(),
        Arc::clone(&device.key),
    ))
}

fn key() -> KeyPair {
    KeyPair::generate().expect("a key")
}

fn certified(chain: Vec<CertificateDer<'static>>, key: &KeyPair) -> Arc<CertifiedKey> {
    let key = any_supported_type(&PrivatePkcs8KeyDer::from(key.serialize_der()).into());
    Arc::new(CertifiedKey::new(chain, key.expect("a key to sign with")))
}

fn authority_params(name: &str) -> CertificateParams {
    let mut params = params(name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params
}

fn leaf_params(name: &str, validity: Validity) -> CertificateParams {
    let mut params = params(name);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    if validity == Validity::Past {
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2021, 1, 1);
    }
    params
}

fn params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = date_time_ymd(2024, 1, 1);
    params.not_after = date_time_ymd(2054, 1, 1);
    params
}
