//! A device that stays with its hub: sends at its rate, hears, shows signs of life, comes back
//! when it loses the connection, boots again after a power cut, and goes back to DPS when it has to.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use fleetstorm_reports::{Fault, Recorder};
use fleetstorm_scenarios::retry::{Setback, Step};
use fleetstorm_scenarios::{Boot, Release};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use self::rounds::Rounds;
use super::attempt;
use super::conditions::{Conditions, Habits};
use super::drive::Drive;
use super::drive::member::Member;
use super::orders::{Called, Ear};
use super::patience::{Moment, Patience, setback_of};
use super::tally::Tally;
use crate::fleet::{Credential, Identity};
use crate::generator::delay::Delay;
use crate::link::LinkError;
use crate::link::hub::{HubLink, Said};

mod rounds;

/// Its draws by chance begin here: those before are of its way to the hub.
const FIRST_DRAW: u32 = 1 << 20;
/// The draw for when its rounds begin; events have the lower numbers.
const ROUNDS_DRAW: u32 = 1 << 20;
/// What methods are answered with.
const RESULT: &[u8] = b"{}";

/// A device that was provisioned, with its session.
pub struct Settled {
    /// Who it is.
    pub identity: Identity,
    /// Where it belongs.
    pub member: Member,
    /// The session.
    pub hub: HubLink,
}

/// What a device needs that stays, beside itself.
pub struct Surroundings {
    /// What devices share.
    pub conditions: Rc<Conditions>,
    /// Where records of devices go that went back to DPS.
    pub recorder: Recorder,
    /// What it is told.
    pub ear: Ear,
    /// What its task measures of the generator.
    pub delay: Delay,
}

/// A device that stays.
pub struct Life {
    conditions: Rc<Conditions>,
    tally: Arc<Tally>,
    recorder: Recorder,
    ear: Ear,
    delay: Delay,
    release: Release,
    identity: Identity,
    /// Times that it was as it left the factory again.
    resets: u64,
    member: Member,
    until: Instant,
    next_message: Option<Instant>,
    rounds: Option<Rounds>,
    sent: u64,
    draws: u32,
}

/// What a device does next.
enum Next {
    /// Stays with its hub.
    Stay(HubLink),
    /// Looks for its hub, after this.
    Seek(LinkError),
    /// Has no power until then; it lost it at `at`, since the run's start.
    Off { at: Duration, until: Instant },
    /// Goes to DPS, because of something that happened at `at`.
    Register { at: Duration },
    /// Is at its end.
    End,
}

/// Who has something to say.
enum Turn {
    Runs(Called),
    Hubs(Result<Said, LinkError>),
    Own(Instant),
}

/// Why a device leaves its hub.
enum Leave {
    /// It was told to do something else.
    Called(Called),
    /// Its next round to DPS was due then, since the run's start.
    Round(Duration),
    /// It has stayed as long as it should.
    Stayed,
}

impl Life {
    /// Begins to stay for `hold`.
    pub fn new(
        around: Surroundings,
        release: Release,
        settled: Settled,
        hold: Duration,
    ) -> (Self, HubLink) {
        let now = Instant::now();
        let habits = around.conditions.habits(release.cohort);
        // Devices that came together don't send together.
        let first = habits.chance.share(release.device, FIRST_DRAW);
        let next_message = habits
            .after
            .telemetry
            .map(|every| now + every.mul_f64(first));
        let share = habits.event_chance.share(release.device, ROUNDS_DRAW);
        let since_start = Duration::from_micros(around.conditions.clock.now_us());
        let every = habits.after.reprovision_every;
        let rounds = every.map(|every| Rounds::new(every, since_start, share));
        let tally = Arc::clone(&around.conditions.tally);
        let life = Self {
            conditions: around.conditions,
            tally,
            recorder: around.recorder,
            ear: around.ear,
            delay: around.delay,
            release,
            identity: settled.identity,
            resets: 0,
            member: settled.member,
            until: now + hold,
            next_message,
            rounds,
            sent: 0,
            draws: FIRST_DRAW,
        };
        (life, settled.hub)
    }

    /// Stays to the end, over as many sessions as it takes.
    pub async fn live(mut self, hub: HubLink) {
        let mut next = if self.is_sold() {
            // While it was on its way.
            drop(hub);
            self.register_now()
        } else {
            Next::Stay(hub)
        };
        loop {
            next = match next {
                Next::Stay(hub) => self.stay(hub).await,
                Next::Seek(error) => self.seek_until_called(error).await,
                Next::Off { at, until } => self.wait_for_power(at, until).await,
                Next::Register { at } => self.register(at).await,
                Next::End => return,
            };
        }
    }

    /// Stays with the hub, until something ends that.
    async fn stay(&mut self, mut hub: HubLink) -> Next {
        let tally = Arc::clone(&self.tally);
        let held = tally.hold();
        let over = self.attend(&mut hub).await;
        drop(held);
        let hub_tally = self.conditions.tally_of(self.member.hub());
        match over {
            Ok(leave) => {
                // Without power nobody says good-bye, nor while it forgets.
                let is_sudden = matches!(
                    leave,
                    Leave::Called(Called::PowerCut { .. } | Called::FactoryReset { .. })
                );
                if is_sudden {
                    hub_tally.broken_off.add();
                }
                let next = self.leave(leave);
                match next {
                    _ if is_sudden => drop(hub),
                    // There is nothing to be late for, and all may be told to stop at once.
                    Next::End => {
                        let _ = timeout(self.conditions.device_timeout, hub.close()).await;
                    }
                    _ => self.conditions.goodbyes.say(hub.close()),
                }
                next
            }
            Err(error) => {
                self.conditions.failed(error);
                hub_tally.broken_off.add();
                self.tally.dropped.add();
                if is_unknown(error) {
                    return self.register_now();
                }
                Next::Seek(error)
            }
        }
    }

    fn follow(&mut self, called: Called) -> Next {
        match called {
            Called::Stop => Next::End,
            Called::PowerCut { at, off } => Next::Off {
                at,
                until: Instant::now() + off,
            },
            Called::Reprovision { at, region } => {
                self.release.region = region.or(self.release.region);
                self.renew();
                Next::Register { at }
            }
            Called::FactoryReset { at } => {
                self.resets += 1;
                if matches!(self.identity.credential, Credential::Tpm(_)) {
                    self.renew();
                }
                Next::Register { at }
            }
            Called::ChangeOwner { at } => Next::Register { at },
        }
    }

    /// It is what it would be if it were made today; its TPM has been cleared as often as before.
    fn renew(&mut self) {
        let (cohort, device) = (self.release.cohort, self.release.device);
        let fleet = &self.conditions.fleet;
        self.identity = fleet.identity_after(self.resets, cohort, device);
    }

    /// Whether it has another owner than it knows.
    fn is_sold(&self) -> bool {
        let (cohort, device) = (self.release.cohort, self.release.device);
        self.conditions.fleet.owner(cohort, device) != self.identity.owner
    }

    fn leave(&mut self, leave: Leave) -> Next {
        match leave {
            Leave::Called(called) => self.follow(called),
            Leave::Round(at) => {
                self.pass_rounds();
                // With the proof that it has.
                Next::Register { at }
            }
            Leave::Stayed => Next::End,
        }
    }

    fn pass_rounds(&mut self) {
        let now = Duration::from_micros(self.conditions.clock.now_us());
        if let Some(rounds) = &mut self.rounds {
            rounds.pass(now);
        }
    }

    /// When its next round is due, if it stays that long.
    fn next_round(&self) -> Option<(Duration, Instant)> {
        let due = self.rounds?.next();
        let at = Instant::from_std(self.conditions.clock.at(due));
        (at < self.until).then_some((due, at))
    }

    /// One session.
    async fn attend(&mut self, hub: &mut HubLink) -> Result<Leave, LinkError> {
        self.within(hub.listen()).await?;
        let mut next_sign = Instant::now() + hub.keep_alive();
        loop {
            let next = self
                .next_message
                .map_or(self.until, |at| at.min(self.until));
            let round = self.next_round();
            let wakes = round.map_or(next, |(_, at)| at.min(next));
            let turn = tokio::select! {
                biased;
                called = self.ear.called() => Turn::Runs(called),
                said = hub.hear() => Turn::Hubs(said),
                () = sleep_until(wakes.min(next_sign)) => Turn::Own(Instant::now()),
            };
            match turn {
                // Its hub may have thrown it out before it was told, and it has moved over by itself.
                Turn::Runs(Called::ChangeOwner { .. }) if !self.is_sold() => {}
                Turn::Runs(called) => return Ok(Leave::Called(called)),
                Turn::Hubs(said) => self.heed(hub, said?).await?,
                Turn::Own(now) if now >= self.until => return Ok(Leave::Stayed),
                Turn::Own(now) => {
                    if let Some((due, _)) = round.filter(|(_, at)| now >= *at) {
                        return Ok(Leave::Round(due));
                    }
                    next_sign = now + hub.keep_alive();
                    if now >= next {
                        self.send(hub, now).await?;
                    } else {
                        self.within(hub.show_life()).await?;
                    }
                }
            }
        }
    }

    /// Does what the hub said.
    async fn heed(&self, hub: &mut HubLink, said: Said) -> Result<(), LinkError> {
        self.within(hub.settle()).await?;
        let tally = self.conditions.tally_of(self.member.hub());
        match said {
            Said::Method(call) => {
                self.within(hub.answer(call, RESULT)).await?;
                tally.methods.add();
            }
            Said::Desired => tally.desired.add(),
            Said::Other => {}
        }
        Ok(())
    }

    async fn send(&mut self, hub: &mut HubLink, now: Instant) -> Result<(), LinkError> {
        // What could not be sent in time is not sent later, as by a sensor.
        let every = self.habits().after.telemetry;
        self.next_message = every.map(|every| now + every);
        self.sent += 1;
        let message = format!(r#"{{"sequence":{}}}"#, self.sent);
        self.within(hub.prepare_for_messages()).await?;
        let tally = self.conditions.tally_of(self.member.hub());
        let sending = tally.messages.count(hub.send(message.as_bytes()));
        self.within(sending).await?;
        self.tally.messages.add();
        Ok(())
    }

    /// Looks for the hub, as long as nobody wants anything else of the device.
    async fn seek_until_called(&mut self, lost: LinkError) -> Next {
        let (mut ear, until) = (self.ear.clone(), self.until);
        let round = self.next_round();
        let wakes = round.map_or(until, |(_, at)| at);
        let leave = tokio::select! {
            biased;
            called = ear.called() => Leave::Called(called),
            () = sleep_until(wakes) => round.map_or(Leave::Stayed, |(due, _)| Leave::Round(due)),
            next = self.seek(lost) => return next,
        };
        self.ear = ear;
        self.leave(leave)
    }

    /// As its retry profile says.
    async fn seek(&mut self, lost: LinkError) -> Next {
        let conditions = Rc::clone(&self.conditions);
        let habits = conditions.habits(self.release.cohort);
        let drive = Drive::new(
            &conditions,
            &self.identity,
            self.release,
            self.delay.clone(),
        );
        let mut patience = Patience::new(habits.retry, drive.hub_transport().protocol());
        let began = Instant::now();
        let mut error = lost;
        loop {
            // What ended a session, however it did, ends no device that has a hub.
            let setback = match setback_of(error) {
                Some(Setback::Status(status)) => Setback::Status(status),
                _ => Setback::Disconnected,
            };
            self.draws += 1;
            let now = Moment {
                elapsed: began.elapsed(),
                chance: habits.chance.share(self.release.device, self.draws),
            };
            let Some(wait) = patience.wait(Step::Hub, setback, None, now) else {
                self.tally.given_up.add();
                return Next::End;
            };
            sleep(wait).await;
            match self.join(&drive).await {
                Ok(hub) => {
                    self.tally.reconnected.add();
                    return Next::Stay(hub);
                }
                Err(error) if is_unknown(error) => return self.register_now(),
                Err(other) => error = other,
            }
        }
    }

    async fn wait_for_power(&mut self, at: Duration, until: Instant) -> Next {
        loop {
            let called = tokio::select! {
                biased;
                called = self.ear.called() => called,
                () = sleep_until(self.until) => return Next::End,
                () = sleep_until(until) => break,
            };
            match called {
                Called::Stop | Called::PowerCut { .. } => return self.follow(called),
                // It can be carried away, and sold; nothing that is said reaches it.
                Called::Reprovision { region, .. } => {
                    self.release.region = region.or(self.release.region);
                }
                Called::FactoryReset { .. } | Called::ChangeOwner { .. } => {}
            }
        }
        self.tally.rebooted.add();
        self.pass_rounds();
        if self.habits().boot == Boot::RegisterAlways {
            return Next::Register { at };
        }
        let conditions = Rc::clone(&self.conditions);
        let drive = Drive::new(
            &conditions,
            &self.identity,
            self.release,
            self.delay.clone(),
        );
        match self.join(&drive).await {
            Ok(hub) => Next::Stay(hub),
            Err(error) if is_unknown(error) => self.register_now(),
            Err(error) => Next::Seek(error),
        }
    }

    fn register_now(&self) -> Next {
        Next::Register {
            at: Duration::from_micros(self.conditions.clock.now_us()),
        }
    }

    /// Goes back to DPS: once more the whole way, with a record of its own.
    async fn register(&mut self, at: Duration) -> Next {
        let release = Release {
            intended_start: at,
            ..self.release
        };
        let is_sold = self.is_sold();
        if is_sold {
            self.renew();
        }
        let conditions = Rc::clone(&self.conditions);
        let drive = Drive::new(&conditions, &self.identity, release, self.delay.clone());
        let drive = if is_sold {
            drive.sold()
        } else {
            drive.again(self.member.hub())
        };
        let (mut record, settled) = attempt::provision_as(drive, &conditions).await;
        record.reprovision = true;
        self.recorder.record(record);
        let Some((member, hub)) = settled else {
            self.tally.given_up.add();
            return Next::End;
        };
        self.member = member;
        Next::Stay(hub)
    }

    /// A session with the hub that it knows.
    async fn join(&self, drive: &Drive<'_>) -> Result<HubLink, LinkError> {
        let joining = timeout(self.conditions.device_timeout, drive.join(&self.member));
        let joined = joining.await.unwrap_or(Err(Fault::ConnectionLost.into()));
        joined
            .map(|(hub, _)| hub)
            .inspect_err(|error| self.conditions.failed(*error))
    }

    /// A hub that takes longer than a device may take is as good as gone.
    async fn within(
        &self,
        doing: impl Future<Output = Result<(), LinkError>>,
    ) -> Result<(), LinkError> {
        let done = timeout(self.conditions.device_timeout, doing).await;
        done.unwrap_or(Err(Fault::ConnectionLost.into()))
    }

    fn habits(&self) -> &Habits {
        self.conditions.habits(self.release.cohort)
    }
}

/// Whether a hub does not know the device, or not by this proof: DPS may know where it belongs.
fn is_unknown(error: LinkError) -> bool {
    matches!(
        error,
        LinkError::Refused {
            status: 401 | 403 | 404
        }
    )
}
