//! `bench --json` and `bench --cells --json`; their schemas are `simulator/bench.schema.json` and
//! `simulator/bench-cells.schema.json`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use super::held::Held;

/// Version of both shapes; raised when a field changes its meaning or goes.
pub(super) const SCHEMA_VERSION: u32 = 1;

/// What a device costs beside the bare ceiling, by the name of what it does; medians of all rounds.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct BenchDocument {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// How often each was measured.
    pub rounds: u32,
    /// Rate by the bare ceiling's of the same round.
    pub ratios: BTreeMap<String, f64>,
    /// Devices a second.
    pub per_second: BTreeMap<String, f64>,
    /// CPU time of a device.
    pub cpu_us: BTreeMap<String, CpuDocument>,
}

/// CPU time, microseconds.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct CpuDocument {
    /// Of the simulator.
    pub simulator: f64,
    /// Of the bundled server.
    pub server: f64,
}

/// What a device costs, of every attestation over every transport that offers it; medians of all rounds.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct CellsDocument {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// How often each was measured.
    pub rounds: u32,
    /// One for each.
    pub cells: Vec<CellDocument>,
}

/// One attestation over one transport.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct CellDocument {
    /// How devices prove who they are.
    pub attestation: String,
    /// What they speak.
    pub transport: String,
    /// Devices a second.
    pub per_second: f64,
    /// CPU time of a device.
    pub cpu_us: CpuDocument,
    /// Both sides' CPU by that of the same attestation over MQTT, a TPM's over HTTPS, in the same round.
    pub cpu_by_mqtt: f64,
    /// Resident memory of a connection that is held with the hub.
    pub held_bytes: Held,
}

#[cfg(test)]
mod tests {
    use super::{BenchDocument, CellsDocument};
    use crate::schema;

    #[test]
    fn the_schemas_in_the_repository_are_those_of_the_documents() {
        schema::check::<BenchDocument>("bench.schema.json");
        schema::check::<CellsDocument>("bench-cells.schema.json");
    }
}
