//! What a device that stays with its hub does next: a pure machine, events in, actions out. It never awaits,
//! reads no clock, and is given its chance.
//!
//! ```text
//! joined -> listen -> wait <-> send, show life, handle what the hub says
//!              |        |
//!              |        +-> told, or its round is due -> DPS -> joined
//!              |        +-> its time is over, or the run's -> end
//!              |        +-> power cut -> wait -> boot -> DPS, or join
//!              +-> lost -> back off -> join -> lost ...
//!                            +-> its retry profile gives up -> end
//! ```
//! A hub that does not know it any more sends it to DPS, wherever it is.

use std::mem;
use std::time::Duration;

use fleetstorm_protocol::attestation::Protocol;
use fleetstorm_scenarios::retry::{Setback, Step};
use fleetstorm_scenarios::{Boot, Chance, RetryProfile};

use super::rounds::Rounds;
use crate::device::backoff::{Backoff, Moment, setback_of};
use crate::device::orders::Interruption;
use crate::link::LinkError;
use crate::link::hub::HubEvent;

/// A device that stays. All times are since the run's start.
#[derive(Debug)]
pub struct Machine {
    settings: Settings,
    draws: Draws,
    until: Duration,
    next_message: Option<Duration>,
    rounds: Option<Rounds>,
    sent: u64,
    state: State,
}

/// How a device stays.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// How long.
    pub hold: Duration,
    /// Between two messages.
    pub telemetry: Option<Duration>,
    /// Between two times that it goes back to DPS by itself.
    pub reprovision_every: Option<Duration>,
    /// Where it turns to when it has power again.
    pub boot: Boot,
    /// How it takes the loss of its hub.
    pub retry: RetryProfile,
    /// What it speaks to its hub.
    pub protocol: Protocol,
}

/// What a device draws by chance, one after another.
#[derive(Debug, Clone)]
pub struct Draws {
    /// Its cohort's.
    pub chance: Chance,
    /// Its index there.
    pub device: u32,
    /// The number of the next draw.
    pub next: u32,
}

#[derive(Debug)]
enum State {
    /// Is on its way to a hub that it has not lost.
    Joining,
    /// Has a session, in which the hub does not tell it anything yet.
    Listening,
    /// Has one, in which it says something by `next_sign`.
    AtHub {
        keep_alive: Duration,
        next_sign: Duration,
    },
    /// Looks for its hub since `began`; tries it next at `next_try`.
    Seeking {
        backoff: Backoff,
        began: Duration,
        next_try: Duration,
    },
    /// Has no power until then; it lost it at `at`.
    Off { at: Duration, until: Duration },
    /// Is at DPS, or at its end.
    Away,
}

/// What has come.
#[derive(Debug, PartialEq)]
pub enum Event {
    /// A session is open, and its twin was read.
    Joined,
    /// The hub tells it from now on; it takes a sign of life each `keep_alive`.
    Listening {
        /// Between two signs of life.
        keep_alive: Duration,
    },
    /// It was told something.
    Interrupted(Interruption),
    /// The hub sent something.
    Received(HubEvent),
    /// What was to be said to the hub was said, and taken.
    Done,
    /// The moment until which it was to wait has come.
    Due,
    /// It has power again.
    Booted,
    /// Its session broke, or none could be opened.
    Failed(LinkError),
    /// It has been at DPS: whether it has a session with a hub.
    Registered(bool),
    /// It belongs to somebody else than it knows.
    Sold,
}

/// What to do next, once the session is left, if it is to be left.
#[derive(Debug, PartialEq)]
pub struct Next {
    /// How to leave the session.
    pub farewell: Option<Farewell>,
    /// What then.
    pub action: Action,
}

/// How a session ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Farewell {
    /// In order, and waited for: there is nothing to be late for.
    Waited,
    /// In order, beside what comes next.
    Beside,
    /// Without a word: there is no power, or it forgets.
    Sudden,
    /// It has ended already.
    Lost,
}

/// What to do.
#[derive(Debug, PartialEq)]
pub enum Action {
    /// Do something at the hub.
    AtHub(Operation),
    /// Wait to be told something, for what the hub says where there is a session, and for this moment.
    Wait {
        /// That moment.
        until: Duration,
    },
    /// Open a session with the hub that it knows; to be told something, and this moment, come before.
    Join {
        /// It had one, and lost it.
        was_lost: bool,
        /// That moment.
        until: Duration,
    },
    /// Have power again.
    Boot,
    /// Go to DPS.
    Register {
        /// When what it goes for happened.
        at: Duration,
        /// As who.
        identity: IdentityChange,
    },
    /// Nothing more.
    End(Ending),
}

/// What a device does in its session.
#[derive(Debug, PartialEq)]
pub enum Operation {
    /// Asks to be told of methods and changes.
    Listen,
    /// Acknowledges what the hub said, and answers it.
    Handle(HubEvent),
    /// Sends a message of this number.
    Send(u64),
    /// Gives a sign of life.
    ShowLife,
}

/// What a device is when it goes to DPS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdentityChange {
    /// What it was.
    Unchanged,
    /// What it would be if it were made today.
    Renewed,
    /// As it left the factory.
    Reset,
}

/// Why a device stays no longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// It has stayed as long as it should, or as the run goes on.
    Over,
    /// It gave up, looking for its hub or at DPS.
    GivenUp,
}

impl Machine {
    /// One that stays from now on. Its first round comes when `round`, 0 to 1, of the time between two has passed.
    pub fn new(settings: Settings, mut draws: Draws, round: f64, now: Duration) -> Self {
        // Devices that came together don't send together.
        let first = draws.draw();
        let rounds = settings.reprovision_every;
        Self {
            until: now + settings.hold,
            next_message: settings.telemetry.map(|every| now + every.mul_f64(first)),
            rounds: rounds.map(|every| Rounds::new(every, now, round)),
            settings,
            draws,
            sent: 0,
            state: State::Joining,
        }
    }

    /// Takes what has come.
    pub fn handle(&mut self, event: Event, now: Duration) -> Next {
        match event {
            Event::Joined | Event::Registered(true) => self.joined(),
            Event::Listening { keep_alive } => {
                self.state = State::AtHub {
                    keep_alive,
                    next_sign: now + keep_alive,
                };
                self.wait().into()
            }
            Event::Interrupted(told) => self.interrupted(told, now),
            Event::Received(event) => Action::AtHub(Operation::Handle(event)).into(),
            Event::Done => self.wait().into(),
            Event::Due => self.due(now),
            Event::Booted => self.booted(now).into(),
            Event::Failed(error) => self.failed(error, now),
            Event::Registered(false) => Action::End(Ending::GivenUp).into(),
            Event::Sold => self.register(now, IdentityChange::Unchanged).into(),
        }
    }

    fn joined(&mut self) -> Next {
        self.state = State::Listening;
        Action::AtHub(Operation::Listen).into()
    }

    fn interrupted(&mut self, told: Interruption, now: Duration) -> Next {
        let has_session = self.has_session();
        let (farewell, action) = match told {
            Interruption::Stop => (Farewell::Waited, Action::End(Ending::Over)),
            Interruption::PowerCut { at, off } => {
                let until = now + off;
                self.state = State::Off { at, until };
                (Farewell::Sudden, self.wait())
            }
            // It can be carried away, and sold; nothing that is said reaches it.
            _ if self.is_off() => (Farewell::Sudden, self.wait()),
            Interruption::Reprovision { at, .. } => {
                (Farewell::Beside, self.register(at, IdentityChange::Renewed))
            }
            Interruption::FactoryReset { at } => {
                (Farewell::Sudden, self.register(at, IdentityChange::Reset))
            }
            Interruption::ChangeOwner { at } => (
                Farewell::Beside,
                self.register(at, IdentityChange::Unchanged),
            ),
        };
        Next {
            farewell: has_session.then_some(farewell),
            action,
        }
    }

    fn due(&mut self, now: Duration) -> Next {
        let has_session = self.has_session();
        let (farewell, action) = if now >= self.until {
            (Farewell::Waited, Action::End(Ending::Over))
        } else if let Some(at) = self.round_due(now) {
            // With the proof that it has.
            (
                Farewell::Beside,
                self.register(at, IdentityChange::Unchanged),
            )
        } else {
            return self.own_turn(now).into();
        };
        Next {
            farewell: has_session.then_some(farewell),
            action,
        }
    }

    fn own_turn(&mut self, now: Duration) -> Action {
        let until = self.leaves_at();
        match &mut self.state {
            State::AtHub {
                keep_alive,
                next_sign,
            } => {
                let is_silent = now >= *next_sign;
                if self.next_message.is_some_and(|at| now >= at) {
                    *next_sign = now + *keep_alive;
                    // What could not be sent in time is not sent later, as by a sensor.
                    self.next_message = self.settings.telemetry.map(|every| now + every);
                    self.sent += 1;
                    Action::AtHub(Operation::Send(self.sent))
                } else if is_silent {
                    *next_sign = now + *keep_alive;
                    Action::AtHub(Operation::ShowLife)
                } else {
                    self.wait()
                }
            }
            State::Seeking { next_try, .. } if now >= *next_try => Action::Join {
                was_lost: true,
                until,
            },
            State::Off { until, .. } if now >= *until => Action::Boot,
            _ => self.wait(),
        }
    }

    fn booted(&mut self, now: Duration) -> Action {
        if let Some(rounds) = &mut self.rounds {
            rounds.pass(now);
        }
        let at = match self.state {
            State::Off { at, .. } => at,
            _ => now,
        };
        if self.settings.boot == Boot::RegisterAlways {
            return self.register(at, IdentityChange::Unchanged);
        }
        self.state = State::Joining;
        Action::Join {
            was_lost: false,
            until: self.leaves_at(),
        }
    }

    fn failed(&mut self, error: LinkError, now: Duration) -> Next {
        let farewell = self.has_session().then_some(Farewell::Lost);
        let action = if is_unknown(error) {
            self.register(now, IdentityChange::Unchanged)
        } else {
            self.seek(error, now)
        };
        Next { farewell, action }
    }

    /// As its retry profile says.
    fn seek(&mut self, lost: LinkError, now: Duration) -> Action {
        let (mut backoff, began) = match mem::replace(&mut self.state, State::Away) {
            State::Seeking { backoff, began, .. } => (backoff, began),
            _ => {
                let Settings {
                    retry, protocol, ..
                } = self.settings;
                (Backoff::new(retry, protocol), now)
            }
        };
        // What ended a session, however it did, ends no device that has a hub.
        let setback = match setback_of(lost) {
            Some(Setback::Status(status)) => Setback::Status(status),
            _ => Setback::Disconnected,
        };
        let moment = Moment {
            elapsed: now.saturating_sub(began),
            chance: self.draws.draw(),
        };
        let Some(wait) = backoff.wait(Step::Hub, setback, None, moment) else {
            return Action::End(Ending::GivenUp);
        };
        self.state = State::Seeking {
            backoff,
            began,
            next_try: now + wait,
        };
        self.wait()
    }

    fn register(&mut self, at: Duration, identity: IdentityChange) -> Action {
        self.state = State::Away;
        Action::Register { at, identity }
    }

    fn wait(&self) -> Action {
        let until = match self.state {
            State::AtHub { next_sign, .. } => {
                let message = self.next_message.unwrap_or(next_sign);
                message.min(next_sign).min(self.leaves_at())
            }
            State::Seeking { next_try, .. } => next_try.min(self.leaves_at()),
            // Its rounds pass without it.
            State::Off { until, .. } => until.min(self.until),
            State::Joining | State::Listening | State::Away => self.until,
        };
        Action::Wait { until }
    }

    /// When it leaves of its own accord, wherever it is then: for a round, or because its time is over.
    fn leaves_at(&self) -> Duration {
        let round = self.rounds.map_or(self.until, |rounds| rounds.next());
        round.min(self.until)
    }

    /// The round that is due, which is over with that, and all that are.
    fn round_due(&mut self, now: Duration) -> Option<Duration> {
        if self.is_off() {
            return None;
        }
        let rounds = self.rounds.as_mut()?;
        let due = rounds.next();
        (now >= due).then(|| {
            rounds.pass(now);
            due
        })
    }

    fn has_session(&self) -> bool {
        matches!(self.state, State::Listening | State::AtHub { .. })
    }

    fn is_off(&self) -> bool {
        matches!(self.state, State::Off { .. })
    }
}

impl Draws {
    fn draw(&mut self) -> f64 {
        let draw = self.chance.uniform(self.device, self.next);
        self.next += 1;
        draw
    }
}

impl From<Action> for Next {
    fn from(action: Action) -> Self {
        Self {
            farewell: None,
            action,
        }
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

#[cfg(test)]
mod tests;
