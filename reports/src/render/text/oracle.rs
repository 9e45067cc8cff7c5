//! Outcome against intent, and both ends' counters.

use std::io::{self, Write};

use crate::foremost::foremost;
use crate::oracle::{Oracle, OracleRow};
use crate::render::style::{DIM, MAX_LINES, RED, Style};
use crate::summary::Summary;
use crate::units::{count, duration};

/// Writes the section.
pub(super) fn render(summary: &Summary, style: Style, out: &mut dyn Write) -> io::Result<()> {
    if let Some(oracle) = &summary.oracle {
        intents(oracle, style, out)?;
    }
    counters(summary, style, out)
}

fn intents(oracle: &Oracle, style: Style, out: &mut dyn Write) -> io::Result<()> {
    let rows = foremost(&oracle.cohorts, MAX_LINES, |row| row.weight());
    let width = |title: &str, text: fn(&OracleRow) -> &str| {
        let texts = rows.iter().map(|row| text(row)).chain([title]);
        texts.map(|text| text.chars().count()).max().unwrap_or(0)
    };
    let names = width("cohort", |row| &row.cohort);
    let intents = width("intended", |row| &row.intended);
    let head = format!(
        "  oracle     {:<names$}  {:<intents$}  as intended  fell short  either way  contradictions  not started",
        "cohort", "intended"
    );
    writeln!(out, "{}", style.paint(DIM, &head))?;
    for row in &rows {
        let contradictions = format!("{:>14}", count(row.contradictions));
        let contradictions = match row.contradictions {
            0 => contradictions,
            _ => style.paint(RED, &contradictions),
        };
        writeln!(
            out,
            "             {:<names$}  {:<intents$}  {:>11}  {:>10}  {:>10}  {contradictions}  {:>11}",
            row.cohort,
            row.intended,
            count(row.as_intended),
            count(row.fell_short),
            count(row.either_way),
            count(row.not_started)
        )?;
    }
    let more = oracle.cohorts.len() as u64 - rows.len() as u64 + oracle.left_out;
    if more > 0 {
        let more = format!("… {} more cohorts", count(more));
        writeln!(out, "             {}", style.paint(DIM, &more))?;
    }
    for example in &oracle.examples {
        let text = format!(
            "{} at {}: {}; intended was: {}",
            example.device,
            duration(example.at_us),
            example.came,
            example.intended
        );
        writeln!(out, "             {} {text}", style.paint(RED, "✗"))?;
    }
    let told = oracle.examples.len() as u64;
    if oracle.contradictions > told {
        let more = count(oracle.contradictions - told);
        writeln!(out, "             … and {more} more")?;
    }
    if oracle.unrecorded > 0 {
        let lost = count(oracle.unrecorded);
        let text = format!("{lost} devices were released and never heard of again");
        writeln!(out, "             {}", style.paint(RED, &text))?;
    }
    Ok(())
}

fn counters(summary: &Summary, style: Style, out: &mut dyn Write) -> io::Result<()> {
    let Some(counters) = &summary.server_counters else {
        return Ok(());
    };
    let differing: Vec<_> = counters.rows.iter().filter(|row| !row.agrees).collect();
    if differing.is_empty() {
        let all = count((counters.rows.len() as u64).saturating_add(counters.left_out));
        let equal = counters.rows.iter().all(|row| row.server == row.simulator);
        let found = if counters.rows.iter().any(|row| row.uncounted > 0) {
            "fit the devices' (it was killed: its last counts before are lost)"
        } else if equal {
            "equal the devices'"
        } else if counters.rows.iter().any(|row| row.displaced > 0) {
            "fit the devices' (some were displaced by their doubles)"
        } else {
            "fit the devices' (answers got lost)"
        };
        return writeln!(out, "  server     all {all} of its own counters {found}");
    }
    let hidden = differing.len().saturating_sub(MAX_LINES);
    for row in differing.into_iter().take(MAX_LINES) {
        let text = format!(
            "{}: server {}, devices {}",
            row.name,
            count(row.server),
            count(row.simulator)
        );
        writeln!(out, "  server     {}", style.paint(RED, &text))?;
    }
    if hidden > 0 {
        writeln!(
            out,
            "             … {} more that differ",
            count(hidden as u64)
        )?;
    }
    Ok(())
}
