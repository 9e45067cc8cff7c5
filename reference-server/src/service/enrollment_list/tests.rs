use super::*;

fn links() -> Vec<LinkedHub> {
    vec![LinkedHub {
        hub: 0,
        host_name: "hub-1.test".into(),
        region: None,
        weight: 1,
        applies: true,
    }]
}

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

fn list() -> EnrollmentList {
    EnrollmentList::new(&links(), AllocationPolicy::Hashed)
}

fn put(list: &EnrollmentList, text: &str, condition: Condition<'_>) -> Result<Value, WriteError> {
    let enrollment = Enrollment::from_json(text).expect("an enrollment");
    list.put(&enrollment, condition, NOW)
}

fn add(line: &str) -> Result<(), String> {
    let enrollment = Enrollment::from_json(line).map_err(|e| e.to_string())?;
    let put = list().put(&enrollment, Condition::Absent, NOW);
    put.map(drop).map_err(|e| e.to_string())
}

#[test]
fn what_can_not_serve_is_refused_with_its_field() {
    let certificate = rcgen::generate_simple_self_signed(["a".to_owned()]).expect("a certificate");
    let pem = serde_json::to_string(&certificate.cert.pem()).expect("JSON");
    let x509 = format!(
        r#""attestation":{{"type":"x509","x509":{{"clientCertificates":{{"primary":{{"certificate":{pem}}}}}}}}}"#
    );
    assert_eq!(add(&format!(r#"{{"registrationId":"a",{x509}}}"#)), Ok(()));
    for (line, words) in [
        (format!(r#"{{"registrationId":"a b",{x509}}}"#), "registration id"),
        (format!(r#"{{"registrationId":"a","iotHubs":["hub-9.test"],{x509}}}"#), "iotHubs: \"hub-9.test\" is not linked"),
        (format!(r#"{{"registrationId":"a","allocationPolicy":"nearest",{x509}}}"#), "allocationPolicy: \"nearest\" is not served here"),
        (format!(r#"{{"registrationId":"a","allocationPolicy":"custom",{x509}}}"#), "customAllocationDefinition: is missing"),
        (format!(r#"{{"registrationId":"a","allocationPolicy":"custom","customAllocationDefinition":{{"webhookUrl":"f","apiVersion":"2021-10-01"}},{x509}}}"#), "customAllocationDefinition.webhookUrl: "),
        (format!(r#"{{"registrationId":"a","customAllocationDefinition":{{"webhookUrl":"http://f.test","apiVersion":""}},{x509}}}"#), "customAllocationDefinition.apiVersion: \"\" is older than 2018-09-01-preview"),
        (format!(r#"{{"registrationId":"a","allocationPolicy":"static",{x509}}}"#), "static allocation needs the one hub"),
        (format!(r#"{{"enrollmentGroupId":"g",{x509}}}"#), "signingCertificates: is missing"),
        (r#"{"registrationId":"a","attestation":{"type":"tpm","tpm":{"endorsementKey":"AAAA"}}}"#.into(), "endorsementKey"),
        (r#"{"enrollmentGroupId":"g","attestation":{"type":"tpm","tpm":{"endorsementKey":"AAAA"}}}"#.into(), "by TPM"),
        (r#"{"registrationId":"a","attestation":{"type":"x509","x509":{"clientCertificates":{}}}}"#.into(), "no certificate"),
    ] {
        let problem = add(&line).expect_err(&line);
        assert!(problem.contains(words), "{line}: {problem}");
    }
}

#[test]
fn there_are_a_hundred_groups_with_keys_and_no_more() {
    let list = list();
    let add = |number: usize| {
        let text = format!(
            r#"{{"enrollmentGroupId":"g-{number}","attestation":{{"type":"symmetricKey"}}}}"#
        );
        put(&list, &text, Condition::Absent).map(drop)
    };
    for number in 0..100 {
        assert_eq!(add(number), Ok(()));
    }
    assert!(matches!(add(100), Err(WriteError::Full(_))));
    assert_eq!(list.remove(Kind::Group, "G-7", Condition::None), Ok(()));
    assert_eq!(add(100), Ok(()));
}

const PUMP: &str = r#"{"registrationId":"Pump","attestation":{"type":"symmetricKey"}}"#;

#[test]
fn what_is_written_depends_on_the_entity_tag() {
    let list = list();
    assert_eq!(
        put(&list, PUMP, Condition::Exists),
        Err(WriteError::NotFound)
    );
    let first = put(&list, PUMP, Condition::Absent).expect("new");
    assert_eq!(first["registrationId"], "pump");
    let tag = first["etag"].as_str().expect("a tag");
    assert!(matches!(
        put(&list, PUMP, Condition::Absent),
        Err(WriteError::Exists(_))
    ));
    let second = put(&list, PUMP, Condition::Is(tag.trim_matches('"'))).expect("unchanged");
    assert_eq!(
        put(&list, PUMP, Condition::Is(tag)),
        Err(WriteError::OtherTag)
    );
    assert_eq!(
        list.remove(Kind::Individual, "pump", Condition::Is(tag)),
        Err(WriteError::OtherTag)
    );
    let tag = second["etag"].as_str().expect("a tag");
    assert_eq!(list.get(Kind::Individual, "PUMP").as_ref(), Some(&second));
    assert_eq!(
        list.remove(Kind::Individual, "PUMP", Condition::Is(tag)),
        Ok(())
    );
    assert_eq!(list.get(Kind::Individual, "pump"), None);
    assert_eq!(
        list.remove(Kind::Individual, "pump", Condition::None),
        Err(WriteError::NotFound)
    );
}

#[test]
fn keys_are_told_apart_and_stay_when_an_update_leaves_them_out() {
    let list = list();
    let written = put(&list, PUMP, Condition::None).expect("new");
    assert_eq!(
        written["attestation"],
        serde_json::json!({"type": "symmetricKey"})
    );
    let keys = list.attestation(Kind::Individual, "pump").expect("there");
    assert_eq!(
        keys["symmetricKey"]["primaryKey"].as_str().map(str::len),
        Some(88)
    );
    put(&list, PUMP, Condition::None).expect("again");
    assert_eq!(
        list.attestation(Kind::Individual, "pump"),
        Some(keys.clone())
    );
    let rolled = r#"{"registrationId":"pump","attestation":{"type":"symmetricKey","symmetricKey":{"primaryKey":"AAECAwQFBgcICQoLDA0ODw=="}}}"#;
    put(&list, rolled, Condition::None).expect("rolled");
    let after = list.attestation(Kind::Individual, "pump").expect("there");
    assert_eq!(
        after["symmetricKey"]["primaryKey"],
        "AAECAwQFBgcICQoLDA0ODw=="
    );
    assert_eq!(
        after["symmetricKey"]["secondaryKey"],
        keys["symmetricKey"]["secondaryKey"]
    );
}

#[test]
fn a_certificate_stays_when_an_update_sends_back_its_description() {
    let certificate = rcgen::generate_simple_self_signed(["a".to_owned()]).expect("a certificate");
    let pem = serde_json::to_string(&certificate.cert.pem()).expect("JSON");
    let list = list();
    let text = format!(
        r#"{{"registrationId":"a","attestation":{{"type":"x509","x509":{{"clientCertificates":{{"primary":{{"certificate":{pem}}}}}}}}}}}"#
    );
    let mut written = put(&list, &text, Condition::None).expect("new");
    let info = &written["attestation"]["x509"]["clientCertificates"]["primary"]["info"];
    assert_eq!(info["sha256Thumbprint"].as_str().map(str::len), Some(64));
    assert_eq!(info["version"], 3);
    written["provisioningStatus"] = "disabled".into();
    let again = put(&list, &written.to_string(), Condition::None).expect("sent back");
    assert_eq!(again["attestation"], written["attestation"]);
    assert_eq!(again["provisioningStatus"], "disabled");
}

#[test]
fn pages_list_everything_once() {
    let list = list();
    for number in 0..250 {
        let individual =
            format!(r#"{{"registrationId":"d-{number}","attestation":{{"type":"symmetricKey"}}}}"#);
        put(&list, &individual, Condition::None).expect("new");
    }
    for number in 0..25 {
        let group = format!(
            r#"{{"enrollmentGroupId":"g-{number}","attestation":{{"type":"symmetricKey"}}}}"#
        );
        put(&list, &group, Condition::None).expect("new");
    }
    for (kind, member, limit, total) in [
        (Kind::Individual, "registrationId", 100, 250),
        (Kind::Group, "enrollmentGroupId", 10, 25),
    ] {
        let (mut seen, mut from) = (std::collections::BTreeSet::new(), None);
        loop {
            let page = list.page(kind, from.as_deref(), limit);
            assert!(page.items.len() <= limit);
            for item in &page.items {
                assert!(seen.insert(item[member].as_str().expect("an id").to_owned()));
            }
            from = page.next;
            if from.is_none() {
                break;
            }
        }
        assert_eq!(seen.len(), total);
    }
}

#[test]
fn an_enrollment_that_leads_nowhere_is_refused() {
    let mut links = links();
    links[0].applies = false;
    let list = EnrollmentList::new(&links, AllocationPolicy::Hashed);
    let refused = put(&list, PUMP, Condition::None).expect_err("no hub applies");
    assert!(
        refused.to_string().contains("iotHubs: name a hub"),
        "{refused}"
    );
    let named = PUMP.replacen('{', r#"{"iotHubs":["hub-1.test"],"#, 1);
    assert!(put(&list, &named, Condition::None).is_ok());
}
