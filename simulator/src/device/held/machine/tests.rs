//! Devices that stay, in their own time.

use fleetstorm_reports::Fault;

use super::*;
use crate::link::hub::Call;

mod rounds;

const CUT: Duration = Duration::from_secs(7);
/// Between two signs of life.
const KEEP_ALIVE: Duration = Duration::from_secs(90);
/// The share of the time until the first round.
const ROUND: f64 = 0.25;

const LOST: LinkError = LinkError::Broken(Fault::ConnectionLost);

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn settings() -> Settings {
    Settings {
        hold: seconds(1_000),
        telemetry: None,
        reprovision_every: None,
        boot: Boot::default(),
        retry: RetryProfile::Naive,
        protocol: Protocol::Mqtt,
    }
}

fn draws() -> Draws {
    Draws {
        chance: Chance::new(1, "wait", "meters"),
        device: 3,
        next: 1 << 20,
    }
}

fn wait(until: Duration) -> Next {
    Action::Wait { until }.into()
}

fn operation(operation: Operation) -> Next {
    Action::AtHub(operation).into()
}

fn leaving(farewell: Farewell, action: Action) -> Next {
    Next {
        farewell: Some(farewell),
        action,
    }
}

fn register(at: Duration, identity: IdentityChange) -> Action {
    Action::Register { at, identity }
}

fn join(was_lost: bool, until: Duration) -> Next {
    Action::Join { was_lost, until }.into()
}

fn reprovision(at: Duration) -> Event {
    Event::Interrupted(Interruption::Reprovision { at, region: None })
}

fn power_cut(at: Duration, off: Duration) -> Event {
    Event::Interrupted(Interruption::PowerCut { at, off })
}

fn refused(status: u16) -> Event {
    Event::Failed(LinkError::Refused { status })
}

/// One that has come to its hub at the run's start.
fn new(settings: Settings) -> Machine {
    Machine::new(settings, draws(), ROUND, Duration::ZERO)
}

/// One that is told by its hub.
fn at_hub(settings: Settings) -> Machine {
    let mut device = new(settings);
    listens(&mut device, Duration::ZERO);
    device
}

/// It has a session, and asks to be told; gives what it then waits for.
fn listens(device: &mut Machine, now: Duration) -> Next {
    let asks = device.handle(Event::Joined, now);
    assert_eq!(asks, operation(Operation::Listen));
    let keep_alive = KEEP_ALIVE;
    device.handle(Event::Listening { keep_alive }, now)
}

/// Lost its hub at `now`; gives when it tries next.
fn loses(device: &mut Machine, now: Duration) -> Duration {
    let lost = device.handle(Event::Failed(LOST), now);
    assert_eq!(lost.farewell, Some(Farewell::Lost));
    next_try(&lost)
}

fn next_try(next: &Next) -> Duration {
    match next.action {
        Action::Wait { until } => until,
        ref other => panic!("{other:?}"),
    }
}

#[test]
fn a_device_that_has_nothing_to_say_shows_that_it_lives() {
    let mut device = new(settings());
    let waits = listens(&mut device, seconds(10));
    assert_eq!(waits, wait(seconds(100)));
    let due = device.handle(Event::Due, seconds(101));
    assert_eq!(due, operation(Operation::ShowLife));
    // From when it was shown, not from when it was due.
    let done = device.handle(Event::Done, seconds(102));
    assert_eq!(done, wait(seconds(191)));
}

#[test]
fn messages_begin_by_chance_and_those_that_were_missed_are_not_made_up_for() {
    let every = seconds(10);
    let telemetry = Some(every);
    let first = every.mul_f64(draws().draw());
    let mut device = new(Settings {
        telemetry,
        ..settings()
    });
    assert_eq!(listens(&mut device, Duration::ZERO), wait(first));
    let sends = device.handle(Event::Due, first);
    assert_eq!(sends, operation(Operation::Send(1)));
    let next = device.handle(Event::Done, first + seconds(1));
    assert_eq!(next, wait(first + every));
    // The hub took its time for the second: the third is due since.
    let late = first + 3 * every;
    let sends = device.handle(Event::Due, late);
    assert_eq!(sends, operation(Operation::Send(2)));
    assert_eq!(device.handle(Event::Done, late), wait(late + every));
    // A message is a sign of life.
    let due = device.handle(Event::Due, late + every);
    assert_eq!(due, operation(Operation::Send(3)));
}

#[test]
fn devices_of_a_cohort_do_not_send_together() {
    let firsts = (0..100).map(|device| {
        let draws = Draws { device, ..draws() };
        let telemetry = Some(seconds(10));
        let settings = Settings {
            telemetry,
            ..settings()
        };
        let mut device = Machine::new(settings, draws, ROUND, Duration::ZERO);
        next_try(&listens(&mut device, Duration::ZERO)).as_secs()
    });
    let mut firsts: Vec<_> = firsts.collect();
    firsts.sort_unstable();
    firsts.dedup();
    assert_eq!(firsts, (0..10).collect::<Vec<_>>(), "all over ten seconds");
}

#[test]
fn messages_and_signs_of_life_go_on_in_a_new_session() {
    let every = seconds(10);
    let mut device = at_hub(Settings {
        telemetry: Some(every),
        ..settings()
    });
    let first = every.mul_f64(draws().draw());
    device.handle(Event::Due, first);
    let tries = loses(&mut device, first);
    device.handle(Event::Due, tries);
    // What came due meanwhile is sent at once, and counted on.
    let waits = listens(&mut device, seconds(60));
    assert_eq!(waits, wait(first + every));
    let sends = device.handle(Event::Due, seconds(60));
    assert_eq!(sends, operation(Operation::Send(2)));
    assert_eq!(device.handle(Event::Done, seconds(60)), wait(seconds(70)));
}

#[test]
fn what_the_hub_says_is_handled_and_holds_nothing_up() {
    let mut device = at_hub(settings());
    let call = || Call::Mqtt { rid: "7".into() };
    for event in [
        || HubEvent::Desired,
        || HubEvent::Other,
        || HubEvent::Method(Call::Mqtt { rid: "7".into() }),
    ] {
        let handles = device.handle(Event::Received(event()), seconds(5));
        assert_eq!(handles, operation(Operation::Handle(event())));
        assert_eq!(device.handle(Event::Done, seconds(6)), wait(KEEP_ALIVE));
    }
    // The answer broke off with the session.
    device.handle(Event::Received(HubEvent::Method(call())), seconds(7));
    assert_eq!(loses(&mut device, seconds(7)), seconds(8));
}

#[test]
fn its_time_ends_wherever_it_is() {
    let over = Action::End(Ending::Over);
    let hold = seconds(20);
    let short = Settings { hold, ..settings() };
    let mut device = new(short);
    assert_eq!(listens(&mut device, seconds(1)), wait(hold));
    let leaves = device.handle(Event::Due, hold);
    assert_eq!(leaves, leaving(Farewell::Waited, over));

    let mut device = at_hub(short);
    loses(&mut device, seconds(19));
    let ends = device.handle(Event::Due, hold);
    assert_eq!(ends, Action::End(Ending::Over).into(), "on its search");

    let mut device = at_hub(short);
    let off = device.handle(power_cut(CUT, seconds(60)), CUT);
    let waits = Action::Wait { until: hold };
    assert_eq!(off, leaving(Farewell::Sudden, waits), "without power");
    assert_eq!(
        device.handle(Event::Due, hold),
        Action::End(Ending::Over).into()
    );
}

#[test]
fn the_runs_end_is_everybodys() {
    let stop = || Event::Interrupted(Interruption::Stop);
    let over = || Action::End(Ending::Over);
    let now = seconds(9);
    let mut device = at_hub(settings());
    let leaves = device.handle(stop(), now);
    assert_eq!(leaves, leaving(Farewell::Waited, over()));
    let mut device = at_hub(settings());
    loses(&mut device, now);
    assert_eq!(device.handle(stop(), now), over().into());
    let mut device = at_hub(settings());
    device.handle(power_cut(CUT, seconds(60)), CUT);
    assert_eq!(device.handle(stop(), now), over().into());
}

#[test]
fn a_lost_hub_is_looked_for_as_the_retry_profile_says() {
    let mut device = at_hub(settings());
    assert_eq!(loses(&mut device, seconds(5)), seconds(6));
    let hold = settings().hold;
    for tried in 6..60 {
        let now = seconds(tried);
        assert_eq!(device.handle(Event::Due, now), join(true, hold));
        let again = device.handle(Event::Failed(LOST), now);
        assert_eq!(again, wait(now + seconds(1)), "the naive ask each second");
    }
    assert_eq!(
        listens(&mut device, seconds(61)),
        wait(seconds(61) + KEEP_ALIVE)
    );
    // A session that was begun makes the next search a new one.
    assert_eq!(loses(&mut device, seconds(70)), seconds(71));
}

#[test]
fn who_backs_off_waits_longer_and_longer_and_gives_up_at_last() {
    let retry = RetryProfile::WellBehaved;
    let hold = seconds(1_000_000);
    let mut device = at_hub(Settings {
        retry,
        hold,
        ..settings()
    });
    let mut now = seconds(5);
    let mut waits = vec![loses(&mut device, now) - now];
    let ending = loop {
        now += *waits.last().expect("a wait");
        assert_eq!(device.handle(Event::Due, now), join(true, hold));
        match device.handle(Event::Failed(LOST), now).action {
            Action::Wait { until } => waits.push(until - now),
            action => break action,
        }
    };
    assert_eq!(ending, Action::End(Ending::GivenUp));
    let early: Duration = waits[..3].iter().sum();
    let late: Duration = waits[waits.len() - 3..].iter().sum();
    assert!(late > 2 * early, "{waits:?}");
}

#[test]
fn whatever_ended_a_session_a_device_that_has_a_hub_looks_for_it() {
    for error in [
        LOST,
        LinkError::Broken(Fault::ConnectionRefused),
        LinkError::Broken(Fault::Tls),
        LinkError::Broken(Fault::LocalResources),
        LinkError::Refused { status: 503 },
        LinkError::Refused { status: 429 },
    ] {
        let mut device = at_hub(settings());
        let lost = device.handle(Event::Failed(error), seconds(5));
        let waits = Action::Wait { until: seconds(6) };
        assert_eq!(lost, leaving(Farewell::Lost, waits), "{error:?}");
    }
}

#[test]
fn who_is_not_known_to_its_hub_goes_to_dps_wherever_it_finds_out() {
    let unchanged = |at| register(at, IdentityChange::Unchanged);
    for status in [401, 403, 404] {
        let mut device = at_hub(settings());
        let thrown_out = device.handle(refused(status), seconds(5));
        assert_eq!(
            thrown_out,
            leaving(Farewell::Lost, unchanged(seconds(5))),
            "{status}"
        );

        let mut device = at_hub(settings());
        let tries = loses(&mut device, seconds(5));
        device.handle(Event::Due, tries);
        let not_let_in = device.handle(refused(status), tries);
        assert_eq!(not_let_in, unchanged(tries).into(), "on its search");

        let mut device = at_hub(settings());
        device.handle(power_cut(CUT, seconds(1)), CUT);
        device.handle(Event::Due, seconds(8));
        device.handle(Event::Booted, seconds(8));
        let not_let_in = device.handle(refused(status), seconds(9));
        assert_eq!(not_let_in, unchanged(seconds(9)).into(), "booted");
    }
}

#[test]
fn who_was_let_in_again_stays_and_who_was_not_gives_up() {
    let mut device = at_hub(settings());
    device.handle(reprovision(seconds(5)), seconds(5));
    let back = device.handle(Event::Registered(true), seconds(6));
    assert_eq!(back, operation(Operation::Listen));
    device.handle(reprovision(seconds(8)), seconds(8));
    let refused = device.handle(Event::Registered(false), seconds(9));
    assert_eq!(refused, Action::End(Ending::GivenUp).into());
}

#[test]
fn a_power_cut_is_sudden_and_the_boot_turns_to_the_hub_or_to_dps() {
    for (boot, turns_to) in [
        (Boot::default(), join(false, settings().hold)),
        (
            Boot::RegisterAlways,
            register(CUT, IdentityChange::Unchanged).into(),
        ),
    ] {
        let mut device = at_hub(Settings { boot, ..settings() });
        // Told a moment after it happened.
        let now = CUT + Duration::from_millis(1);
        let off = device.handle(power_cut(CUT, seconds(30)), now);
        let until = now + seconds(30);
        assert_eq!(off, leaving(Farewell::Sudden, Action::Wait { until }));
        assert_eq!(device.handle(Event::Due, until), Action::Boot.into());
        assert_eq!(device.handle(Event::Booted, until), turns_to, "{boot:?}");
    }
}

#[test]
fn a_hub_that_is_away_when_a_device_boots_is_looked_for() {
    let mut device = at_hub(settings());
    device.handle(power_cut(CUT, seconds(1)), CUT);
    device.handle(Event::Due, seconds(8));
    device.handle(Event::Booted, seconds(8));
    let not_there = device.handle(Event::Failed(LOST), seconds(9));
    assert_eq!(not_there, wait(seconds(10)), "it had no session to lose");
    assert_eq!(
        device.handle(Event::Due, seconds(10)),
        join(true, settings().hold)
    );
}

#[test]
fn without_power_nothing_reaches_a_device_but_another_cut() {
    let mut device = at_hub(settings());
    device.handle(power_cut(CUT, seconds(30)), CUT);
    for told in [
        reprovision(seconds(8)),
        Event::Interrupted(Interruption::FactoryReset { at: seconds(8) }),
        Event::Interrupted(Interruption::ChangeOwner { at: seconds(8) }),
    ] {
        assert_eq!(device.handle(told, seconds(8)), wait(seconds(37)));
    }
    let again = device.handle(power_cut(seconds(10), seconds(5)), seconds(10));
    assert_eq!(again, wait(seconds(15)), "the last cut counts");
    assert_eq!(device.handle(Event::Due, seconds(15)), Action::Boot.into());
}

#[test]
fn a_power_cut_ends_a_search() {
    let mut device = at_hub(settings());
    let tries = loses(&mut device, seconds(5));
    device.handle(Event::Due, tries);
    let off = device.handle(power_cut(CUT, seconds(3)), CUT);
    assert_eq!(off, wait(seconds(10)), "there is no session to leave");
    assert_eq!(device.handle(Event::Due, seconds(10)), Action::Boot.into());
}

#[test]
fn who_is_told_to_goes_to_dps_with_what_it_then_is() {
    use IdentityChange::{Renewed, Reset, Unchanged};
    let at = seconds(5);
    let reprovision = || Interruption::Reprovision { at, region: None };
    let told: [(&dyn Fn() -> Interruption, _, _); 3] = [
        (&reprovision, Farewell::Beside, Renewed),
        (
            &|| Interruption::FactoryReset { at },
            Farewell::Sudden,
            Reset,
        ),
        (
            &|| Interruption::ChangeOwner { at },
            Farewell::Beside,
            Unchanged,
        ),
    ];
    for (told, farewell, identity) in told {
        let mut device = at_hub(settings());
        let goes = device.handle(Event::Interrupted(told()), seconds(6));
        assert_eq!(goes, leaving(farewell, register(at, identity)));

        // Before its hub has told it anything.
        let mut device = new(settings());
        device.handle(Event::Joined, seconds(1));
        let goes = device.handle(Event::Interrupted(told()), seconds(6));
        assert_eq!(goes, leaving(farewell, register(at, identity)));

        let mut device = at_hub(settings());
        loses(&mut device, seconds(5));
        let goes = device.handle(Event::Interrupted(told()), seconds(6));
        assert_eq!(goes, register(at, identity).into(), "on its search");
    }
}

#[test]
fn who_was_sold_on_its_way_goes_to_its_owner_first() {
    let mut device = new(settings());
    let goes = device.handle(Event::Sold, seconds(1));
    assert_eq!(goes, register(seconds(1), IdentityChange::Unchanged).into());
    let arrived = device.handle(Event::Registered(true), seconds(2));
    assert_eq!(arrived, operation(Operation::Listen));
}

/// However often it is woken too early, and however late: it waits on, or it does something.
#[test]
fn a_moment_that_has_come_is_not_waited_for_again() {
    let every = Some(seconds(7));
    let mut device = at_hub(Settings {
        telemetry: every,
        reprovision_every: Some(seconds(40)),
        ..settings()
    });
    let mut now = Duration::ZERO;
    let mut next = device.handle(Event::Done, now);
    while now < seconds(900) {
        let event = match next.action {
            Action::Wait { until } => {
                let early = device.handle(Event::Due, now);
                assert!(until > now && early.action == Action::Wait { until });
                now = until;
                Event::Due
            }
            Action::AtHub(Operation::Listen) => Event::Listening {
                keep_alive: seconds(5),
            },
            Action::AtHub(Operation::Send(number)) if number.is_multiple_of(5) => {
                Event::Failed(LOST)
            }
            Action::AtHub(_) => Event::Done,
            Action::Join { .. } if now.as_secs().is_multiple_of(3) => refused(404),
            Action::Join { .. } => Event::Joined,
            Action::Register { .. } => Event::Registered(true),
            Action::Boot | Action::End(_) => panic!("{next:?}"),
        };
        next = device.handle(event, now);
    }
}
