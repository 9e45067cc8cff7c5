//! TLS of the server: one certificate for the global endpoint and every hub, client
//! certificates requested and never required.
//!
//! It is there twice: with an ECDSA key, which is the faster one, and with an RSA key, as Azure's is, for
//! clients that take no other.

use std::fs::File;
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use fleetstorm_protocol::x509::certificate_from_text;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_RSA_SHA256, RsaKeySize,
};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert, ServerConfig};
use rustls::sign::CertifiedKey;
use rustls::{Error, KeyLog, KeyLogFile};
use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::error::ServeError;
use crate::issuer;
use crate::possession::AnyChain;
use crate::provider::provider;
use crate::store::Store;

/// How long the server's certificate holds: it is made at each start.
const SERVER_DAYS: u32 = 365;
/// How long a CA of the server's own holds: as long as its data folder may be used.
const CA_DAYS: u32 = 3650;

/// What listeners and clients need.
pub(crate) struct Tls {
    /// For listeners.
    pub(crate) config: Arc<ServerConfig>,
    /// PEM of the CA, for clients.
    pub(crate) ca_pem: String,
}

/// Makes the server's certificate under the configured CA, else under the one that the store has
/// or a throw-away one.
///
/// # Errors
/// The CA's files can't be used, or the store can't be read or written.
pub(crate) fn prepare(config: &Config, store: &Store) -> Result<Tls, ServeError> {
    let authority = Authority::of(config, store)?;
    let bad = |problem: String| config_error("ca-certificate", format!("can't sign: {problem}"));
    let params = server_params(config).map_err(|e| bad(e.to_string()))?;
    let ca_pem = authority.pem.clone();
    let certificates = Certificates::new(authority, params).map_err(bad)?;
    let mut tls = server_config(certificates).map_err(|e| bad(e.to_string()))?;
    if let Some(log) = key_log()? {
        tls.key_log = log;
    }
    Ok(Tls {
        config: Arc::new(tls),
        ca_pem,
    })
}

/// Where the secrets of connections go, if `SSLKEYLOGFILE` names a file, so that a capture can be read. It
/// is nobody else's to read.
fn key_log() -> Result<Option<Arc<dyn KeyLog>>, ServeError> {
    let Some(path) = std::env::var_os("SSLKEYLOGFILE").map(PathBuf::from) else {
        return Ok(None);
    };
    let opened = File::options()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(&path);
    match opened {
        Ok(_) => Ok(Some(Arc::new(KeyLogFile::new()))),
        Err(problem) => Err(ServeError::File {
            path,
            problem: format!("SSLKEYLOGFILE: {problem}"),
        }),
    }
}

type MakeRsa = Box<dyn FnOnce() -> Option<Arc<CertifiedKey>> + Send>;

/// The server's certificates: the one with the RSA key is made for the first client that needs it,
/// because that takes a tenth of a second.
#[derive(Debug)]
struct Certificates {
    ecdsa: Arc<CertifiedKey>,
    rsa: LazyLock<Option<Arc<CertifiedKey>>, MakeRsa>,
}

impl Certificates {
    fn new(authority: Authority, params: CertificateParams) -> Result<Self, String> {
        let key = KeyPair::generate().map_err(|e| e.to_string())?;
        let ecdsa = authority.certify(&params, &key)?;
        let rsa: MakeRsa = Box::new(move || {
            let key = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048);
            authority.certify(&params, &key.ok()?).ok()
        });
        Ok(Self {
            ecdsa,
            rsa: LazyLock::new(rsa),
        })
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let takes = |certified: &&Arc<CertifiedKey>| {
            let scheme = certified.key.choose_scheme(hello.signature_schemes());
            scheme.is_some()
        };
        let fitting = Some(&self.ecdsa).filter(takes);
        fitting.or_else(|| self.rsa.as_ref().filter(takes)).cloned()
    }
}

struct Authority {
    pem: String,
    der: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn of(config: &Config, store: &Store) -> Result<Self, ServeError> {
        match (&config.ca_certificate, &config.ca_key) {
            (Some(certificate), Some(key)) => Self::from_files(certificate, key),
            (None, None) => Self::own(store),
            (Some(_), None) => Err(config_error(
                "ca-key",
                "is missing beside ca-certificate".into(),
            )),
            (None, Some(_)) => Err(config_error(
                "ca-certificate",
                "is missing beside ca-key".into(),
            )),
        }
    }

    fn from_files(certificate: &Path, key: &Path) -> Result<Self, ServeError> {
        let read = |name, path: &Path| {
            std::fs::read_to_string(path)
                .map_err(|e| config_error(name, format!("{}: {e}", path.display())))
        };
        let pem = read("ca-certificate", certificate)?;
        let key_pem = read("ca-key", key)?;
        let unusable = |name, path: &Path, problem: String| {
            config_error(name, format!("{}: {problem}", path.display()))
        };
        let key =
            KeyPair::from_pem(&key_pem).map_err(|e| unusable("ca-key", key, e.to_string()))?;
        Self::from_pem(pem, key).map_err(|e| unusable("ca-certificate", certificate, e))
    }

    /// The same as before where there is a store, so that clients still trust it.
    fn own(store: &Store) -> Result<Self, ServeError> {
        let unusable = |problem: String| config_error("ca-certificate", problem);
        let made = Generated::new().map_err(|e| unusable(e.to_string()))?;
        let Generated { certificate, key } = store.secret("ca", || made)?;
        let key = KeyPair::from_pem(&key).map_err(|e| unusable(e.to_string()))?;
        Self::from_pem(certificate, key).map_err(unusable)
    }

    fn from_pem(pem: String, key: KeyPair) -> Result<Self, String> {
        let der = certificate_from_text(&pem).map_err(|e| e.to_string())?;
        let der = CertificateDer::from(der);
        Ok(Self {
            issuer: issuer::of(&der, key)?,
            pem,
            der,
        })
    }

    fn certify(
        &self,
        params: &CertificateParams,
        key: &KeyPair,
    ) -> Result<Arc<CertifiedKey>, String> {
        let leaf = params
            .signed_by(key, &self.issuer)
            .map_err(|e| e.to_string())?;
        let chain = vec![leaf.der().clone(), self.der.clone()];
        let key = PrivatePkcs8KeyDer::from(key.serialize_der());
        let certified = CertifiedKey::from_der(chain, key.into(), &aws_lc_rs::default_provider());
        certified.map(Arc::new).map_err(|e| e.to_string())
    }
}

/// A CA of the server's own, in PEM.
#[derive(Serialize, Deserialize)]
struct Generated {
    certificate: String,
    key: String,
}

impl Generated {
    fn new() -> Result<Self, rcgen::Error> {
        let mut params = CertificateParams::default();
        params
            .distinguished_name
            .push(DnType::CommonName, "fleetstorm throw-away CA");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        set_validity(&mut params, CA_DAYS);
        let key = KeyPair::generate()?;
        let certificate = params.self_signed(&key)?;
        Ok(Self {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
        })
    }
}

fn server_params(config: &Config) -> Result<CertificateParams, rcgen::Error> {
    let hubs = config.hubs.iter().map(|hub| &hub.host_name);
    let instances = config.instances.iter().map(|instance| &instance.name);
    let names = hubs
        .chain(instances)
        .chain([&config.global_endpoint])
        .cloned();
    let loopback = ["localhost".to_owned(), "127.0.0.1".into(), "::1".into()];
    let address = Some(config.listen)
        .filter(|address| !address.is_unspecified())
        .map(|address: IpAddr| address.to_string());
    let mut all: Vec<String> = names.chain(loopback).chain(address).collect();
    all.sort_unstable();
    all.dedup();
    let mut params = CertificateParams::new(all)?;
    params
        .distinguished_name
        .push(DnType::CommonName, config.global_endpoint.as_str());
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    set_validity(&mut params, SERVER_DAYS);
    Ok(params)
}

/// From yesterday, for clocks that lag.
fn set_validity(params: &mut CertificateParams, days: u32) {
    let now = std::time::SystemTime::now();
    let day = std::time::Duration::from_secs(86_400);
    params.not_before = (now - day).into();
    params.not_after = (now + day * days).into();
}

fn server_config(certificates: Certificates) -> Result<ServerConfig, Error> {
    let provider = Arc::new(provider());
    let mut config = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()?
        .with_client_cert_verifier(AnyChain::over(provider))
        .with_cert_resolver(Arc::new(certificates));
    // Devices come once: resumption would be work for nothing, and hide the handshake that is to be measured.
    config.send_tls13_tickets = 0;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    Ok(config)
}

fn config_error(key: &'static str, problem: String) -> ServeError {
    ServeError::Config { key, problem }
}
