//! Times of a fault rule, as people write them.

use std::time::Duration;

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

/// Longer than any client waits.
pub const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// Text like `"200ms"`; a day at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Time(pub Duration);

impl TryFrom<String> for Time {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let time = text.parse::<SignedDuration>().ok();
        let time = time.and_then(|time| Duration::try_from(time).ok());
        match time {
            Some(time) if time <= LONGEST => Ok(Self(time)),
            Some(_) => Err(format!("\"{text}\" is more than a day")),
            None => Err(format!("\"{text}\" is no time like \"200ms\"")),
        }
    }
}

impl From<Time> for String {
    fn from(time: Time) -> Self {
        let time = SignedDuration::try_from(time.0).unwrap_or(SignedDuration::MAX);
        format!("{time:#}")
    }
}

/// How long something takes: always the same, evenly spread, or log-normal by two percentiles.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Delay {
    /// `"200ms"`.
    Constant(Time),
    /// `{ from = "10ms", to = "30ms" }`.
    Uniform(Range),
    /// `{ p50 = "40ms", p99 = "400ms" }`.
    LogNormal(Percentiles),
}

/// Between these, evenly.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Range {
    /// At least.
    pub from: Time,
    /// At most.
    pub to: Time,
}

/// Half are below the one, 99 % below the other.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Percentiles {
    /// Median; above 0.
    pub p50: Time,
    /// 99th percentile; not below the median.
    pub p99: Time,
}

impl Delay {
    /// What is wrong with it, if anything.
    ///
    /// # Errors
    /// In words.
    pub fn check(&self) -> Result<(), String> {
        match self {
            Self::Constant(_) => Ok(()),
            Self::Uniform(range) if range.from <= range.to => Ok(()),
            Self::Uniform(_) => Err("\"to\" is less than \"from\"".into()),
            Self::LogNormal(Percentiles { p50, p99 }) => {
                if p50.0.is_zero() {
                    Err("\"p50\" is 0: give the time as a constant".into())
                } else if p99 < p50 {
                    Err("\"p99\" is less than \"p50\"".into())
                } else {
                    Ok(())
                }
            }
        }
    }
}
