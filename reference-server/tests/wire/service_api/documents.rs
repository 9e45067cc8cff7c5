//! What an enrollment may say, and what it comes to.

use super::*;

#[test]
fn documents_are_read_as_the_real_service_reads_them() {
    let instance = office();
    for query in [
        json!({"query": "{'additional_properties': {}, 'query': 'SELECT *'}"}),
        json!({"query": "SELECT * FROM enrollments WHERE x = 1"}),
        json!({"Query": "SELECT *"}),
    ] {
        for line in ["POST /enrollments/query", "POST /enrollmentGroups/query"] {
            let found = ask(&instance, line, &[], &query);
            assert_eq!(found.status, 200, "{line}: {}", found.body);
            assert!(!found.json().as_array().expect("a list").is_empty());
        }
    }
    let refused = ask(
        &instance,
        "POST /enrollments/query",
        &[],
        &json!({"query": 7}),
    );
    assert_eq!(refused.status, 400);
    assert!(
        refused.body.contains("query: invalid type"),
        "{}",
        refused.body
    );

    let written = json!({
        "RegistrationId": "Fan", "Attestation": {"Type": "SymmetricKey", "SymmetricKey": null},
        "ProvisioningStatus": "Disabled", "Capabilities": {"IotEdge": "true"}, "IotHubs": null,
        "ReprovisionPolicy": {"UpdateHubAssignment": "False"},
        "InitialTwin": {"Tags": null, "Properties": {"Desired": {"Status": "7"}}},
    });
    let read = ask(&instance, "PUT /enrollments/fan", &[], &written);
    assert_eq!(read.status, 200, "{}", read.body);
    let read = read.json();
    assert_eq!(read["provisioningStatus"], "disabled");
    assert_eq!(read["capabilities"], json!({"iotEdge": true}));
    assert_eq!(read["reprovisionPolicy"]["updateHubAssignment"], false);
    let twin = json!({"properties": {"desired": {"Status": "7"}}});
    assert_eq!(read["initialTwin"], twin);
    let refused = ask(
        &instance,
        "PUT /enrollments/fan-2",
        &[],
        &json!({
        "registrationId": "fan-2", "attestation": {"type": "symmetricKey"}, "iotHubs": 7}),
    );
    assert!(
        refused.body.contains("iotHubs: invalid type"),
        "{}",
        refused.body
    );
}

#[test]
fn what_no_twin_can_hold_is_refused_when_it_is_enrolled() {
    let instance = office();
    let deep = (1..14).fold(json!(1), |inner, _| json!({ "x": inner }));
    for (bad, problem) in [
        (json!({"a": [1, null]}), "null in an array"),
        (json!({"a": null}), "\"a\" is null"),
        (json!({"$x": 1}), "'$' is not allowed"),
        (json!({"a.b": 1}), "'.' is not allowed"),
        (deep, "deeper than 10"),
        (json!({"a": vec!["x".repeat(4_000); 20]}), "the limit is"),
    ] {
        for twin in [
            json!({"tags": bad}),
            json!({"properties": {"desired": bad}}),
        ] {
            let mut enrollment = fan();
            enrollment["initialTwin"] = twin;
            let refused = ask(&instance, "PUT /enrollments/fan", &[], &enrollment);
            let error = refused.json();
            assert_eq!(error["errorCode"], 400_004, "{}", refused.body);
            let message = error["message"].as_str().expect("words");
            assert!(
                message.starts_with("initialTwin: ") && message.contains(problem),
                "{message}"
            );
            let bulk = json!({"mode": "create", "enrollments": [enrollment]});
            let result = ask(&instance, "POST /enrollments", &[], &bulk).json();
            assert_eq!(result["errors"][0]["errorCode"], 400_004, "{result}");
        }
    }
}

#[test]
fn the_group_nearest_to_the_device_lets_it_in_whichever_was_entered_first() {
    let instance = office();
    let server = instance.server.announcement();
    let pump = instance.pump("pump-1");
    let intermediate = pump.certificate.as_ref().expect("it has one").cert[1].clone();
    let below = json!({
        "enrollmentGroupId": "hall-1",
        "attestation": {"type": "x509", "x509": {"signingCertificates": {
            "primary": {"certificate": STANDARD.encode(&intermediate)}}}},
    });
    let group_of = || {
        let accepted = (dialect::https::DIALECT.ask)(server, &pump, &register());
        assert_eq!(accepted.status, 202, "{}", accepted.body);
        let record = ask(&instance, "GET /registrations/pump-1", &[], &Value::Null).json();
        let gone = ask(&instance, "DELETE /registrations/pump-1", &[], &Value::Null);
        assert_eq!(gone.status, 204);
        record["x509"]["enrollmentGroupId"].clone()
    };
    assert_eq!(group_of(), "pumps", "the root's");
    let put = ask(&instance, "PUT /enrollmentGroups/hall-1", &[], &below);
    assert_eq!(put.status, 200, "{}", put.body);
    assert_eq!(group_of(), "hall-1");
}

#[test]
fn what_an_enrollment_says_is_kept_or_refused_and_never_dropped() {
    let instance = office();
    let created = ask(&instance, "PUT /enrollments/fan", &[], &fan());
    assert_eq!(created.status, 200, "{}", created.body);
    let with = |member: &str, value: Value| {
        let mut enrollment = fan();
        enrollment[member] = value;
        let over = [("If-Match", "*")];
        ask(&instance, "PUT /enrollments/fan", &over, &enrollment)
    };
    for (member, value) in [
        ("capabilities", json!({"iotEdge": true})),
        ("optionalDeviceInformation", json!({"line": 7})),
        ("iotHubHostName", json!("hub-2.fleetstorm.test")),
        ("deviceId", json!("Fan-1")),
        (
            "customAllocationDefinition",
            json!({"webhookUrl": "https://f.test/api?code=a", "apiVersion": "2021-10-01"}),
        ),
    ] {
        let written = with(member, value.clone());
        assert_eq!(written.json()[member], value, "{}", written.body);
        let read = ask(&instance, "GET /enrollments/fan", &[], &Value::Null);
        assert_eq!(read.json()[member], value);
    }
    for (member, value) in [
        ("credentialPolicyName", json!("issue")),
        ("allocationPolicy", json!("nearest")),
        (
            "customAllocationDefinition",
            json!({"webhookUrl": "ftp://f.test/", "apiVersion": "2021-10-01"}),
        ),
        (
            "customAllocationDefinition",
            json!({"webhookUrl": "https://f.test/", "apiVersion": "2099-01-01"}),
        ),
        (
            "customAllocationDefinition",
            json!({"webhookUrl": "https://f.test/", "apiVersion": "2018-04-01"}),
        ),
        ("iotHubs", json!(["hub-9.test"])),
    ] {
        let refused = with(member, value);
        assert_eq!(refused.status, 400, "{member}");
        assert!(refused.body.contains(member), "{}", refused.body);
    }
}

#[test]
fn a_certificate_stands_in_one_enrollment_and_a_signer_in_one_group() {
    let instance = office();
    let fan = self_signed("fan", Validity::Current);
    let own = |id: &str| {
        json!({
            "registrationId": id,
            "attestation": {"type": "x509", "x509": {"clientCertificates": {
                "primary": {"certificate": STANDARD.encode(&fan.cert[0])}}}},
        })
    };
    let put = |line: &str, document: &Value| ask(&instance, line, &[], document);
    assert_eq!(put("PUT /enrollments/fan", &own("fan")).status, 200);
    let again = [("If-Match", "*")];
    let again = ask(&instance, "PUT /enrollments/fan", &again, &own("fan"));
    assert_eq!(again.status, 200, "{}", again.body);
    let taken = put("PUT /enrollments/fan-2", &own("fan-2"));
    assert_eq!(taken.status, 409, "{}", taken.body);
    assert!(taken.body.contains("fan"), "{}", taken.body);
    assert_eq!(put("DELETE /enrollments/fan", &Value::Null).status, 204);
    assert_eq!(put("PUT /enrollments/fan-2", &own("fan-2")).status, 200);

    let root = Authority::new("hall");
    let put_group = |id: &str| {
        let line = format!("PUT /enrollmentGroups/{id}");
        put(&line, &group(id, &root, "enabled")).status
    };
    assert_eq!(put_group("hall-1"), 200);
    assert_eq!(put_group("hall-2"), 409);
}
