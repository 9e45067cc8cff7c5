//! The JSON Schema of scenario files, which editors complete and check with (Taplo, Even Better TOML:
//! a file's first line names it, `#:schema ./schema.json`).
//!
//! It is written by hand, for its words are read by people; tests ask the reader for every key and
//! every word that it knows and hold the two together.

/// `scenarios/schema.json` (JSON Schema, draft 7, the one that Taplo speaks).
pub const SCHEMA: &str = include_str!("../schema.json");
