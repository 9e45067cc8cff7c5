//! Renderers: a summary and a writer in, text out. None computes a statistic.

pub mod comparison;
pub mod csv;
pub mod format;
pub mod github;
pub mod hgrm;
pub mod hlog;
pub mod html;
pub mod json;
pub mod junit;
pub mod markdown;
pub mod prometheus;
pub mod style;
pub mod text;
