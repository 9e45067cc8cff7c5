//! Runs beside a baseline as Markdown, for the page of a pull request or of a step in CI.

use std::io::{self, Write};

use super::{between, names, part, rule, shown, told, value, what};
use crate::comparison::Comparison;
use crate::comparison::change::ChangeOutcome;
use crate::comparison::verdict::ComparisonVerdict;
use crate::render::markdown::escaped;

/// Writes it.
///
/// # Errors
/// The writer's.
pub fn render(comparison: &Comparison, out: &mut dyn Write) -> io::Result<()> {
    let baselines = escaped(&names(comparison));
    for candidate in &comparison.candidates {
        let mark = match candidate.verdict {
            ComparisonVerdict::Better | ComparisonVerdict::Same => "✅",
            ComparisonVerdict::Unclear | ComparisonVerdict::NotComparable => "⚠️",
            ComparisonVerdict::Worse => "❌",
        };
        writeln!(
            out,
            "## {mark} {}: {} beside {baselines}\n",
            escaped(&candidate.run.name),
            candidate.verdict.name()
        )?;
        for reason in &candidate.not_comparable {
            writeln!(out, "> {}\n", escaped(reason))?;
        }
        writeln!(
            out,
            "| | figure | baseline | candidate | change | between |\n|---|---|--:|--:|--:|--:|"
        )?;
        for change in shown(candidate) {
            let mark = match change.outcome {
                ChangeOutcome::Worse => "❌ worse",
                ChangeOutcome::Better => "✅ better",
                ChangeOutcome::Same => "the same",
                ChangeOutcome::DependsOnGenerator => "⚠️ depends on the generator",
                ChangeOutcome::Unclear => "unclear",
            };
            writeln!(
                out,
                "| {mark} | {} | {} | {} | {} | {} |",
                escaped(&what(change)),
                value(change.unit, change.baseline),
                value(change.unit, change.candidate),
                part(change),
                between(change)
            )?;
        }
        writeln!(out)?;
        for line in told(candidate) {
            writeln!(out, "- {}", escaped(&line))?;
        }
        writeln!(out)?;
    }
    writeln!(out, "_{}_", rule(comparison))?;
    out.flush()
}
