//! Scenario files, and the plan that they expand to.
//!
//! ```text
//! scenario.toml -> table, parse (tables taken apart key by key, unknown keys refused)
//!               -> Scenario      (only valid ones exist; all mistakes at once, with line and key)
//!               -> Plan          (with seed and overrides: who starts when)
//!               -> Forecast      (what becomes of it, in virtual time)
//! ```
//!
//! Pure: no socket, no clock, no terminal.

pub mod arrival;
pub mod chance;
pub mod cohort;
pub mod endpoint;
pub mod error;
pub mod event;
pub mod forecast;
pub mod limits;
pub mod load;
pub mod names;
pub mod plan;
pub mod ports;
pub mod region;
pub mod retry;
pub mod scenario;
pub mod schema;
pub mod server;
pub mod tenant;

mod parse;
mod table;

pub use arrival::{Arrival, Stage};
pub use chance::Chance;
pub use cohort::{After, Boot, Cohort, Flaw, Reprovision};
pub use error::{Mistake, Place, ScenarioError};
pub use event::Event;
pub use forecast::{Forecast, Surroundings, forecast};
pub use load::{load, parse};
pub use plan::{Overrides, Plan, Release, Schedule};
pub use ports::Ports;
pub use region::{LinkShape, Region, Stall};
pub use retry::RetryProfile;
pub use scenario::{Scenario, Target};
pub use server::{Hub, ProcessingTime, ServerSettings};
