//! Where and when a run takes place.

use jiff::Timestamp;

/// Where and when a run takes place.
#[derive(Debug, Clone)]
pub struct Setting {
    /// Host names of the hubs, as far as they are known, by the index that records have.
    pub hubs: Vec<String>,
    /// Id scopes of the instances, by tenant.
    pub id_scopes: Vec<String>,
    /// When it began, by the calendar.
    pub started_at: Timestamp,
    /// Between which moments the bundled server started, microseconds since the run's start.
    pub server_born_us: Option<(i64, i64)>,
}
