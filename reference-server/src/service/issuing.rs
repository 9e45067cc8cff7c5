//! Certificates that devices ask for as they register (DPS REST API, 2025-07-01-preview,
//! `registration.csr`): each is signed by the CA of the credential policy that the enrollment
//! names, and its device is known to its hub by it from then on.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use fleetstorm_protocol::ids::RegistrationId;
use fleetstorm_protocol::x509::{
    CertificationRequest, Thumbprint, certification_request, thumbprint, validity,
};
use jiff::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DistinguishedName,
    DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P384_SHA384, SerialNumber, SubjectPublicKeyInfo,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateSigningRequestDer};
use serde::{Deserialize, Serialize};
use x509_parser::prelude::FromDer;
use x509_parser::x509;

use super::config::InstanceConfig;
use super::config::credential_policy::CredentialPolicyConfig;
use super::refusal::Refusal;
use crate::error::ServeError;
use crate::issuer;
use crate::possession::is_verifiable;
use crate::randomness;
use crate::store::Store;

/// The first api-version that knows of it.
const FIRST: &str = "2025-07-01";
/// Longest request, before base64; IoT Hub's limit for its renewal.
const MAX_CSR: usize = 8 * 1024;
/// For clocks of devices that lag.
const GRACE: Duration = Duration::from_secs(300);
/// How long a CA of the server's own holds.
const CA_DAYS: u64 = 3650;
const DAY: Duration = Duration::from_secs(86_400);

/// The credential policies of an instance.
#[derive(Default)]
pub struct CredentialPolicies(Vec<CredentialPolicy>);

struct CredentialPolicy {
    name: String,
    days: u32,
    issuer: Issuer<'static, KeyPair>,
    /// When the CA's certificate ends, in Unix seconds: none that it signs outlives it.
    until: i64,
    /// The CA and those above it, each in DER.
    above: Arc<[Box<[u8]>]>,
}

/// A good request, and who signs it.
pub(super) struct CertificateRequest<'a> {
    policy: &'a CredentialPolicy,
    common_name: String,
    public_key: SubjectPublicKeyInfo,
}

/// A certificate that was issued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issued {
    leaf: Box<[u8]>,
    above: Arc<[Box<[u8]>]>,
}

impl Issued {
    /// Names the certificate to the hub.
    pub fn thumbprint(&self) -> Thumbprint {
        thumbprint(&self.leaf)
    }

    /// issuedCertificateChain of registrationState: base64 of DER, leaf first.
    pub fn chain(&self) -> Vec<String> {
        let leaf = std::iter::once(&self.leaf);
        leaf.chain(self.above.iter())
            .map(|der| STANDARD.encode(der))
            .collect()
    }

    /// Of such a chain.
    ///
    /// # Errors
    /// It is empty, or not base64.
    pub(super) fn of(chain: &[String]) -> Result<Self, String> {
        let ders = chain.iter().map(|der| STANDARD.decode(der).map(Into::into));
        let mut ders = ders
            .collect::<Result<Vec<Box<[u8]>>, _>>()
            .map_err(|e| e.to_string())?
            .into_iter();
        Ok(Self {
            leaf: ders.next().ok_or("a certificate's chain is empty")?,
            above: ders.collect(),
        })
    }
}

impl CredentialPolicies {
    /// Those of an instance; a CA of the server's own is the same as before where there is a store.
    ///
    /// # Errors
    /// A CA's files can't be used, or the store can't be read or written.
    pub(crate) fn of(instance: &InstanceConfig, store: &Store) -> Result<Self, ServeError> {
        let policies = instance.credential_policies.iter().map(|config| {
            let wrong = |problem: String| ServeError::Config {
                key: "instance.credential-policy",
                problem: format!("{}: {problem}", config.name),
            };
            let files = match (&config.ca_certificate, &config.ca_key) {
                (Some(certificate), Some(key)) => Files::read(certificate, key).map_err(wrong)?,
                _ => {
                    let made = Files::made(&config.name).map_err(|e| wrong(e.to_string()))?;
                    let name = format!("credential-policy/{}/{}", instance.id_scope, config.name);
                    store.secret(&name, || made)?
                }
            };
            CredentialPolicy::of(config, &files).map_err(wrong)
        });
        Ok(Self(policies.collect::<Result<_, ServeError>>()?))
    }

    /// Reads what a device asks for, if it does.
    ///
    /// # Errors
    /// Its api-version or its enrollment have no issuance; the request is broken, in another's name,
    /// or not signed with the key that is in it.
    pub(super) fn read(
        &self,
        csr: Option<&str>,
        policy: Option<&str>,
        id: &RegistrationId,
        api_version: Option<&str>,
    ) -> Result<Option<CertificateRequest<'_>>, Refusal> {
        let Some(csr) = csr else {
            return Ok(None);
        };
        let wrong = |problem: String| Refusal::BadRequest(format!("csr: {problem}"));
        if api_version.is_none_or(|version| version < FIRST) {
            return Err(wrong(format!(
                "api-version {} knows none: use 2025-07-01-preview or later",
                api_version.unwrap_or("(none)")
            )));
        }
        let named =
            policy.ok_or_else(|| wrong("the enrollment names no credentialPolicyName".into()))?;
        let policy = self
            .0
            .iter()
            .find(|known| known.name.eq_ignore_ascii_case(named));
        let policy =
            policy.ok_or_else(|| wrong(format!("there is no credential policy \"{named}\"")))?;
        let der = STANDARD
            .decode(csr)
            .map_err(|e| wrong(format!("is not base64 of DER: {e}")))?;
        if der.len() > MAX_CSR {
            return Err(wrong(format!("is longer than {MAX_CSR} bytes")));
        }
        let CertificationRequest {
            common_name,
            public_key_info,
        } = certification_request(&der).map_err(|e| wrong(e.problem.to_string()))?;
        if !common_name.eq_ignore_ascii_case(id.as_str()) {
            return Err(wrong(format!(
                "its common name, \"{common_name:.128}\", is not the registration id"
            )));
        }
        let (_, key) = x509::SubjectPublicKeyInfo::from_der(&public_key_info)
            .map_err(|e| wrong(format!("its key is broken: {e}")))?;
        is_verifiable(&key).map_err(wrong)?;
        let unusable = |e: rcgen::Error| wrong(format!("can't be used: {e}"));
        // Who signed it holds the key.
        CertificateSigningRequestParams::from_der(&CertificateSigningRequestDer::from(der))
            .map_err(unusable)?;
        Ok(Some(CertificateRequest {
            policy,
            common_name,
            public_key: SubjectPublicKeyInfo::from_der(&public_key_info).map_err(unusable)?,
        }))
    }
}

impl CertificateRequest<'_> {
    /// Signs it. Of what the device asks for, only its name and its key are taken.
    ///
    /// # Errors
    /// The CA has expired since the server started.
    pub(super) fn issue(&self, now: Timestamp) -> Result<Issued, Refusal> {
        let policy = self.policy;
        let last = Timestamp::from_second(policy.until).unwrap_or(Timestamp::MAX);
        if now > last {
            let problem = format!(
                "csr: the CA of credential policy \"{}\" has expired",
                policy.name
            );
            return Err(Refusal::BadRequest(problem));
        }
        let end = now.saturating_add(DAY * policy.days).unwrap_or(last);
        let mut serial = [0; 16];
        randomness::fill(&mut serial);
        // Serial numbers are positive.
        serial[0] &= 0x7f;
        let mut params = named(&self.common_name);
        params.serial_number = Some(SerialNumber::from_slice(&serial));
        params.not_before = (system_time(now) - GRACE).into();
        params.not_after = system_time(end.min(last)).into();
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.use_authority_key_identifier_extension = true;
        let signed = params.signed_by(&self.public_key, &policy.issuer);
        let leaf = signed.map_err(|_| Refusal::Internal)?;
        Ok(Issued {
            leaf: leaf.der().as_ref().into(),
            above: Arc::clone(&policy.above),
        })
    }
}

impl CredentialPolicy {
    fn of(config: &CredentialPolicyConfig, files: &Files) -> Result<Self, String> {
        let chain = CertificateDer::pem_slice_iter(files.certificates.as_bytes());
        let above: Vec<Box<[u8]>> = chain
            .map(|der| der.map(|der| der.as_ref().into()))
            .collect::<Result<_, _>>()
            .map_err(|e| format!("ca-certificate: {e}"))?;
        let issuing = above.first().ok_or("ca-certificate: has no certificate")?;
        let (_, until) = validity(issuing).map_err(|e| e.to_string())?;
        let key = KeyPair::from_pem(&files.key).map_err(|e| format!("ca-key: {e}"))?;
        let issuer = issuer::of(&CertificateDer::from(&**issuing), key)
            .map_err(|problem| format!("ca-certificate: {problem}"))?;
        Ok(Self {
            name: config.name.clone(),
            days: config.validity_days,
            issuer,
            until,
            above: above.into(),
        })
    }
}

/// A CA in PEM: its certificate and those above it, and its key.
#[derive(Serialize, Deserialize)]
struct Files {
    certificates: String,
    key: String,
}

impl Files {
    fn read(certificates: &Path, key: &Path) -> Result<Self, String> {
        let text = |path: &Path| {
            std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))
        };
        Ok(Self {
            certificates: text(certificates)?,
            key: text(key)?,
        })
    }

    /// A root and, below it, the CA that signs; on P-384, as Azure's.
    fn made(name: &str) -> Result<Self, rcgen::Error> {
        let authority = |name: String| {
            let mut params = named(&name);
            let now = SystemTime::now();
            params.not_before = (now - DAY).into();
            params.not_after = (now + Duration::from_secs(CA_DAYS * 86_400)).into();
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
            params.use_authority_key_identifier_extension = true;
            params
        };
        let new_key = || KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384);
        let (root_key, key) = (new_key()?, new_key()?);
        let root_params = authority(format!("{name} root"));
        let root = root_params.self_signed(&root_key)?;
        let issuing = authority(name.to_owned());
        let issuing = issuing.signed_by(&key, &Issuer::new(root_params, root_key))?;
        Ok(Self {
            certificates: issuing.pem() + &root.pem(),
            key: key.serialize_pem(),
        })
    }
}

/// To the second, as certificates tell it.
fn system_time(time: Timestamp) -> SystemTime {
    let seconds = u64::try_from(time.as_second()).unwrap_or(0);
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

fn named(common_name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::CommonName, common_name);
    params
}

#[cfg(test)]
mod tests {
    use rcgen::PublicKeyData;

    use super::*;

    #[test]
    fn no_bit_of_a_request_changes_what_is_certified() {
        let instance = InstanceConfig {
            credential_policies: vec![CredentialPolicyConfig {
                name: "factory".into(),
                validity_days: 1,
                ca_certificate: None,
                ca_key: None,
            }],
            ..InstanceConfig::default()
        };
        let policies = CredentialPolicies::of(&instance, &Store::default()).expect("a CA");
        let id = RegistrationId::parse("pump").expect("an id");
        let read = |der: &[u8]| {
            let csr = STANDARD.encode(der);
            let version = Some("2025-07-01-preview");
            policies.read(Some(&csr), Some("factory"), &id, version)
        };
        let key = KeyPair::generate().expect("a key");
        let request = named("pump").serialize_request(&key).expect("a request");
        let good = read(request.der()).expect("good").expect("asked");
        let late = Timestamp::from_second(good.policy.until + 1).expect("a time");
        assert!(good.issue(Timestamp::now()).is_ok());
        assert!(matches!(good.issue(late), Err(Refusal::BadRequest(_))));
        for bit in 0..request.der().len() * 8 {
            let mut changed = request.der().to_vec();
            changed[bit / 8] ^= 1 << (bit % 8);
            // The parser is lenient with what is around: name and key are what was signed.
            if let Ok(Some(read)) = read(&changed) {
                let found = (
                    &*read.common_name,
                    read.public_key.subject_public_key_info(),
                );
                assert_eq!(found, ("pump", key.subject_public_key_info()), "bit {bit}");
            }
        }
        for length in 0..request.der().len() {
            assert!(read(&request.der()[..length]).is_err(), "{length} bytes");
        }
    }
}
