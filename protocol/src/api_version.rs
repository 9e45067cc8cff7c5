//! The versions of DPS's APIs.

use crate::http::PathError;
use crate::{DecodeError, query};

/// Those that its specification, its documentation and its clients name; the same for devices as for
/// the service side.
pub const KNOWN: [&str; 14] = [
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

/// The version that the query of a request names.
///
/// # Errors
/// It names none.
pub(crate) fn of_query(query: Option<&str>) -> Result<String, PathError> {
    let what = "api-version";
    match query::value(query.unwrap_or_default(), what) {
        None | Some("") => Err(DecodeError::new(what, "is missing from the query").into()),
        Some(written) => Ok(query::decode(what, written)?),
    }
}
