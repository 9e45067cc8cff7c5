//! `kind = "ramping-rate"`.
//!
//! The rate is a broken line over time; the area below it counts the devices that have
//! come. A device starts when that area passes its rank:
//!
//! ```text
//! rate ▲            stage 2
//!      │         ┌────────────      stage 1 ramps from r0 to r1 over T; within it
//!   r1 │       ／│                    area(t) = r0·t + (r1 − r0)/(2T)·t²  =  rank
//!      │     ／  │                  solved for t, free of cancellation:
//!   r0 │   ／    │                    t = 2·rank / (r0 + √(r0² + 2·rank·(r1 − r0)/T))
//!      └───┴─────┴────────────▶ t
//! ```

use std::time::Duration;

use super::curve::Curve;
use crate::parse::optional::{each, or};
use crate::parse::quantity;
use crate::table::{Table, Value};

/// Through stages; after the last one its rate goes on until every device has come.
#[derive(Debug, Clone, PartialEq)]
pub struct RampingRate {
    /// Rate at the start, devices a second.
    pub start_rate: f64,
    /// The stages, at least one; the last one's rate is above zero.
    pub stages: Vec<Stage>,
}

/// A stretch over which the rate changes evenly.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stage {
    /// Rate at its end, devices a second.
    pub to_rate: f64,
    /// How long it takes; zero is a step.
    pub over: Duration,
}

/// A stage as written: where it leads (nowhere else, for a hold), and how long it takes.
struct WrittenStage {
    to_rate: Option<f64>,
    over: Duration,
}

const EXAMPLE: &str = "like { to = \"500/s\", over = \"2m\" } or { hold = \"5m\" }";

impl RampingRate {
    pub(super) fn read(table: &mut Table<'_>) -> Option<Self> {
        let start_rate = or(table.take("start"), 0.0, |value| quantity::rate(&value));
        let value = table.require("stages")?;
        let written = value.array()?;
        let Some(last) = written.last() else {
            return value.wrong("needs at least one stage", EXAMPLE.to_string());
        };
        let stages = each(&written, stage)?;
        let start_rate = start_rate?;
        let mut rate = start_rate;
        let stages = stages
            .into_iter()
            .map(|stage| {
                rate = stage.to_rate.unwrap_or(rate);
                Stage {
                    to_rate: rate,
                    over: stage.over,
                }
            })
            .collect();
        if rate == 0.0 {
            return last.wrong(
                "the last stage ends at a rate of zero, so the remaining devices would never come",
                "its rate goes on until every device has come; let it end above zero".to_string(),
            );
        }
        Some(Self { start_rate, stages })
    }
}

fn stage(value: &Value<'_>) -> Option<WrittenStage> {
    let mut table = value.table()?;
    let stage = match (table.take("to"), table.take("over"), table.take("hold")) {
        (Some(to), Some(over), None) => {
            let (to_rate, over) = (quantity::rate(&to), quantity::duration(&over));
            Some(WrittenStage {
                to_rate: Some(to_rate?),
                over: over?,
            })
        }
        (None, None, Some(hold)) => quantity::duration(&hold).map(|over| WrittenStage {
            to_rate: None,
            over,
        }),
        _ => value.wrong(
            "a stage has either `to` and `over`, or `hold`",
            EXAMPLE.to_string(),
        ),
    };
    table.finish();
    stage
}

impl Curve for RampingRate {
    fn start(&self, place: f64) -> f64 {
        let (mut rate, mut missing, mut elapsed) = (self.start_rate, place, 0.0);
        for stage in &self.stages {
            let over = stage.over.as_secs_f64();
            let area = (rate + stage.to_rate) / 2.0 * over;
            if missing < area {
                return elapsed + stage_until(missing, rate, stage.to_rate, over);
            }
            missing -= area;
            elapsed += over;
            rate = stage.to_rate;
        }
        elapsed + missing / rate
    }

    fn peak(&self, seconds: f64) -> Option<f64> {
        let rates = self.stages.iter().map(|stage| stage.to_rate);
        Some(rates.fold(self.start_rate, f64::max) * seconds)
    }

    fn scale(&mut self, share: f64) {
        self.start_rate *= share;
        for stage in &mut self.stages {
            stage.to_rate *= share;
        }
    }

    fn quicken(&mut self, times: f64) {
        self.scale(times);
        for stage in &mut self.stages {
            stage.over = stage.over.div_f64(times);
        }
    }
}

/// Seconds into one stage until the area below it is `area`, which it reaches.
fn stage_until(area: f64, from: f64, to: f64, over: f64) -> f64 {
    if area == 0.0 {
        return 0.0;
    }
    // Rounding may leave the root's argument a hair below zero at the end of a ramp to zero.
    let squared = (from * from + 2.0 * area * (to - from) / over).max(0.0);
    (2.0 * area / (from + squared.sqrt())).min(over)
}
