//! `summary.json`; its schema is `reports/summary.schema.json`.

use std::io::{self, Write};

use crate::summary::Summary;

/// Writes it.
///
/// # Errors
/// The writer's.
pub fn render(summary: &Summary, out: &mut dyn Write) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, summary)?;
    out.write_all(b"\n")?;
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregator::fixture;

    #[test]
    fn what_is_written_reads_back() {
        let summary = fixture::summary();
        let mut text = Vec::new();
        render(&summary, &mut text).expect("memory");
        assert_eq!(
            serde_json::from_slice::<Summary>(&text).expect("a summary"),
            summary
        );
    }

    /// `UPDATE_SCHEMA=1` writes the file anew.
    #[test]
    fn the_schema_in_the_repository_is_that_of_the_summary() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/summary.schema.json");
        let schema =
            serde_json::to_string_pretty(&schemars::schema_for!(Summary)).expect("a schema") + "\n";
        if std::env::var_os("UPDATE_SCHEMA").is_some() {
            std::fs::write(path, &schema).expect("a writable schema");
        }
        let stored = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            stored == schema,
            "summary.schema.json is out of date: run the tests with UPDATE_SCHEMA=1"
        );
    }
}
