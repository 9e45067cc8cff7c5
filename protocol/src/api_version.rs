//! The versions of the APIs of DPS and of hubs.

use crate::path_error::PathError;
use crate::{DecodeError, query};

/// Those of DPS that its specification, its documentation and its clients name; the same for devices as
/// for the service side.
pub const OF_DPS: [&str; 14] = [
    "2017-08-31-preview",
    "2017-11-15",
    "2018-04-01",
    "2018-09-01-preview",
    "2018-11-01",
    "2019-03-31",
    // What IoT Edge 1.0 sends.
    "2019-04-15",
    "2021-06-01",
    "2021-10-01",
    "2021-11-01-preview",
    "2025-07-01-preview",
    "2026-11-01",
    "2026-11-02-preview",
    "2026-11-15-preview",
];

/// The same of hubs.
pub const OF_HUBS: [&str; 18] = [
    "2016-02-03",
    "2016-11-14",
    "2017-06-30",
    // What IoT Edge sends.
    "2017-11-08-preview",
    "2018-04-01",
    "2018-06-30",
    "2018-08-30-preview",
    "2019-03-30",
    "2019-07-01-preview",
    "2019-10-01",
    "2020-03-01",
    "2020-03-13",
    "2020-05-31-preview",
    // What IoT Edge hubs send on behalf of others.
    "2020-06-30-preview",
    "2020-09-30",
    "2021-04-12",
    "2021-11-01-preview",
    "2025-08-01-preview",
];

/// The version that the query of a request names.
///
/// # Errors
/// It names none.
pub fn of_query(query: Option<&str>) -> Result<String, PathError> {
    let what = "api-version";
    match query::value(query.unwrap_or_default(), what) {
        None | Some("") => Err(DecodeError::new(what, "is missing from the query").into()),
        Some(written) => Ok(query::decode(what, written)?),
    }
}
