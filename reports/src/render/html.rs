//! `report.html`: one self-contained file with plots.

use std::io::{self, Write};

use minijinja::value::Serde;
use minijinja::{Environment, context};
use serde::Serialize;

use crate::phase::{Metric, Phase};
use crate::summary::{Percentiles, Summary};
use crate::units;
use plot::{Line, Scale, number, whole};

mod plot;

const TEMPLATE: &str = include_str!("html/report.html");

/// Writes it.
///
/// # Errors
/// The writer's.
pub fn render(summary: &Summary, out: &mut dyn Write) -> io::Result<()> {
    let mut page = Environment::new();
    page.add_filter("duration", units::duration);
    page.add_filter("count", units::count);
    page.add_filter("bytes", units::bytes);
    page.add_filter("rate", units::rate);
    page.add_filter("percent", crate::slo::percent);
    page.add_template("report.html", TEMPLATE)
        .map_err(io::Error::other)?;
    let template = page.get_template("report.html").map_err(io::Error::other)?;
    let filled = template.render(context! {
        summary => Serde(summary),
        latencies => Serde(latencies(summary)),
        rate_plot => rate_plot(summary),
        latency_plot => latency_plot(summary),
        percentile_plot => percentile_plot(summary),
        in_flight_plot => in_flight_plot(summary),
        held_plot => held_plot(summary),
        histograms => Serde(histograms(summary)),
        cells => Serde(cells(summary)),
    });
    out.write_all(filled.map_err(io::Error::other)?.as_bytes())?;
    out.flush()
}

/// One row of the table of latencies.
#[derive(Serialize)]
struct Row {
    name: String,
    phase: bool,
    percentiles: Percentiles,
}

fn latencies(summary: &Summary) -> Vec<Row> {
    let rows = Metric::all().map(|metric| Row {
        name: metric.name().replace('.', " "),
        phase: matches!(metric, Metric::Phase(_)),
        percentiles: summary.percentiles(metric),
    });
    rows.filter(|row| row.percentiles.count > 0).collect()
}

fn seconds(at: f64) -> String {
    units::duration(whole(at * 1e6))
}

/// The course of the run as lines; a stretch's value stands at its start.
fn over_time(
    title: &str,
    summary: &Summary,
    (y, y_name): (Scale, &dyn Fn(f64) -> String),
    lines: &[(&str, &dyn Fn(usize) -> f64)],
) -> String {
    let end = summary
        .timeline
        .last()
        .map_or(1, |point| point.at_s + point.span_s);
    let drawn: Vec<_> = lines
        .iter()
        .map(|(name, value)| Line {
            name,
            points: (0..)
                .zip(&summary.timeline)
                .map(|(index, point)| (number(point.at_s), value(index)))
                .collect(),
        })
        .collect();
    plot::lines(
        title,
        (Scale::linear(number(end)), &seconds),
        (y, y_name),
        &drawn,
    )
}

fn rate_plot(summary: &Summary) -> String {
    let points = &summary.timeline;
    let a_second = |index: usize, devices: f64| devices / number(points[index].span_s);
    let target = |index: usize| a_second(index, points[index].target);
    let released = |index: usize| a_second(index, number(points[index].released));
    let provisioned = |index: usize| a_second(index, number(points[index].provisioned));
    let failed = |index: usize| a_second(index, number(points[index].failed));
    let all: [(&str, &dyn Fn(usize) -> f64); 4] = [
        ("target", &target),
        ("released", &released),
        ("provisioned", &provisioned),
        ("failed", &failed),
    ];
    let greatest = all
        .iter()
        .flat_map(|(_, value)| (0..points.len()).map(value))
        .fold(0.0, f64::max);
    over_time(
        "Devices a second",
        summary,
        (Scale::linear(greatest), &units::rate),
        &all,
    )
}

/// Where devices stay.
fn held_plot(summary: &Summary) -> Option<String> {
    let points = &summary.timeline;
    if !summary.life.is_lived() {
        return None;
    }
    let held = |index: usize| number(points[index].held);
    let again = |index: usize| number(points[index].again) / number(points[index].span_s);
    let all: [(&str, &dyn Fn(usize) -> f64); 2] = [("provisioned", &held), ("p99", &again)];
    let greatest = all
        .iter()
        .flat_map(|(_, value)| (0..points.len()).map(value))
        .fold(0.0, f64::max);
    let devices = |value: f64| units::count(whole(value));
    Some(over_time(
        "Devices that stay with their hubs",
        summary,
        (Scale::linear(greatest), &devices),
        &all,
    ))
}

fn latency_plot(summary: &Summary) -> String {
    let points = &summary.timeline;
    let p50 = |index: usize| number(points[index].p50_us);
    let p99 = |index: usize| number(points[index].p99_us);
    let values = (0..points.len()).flat_map(|index| [p50(index), p99(index)]);
    let time = |us: f64| units::duration(whole(us));
    over_time(
        "Provisioning response time",
        summary,
        (Scale::log(values), &time),
        &[("p50", &p50), ("p99", &p99)],
    )
}

fn in_flight_plot(summary: &Summary) -> String {
    let points = &summary.timeline;
    let in_flight = |index: usize| number(points[index].in_flight);
    let greatest = (0..points.len()).map(in_flight).fold(0.0, f64::max);
    let count = |devices: f64| units::count(whole(devices));
    over_time(
        "Devices under way",
        summary,
        (Scale::linear(greatest), &count),
        &[("in-flight", &in_flight)],
    )
}

/// Response beside service time, by percentile: the gap is what waiting for a start cost.
fn percentile_plot(summary: &Summary) -> String {
    let curve = |percentiles: Percentiles| {
        let Percentiles {
            p50_us,
            p90_us,
            p99_us,
            p999_us,
            max_us,
            ..
        } = percentiles;
        [
            (2.0, p50_us),
            (10.0, p90_us),
            (100.0, p99_us),
            (1e3, p999_us),
            (1e4, max_us),
        ]
        .map(|(at, us)| (at, number(us)))
    };
    let lines = [
        Line {
            name: "response",
            points: curve(summary.provisioning.response).to_vec(),
        },
        Line {
            name: "service",
            points: curve(summary.provisioning.service).to_vec(),
        },
    ];
    let values = lines
        .iter()
        .flat_map(|line| line.points.iter().map(|(_, us)| *us));
    let y = Scale::log(values);
    let name = |at: f64| match at {
        1.0 => "0 %".into(),
        1e4 => "max".into(),
        at => format!("{} %", (1.0 - 1.0 / at) * 100.0),
    };
    plot::lines(
        "Percentiles",
        (Scale::Log { min: 1.0, max: 1e4 }, &name),
        (y, &|us| units::duration(whole(us))),
        &lines,
    )
}

/// A metric's distribution.
#[derive(Serialize)]
struct Distribution {
    name: String,
    percentiles: Percentiles,
    svg: String,
}

/// The two ends a user feels, then every phase.
fn histograms(summary: &Summary) -> Vec<Distribution> {
    let ends = [Metric::RegistrationResponse, Metric::ProvisioningResponse];
    let phases = Phase::ALL.into_iter().map(Metric::Phase);
    let drawn = ends.into_iter().chain(phases).filter_map(|metric| {
        let name = metric.name();
        let svg = plot::histogram(name, summary.histograms.get(name)?);
        Some(Distribution {
            name: name.replace('.', " "),
            percentiles: summary.percentiles(metric),
            svg,
        })
    });
    drawn.collect()
}

/// Provisioning response times of each attestation over each transport.
fn cells(summary: &Summary) -> Vec<Distribution> {
    let cells = summary.cuts.iter().filter(|cut| cut.dimension == "cell");
    let drawn = cells.filter(|cell| !cell.histogram.is_empty());
    drawn
        .map(|cell| Distribution {
            name: cell.name.clone(),
            percentiles: cell.provisioning.response,
            svg: plot::histogram(&cell.name, &cell.histogram),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregator::fixture;

    fn page(summary: &Summary) -> String {
        let mut text = Vec::new();
        render(summary, &mut text).expect("memory");
        String::from_utf8(text).expect("UTF-8")
    }

    #[test]
    fn the_page_needs_nothing_from_elsewhere() {
        let page = page(&fixture::summary());
        assert!(page.contains("<svg"));
        for word in ["<script src", "<link", "@import", "url("] {
            assert!(!page.contains(word), "{word}");
        }
    }

    #[test]
    fn names_from_a_scenario_are_text() {
        let mut summary = fixture::summary();
        summary.scenario = "<script>alert(1)</script>".into();
        assert!(!page(&summary).contains("<script>alert"));
    }

    #[test]
    fn the_page_looks_like_this() {
        insta::assert_snapshot!(page(&fixture::summary()));
    }

    #[test]
    fn a_run_without_devices_still_has_a_page() {
        let mut summary = fixture::summary();
        summary.timeline.clear();
        summary.histograms.clear();
        summary.provisioning = crate::summary::Latency::default();
        assert!(page(&summary).contains("</html>"));
    }
}
