//! What happened in one interval.

use std::collections::BTreeMap;

use super::point::{IntervalLatency, IntervalView, TimelinePoint};
use super::totals::AttemptsSoFar;
use crate::distribution::Distribution;
use crate::histogram::{LatencyHistogram, Precision};
use crate::phase::Metric;
use crate::record::Record;

/// What one takes at most.
pub(super) const MOST_BYTES: usize =
    size_of::<Interval>() + (Metric::COUNT + 2) * LatencyHistogram::most_bytes(Precision::Coarse);

/// A histogram that exists once it has a sample.
type Latencies = Option<Box<LatencyHistogram>>;

/// Counts and latencies of one interval.
#[derive(Debug, Default)]
pub(super) struct Interval {
    pub(super) due: u64,
    pub(super) released: u64,
    pub(super) dropped: u64,
    pub(super) registered: u64,
    pub(super) provisioned: u64,
    /// Devices that ended otherwise, by the kind of their outcome.
    failed: BTreeMap<&'static str, u64>,
    pub(super) reprovisions: u64,
    pub(super) held: Option<u64>,
    pub(super) attempts: AttemptsSoFar,
    added_max_us: Option<u64>,
    /// By metric, of devices that ended in it.
    ended: [Latencies; Metric::COUNT],
    /// Provisioning response of devices that started in it.
    started: Latencies,
    /// Provisioning response of devices that went back to DPS and ended in it.
    reprovisioned: Latencies,
}

impl Interval {
    /// Counts the start of a device.
    pub(super) fn start(&mut self, record: &Record) {
        self.released += 1;
        if let Some(us) = record.sample(Metric::ProvisioningResponse) {
            count(&mut self.started, us);
        }
    }

    /// Counts the end of a device.
    pub(super) fn end(&mut self, record: &Record) {
        self.added_max_us = self.added_max_us.max(Some(record.added_us.into()));
        match record.provisioned_us() {
            Some(_) => self.provisioned += 1,
            None => *self.failed.entry(record.outcome.kind()).or_default() += 1,
        }
        for metric in Metric::all() {
            if let Some(us) = record.sample(metric) {
                count(&mut self.ended[metric.index()], us);
            }
        }
    }

    /// Counts a device that went back to DPS.
    pub(super) fn reprovision(&mut self, record: &Record) {
        self.reprovisions += 1;
        if let Some(us) = record.sample(Metric::ProvisioningResponse) {
            count(&mut self.reprovisioned, us);
        }
    }

    /// Devices that ended in it.
    pub(super) fn ended(&self) -> u64 {
        self.provisioned + self.failed()
    }

    fn failed(&self) -> u64 {
        self.failed.values().sum()
    }

    /// Provisioning response of those that ended in it.
    pub(super) fn responses(&self) -> Option<&LatencyHistogram> {
        self.ended[Metric::ProvisioningResponse.index()].as_deref()
    }

    /// What it takes.
    pub(super) fn bytes(&self) -> usize {
        let latencies = self
            .ended
            .iter()
            .chain([&self.started, &self.reprovisioned]);
        let bytes: usize = latencies.flatten().map(|it| it.bytes()).sum();
        size_of::<Self>() + bytes
    }

    /// Takes in what happened in the next one.
    pub(super) fn merge(&mut self, next: Self) {
        self.due += next.due;
        self.released += next.released;
        self.dropped += next.dropped;
        self.registered += next.registered;
        self.provisioned += next.provisioned;
        for (kind, devices) in next.failed {
            *self.failed.entry(kind).or_default() += devices;
        }
        self.reprovisions += next.reprovisions;
        self.held = next.held.or(self.held);
        self.attempts.throttled += next.attempts.throttled;
        self.attempts.retries += next.attempts.retries;
        self.attempts.lost_connections += next.attempts.lost_connections;
        self.attempts.messages += next.attempts.messages;
        self.added_max_us = self.added_max_us.max(next.added_max_us);
        for (metric, more) in self.ended.iter_mut().zip(next.ended) {
            add(metric, more);
        }
        add(&mut self.started, next.started);
        add(&mut self.reprovisioned, next.reprovisioned);
    }

    /// As it is shown live.
    pub(super) fn view(&self, at_s: u64, span_s: u64) -> IntervalView {
        IntervalView {
            at_s,
            span_s,
            due: self.due,
            released: self.released,
            provisioned: self.provisioned,
            failed: self.failed() + self.dropped,
            throttled: self.attempts.throttled,
            retries: self.attempts.retries,
            lost_connections: self.attempts.lost_connections,
            held: self.held,
            response: self.responses().and_then(IntervalLatency::new),
        }
    }

    /// As it is told; `in_flight` are under way at its end.
    pub(super) fn point(&self, at_s: u64, span_s: u64, in_flight: u64) -> TimelinePoint {
        let told = |latencies: &Latencies| IntervalLatency::new(latencies.as_deref()?);
        let latency = Metric::all().filter_map(|metric| {
            let told = told(&self.ended[metric.index()])?;
            Some((metric.name().to_owned(), told))
        });
        let distributions = Metric::RESPONSES.into_iter().filter_map(|metric| {
            let whole = Distribution::of(self.ended[metric.index()].as_deref()?)?;
            Some((metric.name().to_owned(), whole))
        });
        let failed_by_kind = self.failed.iter();
        #[expect(clippy::cast_precision_loss, reason = "a count of devices")]
        let target = self.due as f64;
        let response = told(&self.ended[Metric::ProvisioningResponse.index()]);
        TimelinePoint {
            at_s,
            span_s,
            target,
            released: self.released,
            dropped: self.dropped,
            registered: self.registered,
            provisioned: self.provisioned,
            failed: self.failed(),
            failed_by_kind: failed_by_kind
                .map(|(kind, devices)| ((*kind).to_owned(), *devices))
                .collect(),
            in_flight,
            throttled: self.attempts.throttled,
            retries: self.attempts.retries,
            lost_connections: self.attempts.lost_connections,
            messages: self.attempts.messages,
            reprovisions: self.reprovisions,
            held: self.held,
            p50_us: response.map(|response| response.p50_us),
            p99_us: response.map(|response| response.p99_us),
            added_max_us: self.added_max_us,
            latency: latency.collect(),
            distributions: distributions.collect(),
            started: told(&self.started),
            reprovisioned: told(&self.reprovisioned),
        }
    }
}

fn count(latencies: &mut Latencies, us: u64) {
    latencies
        .get_or_insert_with(|| Box::new(LatencyHistogram::new(Precision::Coarse)))
        .record(us);
}

fn add(latencies: &mut Latencies, more: Latencies) {
    match (latencies, more) {
        (Some(latencies), Some(more)) => latencies.add(&more),
        (latencies @ None, more) => *latencies = more,
        (Some(_), None) => {}
    }
}
