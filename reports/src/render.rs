//! Renderers: a summary and a writer in, text out. None computes a statistic.

pub mod html;
pub mod json;
pub mod style;
pub mod text;
