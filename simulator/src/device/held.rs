//! A device that stays with its hub: carries out what its machine says.

use std::future::pending;
use std::rc::Rc;
use std::time::Duration;

use fleetstorm_reports::{Fault, Recorder};
use fleetstorm_scenarios::Release;
use tokio::time::{sleep_until, timeout};

use self::machine::{
    Action, Draws, Ending, Event, Farewell, IdentityChange, Machine, Next, Operation, Settings,
};
use super::attempt;
use super::conditions::Conditions;
use super::counters::{DeviceCounters, Held};
use super::drive::Drive;
use super::drive::member::Member;
use super::orders::{DeviceInbox, Interruption};
use crate::fleet::{Credential, Identity};
use crate::generator::delay::Delay;
use crate::link::LinkError;
use crate::link::hub::{HubEvent, HubLink};

pub mod machine;
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
pub struct HeldContext {
    /// What devices share.
    pub conditions: Rc<Conditions>,
    /// Where records of devices go that went back to DPS.
    pub recorder: Recorder,
    /// What it is told.
    pub inbox: DeviceInbox,
    /// What its task measures of the generator.
    pub delay: Delay,
}

/// A device that stays.
pub struct HeldDevice {
    ctx: HeldContext,
    release: Release,
    identity: Identity,
    /// Times that it was as it left the factory again.
    resets: u64,
    member: Member,
    session: Option<Session>,
    machine: Machine,
}

/// A connection that is held.
struct Session {
    hub: HubLink,
    held: Held,
}

impl HeldDevice {
    /// Begins to stay for `hold`.
    pub fn new(ctx: HeldContext, release: Release, settled: Settled, hold: Duration) -> Self {
        let profile = ctx.conditions.profile(release.cohort);
        let cohort = &profile.cohort;
        let settings = Settings {
            hold,
            telemetry: cohort.after.telemetry,
            reprovision_every: cohort.after.reprovision_every,
            boot: cohort.boot,
            retry: cohort.retry,
            protocol: profile.hub_transport(release).protocol(),
        };
        let draws = Draws {
            chance: profile.chance.clone(),
            device: release.device,
            next: FIRST_DRAW,
        };
        let round = profile.event_chance.uniform(release.device, ROUNDS_DRAW);
        let machine = Machine::new(settings, draws, round, ctx.conditions.clock.now());
        let mut device = Self {
            ctx,
            release,
            identity: settled.identity,
            resets: 0,
            member: settled.member,
            session: None,
            machine,
        };
        device.begin_session(settled.hub);
        device
    }

    /// Stays to the end, over as many sessions as it takes.
    pub async fn run(&mut self) {
        let mut event = Event::Joined;
        if self.is_sold() {
            // While it was on its way.
            self.session = None;
            event = Event::Sold;
        }
        loop {
            let now = self.ctx.conditions.clock.now();
            let Next { farewell, action } = self.machine.handle(event, now);
            if let Some(farewell) = farewell {
                self.leave(farewell).await;
            }
            event = match action {
                Action::Wait { until } => self.wait(until).await,
                Action::Join { was_lost, until } => self.join(was_lost, until).await,
                Action::Boot => {
                    self.device_counters().rebooted.add();
                    Event::Booted
                }
                Action::Register { at, identity } => self.register(at, identity).await,
                Action::End(ending) => {
                    if ending == Ending::GivenUp {
                        self.device_counters().given_up.add();
                    }
                    return;
                }
                Action::AtHub(operation) => match self.operate(operation).await {
                    Ok(event) => event,
                    Err(error) => self.failed(error),
                },
            };
        }
    }

    /// Waits for what comes first.
    async fn wait(&mut self, until: Duration) -> Event {
        let due = self.ctx.conditions.clock.at(until);
        let received = async {
            match &mut self.session {
                Some(session) => session.hub.receive().await,
                None => pending().await,
            }
        };
        let interruption = self.ctx.interruption(&self.identity, &mut self.release);
        tokio::select! {
            biased;
            told = interruption => Event::Interrupted(told),
            received = received => match received {
                Ok(event) => Event::Received(event),
                Err(error) => self.failed(error),
            },
            () = sleep_until(due) => Event::Due,
        }
    }

    /// A session with the hub that it knows, unless something comes before.
    async fn join(&mut self, was_lost: bool, until: Duration) -> Event {
        let conditions = Rc::clone(&self.ctx.conditions);
        let due = conditions.clock.at(until);
        let delay = self.ctx.delay.clone();
        let drive = Drive::new(&conditions, &self.identity, self.release, delay);
        let joining = timeout(conditions.device_timeout, drive.join(&self.member));
        let interruption = self.ctx.interruption(&self.identity, &mut self.release);
        let joined = tokio::select! {
            biased;
            told = interruption => return Event::Interrupted(told),
            () = sleep_until(due) => return Event::Due,
            joined = joining => joined.unwrap_or(Err(Fault::ConnectionLost.into())),
        };
        match joined {
            Ok((hub, _)) => {
                self.begin_session(hub);
                if was_lost {
                    self.device_counters().reconnected.add();
                }
                Event::Joined
            }
            Err(error) => self.failed(error),
        }
    }

    /// Goes back to DPS: once more the whole way, with a record of its own.
    async fn register(&mut self, at: Duration, change: IdentityChange) -> Event {
        match (change, &self.identity.credential) {
            (IdentityChange::Unchanged, _) => {}
            (IdentityChange::Renewed, _) => self.renew(),
            (IdentityChange::Reset, credential) => {
                self.resets += 1;
                // Nothing else of a device is made anew.
                if matches!(credential, Credential::Tpm(_)) {
                    self.renew();
                }
            }
        }
        let release = Release {
            intended_start: at,
            ..self.release
        };
        let is_sold = self.is_sold();
        if is_sold {
            self.renew();
        }
        let conditions = Rc::clone(&self.ctx.conditions);
        let delay = self.ctx.delay.clone();
        let drive = Drive::new(&conditions, &self.identity, release, delay);
        let drive = if is_sold {
            drive.sold()
        } else {
            drive.again(self.member.hub())
        };
        let (mut record, settled) = attempt::provision_as(drive, &conditions).await;
        record.reprovision = true;
        self.ctx.recorder.record(record);
        let Some((member, hub)) = settled else {
            return Event::Registered(false);
        };
        self.member = member;
        self.begin_session(hub);
        Event::Registered(true)
    }

    /// Does something at the hub.
    async fn operate(&mut self, operation: Operation) -> Result<Event, LinkError> {
        let conditions = &self.ctx.conditions;
        let device_counters = conditions.tally_of(self.member.hub());
        // Whoever has no session has lost it.
        let session = self.session.as_mut().ok_or(Fault::ConnectionLost)?;
        let hub = &mut session.hub;
        let operating = async {
            match operation {
                Operation::Listen => {
                    hub.listen().await?;
                    let keep_alive = hub.keep_alive();
                    return Ok(Event::Listening { keep_alive });
                }
                Operation::Handle(event) => {
                    hub.settle().await?;
                    match event {
                        HubEvent::Method(call) => {
                            hub.answer(call, RESULT).await?;
                            device_counters.methods.add();
                        }
                        HubEvent::Desired => device_counters.desired.add(),
                        HubEvent::Other => {}
                    }
                }
                Operation::Send(number) => {
                    let message = format!(r#"{{"sequence":{number}}}"#);
                    hub.prepare_for_messages().await?;
                    device_counters
                        .messages
                        .count(hub.send(message.as_bytes()))
                        .await?;
                    conditions.device_counters.messages.add();
                }
                Operation::ShowLife => hub.show_life().await?,
            }
            Ok(Event::Done)
        };
        // A hub that takes longer than a device may take is as good as gone.
        let done = timeout(conditions.device_timeout, operating).await;
        done.unwrap_or(Err(Fault::ConnectionLost.into()))
    }

    fn failed(&self, error: LinkError) -> Event {
        self.ctx.conditions.failed(error);
        Event::Failed(error)
    }

    async fn leave(&mut self, farewell: Farewell) {
        let Some(Session { hub, held }) = self.session.take() else {
            return;
        };
        drop(held);
        let conditions = &self.ctx.conditions;
        let broken_off = &conditions.tally_of(self.member.hub()).broken_off;
        match farewell {
            // All may be told to stop at once.
            Farewell::Waited => {
                let _ = timeout(conditions.device_timeout, hub.close()).await;
            }
            Farewell::Beside => conditions.goodbyes.say(hub.close()),
            Farewell::Sudden => broken_off.add(),
            Farewell::Lost => {
                broken_off.add();
                self.device_counters().dropped.add();
            }
        }
    }

    fn begin_session(&mut self, hub: HubLink) {
        let held = self.ctx.conditions.device_counters.hold();
        self.session = Some(Session { hub, held });
    }

    /// It is what it would be if it were made today; its TPM has been cleared as often as before.
    fn renew(&mut self) {
        let (cohort, device) = (self.release.cohort, self.release.device);
        let fleet = &self.ctx.conditions.fleet;
        self.identity = fleet.identity_after(self.resets, cohort, device);
    }

    fn is_sold(&self) -> bool {
        self.ctx.is_sold(&self.identity, self.release)
    }

    fn device_counters(&self) -> &DeviceCounters {
        &self.ctx.conditions.device_counters
    }
}

impl HeldContext {
    /// What a device is told next. Where it is carried to, it is at once.
    async fn interruption(&mut self, identity: &Identity, release: &mut Release) -> Interruption {
        loop {
            let told = self.inbox.interruption().await;
            match told {
                Interruption::Reprovision { region, .. } => {
                    release.region = region.or(release.region);
                }
                // Its hub may have thrown it out before it was told, and it has moved over by itself.
                Interruption::ChangeOwner { .. } if !self.is_sold(identity, *release) => continue,
                _ => {}
            }
            return told;
        }
    }

    /// Whether a device has another owner than it knows.
    fn is_sold(&self, identity: &Identity, release: Release) -> bool {
        let owner = self.conditions.fleet.owner(release.cohort, release.device);
        owner != identity.owner
    }
}

#[cfg(test)]
mod tests;
