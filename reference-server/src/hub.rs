//! The hubs that devices are assigned to. No transport in here, and no clock.
//!
//! ```text
//! DPS ── create, update ──────────────┐
//! service API ── identities, twins, ──┤ registry
//!    calls, messages (administration) │    │ authenticate
//!                                     │    ▼
//! connection ◄── inbox ── session ◄── │ device: twin, telemetry, messages, answers
//! ```
//! A listener authenticates a device ([`registry::Hub::authenticate`]) and gets a
//! [`admitted::AdmittedDevice`], which asks on its behalf. If the connection stays, it opens a
//! [`session::DeviceSession`] with it and passes on what the hub has to say.

pub mod access_policy;
pub mod administration;
pub mod admission;
pub mod admitted;
pub mod assignment;
pub mod authentication;
pub mod calls;
pub mod config;
pub mod feedback;
pub mod feedback_receiver;
pub mod hubs;
pub mod identity;
pub mod inbox;
pub mod inventory;
pub mod message_queue;
pub mod query;
pub mod registry;
pub mod session;
pub mod subscriptions;
pub mod telemetry;
pub mod telemetry_reader;
pub mod thumbprint;
pub mod traffic;
pub mod twin;

mod device;
mod modules;
mod refusal;
mod walk;

pub use refusal::HubRefusal;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Tells an identity from an earlier one of the same name.
pub(crate) fn generation(created: jiff::Timestamp) -> String {
    created.as_nanosecond().to_string()
}

/// An entity tag as IoT Hub writes them: base64 of a number.
fn entity_tag(number: u64) -> String {
    STANDARD.encode(number.to_be_bytes())
}
