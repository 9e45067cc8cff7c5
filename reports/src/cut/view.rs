//! What is told of cuts: at the end, and while the run goes on.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::attempts::Attempts;
use crate::distribution::Distribution;
use crate::latency::{HistogramBucket, Latency, Percentiles};

/// One cut of the run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Cut {
    /// `cohort`, `transport`, `attestation`, or `cell`: one attestation over one transport.
    pub dimension: String,
    /// Its name.
    pub name: String,
    /// Devices released.
    pub released: u64,
    /// Devices provisioned.
    pub provisioned: u64,
    /// Devices that ended otherwise.
    pub failed: u64,
    /// Devices due and not started.
    pub dropped: u64,
    /// How often they tried.
    pub attempts: Attempts,
    /// Until the assigned hub was in hand.
    pub registration: Latency,
    /// Until the twin was read.
    pub provisioning: Latency,
    /// By phase.
    pub phases: BTreeMap<String, Percentiles>,
    /// Whole distributions of the response times of registration and provisioning by metric name, two digits
    /// precise; empty where its dimension has more than 64 cuts.
    pub distributions: BTreeMap<String, Distribution>,
    /// Provisioning response times, for drawing: at most 64 buckets, ascending; empty where its dimension has more
    /// than 64 cuts.
    pub histogram: Vec<HistogramBucket>,
}

/// Cuts of one dimension that are left out, together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LeftOut {
    /// As in the cuts that are told.
    pub dimension: String,
    /// How many they are; null where they were too many to be counted.
    pub rows: Option<u64>,
    /// Devices released.
    pub released: u64,
    /// Devices provisioned.
    pub provisioned: u64,
    /// Devices that ended otherwise.
    pub failed: u64,
    /// Devices due and not started.
    pub dropped: u64,
}

/// One row of the table of cuts.
#[derive(Debug, Clone, PartialEq)]
pub struct CutView {
    /// `cohort`, `transport` or `attestation`.
    pub dimension: &'static str,
    /// Its name.
    pub name: String,
    /// Devices provisioned.
    pub provisioned: u64,
    /// Devices that ended otherwise.
    pub failed: u64,
    /// Provisioning response time, once there is one.
    pub response: Option<Percentiles>,
}

/// One attestation over one transport.
#[derive(Debug, Clone, PartialEq)]
pub struct CellView {
    /// The attestation's name.
    pub attestation: String,
    /// The transport's name.
    pub transport: String,
    /// Devices provisioned.
    pub provisioned: u64,
    /// Devices that ended otherwise.
    pub failed: u64,
    /// Provisioning response time, once there is one.
    pub response: Option<Percentiles>,
}
