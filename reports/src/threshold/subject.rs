//! What a threshold can be about.

use std::fmt;

use super::figures::Figures;
use super::samples::Statistic;
use super::tags;
use super::unit::Unit;
use super::value::Value;
use crate::exact::{Decimal, Ratio, Rounding};
use crate::phase::{Metric, Phase};
use crate::units;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Subject {
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
pub(super) enum Lived {
    Held,
    Dropped,
    Reconnected,
    GivenUp,
    Reprovisioned,
    ReprovisionsFailed,
    Messages,
    Desired,
    Methods,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Population {
    Provisioned,
    Registered,
    Failed,
    Dropped,
    Throttled,
    Retried,
}

impl Subject {
    /// Every subject there is.
    pub(super) fn all() -> impl Iterator<Item = Self> {
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

    /// What it is measured in.
    pub(super) fn unit(self) -> Unit {
        match self {
            Self::Latency(..) => Unit::Microseconds,
            Self::Samples(_) | Self::Count(_) | Self::Lived(_) => Unit::Devices,
            Self::Ratio(_) => Unit::Share,
            Self::ProvisionedRate => Unit::PerSecond,
            Self::MeanAttempts | Self::MostAttempts => Unit::Attempts,
        }
    }

    /// The metric whose distribution it is of.
    pub(super) fn metric(self) -> Option<Metric> {
        match self {
            Self::Latency(metric, _) | Self::Samples(metric) => Some(metric),
            Self::Ratio(_)
            | Self::Count(_)
            | Self::ProvisionedRate
            | Self::MeanAttempts
            | Self::MostAttempts
            | Self::Lived(_) => None,
        }
    }

    /// Whether records of devices tell it: of a part of them, or of a part of the run.
    pub(super) fn is_of_records(self) -> bool {
        match self {
            Self::Lived(_) => false,
            Self::Ratio(_)
            | Self::Count(_)
            | Self::Latency(..)
            | Self::Samples(_)
            | Self::ProvisionedRate
            | Self::MeanAttempts
            | Self::MostAttempts => true,
        }
    }

    /// Whether it can't become less while a run goes on.
    pub(super) fn only_grows(self) -> bool {
        match self {
            Self::Samples(_) | Self::Count(_) | Self::MostAttempts | Self::Lived(_) => true,
            Self::Latency(..) | Self::Ratio(_) | Self::ProvisionedRate | Self::MeanAttempts => {
                false
            }
        }
    }

    /// Whether a ratio is one of devices that did not start.
    pub(super) fn is_of_dropped(self) -> bool {
        matches!(self, Self::Ratio(Population::Dropped))
    }

    /// Whether it has one reading alone: it is about the generator itself, or not counted device by device.
    pub(super) fn is_read_once(self) -> bool {
        match self {
            Self::Lived(_)
            | Self::Ratio(Population::Dropped)
            | Self::Count(Population::Dropped) => true,
            _ => matches!(
                self.metric(),
                Some(Metric::Generator | Metric::Phase(Phase::Queue))
            ),
        }
    }

    /// The figure of a latency.
    pub(super) fn statistic(self) -> Option<Statistic> {
        match self {
            Self::Latency(_, statistic) => Some(statistic),
            _ => None,
        }
    }

    /// Where its digits go that are not shown: what is good is never rounded up.
    pub(super) fn rounding(self) -> Rounding {
        match self {
            Self::Ratio(Population::Provisioned | Population::Registered)
            | Self::ProvisionedRate => Rounding::Down,
            _ => Rounding::Up,
        }
    }

    /// What was measured; none where nothing was.
    pub(super) fn observe(self, figures: &Figures) -> Option<Value> {
        let ratio = match self {
            Self::Latency(..) => return figures.latency,
            Self::Samples(_) => Ratio::whole(figures.samples),
            Self::Count(who) => Ratio::whole(who.of(figures)),
            Self::Ratio(who) => {
                let base = (figures.base > 0).then_some(figures.base)?;
                Ratio::new(who.part_of(figures), base)
            }
            Self::ProvisionedRate => {
                let us = (figures.us > 0).then_some(figures.us)?;
                Ratio::new(figures.provisioned, us).times(1_000_000_u32)
            }
            Self::MeanAttempts => {
                let ended = (figures.ended > 0).then_some(figures.ended)?;
                Ratio::new(figures.attempts.total, ended)
            }
            Self::MostAttempts => Ratio::whole(figures.attempts.most),
            Self::Lived(what) => Ratio::whole(what.of(figures)),
        };
        Some(Value::Of(ratio))
    }

    /// How many it was measured of: what a latency is of, else devices.
    pub(super) fn samples(self, figures: &Figures) -> u64 {
        match self {
            Self::Latency(..) => figures.latency_of,
            Self::Samples(_) => figures.samples,
            _ => figures.ended + figures.dropped,
        }
    }

    /// What was measured for people, beside a limit; a share of some devices with how many they are.
    pub(super) fn shown(self, value: Value, figures: &Figures, limit: Decimal) -> String {
        let shown = value.shown(self.unit(), self.rounding(), limit);
        let of = figures.latency_of;
        match (self, value) {
            (Self::Ratio(who), _) => {
                let (part, base) = (who.part_of(figures), figures.base);
                if part == 0 || part == base {
                    return shown;
                }
                format!("{shown} ({} of {})", units::count(part), units::count(base))
            }
            (Self::Latency(_, statistic), Value::Of(_)) if of < statistic.samples_to_tell() => {
                format!("{shown}, the greatest of {of}")
            }
            (Self::Latency(_, statistic), Value::Unbounded { .. }) => {
                match statistic.percent_above() {
                    Some(percent) => format!("more than {percent} % did not get so far ({shown})"),
                    None => format!("{shown} did not get so far"),
                }
            }
            _ => shown,
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

    /// The devices that a ratio has above its line: those that were due and not started have not done well.
    fn part_of(self, figures: &Figures) -> u64 {
        match self {
            Self::Failed => self.of(figures) + figures.dropped,
            other => other.of(figures),
        }
    }

    fn of(self, figures: &Figures) -> u64 {
        match self {
            Self::Provisioned => figures.provisioned,
            Self::Registered => figures.registered,
            Self::Failed => figures.ended - figures.provisioned,
            Self::Dropped => figures.dropped,
            Self::Throttled => figures.attempts.throttled,
            Self::Retried => figures.attempts.retried,
        }
    }
}

impl Lived {
    const ALL: [Self; 9] = [
        Self::Held,
        Self::Dropped,
        Self::Reconnected,
        Self::GivenUp,
        Self::Reprovisioned,
        Self::ReprovisionsFailed,
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
            Self::Reprovisioned => "reprovisioned",
            Self::ReprovisionsFailed => "reprovisioned.failed",
            Self::Messages => "messages",
            Self::Desired => "desired",
            Self::Methods => "methods",
        }
    }

    fn of(self, figures: &Figures) -> u64 {
        let held = &figures.held;
        match self {
            Self::Reprovisioned => figures.reprovisioned,
            Self::ReprovisionsFailed => figures.reprovisions_failed,
            Self::Held => held.most,
            Self::Dropped => held.dropped,
            Self::Reconnected => held.reconnected,
            Self::GivenUp => held.given_up,
            Self::Messages => held.messages,
            Self::Desired => held.desired,
            Self::Methods => held.methods,
        }
    }
}

/// The known subject that looks most like `subject`, if any does.
pub(super) fn nearest(subject: &str) -> Option<String> {
    let known: Vec<_> = Subject::all().map(|known| known.to_string()).collect();
    tags::nearest(subject, known.iter().map(String::as_str)).map(Into::into)
}
