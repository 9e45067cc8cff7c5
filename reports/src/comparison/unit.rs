//! What compared figures are measured in.

use schemars::JsonSchema;
use serde::Serialize;

/// What a figure is measured in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FigureUnit {
    /// Microseconds; less is better.
    Microseconds,
    /// A part of one; less is better.
    Share,
    /// Devices a second; more is better.
    PerSecond,
}
