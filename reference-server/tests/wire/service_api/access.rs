//! Who may ask, how often, and in which version.

use super::*;

#[test]
fn what_is_not_signed_by_a_policy_that_may_is_refused() {
    let instance = office();
    let far = i64::from(u32::MAX);
    for (token, line, status) in [
        (None, "GET /enrollments/lock-1", 401),
        (Some("nonsense".into()), "GET /enrollments/lock-1", 401),
        (
            Some(signed("other.test", OWNER, far)),
            "GET /enrollments/lock-1",
            401,
        ),
        (
            Some(signed(ENDPOINT, OWNER, 1)),
            "GET /enrollments/lock-1",
            401,
        ),
        (
            Some(signed(ENDPOINT, (OWNER.0, 7), far)),
            "GET /enrollments/lock-1",
            401,
        ),
        (
            Some(signed(ENDPOINT, ("nobody", 41), far)),
            "GET /enrollments/lock-1",
            401,
        ),
        (
            Some(signed(ENDPOINT, OWNER, far)),
            "GET /enrollments/lock-1",
            200,
        ),
        (
            Some(signed(ENDPOINT, READER, far)),
            "GET /enrollments/lock-1",
            200,
        ),
        (
            Some(signed(ENDPOINT, READER, far)),
            "DELETE /enrollments/lock-1",
            403,
        ),
        (
            Some(signed(ENDPOINT, READER, far)),
            "POST /enrollments/lock-1/attestationmechanism",
            403,
        ),
        (
            Some(signed(ENDPOINT, READER, far)),
            "GET /registrations/lock-1",
            403,
        ),
        (
            Some(signed(ENDPOINT, OWNER, far)),
            "GET /nothing/lock-1",
            404,
        ),
        (
            Some(signed(ENDPOINT, OWNER, far)),
            "PATCH /enrollments/lock-1",
            405,
        ),
    ] {
        let headers: Vec<_> = token
            .as_deref()
            .map(|token| ("Authorization", token))
            .into_iter()
            .collect();
        let answer = send(&instance, line, &headers, "");
        assert_eq!(answer.status, status, "{line}: {}", answer.body);
        assert!(!answer.body.contains("primaryKey"), "{}", answer.body);
    }
}

#[test]
fn the_key_of_a_webhook_is_told_to_who_may_change_it() {
    let office = office();
    for (list, id) in [
        ("enrollments", "registrationId"),
        ("enrollmentGroups", "enrollmentGroupId"),
    ] {
        let enrollment = json!({
            id: "fan-1",
            "attestation": {"type": "symmetricKey"},
            "allocationPolicy": "custom",
            "customAllocationDefinition": {
                "webhookUrl": "http://f.test/api/allocate?code=secret-code",
                "apiVersion": "2021-10-01",
            },
        });
        let line = format!("/{list}/fan-1");
        let put = ask(&office, &format!("PUT {line}"), &[], &enrollment);
        assert_eq!(put.status, 200, "{}", put.body);
        for line in [format!("GET {line}"), format!("POST /{list}/query")] {
            let told = |who| {
                let token = signed(ENDPOINT, who, i64::from(u32::MAX));
                let headers = [("Authorization", token.as_str())];
                let query = r#"{"query":"SELECT * FROM enrollments"}"#;
                let body = if line.starts_with("GET") { "" } else { query };
                let answer = send(&office, &line, &headers, body);
                assert_eq!(answer.status, 200, "{line}: {}", answer.body);
                answer.body
            };
            assert!(told(OWNER).contains("?code=secret-code"), "{line}");
            let masked = told(READER);
            assert!(!masked.contains("secret-code"), "{masked}");
            assert!(
                masked.contains("http://f.test/api/allocate?****"),
                "{masked}"
            );
        }
    }
}

#[test]
fn an_api_version_that_nobody_has_published_is_refused_unless_the_configuration_adds_it() {
    let instance = Instance::start(Config {
        api_versions: vec!["2027-03-01-preview".into()],
        ..quick()
    });
    let server = instance.server.announcement();
    for (version, status) in [
        ("garbage", 400),
        ("2099-01-01", 400),
        ("2018%2D04-01", 401),
        ("2026-11-01", 401),
        ("2027-03-01-preview", 401),
    ] {
        let mut wire = dial(server, server.https, ENDPOINT, None, ALL_VERSIONS);
        let line = format!("GET /enrollments/lock-1?api-version={version}");
        wire.write_all(&request(&line, &[], b""))
            .expect("the server reads");
        let answer = Response::read(&mut wire);
        assert_eq!(answer.status, status, "{version}: {}", answer.body);
        if status == 400 {
            let error = answer.json();
            assert_eq!(error["errorCode"], 400_004);
            let words = format!("Unsupported API version {version}.");
            assert_eq!(error["message"], words);
        }
    }
    let pump = instance.pump("pump-1");
    for dialect in dialect::ALL {
        for (api_version, status) in [("2027-03-01-preview", 202), ("2027-03-02-preview", 400)] {
            let pump = dialect::Caller {
                api_version,
                ..pump.clone()
            };
            let answer = (dialect.ask)(server, &pump, &register());
            assert_eq!(
                answer.status, status,
                "{}: {}",
                dialect.transport, answer.body
            );
        }
    }
}

#[test]
fn operations_are_throttled_and_logged() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("dps.log");
    let policy = AccessPolicyConfig {
        name: OWNER.0.into(),
        key: Some(STANDARD.encode([OWNER.1; 32])),
        permissions: Permission::ALL.into(),
    };
    let instance = Instance::start(Config {
        diagnostic_log: Some(path.clone()),
        instances: vec![InstanceConfig {
            access_policies: vec![policy],
            throttle: Rates {
                operations_per_minute: 2,
                ..Rates::NONE
            },
            ..tenant()
        }],
        ..quick()
    });
    let answers: Vec<_> = (0..6)
        .map(|_| ask(&instance, "PUT /enrollments/fan", &[], &fan()))
        .collect();
    // A minute may end among them, once.
    let throttled: Vec<_> = answers
        .iter()
        .filter(|answer| answer.status == 429)
        .collect();
    assert!((2..=4).contains(&throttled.len()), "{}", throttled.len());
    let wait: u32 = throttled[0].header("retry-after").parse().expect("seconds");
    assert!((1..=60).contains(&wait), "{wait}");
    send(&instance, "GET /enrollments/fan", &[], "");
    drop(instance);

    let log = std::fs::read_to_string(&path).expect("a log");
    let records: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON lines"))
        .collect();
    assert_eq!(records.len(), 7, "{log}");
    let upsert = &records[0];
    for (column, value) in [
        ("Category", "ServiceOperations"),
        ("OperationName", "Upsert"),
        ("OperationVersion", "October2021"),
        ("ResultType", "Success"),
    ] {
        assert_eq!(upsert[column], value);
    }
    let about = r#"{"id":"fan","protocol":"Http","type":"IndividualEnrollment"}"#;
    assert_eq!(upsert["properties_s"], about);
    let signatures: Vec<_> = records
        .iter()
        .map(|one| one["ResultSignature"].clone())
        .collect();
    assert!(signatures.contains(&"429".into()), "{signatures:?}");
    assert_eq!(signatures[6], "401", "who is unsigned is logged, too");
    assert!(!log.contains(&STANDARD.encode([9; 32])), "no key is");
}
