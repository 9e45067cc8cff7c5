//! A part of a list.

use serde_json::Value;

/// Some entries in the form of the service API, and where to go on, if there are more.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    /// The entries.
    pub items: Vec<Value>,
    /// Names the place after the last of them.
    pub next: Option<String>,
}
