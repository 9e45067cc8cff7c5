//! A server that is started anew.

use super::*;
use crate::store::durability::Durability;

#[test]
fn registrations_outlive_the_server_wherever_they_are() {
    let folder = tempfile::tempdir().expect("a folder");
    let open = || Store::in_folder(folder.path(), Durability::Process).expect("free");
    let mut told = Told::kept_in(&open());
    let key = told.challenge();
    let sas = told.sas(&key, HOUR);
    let (_, of_vault) = told.vault(DeviceOperation::Register, Some(&sas));
    let (_, of_pump) = told.pump(DeviceOperation::Register, &told.pump);
    told.pass(PROCESSING);
    let hub_key = |told: &Told| {
        let (status, body) = told.vault(operation(&of_vault), Some(&sas));
        assert_eq!(status, 200, "{body}");
        let blob = body["registrationState"]["tpm"]["authenticationKey"].as_str();
        let key = told.tpm.activate(blob.expect("a hub key"));
        let hub = body["registrationState"]["assignedHub"].clone();
        (hub, key.expect("for this TPM").sign(b"text"))
    };
    let before = hub_key(&told);
    let lock_sas = |told: &Told| {
        let expiry = (told.now + HOUR).as_second();
        let resource = "0ne00000001/registrations/lock";
        SasToken::format(resource, expiry, None, |text| lock_key(1).sign(text))
    };
    let register = DeviceOperation::Register;
    let (_, of_lock) = told.ask("lock", register, b"", Some(&lock_sas(&told)), &[]);
    let pump = told.pump(operation(&of_pump), &told.pump);
    assert_eq!(pump.0, 200);

    let now = told.now;
    let (certificate, renewed_pump) = (told.pump.clone(), told.renewed_pump.clone());
    let tpm = std::mem::replace(&mut told.tpm, SoftwareTpm::new());
    drop(told);
    let again = || Told {
        now,
        pump: certificate.clone(),
        renewed_pump: renewed_pump.clone(),
        ..Told::kept_in(&open())
    };
    let mut told = Told { tpm, ..again() };
    assert_eq!(told.pump(operation(&of_pump), &told.pump), pump);
    assert_eq!(hub_key(&told), before);
    let (status, body) = told.ask(
        "lock",
        operation(&of_lock),
        b"",
        Some(&lock_sas(&told)),
        &[],
    );
    assert_eq!((status, &body["status"]), (202, &json!("assigning")));
    told.pass(PROCESSING);
    let (status, body) = told.ask(
        "lock",
        operation(&of_lock),
        b"",
        Some(&lock_sas(&told)),
        &[],
    );
    assert_eq!((status, &body["status"]), (200, &json!("assigned")));
    assert_eq!(told.service.registrations.count(), 3);
    assert_eq!(
        told.service.remove_registration("PUMP", Condition::None),
        Ok(())
    );
    drop(told);

    let mut told = again();
    told.pass(PROCESSING);
    let (status, same) = told.ask(
        "lock",
        operation(&of_lock),
        b"",
        Some(&lock_sas(&told)),
        &[],
    );
    assert_eq!((status, same), (200, body));
    let (_, body) = told.pump(operation(&of_pump), &told.pump);
    assert_eq!(body["errorCode"], 404_203, "it was removed");
    assert_eq!(told.service.registrations.count(), 2);
}

/// By hand, for the figure: `cargo test --release -p fleetstorm-reference-server --lib million -- --ignored
/// --nocapture`; `FLEETSTORM_REGISTRATIONS` says how many, if not a million.
#[test]
#[ignore = "takes minutes: registers a million devices before it loads them"]
fn a_million_registrations_are_loaded() {
    let asked = std::env::var("FLEETSTORM_REGISTRATIONS");
    let devices: usize = asked
        .as_deref()
        .unwrap_or("1000000")
        .parse()
        .expect("a number");
    let folder = tempfile::tempdir().expect("a folder");
    let open = || Store::in_folder(folder.path(), Durability::Process).expect("free");
    let mut told = Told::kept_in(&open());
    let group = json!({"enrollmentGroupId": "fleet", "attestation": {
        "type": "symmetricKey", "symmetricKey": {"primaryKey": lock_key(5)}}});
    let group = Enrollment::from_json(&group.to_string()).expect("an enrollment");
    let list = told.service.enrollments();
    list.put(&group, Condition::None, told.now).expect("good");
    let expiry = (told.now + HOUR).as_second();
    let ask = |told: &Told, device: usize, operation: DeviceOperation| {
        let id = format!("meter-{device:07}");
        let key = lock_key(5).derive(&id);
        let resource = format!("0ne00000001/registrations/{id}");
        let sas = SasToken::format(&resource, expiry, None, |text| key.sign(text));
        told.ask(&id, operation, b"", Some(&sas), &[])
    };
    let began = std::time::Instant::now();
    let operations: Vec<_> = (0..devices)
        .map(|device| operation(&ask(&told, device, DeviceOperation::Register).1))
        .collect();
    told.pass(PROCESSING);
    for (device, operation) in operations.into_iter().enumerate() {
        assert_eq!(ask(&told, device, operation).0, 200);
    }
    let registered = began.elapsed();
    drop(told);
    let began = std::time::Instant::now();
    let store = open();
    let opened = began.elapsed();
    let told = Told::kept_in(&store);
    let loaded = began.elapsed();
    let count = told.service.registrations.count();
    assert_eq!(count, devices);
    println!("{devices} registered in {registered:?}; opened in {opened:?}, loaded in {loaded:?}");
}
