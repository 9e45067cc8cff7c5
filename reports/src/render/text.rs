//! The summary on a console.

use std::io::{self, Write};

use super::style::{BOLD, DIM, GREEN, MAX_LINES, RED, Style, YELLOW};
use crate::exact::Rounding;
use crate::foremost::foremost;
use crate::latency::Percentiles;
use crate::phase::Metric;
use crate::slo::SloOutcome;
use crate::summary::Summary;
use crate::threshold::result::{ThresholdOutcome, ThresholdResult};
use crate::units::{
    bytes, count, duration, factor, good_share, or_dash, percentage, percentage_of, rate,
};
use crate::verdict::Verdict;

mod cuts;
mod generator;
mod oracle;

/// Writes it.
///
/// # Errors
/// The writer's.
pub fn render(summary: &Summary, style: Style, out: &mut dyn Write) -> io::Result<()> {
    let title = style.paint(BOLD, &summary.scenario);
    let (seed, times) = (summary.seed, summary.time_scale);
    let pace = match times {
        1.0 => String::new(),
        _ => format!(" · time × {times}"),
    };
    writeln!(
        out,
        "\n  {title} · seed {seed}{pace} · {}\n",
        summary.target
    )?;
    devices(summary, out)?;
    events(summary, style, out)?;
    latencies(summary, style, out)?;
    generator::render(summary, out)?;
    outcomes(summary, style, out)?;
    cuts::render(summary, style, out)?;
    oracle::render(summary, style, out)?;
    resources(summary, out)?;
    thresholds(summary, style, out)?;
    objectives(summary, style, out)?;
    verdict(summary, style, out)?;
    out.flush()
}

fn devices(summary: &Summary, out: &mut dyn Write) -> io::Result<()> {
    let devices = summary.devices;
    write!(
        out,
        "  devices    {} planned, {} released, ",
        count(devices.planned),
        count(devices.released)
    )?;
    if devices.dropped > 0 {
        write!(out, "{} dropped, ", count(devices.dropped))?;
    }
    writeln!(
        out,
        "{} registered, {} provisioned, {} failed",
        count(devices.registered),
        count(devices.provisioned),
        count(devices.failed)
    )?;
    let attempts = summary.attempts;
    if !attempts.is_uneventful() {
        let ended = devices.provisioned + devices.failed;
        writeln!(
            out,
            "  attempts   {:.2} a device, at most {}; {} tried again, {} throttled ({} answers of 429), {} connections lost",
            attempts.mean(ended).unwrap_or(1.0),
            count(attempts.most),
            count(attempts.retried),
            count(attempts.throttled),
            count(attempts.throttled_answers),
            count(attempts.lost_connections)
        )?;
    }
    let held = summary.held;
    if held.any() {
        writeln!(
            out,
            "  held       {} at most, {} dropped, {} reconnected, {} gave up; {} messages, {} desired changes, {} methods",
            count(held.most),
            count(held.dropped),
            count(held.reconnected),
            count(held.given_up),
            count(held.messages),
            count(held.desired),
            count(held.methods)
        )?;
    }
    if held.rebooted > 0 {
        writeln!(out, "             {} rebooted", count(held.rebooted))?;
    }
    let reprovisions = &summary.reprovisions;
    if reprovisions.registrations > 0 {
        let response = reprovisions.provisioning.response;
        writeln!(
            out,
            "  reprovision  {} went back to DPS, {} provisioned, {} failed; p50 {}, p99 {}, max {}",
            count(reprovisions.registrations),
            count(reprovisions.provisioned),
            count(reprovisions.failed),
            or_dash(response.map(|it| it.p50_us), duration),
            or_dash(response.map(|it| it.p99_us), duration),
            or_dash(response.map(|it| it.max_us), duration)
        )?;
        for failure in &reprovisions.failures {
            writeln!(
                out,
                "             {} {}",
                count(failure.count),
                failure.text
            )?;
        }
        let placements = foremost(&reprovisions.placements, MAX_LINES, |(_, devices)| {
            **devices
        });
        for (placement, devices) in &placements {
            writeln!(out, "             {} {placement}", count(**devices))?;
        }
        let told: u64 = placements.iter().map(|(_, devices)| **devices).sum();
        let elsewhere = reprovisions.placed() - told;
        if elsewhere > 0 {
            let elsewhere = count(elsewhere);
            writeln!(out, "             … and {elsewhere} from or to elsewhere")?;
        }
    }
    if held.turned_away > 0 {
        let turned_away = count(held.turned_away);
        writeln!(
            out,
            "             {turned_away} left at once: max-held stayed already"
        )?;
    }
    let rates = summary.rates;
    // Devices that take turns come by no plan, nor do those that come all at once.
    let planned = rates.planned_per_second;
    let planned = planned.map_or(String::new(), |planned| {
        format!("planned {}, ", rate(planned))
    });
    writeln!(
        out,
        "  rate       {} provisioned over {} ({planned}released {})\n",
        or_dash(rates.provisioned_per_second, rate),
        duration(summary.duration_us),
        or_dash(rates.released_per_second, rate)
    )
}

fn events(summary: &Summary, style: Style, out: &mut dyn Write) -> io::Result<()> {
    if summary.events.is_empty() {
        return Ok(());
    }
    writeln!(out, "{}", style.paint(DIM, "  events"))?;
    for event in &summary.events {
        write!(out, "  {:>10}  {}", duration(event.at_us), event.what)?;
        match &event.problem {
            Some(problem) => {
                let problem = format!("failed: {problem}");
                writeln!(out, "  {}", style.paint(RED, &problem))?;
            }
            None => writeln!(out)?,
        }
    }
    writeln!(out)
}

/// Percentiles of those that got so far, never without the share of those that did not.
fn latencies(summary: &Summary, style: Style, out: &mut dyn Write) -> io::Result<()> {
    let head = format!(
        "  {:<23}{:>10}{:>13}{:>10}{:>10}{:>10}{:>10}{:>10}{:>10}{:>10}",
        "latency", "count", "not reached", "p50", "p90", "p95", "p99", "p99.9", "p99.99", "max"
    );
    writeln!(out, "{}", style.paint(DIM, &head))?;
    for metric in Metric::all() {
        let name = match metric {
            Metric::Phase(phase) => format!("  {}", phase.name()),
            Metric::Generator => "generator added".into(),
            total => total.name().replace('.', " "),
        };
        let percentiles = summary.percentiles(metric);
        let not_reached = summary.not_reached(metric);
        if percentiles.is_none() && not_reached == 0 {
            continue;
        }
        let reached = percentiles.map_or(0, |it| it.count);
        write!(
            out,
            "  {name:<23}{:>10}{:>13}",
            count(reached),
            percentage(not_reached, reached + not_reached, 2, Rounding::Up)
        )?;
        let figures: [fn(&Percentiles) -> u64; 7] = [
            |it| it.p50_us,
            |it| it.p90_us,
            |it| it.p95_us,
            |it| it.p99_us,
            |it| it.p999_us,
            |it| it.p9999_us,
            |it| it.max_us,
        ];
        for figure in figures {
            let figure = percentiles.as_ref().map(figure);
            write!(out, "{:>10}", or_dash(figure, duration))?;
        }
        writeln!(out)?;
    }
    writeln!(out)
}

fn outcomes(summary: &Summary, style: Style, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "{}", style.paint(DIM, "  outcomes"))?;
    for outcome in &summary.outcomes {
        let colour = if outcome.outcome.is_provisioned() {
            GREEN
        } else {
            RED
        };
        writeln!(
            out,
            "  {:>10}  {}",
            count(outcome.count),
            style.paint(colour, &outcome.text)
        )?;
        if let Some(example) = &outcome.example {
            writeln!(out, "              {}", style.paint(DIM, example))?;
        }
    }
    writeln!(out)
}

fn resources(summary: &Summary, out: &mut dyn Write) -> io::Result<()> {
    let simulator = summary.resources.simulator;
    write!(
        out,
        "  resources  simulator {:.2} s CPU, {} at most",
        simulator.cpu_seconds,
        bytes(simulator.peak_rss_bytes)
    )?;
    if let Some(server) = summary.resources.server {
        write!(
            out,
            "; server {:.2} s CPU, {} at most",
            server.cpu_seconds,
            bytes(server.peak_rss_bytes)
        )?;
    }
    writeln!(out, "\n             on {}\n", summary.machine)
}

fn thresholds(summary: &Summary, style: Style, out: &mut dyn Write) -> io::Result<()> {
    let widths = summary.thresholds.iter();
    let widths = widths.map(|threshold| threshold.expression.chars().count() + 2);
    let width = widths.fold(44, usize::max);
    for threshold in &summary.thresholds {
        let (mark, colour) = match threshold.outcome {
            ThresholdOutcome::Held => ("✓", GREEN),
            ThresholdOutcome::Crossed => ("✗", RED),
            ThresholdOutcome::NotEnoughSamples | ThresholdOutcome::DependsOnGenerator => {
                ("?", YELLOW)
            }
        };
        let mark = style.paint(colour, mark);
        writeln!(
            out,
            "  {mark} {:<width$}{}",
            threshold.expression, threshold.observed
        )?;
        if let Some(without) = told_apart(threshold) {
            writeln!(out, "      {without} without what the generator added")?;
        }
        if let Some(at_us) = threshold.stopped_the_run_us {
            let text = format!("it stopped the run at {}", duration(at_us));
            writeln!(out, "      {}", style.paint(RED, &text))?;
        }
    }
    if summary.thresholds.is_empty() {
        return Ok(());
    }
    writeln!(out)
}

/// What a threshold is without what the generator added, where that makes the difference.
fn told_apart(threshold: &ThresholdResult) -> Option<&str> {
    let depends = threshold.outcome == ThresholdOutcome::DependsOnGenerator;
    let without = threshold.without_generator.as_ref()?;
    depends.then_some(without.observed.as_str())
}

fn objectives(summary: &Summary, style: Style, out: &mut dyn Write) -> io::Result<()> {
    for slo in &summary.slos {
        let (mark, colour) = match slo.outcome {
            SloOutcome::Met => ("✓", GREEN),
            SloOutcome::Missed => ("✗", RED),
            SloOutcome::NotEnoughEvidence | SloOutcome::DependsOnGenerator => ("?", YELLOW),
        };
        let mark = style.paint(colour, mark);
        writeln!(
            out,
            "  {mark} slo {}: {}: {}",
            slo.name,
            slo.objective,
            slo.outcome.name()
        )?;
        let (low, high) = slo.between;
        writeln!(
            out,
            "      {} of {} ({}), so it is from {} to {}, each at {}",
            count(slo.good),
            count(slo.total),
            match slo.total {
                0 => "–".into(),
                total => good_share(slo.good, total),
            },
            percentage_of(low, 4, Rounding::Down),
            percentage_of(high, 4, Rounding::Up),
            percentage_of(slo.confidence, 4, Rounding::Down)
        )?;
        if slo.outcome == SloOutcome::NotEnoughEvidence {
            let needed = count(slo.least_needed);
            writeln!(
                out,
                "      to be met it takes {needed} devices of which none fails, more if some do"
            )?;
        }
        write!(
            out,
            "      error budget left {}, burn rate {}",
            percentage_of(slo.budget_left, 4, Rounding::Down),
            factor(slo.burn_rate, 1.0, 2)
        )?;
        match slo.lasts_s {
            Some(lasts) => writeln!(
                out,
                ": at that rate {} last {}",
                seconds(slo.window_s as f64),
                seconds(lasts)
            )?,
            None => writeln!(out)?,
        }
        for alert in &slo.alerts {
            let windows = format!("{} and {} s", alert.long_s, alert.short_s);
            let highest = factor(alert.highest, alert.from, 1);
            let called = alert.at_s.map_or_else(
                || format!("no alert, at most {highest}"),
                |at| style.paint(RED, &format!("alert at {at} s, {highest}")),
            );
            writeln!(out, "      burn over {windows}: {called} of {}", alert.from)?;
        }
    }
    if summary.slos.is_empty() {
        return Ok(());
    }
    writeln!(out)
}

/// Like `30 days`, `7.5 h`, `45 s`.
fn seconds(s: f64) -> String {
    match s {
        days if days >= 172_800.0 => format!("{:.1} days", days / 86_400.0),
        hours if hours >= 7_200.0 => format!("{:.1} h", hours / 3_600.0),
        minutes if minutes >= 120.0 => format!("{:.1} min", minutes / 60.0),
        short => format!("{short:.1} s"),
    }
}

fn verdict(summary: &Summary, style: Style, out: &mut dyn Write) -> io::Result<()> {
    let (word, colour) = match summary.verdict {
        Verdict::Pass => ("PASS", GREEN),
        Verdict::Fail => ("FAIL", RED),
        Verdict::Invalid => ("INVALID", YELLOW),
    };
    for reason in &summary.invalid_reasons {
        writeln!(out, "  {} {reason}", style.paint(YELLOW, "!"))?;
    }
    writeln!(
        out,
        "  {} (exit code {})\n",
        style.paint(colour, word),
        summary.exit_code
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregator::fixture;

    #[test]
    fn the_console_summary_looks_like_this() {
        let mut text = Vec::new();
        render(&fixture::summary(), Style::Plain, &mut text).expect("memory");
        insta::assert_snapshot!(String::from_utf8(text).expect("UTF-8"));
    }
}
