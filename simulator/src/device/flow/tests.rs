use bytes::Bytes;
use fleetstorm_protocol::attestation::Protocol;
use fleetstorm_scenarios::RetryProfile;
use serde_json::{Value, json};

use super::*;

mod habits;
mod odd_answers;

/// What a device meets, and does about it.
struct Path {
    name: &'static str,
    has_tpm: bool,
    steps: Vec<(Response, Action, Phase)>,
}

fn path<const STEPS: usize>(
    name: &'static str,
    has_tpm: bool,
    steps: [(Response, Action, Phase); STEPS],
) -> Path {
    Path {
        name,
        has_tpm,
        steps: steps.into(),
    }
}

const X509: bool = false;
const TPM: bool = true;
/// Half a second after the start, by a chance in the middle.
const NOW: Moment = Moment {
    elapsed: Duration::from_millis(500),
    chance: 0.5,
};

fn start(has_tpm: bool) -> Flow {
    Flow::new(has_tpm, Backoff::new(RetryProfile::Patient, Protocol::Http))
}

fn response(status: u16, body: &Value) -> Response {
    raw(status, &body.to_string())
}

fn raw(status: u16, body: &str) -> Response {
    Response {
        status,
        retry_after: None,
        body: Bytes::from(body.to_owned()),
    }
}

fn after(seconds: u32, response: Response) -> Response {
    Response {
        retry_after: Some(seconds),
        ..response
    }
}

/// 202: the service is at work on `operation`.
fn assigning(operation: &str) -> Response {
    response(
        202,
        &json!({"operationId": operation, "status": "assigning"}),
    )
}

/// 200 with a registrationState.
fn ended(status: &str, state: Value) -> Response {
    response(
        200,
        &json!({"operationId": "5.1", "status": status, "registrationState": state}),
    )
}

fn assigned() -> Response {
    ended(
        "assigned",
        json!({"assignedHub": "hub-1.test", "deviceId": "pump"}),
    )
}

fn challenge() -> Response {
    response(
        401,
        &json!({"authenticationKey": "YmxvYg==", "keyName": "registration"}),
    )
}

fn error(code: u32) -> Response {
    let status = u16::try_from(code / 1000).expect("a status");
    response(status, &json!({"errorCode": code, "message": "no"}))
}

fn wait(seconds: u64) -> Action {
    Action::Wait(Duration::from_secs(seconds))
}

fn prove() -> Action {
    Action::Prove("YmxvYg==".into())
}

fn connect(hub_key: Option<&str>) -> Action {
    Action::Connect(Assignment {
        hub: "hub-1.test".into(),
        device_id: DeviceId::parse("pump").expect("an id"),
        hub_key: hub_key.map(Into::into),
    })
}

fn refused(phase: Phase, status: u16, code: u32) -> Action {
    Action::End(Outcome::Refused {
        phase,
        status,
        code,
    })
}

fn broken(phase: Phase) -> Action {
    broken_by(phase, Breach::Answer)
}

fn broken_by(phase: Phase, breach: Breach) -> Action {
    Action::End(Outcome::Broken {
        phase,
        fault: Fault::Protocol(breach),
    })
}

/// Walks a path: each wait is waited, and what follows it must fit the phase.
fn walk(path: &Path) {
    let mut flow = start(path.has_tpm);
    assert_eq!(
        flow.phase(),
        if path.has_tpm {
            Phase::Attest
        } else {
            Phase::Register
        },
        "{}",
        path.name
    );
    for (step, (response, action, phase)) in path.steps.iter().enumerate() {
        let name = format!("{}, step {step}", path.name);
        assert_eq!(flow.answered(response, NOW), *action, "{name}");
        assert_eq!(flow.phase(), *phase, "{name}");
        assert_eq!(flow.is_accepted(), *phase == Phase::Assign, "{name}");
        if let Action::Wait(_) = action {
            let polls = matches!(flow.after_wait(), Action::Poll(_));
            assert_eq!(
                polls,
                *phase == Phase::Assign,
                "{name}: what follows the wait"
            );
            assert!(polls || flow.after_wait() == Action::Register, "{name}");
        }
    }
}

#[test]
fn good_paths_lead_to_the_hub() {
    use Phase::{Assign, Attest, Register};
    let with_key = || {
        ended(
            "assigned",
            json!({"assignedHub": "hub-1.test", "deviceId": "pump", "tpm": {"authenticationKey": "a2V5"}}),
        )
    };
    for path in [
        path(
            "the shortest",
            X509,
            [
                (assigning("5.1"), wait(2), Assign),
                (assigned(), connect(None), Assign),
            ],
        ),
        path(
            "assigned at once",
            X509,
            [(assigned(), connect(None), Register)],
        ),
        path(
            "assigned with 202, which nobody forbids",
            X509,
            [(
                Response {
                    status: 202,
                    ..assigned()
                },
                connect(None),
                Register,
            )],
        ),
        path(
            "polled until it is done",
            X509,
            [
                (after(3, assigning("5.1")), wait(3), Assign),
                (after(1, assigning("5.1")), wait(1), Assign),
                (
                    Response {
                        status: 200,
                        ..assigning("5.1")
                    },
                    wait(2),
                    Assign,
                ),
                (assigned(), connect(None), Assign),
            ],
        ),
        path(
            "polled though it says unassigned",
            X509,
            [
                (ended("unassigned", json!({})), wait(2), Assign),
                (assigned(), connect(None), Assign),
            ],
        ),
        path(
            "with words in any case",
            X509,
            [(
                ended(
                    "ASSIGNED",
                    json!({"assignedHub": "hub-1.test", "deviceId": "pump"}),
                ),
                connect(None),
                Register,
            )],
        ),
        path(
            "by TPM",
            TPM,
            [
                (challenge(), prove(), Register),
                (assigning("5.1"), wait(2), Assign),
                (with_key(), connect(Some("a2V5")), Assign),
            ],
        ),
        path(
            "by TPM, known from before",
            TPM,
            [
                (assigning("5.1"), wait(2), Assign),
                (with_key(), connect(Some("a2V5")), Assign),
            ],
        ),
        path(
            "a key that only a TPM could open",
            X509,
            [(with_key(), connect(None), Register)],
        ),
        path(
            "busy everywhere",
            TPM,
            [
                (error(429_001), wait(2), Attest),
                (challenge(), prove(), Register),
                (after(7, error(503_001)), wait(7), Register),
                (assigning("5.1"), wait(2), Assign),
                (after(9, error(429_001)), wait(9), Assign),
                (error(500_001), wait(2), Assign),
                (with_key(), connect(Some("a2V5")), Assign),
            ],
        ),
    ] {
        walk(&path);
    }
}

#[test]
fn bad_paths_end_with_their_reason() {
    use Phase::{Assign, Attest, Register};
    let failed = |state| ended("failed", state);
    let end = Action::End;
    for path in [
        path(
            "refused",
            X509,
            [(error(401_002), refused(Register, 401, 401_002), Register)],
        ),
        path(
            "refused without a reason",
            X509,
            [(raw(404, ""), refused(Register, 404, 0), Register)],
        ),
        path(
            "refused by something else",
            X509,
            [(raw(403, "<html>"), refused(Register, 403, 0), Register)],
        ),
        path(
            "refused while polling",
            X509,
            [
                (assigning("5.1"), wait(2), Assign),
                (error(404_203), refused(Assign, 404, 404_203), Assign),
            ],
        ),
        path(
            "challenged without a TPM",
            X509,
            [(challenge(), refused(Register, 401, 0), Register)],
        ),
        path(
            "a TPM that is refused at once",
            TPM,
            [(error(401_000), refused(Attest, 401, 401_000), Attest)],
        ),
        path(
            "a TPM whose proof does not hold",
            TPM,
            [
                (challenge(), prove(), Register),
                (error(401_000), refused(Register, 401, 401_000), Register),
            ],
        ),
        path(
            "a TPM that is challenged again",
            TPM,
            [
                (challenge(), prove(), Register),
                (challenge(), refused(Register, 401, 0), Register),
            ],
        ),
        path(
            "a TPM that is challenged while polling",
            TPM,
            [
                (assigning("5.1"), wait(2), Assign),
                (challenge(), refused(Assign, 401, 0), Assign),
            ],
        ),
        path(
            "a TPM without a hub key",
            TPM,
            [(assigned(), broken_by(Assign, Breach::NoHubKey), Attest)],
        ),
        path(
            "failed",
            X509,
            [
                (assigning("5.1"), wait(2), Assign),
                (
                    failed(json!({"errorCode": 400_209})),
                    end(Outcome::AssignmentFailed { code: 400_209 }),
                    Assign,
                ),
            ],
        ),
        path(
            "failed at once, and says nothing",
            X509,
            [(
                response(200, &json!({"operationId": "", "status": "failed"})),
                end(Outcome::AssignmentFailed { code: 0 }),
                Register,
            )],
        ),
        path(
            "disabled",
            X509,
            [(
                ended("disabled", json!({})),
                end(Outcome::Disabled),
                Register,
            )],
        ),
        path(
            "disabled on the way",
            X509,
            [
                (assigning("5.1"), wait(2), Assign),
                (ended("disabled", json!({})), end(Outcome::Disabled), Assign),
            ],
        ),
        path(
            "a word that nobody knows",
            X509,
            [(
                ended("parked", json!({})),
                broken_by(Register, Breach::Status),
                Register,
            )],
        ),
        path(
            "assigned nowhere",
            X509,
            [(
                response(200, &json!({"operationId": "5.1", "status": "assigned"})),
                broken_by(Assign, Breach::NoHub),
                Register,
            )],
        ),
        path(
            "assigned to no hub",
            X509,
            [(
                ended("assigned", json!({"deviceId": "pump"})),
                broken_by(Assign, Breach::NoHub),
                Register,
            )],
        ),
        path(
            "assigned to a hub without a name",
            X509,
            [(
                ended("assigned", json!({"assignedHub": "", "deviceId": "pump"})),
                broken_by(Assign, Breach::NoHub),
                Register,
            )],
        ),
        path(
            "assigned to nobody",
            X509,
            [(
                ended("assigned", json!({"assignedHub": "hub-1.test"})),
                broken_by(Assign, Breach::NoHub),
                Register,
            )],
        ),
        path(
            "assigned under an impossible name",
            X509,
            [(
                ended(
                    "assigned",
                    json!({"assignedHub": "hub-1.test", "deviceId": "a b"}),
                ),
                broken_by(Assign, Breach::NoHub),
                Register,
            )],
        ),
        path(
            "accepted without an operation",
            X509,
            [(
                response(202, &json!({"status": "assigning"})),
                broken(Register),
                Register,
            )],
        ),
        path(
            "accepted with an operation that can't be asked for",
            X509,
            [(
                assigning("../5.1"),
                broken_by(Register, Breach::OperationId),
                Register,
            )],
        ),
        path(
            "a redirection",
            X509,
            [(raw(302, ""), refused(Register, 302, 0), Register)],
        ),
        path(
            "no content",
            X509,
            [(raw(204, ""), refused(Register, 204, 0), Register)],
        ),
    ] {
        walk(&path);
    }
}
