use proptest::prelude::*;

use super::*;
use crate::outcome::Outcome;
use crate::phase::Metric;
use crate::record::{dropped, sample};

/// A device that starts then and takes so long.
fn device(start_us: u64, took_us: u64) -> Record {
    Record {
        intended_start_us: start_us,
        start_us,
        registered_us: Some(start_us + took_us / 2),
        end_us: start_us + took_us,
        ..sample()
    }
}

#[test]
fn a_day_long_run_keeps_every_device_in_a_bounded_number_of_intervals() {
    let mut series = Series::default();
    for second in (0..86_400_u64).step_by(60) {
        series.add(&device(second * 1_000_000, 5_000));
        let due = second / 60 + 1;
        series.close(
            second,
            &Totals {
                due,
                ..Totals::default()
            },
        );
    }
    let points = series.points();
    assert!(points.len() <= MAX_INTERVALS);
    assert_eq!(points[0].span_s, 256);
    let sum = |of: fn(&TimelinePoint) -> u64| points.iter().map(of).sum::<u64>();
    assert_eq!(sum(|point| point.provisioned), 1440);
    assert_eq!(sum(|point| point.registered), 1440);
    assert_eq!(sum(|point| point.latency["tls"].count), 1440);
    assert_eq!(points.iter().map(|point| point.target).sum::<f64>(), 1440.0);
    assert_eq!(points.last().map(|point| point.in_flight), Some(0));
}

#[test]
fn intervals_that_take_too_much_merge() {
    let mut series = Series::default();
    // Latencies all over the place, so that every histogram is as large as it gets.
    for second in 0..400_u64 {
        for step in 0..400_u64 {
            let mut record = device(second * 1_000_000, 1 << (step % 31));
            record.end_us = record.start_us + (1 << (step % 31)) + step * 1_000;
            record.phases_us = record.phases_us.map(|_| (step * step * 1_000) as u32);
            series.add(&Record {
                end_us: record.start_us,
                registered_us: None,
                ..record
            });
            let interval = series.interval(second);
            interval.end(&record);
        }
        assert!(series.bytes() <= MOST_BYTES, "{}", series.bytes());
    }
    assert!(series.span_s > 1);
    let ended: u64 = series
        .points()
        .iter()
        .map(|point| point.latency["tls"].count)
        .sum();
    assert_eq!(ended, 2 * 400 * 400);
}

#[test]
fn an_interval_in_which_nobody_is_provisioned_has_no_percentiles() {
    let mut series = Series::default();
    for end_us in [500_000, 2_500_000] {
        series.add(&Record { end_us, ..sample() });
    }
    series.add(&Record {
        end_us: 1_500_000,
        outcome: Outcome::Disabled,
        ..sample()
    });
    let points = series.points();
    let medians: Vec<_> = points.iter().map(|point| point.p50_us).collect();
    assert_eq!(medians, [Some(500_000), None, Some(2_500_000)]);
    assert!(points.iter().all(|point| point.p50_us == point.p99_us));
    assert_eq!(points[1].failed_by_kind["disabled"], 1);
    assert_eq!(points[0].started.expect("two").count, 2);
    assert_eq!(points[1].started, None);
}

#[test]
fn a_device_is_in_flight_between_its_start_and_its_end() {
    let mut series = Series::default();
    series.add(&device(500_000, 2_000_000));
    series.add_dropped(&dropped(1_200_000));
    let points = series.points();
    let in_flight: Vec<_> = points.iter().map(|point| point.in_flight).collect();
    assert_eq!(in_flight, [1, 1, 0]);
    let registered: Vec<_> = points.iter().map(|point| point.registered).collect();
    assert_eq!(registered, [0, 1, 0]);
    assert_eq!(points[1].dropped, 1);
}

#[test]
fn what_happens_to_a_device_under_way_is_told_of_the_second_in_which_it_happens() {
    let mut series = Series::default();
    let so_far = |throttled, retries| Totals {
        due: 10,
        held: None,
        attempts: Some(AttemptsSoFar {
            throttled,
            retries,
            ..AttemptsSoFar::default()
        }),
    };
    series.close(0, &so_far(0, 0));
    series.close(1, &so_far(7, 2));
    // Nobody looked: it is told of the second in which somebody did.
    series.close(2, &Totals::default());
    series.close(3, &so_far(9, 9));
    let points = series.points();
    let throttled: Vec<_> = points.iter().map(|point| point.throttled).collect();
    let retries: Vec<_> = points.iter().map(|point| point.retries).collect();
    assert_eq!((throttled, retries), (vec![0, 7, 0, 2], vec![0, 2, 0, 7]));
}

#[test]
fn counts_of_a_damaged_journal_do_not_overflow() {
    let mut series = Series::default();
    for (second, throttled) in [(0, u64::MAX), (1, 0), (2, u64::MAX), (u64::MAX, 1)] {
        let attempts = Some(AttemptsSoFar {
            throttled,
            ..AttemptsSoFar::default()
        });
        series.close(
            second,
            &Totals {
                due: throttled,
                held: None,
                attempts,
            },
        );
    }
    let points = series.points();
    assert_eq!(points[0].throttled, u64::MAX);
    assert!(points[1..].iter().all(|point| point.throttled == 0));
}

proptest! {
    #[test]
    fn every_device_is_once_in_the_heat_map(
        devices in proptest::collection::vec((0_u64..900_000_000, 1_u64..2_000_000_000), 1..200),
    ) {
        let mut series = Series::default();
        for (start_us, took_us) in &devices {
            series.add(&device(*start_us, *took_us));
        }
        let map = series.heat_map().expect("devices");
        let points = series.points();
        prop_assert_eq!(map.columns.len(), points.len());
        prop_assert!(map.bounds_us.len() <= 49 && map.bounds_us.is_sorted());
        for (column, point) in map.columns.iter().zip(&points) {
            let devices: u64 = column.iter().map(|cell| cell.count).sum();
            prop_assert_eq!(devices, point.provisioned);
            prop_assert!(column.iter().all(|cell| cell.row + 1 < map.bounds_us.len()));
            if let Some(most) = point.latency.get(Metric::ProvisioningResponse.name()) {
                let top = column.last().expect("a cell").row;
                prop_assert!(map.bounds_us[top] <= most.max_us && most.max_us < map.bounds_us[top + 1]);
            }
        }
    }
}
