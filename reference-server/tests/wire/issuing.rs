//! Certificates that devices ask for as they register, and use at their hub from then on.

use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use fleetstorm_reference_server::{Config, CredentialPolicyConfig, InstanceConfig};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384,
};
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, UnixTime};
use rustls::sign::CertifiedKey;
use serde_json::{Value, json};
use tempfile::NamedTempFile;
use webpki::{ALL_VERIFICATION_ALGS, EndEntityCert, KeyUsage, anchor_from_trusted_cert};
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::dialect::{self, Ask, Caller, Dialect, Response, https};
use crate::hub::device::Device;
use crate::hub::http::{as_device, to_control};
use crate::hub::one_hub;
use crate::instance::{Instance, caller, stranger, tenant};
use crate::questions::token;

const FIRST: &str = "2025-07-01-preview";
const KEY: u8 = 9;
const DAY: i64 = 86_400;

fn policy(name: &str, validity_days: u32) -> CredentialPolicyConfig {
    CredentialPolicyConfig {
        name: name.into(),
        validity_days,
        ca_certificate: None,
        ca_key: None,
    }
}

/// Requests of `robot-0` for keys that can't be verified, made by OpenSSL.
const RSA_1024: &[u8] = include_bytes!("../../vectors/openssl/rsa-1024.csr");
const RSA_PSS: &[u8] = include_bytes!("../../vectors/openssl/rsa-pss.csr");
const SECP256K1: &[u8] = include_bytes!("../../vectors/openssl/secp256k1.csr");

/// A server that issues by policies `factory` and `field`; `bare` may ask for nothing.
fn start(config: Config) -> Instance {
    start_with(vec![policy("factory", 30), policy("field", 1)], config)
}

fn start_with(policies: Vec<CredentialPolicyConfig>, config: Config) -> Instance {
    let mut list = NamedTempFile::new().expect("a file");
    let mut enroll = |id: &str, policy: Value| {
        let key = STANDARD.encode([KEY; 32]);
        let line = json!({
            "registrationId": id,
            "attestation": {"type": "symmetricKey", "symmetricKey": {"primaryKey": key, "secondaryKey": key}},
            "credentialPolicyName": policy,
        });
        writeln!(list, "{line}").expect("a line");
    };
    for number in 0..dialect::ALL.len() {
        enroll(&format!("robot-{number}"), "factory".into());
    }
    enroll("rover", "Field".into());
    enroll("bare", Value::Null);
    Instance::start(Config {
        instances: vec![InstanceConfig {
            enrollments: Some(list.path().into()),
            credential_policies: policies,
            ..tenant()
        }],
        ..config
    })
}

fn device(id: &str) -> Caller {
    Caller {
        api_version: FIRST,
        sas: Some(token(id, KEY)),
        ..stranger(id)
    }
}

/// A request for a certificate, in DER, that also asks for what no device gets.
fn request(name: &str, key: &KeyPair) -> Vec<u8> {
    let mut params = CertificateParams::new(["*.example.com".to_owned()]).expect("a name");
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let request = params.serialize_request(key).expect("a request");
    request.der().to_vec()
}

fn asking(csr: &[u8]) -> Ask {
    Ask::Register(json!({"csr": STANDARD.encode(csr)}).to_string().into())
}

/// Registers, and polls to the end.
fn provision(
    dialect: &Dialect,
    instance: &Instance,
    caller: &Caller,
    ask: &Ask,
) -> (Ask, Response) {
    let server = instance.server.announcement();
    let accepted = (dialect.ask)(server, caller, ask);
    assert_eq!(accepted.status, 202, "{}", accepted.body);
    let operation = accepted.body["operationId"].as_str().expect("an id");
    let operation = Ask::OperationStatus(operation.into());
    let ended = (dialect.ask)(server, caller, &operation);
    assert_eq!(ended.body["status"], "assigned", "{}", ended.body);
    (operation, ended)
}

fn chain(answer: &Response) -> Vec<CertificateDer<'static>> {
    let chain = &answer.body["registrationState"]["issuedCertificateChain"];
    let chain = chain.as_array().expect("a chain").iter();
    let der = |text: &Value| {
        STANDARD
            .decode(text.as_str().expect("text"))
            .expect("base64")
    };
    chain.map(|text| der(text).into()).collect()
}

/// The device with its new certificate.
fn with(id: &str, chain: &[CertificateDer<'static>], key: &KeyPair) -> Caller {
    let key = any_supported_type(&PrivatePkcs8KeyDer::from(key.serialize_der()).into());
    let shown = CertifiedKey::new(chain[..2].to_vec(), key.expect("a key to sign with"));
    caller(id, &Arc::new(shown))
}

#[test]
fn a_certificate_is_issued_over_every_transport_and_opens_the_hub() {
    let instance = start(one_hub());
    for (number, dialect) in dialect::ALL.iter().enumerate() {
        let id = format!("robot-{number}");
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).expect("a key");
        let asked = asking(&request(&id, &key));
        let (_, ended) = provision(dialect, &instance, &device(&id), &asked);
        let chain = chain(&ended);
        assert_eq!(chain.len(), 3, "leaf, issuing CA, root");

        let root = anchor_from_trusted_cert(&chain[2]).expect("a root");
        let leaf = EndEntityCert::try_from(&chain[0]).expect("a leaf");
        leaf.verify_for_usage(
            ALL_VERIFICATION_ALGS,
            &[root],
            &chain[1..2],
            UnixTime::now(),
            KeyUsage::client_auth(),
            None,
            None,
        )
        .expect("it leads to the root");
        let (_, leaf) = X509Certificate::from_der(&chain[0]).expect("a certificate");
        assert_eq!(leaf.subject().to_string(), format!("CN={id}"));
        assert!(
            leaf.subject_alternative_name()
                .expect("one at most")
                .is_none()
        );
        let uses = leaf.extended_key_usage().expect("one at most");
        let uses = uses.expect("there are uses").value;
        assert!(uses.client_auth && !uses.server_auth);
        assert!(!leaf.is_ca());
        let life = leaf.validity().not_after.timestamp() - leaf.validity().not_before.timestamp();
        assert!((30 * DAY..30 * DAY + 600).contains(&life), "{life}");

        let events = format!("POST /devices/{id}/messages/events?api-version=2021-04-12");
        let robot = with(&id, &chain, &key);
        Device::connect(&instance, &robot);
        assert_eq!(as_device(&instance, &robot, &events, &[], b"").status, 204);

        // Registered anew with another key: the hub knows it by that, and by nothing else.
        let other = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).expect("a key");
        let asked = asking(&request(&id.to_uppercase(), &other));
        let (_, ended) = provision(dialect, &instance, &device(&id), &asked);
        let renewed = with(&id, &self::chain(&ended), &other);
        Device::connect(&instance, &renewed);
        assert_eq!(as_device(&instance, &robot, &events, &[], b"").status, 401);
    }
}

#[test]
fn policies_have_their_own_authorities_and_validity() {
    let instance = start(one_hub());
    let issued = |id: &str| {
        let key = KeyPair::generate().expect("a key");
        let asked = asking(&request(id, &key));
        chain(&provision(&https::DIALECT, &instance, &device(id), &asked).1)
    };
    let (factory, again, field) = (issued("robot-0"), issued("robot-1"), issued("rover"));
    assert_eq!(factory[1..], again[1..]);
    assert_ne!(factory[2], field[2]);
    let (_, leaf) = X509Certificate::from_der(&field[0]).expect("a certificate");
    assert!(leaf.validity().not_after.timestamp() < UnixTime::now().as_secs() as i64 + DAY + 60);
}

#[test]
fn a_ca_of_the_users_own_signs_and_none_of_its_certificates_outlives_it() {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let tomorrow = SystemTime::now() + Duration::from_secs(86_400);
    params.not_after = tomorrow.into();
    let key = KeyPair::generate().expect("a key");
    let ca = params.self_signed(&key).expect("a CA");
    let file = |text: String| {
        let mut file = NamedTempFile::new().expect("a file");
        file.write_all(text.as_bytes()).expect("PEM");
        file
    };
    let (certificate, key) = (file(ca.pem()), file(key.serialize_pem()));
    let own = CredentialPolicyConfig {
        ca_certificate: Some(certificate.path().into()),
        ca_key: Some(key.path().into()),
        ..policy("factory", 30)
    };
    let instance = start_with(vec![own, policy("field", 1)], one_hub());
    let key = KeyPair::generate().expect("a key");
    let asked = asking(&request("robot-0", &key));
    let (_, ended) = provision(&https::DIALECT, &instance, &device("robot-0"), &asked);
    let chain = chain(&ended);
    assert_eq!(chain[1..], [ca.der().clone()]);
    let until = |der| {
        let (_, certificate) = X509Certificate::from_der(der).expect("a certificate");
        certificate.validity().not_after.timestamp()
    };
    assert_eq!(until(&chain[0]), until(&chain[1]));
}

#[test]
fn who_asks_for_nothing_is_issued_nothing_and_look_ups_tell_no_chain() {
    let instance = start(one_hub());
    let server = instance.server.announcement();
    let plain = Ask::Register(b"{}".to_vec());
    let (_, ended) = provision(&https::DIALECT, &instance, &device("robot-0"), &plain);
    let state = &ended.body["registrationState"];
    assert_eq!(state.get("issuedCertificateChain"), None);

    let key = KeyPair::generate().expect("a key");
    let asked = asking(&request("robot-1", &key));
    let (operation, first) = provision(&https::DIALECT, &instance, &device("robot-1"), &asked);
    let again = (https::DIALECT.ask)(server, &device("robot-1"), &operation);
    assert_eq!(chain(&first), chain(&again), "it is issued once");
    let metrics = to_control(&instance, "GET /metrics", &[], "").body;
    let name = "dps_certificates_issued_total{provisioning_service_name=\"dps-1.fleetstorm.test\"}";
    assert!(metrics.contains(&format!("{name} 1\n")), "{metrics}");
}

#[test]
fn a_request_that_can_not_be_granted_is_refused_and_told_why() {
    let instance = start(one_hub());
    let server = instance.server.announcement();
    let key = KeyPair::generate().expect("a key");
    let good = request("robot-0", &key);
    let mut forged = good.clone();
    // Within the signature, behind its tags and lengths.
    *forged.last_mut().expect("not empty") ^= 1;
    let old = Caller {
        api_version: "2021-06-01",
        ..device("robot-0")
    };
    let robot = || device("robot-0");
    let rows = [
        (old, asking(&good), "api-version 2021-06-01 knows none"),
        (
            device("bare"),
            asking(&request("bare", &key)),
            "names no credentialPolicyName",
        ),
        (
            robot(),
            asking(&request("robot-9", &key)),
            "\"robot-9\", is not the registration id",
        ),
        (robot(), asking(&forged), "can't be used"),
        (
            robot(),
            asking(&[&good[..], &[0]].concat()),
            "is followed by 1 bytes",
        ),
        (robot(), asking(RSA_1024), "an RSA key of 1024 bits"),
        (robot(), asking(RSA_PSS), "RSA-PSS"),
        (robot(), asking(SECP256K1), "secp256k1"),
        (robot(), asking(b"hello"), "is not DER of PKCS#10"),
        (robot(), asking(&[0x30; 9_000]), "is longer than 8192 bytes"),
        (
            robot(),
            Ask::Register(br#"{"csr":"-----BEGIN CERTIFICATE REQUEST-----"}"#.to_vec()),
            "is not base64",
        ),
        (
            robot(),
            Ask::Register(br#"{"csr":7}"#.to_vec()),
            "expected a string",
        ),
    ];
    for ((device, ask, words), dialect) in rows.iter().zip(dialect::ALL.iter().cycle()) {
        let refused = (dialect.ask)(server, device, ask);
        let code = &refused.body["errorCode"];
        assert_eq!((refused.status, code), (400, &json!(400_004)), "{words}");
        let message = refused.body["message"].as_str().expect("a message");
        assert!(message.contains(words), "{message}");
    }
}

#[test]
fn what_was_issued_outlives_the_server() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = || Config {
        data_dir: Some(folder.path().into()),
        ..one_hub()
    };
    let key = KeyPair::generate().expect("a key");
    let asked = asking(&request("robot-0", &key));
    let instance = start(config());
    let (operation, first) = provision(&https::DIALECT, &instance, &device("robot-0"), &asked);
    drop(instance);

    let instance = start(config());
    let server = instance.server.announcement();
    let again = (https::DIALECT.ask)(server, &device("robot-0"), &operation);
    assert_eq!(chain(&first), chain(&again));
    let robot = with("robot-0", &chain(&first), &key);
    Device::connect(&instance, &robot);
    let (_, renewed) = provision(&https::DIALECT, &instance, &device("robot-0"), &asked);
    assert_eq!(chain(&first)[1..], chain(&renewed)[1..], "the same CA");
    assert_ne!(chain(&first)[0], chain(&renewed)[0]);
}
