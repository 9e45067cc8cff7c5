//! Retry habits of devices: a pure function from what went wrong to a wait or to giving up.
//!
//! What the official SDKs do is read from their sources:
//!
//! | profile | wait untold | `Retry-After` | 429 and 5xx | limit |
//! |---|---|---|---|---|
//! | `sdk-node` | 2 s | exactly | retried; over HTTPS the end | |
//! | `sdk-c` | 1 s | if 1 to 300 s, else 1 s | retried; over AMQP the end | |
//! | `sdk-csharp` | 2 s and 0 to 5 s by chance | at least 2 s | polls retried, not over MQTT | AMQP: 1 min |
//! | `sdk-python` | 2 s | exactly, ignored before the first poll | retried | |
//! | `sdk-java` | 2 s | if 2 to 5 s, else 2 s | the end | 1,000 s |
//! | `edge` | 5 s | ignored | the end | |
//!
//! None of them connects to DPS again by itself; the application would. Of Java over MQTT the sources
//! leave 429 open: here it is the end there, too. Their hub clients do connect again: see [`hub`].

use std::time::Duration;

use fleetstorm_protocol::attestation::Protocol;

pub mod hub;

/// What a device does when it is not served at once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum RetryProfile {
    /// Waits as told up to five minutes, 2 s untold; asks again after 429 and 5xx, and connects to
    /// its hub again, for as long as the scenario's device timeout allows.
    #[default]
    Patient,
    /// Azure IoT device SDK for Node.js.
    SdkNode,
    /// Azure IoT device SDK for Python.
    SdkPython,
    /// Azure IoT device SDK for C.
    SdkC,
    /// Azure IoT device SDK for .NET.
    SdkCsharp,
    /// Azure IoT device SDK for Java.
    SdkJava,
    /// IoT Edge's identity service.
    Edge,
    /// Asks again every second whatever happened and whatever it is told: how storms are made.
    Naive,
    /// Waits as told; backs off exponentially by chance; connects again; ten tries.
    WellBehaved,
}

/// Which question was not answered with a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Register.
    Register,
    /// How the operation stands.
    Poll,
    /// To be let in and served by the assigned hub.
    Hub,
}

/// Why there is no result yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Setback {
    /// The assignment is under way (202): no failure.
    Unfinished,
    /// This status, 400 or above.
    Status(u16),
    /// The connection could not be made, broke, or stayed silent.
    Disconnected,
}

/// What a device knows when it decides.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Situation {
    /// What it speaks to whom it asked; a WebSocket does not matter.
    pub protocol: Protocol,
    /// What it asked.
    pub step: Step,
    /// What came instead of a result.
    pub setback: Setback,
    /// Failures in a row so far, this one included; only they count towards a limit of tries.
    pub failures: u32,
    /// What the service told it to wait.
    pub retry_after: Option<Duration>,
    /// Since its first question to DPS; at a hub, since it began to look for it.
    pub elapsed: Duration,
    /// A random number from 0 up to and without 1, for waits by chance.
    pub chance: f64,
}

/// What a device does then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Wait so long, then ask the same again; over a new connection if there is none.
    Wait(Duration),
    /// Report the failure.
    GiveUp,
}

const SECOND: Duration = Duration::from_secs(1);
const TWO_SECONDS: Duration = Duration::from_secs(2);
/// What the C SDK obeys at most; patient devices too.
const LONGEST_TOLD: Duration = Duration::from_secs(300);
/// Jitter of the .NET SDK.
const CSHARP_JITTER: Duration = Duration::from_secs(5);
const CSHARP_AMQP_LIMIT: Duration = Duration::from_secs(60);
/// Java's `MAX_TIME_TO_WAIT_FOR_REGISTRATION`.
const JAVA_LIMIT: Duration = Duration::from_secs(1_000);
const WELL_BEHAVED_TRIES: u32 = 10;
/// Where a well-behaved device's waits stop doubling.
const WELL_BEHAVED_CEILING: Duration = Duration::from_secs(60);

impl RetryProfile {
    /// Every profile, in the order messages list them.
    pub const ALL: [Self; 9] = [
        Self::Patient,
        Self::SdkNode,
        Self::SdkPython,
        Self::SdkC,
        Self::SdkCsharp,
        Self::SdkJava,
        Self::Edge,
        Self::Naive,
        Self::WellBehaved,
    ];

    /// The word scenario files use.
    pub fn name(self) -> &'static str {
        match self {
            Self::Patient => "patient",
            Self::SdkNode => "sdk-node",
            Self::SdkPython => "sdk-python",
            Self::SdkC => "sdk-c",
            Self::SdkCsharp => "sdk-csharp",
            Self::SdkJava => "sdk-java",
            Self::Edge => "edge",
            Self::Naive => "naive",
            Self::WellBehaved => "well-behaved",
        }
    }

    /// What a device of this profile does.
    pub fn decide(self, now: Situation) -> Decision {
        let goes_on = match now.setback {
            Setback::Unfinished => true,
            Setback::Status(429 | 500..) => self.retries_status(now),
            // Asking the same again would be refused again; the naive try nonetheless.
            Setback::Status(_) => self == Self::Naive,
            Setback::Disconnected => match self {
                Self::Naive => true,
                Self::WellBehaved => now.failures < WELL_BEHAVED_TRIES,
                _ => now.step == Step::Hub,
            },
        };
        let (wait, limit) = match now.step {
            Step::Register | Step::Poll => (self.wait(now), self.limit(now.protocol)),
            Step::Hub => (hub::wait(self, now), hub::limit(self)),
        };
        if !goes_on || now.elapsed.saturating_add(wait) > limit {
            return Decision::GiveUp;
        }
        Decision::Wait(wait)
    }

    /// Whether 429 and 5xx are asked again.
    fn retries_status(self, now: Situation) -> bool {
        match self {
            Self::WellBehaved => now.failures < WELL_BEHAVED_TRIES,
            _ if now.step == Step::Hub => true,
            Self::Patient | Self::SdkPython | Self::Naive => true,
            // Its HTTP base makes an error of every status from 300 on, before the branch that
            // would poll again.
            Self::SdkNode => now.protocol != Protocol::Http,
            Self::SdkC => now.protocol != Protocol::Amqp,
            Self::SdkCsharp => now.step == Step::Poll && now.protocol != Protocol::Mqtt,
            Self::SdkJava | Self::Edge => false,
        }
    }

    fn wait(self, now: Situation) -> Duration {
        let told = now.retry_after;
        match self {
            Self::Patient => told.unwrap_or(TWO_SECONDS).min(LONGEST_TOLD),
            Self::SdkNode => told.unwrap_or(TWO_SECONDS),
            Self::SdkPython => match now.step {
                Step::Register => TWO_SECONDS,
                Step::Poll | Step::Hub => told.unwrap_or(TWO_SECONDS),
            },
            Self::SdkC => told
                .filter(|told| (SECOND..=LONGEST_TOLD).contains(told))
                .unwrap_or(SECOND),
            Self::SdkCsharp => match told {
                Some(told) => told.max(TWO_SECONDS),
                None => TWO_SECONDS + part(CSHARP_JITTER, now.chance),
            },
            Self::SdkJava => told
                .filter(|told| (TWO_SECONDS..=Duration::from_secs(5)).contains(told))
                .unwrap_or(TWO_SECONDS),
            Self::Edge => Duration::from_secs(5),
            Self::Naive => SECOND,
            Self::WellBehaved => well_behaved(now),
        }
    }

    /// Longest time from the first question on.
    fn limit(self, protocol: Protocol) -> Duration {
        match (self, protocol) {
            (Self::SdkCsharp, Protocol::Amqp) => CSHARP_AMQP_LIMIT,
            (Self::SdkJava, _) => JAVA_LIMIT,
            _ => Duration::MAX,
        }
    }
}

/// As told, or 2 s, while all is well; after a failure from half to all of a wait that doubles,
/// so that those who failed together do not come back together.
fn well_behaved(now: Situation) -> Duration {
    let told = now.retry_after;
    if now.setback == Setback::Unfinished {
        return told.unwrap_or(TWO_SECONDS);
    }
    let doublings = now.failures.saturating_sub(1).min(6);
    let whole = (SECOND * 2_u32.pow(doublings)).min(WELL_BEHAVED_CEILING);
    let backoff = whole / 2 + part(whole / 2, now.chance);
    // Whoever is told to wait adds the chance to it: everybody was told the same.
    told.map_or(backoff, |told| told.saturating_add(part(whole, now.chance)))
}

/// This part of `whole`; `chance` out of its range counts as its nearest end.
fn part(whole: Duration, chance: f64) -> Duration {
    let chance = if chance.is_nan() { 0.0 } else { chance };
    whole.mul_f64(chance.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests;
