//! What the Device Provisioning Service and IoT Hub put on the wire.
//!
//! A sans-I/O leaf: bytes and strings in, types out, and back. Time and
//! randomness are arguments; there is no socket, clock or thread rng here, so
//! that the device side and the service side share one reading of the protocol
//! and both can be tested from vectors.
//!
//! In reading order: [`ids`], [`attestation`], [`registration`] and
//! [`service_error`] (the JSON bodies), [`document`] and [`api_version`] (how they are read), [`timestamp`] (the times in them), [`http`], [`mqtt`] and [`amqp`] (how the bodies
//! travel to DPS), [`websocket`] (what may carry them), [`hub`] (the assigned hub), [`sas`], [`symmetric_key`], [`x509`]
//! and [`tpm`] (how a device proves who it is), [`enrollment`] (what the service was told
//! beforehand), [`quota`] (how often it may be asked), [`fault`] (what a server of ours does wrong on purpose).
//!
//! One question of a device, as it comes over HTTPS and over MQTT:
//!
//! ```
//! use fleetstorm_protocol::http::{DeviceOperation, DeviceRequest};
//! use fleetstorm_protocol::mqtt::{DpsOperation, DpsRequest};
//! use fleetstorm_protocol::registration::DeviceRegistration;
//!
//! let path = "/0ne00000001/registrations/pump-1/register";
//! let over_https = DeviceRequest::parse("PUT", path, Some("api-version=2019-03-31"))?;
//! assert_eq!(over_https.operation, DeviceOperation::Register);
//! assert_eq!(over_https.registration_id.as_str(), "pump-1");
//!
//! let over_mqtt = DpsRequest::parse("$dps/registrations/PUT/iotdps-register/?$rid=1")?;
//! assert_eq!(over_mqtt.operation, DpsOperation::Register);
//!
//! let body = DeviceRegistration::from_body(br#"{"registrationId": "pump-1", "payload": {"floor": 2}}"#)?;
//! assert_eq!(body.payload.expect("it sends one")["floor"], 2);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod amqp;
pub mod api_version;
pub mod attestation;
pub mod custom_allocation;
pub mod document;
pub mod enrollment;
pub mod fault;
pub mod http;
pub mod hub;
pub mod ids;
pub mod mqtt;
pub mod path_error;
pub mod quota;
pub mod registration;
pub mod sas;
pub mod service_api;
pub mod service_error;
pub mod symmetric_key;
pub mod timestamp;
pub mod tpm;
pub mod twin;
pub mod websocket;
pub mod x509;

mod error;
mod query;

pub use error::DecodeError;
