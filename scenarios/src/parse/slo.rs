//! `[[slo]]`: the share of registrations that must go well.

use std::collections::HashSet;
use std::time::Duration;

use fleetstorm_reports::exact::Decimal;
use fleetstorm_reports::slo::{Aim, MAX_PLACES, Slo};

use super::optional::{each, or};
use super::quantity;
use crate::cohort::Cohort;
use crate::table::{Value, did_you_mean};

/// Most objectives: each looks at every device.
const MAX_SLOS: usize = 32;
/// 30 days: what error budgets are mostly for.
const DEFAULT_WINDOW: Duration = Duration::from_secs(30 * 24 * 60 * 60);
const DEFAULT_CONFIDENCE: f64 = 0.95;

/// Reads every objective; cohorts that are wrong themselves are not checked.
pub(super) fn read_all(value: &Value<'_>, cohorts: Option<&[Cohort]>) -> Option<Vec<Slo>> {
    let tables = value.array()?;
    if tables.len() > MAX_SLOS {
        return value.wrong(format!("has more than {MAX_SLOS} objectives"), None);
    }
    let mut names = HashSet::new();
    each(&tables, |value| read(value, cohorts, &mut names))
}

fn read(value: &Value<'_>, cohorts: Option<&[Cohort]>, names: &mut HashSet<String>) -> Option<Slo> {
    let mut table = value.table()?;
    let name = table.require("name").and_then(|value| {
        let name = quantity::name(&value)?;
        if !names.insert(name.clone()) {
            let problem = format!("another objective is called \"{name}\" already");
            return value.wrong(problem, None);
        }
        Some(name)
    });
    let of = or(table.take("of"), Aim::default(), |value| {
        value.word("aim", Aim::ALL.map(|aim| (aim.name(), aim)))
    });
    let within = or(table.take("within"), None, |value| {
        quantity::duration_above_zero(&value).map(Some)
    });
    let cohort = or(table.take("cohort"), None, |value| cohort(&value, cohorts));
    let objective = table.require("objective").and_then(|value| {
        let objective = quantity::exact_share(&value)?;
        if objective.places() > MAX_PLACES {
            let hint = "as many as \"99.9999%\" has".to_string();
            return value.wrong("has more digits than reports show", hint);
        }
        if objective == Decimal::ONE {
            return value.wrong(
                "leaves no error budget, and no run can prove that nothing ever fails",
                "\"99.9%\"; to demand that nothing failed in this run, write a threshold"
                    .to_string(),
            );
        }
        Some(objective)
    });
    let window = or(table.take("window"), DEFAULT_WINDOW, |value| {
        quantity::duration_or_days(&value)
    });
    let confidence = or(table.take("confidence"), DEFAULT_CONFIDENCE, |value| {
        let confidence = quantity::share(&value)?;
        if !(0.5..1.0).contains(&confidence) {
            let hint = "above 50% and below 100%, like \"95%\"".to_string();
            return value.wrong("is no confidence", hint);
        }
        Some(confidence)
    });
    table.finish();
    Some(Slo {
        name: name?,
        of: of?,
        within_us: within?.map(|time| u64::try_from(time.as_micros()).unwrap_or(u64::MAX)),
        cohort: cohort?,
        objective: objective?,
        window_s: window?.as_secs(),
        confidence: confidence?,
    })
}

fn cohort(value: &Value<'_>, known: Option<&[Cohort]>) -> Option<Option<u16>> {
    let name = value.text()?;
    let known = known?;
    let index = known.iter().position(|cohort| cohort.name == name);
    match index.and_then(|index| u16::try_from(index).ok()) {
        Some(index) => Some(Some(index)),
        None => {
            let names: Vec<_> = known.iter().map(|cohort| cohort.name.as_str()).collect();
            value.wrong(
                format!("there is no cohort \"{name}\""),
                did_you_mean(name, &names),
            )
        }
    }
}
