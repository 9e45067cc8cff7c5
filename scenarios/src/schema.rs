//! The JSON Schema of scenario files, which editors complete and check with (Taplo, Even Better TOML:
//! a file's first line names it, `#:schema ./schema.json`): draft 7, the one that Taplo speaks. It is
//! made of the keys that the reader reads.

use crate::json::Object;
use crate::keys::Section;
use crate::parse::{self, ScenarioKeys};

/// What `scenarios/schema.json` holds.
pub fn schema() -> String {
    let schema = Object::default()
        .with("$schema", "http://json-schema.org/draft-07/schema#")
        .with("title", "fleetstorm scenario")
        .and(ScenarioKeys::schema())
        .with("definitions", parse::definitions());
    serde_json::to_string_pretty(&schema).unwrap_or_default() + "\n"
}

#[cfg(test)]
mod tests {
    use super::schema;

    /// `UPDATE_SCHEMA=1` writes the file anew.
    #[test]
    fn the_schema_is_up_to_date() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/schema.json");
        if std::env::var_os("UPDATE_SCHEMA").is_some() {
            std::fs::write(path, schema()).expect("write the schema");
        }
        let on_disk = std::fs::read_to_string(path).expect("the schema");
        assert!(
            on_disk == schema(),
            "schema.json is out of date: run the tests with UPDATE_SCHEMA=1"
        );
    }
}
