//! What a run is against: the bundled reference server, or a target that a scenario names.

pub mod bundled;
pub mod control;
pub mod service_side;
pub mod target;
