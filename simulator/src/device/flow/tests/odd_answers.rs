//! Answers that are none, waits without reason, operations that change their name.

use super::*;

#[test]
fn bodies_that_are_none_end_in_the_phase_they_came_in() {
    for body in [
        "",
        "{",
        "[]",
        "null",
        "\"assigned\"",
        "{}",
        r#"{"operationId":5,"status":"assigning"}"#,
    ] {
        let mut flow = start(X509);
        assert_eq!(
            flow.answered(&raw(200, body), NOW),
            broken(Phase::Register),
            "{body}"
        );
        let mut flow = start(TPM);
        assert_eq!(
            flow.answered(&raw(202, body), NOW),
            broken(Phase::Attest),
            "{body}"
        );
        assert_eq!(flow.answered(&challenge(), NOW), prove());
        assert_eq!(flow.answered(&assigning("5.1"), NOW), wait(2));
        assert_eq!(
            flow.answered(&raw(200, body), NOW),
            broken(Phase::Assign),
            "{body}"
        );
    }
    for body in [
        "",
        "{",
        "[]",
        "{}",
        r#"{"authenticationKey":7,"keyName":"registration"}"#,
    ] {
        let mut flow = start(TPM);
        assert_eq!(
            flow.answered(&raw(401, body), NOW),
            refused(Phase::Attest, 401, 0),
            "{body}"
        );
    }
}

/// As Azure's identity service, in Rust, reads it.
#[test]
fn an_accepted_registration_need_not_say_that_it_is() {
    for accepted in [
        r#"{"operationId":"5.1"}"#,
        r#"{"operationId":"5.1","status":null}"#,
    ] {
        let mut flow = start(X509);
        assert_eq!(flow.answered(&raw(202, accepted), NOW), wait(2));
        let poll = Action::Poll(OperationId::parse("5.1").expect("an id"));
        assert_eq!(flow.after_wait(), poll);
        assert_eq!(
            flow.answered(&raw(202, accepted), NOW),
            wait(2),
            "nor a poll"
        );
    }
}

#[test]
fn waits_are_as_long_as_the_service_says_within_reason() {
    for (named, waited) in [
        (None, 2),
        (Some(0), 0),
        (Some(1), 1),
        (Some(300), 300),
        (Some(301), 300),
        (Some(u32::MAX), 300),
    ] {
        for mut response in [
            assigning("5.1"),
            error(429_001),
            error(500_001),
            raw(599, ""),
            raw(600, ""),
        ] {
            response.retry_after = named;
            assert_eq!(
                start(X509).answered(&response, NOW),
                wait(waited),
                "{} after {named:?}",
                response.status
            );
        }
    }
}

#[test]
fn polls_ask_for_the_operation_that_was_named_last() {
    let mut flow = start(X509);
    let poll = |id| Action::Poll(OperationId::parse(id).expect("an id"));
    for operation in ["5.1", "5.1", "5.2"] {
        flow.answered(&assigning(operation), NOW);
        assert_eq!(flow.after_wait(), poll(operation));
    }
    flow.answered(&error(429_001), NOW);
    assert_eq!(flow.after_wait(), poll("5.2"), "being busy names no other");
}
