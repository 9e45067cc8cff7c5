//! `[thresholds]`: what must hold, of which devices and when.

use std::time::Duration;

use fleetstorm_protocol::attestation::{AttestationKind, TransportKind};
use fleetstorm_reports::threshold::{Terms, ThresholdError};
use fleetstorm_reports::{Dimensions, Threshold};

use super::optional::{each, or};
use super::quantity;
use crate::cohort::Cohort;
use crate::plan::census;
use crate::region::Region;
use crate::table::{Table, Value};
use crate::tenant::Tenant;

/// Most thresholds: each looks at every device.
const MAX_THRESHOLDS: usize = 128;
/// Most over windows: each keeps figures of some sixty parts of its window.
const MAX_WINDOWED: usize = 32;
/// Shortest window: counts of a second are not divided.
const SHORTEST_WINDOW: Duration = Duration::from_secs(1);

/// What tags refer to; none where it is wrong itself.
pub(super) struct Surroundings<'a> {
    pub cohorts: Option<&'a [Cohort]>,
    pub regions: Option<&'a [Region]>,
    pub tenants: Option<&'a [Tenant]>,
}

/// Reads every threshold. Subjects are written in quotes or without: to TOML
/// `dropped.count = "== 0"` is a table in a table, to people it is the same.
pub(super) fn read_all(value: &Value<'_>, around: &Surroundings<'_>) -> Option<Vec<Threshold>> {
    let thresholds = below("", value, &names(around), around)?;
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
    around: &Surroundings<'_>,
) -> Option<Vec<Threshold>> {
    let thresholds = each(value.table()?.into_entries(), |(key, value)| {
        let name = format!("{prefix}{key}");
        let one = |value: &Value<'_>| read(&name, value, names, around);
        if value.is_array() {
            return each(&value.array()?, one);
        }
        let is_section =
            value.is_table() && !Threshold::is_known(&name) && value.table()?.take("is").is_none();
        if is_section {
            return below(&format!("{name}."), &value, names, around);
        }
        Some(vec![one(&value)?])
    })?;
    Some(thresholds.concat())
}

/// One threshold: a condition, or a table that says when, too.
fn read(
    name: &str,
    value: &Value<'_>,
    names: &Dimensions,
    around: &Surroundings<'_>,
) -> Option<Threshold> {
    let (condition, terms) = if value.is_table() {
        let mut table = value.table()?;
        let condition = table.take("is");
        if condition.is_none() {
            table.missing("is", Some("what must hold, like \"< 5s\""));
        }
        let terms = terms(table);
        (condition?.text_like(CONDITION)?, terms?)
    } else {
        (value.text_like(CONDITION)?, Terms::default())
    };
    let threshold = match Threshold::parse(name, condition, terms, names) {
        Ok(threshold) => threshold,
        // What tags may say is not known while the sections that say it are wrong.
        Err(ThresholdError::BadTags { .. }) if !around.is_known() => return None,
        Err(error) => return value.wrong(error.to_string(), None),
    };
    let mut cohorts = around.cohorts.unwrap_or_default().iter().enumerate();
    let cut = threshold.cut();
    if !cut.is_whole() && !cohorts.any(|(index, cohort)| census::may_have(cut, index, cohort)) {
        return value.wrong("no device of the scenario is all of that", None);
    }
    Some(threshold)
}

const CONDITION: &str = "\"< 5s\" or \">= 99.9%\"";

/// The other keys of a threshold that is a table.
fn terms(mut table: Table<'_>) -> Option<Terms> {
    let window = or(table.take("window"), None, |value| {
        let window = quantity::duration(&value)?;
        if window < SHORTEST_WINDOW {
            return value.wrong("is too short: a window is a second or longer", None);
        }
        Some(Some(window))
    });
    let between = or(table.take("between"), None, |value| {
        let moments = each(&value.array()?, quantity::duration)?;
        match moments[..] {
            [from, to] => Some(Some((from, to))),
            _ => value.wrong("is no pair of moments", "[\"1m\", \"5m\"]".to_string()),
        }
    });
    let abort = or(table.take("abort"), false, |value| value.boolean());
    let after = or(table.take("after"), None, |value| {
        quantity::duration(&value).map(Some)
    });
    let samples = or(table.take("samples"), None, |value| {
        value.integer(1..=u64::from(u32::MAX)).map(Some)
    });
    table.finish();
    Some(Terms {
        window: window?,
        between: between?,
        abort: abort?,
        after: after?,
        samples: samples?,
    })
}

impl Surroundings<'_> {
    fn is_known(&self) -> bool {
        self.cohorts.is_some() && self.regions.is_some() && self.tenants.is_some()
    }
}

/// The names that tags can have, in the order of a run's.
fn names(around: &Surroundings<'_>) -> Dimensions {
    let tenants = around.tenants.unwrap_or_default();
    let tenants = tenants.iter().map(|tenant| tenant.name.clone());
    // The scenario's own instance, which has no name here, comes first.
    let tenants = [String::new()].into_iter().chain(tenants);
    let cohorts = around.cohorts.unwrap_or_default().iter();
    let regions = around.regions.unwrap_or_default().iter();
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
