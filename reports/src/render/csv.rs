//! The course of the run as CSV: a row a stretch of time, a column a field of `summary.json`'s `timeline`, nothing
//! where nothing was measured.

use std::io::{self, Write};

use csv::Writer;

use crate::summary::Summary;

/// Writes it.
///
/// # Errors
/// The writer's.
pub fn render(summary: &Summary, out: &mut dyn Write) -> io::Result<()> {
    let mut rows = Writer::from_writer(out);
    for point in &summary.timeline {
        rows.serialize(point).map_err(io::Error::from)?;
    }
    rows.flush()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregator::fixture;
    use crate::timeline::TimelinePoint;

    #[test]
    fn the_rows_read_back() {
        let mut summary = fixture::summary();
        summary.timeline[1].p50_us = None;
        let mut text = Vec::new();
        render(&summary, &mut text).expect("memory");
        let mut reader = csv::Reader::from_reader(text.as_slice());
        let rows: Vec<TimelinePoint> = reader
            .deserialize()
            .collect::<Result<_, _>>()
            .expect("rows of the timeline");
        assert_eq!(rows, summary.timeline);
        insta::assert_snapshot!(String::from_utf8(text).expect("UTF-8"));
    }
}
