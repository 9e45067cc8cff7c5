//! HdrHistogram's interval log: the response times of each interval of the run, registration and provisioning by their
//! tags, as HistogramLogProcessor and its kin read it. Values are microseconds; times are from the start of the run on,
//! which the head has.

use std::io::{self, Write};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::{
    IntervalLogWriterBuilder, IntervalLogWriterError, Tag,
};

use crate::summary::Summary;

/// Writes it.
///
/// # Errors
/// The writer's; the summary holds something else than distributions.
pub fn render(summary: &Summary, mut out: &mut dyn Write) -> io::Result<()> {
    let mut builder = IntervalLogWriterBuilder::new();
    if let Some(started_at) = started_at(summary) {
        builder
            .with_start_time(started_at)
            .with_base_time(started_at);
    }
    let mut serializer = V2DeflateSerializer::new();
    let mut log = builder.begin_log_with(&mut out, &mut serializer)?;
    for point in &summary.timeline {
        let (from, span) = (
            Duration::from_secs(point.at_s),
            Duration::from_secs(point.span_s),
        );
        for (metric, distribution) in &point.distributions {
            let counted = distribution.decode().map_err(invalid)?;
            log.write_histogram(&counted, from, span, Tag::new(metric))
                .map_err(|error| match error {
                    IntervalLogWriterError::IoError(error) => error,
                    IntervalLogWriterError::SerializeError(error) => invalid(error),
                })?;
        }
    }
    out.flush()
}

fn started_at(summary: &Summary) -> Option<SystemTime> {
    let started_at: jiff::Timestamp = summary.started_at.parse().ok()?;
    let ms = u64::try_from(started_at.as_millisecond()).ok()?;
    UNIX_EPOCH.checked_add(Duration::from_millis(ms))
}

fn invalid(error: impl std::error::Error + Send + Sync + 'static) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

#[cfg(test)]
mod tests {
    use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};

    use super::*;
    use crate::aggregator::fixture;

    #[test]
    fn the_log_has_the_distributions_of_each_interval() {
        let summary = fixture::summary();
        let mut text = Vec::new();
        render(&summary, &mut text).expect("memory");
        let entries = IntervalLogIterator::new(&text).map(|entry| entry.expect("an entry"));
        let mut found = Vec::new();
        for entry in entries {
            match entry {
                LogEntry::StartTime(at) | LogEntry::BaseTime(at) => {
                    assert_eq!(at, Duration::from_secs(1_795_514_400));
                }
                LogEntry::Interval(interval) => found.push((
                    interval.start_timestamp().as_secs(),
                    interval.tag().expect("a tag").as_str().to_owned(),
                    interval.encoded_histogram().to_owned(),
                )),
            }
        }
        let told = summary.timeline.iter().flat_map(|point| {
            let distributions = point.distributions.iter();
            distributions
                .map(|(metric, whole)| (point.at_s, metric.clone(), whole.text().to_owned()))
        });
        assert_eq!(found, told.collect::<Vec<_>>());
        assert_eq!(found.len(), 4);
    }
}
