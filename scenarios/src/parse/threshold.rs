//! `[thresholds]`: what must hold, of which devices and when.

use std::time::Duration;

use fleetstorm_protocol::attestation::{AttestationKind, TransportKind};
use fleetstorm_reports::threshold::{Terms, ThresholdError};
use fleetstorm_reports::{Dimensions, Threshold};

use super::kinds::{AnyDuration, Count, Flag, kinds, map_of, reference, typed};
use super::quantity;
use crate::cohort::Cohort;
use crate::json::{Json, Object};
use crate::keys::{Fields, Kind, Section, keys};
use crate::region::Region;
use crate::table::{Entry, Value, each};
use crate::tenant::Tenant;

/// Most thresholds: each looks at every device.
const MAX_THRESHOLDS: usize = 128;
/// Most over windows: each keeps figures of some sixty parts of its window.
const MAX_WINDOWED: usize = 32;
/// Shortest window: counts of a second are not divided.
const SHORTEST_WINDOW: Duration = Duration::from_secs(1);

keys! {
    struct ThresholdKeys as "threshold": "What must hold, and when." {
        "is" is: required Condition,
            "What must hold, like \"< 5s\".";
        "window" window: optional Window,
            "It must hold in every stretch of the run of this length, a second or longer.";
        "between" between: optional Between,
            "It is about devices that end from the first of these moments to the second.";
        "abort" abort: default Flag = false,
            "Stop the run, gently, as soon as it is crossed.";
        "after" after: optional AnyDuration,
            "With abort: stop no run before this moment.";
        "samples" samples: optional Count,
            "Judge no fewer samples than this; with fewer it proves nothing, and the run is invalid (exit code 98).";
    }
}

kinds! {
    /// All of them, in whatever way they are written.
    Thresholds -> (): |_: &Value<'_>| Some(()), reference("thresholds");
    Window -> Duration: window, reference("duration");
    Between -> (Duration, Duration): between,
        typed("array")
            .with("items", reference("duration"))
            .with("minItems", 2_u64)
            .with("maxItems", 2_u64);
}

/// What must hold of a subject.
pub(crate) struct Condition;

impl Kind for Condition {
    type Out = String;

    const MISSING: Option<&'static str> = Some("what must hold, like \"< 5s\"");

    fn read(value: &Value<'_>) -> Option<String> {
        value.text_like("\"< 5s\" or \">= 99.9%\"").map(Into::into)
    }

    fn schema() -> Object {
        typed("string").with("pattern", "^\\s*(<|>|==)")
    }
}

/// The definition of one threshold that is a table.
pub(super) fn threshold() -> Object {
    ThresholdKeys::schema()
}

/// The definition of all of them: by their names, and what TOML makes of the points in these.
pub(super) fn thresholds() -> Object {
    let one = || {
        vec![
            Condition::schema().into(),
            ThresholdKeys::reference().into(),
        ]
    };
    let several = typed("array").with("items", Object::default().with("anyOf", one()));
    let several = Object::default()
        .with("description", "Several of the same.")
        .and(several);
    let mut any = one();
    any.extend([Json::from(several), reference("thresholds").into()]);
    Object::default()
        .with("description", "Subjects like \"registration.response.p99\", for all devices or those of tags as in \"provisioned.ratio{cohort:meters,transport:mqtt}\", and what must hold of them, like \"< 5s\".")
        .and(map_of(Object::default().with("anyOf", any)))
}

/// What tags refer to; none where it is wrong itself.
pub(super) struct Refs<'a> {
    pub cohorts: Option<&'a [Cohort]>,
    pub regions: Option<&'a [Region]>,
    pub tenants: Option<&'a [Tenant]>,
}

/// Reads every threshold. Subjects are written in quotes or without: to TOML
/// `dropped.count = "== 0"` is a table in a table, to people it is the same.
pub(super) fn read_all(value: &Value<'_>, refs: &Refs<'_>) -> Option<Vec<Threshold>> {
    let thresholds = below("", value, &names(refs), refs)?;
    if thresholds.len() > MAX_THRESHOLDS {
        return value.wrong(format!("has more than {MAX_THRESHOLDS} thresholds"), None);
    }
    let windowed = thresholds.iter().filter(|it| it.terms.window.is_some());
    if windowed.count() > MAX_WINDOWED {
        let problem = format!("has more than {MAX_WINDOWED} thresholds over windows");
        return value.wrong(problem, None);
    }
    Some(thresholds)
}

fn below(
    prefix: &str,
    value: &Value<'_>,
    names: &Dimensions,
    refs: &Refs<'_>,
) -> Option<Vec<Threshold>> {
    let thresholds = each(value.entries()?, |Entry { key, value, .. }| {
        let name = format!("{prefix}{key}");
        let one = |value: &Value<'_>| read(&name, value, names, refs);
        if value.is_array() {
            return each(&value.array()?, one);
        }
        let is_section = value.is_table()
            && !Threshold::is_known(&name)
            && value.entries()?.iter().all(|entry| entry.key != "is");
        if is_section {
            return below(&format!("{name}."), &value, names, refs);
        }
        Some(vec![one(&value)?])
    })?;
    Some(thresholds.concat())
}

/// One threshold: a condition, or a table that says when, too.
fn read(name: &str, value: &Value<'_>, names: &Dimensions, refs: &Refs<'_>) -> Option<Threshold> {
    let (condition, terms) = if value.is_table() {
        let keys = ThresholdKeys::read(value)?;
        let terms = Terms {
            window: keys.window.read?,
            between: keys.between.read?,
            abort: keys.abort.read?,
            after: keys.after.read?,
            samples: keys.samples.read?.map(u64::from),
        };
        (keys.is.read?, terms)
    } else {
        (Condition::read(value)?, Terms::default())
    };
    let threshold = match Threshold::parse(name, &condition, terms, names) {
        Ok(threshold) => threshold,
        // What tags may say is not known while the sections that say it are wrong.
        Err(ThresholdError::BadTags { .. }) if !refs.is_known() => return None,
        Err(error) => return value.wrong(error.to_string(), None),
    };
    let mut cohorts = refs.cohorts.unwrap_or_default().iter().enumerate();
    let cut = threshold.cut();
    if !cut.is_whole() && !cohorts.any(|(index, cohort)| cohort.may_be_in(cut, index)) {
        return value.wrong("no device of the scenario is all of that", None);
    }
    Some(threshold)
}

fn window(value: &Value<'_>) -> Option<Duration> {
    let window = quantity::duration(value)?;
    if window < SHORTEST_WINDOW {
        return value.wrong("is too short: a window is a second or longer", None);
    }
    Some(window)
}

fn between(value: &Value<'_>) -> Option<(Duration, Duration)> {
    let moments = each(&value.array()?, quantity::duration)?;
    match moments[..] {
        [from, to] => Some((from, to)),
        _ => value.wrong("is no pair of moments", "[\"1m\", \"5m\"]".to_string()),
    }
}

impl Refs<'_> {
    fn is_known(&self) -> bool {
        self.cohorts.is_some() && self.regions.is_some() && self.tenants.is_some()
    }
}

/// The names that tags can have, in the order of a run's.
fn names(refs: &Refs<'_>) -> Dimensions {
    let tenants = refs.tenants.unwrap_or_default();
    let tenants = tenants.iter().map(|tenant| tenant.name.clone());
    // The scenario's own instance, which has no name here, comes first.
    let tenants = [String::new()].into_iter().chain(tenants);
    let cohorts = refs.cohorts.unwrap_or_default().iter();
    let regions = refs.regions.unwrap_or_default().iter();
    Dimensions {
        cohorts: cohorts.map(|cohort| cohort.name.clone()).collect(),
        transports: TransportKind::ALL.iter().map(ToString::to_string).collect(),
        attestations: AttestationKind::ALL
            .iter()
            .map(ToString::to_string)
            .collect(),
        regions: regions.map(|region| region.name.clone()).collect(),
        tenants: tenants.collect(),
        hubs: Vec::new(),
    }
}
