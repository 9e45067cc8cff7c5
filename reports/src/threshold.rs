//! Thresholds: a metric, a comparison, a limit.
//!
//! ```text
//! threshold  = subject condition
//! subject    = metric "." statistic            ; like registration.response.p99, tls.p50
//!            | ("provisioned" | "registered" | "failed" | "dropped" | "throttled" | "retried")
//!              "." ("ratio" | "count")
//!            | "provisioned.rate" | "attempts.mean" | "attempts.max"
//!            | ("connections.held" | "connections.dropped" | "connections.reconnected"
//!              | "connections.given-up" | "reprovisioned" | "reprovisioned.failed" | "messages" | "desired" | "methods") "." "count"
//! metric     = "registration.response" | "registration.service" | "provisioning.response"
//!            | "provisioning.service" | a phase's name
//! statistic  = "min" | "mean" | "p50" | "p90" | "p99" | "p999" | "max" | "count"
//! condition  = ("<" | "<=" | ">" | ">=" | "==") limit
//! limit      = duration ("5s", "250ms", "1m30s") | percentage ("99.9%") | ratio ("0.999") | number | rate ("400/s")
//! ```
//!
//! A ratio is a share of the devices planned. Throttled devices were answered 429 at least once;
//! attempts are those of one device.

use std::fmt;

use jiff::SignedDuration;

use crate::phase::Metric;
use crate::summary::{Percentiles, Summary, ThresholdResult};
use crate::units;

/// One threshold of a scenario.
#[derive(Debug, Clone, PartialEq)]
pub struct Threshold {
    expression: String,
    subject: Subject,
    comparison: Comparison,
    /// In microseconds, devices, devices a second, or as a share of one.
    limit: f64,
}

/// Why a threshold can't be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ThresholdError {
    /// The subject is unknown; `nearest` is a known one that looks alike.
    #[error("unknown threshold \"{subject}\"{}", nearest.as_ref().map(|n| format!(", did you mean \"{n}\"?")).unwrap_or_default())]
    UnknownSubject {
        /// As written.
        subject: String,
        /// What may have been meant.
        nearest: Option<String>,
    },
    /// The condition has no known form or the wrong unit.
    #[error("{problem}")]
    BadCondition {
        /// What was wrong, and what would be right.
        problem: String,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Subject {
    Latency(Metric, Statistic),
    Samples(Metric),
    Ratio(Population),
    Count(Population),
    ProvisionedRate,
    MeanAttempts,
    MostAttempts,
    Lived(Lived),
}

/// What devices do that stay with their hubs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lived {
    Held,
    Dropped,
    Reconnected,
    GivenUp,
    Again,
    AgainFailed,
    Messages,
    Desired,
    Methods,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Statistic {
    Min,
    Mean,
    P50,
    P90,
    P99,
    P999,
    Max,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Population {
    Provisioned,
    Registered,
    Failed,
    Dropped,
    Throttled,
    Retried,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Equal,
}

/// What a subject is measured in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    Microseconds,
    Devices,
    Share,
    PerSecond,
    Attempts,
}

impl Threshold {
    /// Reads `"registration.response.p99"` and `"< 5s"`.
    ///
    /// # Errors
    /// See [`ThresholdError`].
    pub fn parse(subject: &str, condition: &str) -> Result<Self, ThresholdError> {
        let found = Subject::all().find(|known| known.to_string() == subject);
        let found = found.ok_or_else(|| ThresholdError::UnknownSubject {
            subject: subject.into(),
            nearest: nearest(subject),
        })?;
        let bad = |problem| ThresholdError::BadCondition { problem };
        let condition = condition.trim();
        let (comparison, limit) = Comparison::split(condition).ok_or_else(|| {
            bad(format!(
                "\"{condition}\" is no condition: write <, <=, >, >= or ==, then {}",
                found.unit().example()
            ))
        })?;
        let value = found.unit().read(limit).ok_or_else(|| {
            bad(format!(
                "\"{limit}\" is no limit for {subject}: write {}",
                found.unit().example()
            ))
        })?;
        Ok(Self {
            expression: format!("{subject} {condition}"),
            subject: found,
            comparison,
            limit: value,
        })
    }

    /// Compares with what was measured. Without samples it does not hold.
    pub fn evaluate(&self, summary: &Summary) -> ThresholdResult {
        let observed = self.subject.observe(summary);
        ThresholdResult {
            expression: self.expression.clone(),
            observed: observed.map_or("no samples".into(), |value| self.subject.unit().show(value)),
            passed: observed.is_some_and(|value| self.comparison.holds(value, self.limit)),
        }
    }
}

impl Subject {
    fn all() -> impl Iterator<Item = Self> {
        let of_metric = |metric| {
            let latencies = Statistic::ALL
                .into_iter()
                .map(move |statistic| Self::Latency(metric, statistic));
            latencies.chain([Self::Samples(metric)])
        };
        let of_population = Population::ALL
            .into_iter()
            .flat_map(|who| [Self::Ratio(who), Self::Count(who)]);
        Metric::all()
            .flat_map(of_metric)
            .chain(of_population)
            .chain([
                Self::ProvisionedRate,
                Self::MeanAttempts,
                Self::MostAttempts,
            ])
            .chain(Lived::ALL.into_iter().map(Self::Lived))
    }

    fn unit(self) -> Unit {
        match self {
            Self::Latency(..) => Unit::Microseconds,
            Self::Samples(_) | Self::Count(_) | Self::Lived(_) => Unit::Devices,
            Self::Ratio(_) => Unit::Share,
            Self::ProvisionedRate => Unit::PerSecond,
            Self::MeanAttempts | Self::MostAttempts => Unit::Attempts,
        }
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "counts of devices and microseconds of a run"
    )]
    fn observe(self, summary: &Summary) -> Option<f64> {
        match self {
            Self::Latency(metric, statistic) => {
                let percentiles = summary.percentiles(metric);
                (percentiles.count > 0).then(|| statistic.of(&percentiles) as f64)
            }
            Self::Samples(metric) => Some(summary.percentiles(metric).count as f64),
            Self::Count(who) => Some(who.of(summary) as f64),
            Self::Ratio(who) => {
                let planned = summary.devices.planned;
                (planned > 0).then(|| who.of(summary) as f64 / planned as f64)
            }
            Self::ProvisionedRate => Some(summary.rates.provisioned_per_second),
            Self::MeanAttempts => {
                let devices = summary.devices;
                summary.tries.mean(devices.provisioned + devices.failed)
            }
            Self::MostAttempts => Some(summary.tries.most as f64),
            Self::Lived(what) => Some(what.of(summary) as f64),
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Latency(metric, statistic) => write!(f, "{}.{}", metric.name(), statistic.name()),
            Self::Samples(metric) => write!(f, "{}.count", metric.name()),
            Self::Ratio(who) => write!(f, "{}.ratio", who.name()),
            Self::Count(who) => write!(f, "{}.count", who.name()),
            Self::ProvisionedRate => f.write_str("provisioned.rate"),
            Self::MeanAttempts => f.write_str("attempts.mean"),
            Self::MostAttempts => f.write_str("attempts.max"),
            Self::Lived(what) => write!(f, "{}.count", what.name()),
        }
    }
}

impl Statistic {
    const ALL: [Self; 7] = [
        Self::Min,
        Self::Mean,
        Self::P50,
        Self::P90,
        Self::P99,
        Self::P999,
        Self::Max,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Min => "min",
            Self::Mean => "mean",
            Self::P50 => "p50",
            Self::P90 => "p90",
            Self::P99 => "p99",
            Self::P999 => "p999",
            Self::Max => "max",
        }
    }

    fn of(self, percentiles: &Percentiles) -> u64 {
        match self {
            Self::Min => percentiles.min_us,
            Self::Mean => percentiles.mean_us,
            Self::P50 => percentiles.p50_us,
            Self::P90 => percentiles.p90_us,
            Self::P99 => percentiles.p99_us,
            Self::P999 => percentiles.p999_us,
            Self::Max => percentiles.max_us,
        }
    }
}

impl Population {
    const ALL: [Self; 6] = [
        Self::Provisioned,
        Self::Registered,
        Self::Failed,
        Self::Dropped,
        Self::Throttled,
        Self::Retried,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Provisioned => "provisioned",
            Self::Registered => "registered",
            Self::Failed => "failed",
            Self::Dropped => "dropped",
            Self::Throttled => "throttled",
            Self::Retried => "retried",
        }
    }

    fn of(self, summary: &Summary) -> u64 {
        match self {
            Self::Provisioned => summary.devices.provisioned,
            Self::Registered => summary.devices.registered,
            Self::Failed => summary.devices.failed,
            Self::Dropped => summary.devices.dropped,
            Self::Throttled => summary.tries.throttled,
            Self::Retried => summary.tries.tried_again,
        }
    }
}

impl Lived {
    const ALL: [Self; 9] = [
        Self::Held,
        Self::Dropped,
        Self::Reconnected,
        Self::GivenUp,
        Self::Again,
        Self::AgainFailed,
        Self::Messages,
        Self::Desired,
        Self::Methods,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Held => "connections.held",
            Self::Dropped => "connections.dropped",
            Self::Reconnected => "connections.reconnected",
            Self::GivenUp => "connections.given-up",
            Self::Again => "reprovisioned",
            Self::AgainFailed => "reprovisioned.failed",
            Self::Messages => "messages",
            Self::Desired => "desired",
            Self::Methods => "methods",
        }
    }

    fn of(self, summary: &Summary) -> u64 {
        let life = &summary.life;
        match self {
            Self::Again => summary.again.provisioned,
            Self::AgainFailed => summary.again.failed,
            Self::Held => life.most_held,
            Self::Dropped => life.dropped,
            Self::Reconnected => life.reconnected,
            Self::GivenUp => life.given_up,
            Self::Messages => life.messages,
            Self::Desired => life.desired,
            Self::Methods => life.methods,
        }
    }
}

impl Comparison {
    /// The comparison that a condition starts with, and what follows.
    fn split(condition: &str) -> Option<(Self, &str)> {
        let known = [
            ("<=", Self::LessOrEqual),
            (">=", Self::GreaterOrEqual),
            ("==", Self::Equal),
            ("<", Self::Less),
            (">", Self::Greater),
        ];
        known.into_iter().find_map(|(sign, comparison)| {
            let limit = condition.strip_prefix(sign)?.trim();
            (!limit.is_empty()).then_some((comparison, limit))
        })
    }

    fn holds(self, observed: f64, limit: f64) -> bool {
        match self {
            Self::Less => observed < limit,
            Self::LessOrEqual => observed <= limit,
            Self::Greater => observed > limit,
            Self::GreaterOrEqual => observed >= limit,
            // Counts and shares of counts: far above rounding, far below one device in a billion.
            Self::Equal => (observed - limit).abs() <= 1e-9 * limit.abs().max(1.0),
        }
    }
}

impl Unit {
    fn example(self) -> &'static str {
        match self {
            Self::Microseconds => "a duration like \"250ms\", \"5s\" or \"1m30s\"",
            Self::Devices => "a whole number",
            Self::Share => "a percentage like \"99.9%\" or a share like \"0.999\"",
            Self::PerSecond => "a rate like \"400/s\"",
            Self::Attempts => "a number like \"1.5\"",
        }
    }

    fn read(self, limit: &str) -> Option<f64> {
        let number = |text: &str| {
            text.trim()
                .parse::<f64>()
                .ok()
                .filter(|value| value.is_finite() && *value >= 0.0)
        };
        match self {
            Self::Microseconds => {
                let duration: SignedDuration = limit.parse().ok()?;
                (!duration.is_negative()).then(|| duration.as_secs_f64() * 1e6)
            }
            Self::Devices => number(limit).filter(|devices| devices.fract() == 0.0),
            Self::Share => {
                let share = match limit.strip_suffix('%') {
                    Some(percent) => number(percent)? / 100.0,
                    None => number(limit)?,
                };
                (share <= 1.0).then_some(share)
            }
            Self::PerSecond => number(limit.strip_suffix("/s")?),
            Self::Attempts => number(limit),
        }
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "measured values are not negative"
    )]
    fn show(self, value: f64) -> String {
        match self {
            Self::Microseconds => units::duration(value as u64),
            Self::Devices => units::count(value as u64),
            // Never rounded up to a round 100 %.
            Self::Share => format!("{} %", (value * 1e5).floor() / 1e3),
            Self::PerSecond => units::rate(value),
            Self::Attempts => format!("{value:.2}"),
        }
    }
}

/// The known subject that looks most like `subject`, if any does.
fn nearest(subject: &str) -> Option<String> {
    let known = Subject::all().map(|known| known.to_string());
    let scored = known.map(|known| (strsim::jaro_winkler(subject, &known), known));
    let best = scored.max_by(|a, b| a.0.total_cmp(&b.0))?;
    (best.0 > 0.8).then_some(best.1)
}

#[cfg(test)]
mod tests;
