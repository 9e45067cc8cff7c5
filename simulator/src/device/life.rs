//! A device that stays with its hub: sends at its rate, hears, shows signs of life, and comes back
//! when it loses the connection.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use fleetstorm_reports::Fault;
use fleetstorm_scenarios::Release;
use fleetstorm_scenarios::retry::{Setback, Step};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use self::tally::{HubTally, Tally};
use super::drive::Drive;
use super::drive::hub::Member;
use super::patience::{Moment, Patience, setback_of};
use super::{Conditions, Habits};
use crate::fleet::Identity;
use crate::link::LinkError;
use crate::link::hub::{HubLink, Said};
use crate::progress::Command;

pub mod tally;

/// Its draws by chance begin here: those before are of its way to the hub.
const FIRST_DRAW: u32 = 1 << 20;
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

/// The same, while it stays.
pub struct Life {
    conditions: Rc<Conditions>,
    tally: Arc<Tally>,
    commands: watch::Receiver<Option<Command>>,
    release: Release,
    identity: Identity,
    member: Member,
    until: Instant,
    next_message: Option<Instant>,
    sent: u64,
    draws: u32,
}

/// Why a session is over.
enum Over {
    /// The device has stayed as long as it should.
    Stayed,
    /// The run ends.
    Stopped,
    /// The connection was lost.
    Lost(LinkError),
}

/// Who has something to say.
enum Turn {
    Hubs(Result<Said, LinkError>),
    Own(Instant),
}

impl Life {
    /// Begins to stay for `hold`.
    pub fn new(
        conditions: Rc<Conditions>,
        tally: Arc<Tally>,
        commands: watch::Receiver<Option<Command>>,
        release: Release,
        settled: Settled,
        hold: Duration,
    ) -> (Self, HubLink) {
        let now = Instant::now();
        let habits = conditions.habits(release.cohort);
        // Devices that came together don't send together.
        let first = habits.chance.share(release.device, FIRST_DRAW);
        let next_message = habits
            .after
            .telemetry
            .map(|every| now + every.mul_f64(first));
        let life = Self {
            tally,
            commands,
            release,
            identity: settled.identity,
            member: settled.member,
            until: now + hold,
            next_message,
            sent: 0,
            draws: FIRST_DRAW,
            conditions,
        };
        (life, settled.hub)
    }

    /// Stays to the end, over as many sessions as it takes.
    pub async fn live(mut self, hub: HubLink) {
        let mut session = Some(hub);
        while let Some(mut hub) = session.take() {
            let tally = Arc::clone(&self.tally);
            let held = tally.hold();
            let over = self.stay(&mut hub).await;
            drop(held);
            match over {
                Over::Stayed | Over::Stopped => {
                    // A hub that does not let it go makes no difference.
                    let _ = timeout(self.conditions.device_timeout, hub.close()).await;
                }
                Over::Lost(error) => {
                    drop(hub);
                    self.tally.dropped.add();
                    session = self.come_back(error).await;
                }
            }
        }
    }

    async fn stay(&mut self, hub: &mut HubLink) -> Over {
        if let Err(error) = self.within(hub.listen()).await {
            return Over::Lost(error);
        }
        let mut next_sign = Instant::now() + hub.keep_alive();
        loop {
            let next = self
                .next_message
                .map_or(self.until, |at| at.min(self.until));
            let turn = tokio::select! {
                biased;
                _stopped = self.commands.wait_for(Option::is_some) => return Over::Stopped,
                said = hub.hear() => Turn::Hubs(said),
                () = sleep_until(next.min(next_sign)) => Turn::Own(Instant::now()),
            };
            let done = match turn {
                Turn::Hubs(Ok(said)) => self.heed(hub, said).await,
                Turn::Hubs(Err(error)) => Err(error),
                Turn::Own(now) if now >= self.until => return Over::Stayed,
                Turn::Own(now) => {
                    next_sign = now + hub.keep_alive();
                    if now >= next {
                        self.send(hub, now).await
                    } else {
                        self.within(hub.show_life()).await
                    }
                }
            };
            if let Err(error) = done {
                return Over::Lost(error);
            }
        }
    }

    /// Does what the hub said.
    async fn heed(&self, hub: &mut HubLink, said: Said) -> Result<(), LinkError> {
        self.within(hub.settle()).await?;
        match said {
            Said::Method(call) => {
                self.within(hub.answer(call, RESULT)).await?;
                self.count(|hub| hub.methods.add());
            }
            Said::Desired => self.count(|hub| hub.desired.add()),
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
        self.within(hub.send(message.as_bytes())).await?;
        self.count(|hub| hub.messages.add());
        Ok(())
    }

    /// Looks for the hub as its retry profile says; none when that or the run is at its end.
    async fn come_back(&mut self, lost: LinkError) -> Option<HubLink> {
        let mut commands = self.commands.clone();
        let until = self.until;
        tokio::select! {
            biased;
            _stopped = commands.wait_for(Option::is_some) => None,
            () = sleep_until(until) => None,
            found = self.seek(lost) => {
                match &found {
                    Some(_) => self.tally.reconnected.add(),
                    None => self.tally.given_up.add(),
                }
                found
            }
        }
    }

    async fn seek(&mut self, lost: LinkError) -> Option<HubLink> {
        let conditions = Rc::clone(&self.conditions);
        let habits = conditions.habits(self.release.cohort);
        let drive = Drive::new(&conditions, &self.identity, self.release);
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
            sleep(patience.wait(Step::Hub, setback, None, now)?).await;
            let joining = timeout(conditions.device_timeout, drive.join(&self.member));
            error = match joining.await {
                Ok(Ok((hub, _))) => {
                    self.count(|hub| hub.twins.add());
                    return Some(hub);
                }
                Ok(Err(error)) => error,
                Err(_) => Fault::ConnectionLost.into(),
            };
            if matches!(error, LinkError::Broken(_)) {
                self.tally.lost.add();
            }
        }
    }

    /// A hub that takes longer than a device may take is as good as gone.
    async fn within(
        &self,
        doing: impl Future<Output = Result<(), LinkError>>,
    ) -> Result<(), LinkError> {
        let done = timeout(self.conditions.device_timeout, doing).await;
        done.unwrap_or(Err(Fault::ConnectionLost.into()))
    }

    fn count(&self, more: impl FnOnce(&HubTally)) {
        let index = self.conditions.hubs.get(self.member.hub()).copied();
        more(self.tally.hub(index));
    }

    fn habits(&self) -> &Habits {
        self.conditions.habits(self.release.cohort)
    }
}
