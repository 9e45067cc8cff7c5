//! Where devices go, where that is not the bundled server.

use std::net::IpAddr;
use std::path::PathBuf;

use crate::ports::Ports;

/// An endpoint that fleetstorm did not start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Host name, like `global.azure-devices-provisioning.net`.
    pub endpoint: String,
    /// Id scope of the instance.
    pub id_scope: String,
    /// PEM file with the CAs to trust instead of the system's; relative to the working directory.
    pub ca: Option<PathBuf>,
    /// Connect here whatever the names resolve to (like curl's `--connect-to`).
    pub connect_to: Option<IpAddr>,
    /// Where it and its hubs listen.
    pub ports: Ports,
}
