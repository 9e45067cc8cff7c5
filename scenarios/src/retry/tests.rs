use super::*;
use Decision::{GiveUp, Wait};
use Protocol::{Amqp, Http, Mqtt};
use RetryProfile::*;
use Setback::{Disconnected, Status, Unfinished};
use Step::{Hub, Poll, Register};

fn situation(protocol: Protocol, step: Step, setback: Setback, told: Option<u64>) -> Situation {
    Situation {
        protocol,
        step,
        setback,
        failures: 1,
        retry_after: told.map(Duration::from_secs),
        elapsed: Duration::ZERO,
        chance: 0.5,
    }
}

fn seconds(seconds: f64) -> Decision {
    Wait(Duration::from_secs_f64(seconds))
}

#[test]
fn each_profile_waits_between_polls_as_its_sdk_does() {
    // Untold, then told 1, 3, 10 and 400 seconds.
    let rows = [
        (Patient, [2.0, 1.0, 3.0, 10.0, 300.0]),
        (SdkNode, [2.0, 1.0, 3.0, 10.0, 400.0]),
        (SdkPython, [2.0, 1.0, 3.0, 10.0, 400.0]),
        (SdkC, [1.0, 1.0, 3.0, 10.0, 1.0]),
        (SdkCsharp, [4.5, 2.0, 3.0, 10.0, 400.0]),
        (SdkJava, [2.0, 2.0, 3.0, 2.0, 2.0]),
        (Edge, [5.0, 5.0, 5.0, 5.0, 5.0]),
        (Naive, [1.0, 1.0, 1.0, 1.0, 1.0]),
        (WellBehaved, [2.0, 1.0, 3.0, 10.0, 400.0]),
    ];
    let tellings = [None, Some(1), Some(3), Some(10), Some(400)];
    for (profile, waits) in rows {
        for (told, wait) in tellings.into_iter().zip(waits) {
            let now = situation(Mqtt, Poll, Unfinished, told);
            assert_eq!(profile.decide(now), seconds(wait), "{profile:?} {told:?}");
        }
    }
}

#[test]
fn each_profile_retries_a_throttled_question_where_its_sdk_does() {
    // Register over HTTPS, MQTT, AMQP; then a poll over each.
    let rows = [
        (Patient, [true, true, true, true, true, true]),
        (SdkNode, [false, true, true, false, true, true]),
        (SdkPython, [true, true, true, true, true, true]),
        (SdkC, [true, true, false, true, true, false]),
        (SdkCsharp, [false, false, false, true, false, true]),
        (SdkJava, [false; 6]),
        (Edge, [false; 6]),
        (Naive, [true; 6]),
        (WellBehaved, [true; 6]),
    ];
    for (profile, expected) in rows {
        for status in [429, 500, 503] {
            let found = [Register, Poll].map(|step| {
                [Http, Mqtt, Amqp].map(|protocol| {
                    let now = situation(protocol, step, Status(status), Some(3));
                    profile.decide(now) != GiveUp
                })
            });
            assert_eq!(found.as_flattened(), expected, "{profile:?} {status}");
        }
    }
}

#[test]
fn a_refusal_is_final_but_for_the_naive() {
    for profile in RetryProfile::ALL {
        for status in [400, 401, 404] {
            let decision = profile.decide(situation(Http, Register, Status(status), None));
            assert_eq!(decision == GiveUp, profile != Naive, "{profile:?} {status}");
        }
    }
}

#[test]
fn no_sdk_connects_again_by_itself() {
    for profile in RetryProfile::ALL {
        let decision = profile.decide(situation(Mqtt, Register, Disconnected, None));
        let connects = matches!(profile, Naive | WellBehaved);
        assert_eq!(decision != GiveUp, connects, "{profile:?}");
    }
}

#[test]
fn the_first_retry_after_is_lost_on_python() {
    let now = situation(Http, Register, Unfinished, Some(7));
    assert_eq!(SdkPython.decide(now), seconds(2.0));
}

#[test]
fn a_total_limit_ends_the_registration() {
    let rows = [
        (SdkCsharp, Amqp, 57, seconds(3.0)),
        (SdkCsharp, Amqp, 58, GiveUp),
        (SdkCsharp, Http, 58, seconds(3.0)),
        (SdkJava, Mqtt, 997, seconds(3.0)),
        (SdkJava, Mqtt, 998, GiveUp),
    ];
    for (profile, protocol, elapsed, expected) in rows {
        let now = Situation {
            elapsed: Duration::from_secs(elapsed),
            ..situation(protocol, Poll, Unfinished, Some(3))
        };
        assert_eq!(profile.decide(now), expected, "{profile:?} {elapsed}");
    }
}

#[test]
fn the_well_behaved_back_off_by_chance_up_to_a_minute_and_ten_tries() {
    // Failures so far, chance, told; then the wait.
    let rows = [
        (1, 0.0, None, seconds(0.5)),
        (1, 0.5, None, seconds(0.75)),
        (4, 0.0, None, seconds(4.0)),
        (4, 0.5, None, seconds(6.0)),
        (4, 0.5, Some(5), seconds(9.0)),
        (9, 0.0, None, seconds(30.0)),
        (10, 0.0, None, GiveUp),
    ];
    for (failures, chance, told, expected) in rows {
        let now = Situation {
            failures,
            chance,
            ..situation(Http, Register, Status(503), told)
        };
        assert_eq!(WellBehaved.decide(now), expected, "{failures} {chance}");
    }
}

#[test]
fn a_chance_out_of_range_is_no_trouble() {
    for chance in [f64::NAN, -1.0, 2.0, f64::INFINITY] {
        for profile in RetryProfile::ALL {
            let now = Situation {
                chance,
                failures: u32::MAX,
                ..situation(Http, Poll, Unfinished, None)
            };
            assert_ne!(profile.decide(now), GiveUp, "{profile:?} {chance}");
        }
    }
}

#[test]
fn every_profile_comes_back_to_its_hub_as_its_sdk_does() {
    // After one, two, five and twenty failures in a row, by a chance in the middle.
    let rows = [
        (Patient, [2.0, 2.0, 2.0, 2.0]),
        (SdkNode, [0.1, 0.1125, 0.2875, 10.0]),
        (SdkPython, [10.0, 10.0, 10.0, 10.0]),
        (SdkC, [0.0, 1.0, 8.0, 30.0]),
        (SdkCsharp, [0.1, 0.2, 1.6, 10.0]),
        (SdkJava, [0.0, 0.2, 1.6, 10.0]),
        (Edge, [0.1, 0.2, 1.6, 10.0]),
        (Naive, [1.0, 1.0, 1.0, 1.0]),
    ];
    for (profile, waits) in rows {
        for (failures, wait) in [1, 2, 5, 20].into_iter().zip(waits) {
            let now = Situation {
                failures,
                ..situation(Amqp, Hub, Disconnected, None)
            };
            assert_eq!(profile.decide(now), seconds(wait), "{profile:?} {failures}");
        }
    }
}

#[test]
fn a_throttling_hub_is_left_alone_for_longer_by_node() {
    for (failures, wait) in [(1, 10.0), (2, 10.625), (10, 60.0)] {
        let now = Situation {
            failures,
            ..situation(Mqtt, Hub, Status(429), None)
        };
        assert_eq!(SdkNode.decide(now), seconds(wait), "{failures}");
    }
}

#[test]
fn a_hub_is_sought_for_four_minutes_or_for_ever() {
    for profile in RetryProfile::ALL {
        let now = Situation {
            elapsed: Duration::from_secs(240),
            ..situation(Mqtt, Hub, Disconnected, None)
        };
        let ends = matches!(profile, SdkNode | SdkCsharp | SdkJava | Edge);
        // Those that wait no time may try once more.
        let ends = ends && profile != SdkJava;
        assert_eq!(profile.decide(now) == GiveUp, ends, "{profile:?}");
    }
}

#[test]
fn a_hub_that_refuses_a_device_is_believed_but_by_the_naive() {
    for profile in RetryProfile::ALL {
        for status in [401, 404] {
            let decision = profile.decide(situation(Mqtt, Hub, Status(status), None));
            assert_eq!(decision == GiveUp, profile != Naive, "{profile:?} {status}");
        }
    }
}
