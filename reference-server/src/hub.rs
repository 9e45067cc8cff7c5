//! The hubs that devices are assigned to.

pub mod registry;
