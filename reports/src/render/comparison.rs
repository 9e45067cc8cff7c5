//! Runs beside a baseline: on a console, as Markdown, as JSON.

use std::io::{self, Write};

use super::style::{BOLD, DIM, GREEN, RED, Style, YELLOW};
use crate::comparison::change::{Change, ChangeOutcome};
use crate::comparison::unit::FigureUnit;
use crate::comparison::verdict::ComparisonVerdict;
use crate::comparison::{Candidate, Comparison};
use crate::exact::Rounding;
use crate::units::{count, counted, duration, or_dash, percentage_of, rate};

pub mod markdown;

/// Most changes of phases and parts that are told of one candidate; JSON has the others.
const MAX_CHANGES: usize = 40;

/// Writes it as JSON; its schema is `reports/comparison.schema.json`.
///
/// # Errors
/// The writer's.
pub fn json(comparison: &Comparison, out: &mut dyn Write) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, comparison)?;
    out.write_all(b"\n")?;
    out.flush()
}

/// Writes it for a console.
///
/// # Errors
/// The writer's.
pub fn text(comparison: &Comparison, style: Style, out: &mut dyn Write) -> io::Result<()> {
    let baselines = names(comparison);
    for candidate in &comparison.candidates {
        let title = style.paint(BOLD, &candidate.run.name);
        writeln!(out, "\n  {title} beside {baselines}\n")?;
        let shown = shown(candidate);
        let widths = shown.iter().map(|change| what(change).chars().count());
        let width = widths.max().unwrap_or(0).max("figure".len());
        if !shown.is_empty() {
            let head = format!(
                "    {:<width$}{:>12}{:>12}{:>11}   {}",
                "figure", "baseline", "candidate", "change", "between"
            );
            writeln!(out, "{}", style.paint(DIM, &head))?;
        }
        for change in shown {
            let (mark, colour) = match change.outcome {
                ChangeOutcome::Worse => ("✗", RED),
                ChangeOutcome::Better => ("✓", GREEN),
                ChangeOutcome::Same => ("=", DIM),
                ChangeOutcome::Unclear => ("?", DIM),
                ChangeOutcome::DependsOnGenerator => ("?", YELLOW),
            };
            writeln!(
                out,
                "  {} {:<width$}{:>12}{:>12}{:>11}   {}",
                style.paint(colour, mark),
                what(change),
                value(change.unit, change.baseline),
                value(change.unit, change.candidate),
                part(change),
                between(change),
            )?;
        }
        writeln!(out)?;
        for line in told(candidate) {
            writeln!(out, "  {line}")?;
        }
        for reason in &candidate.not_comparable {
            writeln!(out, "  {} {reason}", style.paint(YELLOW, "!"))?;
        }
        let colour = match candidate.verdict {
            ComparisonVerdict::Better | ComparisonVerdict::Same => GREEN,
            ComparisonVerdict::Unclear | ComparisonVerdict::NotComparable => YELLOW,
            ComparisonVerdict::Worse => RED,
        };
        writeln!(
            out,
            "  {} (exit code {})",
            style.paint(colour, &candidate.verdict.name().to_uppercase()),
            candidate.verdict.exit_code()
        )?;
    }
    writeln!(out, "\n  {}\n", style.paint(DIM, &rule(comparison)))?;
    out.flush()
}

fn names(comparison: &Comparison) -> String {
    let names = comparison.baselines.iter().map(|run| run.name.as_str());
    names.collect::<Vec<_>>().join(", ")
}

fn is_of_run(change: &Change) -> bool {
    change.dimension == "run"
}

/// What is told of a candidate: of the run everything, of its phases and parts what changed; what matters most first.
fn shown(candidate: &Candidate) -> Vec<&Change> {
    let changed =
        |change: &Change| matches!(change.outcome, ChangeOutcome::Worse | ChangeOutcome::Better);
    let of_run = candidate.changes.iter().filter(|change| is_of_run(change));
    let parts = candidate.changes.iter();
    let parts = parts.filter(|change| !is_of_run(change) && changed(change));
    let mut parts: Vec<_> = parts.collect();
    parts.sort_by_key(|change| change.outcome);
    of_run.chain(parts.into_iter().take(MAX_CHANGES)).collect()
}

/// What else there is to know of a candidate.
fn told(candidate: &Candidate) -> Vec<String> {
    let with = |outcome| {
        let changes = candidate.changes.iter();
        changes.filter(move |change| change.outcome == outcome)
    };
    let all = candidate.changes.len() as u64;
    let unclear = with(ChangeOutcome::Unclear).count() as u64;
    let mut lines = vec![format!(
        "of {}: {} worse, {} better, {} the same, {} depend on the generator, {} unclear",
        counted(all, "figure"),
        count(with(ChangeOutcome::Worse).count() as u64),
        count(with(ChangeOutcome::Better).count() as u64),
        count(with(ChangeOutcome::Same).count() as u64),
        count(with(ChangeOutcome::DependsOnGenerator).count() as u64),
        count(unclear)
    )];
    let depends = with(ChangeOutcome::DependsOnGenerator);
    if let Some(change) = depends.max_by_key(|change| (is_of_run(change), change.generator_us)) {
        lines.push(format!(
            "{} depends on the generator: it added up to {} at that percentile itself; give it more cores, or lower the rate",
            what(change),
            or_dash(change.generator_us, duration)
        ));
    }
    let needy = with(ChangeOutcome::Unclear).filter_map(|change| {
        let has = change.samples.0.min(change.samples.1);
        Some((change.needs_samples?, has, change))
    });
    let most = needy.max_by_key(|(needs, _, change)| (is_of_run(change), *needs));
    if let Some((needs, has, change)) = most {
        lines.push(format!(
            "too few devices to tell: {} takes {} samples at least, and there are {}",
            what(change),
            count(needs),
            count(has)
        ));
    }
    lines.extend(candidate.remarks.iter().cloned());
    lines
}

fn rule(comparison: &Comparison) -> String {
    format!(
        "what counts: changes of more than {} and more than the generator itself added; intervals hold together at {}",
        percentage_of(comparison.tolerance, 2, Rounding::Up),
        percentage_of(comparison.confidence, 2, Rounding::Down)
    )
}

fn what(change: &Change) -> String {
    let (dimension, part, figure) = (&change.dimension, &change.part, &change.figure);
    match (dimension.as_str(), part.as_str()) {
        ("run" | "phase", _) => figure.clone(),
        _ => format!("{dimension} {part}: {figure}"),
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "whole microseconds, never below zero"
)]
fn value(unit: FigureUnit, value: f64) -> String {
    match unit {
        FigureUnit::Microseconds => duration(value as u64),
        FigureUnit::Share => percentage_of(value, 2, Rounding::Up),
        FigureUnit::PerSecond => rate(value),
    }
}

fn part(change: &Change) -> String {
    match change.change {
        Some(part) => signed(part),
        None if change.candidate > 0.0 => "new".into(),
        None => signed(0.0),
    }
}

fn between(change: &Change) -> String {
    let end = |end: Option<f64>| end.map_or_else(|| "?".into(), signed);
    format!("{} to {}", end(change.at_least), end(change.at_most))
}

/// Like `+5.2 %`.
fn signed(part: f64) -> String {
    match part * 100.0 {
        much if much.abs() >= 1_000.0 => format!("{much:+.0} %"),
        little if little.abs() < 0.05 => "0.0 %".into(),
        percent => format!("{percent:+.1} %"),
    }
}

#[cfg(test)]
mod tests;
