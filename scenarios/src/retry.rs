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
mod profile;
mod wait;

pub use profile::{Decision, RetryProfile, Setback, Situation, Step};
use wait::{SECOND, TWO_SECONDS, part, well_behaved};

/// What the C SDK obeys at most; patient devices too.
const LONGEST_TOLD: Duration = Duration::from_secs(300);
/// Jitter of the .NET SDK.
const CSHARP_JITTER: Duration = Duration::from_secs(5);
const CSHARP_AMQP_LIMIT: Duration = Duration::from_secs(60);
/// Java's `MAX_TIME_TO_WAIT_FOR_REGISTRATION`.
const JAVA_LIMIT: Duration = Duration::from_secs(1_000);
const WELL_BEHAVED_TRIES: u32 = 10;

impl RetryProfile {
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

#[cfg(test)]
mod tests;
