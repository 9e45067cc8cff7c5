//! Thresholds: a metric, a comparison, a limit; of which devices, when, and what follows.
//!
//! ```text
//! threshold  = subject [tags] condition terms
//! subject    = metric "." statistic            ; like registration.response.p99, tls.p50
//!            | ("provisioned" | "registered" | "failed" | "dropped" | "throttled" | "retried")
//!              "." ("ratio" | "count")
//!            | "provisioned.rate" | "attempts.mean" | "attempts.max"
//!            | ("connections.held" | "connections.dropped" | "connections.reconnected"
//!              | "connections.given-up" | "reprovisioned" | "reprovisioned.failed" | "messages" | "desired" | "methods") "." "count"
//! metric     = "registration.response" | "registration.service" | "provisioning.response"
//!            | "provisioning.service" | a phase's name
//! statistic  = "min" | "mean" | "p50" | "p75" | "p90" | "p95" | "p99" | "p999" | "p9999" | "max" | "count"
//! tags       = "{" tag *("," tag) "}"          ; like {cohort:meters,transport:mqtt}
//! tag        = ("cohort" | "transport" | "attestation" | "region" | "tenant") ":" name
//!            | "outcome:succeeded"
//! condition  = ("<" | "<=" | ">" | ">=" | "==") limit
//! limit      = duration ("5s", "250ms", "1m30s") | percentage ("99.9%") | ratio ("0.999") | number | rate ("400/s")
//! ```
//!
//! A ratio is a share of the devices planned; over a window or a part of the run, and while the run
//! goes on, of those that have ended then or were not started. A device that was due and not started is
//! `dropped`; it is not `failed`, but bad in every ratio: `failed.ratio` has it, too. Throttled devices were answered 429 at least once; attempts
//! are those of one device.
//!
//! A latency is of all devices that were due: those that did not get so far count as slower than any that
//! did, so that a p99 holds no longer once more than 1 % failed, and a max once one did. With
//! `{outcome:succeeded}` it is of those that did, alone.

mod condition;
mod counters;
pub mod expression;
mod figures;
mod judge;
mod measure;
mod reading;
pub mod result;
mod samples;
pub mod stop;
mod subject;
mod tags;
pub mod terms;
mod unit;
mod value;
mod windowed;
mod windows;

pub use expression::{Threshold, ThresholdError};
pub(crate) use judge::Judge;
pub use tags::Cut;
pub use terms::Terms;
pub(crate) use windows::MOST_BYTES as WINDOWS_BYTES;

#[cfg(test)]
mod tests;
