//! Devices that go back to DPS by themselves, every so often.

use super::*;

#[test]
fn rounds_come_at_a_devices_own_times() {
    let rounds = Settings {
        reprovision_every: Some(seconds(40)),
        ..settings()
    };
    let goes = |at| register(at, IdentityChange::Unchanged);
    let mut device = new(rounds);
    assert_eq!(listens(&mut device, seconds(1)), wait(seconds(10)));
    let first = device.handle(Event::Due, seconds(10));
    assert_eq!(first, leaving(Farewell::Beside, goes(seconds(10))));
    device.handle(Event::Registered(true), seconds(12));
    let keep_alive = KEEP_ALIVE;
    let waits = device.handle(Event::Listening { keep_alive }, seconds(12));
    assert_eq!(waits, wait(seconds(50)), "they keep their rhythm");
    // Whoever looks for its hub goes to DPS as well.
    device.handle(Event::Failed(LOST), seconds(49));
    let second = device.handle(Event::Due, seconds(50));
    assert_eq!(second, goes(seconds(50)).into());
}

#[test]
fn rounds_pass_without_those_that_have_no_power() {
    let mut device = at_hub(Settings {
        reprovision_every: Some(seconds(40)),
        ..settings()
    });
    device.handle(power_cut(CUT, seconds(100)), CUT);
    assert_eq!(device.handle(Event::Due, seconds(107)), Action::Boot.into());
    // Due at 10, 50 and 90.
    let turns = device.handle(Event::Booted, seconds(107));
    assert_eq!(turns, join(false, seconds(147)));
    assert_eq!(listens(&mut device, seconds(108)), wait(seconds(147)));
}

#[test]
fn a_round_that_would_come_after_its_time_does_not() {
    let mut device = new(Settings {
        hold: seconds(8),
        reprovision_every: Some(seconds(40)),
        ..settings()
    });
    assert_eq!(listens(&mut device, seconds(1)), wait(seconds(8)));
    let leaves = device.handle(Event::Due, seconds(11));
    let over = Action::End(Ending::Over);
    assert_eq!(leaves, leaving(Farewell::Waited, over));
}
