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

use serde_json::json;

use super::curve::Curve;
use crate::json::{Json, Object};
use crate::keys::{Fields, Reader, Section, keys};
use crate::parse::kinds::{AnyDuration, Rate, kinds, typed};
use crate::table::{Value, each};

keys! {
    struct RampingRateKeys: "A rate that changes." {
        "start" start_rate: default Rate = "0/s",
            "The rate at the start.";
        "stages" stages: required Stages,
            "What the rate does, one stage after another; the last ends above zero.";
    }
}

keys! {
    struct ChangeKeys: "The rate changes evenly." {
        "to" to: optional Rate,
            "The rate at the end of the stage.";
        "over" over: optional AnyDuration,
            "How long the change takes; 0s is a step.";
    }
}

keys! {
    struct HoldKeys: "The rate stays." {
        "hold" hold: optional AnyDuration,
            "For how long.";
    }
}

kinds! {
    /// The shape reads them, for the last ends above zero.
    Stages -> (): |_: &Value<'_>| Some(()), stages();
}

fn stages() -> Object {
    let change = ChangeKeys::schema().with("required", json!(["to", "over"]));
    let hold = HoldKeys::schema().with("required", json!(["hold"]));
    let stage = Object::default().with("oneOf", vec![Json::from(change), hold.into()]);
    typed("array").with("minItems", 1_u64).with("items", stage)
}

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
    pub(super) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let keys = RampingRateKeys::take(reader);
        let value = keys.stages.value?;
        let written = value.array()?;
        let Some(last) = written.last() else {
            return value.wrong("needs at least one stage", EXAMPLE.to_string());
        };
        let stages = each(&written, stage)?;
        let start_rate = keys.start_rate.read?;
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
    let mut reader = Reader::new(value)?;
    reader.only(&[ChangeKeys::KEYS, HoldKeys::KEYS]);
    let change = ChangeKeys::take(&mut reader);
    let hold = HoldKeys::take(&mut reader).hold;
    match (change.to.read?, change.over.read?, hold.read?) {
        (Some(to), Some(over), None) => Some(WrittenStage {
            to_rate: Some(to),
            over,
        }),
        (None, None, Some(over)) => Some(WrittenStage {
            to_rate: None,
            over,
        }),
        _ => value.wrong(
            "a stage has either `to` and `over`, or `hold`",
            EXAMPLE.to_string(),
        ),
    }
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
