//! `arrival = { kind = "…", … }`: k6's words for how load comes.

use std::time::Duration;

use super::optional::{each, or};
use super::quantity;
use crate::arrival::{Arrival, Stage};
use crate::table::{Table, Value};

#[derive(Clone, Copy)]
enum Kind {
    AllAtOnce,
    Bursts,
    Closed,
    ConstantRate,
    RampingRate,
}

/// Largest burst: as many devices as a cohort may have.
const MAX_BURST: u64 = u32::MAX as u64;

const KINDS: [(&str, Kind); 5] = [
    ("constant-rate", Kind::ConstantRate),
    ("ramping-rate", Kind::RampingRate),
    ("bursts", Kind::Bursts),
    ("all-at-once", Kind::AllAtOnce),
    ("closed", Kind::Closed),
];

/// A stage as written: where it leads (nowhere else, for a hold), and how long it takes.
struct WrittenStage {
    to_rate: Option<f64>,
    over: Duration,
}

pub(super) fn read(value: &Value<'_>) -> Option<Arrival> {
    let mut table = value.table()?;
    // Without a kind nobody can say which keys belong here.
    let kind = table.require("kind")?.word("arrival", KINDS)?;
    let arrival = match kind {
        Kind::AllAtOnce => Some(Arrival::AllAtOnce),
        Kind::Bursts => bursts(&mut table),
        Kind::Closed => closed(&mut table),
        Kind::ConstantRate => spaced(&mut table, constant_rate),
        Kind::RampingRate => spaced(&mut table, ramping_rate),
    };
    let delay = or(table.take("delay"), Duration::ZERO, |value| {
        quantity::duration(&value)
    });
    table.finish();
    let (arrival, by) = (arrival?, delay?);
    if by.is_zero() {
        return Some(arrival);
    }
    let arrival = Box::new(arrival);
    Some(Arrival::Delayed { by, arrival })
}

#[derive(Clone, Copy)]
enum Spacing {
    Even,
    Poisson,
}

const SPACINGS: [(&str, Spacing); 2] = [("even", Spacing::Even), ("poisson", Spacing::Poisson)];

/// An arrival whose devices come evenly, or each by its own chance.
fn spaced(table: &mut Table<'_>, read: fn(&mut Table<'_>) -> Option<Arrival>) -> Option<Arrival> {
    let arrival = read(table);
    let spacing = or(table.take("spacing"), Spacing::Even, |value| {
        value.word("spacing", SPACINGS)
    });
    match (spacing?, arrival?) {
        (Spacing::Even, arrival) => Some(arrival),
        (Spacing::Poisson, arrival) => Some(Arrival::ByChance {
            scatter: None,
            arrival: Box::new(arrival),
        }),
    }
}

fn bursts(table: &mut Table<'_>) -> Option<Arrival> {
    let size = table
        .require("size")
        .and_then(|value| value.integer(1..=MAX_BURST));
    let every = table
        .require("every")
        .and_then(|value| quantity::duration_above_zero(&value));
    Some(Arrival::Bursts {
        size: size? as f64,
        every: every?,
    })
}

fn closed(table: &mut Table<'_>) -> Option<Arrival> {
    let concurrency = table
        .require("concurrency")
        .and_then(|value| value.integer(1..=MAX_BURST));
    Some(Arrival::Closed {
        concurrency: concurrency? as f64,
    })
}

fn constant_rate(table: &mut Table<'_>) -> Option<Arrival> {
    let value = table.require("rate")?;
    let rate = quantity::rate(&value)?;
    if rate == 0.0 {
        return value.wrong("must be above zero, or nobody ever comes", None);
    }
    Some(Arrival::ConstantRate { rate })
}

fn ramping_rate(table: &mut Table<'_>) -> Option<Arrival> {
    let start_rate = or(table.take("start"), 0.0, |value| quantity::rate(&value));
    let value = table.require("stages")?;
    let written = value.array()?;
    let Some(last) = written.last() else {
        return value.wrong("needs at least one stage", EXAMPLE.to_string());
    };
    let stages = each(&written, stage)?;
    let start_rate = start_rate?;
    let mut rate = start_rate;
    let stages: Vec<Stage> = stages
        .into_iter()
        .map(|stage| {
            rate = stage.to_rate.unwrap_or(rate);
            Stage {
                to_rate: rate,
                over: stage.over,
            }
        })
        .collect();
    if rate == 0.0 {
        return last.wrong(
            "the last stage ends at a rate of zero, so the remaining devices would never come",
            "its rate goes on until every device has come; let it end above zero".to_string(),
        );
    }
    Some(Arrival::RampingRate { start_rate, stages })
}

const EXAMPLE: &str = "like { to = \"500/s\", over = \"2m\" } or { hold = \"5m\" }";

fn stage(value: &Value<'_>) -> Option<WrittenStage> {
    let mut table = value.table()?;
    let stage = match (table.take("to"), table.take("over"), table.take("hold")) {
        (Some(to), Some(over), None) => {
            let (to_rate, over) = (quantity::rate(&to), quantity::duration(&over));
            Some(WrittenStage {
                to_rate: Some(to_rate?),
                over: over?,
            })
        }
        (None, None, Some(hold)) => quantity::duration(&hold).map(|over| WrittenStage {
            to_rate: None,
            over,
        }),
        _ => value.wrong(
            "a stage has either `to` and `over`, or `hold`",
            EXAMPLE.to_string(),
        ),
    };
    table.finish();
    stage
}
