//! What retry profiles make of failures, from the flow's side.

use super::*;
use RetryProfile::{Naive, Patient, SdkC, SdkCsharp, SdkJava, SdkNode, WellBehaved};

fn of(profile: RetryProfile, protocol: Protocol) -> Flow {
    Flow::new(X509, Backoff::new(profile, protocol))
}

const LOST: LinkError = LinkError::Broken(Fault::ConnectionLost);

#[test]
fn a_throttled_device_does_as_its_sdk_would() {
    use Protocol::{Amqp, Http, Mqtt};
    let end = || refused(Phase::Register, 429, 429_001);
    for (profile, protocol, action) in [
        (Patient, Http, wait(9)),
        (Naive, Http, wait(1)),
        (SdkNode, Http, end()),
        (SdkNode, Mqtt, wait(9)),
        (SdkC, Http, wait(9)),
        (SdkC, Amqp, end()),
        (SdkCsharp, Http, end()),
        (SdkJava, Mqtt, end()),
    ] {
        let mut flow = of(profile, protocol);
        let answer = after(9, error(429_001));
        assert_eq!(
            flow.answered(&answer, NOW),
            action,
            "{profile:?} {protocol:?}"
        );
        assert!(flow.is_tried());
    }
}

#[test]
fn a_lost_connection_is_dialled_again_by_some_and_the_end_for_others() {
    for phase in [Phase::Connect, Phase::Tls, Phase::Open, Phase::Register] {
        let mut flow = of(Naive, Protocol::Http);
        assert_eq!(flow.failed(LOST, phase, NOW), wait(1));
        assert_eq!(flow.after_wait(), Action::Register);
        let lost = Action::End(Outcome::Broken {
            phase,
            fault: Fault::ConnectionLost,
        });
        assert_eq!(of(SdkNode, Protocol::Http).failed(LOST, phase, NOW), lost);
    }
}

#[test]
fn a_connection_lost_between_polls_goes_on_with_the_same_operation() {
    let mut flow = of(WellBehaved, Protocol::Mqtt);
    assert_eq!(flow.answered(&assigning("5.1"), NOW), wait(2));
    assert!(!flow.is_tried(), "an assignment under way is no failure");
    let half_to_one = Action::Wait(Duration::from_millis(750));
    assert_eq!(flow.failed(LOST, Phase::Assign, NOW), half_to_one);
    assert!(flow.is_tried());
    let poll = Action::Poll(OperationId::parse("5.1").expect("an id"));
    assert_eq!(flow.after_wait(), poll);
}

#[test]
fn tries_run_out_and_are_counted_anew_after_an_answer() {
    let mut flow = of(WellBehaved, Protocol::Http);
    for _ in 0..9 {
        assert!(matches!(
            flow.failed(LOST, Phase::Tls, NOW),
            Action::Wait(_)
        ));
    }
    flow.answered(&assigning("5.1"), NOW);
    for _ in 0..9 {
        let failed = flow.failed(LOST, Phase::Assign, NOW);
        assert!(matches!(failed, Action::Wait(_)));
    }
    let lost = Action::End(Outcome::Broken {
        phase: Phase::Assign,
        fault: Fault::ConnectionLost,
    });
    assert_eq!(flow.failed(LOST, Phase::Assign, NOW), lost);
}

#[test]
fn what_no_other_try_could_end_better_is_the_end_for_everybody() {
    for fault in [
        Fault::UntrustedServer,
        Fault::Protocol(Breach::Answer),
        Fault::LocalResources,
    ] {
        for profile in RetryProfile::ALL {
            let ended = of(profile, Protocol::Http).failed(fault.into(), Phase::Tls, NOW);
            let broken = Outcome::Broken {
                phase: Phase::Tls,
                fault,
            };
            assert_eq!(ended, Action::End(broken), "{profile:?}");
        }
    }
}

#[test]
fn an_sdk_gives_up_an_assignment_that_takes_longer_than_it_lasts() {
    let late = Moment {
        elapsed: Duration::from_secs(999),
        ..NOW
    };
    let mut flow = of(SdkJava, Protocol::Mqtt);
    let timed_out = Action::End(Outcome::TimedOut {
        phase: Phase::Assign,
    });
    assert_eq!(flow.answered(&assigning("5.1"), late), timed_out);
}
