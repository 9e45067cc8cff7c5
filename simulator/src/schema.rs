//! Schemas of what commands write for programs: files in the repository, derived from the types.

use std::path::Path;

use schemars::JsonSchema;

/// Proves that the schema in a file of this crate is that of a type; `UPDATE_SCHEMA=1` writes the file anew.
pub fn check<Document: JsonSchema>(file: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    let schema = schemars::schema_for!(Document);
    let schema = serde_json::to_string_pretty(&schema).expect("a schema") + "\n";
    if std::env::var_os("UPDATE_SCHEMA").is_some() {
        std::fs::write(&path, &schema).expect("a writable schema");
    }
    let stored = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        stored == schema,
        "{file} is out of date: run the tests with UPDATE_SCHEMA=1"
    );
}
