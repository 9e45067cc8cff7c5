//! A picture of a run under way, for the screens' tests.

use std::sync::Arc;

use fleetstorm_reports::cut::view::{CellView, CutView};
use fleetstorm_reports::event::Happened;
use fleetstorm_reports::generator::Generator;
use fleetstorm_reports::latency::{HistogramBucket, Percentiles};
use fleetstorm_reports::outcomes::OutcomeCount;
use fleetstorm_reports::series::{HeatCell, HeatMap, IntervalView};
use fleetstorm_reports::slo::SloView;
use fleetstorm_reports::snapshot::{
    MetricView, ProcessUsage, Progress, RunState, SecondView, Seen, Snapshot,
};
use fleetstorm_reports::{Metric, Outcome, Phase};

/// Twelve seconds into a run, three devices refused.
pub(super) fn snapshot() -> Snapshot {
    let refused = Outcome::Refused {
        phase: Phase::Register,
        status: 401,
        code: 401_002,
    };
    let cut = |dimension, name: &str, provisioned, failed, p50_us| CutView {
        dimension,
        name: name.into(),
        provisioned,
        failed,
        response: Some(percentiles(p50_us, provisioned)),
    };
    Snapshot {
        scenario: "smoke".into(),
        target: "global.fleetstorm.test (bundled server)".into(),
        elapsed_us: 12_300_000,
        schedule_us: 15_000_000,
        state: RunState::Running,
        progress: Progress {
            planned: 1_000,
            released: 870,
            dropped: 0,
            in_flight: 197,
            registered: 681,
            provisioned: 670,
            failed: 3,
            throttled: 0,
            retried: 0,
        },
        target_rate: 100.0,
        achieved_rate: 99.0,
        provisioned_rate: 96.0,
        metrics: (0..)
            .zip(Metric::all())
            .filter(|(_, metric)| !comes_after(*metric))
            .map(|(step, metric)| view(metric, step))
            .collect(),
        outcomes: vec![
            OutcomeCount::new(Outcome::Provisioned, 670),
            OutcomeCount::new(refused, 2),
            OutcomeCount::new(Outcome::TimedOut { phase: Phase::Twin }, 1),
        ],
        cuts: vec![
            cut("cohort", "gateways", 400, 0, 1_010_000),
            cut("cohort", "controllers", 270, 3, 1_020_000),
            cut("transport", "https", 500, 3, 1_010_000),
            cut("transport", "mqtt", 170, 0, 1_010_000),
            cut("attestation", "x509-group", 400, 0, 1_010_000),
            cut("attestation", "tpm", 270, 3, 1_020_000),
        ],
        cells: cells(),
        timeline: (0..12).map(interval).collect(),
        heat_map: Some(Arc::new(heat_map())),
        seconds: (0..12).map(second).collect(),
        held: Default::default(),
        reprovisions: 0,
        events: Vec::new(),
        simulator: ProcessUsage {
            cores: 0.42,
            rss_bytes: 31 << 20,
            ..ProcessUsage::default()
        },
        server: Some(ProcessUsage {
            cores: 0.31,
            rss_bytes: 19 << 20,
            ..ProcessUsage::default()
        }),
        slos: vec![SloView {
            name: "registrations".into(),
            objective: "99.9 % registered".into(),
            good: 598,
            total: 600,
            budget_left: -2.33,
        }],
        generator: Generator::default(),
        warnings: Vec::new(),
    }
}

/// An event that has happened.
pub(super) fn throttle() -> Happened {
    Happened {
        at_us: 4_000_000,
        what: "throttle registrations = 20/min".into(),
        problem: None,
        missed: false,
    }
}

/// The whole matrix; TPMs have no place in MQTT.
fn cells() -> Vec<CellView> {
    let transports = ["https", "mqtt", "mqtt-ws", "amqp", "amqp-ws"];
    let attestations = [
        "x509-group",
        "x509-individual",
        "symmetric-key-group",
        "symmetric-key-individual",
        "tpm",
    ];
    let cell = |attestation: &str, transport: &str| CellView {
        attestation: attestation.into(),
        transport: transport.into(),
        provisioned: 40,
        failed: u64::from(attestation == "tpm" && transport == "https") * 3,
        response: Some(percentiles(1_010_000, 40)),
    };
    let all = attestations
        .iter()
        .flat_map(|attestation| transports.map(|transport| (*attestation, transport)));
    all.filter(|(attestation, transport)| *attestation != "tpm" || !transport.contains("mqtt"))
        .map(|(attestation, transport)| cell(attestation, transport))
        .collect()
}

fn comes_after(metric: Metric) -> bool {
    matches!(metric, Metric::Phase(phase) if Phase::AFTER.contains(&phase))
}

/// In which the throttle holds for three seconds.
fn interval(at_s: u64) -> IntervalView {
    let released = at_s * 9;
    IntervalView {
        at_s,
        span_s: 1,
        due: released,
        released,
        provisioned: released.saturating_sub(9),
        throttled: if (4..7).contains(&at_s) { 40 } else { 0 },
        ..IntervalView::default()
    }
}

fn heat_map() -> HeatMap {
    let column = |at: usize| {
        let cell = |row, count| HeatCell { row, count };
        match at {
            0 => Vec::new(),
            4..7 => vec![cell(3, 2), cell(9, 40), cell(10, 4)],
            _ => vec![cell(2, 1), cell(3, 60), cell(4, 7)],
        }
    };
    HeatMap {
        bounds_us: (0..=12).map(|row| 250 << row).collect(),
        columns: (0..12).map(column).collect(),
    }
}

fn second(at: u32) -> SecondView {
    let released = f64::from(at * 9);
    SecondView {
        target: released,
        seen: Some(Seen {
            released,
            provisioned: (released - 9.0).max(0.0),
            failed: 0.0,
        }),
    }
}

fn percentiles(p50_us: u64, count: u64) -> Percentiles {
    Percentiles {
        count,
        min_us: p50_us / 2,
        mean_us: p50_us,
        p50_us,
        p75_us: p50_us * 3 / 2,
        p90_us: p50_us * 2,
        p95_us: p50_us * 3,
        p99_us: p50_us * 4,
        p999_us: p50_us * 6,
        p9999_us: p50_us * 7,
        max_us: p50_us * 8,
    }
}

/// A bell over three octaves on each side of the median; resolve has no samples.
fn view(metric: Metric, step: u64) -> MetricView {
    let p50_us = 300 + step * 120;
    let edge = |at: u32| (p50_us >> 3) * (1 << (at / 4)) * u64::from(4 + at % 4) / 4;
    let bar = |at: u32| HistogramBucket {
        from_us: edge(at),
        to_us: edge(at + 1),
        count: u64::from(at.min(24 - at)).pow(2),
    };
    let buckets = if metric == Metric::Phase(Phase::Resolve) {
        Vec::new()
    } else {
        (0..24).map(bar).collect()
    };
    MetricView {
        metric,
        percentiles: percentiles(p50_us, 670),
        recent: Some(percentiles(p50_us + 100, 130)),
        buckets,
    }
}
