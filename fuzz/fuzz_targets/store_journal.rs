//! The journal of a data folder: whole, torn at its end, or damaged, which is told.
#![no_main]

use std::fs;
use std::sync::OnceLock;

use fleetstorm_reference_server::fuzzing::read_journals;
use libfuzzer_sys::fuzz_target;
use tempfile::TempDir;

static FOLDER: OnceLock<TempDir> = OnceLock::new();

fuzz_target!(|bytes: &[u8]| {
    let folder = FOLDER.get_or_init(|| tempfile::tempdir().expect("a folder"));
    let (store, aside) = (folder.path().join("store"), folder.path().join("torn"));
    fs::create_dir_all(&store).expect("a folder");
    fs::create_dir_all(&aside).expect("a folder");
    fs::write(store.join("0.jnl"), bytes).expect("a file");
    if let Err(problem) = read_journals(&store, &aside) {
        assert!(problem.contains("0.jnl"), "{problem}");
    }
    for torn in fs::read_dir(&aside).expect("a folder").flatten() {
        fs::remove_file(torn.path()).expect("a file");
    }
});
