//! The journal of a run, folded again: to its end, or as far as it is whole.
#![no_main]

use std::fs;
use std::path::PathBuf;
use std::sync::OnceLock;

use fleetstorm_reports::replay;
use libfuzzer_sys::fuzz_target;
use tempfile::TempDir;

static FOLDER: OnceLock<TempDir> = OnceLock::new();

fuzz_target!(|bytes: &[u8]| {
    let path = journal();
    fs::write(&path, bytes).expect("a file");
    let _ = replay::scenario(&path);
    let _ = replay::records(&path, |_| {});
    let _ = replay::replay(&path);
});

fn journal() -> PathBuf {
    let folder = FOLDER.get_or_init(|| tempfile::tempdir().expect("a folder"));
    folder.path().join("journal.jsonl")
}
