//! Scenario files, and the plan that they expand to.
//!
//! ```text
//! scenario.toml -> keys, parse  (tables taken apart by lists of keys, of which the schema is made, too)
//!               -> Scenario      (only valid ones exist; all mistakes at once, with line and key)
//!               -> Plan          (with seed and overrides: who starts when)
//!               -> Forecast      (what becomes of it, in virtual time)
//! ```
//!
//! Pure: no socket, no clock, no terminal.
//!
//! A scenario, and the order in which its devices come:
//!
//! ```
//! use std::time::Duration;
//!
//! use fleetstorm_scenarios::{Overrides, Plan, parse};
//!
//! let scenario = parse(
//!     r#"
//!     name = "pumps"
//!     seed = 7
//!
//!     [arrival]
//!     kind = "constant-rate"
//!     rate = "10/s"
//!
//!     [[cohort]]
//!     name = "pumps"
//!     devices = 100
//!     attestation = "tpm"
//!     transport = "https"
//!     "#,
//!     "pumps.toml",
//! )?;
//! let plan = Plan::new(scenario, &Overrides::default())?;
//! assert_eq!(plan.devices(), 100);
//! assert_eq!(plan.due(Duration::from_secs(5)), 51);
//! let second = plan.schedule(0, 1).nth(1).expect("the second device");
//! assert_eq!(second.intended_start, Duration::from_millis(100));
//!
//! let refused = parse("name = \"pumps\"\ndevices = 3", "pumps.toml").unwrap_err();
//! assert!(refused.to_string().contains("pumps.toml:2:1: devices: unknown key"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

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
pub mod target;
pub mod tenant;

mod diagnostics;
mod json;
mod keys;
mod parse;
mod table;

pub use arrival::{Arrival, Load};
pub use chance::Chance;
pub use cohort::{After, Boot, Cohort, Flaw, Reprovision};
pub use error::{Mistake, Place, ScenarioError};
pub use event::Event;
pub use forecast::{Forecast, ForecastOptions, forecast};
pub use load::{load, parse};
pub use plan::{Overrides, Plan, Release, Schedule};
pub use ports::Ports;
pub use region::{LinkShape, Region, Stall};
pub use retry::RetryProfile;
pub use scenario::Scenario;
pub use server::{Hub, ProcessingTime, ServerSettings};
pub use target::Target;
