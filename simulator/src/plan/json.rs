//! The planned run for programs.

use std::time::Duration;

use serde_json::{Value, json};

use super::knife_edge::CHANGE;
use super::planned_run::PlannedRun;

/// One object; times in seconds.
pub(super) fn of(planned: &PlannedRun<'_>) -> Value {
    let (forecast, needs, has) = (&planned.forecast, &planned.needs, &planned.has);
    let (plan, total) = (planned.plan, planned.total());
    let cohorts = plan.scenario().cohorts.iter();
    let cohorts: Vec<Value> = cohorts
        .zip(&forecast.cohorts)
        .map(|(cohort, foreseen)| {
            let transports: serde_json::Map<String, Value> = cohort
                .transports
                .iter()
                .map(|(transport, weight)| (transport.to_string(), (*weight).into()))
                .collect();
            json!({
                "name": cohort.name,
                "devices": cohort.devices,
                "attestation": cohort.attestation.name(),
                "transport": transports,
                "retry": cohort.retry.name(),
                "provisioned": foreseen.provisioned,
                "failed": foreseen.failed,
                "timed_out": foreseen.timed_out,
                "dropped": foreseen.dropped,
                "throttled": foreseen.throttled,
            })
        })
        .collect();
    let timeline: Vec<Value> = forecast
        .timeline
        .windows()
        .iter()
        .map(|window| {
            json!({
                "due": window.due,
                "provisioned": window.provisioned,
                "failed": window.failed,
                "throttled": window.throttled,
                "cpu_s": window.cpu_us / 1e6,
            })
        })
        .collect();
    let by_transport: serde_json::Map<String, Value> = (forecast.transports.iter())
        .map(|(transport, devices)| (transport.to_string(), (*devices).into()))
        .collect();
    let regions = planned.plan.scenario().regions.iter();
    let by_region: serde_json::Map<String, Value> = regions
        .zip(&forecast.regions)
        .map(|(region, foreseen)| {
            let told = json!({
                "devices": foreseen.started,
                "provisioned": foreseen.provisioned,
                "response_p50_s": foreseen.response_p50.map(seconds),
                "response_p99_s": foreseen.response_p99.map(seconds),
            });
            (region.name.clone(), told)
        })
        .collect();
    let storm = forecast.longest_storm.map(|storm| {
        json!({
            "from_s": storm.from_us as f64 / 1e6,
            "recovery_s": seconds(storm.recovery()),
            "peak": storm.peak,
        })
    });
    let comparison: Vec<Value> = (planned.comparison.iter())
        .map(|row| {
            json!({
                "what": row.what,
                "forecast": row.forecast,
                "measured": row.measured,
                "error": row.error(),
            })
        })
        .collect();
    json!({
        "scenario": plan.scenario().name,
        "devices": plan.devices(),
        "last_due_s": seconds(plan.last_release()),
        "cohorts": cohorts,
        "devices_by_transport": by_transport,
        "by_region": by_region,
        "machine": {
            "cores": planned.options.machine.map(|machine| machine.cores),
            "connections": forecast.peak_connections,
            "connections_at_most": needs.in_flight + needs.held,
            "held": forecast.peak_held,
            "files": { "needed": needs.files, "limit": has.files },
            "ports": { "needed": needs.ports, "limit": has.ports },
            "memory_bytes": { "needed": needs.memory, "free": has.memory },
            "simulator_cpu_s": seconds(forecast.simulator_cpu),
            "server_cpu_s": seconds(forecast.server_cpu),
            "busiest_share_of_cores": planned.busiest(),
            "slowness": planned.options.machine.map(|machine| machine.slowness),
        },
        "rates": planned.options.rates,
        "provisioned": total.provisioned,
        "failed": total.failed,
        "timed_out": total.timed_out,
        "dropped": total.dropped,
        "throttled_devices": total.throttled,
        "reprovisions": {
            "started": forecast.reprovisions.started,
            "provisioned": forecast.reprovisions.provisioned,
            "throttled": forecast.reprovisions.throttled,
        },
        "unforeseen_events": forecast.unforeseen,
        "registers": forecast.registers,
        "polls": forecast.polls,
        "throttled_requests": forecast.turned_away,
        "end_s": seconds(forecast.last_end),
        "end_by_start_s": planned.ends.map(|(least, most)| [seconds(least), seconds(most)]),
        "response_s": {
            "p50": forecast.response_p50.map(seconds),
            "p99": forecast.response_p99.map(seconds),
            "max": forecast.response_max.map(seconds),
            "unhindered": seconds(forecast.unhindered),
        },
        "knife_edge": planned.knife_edge.map(|edge| json!({
            "processing_change": CHANGE,
            "p50_s_with_less": seconds(edge.with_less),
            "p50_s_with_more": seconds(edge.with_more),
        })),
        "storms": forecast.storms,
        "storm_level": forecast.storm_level.devices,
        "longest_storm": storm,
        "comparison": comparison,
        "crowd": forecast.batch,
        "stretch_s": seconds(forecast.timeline.width()),
        "course": timeline,
    })
}

fn seconds(duration: Duration) -> f64 {
    duration.as_secs_f64()
}
