//! CA certificates: entered, proven to be their owner's, named by groups, rolled over.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use fleetstorm_reference_server::{CaCertificateConfig, Config, InstanceConfig};
use serde_json::{Value, json};

use crate::certificates::{Authority, Validity};
use crate::dialect;
use crate::hub::http::{Response, to_control};
use crate::instance::{ID_SCOPE, Instance, caller, quick, tenant};
use crate::questions::register;
use crate::service_api::put_group;

/// A request about a CA certificate; `{}` in its line is the instance's place.
fn at(instance: &Instance, line: &str, headers: &[(&str, &str)], body: &Value) -> Response {
    let place = format!("/instances/{ID_SCOPE}/certificates");
    let body = if body.is_null() {
        String::new()
    } else {
        body.to_string()
    };
    to_control(instance, &line.replace("{}", &place), headers, &body)
}

fn resource(authority: &Authority) -> Value {
    json!({"properties": {"certificate": STANDARD.encode(authority.root_pem())}})
}

/// A group of devices below CA certificates, by name, as a list has it.
fn halls(primary: &str, secondary: Option<&str>) -> String {
    let names = json!({"primary": primary, "secondary": secondary});
    let x509 = json!({"type": "x509", "x509": {"caReferences": names}});
    json!({"enrollmentGroupId": "halls", "attestation": x509}).to_string()
}

#[test]
fn a_group_trusts_a_certificate_once_its_owner_has_proven_to_hold_the_key() {
    let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
    let instance = Instance::start(quick());
    let entered = at(&instance, "PUT {}/factory", &[], &resource(&ours)).json();
    assert_eq!(entered["properties"]["isVerified"], false);
    let subject = entered["properties"]["subject"].as_str();
    assert!(subject.is_some_and(|subject| subject.contains("ours root")));
    assert_eq!(
        entered["properties"]["expiry"],
        "Thu, 01 Jan 2054 00:00:00 GMT"
    );

    let put = |condition, halls: String| put_group(&instance, "halls", condition, &halls);
    let enroll = || put(("If-None-Match", "*"), halls("factory", None));
    let refused = enroll();
    assert_eq!(refused.status, 400, "nobody has proven anything");
    assert!(refused.body.contains("caReferences"), "{}", refused.body);

    let prove = |certificate: String| {
        let proof = json!({"certificate": certificate});
        at(&instance, "POST {}/factory/verify", &[], &proof)
    };
    assert_eq!(prove(ours.proof("0000")).status, 400, "without a code");
    let coded = at(
        &instance,
        "POST {}/factory/generateVerificationCode",
        &[],
        &Value::Null,
    );
    let coded = coded.json();
    let code = coded["properties"]["verificationCode"]
        .as_str()
        .expect("a code");
    assert_eq!(prove(ours.proof("0000")).status, 400, "another code");
    assert_eq!(prove(theirs.proof(code)).status, 400, "another key");
    let old = [("If-Match", entered["etag"].as_str().expect("a tag"))];
    let late = json!({"certificate": ours.proof(code)});
    assert_eq!(
        at(&instance, "POST {}/factory/verify", &old, &late).status,
        412
    );
    let proven = prove(ours.proof(code)).json();
    assert_eq!(proven["properties"]["isVerified"], true);
    assert_eq!(
        prove(ours.proof(code)).status,
        400,
        "a code is good for once"
    );

    assert_eq!(enroll().status, 200);
    let status = |authority: &Authority, validity| {
        let device = caller("loom-1", &authority.device("loom-1", validity));
        let statuses = dialect::ALL.map(|dialect| {
            (dialect.ask)(instance.server.announcement(), &device, &register()).status
        });
        assert!(
            statuses.iter().all(|status| *status == statuses[0]),
            "{statuses:?}"
        );
        statuses[0]
    };
    assert_eq!(status(&ours, Validity::Current), 202);
    assert_eq!(status(&ours, Validity::Past), 401);
    assert_eq!(status(&theirs, Validity::Current), 401);

    // Rolled over: the next certificate beside the first, then without it.
    let mut next = resource(&theirs);
    next["properties"]["isVerified"] = true.into();
    assert_eq!(at(&instance, "PUT {}/Factory-2", &[], &next).status, 200);
    let both = halls("factory", Some("factory-2"));
    assert_eq!(put(("If-Match", "*"), both).status, 200);
    assert_eq!(status(&ours, Validity::Current), 202);
    assert_eq!(status(&theirs, Validity::Current), 202);
    assert_eq!(
        at(&instance, "DELETE {}/factory", &[], &Value::Null).status,
        200
    );
    assert_eq!(status(&ours, Validity::Current), 401);
    assert_eq!(status(&theirs, Validity::Current), 202);

    let names = at(&instance, "GET {}", &[], &Value::Null).json();
    assert_eq!(names["value"][0]["name"], "Factory-2");
    assert_eq!(names["value"].as_array().map(Vec::len), Some(1));
    let gone = at(&instance, "GET {}/factory", &[], &Value::Null);
    assert_eq!(gone.status, 404);
    assert!(!gone.body.contains("nrollment"), "{}", gone.body);
}

#[test]
fn there_are_twenty_five_and_what_can_sign_nobody_is_none() {
    let root = Authority::new("ours");
    let instance = Instance::start(quick());
    for number in 0..25 {
        let line = format!("PUT {{}}/ca-{number}");
        assert_eq!(at(&instance, &line, &[], &resource(&root)).status, 200);
    }
    let more = at(&instance, "PUT {}/ca-25", &[], &resource(&root));
    assert!(more.body.contains("quota"), "{}", more.body);
    for body in [
        json!({"properties": {"certificate": "bm9uZQ=="}}),
        json!({"certificate": root.root_pem()}),
    ] {
        assert_eq!(
            at(&instance, "PUT {}/ca-1", &[], &body).status,
            400,
            "{body}"
        );
    }
}

#[test]
fn the_configuration_has_verified_ones_for_the_list_to_name() {
    let root = Authority::new("ours");
    let folder = tempfile::tempdir().expect("a folder");
    let (ca, list) = (folder.path().join("ca.pem"), folder.path().join("list"));
    std::fs::write(&ca, root.root_pem()).expect("a file");
    std::fs::write(&list, halls("factory", None)).expect("a file");
    let instance = Instance::start(Config {
        instances: vec![InstanceConfig {
            ca_certificates: vec![CaCertificateConfig {
                name: "factory".into(),
                file: ca,
            }],
            enrollments: Some(list),
            ..tenant()
        }],
        ..quick()
    });
    let device = caller("loom-1", &root.device("loom-1", Validity::Current));
    let answer =
        (dialect::https::DIALECT.ask)(instance.server.announcement(), &device, &register());
    assert_eq!(answer.status, 202, "{}", answer.body);
}
