//! The summary as Markdown, for the page of a pull request or of a step in CI.

use std::io::{self, Write};

use super::style::MAX_LINES;
use crate::check::{Check, CheckOutcome};
use crate::exact::Rounding;
use crate::phase::Metric;
use crate::summary::Summary;
use crate::units::{count, duration, or_dash, percentage, rate};
use crate::verdict::Verdict;

/// Writes it.
///
/// # Errors
/// The writer's.
pub fn render(summary: &Summary, out: &mut dyn Write) -> io::Result<()> {
    let (mark, word) = match summary.verdict {
        Verdict::Pass => ("✅", "PASS"),
        Verdict::Fail => ("❌", "FAIL"),
        Verdict::Invalid => ("⚠️", "INVALID"),
    };
    writeln!(out, "## {mark} {}: {word}\n", escaped(&summary.scenario))?;
    let devices = summary.devices;
    writeln!(
        out,
        "{} of {} devices provisioned in {}, {} failed, {} dropped; {} provisioned; seed {}; {}; on {}\n",
        count(devices.provisioned),
        count(devices.planned),
        duration(summary.duration_us),
        count(devices.failed),
        count(devices.dropped),
        or_dash(summary.rates.provisioned_per_second, rate),
        summary.seed,
        escaped(&summary.target),
        escaped(&summary.machine.to_string())
    )?;
    for reason in &summary.invalid_reasons {
        writeln!(out, "> {}\n", escaped(reason))?;
    }
    checks(&summary.checks(), out)?;
    latencies(summary, out)?;
    outcomes(summary, out)?;
    out.flush()
}

/// Those that are not as they must be come first.
fn checks(checks: &[Check], out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "| | check | measured |\n|---|---|---|")?;
    for outcome in [
        CheckOutcome::Failed,
        CheckOutcome::Unproven,
        CheckOutcome::Passed,
    ] {
        let alike = checks.iter().filter(|check| check.outcome == outcome);
        for (index, check) in alike.clone().enumerate() {
            if index == MAX_LINES {
                let more = count((alike.count() - MAX_LINES) as u64);
                writeln!(out, "| {} | … {more} more | |", mark(outcome))?;
                break;
            }
            let wanted = if check.wanted == check.name {
                format!("`{}`", check.name.replace(['`', '|', '\n'], " "))
            } else {
                format!("{}: {}", escaped(&check.name), escaped(&check.wanted))
            };
            let measured = escaped(&check.measured);
            writeln!(out, "| {} | {wanted} | {measured} |", mark(outcome))?;
        }
    }
    writeln!(out)
}

fn mark(outcome: CheckOutcome) -> &'static str {
    match outcome {
        CheckOutcome::Passed => "✅",
        CheckOutcome::Failed => "❌",
        CheckOutcome::Unproven => "⚠️",
    }
}

/// Percentiles of those that got so far, never without the share of those that did not.
fn latencies(summary: &Summary, out: &mut dyn Write) -> io::Result<()> {
    writeln!(
        out,
        "| latency | count | not reached | p50 | p90 | p99 | p99.9 | max |\n|---|--:|--:|--:|--:|--:|--:|--:|"
    )?;
    for metric in Metric::all() {
        let percentiles = summary.percentiles(metric);
        let not_reached = summary.not_reached(metric);
        if percentiles.is_none() && not_reached == 0 {
            continue;
        }
        let reached = percentiles.map_or(0, |it| it.count);
        writeln!(
            out,
            "| {} | {} | {} | {} | {} | {} | {} | {} |",
            metric.name(),
            count(reached),
            percentage(not_reached, reached + not_reached, 2, Rounding::Up),
            or_dash(percentiles.map(|it| it.p50_us), duration),
            or_dash(percentiles.map(|it| it.p90_us), duration),
            or_dash(percentiles.map(|it| it.p99_us), duration),
            or_dash(percentiles.map(|it| it.p999_us), duration),
            or_dash(percentiles.map(|it| it.max_us), duration),
        )?;
    }
    writeln!(out)
}

fn outcomes(summary: &Summary, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "| devices | ended |\n|--:|---|")?;
    for outcome in summary.outcomes.iter().take(MAX_LINES) {
        writeln!(
            out,
            "| {} | {} |",
            count(outcome.count),
            escaped(&outcome.text)
        )?;
    }
    if summary.outcomes.len() > MAX_LINES {
        let more = count((summary.outcomes.len() - MAX_LINES) as u64);
        writeln!(out, "| | … {more} more ways |")?;
    }
    Ok(())
}

/// Text as it is, in a cell of a table or a line: neither markup nor a mention.
pub(super) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => escaped += "<br>",
            '&' => escaped += "&amp;",
            '<' => escaped += "&lt;",
            '>' => escaped += "&gt;",
            // Would call somebody, or an issue.
            '@' => escaped += "&#64;",
            '#' => escaped += "&#35;",
            '\\' | '`' | '*' | '_' | '~' | '|' | '[' | ']' | '!' => escaped.extend(['\\', c]),
            c if c.is_control() => escaped.push(' '),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregator::fixture;

    fn rendered(summary: &Summary) -> String {
        let mut text = Vec::new();
        render(summary, &mut text).expect("memory");
        String::from_utf8(text).expect("UTF-8")
    }

    #[test]
    fn the_page_looks_like_this() {
        insta::assert_snapshot!(rendered(&fixture::summary()));
    }

    #[test]
    fn what_a_peer_says_stays_in_its_cell() {
        let mut summary = fixture::summary();
        summary.outcomes[0].text = "a|b\n<img src=x> @all [x](y) \u{1b}[0m".into();
        let text = rendered(&summary);
        let cell = "a\\|b<br>&lt;img src=x&gt; &#64;all \\[x\\](y)  \\[0m |\n";
        assert!(text.contains(cell), "{text}");
    }

    #[test]
    fn a_table_of_many_checks_is_cut_and_says_so() {
        let mut summary = fixture::summary();
        let threshold = summary.thresholds[1].clone();
        summary.thresholds.resize(100, threshold);
        let text = rendered(&summary);
        let lines = text.lines().filter(|line| line.starts_with("| ✅")).count();
        assert_eq!(lines, MAX_LINES + 1, "{text}");
    }
}
