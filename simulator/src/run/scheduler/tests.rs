//! A core's share of a run, against a service in memory, in virtual time. A device takes a second to hear where it
//! belongs.

use std::sync::mpsc::Receiver;

use fleetstorm_reports::recorder;
use tokio::time::{Instant, sleep};

use super::*;
use crate::in_memory::{Seen, Service};
use crate::stopwatch::RunClock;

/// A share under way.
struct Fixture {
    service: Service,
    clock: RunClock,
    gauges: Arc<Gauges>,
    commands: watch::Sender<Option<OperatorCommand>>,
    records: Receiver<Record>,
}

/// Runs all of a scenario's devices to their end, and `meanwhile` beside them; gives what came of it.
async fn run(
    cohort: &str,
    meanwhile: impl AsyncFnOnce(&watch::Sender<Option<OperatorCommand>>),
) -> Fixture {
    let clock = RunClock::starting_at(Instant::now());
    let scenario = format!(
        r#"
name = "share"
seed = 1
device-timeout = "20s"
{cohort}
attestation = "symmetric-key-group"
transport = "mqtt"
"#
    );
    let (recorder, records) = recorder(64);
    let commands = watch::Sender::new(None);
    let orders = watch::Sender::default();
    let devices = LocalSet::new();
    let under_way = async {
        let service = Service::start(clock);
        let (plan, mut conditions) = service.devices_of(&scenario);
        let gauges = Arc::new(Gauges::new(0));
        conditions.device_counters = Arc::clone(&gauges.device_counters);
        let share = Share {
            limits: Limits::of(&plan),
            plan: Arc::new(plan),
            shard: 0,
            shards: 1,
            conditions,
            recorder,
            gauges: Arc::clone(&gauges),
            lag: Arc::default(),
            commands: commands.subscribe(),
            orders: orders.subscribe(),
        };
        tokio::join!(share.release_all(), meanwhile(&commands));
        (service, gauges)
    };
    let (service, gauges) = devices.run_until(under_way).await;
    // Whoever is cut short leaves a record, too.
    drop(devices);
    Fixture {
        service,
        clock,
        gauges,
        commands,
        records,
    }
}

impl Fixture {
    /// When devices came, in tenths of a second.
    fn came(&self) -> Vec<u128> {
        let times = self.service.times_of(&Seen::Registers);
        times.iter().map(|at| (at.as_millis() + 5) / 100).collect()
    }

    fn outcomes(&self) -> Vec<Outcome> {
        let mut records: Vec<_> = self.records.try_iter().collect();
        records.sort_by_key(|record| record.device);
        records.into_iter().map(|record| record.outcome).collect()
    }
}

async fn nothing(_: &watch::Sender<Option<OperatorCommand>>) {}

#[tokio::test(start_paused = true)]
async fn devices_start_at_their_times() {
    let rate = r#"
[[cohort]]
name = "meters"
devices = 6
arrival = { kind = "constant-rate", rate = "2/s" }"#;
    let fixture = run(rate, nothing).await;
    assert_eq!(fixture.came(), [0, 5, 10, 15, 20, 25]);
    for record in fixture.records.try_iter() {
        assert_eq!(record.intended_start_us, 500_000 * u64::from(record.device));
        let late_us = record.start_us - record.intended_start_us;
        assert!(late_us <= 1_000, "a timer's grain: {late_us}");
        assert_eq!(record.outcome, Outcome::Provisioned);
    }
    assert_eq!(fixture.clock.now().as_secs(), 3, "the last took a second");
}

#[tokio::test(start_paused = true)]
async fn in_a_closed_load_the_next_comes_when_one_has_ended() {
    let closed = r#"
[[cohort]]
name = "meters"
devices = 6
arrival = { kind = "closed", concurrency = 2 }"#;
    let fixture = run(closed, nothing).await;
    assert_eq!(fixture.came(), [0, 0, 10, 10, 20, 20]);
    assert_eq!(fixture.outcomes(), [Outcome::Provisioned; 6]);
}

#[tokio::test(start_paused = true)]
async fn devices_that_find_no_place_are_not_started_and_leave_a_record() {
    let crowd = r#"
max-in-flight = 2
[[cohort]]
name = "meters"
devices = 5
arrival = { kind = "all-at-once" }"#;
    let fixture = run(crowd, nothing).await;
    assert_eq!(fixture.came(), [0, 0]);
    let [first, second] = [Outcome::Provisioned; 2];
    let [third, fourth, fifth] = [Outcome::NotStarted; 3];
    let outcomes = [first, second, third, fourth, fifth];
    assert_eq!(fixture.outcomes(), outcomes);
    assert_eq!(fixture.gauges.released.load(Ordering::Relaxed), 2);
    assert_eq!(fixture.gauges.dropped.load(Ordering::Relaxed), 3);
}

#[tokio::test(start_paused = true)]
async fn who_is_under_way_when_a_run_stops_comes_to_its_end() {
    for load in [
        r#"{ kind = "constant-rate", rate = "2/s" }"#,
        r#"{ kind = "closed", concurrency = 2 }"#,
    ] {
        let text = format!("[[cohort]]\nname = \"meters\"\ndevices = 60\narrival = {load}");
        let fixture = run(&text, async |commands| {
            sleep(Duration::from_millis(700)).await;
            commands.send_replace(Some(OperatorCommand::Stop));
        })
        .await;
        assert_eq!(fixture.outcomes(), [Outcome::Provisioned; 2], "{load}");
        assert!(fixture.clock.now().as_millis() < 1_600, "{load}");
    }
}

#[tokio::test(start_paused = true)]
async fn who_wants_to_leave_waits_for_nobody() {
    let rate = r#"
[[cohort]]
name = "meters"
devices = 60
arrival = { kind = "constant-rate", rate = "2/s" }"#;
    let fixture = run(rate, async |commands| {
        sleep(Duration::from_millis(700)).await;
        commands.send_replace(Some(OperatorCommand::Leave));
    })
    .await;
    assert_eq!(*fixture.commands.borrow(), Some(OperatorCommand::Leave));
    assert_eq!(fixture.outcomes(), [Outcome::Cancelled; 2]);
    assert_eq!(fixture.clock.now().as_millis() / 10, 70);
}

#[tokio::test(start_paused = true)]
async fn as_many_as_allowed_stay_and_the_rest_leaves() {
    let held = r#"
max-held = 2
[[cohort]]
name = "meters"
devices = 5
arrival = { kind = "constant-rate", rate = "1/s" }
after = { hold = "20s" }"#;
    let fixture = run(held, nothing).await;
    assert_eq!(fixture.outcomes(), [Outcome::Provisioned; 5]);
    let device_counters = fixture.gauges.device_counters.held();
    assert_eq!(
        (
            device_counters.most,
            device_counters.turned_away,
            device_counters.now
        ),
        (2, 3, 0)
    );
    assert_eq!(
        fixture.clock.now().as_secs(),
        22,
        "the second stays until then"
    );
}
