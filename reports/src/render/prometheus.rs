//! The result in Prometheus's text format, for a Pushgateway or the textfile collector of its node exporter: gauges, for
//! a run is over when it is told.

use std::io::{self, Write};

use crate::check::CheckOutcome;
use crate::latency::Percentiles;
use crate::phase::Metric;
use crate::summary::Summary;
use crate::verdict::Verdict;

/// Writes it.
///
/// # Errors
/// The writer's.
pub fn render(summary: &Summary, out: &mut dyn Write) -> io::Result<()> {
    let mut page = Page {
        scenario: &summary.scenario,
        out,
    };
    run(summary, &mut page)?;
    devices(summary, &mut page)?;
    latencies(summary, &mut page)?;
    judgements(summary, &mut page)?;
    page.out.flush()
}

fn run(summary: &Summary, page: &mut Page<'_>) -> io::Result<()> {
    page.family("run_info", "What the run was.")?;
    let machine = summary.machine.to_string();
    let seed = summary.seed.to_string();
    let labels = [
        ("target", summary.target.as_str()),
        ("seed", &seed),
        ("version", &summary.fleetstorm_version),
        ("started_at", &summary.started_at),
        ("machine", &machine),
    ];
    page.sample("run_info", &labels, 1.0)?;
    page.family("run_verdict", "1 of the verdict that the run has.")?;
    for (name, verdict) in [
        ("pass", Verdict::Pass),
        ("fail", Verdict::Fail),
        ("invalid", Verdict::Invalid),
    ] {
        let is_it = f64::from(u8::from(summary.verdict == verdict));
        page.sample("run_verdict", &[("verdict", name)], is_it)?;
    }
    page.family("run_exit_code", "The verdict as an exit code.")?;
    page.sample("run_exit_code", &[], summary.exit_code.into())?;
    page.family("run_duration_seconds", "To the last device's end.")?;
    page.sample("run_duration_seconds", &[], seconds(summary.duration_us))
}

fn devices(summary: &Summary, page: &mut Page<'_>) -> io::Result<()> {
    let devices = summary.devices;
    page.family("devices", "Devices by how far they came.")?;
    for (state, count) in [
        ("planned", devices.planned),
        ("released", devices.released),
        ("dropped", devices.dropped),
        ("registered", devices.registered),
        ("provisioned", devices.provisioned),
        ("failed", devices.failed),
    ] {
        page.sample("devices", &[("state", state)], number(count))?;
    }
    page.family("outcome_devices", "Devices by how they ended.")?;
    for outcome in &summary.outcomes {
        let labels = [("outcome", outcome.text.as_str())];
        page.sample("outcome_devices", &labels, number(outcome.count))?;
    }
    page.family("part_devices", "Devices of a part by how far they came.")?;
    for cut in &summary.cuts {
        for (state, count) in [
            ("released", cut.released),
            ("dropped", cut.dropped),
            ("provisioned", cut.provisioned),
            ("failed", cut.failed),
        ] {
            let labels = [
                ("dimension", cut.dimension.as_str()),
                ("part", &cut.name),
                ("state", state),
            ];
            page.sample("part_devices", &labels, number(count))?;
        }
    }
    let attempts = summary.attempts;
    page.family(
        "attempts",
        "Attempts of all devices, and what came of them.",
    )?;
    for (kind, count) in [
        ("all", attempts.total),
        ("throttled", attempts.throttled_answers),
        ("lost_connection", attempts.lost_connections),
    ] {
        page.sample("attempts", &[("kind", kind)], number(count))?;
    }
    Ok(())
}

/// Where a percentile stands.
type Percentile = fn(&Percentiles) -> u64;

const QUANTILES: [(&str, Percentile); 8] = [
    ("0", |it| it.min_us),
    ("0.5", |it| it.p50_us),
    ("0.75", |it| it.p75_us),
    ("0.9", |it| it.p90_us),
    ("0.95", |it| it.p95_us),
    ("0.99", |it| it.p99_us),
    ("0.999", |it| it.p999_us),
    ("1", |it| it.max_us),
];

fn latencies(summary: &Summary, page: &mut Page<'_>) -> io::Result<()> {
    let with_samples =
        || Metric::all().filter_map(|metric| Some((metric, summary.percentiles(metric)?)));
    page.family("latency_seconds", "Latencies of devices that got so far.")?;
    for (metric, percentiles) in with_samples() {
        for (quantile, us) in QUANTILES {
            let labels = [("metric", metric.name()), ("quantile", quantile)];
            page.sample("latency_seconds", &labels, seconds(us(&percentiles)))?;
        }
    }
    page.family("latency_samples", "Devices that got so far.")?;
    for (metric, percentiles) in with_samples() {
        let labels = [("metric", metric.name())];
        page.sample("latency_samples", &labels, number(percentiles.count))?;
    }
    page.family(
        "not_reached_devices",
        "Devices that were due to get so far and did not.",
    )?;
    for (metric, _) in with_samples() {
        let labels = [("metric", metric.name())];
        page.sample(
            "not_reached_devices",
            &labels,
            number(summary.not_reached(metric)),
        )?;
    }
    Ok(())
}

fn judgements(summary: &Summary, page: &mut Page<'_>) -> io::Result<()> {
    page.family("check_passed", "1 where what had to be so is so.")?;
    for check in summary.checks() {
        let labels = [("kind", check.kind.name()), ("check", &check.name)];
        let passed = f64::from(u8::from(check.outcome == CheckOutcome::Passed));
        page.sample("check_passed", &labels, passed)?;
    }
    page.family(
        "slo_error_budget_left",
        "Share of the error budget that is left.",
    )?;
    for slo in &summary.slos {
        page.sample(
            "slo_error_budget_left",
            &[("slo", &slo.name)],
            slo.budget_left,
        )?;
    }
    page.family(
        "slo_burn_rate",
        "How many times faster than allowed the budget went.",
    )?;
    for slo in &summary.slos {
        page.sample("slo_burn_rate", &[("slo", &slo.name)], slo.burn_rate)?;
    }
    Ok(())
}

struct Page<'a> {
    scenario: &'a str,
    out: &'a mut dyn Write,
}

impl Page<'_> {
    fn family(&mut self, name: &str, help: &str) -> io::Result<()> {
        writeln!(self.out, "# HELP fleetstorm_{name} {help}")?;
        writeln!(self.out, "# TYPE fleetstorm_{name} gauge")
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: f64) -> io::Result<()> {
        let scenario = escaped(self.scenario);
        write!(self.out, "fleetstorm_{name}{{scenario=\"{scenario}\"")?;
        for (label, text) in labels {
            write!(self.out, ",{label}=\"{}\"", escaped(text))?;
        }
        writeln!(self.out, "}} {value}")
    }
}

/// As the format has it, within quotes.
fn escaped(text: &str) -> String {
    let text = text.replace('\\', "\\\\");
    text.replace('"', "\\\"").replace('\n', "\\n")
}

fn seconds(us: u64) -> f64 {
    number(us) / 1e6
}

#[expect(clippy::cast_precision_loss, reason = "counts and microseconds")]
fn number(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use prometheus_parse::{Scrape, Value};

    use super::*;
    use crate::aggregator::fixture;

    #[test]
    fn the_page_is_read_by_another_parser() {
        let mut summary = fixture::summary();
        summary.outcomes[1].text = "a \"b\\\n, 7".into();
        // This parser, but not the format, ends labels with the first brace.
        let thresholds = &mut summary.thresholds;
        thresholds.retain(|threshold| !threshold.expression.contains('}'));
        let mut page = Vec::new();
        render(&summary, &mut page).expect("memory");
        let text = String::from_utf8(page).expect("UTF-8");
        let lines = text.lines().map(|line| Ok(line.to_owned()));
        let scrape = Scrape::parse(lines).expect("a page");
        let samples = text.lines().filter(|line| !line.starts_with('#')).count();
        assert_eq!(scrape.samples.len(), samples);
        let value = |name: &str, labels: &[(&str, &str)]| {
            let has = |sample: &&prometheus_parse::Sample| {
                let mut labels = labels.iter();
                sample.metric == name
                    && labels.all(|(label, text)| sample.labels.get(label) == Some(text))
            };
            let sample = scrape.samples.iter().find(has).expect("a sample");
            match sample.value {
                Value::Gauge(value) => value,
                _ => panic!("{sample:?}"),
            }
        };
        let scenario = ("scenario", "nightly");
        assert_eq!(
            value("fleetstorm_devices", &[scenario, ("state", "provisioned")]),
            3.0
        );
        let p99 = [("metric", "provisioning.response"), ("quantile", "0.99")];
        assert_eq!(value("fleetstorm_latency_seconds", &p99), 0.005);
        let check = [("kind", "run"), ("check", "generator")];
        assert_eq!(value("fleetstorm_check_passed", &check), 1.0);
        assert_eq!(value("fleetstorm_run_verdict", &[("verdict", "fail")]), 1.0);
    }
}
