//! The server as a device sees it: bytes over real connections, written by hand, so that
//! nothing the server is made of answers for itself.

mod amqp_sdks;
mod answers;
mod any_bytes;
mod authorities;
mod bounded_time;
mod certificates;
mod chains;
mod control_port;
mod conversations;
mod diagnostics;
mod dialect;
mod disorder;
mod dps_mqtt;
mod faults;
mod geo;
mod good_byes;
mod hub;
mod instance;
mod issuing;
mod keep_alive;
mod monitoring;
mod mutation;
mod odd_certificates;
mod panics;
mod questions;
mod server_certificate;
mod service_api;
mod software_tpm;
mod tenants;
mod tls;
mod upgrades;
mod webhooks;
mod websocket;
