//! A server with everybody that the tests ask for enrolled.

use std::sync::{Arc, LazyLock};

use fleetstorm_protocol::symmetric_key::SymmetricKey;
use fleetstorm_reference_server::serve::ListLine;
use fleetstorm_reference_server::{Config, InstanceConfig, Running, start};
use rustls::sign::CertifiedKey;
use serde_json::{Value, json};

use crate::certificates::{Authority, Validity, self_signed};
use crate::dialect::Caller;
use crate::panics;
use crate::software_tpm::SoftwareTpm;

/// The id scope that exists.
pub const ID_SCOPE: &str = "0ne00000001";

/// Its keys take longer to find than a server to start.
static TPM: LazyLock<SoftwareTpm> = LazyLock::new(SoftwareTpm::new);

/// A server, and who is enrolled there.
pub struct Instance {
    /// The server.
    pub server: Running,
    /// Panics before it started.
    panics: usize,
    /// Signs the devices of group `pumps`.
    pub pumps: Authority,
    /// Signs the devices of group `retired`, which is disabled.
    pub retired: Authority,
    /// Individual enrollment `valve-1`.
    pub valve: Arc<CertifiedKey>,
    /// Individual enrollment `valve-2`, expired.
    pub old_valve: Arc<CertifiedKey>,
    /// Individual enrollment `valve-3`, disabled.
    pub disabled_valve: Arc<CertifiedKey>,
    /// Individual enrollment `vault-1`.
    pub tpm: &'static SoftwareTpm,
    /// Primary and secondary key of group `meters`.
    pub meters: [SymmetricKey; 2],
    /// The same of group `lamps`.
    pub lamps: [SymmetricKey; 2],
    /// The same of group `old-meters`, which is disabled.
    pub retired_meters: [SymmetricKey; 2],
    /// The same of individual enrollments `lock-1`, and `lock-2`, which is disabled. Nobody
    /// knows those of `lock-3`.
    pub locks: [SymmetricKey; 2],
}

impl Instance {
    /// Starts it.
    pub fn start(config: Config) -> Self {
        let (pumps, retired) = (Authority::new("pumps"), Authority::new("retired"));
        let valve = self_signed("valve-1", Validity::Current);
        let old_valve = self_signed("valve-2", Validity::Past);
        let disabled_valve = self_signed("valve-3", Validity::Current);
        let tpm = &*TPM;
        let [meters, lamps, retired_meters, locks] = [1, 3, 5, 7].map(keys);
        let enrollments = [
            key_group("meters", &meters, "enabled"),
            key_group("lamps", &lamps, "enabled"),
            key_group("old-meters", &retired_meters, "disabled"),
            individual("lock-1", by_key(&locks), "enabled"),
            individual("lock-2", by_key(&locks), "disabled"),
            individual("lock-3", json!({"type": "symmetricKey"}), "enabled"),
            group("pumps", &pumps, "enabled"),
            group("retired", &retired, "disabled"),
            individual("valve-1", x509(&valve), "enabled"),
            individual("valve-2", x509(&old_valve), "enabled"),
            individual("valve-3", x509(&disabled_valve), "disabled"),
            individual(
                "vault-1",
                json!({"type": "tpm", "tpm": {"endorsementKey": tpm.endorsement_key()}}),
                "enabled",
            ),
        ];
        let enrollments =
            enrollments.map(|enrollment| ListLine::from_json(&enrollment.to_string()));
        let panics = panics::count();
        let server = start(config, enrollments.into_iter()).expect("the server starts");
        Self {
            server,
            panics,
            pumps,
            retired,
            valve,
            old_valve,
            disabled_valve,
            tpm,
            meters,
            lamps,
            retired_meters,
            locks,
        }
    }

    /// A device of group `pumps` that may register.
    pub fn pump(&self, name: &str) -> Caller {
        caller(name, &self.pumps.device(name, Validity::Current))
    }
}

/// No test passes while a server panics, whatever it looks at.
impl Drop for Instance {
    fn drop(&mut self) {
        let alone = !std::thread::panicking();
        assert!(
            !alone || panics::count() == self.panics,
            "a thread of a server panicked"
        );
    }
}

/// Quick answers on free ports, on one thread.
pub fn quick() -> Config {
    Config {
        instances: vec![tenant()],
        threads: 1,
        ..Config::default()
    }
}

/// An instance that assigns at once.
pub fn tenant() -> InstanceConfig {
    InstanceConfig {
        id_scope: ID_SCOPE.into(),
        processing_p50_us: 0,
        processing_p99_us: 0,
        ..InstanceConfig::default()
    }
}

/// A device that shows a certificate.
pub fn caller(registration_id: &str, certificate: &Arc<CertifiedKey>) -> Caller {
    Caller {
        certificate: Some(Arc::clone(certificate)),
        ..stranger(registration_id)
    }
}

/// A device that shows nothing.
pub fn stranger(registration_id: &str) -> Caller {
    Caller {
        id_scope: ID_SCOPE.into(),
        registration_id: registration_id.into(),
        api_version: "2019-03-31",
        certificate: None,
        sas: None,
    }
}

/// An enrollment group with a root certificate.
pub fn group(name: &str, authority: &Authority, status: &str) -> Value {
    let pem = authority.root_pem();
    json!({
        "enrollmentGroupId": name,
        "attestation": {
            "type": "x509",
            "x509": {"signingCertificates": {"primary": {"certificate": pem}}},
        },
        "provisioningStatus": status,
    })
}

fn keys(first: u8) -> [SymmetricKey; 2] {
    [first, first + 1].map(|byte| SymmetricKey::from_bytes([byte; 64]).expect("a key"))
}

fn by_key([primary, secondary]: &[SymmetricKey; 2]) -> Value {
    json!({
        "type": "symmetricKey",
        "symmetricKey": {"primaryKey": primary, "secondaryKey": secondary},
    })
}

fn key_group(name: &str, keys: &[SymmetricKey; 2], status: &str) -> Value {
    json!({
        "enrollmentGroupId": name,
        "attestation": by_key(keys),
        "provisioningStatus": status,
    })
}

fn individual(name: &str, attestation: Value, status: &str) -> Value {
    json!({
        "registrationId": name,
        "attestation": attestation,
        "provisioningStatus": status,
    })
}

fn x509(device: &CertifiedKey) -> Value {
    use base64::Engine;
    let certificate = base64::engine::general_purpose::STANDARD.encode(&device.cert[0]);
    json!({
        "type": "x509",
        "x509": {"clientCertificates": {"primary": {"certificate": certificate}}},
    })
}
