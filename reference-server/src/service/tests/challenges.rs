//! TPMs and their challenges.

use super::*;

#[test]
fn a_challenge_can_be_answered_for_five_minutes() {
    for (seconds, status) in [(0, 202), (300, 202), (331, 401)] {
        let mut told = Told::new();
        let key = told.challenge();
        told.pass(Duration::from_secs(seconds));
        let sas = told.sas(&key, HOUR);
        assert_eq!(
            told.vault(DeviceOperation::Register, Some(&sas)).0,
            status,
            "{seconds} s"
        );
    }
}

#[test]
fn a_challenge_is_answered_though_the_clock_was_set_back_meanwhile() {
    for (seconds, status) in [(1, 202), (60, 202), (300, 202), (331, 401)] {
        let mut told = Told::new();
        let key = told.challenge();
        told.now -= Duration::from_secs(seconds);
        let sas = told.sas(&key, HOUR);
        let (answered, _) = told.vault(DeviceOperation::Register, Some(&sas));
        assert_eq!(answered, status, "{seconds} s");
    }
}

#[test]
fn who_answers_a_challenge_need_not_present_its_tpm_again() {
    let told = Told::new();
    let sas = told.sas(&told.challenge(), HOUR);
    let register = |body: &[u8]| {
        let register = DeviceOperation::Register;
        told.ask("vault", register, body, Some(&sas), &[])
    };
    // IoT Edge's identity service; and what Java does over AMQP.
    for body in [&br#"{"registrationId":"vault"}"#[..], b"{}", b""] {
        let (status, answer) = register(body);
        assert_eq!(status, 202, "{answer}");
    }
    let other = SoftwareTpm::new().presented();
    let (status, _) = register(json!({ "tpm": other }).to_string().as_bytes());
    assert_eq!(status, 401, "another TPM than the challenge's");
}

#[test]
fn a_challenge_proves_the_tpm_that_it_was_for_and_none_that_was_enrolled_since() {
    let mut told = Told::new();
    let (before, after) = (told.challenge(), SoftwareTpm::new());
    let (_, accepted) = told.vault(DeviceOperation::Register, Some(&told.sas(&before, HOUR)));
    let enrollment = json!({"registrationId": "vault", "attestation": {"type": "tpm", "tpm": {
        "endorsementKey": after.endorsement_key()}}});
    let enrollment = Enrollment::from_json(&enrollment.to_string()).expect("an enrollment");
    let list = told.service.enrollments();
    list.put(&enrollment, Condition::Exists, told.now)
        .expect("good");
    let sas = told.sas(&before, HOUR);
    for body in [json!({}), json!({"tpm": after.presented()})] {
        let body = body.to_string();
        let register = DeviceOperation::Register;
        let (status, answer) = told.ask("vault", register, body.as_bytes(), Some(&sas), &[]);
        assert_eq!(status, 401, "{answer}");
    }
    // Nor does the new TPM's answer open the registration of the old one.
    let old = std::mem::replace(&mut told.tpm, after);
    let newer = told.challenge();
    told.pass(PROCESSING);
    for (key, status) in [(&newer, 401), (&before, 200)] {
        let sas = told.sas(key, HOUR);
        let asked = told.vault(operation(&accepted), Some(&sas));
        assert_eq!(asked.0, status, "{}", asked.1);
    }
    drop(old);
}

#[test]
fn nobody_spoils_a_challenge_that_is_out() {
    let mut told = Told::new();
    let key = told.challenge();
    let register = |tpm: &Value| {
        let body = json!({ "tpm": tpm }).to_string();
        let register = DeviceOperation::Register;
        told.ask("vault", register, body.as_bytes(), None, &[]).0
    };
    let own = told.tpm.presented();
    // Whoever knows its keys asks in its name, with them and with storage root keys of their own.
    for _ in 0..40 {
        assert_eq!(register(&own), 401);
    }
    for _ in 0..12 {
        let mut other = SoftwareTpm::new().presented();
        other["endorsementKey"] = own["endorsementKey"].clone();
        assert_eq!(register(&other), 401);
    }
    told.pass(Duration::from_secs(60));
    let sas = told.sas(&key, HOUR);
    // Whether it presents itself again, or as IoT Edge does not.
    for body in [json!({"tpm": own}), json!({"registrationId": "vault"})] {
        let body = body.to_string();
        let register = DeviceOperation::Register;
        let (status, answer) = told.ask("vault", register, body.as_bytes(), Some(&sas), &[]);
        assert_eq!(status, 202, "{answer}");
    }
}

#[test]
fn a_hub_key_stays_the_same_however_often_it_is_wrapped() {
    let mut told = Told::new();
    let sas = told.sas(&told.challenge(), HOUR);
    let (_, accepted) = told.vault(DeviceOperation::Register, Some(&sas));
    told.pass(PROCESSING);
    let hub_key = || {
        let (_, body) = told.vault(operation(&accepted), Some(&sas));
        let blob = body["registrationState"]["tpm"]["authenticationKey"]
            .as_str()
            .map(str::to_owned);
        told.tpm
            .activate(&blob.expect("a hub key"))
            .expect("for this TPM")
            .sign(b"text")
    };
    assert_eq!(hub_key(), hub_key());
}

#[test]
fn a_tpm_that_answers_another_challenge_may_ask_on_and_one_that_answers_none_may_not() {
    let mut told = Told::new();
    let (key, other) = (told.challenge(), Told::new().challenge());
    let (_, accepted) = told.vault(DeviceOperation::Register, Some(&told.sas(&key, HOUR)));
    let newer = told.challenge();
    told.pass(PROCESSING);
    for (key, status) in [(&other, 401), (&newer, 200), (&newer, 200)] {
        let sas = told.sas(key, HOUR);
        assert_eq!(told.vault(operation(&accepted), Some(&sas)).0, status);
    }
}
