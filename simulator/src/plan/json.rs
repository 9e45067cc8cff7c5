//! The planned run for programs.

use std::time::Duration;

use fleetstorm_scenarios::Cohort;
use fleetstorm_scenarios::forecast::{CohortForecast, Window};

use super::comparison::Row;
use super::document::{
    CohortDocument, ComparisonDocument, IntervalDocument, KnifeEdgeDocument, LimitDocument,
    MachineDocument, MemoryDocument, PlanDocument, RatesDocument, RegionDocument,
    ReprovisionsDocument, ResponseDocument, SCHEMA_VERSION, StormDocument,
};
use super::knife_edge::CHANGE;
use super::planned_run::PlannedRun;

/// Everything that the screen shows.
pub(super) fn document(planned: &PlannedRun<'_>) -> PlanDocument {
    let (forecast, plan, total) = (&planned.forecast, planned.plan, planned.total());
    let scenario = plan.scenario();
    let cohorts = scenario.cohorts.iter().zip(&forecast.cohorts);
    let transports = forecast.transports.iter();
    let regions = scenario.regions.iter().zip(&forecast.regions);
    let rates = planned.options.rates;
    PlanDocument {
        schema_version: SCHEMA_VERSION,
        scenario: scenario.name.clone(),
        devices: plan.devices(),
        last_due_s: seconds(plan.last_release()),
        cohorts: cohorts
            .map(|(cohort, foreseen)| cohort_document(cohort, foreseen))
            .collect(),
        devices_by_transport: transports
            .map(|(transport, devices)| (transport.to_string(), *devices))
            .collect(),
        by_region: regions
            .map(|(region, foreseen)| {
                let told = RegionDocument {
                    devices: foreseen.started,
                    provisioned: foreseen.provisioned,
                    response_p50_s: foreseen.response_p50.map(seconds),
                    response_p99_s: foreseen.response_p99.map(seconds),
                };
                (region.name.clone(), told)
            })
            .collect(),
        machine: machine(planned),
        rates: RatesDocument {
            operations_per_minute: rates.operations_per_minute,
            registrations_per_minute: rates.registrations_per_minute,
            polls_per_ten_seconds: rates.polls_per_ten_seconds,
        },
        provisioned: total.provisioned,
        failed: total.failed,
        timed_out: total.timed_out,
        dropped: total.dropped,
        throttled_devices: total.throttled,
        reprovisions: ReprovisionsDocument {
            started: forecast.reprovisions.started,
            provisioned: forecast.reprovisions.provisioned,
            throttled: forecast.reprovisions.throttled,
        },
        unforeseen_events: forecast.unforeseen.clone(),
        registers: forecast.registers,
        polls: forecast.polls,
        throttled_requests: forecast.turned_away,
        end_s: seconds(forecast.last_end),
        end_by_start_s: planned
            .ends
            .map(|(least, most)| (seconds(least), seconds(most))),
        response_s: ResponseDocument {
            p50: forecast.response_p50.map(seconds),
            p99: forecast.response_p99.map(seconds),
            max: forecast.response_max.map(seconds),
            unhindered: seconds(forecast.unhindered),
        },
        knife_edge: planned.knife_edge.map(|edge| KnifeEdgeDocument {
            processing_change: CHANGE,
            p50_s_with_less: seconds(edge.with_less),
            p50_s_with_more: seconds(edge.with_more),
        }),
        storms: forecast.storms,
        storm_level: forecast.storm_level.devices,
        longest_storm: forecast.longest_storm.map(|storm| StormDocument {
            from_s: storm.from_us as f64 / 1e6,
            recovery_s: seconds(storm.recovery()),
            peak: storm.peak,
        }),
        comparison: planned.comparison.iter().map(row).collect(),
        batch: forecast.batch,
        interval_s: seconds(forecast.timeline.width()),
        timeline: forecast.timeline.windows().iter().map(interval).collect(),
    }
}

fn cohort_document(cohort: &Cohort, foreseen: &CohortForecast) -> CohortDocument {
    let transports = cohort.transports.iter();
    CohortDocument {
        name: cohort.name.clone(),
        devices: cohort.devices,
        attestation: cohort.attestation.name().to_owned(),
        transport: transports
            .map(|(transport, weight)| (transport.to_string(), *weight))
            .collect(),
        retry: cohort.retry.name().to_owned(),
        provisioned: foreseen.provisioned,
        failed: foreseen.failed,
        timed_out: foreseen.timed_out,
        dropped: foreseen.dropped,
        throttled: foreseen.throttled,
    }
}

fn machine(planned: &PlannedRun<'_>) -> MachineDocument {
    let (forecast, needs, has) = (&planned.forecast, &planned.needs, &planned.has);
    let machine = planned.options.machine;
    MachineDocument {
        cores: machine.map(|machine| machine.cores),
        connections: forecast.peak_connections,
        connections_at_most: needs.in_flight + needs.held,
        held: forecast.peak_held,
        files: LimitDocument {
            needed: needs.files,
            limit: has.files,
        },
        ports: LimitDocument {
            needed: needs.ports,
            limit: has.ports,
        },
        memory_bytes: MemoryDocument {
            needed: needs.memory,
            free: has.memory,
        },
        simulator_cpu_s: seconds(forecast.simulator_cpu),
        server_cpu_s: seconds(forecast.server_cpu),
        busiest_share_of_cores: planned.busiest(),
        slowness: machine.map(|machine| machine.slowness),
    }
}

fn row(row: &Row) -> ComparisonDocument {
    ComparisonDocument {
        what: row.what.clone(),
        forecast: row.forecast,
        measured: row.measured,
        error: row.error(),
    }
}

fn interval(window: &Window) -> IntervalDocument {
    IntervalDocument {
        due: window.due,
        provisioned: window.provisioned,
        failed: window.failed,
        throttled: window.throttled,
        cpu_s: window.cpu_us / 1e6,
    }
}

fn seconds(duration: Duration) -> f64 {
    duration.as_secs_f64()
}
