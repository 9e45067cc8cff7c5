//! The course of a run: a bounded number of stretches of time, whatever the run's length.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::histogram::{LatencyHistogram, Precision};
use crate::record::Record;

/// Most stretches; where more are needed, neighbours merge and all get twice as long.
pub(crate) const MAX_POINTS: usize = 512;
/// What one takes beside its histogram.
pub(crate) const POINT_BYTES: usize = 2 * size_of::<Point>();

/// A stretch of the run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TimelinePoint {
    /// Where the stretch starts, seconds since the start.
    pub at_s: u64,
    /// How long it is, seconds.
    pub span_s: u64,
    /// Releases that the plan asked for: exactly, of devices that come at their time; of those that take turns, as
    /// seen at the end.
    pub target: f64,
    /// Devices released.
    pub released: u64,
    /// Devices provisioned.
    pub provisioned: u64,
    /// Devices that ended otherwise.
    pub failed: u64,
    /// Devices under way at its end.
    pub in_flight: u64,
    /// Devices that went back to DPS and ended.
    pub reprovisions: u64,
    /// Devices that stayed with their hubs at its end; null where nobody looked then.
    pub held: Option<u64>,
    /// Median provisioning response time of those that were provisioned in it; null where nobody was.
    pub p50_us: Option<u64>,
    /// 99th percentile of the same.
    pub p99_us: Option<u64>,
    /// The most that the generator itself added to one of the devices that ended in it; null where nobody did.
    pub added_max_us: Option<u64>,
}

/// Counts by stretches of time.
#[derive(Debug)]
pub struct Timeline {
    span_s: u64,
    points: Vec<Point>,
    due: u64,
}

#[derive(Debug, Default)]
struct Point {
    target: u64,
    released: u64,
    provisioned: u64,
    failed: u64,
    reprovisions: u64,
    held: Option<u64>,
    response: Option<LatencyHistogram>,
    added_max_us: Option<u64>,
}

impl Default for Timeline {
    fn default() -> Self {
        Self {
            span_s: 1,
            points: Vec::new(),
            due: 0,
        }
    }
}

impl Timeline {
    /// Counts one device.
    pub fn add(&mut self, record: &Record) {
        self.point(record.start_us / 1_000_000).released += 1;
        let end = self.point(record.end_us / 1_000_000);
        end.added_max_us = end.added_max_us.max(Some(record.added_us.into()));
        if let Some(at) = record.provisioned_us() {
            end.provisioned += 1;
            let response = end
                .response
                .get_or_insert_with(|| LatencyHistogram::new(Precision::Coarse));
            response.record(at.saturating_sub(record.intended_start_us));
        } else {
            end.failed += 1;
        }
    }

    /// Hears that `due` devices were due by the end of `second`.
    pub fn due(&mut self, second: u64, due: u64) {
        let more = due.saturating_sub(self.due);
        self.due = self.due.max(due);
        self.point(second).target += more;
    }

    /// Counts one device that went back to DPS.
    pub fn add_reprovision(&mut self, record: &Record) {
        self.point(record.end_us / 1_000_000).reprovisions += 1;
    }

    /// Hears that `held` devices stayed with their hubs at the end of `second`.
    pub fn held(&mut self, second: u64, held: u64) {
        self.point(second).held = Some(held);
    }

    /// The stretches so far.
    pub fn points(&self) -> Vec<TimelinePoint> {
        let mut in_flight = 0_u64;
        let points = (0..).zip(&self.points).map(|(index, point)| {
            in_flight =
                (in_flight + point.released).saturating_sub(point.provisioned + point.failed);
            let response = point.response.as_ref();
            let response = response.and_then(LatencyHistogram::percentiles);
            #[expect(clippy::cast_precision_loss, reason = "a count of devices")]
            let target = point.target as f64;
            TimelinePoint {
                at_s: index * self.span_s,
                span_s: self.span_s,
                target,
                released: point.released,
                provisioned: point.provisioned,
                failed: point.failed,
                in_flight,
                reprovisions: point.reprovisions,
                held: point.held,
                p50_us: response.map(|response| response.p50_us),
                p99_us: response.map(|response| response.p99_us),
                added_max_us: point.added_max_us,
            }
        });
        points.collect()
    }

    fn point(&mut self, second: u64) -> &mut Point {
        while second / self.span_s >= MAX_POINTS as u64 {
            self.halve();
        }
        let index = usize::try_from(second / self.span_s).unwrap_or(MAX_POINTS - 1);
        if index >= self.points.len() {
            self.points.resize_with(index + 1, Point::default);
        }
        &mut self.points[index]
    }

    fn halve(&mut self) {
        self.span_s *= 2;
        let mut old = std::mem::take(&mut self.points).into_iter();
        while let Some(mut first) = old.next() {
            if let Some(second) = old.next() {
                first.merge(second);
            }
            self.points.push(first);
        }
    }
}

impl Point {
    fn merge(&mut self, other: Self) {
        self.target += other.target;
        self.released += other.released;
        self.provisioned += other.provisioned;
        self.failed += other.failed;
        self.reprovisions += other.reprovisions;
        self.held = other.held.or(self.held);
        self.added_max_us = self.added_max_us.max(other.added_max_us);
        match (&mut self.response, other.response) {
            (Some(response), Some(more)) => response.add(&more),
            (response @ None, more) => *response = more,
            (Some(_), None) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::sample;

    #[test]
    fn a_day_long_run_keeps_every_device_in_a_bounded_number_of_stretches() {
        let mut timeline = Timeline::default();
        for second in (0..86_400_u64).step_by(60) {
            let mut record = sample();
            record.start_us = second * 1_000_000;
            record.end_us = record.start_us + 5_000;
            timeline.add(&record);
            timeline.due(second, second / 60 + 1);
        }
        let points = timeline.points();
        assert!(points.len() <= MAX_POINTS);
        assert_eq!(points[0].span_s, 256);
        assert_eq!(
            points.iter().map(|point| point.provisioned).sum::<u64>(),
            1440
        );
        assert_eq!(points.iter().map(|point| point.target).sum::<f64>(), 1440.0);
        assert_eq!(points.last().map(|point| point.in_flight), Some(0));
    }

    #[test]
    fn a_second_in_which_nobody_is_provisioned_has_no_percentiles() {
        let mut timeline = Timeline::default();
        for end_us in [500_000, 2_500_000] {
            timeline.add(&Record { end_us, ..sample() });
        }
        timeline.add(&Record {
            end_us: 1_500_000,
            outcome: crate::outcome::Outcome::Disabled,
            ..sample()
        });
        let points = timeline.points();
        let medians: Vec<_> = points.iter().map(|point| point.p50_us).collect();
        assert_eq!(medians, [Some(500_000), None, Some(2_500_000)]);
        assert!(points.iter().all(|point| point.p50_us == point.p99_us));
    }

    #[test]
    fn a_device_is_in_flight_between_its_start_and_its_end() {
        let mut timeline = Timeline::default();
        let mut record = sample();
        (record.start_us, record.end_us) = (500_000, 2_500_000);
        timeline.add(&record);
        let in_flight: Vec<_> = timeline
            .points()
            .iter()
            .map(|point| point.in_flight)
            .collect();
        assert_eq!(in_flight, [1, 1, 0]);
    }
}
