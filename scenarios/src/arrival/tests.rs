use proptest::prelude::*;

use super::*;

fn ramp(start_rate: f64, stages: &[(f64, u64)]) -> Arrival {
    let shape = RampingRate {
        start_rate,
        stages: stages
            .iter()
            .map(|&(to_rate, millis)| Stage {
                to_rate,
                over: Duration::from_millis(millis),
            })
            .collect(),
    };
    Shape::RampingRate(shape).into()
}

fn constant(rate: f64) -> Arrival {
    Shape::ConstantRate(ConstantRate { rate }).into()
}

fn bursts(size: f64, every: Duration) -> Arrival {
    Shape::Bursts(Bursts { size, every }).into()
}

fn all_at_once() -> Arrival {
    Shape::AllAtOnce(AllAtOnce).into()
}

fn delayed(delay: Duration, arrival: Arrival) -> Arrival {
    Arrival { delay, ..arrival }
}

fn by_chance(arrival: Arrival) -> Arrival {
    Arrival {
        spacing: Spacing::Poisson(None),
        ..arrival
    }
}

#[test]
fn the_timetable_is_the_area_below_the_rate() {
    let millis = Duration::from_millis;
    let constant = constant(200.0);
    // 0 to 10/s over 10 s brings 50 devices; the 8th area unit is at √(2·8·1) = 4 s.
    let from_zero = ramp(0.0, &[(10.0, 10_000)]);
    // 10/s held for 2 s (20 devices), a step to 100/s, which goes on.
    let step = ramp(10.0, &[(10.0, 2_000), (100.0, 0)]);
    // Down from 20/s to 0 over 2 s (20 devices), silence for 3 s, then 5/s.
    let pause = ramp(20.0, &[(0.0, 2_000), (0.0, 3_000), (5.0, 0)]);
    let herds = bursts(10.0, millis(3_000));
    let later = delayed(millis(500), constant.clone());
    let rows = [
        (&herds, 0, millis(0)),
        (&herds, 9, millis(0)),
        (&herds, 10, millis(3_000)),
        (&herds, 29, millis(6_000)),
        (&later, 0, millis(500)),
        (&later, 1, millis(505)),
        (&constant, 0, millis(0)),
        (&constant, 1, millis(5)),
        (&constant, 1_000_000, millis(5_000_000)),
        (&from_zero, 0, millis(0)),
        (&from_zero, 8, millis(4_000)),
        (&from_zero, 50, millis(10_000)),
        (&from_zero, 51, millis(10_100)),
        (&step, 19, millis(1_900)),
        (&step, 20, millis(2_000)),
        (&step, 21, millis(2_010)),
        (&pause, 15, millis(1_000)),
        (&pause, 20, millis(5_000)),
        (&pause, 21, millis(5_200)),
        (&all_at_once(), u64::MAX, millis(0)),
    ];
    for (arrival, rank, expected) in rows {
        assert_eq!(arrival.release_at(rank), expected, "{arrival:?} {rank}");
    }
}

#[test]
fn as_many_as_come_in_a_time_make_the_rate() {
    let millis = Duration::from_millis;
    let constant = constant(200.0);
    let herds = bursts(100.0, millis(10_000));
    let scattered = by_chance(constant.clone());
    let later = delayed(millis(500), scattered.clone());
    for (arrival, devices, until) in [
        (&constant, 1_000, millis(5_000)),
        (&constant, 1, millis(5)),
        (&herds, 300, millis(30_000)),
        (&herds, 150, millis(15_000)),
        (&scattered, 1_000, millis(5_000)),
        (&later, 1_000, millis(5_500)),
        (&all_at_once(), 1_000, millis(0)),
    ] {
        assert_eq!(arrival.until(devices), until, "{arrival:?}");
    }
}

#[test]
fn the_most_that_come_within_a_minute_follows_from_the_arrival() {
    let herds = bursts(10.0, Duration::from_secs(25));
    let later = delayed(Duration::from_secs(500), herds.clone());
    let rows = [
        (constant(2.0), Some(120.0)),
        (ramp(1.0, &[(3.0, 1_000), (2.0, 0)]), Some(180.0)),
        (herds, Some(30.0)),
        (later, Some(30.0)),
        (all_at_once(), None),
        (by_chance(constant(3.75)), Some(285.0)),
    ];
    for (arrival, most) in rows {
        assert_eq!(arrival.peak(Duration::from_secs(60)), most, "{arrival:?}");
    }
}

#[test]
fn a_silent_start_holds_back_the_first_device() {
    let arrival = ramp(0.0, &[(0.0, 3_000), (1.0, 0)]);
    assert_eq!(arrival.due(Duration::from_millis(2_999)), 0);
    assert_eq!(arrival.due(Duration::from_secs(3)), 1);
}

#[test]
fn nobody_is_due_before_a_delayed_arrival_starts() {
    let arrival = delayed(Duration::from_secs(5), all_at_once());
    assert_eq!(arrival.due(Duration::from_millis(4_999)), 0);
    assert_eq!(arrival.due_before(Duration::from_secs(5)), 0);
    assert_eq!(arrival.due(Duration::from_secs(5)), u64::MAX);
}

#[test]
fn all_at_once_is_due_at_once() {
    assert_eq!(all_at_once().due(Duration::ZERO), u64::MAX);
}

#[test]
fn a_rate_too_slow_for_any_clock_saturates() {
    let arrival = constant(1e-300);
    assert_eq!(arrival.release_at(1), Duration::MAX);
}

fn any_arrival() -> impl Strategy<Value = Arrival> {
    let stages = prop::collection::vec((0.0..2_000.0, 0_u64..600_000), 1..6);
    let at_once = prop_oneof![
        (0.01..100_000.0).prop_map(constant),
        (0.0..1_000.0, stages, 0.01..5_000.0).prop_map(|(start, mut stages, last)| {
            stages.push((last, 1_000));
            ramp(start, &stages)
        }),
        (0.5..1_000.0, 1_u64..600_000)
            .prop_map(|(size, millis)| bursts(size, Duration::from_millis(millis))),
    ];
    let later = (at_once, 0_u64..600_000)
        .prop_map(|(arrival, millis)| delayed(Duration::from_millis(millis), arrival));
    (later, prop::option::of(1_u64..20_000_000)).prop_map(|(arrival, scattered)| {
        let Some(devices) = scattered else {
            return arrival;
        };
        let mut scattered = by_chance(arrival);
        scattered.deal(devices, &Chance::new(devices, "arrival", "a"));
        scattered
    })
}

proptest! {
    #[test]
    fn due_and_release_at_agree(arrival in any_arrival(), rank in 0_u64..10_000_000) {
        let at = arrival.release_at(rank);
        let due = arrival.due(at);
        prop_assert!(due > rank);
        prop_assert!(arrival.release_at(due - 1) <= at);
        prop_assert!(arrival.release_at(due) > at);
        let before = arrival.due_before(at);
        prop_assert!(before <= rank);
        prop_assert!(before.checked_sub(1).is_none_or(|last| arrival.release_at(last) < at));
    }

    #[test]
    fn later_ranks_never_come_earlier(arrival in any_arrival(), rank in 0_u64..10_000_000, more in 0_u64..1_000) {
        prop_assert!(arrival.release_at(rank) <= arrival.release_at(rank + more));
    }

    #[test]
    fn shares_of_an_arrival_add_up_to_it(arrival in any_arrival(), seconds in 1_u64..1_000, share in 0.05..0.95) {
        prop_assume!(arrival.spacing == Spacing::Even);
        let elapsed = Duration::from_secs(seconds);
        let part = |share| {
            let mut part = arrival.clone();
            part.scale(share);
            part.due(elapsed)
        };
        let parts = part(share) + part(1.0 - share);
        // Each part counts the device at its own start, hence one more; rounding moves one.
        prop_assert!(parts.abs_diff(arrival.due(elapsed)) <= 2, "{parts}");
    }
}
