//! The certificates that devices show: good ones, and each kind of bad one.

use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
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

    /// A good device that signs for others, with itself as their issuer.
    pub fn insider(&self, name: &str) -> (Arc<CertifiedKey>, Signer) {
        let key = key();
        let params = leaf_params(name, Validity::Current);
        let leaf = params.signed_by(&key, &self.issuer).expect("a leaf");
        let device = certified(vec![leaf.der().clone(), self.intermediate.clone()], &key);
        (device, Issuer::new(params, key))
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
