//! Certificates that are not what most devices show: served where they can be, and told what they are
//! where not, in words and never by TLS hanging up.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use fleetstorm_protocol::x509::thumbprint;
use fleetstorm_reference_server::Config;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::sign::{CertifiedKey, Signer, SigningKey};
use rustls::{Error, SignatureAlgorithm, SignatureScheme};
use serde_json::{Value, json};

use crate::certificates::{Authority, Validity, self_signed, self_signed_of_version_1};
use crate::dialect;
use crate::hub::http::{as_device, as_service, to_control};
use crate::hub::{assigned, yard};
use crate::instance::{ID_SCOPE, Instance, caller, quick};
use crate::questions::register;
use crate::service_api::{put_group, put_individual};

/// Keys that nothing here can verify: secp256k1, RSA-PSS and so on, each made by OpenSSL.
const UNVERIFIABLE: [(&str, &str); 7] = [
    (
        "secp256k1",
        include_str!("../../vectors/openssl/secp256k1.pem"),
    ),
    (
        "brainpool",
        include_str!("../../vectors/openssl/brainpool.pem"),
    ),
    ("rsa-pss", include_str!("../../vectors/openssl/rsa-pss.pem")),
    (
        "rsa-1024",
        include_str!("../../vectors/openssl/rsa-1024.pem"),
    ),
    ("ed448", include_str!("../../vectors/openssl/ed448.pem")),
    (
        "explicit-curve",
        include_str!("../../vectors/openssl/explicit-curve.pem"),
    ),
    ("dsa", include_str!("../../vectors/openssl/dsa.pem")),
];

/// Signs whatever it is given with nothing.
#[derive(Debug)]
struct Nothing;

impl SigningKey for Nothing {
    fn choose_scheme(&self, _: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        Some(Box::new(Self))
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::ECDSA
    }
}

impl Signer for Nothing {
    fn sign(&self, _: &[u8]) -> Result<Vec<u8>, Error> {
        Ok(vec![0; 70])
    }

    fn scheme(&self) -> SignatureScheme {
        SignatureScheme::ECDSA_NISTP256_SHA256
    }
}

/// A device that shows a certificate whose key it does not have.
fn pretender(certificate: CertificateDer<'static>) -> Arc<CertifiedKey> {
    Arc::new(CertifiedKey::new(vec![certificate], Arc::new(Nothing)))
}

fn der(pem: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pem.as_bytes()).expect("PEM")
}

fn attestation(member: &str, der: &[u8]) -> Value {
    let certificate = STANDARD.encode(der);
    json!({"type": "x509", "x509": {member: {"primary": {"certificate": certificate}}}})
}

fn individual(id: &str, der: &[u8]) -> String {
    let attestation = attestation("clientCertificates", der);
    json!({"registrationId": id, "attestation": attestation}).to_string()
}

fn group(id: &str, der: &[u8]) -> String {
    let attestation = attestation("signingCertificates", der);
    json!({"enrollmentGroupId": id, "attestation": attestation}).to_string()
}

/// Nothing is written over.
const NEW: (&str, &str) = ("If-None-Match", "*");

/// What each dialect answers a register with.
fn asked(instance: &Instance, name: &str, shows: &Arc<CertifiedKey>) -> Vec<Value> {
    let ask = |dialect: &dialect::Dialect| {
        let device = caller(name, shows);
        let answer = (dialect.ask)(instance.server.announcement(), &device, &register());
        match answer.status {
            202 => 202.into(),
            _ => answer.body["errorCode"].clone(),
        }
    };
    dialect::ALL.iter().map(ask).collect()
}

#[test]
fn a_certificate_of_version_1_is_served_where_its_enrollment_names_it() {
    let yard = yard();
    let device = self_signed_of_version_1("lathe-1");
    let entered = put_individual(
        &yard,
        "lathe-1",
        NEW,
        &individual("lathe-1", &device.cert[0]),
    );
    assert_eq!(entered.status, 200, "{}", entered.body);
    assert_eq!(asked(&yard, "lathe-1", &device), [202; 5]);
    assigned(&yard, &caller("lathe-1", &device));
    let line = "GET /devices/lathe-1/messages/deviceBound?api-version=2021-04-12";
    let hears = as_device(&yard, &caller("lathe-1", &device), line, &[], b"");
    assert_eq!(hears.status, 204, "{}", hears.body);

    // The certificate alone is nobody's proof.
    let (thief, other) = (
        device.cert[0].clone(),
        self_signed("lathe-1", Validity::Current),
    );
    let thief = Arc::new(CertifiedKey::new(vec![thief], Arc::clone(&other.key)));
    for dialect in &dialect::ALL {
        let ask = || {
            let server = yard.server.announcement();
            (dialect.ask)(server, &caller("lathe-1", &thief), &register())
        };
        let asked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(ask));
        assert!(
            asked.is_err(),
            "the handshake fails: {:?}",
            dialect.transport
        );
    }
}

#[test]
fn a_certificate_of_version_1_proves_possession() {
    let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
    let instance = Instance::start(quick());
    let at = |line: &str, body: &Value| {
        let line = line.replace("{}", &format!("/instances/{ID_SCOPE}/certificates/factory"));
        to_control(&instance, &line, &[], &body.to_string())
    };
    let entered = json!({"properties": {"certificate": STANDARD.encode(ours.root_pem())}});
    assert_eq!(at("PUT {}", &entered).status, 200);
    let coded = at("POST {}/generateVerificationCode", &json!({})).json();
    let code = coded["properties"]["verificationCode"].as_str();
    let code = code.expect("a code");
    for (proof, words) in [
        (ours.proof_of_version_1("0000"), "verification code"),
        (theirs.proof_of_version_1(code), "issuer"),
        // Another key under the name.
        (
            Authority::new("ours").proof_of_version_1(code),
            "signed with the key",
        ),
    ] {
        let refused = at("POST {}/verify", &json!({"certificate": proof}));
        assert_eq!(refused.status, 400);
        assert!(refused.body.contains(words), "{}", refused.body);
    }
    let proof = json!({"certificate": ours.proof_of_version_1(code)});
    let proven = at("POST {}/verify", &proof).json();
    assert_eq!(proven["properties"]["isVerified"], true, "{proven}");
}

#[test]
fn what_can_not_be_served_is_refused_when_it_is_enrolled_and_told_when_it_is_shown() {
    let folder = tempfile::tempdir().expect("a folder");
    let log = folder.path().join("dps.log");
    let instance = Instance::start(Config {
        diagnostic_log: Some(log.clone()),
        ..quick()
    });
    for (name, pem) in UNVERIFIABLE {
        let der = der(pem);
        for refused in [
            put_individual(&instance, name, NEW, &individual(name, &der)),
            put_group(&instance, name, NEW, &group(name, &der)),
        ] {
            assert_eq!(refused.status, 400, "{name}: {}", refused.body);
            assert!(
                refused.body.contains("can't be verified"),
                "{}",
                refused.body
            );
            assert!(
                refused.body.contains(".primary.certificate"),
                "{}",
                refused.body
            );
        }
        assert_eq!(
            asked(&instance, name, &pretender(der)),
            [401_002; 5],
            "{name}"
        );
    }
    let garbage = CertificateDer::from(vec![0x30, 1, 0]);
    assert_eq!(
        asked(&instance, "garbage", &pretender(garbage)),
        [401_002; 5]
    );
    let pumps = &instance.pumps;
    let critical = pumps.device_with_critical_extension("pump-2");
    let refused = put_individual(
        &instance,
        "pump-2",
        NEW,
        &individual("pump-2", &critical.cert[0]),
    );
    assert_eq!(refused.status, 400, "{}", refused.body);
    assert!(refused.body.contains("1.2.3.4"), "{}", refused.body);
    assert_eq!(asked(&instance, "pump-2", &critical), [401_002; 5]);
    let old = pumps.device_of_version_1("pump-3");
    assert_eq!(asked(&instance, "pump-3", &old), [401_002; 5]);
    let late = pumps.device("pump-4", Validity::Past);
    assert_eq!(asked(&instance, "pump-4", &late), [401_002; 5]);
    let leaf = pumps.device("pump-5", Validity::Current);
    let refused = put_group(&instance, "leaves", NEW, &group("leaves", &leaf.cert[0]));
    assert_eq!(refused.status, 400, "a device's certificate signs nobody");
    assert!(refused.body.contains("no CA"), "{}", refused.body);

    drop(instance);
    let log = std::fs::read_to_string(&log).expect("a log");
    let reasons = |name: &str| -> Vec<String> {
        let records = log
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
        let about = records.filter(|record| {
            record["properties_s"]
                .as_str()
                .is_some_and(|of| of.contains(&format!("\"{name}\"")))
                && record["OperationName"] == "AttestationAttempt"
        });
        about
            .map(|record| {
                record["ResultDescription"]
                    .as_str()
                    .expect("text")
                    .to_owned()
            })
            .collect()
    };
    for (name, words) in [
        ("secp256k1", "secp256k1"),
        ("rsa-pss", "RSA-PSS"),
        ("rsa-1024", "1024"),
        ("explicit-curve", "without a name"),
        ("garbage", "can't be read"),
        ("pump-2", "1.2.3.4"),
        ("pump-3", "version 3"),
        ("pump-4", "expired"),
    ] {
        let reasons = reasons(name);
        assert_eq!(reasons.len(), 5, "{name}");
        for reason in reasons {
            assert!(
                reason.starts_with("401002: Invalid certificate: "),
                "{reason}"
            );
            assert!(reason.contains(words), "{reason}");
        }
    }
}

#[test]
fn a_certificate_whose_key_proves_nothing_opens_no_hub() {
    let yard = yard();
    for (name, pem) in UNVERIFIABLE {
        let der = der(pem);
        let digits: String = thumbprint(&der)
            .iter()
            .map(|byte| format!("{byte:02X}"))
            .collect();
        let identity = json!({
            "deviceId": name,
            "authentication": {
                "type": "selfSigned",
                "x509Thumbprint": {"primaryThumbprint": digits},
            },
        });
        let line = format!("PUT /devices/{name}?api-version=2021-04-12");
        let created = as_service(&yard, &line, &[], &identity.to_string());
        assert_eq!(created.status, 200, "{}", created.body);
        let device = caller(name, &pretender(der));
        let line = format!("GET /devices/{name}/messages/deviceBound?api-version=2021-04-12");
        assert_eq!(
            as_device(&yard, &device, &line, &[], b"").status,
            401,
            "{name}"
        );
    }
}
