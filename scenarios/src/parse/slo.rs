//! `[[slo]]`: the share of registrations that must go well.

use std::collections::HashSet;

use fleetstorm_reports::exact::Decimal;
use fleetstorm_reports::slo::{Aim, MAX_PLACES, Slo};
use serde_json::json;

use super::kinds::{AboveZero, Days, Name, Text, Word, either, kinds, like, named, typed};
use super::quantity;
use crate::cohort::Cohort;
use crate::diagnostics::did_you_mean;
use crate::keys::{Fields, keys};
use crate::table::{Value, each};

/// Most objectives: each looks at every device.
pub(super) const MAX_SLOS: usize = 32;

keys! {
    struct SloKeys as "slo": "One objective." {
        "name" name: required Name,
            "Its name, unique among the objectives.";
        "of" of: default Word<Aim> = "registered",
            "What must come about: the assigned hub is in hand, or the twin is read, too.";
        "within" within: optional AboveZero,
            "In which response time; in any when left out.";
        "cohort" cohort: optional Text,
            "Whose devices count; all when left out.";
        "objective" objective: required Objective,
            "The share that must go well, below 100%, with at most four digits after the point of a percentage.";
        "window" window: default Days = "30d",
            "The time that the error budget is for.";
        "confidence" confidence: default Confidence = "95%",
            "How sure the outcome must be.";
    }
}

named! {
    Aim: "aim", Aim::ALL.map(|aim| (aim.name(), aim));
}

kinds! {
    Objective -> Decimal: objective,
        either(
            typed("number")
                .with("exclusiveMinimum", 0_u64)
                .with("exclusiveMaximum", 1_u64),
            like(&["99.9%"]),
        );
    Confidence -> f64: confidence,
        either(
            typed("number")
                .with("minimum", json!(0.5))
                .with("exclusiveMaximum", 1_u64),
            like(&["95%"]),
        );
}

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
    let keys = SloKeys::read(value)?;
    let name = keys.name.checked(|value, name| {
        if !names.insert(name.clone()) {
            let problem = format!("another objective is called \"{name}\" already");
            return value.wrong(problem, None);
        }
        Some(name)
    });
    let cohort = keys
        .cohort
        .resolved(|value, name| cohort(value, &name, cohorts));
    Some(Slo {
        name: name?,
        of: keys.of.read?,
        within_us: keys
            .within
            .read?
            .map(|time| u64::try_from(time.as_micros()).unwrap_or(u64::MAX)),
        cohort: cohort?,
        objective: keys.objective.read?,
        window_s: keys.window.read?.as_secs(),
        confidence: keys.confidence.read?,
    })
}

fn objective(value: &Value<'_>) -> Option<Decimal> {
    let objective = quantity::exact_share(value)?;
    if objective.places() > MAX_PLACES {
        let hint = "as many as \"99.9999%\" has".to_string();
        return value.wrong("has more digits than reports show", hint);
    }
    if objective == Decimal::ONE {
        return value.wrong(
            "leaves no error budget, and no run can prove that nothing ever fails",
            "\"99.9%\"; to demand that nothing failed in this run, write a threshold".to_string(),
        );
    }
    Some(objective)
}

fn confidence(value: &Value<'_>) -> Option<f64> {
    let confidence = quantity::share(value)?;
    if !(0.5..1.0).contains(&confidence) {
        let hint = "above 50% and below 100%, like \"95%\"".to_string();
        return value.wrong("is no confidence", hint);
    }
    Some(confidence)
}

fn cohort(value: &Value<'_>, name: &str, known: Option<&[Cohort]>) -> Option<u16> {
    let known = known?;
    let index = known.iter().position(|cohort| cohort.name == name);
    match index.and_then(|index| u16::try_from(index).ok()) {
        Some(index) => Some(index),
        None => {
            let names: Vec<_> = known.iter().map(|cohort| cohort.name.as_str()).collect();
            value.wrong(
                format!("there is no cohort \"{name}\""),
                did_you_mean(name, &names),
            )
        }
    }
}
