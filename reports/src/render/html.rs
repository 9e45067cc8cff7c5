//! `report.html`: one self-contained file with plots.

use std::io::{self, Write};

use minijinja::value::Serde;
use minijinja::{Environment, context};
use serde::Serialize;

use crate::exact::Rounding;
use crate::latency::Percentiles;
use crate::phase::{Metric, Phase};
use crate::series::TimelinePoint;
use crate::summary::Summary;
use crate::units;
use plot::{Line, Mark, Scale, number, whole};

mod plot;

const TEMPLATE: &str = include_str!("html/report.html");

/// Writes it.
///
/// # Errors
/// The writer's.
pub fn render(summary: &Summary, out: &mut dyn Write) -> io::Result<()> {
    let mut page = Environment::new();
    page.add_filter("duration", |us: Option<u64>| {
        units::or_dash(us, units::duration)
    });
    page.add_filter("count", units::count);
    page.add_filter("bytes", units::bytes);
    page.add_filter("rate", |a_second: Option<f64>| {
        units::or_dash(a_second, units::rate)
    });
    page.add_filter("percent_down", |share: f64| {
        units::percentage_of(share, 4, Rounding::Down)
    });
    page.add_filter("percent_up", |share: f64| {
        units::percentage_of(share, 4, Rounding::Up)
    });
    page.add_filter("factor", units::factor);
    page.add_function("good_share", units::good_share);
    page.add_function("bad_share", units::bad_share);
    page.add_template("report.html", TEMPLATE)
        .map_err(io::Error::other)?;
    let template = page.get_template("report.html").map_err(io::Error::other)?;
    let filled = template.render(context! {
        summary => Serde(summary),
        machine => summary.machine.to_string(),
        latencies => Serde(latencies(summary)),
        rate_plot => rate_plot(summary),
        latency_plot => latency_plot(summary),
        percentile_plot => percentile_plot(summary),
        heat_plot => heat_plot(summary),
        trouble_plot => trouble_plot(summary),
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
    reached: u64,
    not_reached: u64,
    percentiles: Option<Percentiles>,
}

fn latencies(summary: &Summary) -> Vec<Row> {
    let rows = Metric::all().map(|metric| {
        let percentiles = summary.percentiles(metric);
        Row {
            name: metric.name().replace('.', " "),
            phase: matches!(metric, Metric::Phase(_)),
            reached: percentiles.map_or(0, |it| it.count),
            not_reached: summary.not_reached(metric),
            percentiles,
        }
    });
    rows.filter(|row| row.reached + row.not_reached > 0)
        .collect()
}

fn seconds(at: f64) -> String {
    units::duration(whole(at * 1e6))
}

/// A value of a stretch, where there is one.
type ValueOf<'v> = &'v dyn Fn(&TimelinePoint) -> Option<f64>;

/// All of the run: the same for every plot over time.
fn time_axis(summary: &Summary) -> Scale {
    let last = summary.timeline.last();
    Scale::linear(number(last.map_or(1, |point| point.at_s + point.span_s)))
}

/// The events of the run.
fn marks(summary: &Summary) -> Vec<Mark> {
    let events = summary.events.iter().map(|event| Mark {
        at: number(event.at_us) / 1e6,
        what: format!("{} at {}", event.what, units::duration(event.at_us)),
        is_failed: event.problem.is_some(),
    });
    events.collect()
}

/// The course of the run as lines; a stretch's value stands at its start.
fn over_time(
    title: &str,
    summary: &Summary,
    (y, y_name): (Scale, &dyn Fn(f64) -> String),
    lines: &[(&str, ValueOf<'_>)],
) -> String {
    let drawn: Vec<_> = lines
        .iter()
        .map(|(name, value)| Line {
            name,
            points: summary
                .timeline
                .iter()
                .map(|point| (number(point.at_s), value(point)))
                .collect(),
        })
        .collect();
    plot::lines(
        title,
        (time_axis(summary), &seconds),
        (y, y_name),
        &drawn,
        &marks(summary),
    )
}

/// All values that lines show.
fn values<'v>(summary: &'v Summary, lines: &'v [(&str, ValueOf<'v>)]) -> impl Iterator<Item = f64> {
    let values = lines.iter().map(|(_, value)| value);
    values.flat_map(|value| summary.timeline.iter().filter_map(value))
}

fn rate_plot(summary: &Summary) -> String {
    let a_second = |point: &TimelinePoint, devices: f64| Some(devices / number(point.span_s));
    let target = |point: &TimelinePoint| a_second(point, point.target);
    let released = |point: &TimelinePoint| a_second(point, number(point.released));
    let provisioned = |point: &TimelinePoint| a_second(point, number(point.provisioned));
    let failed = |point: &TimelinePoint| a_second(point, number(point.failed));
    let lines: [(&str, ValueOf<'_>); 4] = [
        ("target", &target),
        ("released", &released),
        ("provisioned", &provisioned),
        ("failed", &failed),
    ];
    let greatest = values(summary, &lines).fold(0.0, f64::max);
    over_time(
        "Devices a second",
        summary,
        (Scale::linear(greatest), &units::rate),
        &lines,
    )
}

/// Where devices stay.
fn held_plot(summary: &Summary) -> Option<String> {
    if !summary.held.any() {
        return None;
    }
    let held = |point: &TimelinePoint| point.held.map(number);
    let reprovisions =
        |point: &TimelinePoint| Some(number(point.reprovisions) / number(point.span_s));
    let lines: [(&str, ValueOf<'_>); 2] = [("provisioned", &held), ("p99", &reprovisions)];
    let greatest = values(summary, &lines).fold(0.0, f64::max);
    let devices = |value: f64| units::count(whole(value));
    Some(over_time(
        "Devices that stay with their hubs",
        summary,
        (Scale::linear(greatest), &devices),
        &lines,
    ))
}

fn latency_plot(summary: &Summary) -> String {
    let p50 = |point: &TimelinePoint| point.p50_us.map(number);
    let p99 = |point: &TimelinePoint| point.p99_us.map(number);
    let lines: [(&str, ValueOf<'_>); 2] = [("p50", &p50), ("p99", &p99)];
    let time = |us: f64| units::duration(whole(us));
    over_time(
        "Provisioning response time",
        summary,
        (Scale::log(values(summary, &lines)), &time),
        &lines,
    )
}

/// How many took how long, in each interval.
fn heat_plot(summary: &Summary) -> Option<String> {
    let map = summary.heat_map.as_ref()?;
    Some(plot::heat(
        "Provisioning response times over the run",
        (time_axis(summary), &seconds),
        map,
        &summary.timeline,
        &marks(summary),
    ))
}

/// What kept devices from being served at once, when it happened.
fn trouble_plot(summary: &Summary) -> Option<String> {
    let a_second = |point: &TimelinePoint, count: u64| Some(number(count) / number(point.span_s));
    let throttled = |point: &TimelinePoint| a_second(point, point.throttled);
    let lost = |point: &TimelinePoint| a_second(point, point.lost_connections);
    let retries = |point: &TimelinePoint| a_second(point, point.retries);
    let dropped = |point: &TimelinePoint| a_second(point, point.dropped);
    let lines: [(&str, ValueOf<'_>); 4] = [
        ("p99", &throttled),
        ("failed", &lost),
        ("released", &retries),
        ("target", &dropped),
    ];
    let greatest = values(summary, &lines).fold(0.0, f64::max);
    (greatest > 0.0).then(|| {
        over_time(
            "Trouble, a second",
            summary,
            (Scale::linear(greatest), &units::rate),
            &lines,
        )
    })
}

fn in_flight_plot(summary: &Summary) -> String {
    let in_flight = |point: &TimelinePoint| Some(number(point.in_flight));
    let lines: [(&str, ValueOf<'_>); 1] = [("in-flight", &in_flight)];
    let greatest = values(summary, &lines).fold(0.0, f64::max);
    let count = |devices: f64| units::count(whole(devices));
    over_time(
        "Devices under way",
        summary,
        (Scale::linear(greatest), &count),
        &lines,
    )
}

/// Response beside service time, by percentile: the gap is what waiting for a start cost.
fn percentile_plot(summary: &Summary) -> String {
    let curve = |percentiles: Percentiles| {
        let Percentiles {
            p50_us,
            p75_us,
            p90_us,
            p95_us,
            p99_us,
            p999_us,
            p9999_us,
            max_us,
            ..
        } = percentiles;
        [
            (2.0, p50_us),
            (4.0, p75_us),
            (10.0, p90_us),
            (20.0, p95_us),
            (100.0, p99_us),
            (1e3, p999_us),
            (1e4, p9999_us),
            (1e5, max_us),
        ]
        .map(|(at, us)| (at, Some(number(us))))
    };
    let line = |name, percentiles: Option<Percentiles>| Line {
        name,
        points: percentiles.map_or(Vec::new(), |percentiles| curve(percentiles).to_vec()),
    };
    let lines = [
        line("response", summary.provisioning.response),
        line("service", summary.provisioning.service),
    ];
    let values = lines
        .iter()
        .flat_map(|line| line.points.iter().filter_map(|(_, us)| *us));
    let y = Scale::log(values);
    let name = |at: f64| match at {
        1.0 => "0 %".into(),
        1e5 => "max".into(),
        at => format!("{} %", (1.0 - 1.0 / at) * 100.0),
    };
    plot::lines(
        "Percentiles",
        (Scale::Log { min: 1.0, max: 1e5 }, &name),
        (y, &|us| units::duration(whole(us))),
        &lines,
        &[],
    )
}

/// A metric's distribution.
#[derive(Serialize)]
struct Distribution {
    name: String,
    not_reached: u64,
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
            not_reached: summary.not_reached(metric),
            percentiles: summary.percentiles(metric)?,
            svg,
        })
    });
    drawn.collect()
}

/// Provisioning response times of each attestation over each transport.
fn cells(summary: &Summary) -> Vec<Distribution> {
    let cells = summary.cuts.iter().filter(|cut| cut.dimension == "cell");
    let drawn = cells.filter_map(|cell| {
        Some(Distribution {
            name: cell.name.clone(),
            not_reached: cell.failed + cell.dropped,
            percentiles: cell.provisioning.response?,
            svg: plot::histogram(&cell.name, &cell.histogram),
        })
    });
    drawn.collect()
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
        summary.provisioning = crate::latency::Latency::default();
        assert!(page(&summary).contains("</html>"));
    }
}
