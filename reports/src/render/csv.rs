//! The series of a run as CSV: a row an interval of `summary.json`'s `timeline`, a column a count of it or a percentile
//! of a metric, nothing where nothing was measured.

use std::io::{self, Write};

use csv::Writer;

use crate::phase::Metric;
use crate::series::{IntervalLatency, TimelinePoint};
use crate::summary::Summary;

/// Writes it.
///
/// # Errors
/// The writer's.
pub fn render(summary: &Summary, out: &mut dyn Write) -> io::Result<()> {
    let mut rows = Writer::from_writer(out);
    let columns: Vec<_> = COUNTS.iter().map(|(name, _)| (*name).to_owned()).collect();
    let metrics = Metric::all().flat_map(|metric| {
        PERCENTILES.map(|(name, _)| format!("{}_{name}_us", metric.name().replace(['.', '-'], "_")))
    });
    rows.write_record(columns.into_iter().chain(metrics))?;
    for point in &summary.timeline {
        let counts = COUNTS.iter().map(|(_, count)| count(point));
        let latencies = Metric::all().flat_map(|metric| {
            let latency = point.latency.get(metric.name());
            PERCENTILES.map(|(_, percentile)| text(latency.map(percentile)))
        });
        rows.write_record(counts.chain(latencies))?;
    }
    rows.flush()
}

/// A column's name, and what stands in it.
type Column<Of, Value> = (&'static str, fn(&Of) -> Value);

/// Columns of an interval itself.
const COUNTS: [Column<TimelinePoint, String>; 17] = [
    ("at_s", |point| point.at_s.to_string()),
    ("span_s", |point| point.span_s.to_string()),
    ("target", |point| point.target.to_string()),
    ("released", |point| point.released.to_string()),
    ("dropped", |point| point.dropped.to_string()),
    ("registered", |point| point.registered.to_string()),
    ("provisioned", |point| point.provisioned.to_string()),
    ("failed", |point| point.failed.to_string()),
    ("in_flight", |point| point.in_flight.to_string()),
    ("throttled", |point| point.throttled.to_string()),
    ("retries", |point| point.retries.to_string()),
    ("lost_connections", |point| {
        point.lost_connections.to_string()
    }),
    ("messages", |point| point.messages.to_string()),
    ("reprovisions", |point| point.reprovisions.to_string()),
    ("held", |point| text(point.held)),
    ("added_max_us", |point| text(point.added_max_us)),
    ("started_p99_us", |point| {
        text(point.started.map(|started| started.p99_us))
    }),
];

/// Columns of each metric.
const PERCENTILES: [Column<IntervalLatency, u64>; 4] = [
    ("p50", |latency| latency.p50_us),
    ("p90", |latency| latency.p90_us),
    ("p99", |latency| latency.p99_us),
    ("max", |latency| latency.max_us),
];

fn text(value: Option<u64>) -> String {
    value.map_or(String::new(), |value| value.to_string())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::aggregator::fixture;

    #[test]
    fn the_rows_read_back() {
        let mut summary = fixture::summary();
        summary.timeline[1].latency.clear();
        let mut text = Vec::new();
        render(&summary, &mut text).expect("memory");
        let mut reader = csv::Reader::from_reader(text.as_slice());
        let rows: Vec<BTreeMap<String, String>> = reader
            .deserialize()
            .collect::<Result<_, _>>()
            .expect("rows by the names of their columns");
        assert_eq!(rows.len(), summary.timeline.len());
        for (row, point) in rows.iter().zip(&summary.timeline) {
            assert_eq!(row["released"], point.released.to_string());
            let p99 = point.latency.get("provisioning.response");
            let told = p99.map_or(String::new(), |it| it.p99_us.to_string());
            assert_eq!(row["provisioning_response_p99_us"], told);
        }
        insta::assert_snapshot!(String::from_utf8(text).expect("UTF-8"));
    }
}
