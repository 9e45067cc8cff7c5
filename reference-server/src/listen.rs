//! Bytes to requests and responses to bytes, one file a protocol. No DPS logic here.
//!
//! The ports tell DPS and hubs apart, an adapter of either speaks to them, and below are engines that know
//! neither.

pub(crate) mod amqp_port;
pub(crate) mod client;
pub(crate) mod control;
pub(crate) mod https_port;
pub(crate) mod mqtt_port;
pub(crate) mod server;
pub(crate) mod stream;

mod amqp;
mod ask;
mod body;
mod claim;
mod dps_amqp;
mod dps_http;
mod dps_mqtt;
mod dps_service;
mod expiry;
mod http_answer;
mod hub_amqp;
mod hub_http;
mod hub_mqtt;
mod mqtt;
mod packet;
mod websocket;
