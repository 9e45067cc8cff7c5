//! Bytes to questions and answers to bytes, one file a protocol. No DPS logic here.

pub(crate) mod amqp;
pub(crate) mod client;
pub(crate) mod control;
pub(crate) mod host;
pub(crate) mod http;
pub(crate) mod mqtt;
pub(crate) mod stream;

mod ask;
mod body;
mod claim;
mod dps_amqp;
mod dps_mqtt;
mod dps_service;
mod expiry;
mod hub_amqp;
mod hub_http;
mod hub_mqtt;
mod packet;
mod websocket;
