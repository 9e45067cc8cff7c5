//! A forecast compared with what the run then measured.

use std::path::Path;
use std::time::Duration;

use fleetstorm_reports::Summary;
use fleetstorm_reports::exact::Rounding;
use fleetstorm_scenarios::Plan;
use fleetstorm_scenarios::forecast::{Forecast, Storms};
use jiff::Timestamp;

use crate::failure::Failure;
use crate::view::report_folder;

/// What a run came to, in the words of a forecast.
pub(super) struct Measured {
    summary: Summary,
    started_at: Timestamp,
    /// When each device was due, and when it had its twin or ended otherwise; none without a
    /// journal.
    devices: Option<Vec<(u64, u64)>>,
}

/// One figure of both.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Row {
    pub(super) what: String,
    pub(super) unit: Unit,
    /// None where nobody has one, as in `measured`.
    pub(super) forecast: Option<f64>,
    pub(super) measured: Option<f64>,
}

/// What a figure counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    /// A part of one.
    Share(Rounding),
    /// Things.
    Count,
    /// Seconds.
    Seconds,
}

impl Measured {
    /// Of the folder that a run has written.
    pub(super) fn read(folder: &Path) -> Result<Self, Failure> {
        let summary = report_folder::read(folder)?;
        let started_at = summary.started_at.parse().map_err(|error| {
            Failure::usage(format!(
                "{}: it does not say when the run started: {error}",
                folder.display()
            ))
        })?;
        let mut devices = Vec::new();
        let read = report_folder::records_of(folder, |record| {
            if !record.outcome.is_started() {
                return;
            }
            let end_us = record.provisioned_us().unwrap_or(record.end_us);
            devices.push((record.intended_start_us, end_us));
        })?;
        Ok(Self {
            summary,
            started_at,
            devices: read.map(|()| devices),
        })
    }

    /// Where within a minute it started.
    pub(super) fn starts_in_minute(&self) -> Duration {
        let micros = self.started_at.as_microsecond().rem_euclid(60_000_000);
        Duration::from_micros(micros.unsigned_abs())
    }

    /// The figures of both, as far as the run has them.
    pub(super) fn rows(&self, plan: &Plan, forecast: &Forecast) -> Vec<Row> {
        let seconds = |us: u64| us as f64 / 1e6;
        let long = |time: Duration| time.as_secs_f64();
        let (run, attempts) = (&self.summary, &self.summary.attempts);
        let part = |part: u64, whole: u64| (whole > 0).then(|| part as f64 / whole as f64);
        let sum = |of: fn(&fleetstorm_scenarios::forecast::CohortForecast) -> u64| -> u64 {
            forecast.cohorts.iter().map(of).sum()
        };
        let response = run.provisioning.response;
        let row = |what: &str, unit, forecast, measured| Row {
            what: what.into(),
            unit,
            forecast,
            measured,
        };
        let mut rows = vec![
            row(
                "provisioned",
                Unit::Share(Rounding::Down),
                part(
                    sum(|foreseen| foreseen.provisioned),
                    sum(|foreseen| foreseen.started + foreseen.dropped),
                ),
                part(run.devices.provisioned, run.devices.planned),
            ),
            row(
                "throttled devices",
                Unit::Share(Rounding::Up),
                part(
                    sum(|foreseen| foreseen.throttled),
                    sum(|foreseen| foreseen.started + foreseen.dropped),
                ),
                part(attempts.throttled, run.devices.planned),
            ),
            row(
                "answers 429",
                Unit::Count,
                Some(forecast.turned_away as f64),
                Some(
                    (attempts.throttled_answers + run.reprovisions.attempts.throttled_answers)
                        as f64,
                ),
            ),
            row(
                "devices that go back to DPS",
                Unit::Count,
                Some(forecast.reprovisions.started as f64),
                Some(run.reprovisions.registrations as f64),
            ),
            row(
                "time until the last device has ended",
                Unit::Seconds,
                Some(long(forecast.last_end)),
                Some(seconds(run.duration_us)),
            ),
            row(
                "response, half of the devices",
                Unit::Seconds,
                forecast.response_p50.map(long),
                response.map(|response| seconds(response.p50_us)),
            ),
            row(
                "response, 99 of 100",
                Unit::Seconds,
                forecast.response_p99.map(long),
                response.map(|response| seconds(response.p99_us)),
            ),
            row(
                "response, all",
                Unit::Seconds,
                forecast.response_max.map(long),
                response.map(|response| seconds(response.max_us)),
            ),
        ];
        for (region, foreseen) in plan.scenario().regions.iter().zip(&forecast.regions) {
            let cuts = run.cuts.iter();
            let mut cuts = cuts.filter(|cut| cut.dimension == "region" && cut.name == region.name);
            if let Some(cut) = cuts.next() {
                rows.push(row(
                    &format!("response in {}, half of them", region.name),
                    Unit::Seconds,
                    foreseen.response_p50.map(long),
                    cut.provisioning
                        .response
                        .map(|response| seconds(response.p50_us)),
                ));
            }
        }
        if let Some(devices) = &self.devices {
            let storms = Storms::of(forecast.storm_level, devices);
            let recovery = |storm: Option<fleetstorm_scenarios::forecast::Storm>| {
                // A run without a storm recovers at once.
                Some(storm.map_or(0.0, |storm| long(storm.recovery())))
            };
            rows.push(row(
                "full recovery of the longest storm",
                Unit::Seconds,
                recovery(forecast.longest_storm),
                recovery(storms.longest()),
            ));
        }
        rows
    }
}

impl Row {
    /// The forecast's error, as a part of what was measured; none where nothing was.
    pub(super) fn error(&self) -> Option<f64> {
        let measured = self.measured.filter(|measured| *measured > 0.0)?;
        Some(self.forecast? / measured - 1.0)
    }
}
