//! The Device Provisioning Service and its IoT hubs, as documented, on one machine.
//!
//! ```text
//! accept (a thread a core, SO_REUSEPORT) -> tls (SNI, client certificate asked, not required)
//!    -> listen::{http, mqtt}  bytes <-> questions, told apart by SNI and content
//!         -> service          DPS: enrollment list, attestation, operations, allocation
//!              -> hub::registry   the only way from DPS to a hub
//!         -> hub              devices: authentication, twin, messages, methods; what reaches them
//! ```
//!
//! Listeners hold no DPS logic; the service holds no transport, and is told the time.

pub mod api_versions;
pub mod config;
pub mod counters;
pub mod fault;
pub mod hub;
pub mod limits;
pub mod regions;
pub mod serve;
pub mod service;

mod accept;
mod diagnostics;
mod held;
mod issuer;
mod listen;
mod memory;
mod metrics;
mod patience;
mod possession;
mod randomness;
mod recording;
mod room;
mod shards;
mod store;
mod tls;
mod webhook;

pub use config::{
    AccessPolicyConfig, CaCertificateConfig, Config, CredentialPolicyConfig, HubConfig,
    HubPermission, HubPolicyConfig, InstanceConfig, LinkedHub, Permission, RegionConfig,
    WebhookConfig,
};
pub use counters::Counters;
pub use limits::Limits;
pub use serve::{Announcement, Running, ServeError, start};
pub use store::Durability;
