//! Devices that stay with a hub in memory, in virtual time, over every transport. They ask at once where they belong, and hear it a second
//! later.

use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::Receiver;

use fleetstorm_protocol::attestation::TransportKind;
use fleetstorm_protocol::hub;
use fleetstorm_reports::{Record, recorder};
use fleetstorm_scenarios::{Event, Plan};
use futures_util::FutureExt;
use tokio::sync::watch;
use tokio::task::{JoinHandle, LocalSet, spawn_local};
use tokio::time::{Instant, sleep_until};

use super::*;
use crate::device::orders::{Order, Orders};
use crate::device::provision;
use crate::in_memory::{HUBS, Seen, Service};
use crate::operator_command::OperatorCommand;
use crate::stopwatch::RunClock;

/// What can happen to a device, by its number.
const EVENTS: &str = r#"
[[event]]
at = "1s"
do = "power-cut"
for = "30s"
[[event]]
at = "1s"
do = "move"
to = "far"
[[event]]
at = "1s"
do = "factory-reset"
[[event]]
at = "1s"
do = "change-owner"
cohort = "meters"
to = "globex"
"#;
const POWER_CUT: u16 = 0;
const MOVE: u16 = 1;
const FACTORY_RESET: u16 = 2;
const CHANGE_OWNER: u16 = 3;

/// A device, what it meets, and what tells it.
struct Fixture {
    service: Service,
    plan: Plan,
    conditions: Rc<Conditions>,
    recorder: Recorder,
    records: Receiver<Record>,
    commands: watch::Sender<Option<OperatorCommand>>,
    orders: watch::Sender<Orders>,
}

impl Fixture {
    fn new(cohort: &str, transport: TransportKind) -> Self {
        let clock = RunClock::starting_at(Instant::now());
        let service = Service::start(clock);
        let scenario = format!(
            r#"
name = "held"
seed = 1
device-timeout = "20s"
[server]
hub = [{{ name = "hub-1" }}, {{ name = "hub-2" }}]
[[region]]
name = "far"
[[tenant]]
name = "acme"
hubs = ["hub-1"]
[[tenant]]
name = "globex"
hubs = ["hub-2"]
[[cohort]]
name = "meters"
tenant = "acme"
devices = 1
attestation = "symmetric-key-group"
transport = "{transport}"
retry = "naive"
arrival = {{ kind = "all-at-once" }}
{cohort}
{EVENTS}
"#
        );
        let (plan, conditions) = service.devices_of(&scenario);
        let (recorder, records) = recorder(16);
        Self {
            service,
            plan,
            conditions: Rc::new(conditions),
            recorder,
            records,
            commands: watch::Sender::new(None),
            orders: watch::Sender::default(),
        }
    }

    /// The device comes, and stays in a task of its own.
    async fn stays(&self) -> JoinHandle<()> {
        let mut schedule = self.plan.open_schedule(0, 1);
        let release = schedule.next().expect("a device");
        let delay = Delay::default();
        let (record, settled) = provision(release, &self.conditions, delay.clone()).await;
        assert!(record.outcome.is_provisioned(), "{:?}", record.outcome);
        let profile = self.conditions.profile(release.cohort);
        let events: Arc<[Event]> = self.plan.scenario().events.as_slice().into();
        let ctx = HeldContext {
            conditions: Rc::clone(&self.conditions),
            recorder: self.recorder.clone(),
            inbox: DeviceInbox::new(
                events,
                self.commands.subscribe(),
                self.orders.subscribe(),
                (release.cohort, release.device),
                profile.event_chance.clone(),
            ),
            delay,
        };
        let hold = profile.cohort.after.hold.expect("it stays");
        let settled = settled.expect("a session");
        let mut device = HeldDevice::new(ctx, release, settled, hold);
        spawn_local(async move { device.run().await })
    }

    /// Lets time pass until so many seconds of the run.
    async fn until(&self, second: u64) {
        sleep_until(self.conditions.clock.at(Duration::from_secs(second))).await;
    }

    /// Something happens.
    fn happens(&self, event: u16) {
        let at = self.conditions.clock.now();
        self.orders.send_modify(|orders| {
            let before = orders.iter().copied();
            *orders = Arc::new(before.chain([Order { event, at }]).collect());
        });
    }

    fn sell(&self) {
        let sale = self.conditions.fleet.transfer(0);
        sale.expect("a sale").done();
    }

    fn record(&self) -> Record {
        self.records.try_recv().expect("a record")
    }
}

/// The same play over every transport.
async fn on_stage(cohort: &str, test: impl AsyncFn(Fixture)) {
    for transport in TransportKind::ALL {
        let play = async { test(Fixture::new(cohort, transport)).await };
        let tasks = LocalSet::new();
        let played = AssertUnwindSafe(tasks.run_until(play)).catch_unwind();
        assert!(played.await.is_ok(), "over {transport}");
    }
}

/// What one sees that comes at the start and is assigned to the first hub.
fn arrival() -> Vec<(u64, Seen)> {
    vec![(0, Seen::Registers), (1, Seen::Joins(HUBS[0]))]
}

fn and(more: &[(u64, Seen)]) -> Vec<(u64, Seen)> {
    [&arrival(), more].concat()
}

const STAYS: &str = r#"after = { hold = "10m" }"#;

#[tokio::test(start_paused = true)]
async fn a_device_sends_at_its_rate_until_its_time_is_over() {
    on_stage(
        r#"after = { hold = "95s", telemetry = "1/10s" }"#,
        async |fixture| {
            let held = fixture.stays().await;
            assert_eq!(fixture.conditions.device_counters.held().now, 1);
            held.await.expect("no panic");
            let seen = fixture.service.seen();
            let messages = &seen[2..seen.len() - 1];
            assert!((9..=10).contains(&messages.len()), "{seen:?}");
            let first = messages[0].0;
            for (number, message) in (0..).zip(messages) {
                let text = format!(r#"{{"sequence":{}}}"#, number + 1);
                // Timers are late by up to a millisecond.
                let due = first + 10 * number;
                assert!((due..=due + 1).contains(&message.0), "{seen:?}");
                assert_eq!(message.1, Seen::Message(text));
            }
            assert_eq!(seen.last(), Some(&(96, Seen::Leaves)));
            let device_counters = fixture.conditions.device_counters.held();
            assert_eq!(device_counters.messages, messages.len() as u64);
            assert_eq!(
                (
                    device_counters.now,
                    device_counters.most,
                    device_counters.dropped
                ),
                (0, 1, 0)
            );
        },
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_silent_device_shows_that_it_lives() {
    on_stage(r#"after = { hold = "400s" }"#, async |fixture| {
        fixture.stays().await.await.expect("no panic");
        let lives = [91, 181, 271, 361].map(|second| (second, Seen::Lives));
        let leaves = [(401, Seen::Leaves)];
        assert_eq!(fixture.service.seen(), and(&[&lives[..], &leaves].concat()));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_the_hub_says_is_heard_and_answered() {
    on_stage(STAYS, async |fixture| {
        let _held = fixture.stays().await;
        fixture.until(5).await;
        let service = &fixture.service;
        service.publish(&hub::HubEvent::Desired { version: 2 });
        let (name, rid) = ("reboot".into(), "7".into());
        service.publish(&hub::HubEvent::Method { name, rid });
        fixture.until(6).await;
        assert_eq!(service.seen(), and(&[(5, Seen::Answers)]));
        let device_counters = fixture.conditions.device_counters.held();
        assert_eq!((device_counters.desired, device_counters.methods), (1, 1));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_lost_hub_is_found_again_when_it_is_there_again() {
    on_stage(STAYS, async |fixture| {
        let _held = fixture.stays().await;
        fixture.until(5).await;
        fixture.service.set_down(true);
        fixture.service.hang_up();
        fixture.until(15).await;
        let device_counters = fixture.conditions.device_counters.held();
        assert_eq!(
            (
                device_counters.now,
                device_counters.dropped,
                device_counters.reconnected
            ),
            (0, 1, 0)
        );
        fixture.service.set_down(false);
        fixture.until(17).await;
        let back = [(15, Seen::Joins(HUBS[0]))];
        assert_eq!(fixture.service.seen(), and(&back));
        let device_counters = fixture.conditions.device_counters.held();
        assert_eq!(
            (
                device_counters.now,
                device_counters.dropped,
                device_counters.reconnected
            ),
            (1, 1, 1)
        );
        assert_eq!(device_counters.given_up, 0);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_device_without_power_vanishes_and_boots_again() {
    on_stage(STAYS, async |fixture| {
        let _held = fixture.stays().await;
        fixture.until(5).await;
        fixture.happens(POWER_CUT);
        fixture.until(40).await;
        let boots = [(5, Seen::Vanishes), (35, Seen::Joins(HUBS[0]))];
        assert_eq!(fixture.service.seen(), and(&boots));
        let device_counters = fixture.conditions.device_counters.held();
        assert_eq!((device_counters.rebooted, device_counters.dropped), (1, 0));
    })
    .await;
    let to_dps = format!("boot = \"register-always\"\n{STAYS}");
    on_stage(&to_dps, async |fixture| {
        let _held = fixture.stays().await;
        fixture.until(5).await;
        fixture.happens(POWER_CUT);
        fixture.until(40).await;
        let boots = [
            (5, Seen::Vanishes),
            (35, Seen::Registers),
            (36, Seen::Joins(HUBS[0])),
        ];
        assert_eq!(fixture.service.seen(), and(&boots));
        let record = fixture.record();
        assert!(record.reprovision && record.outcome.is_provisioned());
        // Response time counts from the moment the power went.
        assert_eq!(record.intended_start_us / 1_000_000, 5);
        assert_eq!(record.start_us / 1_000_000, 35);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_device_that_is_carried_away_says_good_bye_and_registers_from_there() {
    on_stage(STAYS, async |fixture| {
        let _held = fixture.stays().await;
        fixture.until(5).await;
        fixture.service.assign_to(HUBS[1]);
        fixture.happens(MOVE);
        fixture.until(9).await;
        let mut seen = fixture.service.seen().split_off(2);
        // Its good-bye is said beside what it does.
        seen.sort_by_key(|(at, seen)| (*at, *seen != Seen::Leaves));
        let moves = [
            (5, Seen::Leaves),
            (5, Seen::Registers),
            (6, Seen::Joins(HUBS[1])),
        ];
        assert_eq!(seen, moves);
        let record = fixture.record();
        assert!(record.reprovision && record.outcome.is_provisioned());
        assert_eq!(record.region, Some(0));
        assert_eq!(record.intended_start_us / 1_000_000, 5);
        let device_counters = fixture.conditions.device_counters.held();
        assert_eq!((device_counters.now, device_counters.dropped), (1, 0));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_device_that_is_reset_says_nothing_and_registers() {
    on_stage(STAYS, async |fixture| {
        let _held = fixture.stays().await;
        fixture.until(5).await;
        fixture.happens(FACTORY_RESET);
        fixture.until(9).await;
        let mut seen = fixture.service.seen().split_off(2);
        seen.sort_by_key(|(at, seen)| (*at, *seen != Seen::Vanishes));
        let again = [
            (5, Seen::Vanishes),
            (5, Seen::Registers),
            (6, Seen::Joins(HUBS[0])),
        ];
        assert_eq!(seen, again);
        assert!(fixture.record().outcome.is_provisioned());
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn who_is_unknown_to_its_hub_asks_dps_where_it_belongs() {
    on_stage(STAYS, async |fixture| {
        let _held = fixture.stays().await;
        fixture.until(5).await;
        fixture.service.assign_to(HUBS[1]);
        fixture.service.forget_at(HUBS[0]);
        fixture.until(10).await;
        let found_out = [
            (6, Seen::NotLetIn),
            (6, Seen::Registers),
            (7, Seen::Joins(HUBS[1])),
        ];
        assert_eq!(fixture.service.seen(), and(&found_out));
        assert_eq!(fixture.conditions.device_counters.held().now, 1);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn whom_dps_refuses_gives_up() {
    on_stage(STAYS, async |fixture| {
        let held = fixture.stays().await;
        fixture.until(5).await;
        fixture.service.refuse(Some(404));
        fixture.happens(MOVE);
        held.await.expect("no panic");
        let record = fixture.record();
        assert!(record.reprovision && !record.outcome.is_provisioned());
        let device_counters = fixture.conditions.device_counters.held();
        assert_eq!((device_counters.now, device_counters.given_up), (0, 1));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_sold_device_goes_to_its_owner_once_however_it_finds_out() {
    let sold = |record: &Record| record.outcome.is_provisioned() && record.tenant == 2;
    // It is told.
    on_stage(STAYS, async |fixture| {
        let _held = fixture.stays().await;
        fixture.until(5).await;
        fixture.service.assign_to(HUBS[1]);
        fixture.sell();
        fixture.happens(CHANGE_OWNER);
        fixture.until(9).await;
        assert!(fixture.service.seen().contains(&(5, Seen::Leaves)));
        assert!(fixture.service.seen().contains(&(6, Seen::Joins(HUBS[1]))));
        assert!(sold(&fixture.record()));
    })
    .await;
    // Its hub has thrown it out before.
    on_stage(STAYS, async |fixture| {
        let _held = fixture.stays().await;
        fixture.until(5).await;
        fixture.service.assign_to(HUBS[1]);
        fixture.sell();
        fixture.service.forget_at(HUBS[0]);
        fixture.until(9).await;
        assert!(sold(&fixture.record()));
        let before = fixture.service.seen();
        fixture.happens(CHANGE_OWNER);
        fixture.until(19).await;
        assert_eq!(fixture.service.seen(), before, "that is no news");
    })
    .await;
    // It has no power then.
    on_stage(STAYS, async |fixture| {
        let _held = fixture.stays().await;
        fixture.until(5).await;
        fixture.happens(POWER_CUT);
        fixture.until(9).await;
        fixture.service.assign_to(HUBS[1]);
        fixture.sell();
        fixture.happens(CHANGE_OWNER);
        fixture.service.forget_at(HUBS[0]);
        fixture.until(49).await;
        let boots = [
            (5, Seen::Vanishes),
            (35, Seen::NotLetIn),
            (35, Seen::Registers),
            (36, Seen::Joins(HUBS[1])),
        ];
        assert_eq!(fixture.service.seen(), and(&boots));
        assert!(sold(&fixture.record()));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_device_goes_back_to_dps_at_its_own_times() {
    let rounds = r#"after = { hold = "95s", reprovision-every = "30s" }"#;
    on_stage(rounds, async |fixture| {
        fixture.stays().await.await.expect("no panic");
        let times = fixture.service.times_of(&Seen::Registers);
        assert!((4..=5).contains(&times.len()), "{times:?}");
        let apart = times[1..].windows(2).map(|pair| pair[1] - pair[0]);
        for apart in apart {
            assert_eq!(apart.as_secs_f64().round(), 30.0, "{times:?}");
        }
        assert_eq!(fixture.records.try_iter().count(), times.len() - 1);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_runs_end_ends_a_device_wherever_it_is() {
    on_stage(STAYS, async |fixture| {
        let held = fixture.stays().await;
        fixture.until(5).await;
        fixture.commands.send_replace(Some(OperatorCommand::Stop));
        held.await.expect("no panic");
        assert_eq!(fixture.service.seen(), and(&[(5, Seen::Leaves)]));
    })
    .await;
    // It looks for its hub, which takes nothing.
    on_stage(STAYS, async |fixture| {
        let held = fixture.stays().await;
        fixture.until(5).await;
        fixture.service.go_deaf();
        fixture.service.hang_up();
        fixture.until(9).await;
        fixture.commands.send_replace(Some(OperatorCommand::Stop));
        held.await.expect("no panic");
        assert_eq!(fixture.conditions.clock.now().as_secs(), 9);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_hub_that_takes_too_long_is_as_good_as_gone() {
    on_stage(
        r#"after = { hold = "10m", telemetry = "1/10s" }"#,
        async |fixture| {
            let _held = fixture.stays().await;
            fixture.until(2).await;
            fixture.service.go_deaf();
            fixture.until(60).await;
            let lost = fixture.service.times_of(&Seen::Vanishes);
            // Messages begin within ten seconds, and a device may take twenty for one.
            assert!((21..=31).contains(&lost[0].as_secs()), "{lost:?}");
            assert_eq!(fixture.conditions.device_counters.held().dropped, 1);
            let device_counters = fixture.conditions.tally_of(HUBS[0]);
            assert_eq!(device_counters.messages.unheard.get(), 1);
        },
    )
    .await;
}

/// What its task takes; its connection comes on top.
#[test]
fn a_device_that_stays_is_small() {
    fn size<'device, Running>(_: fn(&'device mut HeldDevice) -> Running) -> usize {
        size_of::<HeldDevice>() + size_of::<Running>()
    }
    let bytes = size(HeldDevice::run);
    assert!(bytes <= 15_600, "{bytes}");
}
