//! AMQP 1.0 binding of the device API and of the hub (OASIS AMQP 1.0; DPS documentation,
//! "AMQP protocol support"; IoT Hub documentation, "Communicate using the AMQP protocol").
//!
//! Types and their encoding are the library's ([`fe2o3_amqp_types`], [`serde_amqp`]); here is
//! what lies around and between them: [`encoding`] looks at a peer's bytes before the library
//! does, [`frame`] cuts a stream into frames, [`sasl`] and [`sasl_tpm`] are the security layer,
//! [`message`] the sections of a message, [`dps`], [`cbs`], [`hub`], [`hub_node`],
//! [`hub_message`], [`hub_user`] and [`events`] what the services make of them.

pub mod cbs;
pub mod dps;
pub mod encoding;
pub mod events;
pub mod frame;
pub mod hub;
pub mod hub_message;
pub mod hub_node;
pub mod hub_user;
pub mod message;
pub mod sasl;
pub mod sasl_tpm;

mod address;

/// The library's types, for the crates that use this one.
pub use fe2o3_amqp_types as types;
pub use serde_amqp::primitives::{Array, Binary, OrderedMap, Symbol};
pub use serde_amqp::value::Value;

/// Starts the AMQP layer (part 2, 2.2).
pub const AMQP_HEADER: [u8; 8] = *b"AMQP\x00\x01\x00\x00";
/// Starts the SASL layer (part 5, 5.3.1).
pub const SASL_HEADER: [u8; 8] = *b"AMQP\x03\x01\x00\x00";
/// Attach property that names the api-version.
pub const API_VERSION_PROPERTY: &str = "com.microsoft:api-version";
/// Attach property that names the device's model.
pub const MODEL_ID_PROPERTY: &str = "com.microsoft:model-id";
/// Attach property that names the client.
pub const CLIENT_VERSION_PROPERTY: &str = "com.microsoft:client-version";
/// Attach property that is the same on both links of a pair.
pub const CHANNEL_CORRELATION_PROPERTY: &str = "com.microsoft:channel-correlation-id";
