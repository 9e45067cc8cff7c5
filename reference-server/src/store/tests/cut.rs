//! Journals of a server that was killed, whose end is gone: as after a copy that stopped.

use std::path::{Path, PathBuf};

use super::damage::{files, folders, write};
use super::*;

/// A folder as it is while its server runs, with its journal cut to a length.
fn killed(store: &Path, at: &Path, length: usize) -> PathBuf {
    let _ = std::fs::remove_dir_all(at);
    write(at, &files(store), &folders(store));
    let journal = at.join("store").join("0.jnl");
    let bytes = std::fs::read(&journal).expect("readable");
    std::fs::write(&journal, &bytes[..length.min(bytes.len())]).expect("writable");
    journal
}

fn end(journal: &Path) -> usize {
    let bytes = std::fs::read(journal).expect("readable");
    let last = bytes.iter().rposition(|byte| *byte != 0);
    last.map_or(0, |last| last + 1)
}

#[tokio::test]
async fn what_was_answered_once_on_the_disk_is_missed_wherever_its_journal_is_cut() {
    let scratch = tempfile::tempdir().expect("a folder");
    let (path, copy) = (scratch.path().join("data"), scratch.path().join("copy"));
    let store = Store::in_folder(&path, Durability::Disk).expect("a new folder");
    for round in 0..20 {
        for number in 0..=round {
            put(
                &store,
                "hub",
                &format!("{number:04}"),
                &format!("{round}").repeat(2_000),
            );
        }
        store.settled().await.expect("a disk");
        let journal = killed(&path, &copy, usize::MAX);
        let end = end(&journal);
        assert_eq!(
            all(&open(&copy).expect("killed, no more"), "hub").len(),
            round + 1
        );
        for length in (0..end).rev().step_by(end / 7 + 1).chain([0]) {
            let journal = killed(&path, &copy, length);
            let refusal = open(&copy).expect_err("answered, and not there");
            assert_eq!(refusal.path, journal, "{length} of {end}");
            let words = refusal.to_string();
            assert!(words.contains("reached up to"), "{words}");
        }
        // As it is told there.
        killed(&path, &copy, end / 2);
        std::fs::remove_file(copy.join("reached")).expect("there");
        open(&copy).expect("without what is missing");
    }
}

#[test]
fn what_sorted_files_know_of_is_missed_in_a_journal() {
    let scratch = tempfile::tempdir().expect("a folder");
    let (path, copy) = (scratch.path().join("data"), scratch.path().join("copy"));
    let store = open(&path).expect("a new folder");
    for number in 0..20 {
        put(&store, "hub", &number.to_string(), "the value of it");
    }
    let end = end(&killed(&path, &copy, usize::MAX));
    store.0.as_ref().expect("a folder").sort();
    for length in (end / 20..end).step_by(7) {
        let journal = killed(&path, &copy, length);
        let refusal = open(&copy).expect_err("sorted, and not there");
        assert_eq!(refusal.path, journal, "{length} of {end}");
        let words = refusal.to_string();
        assert!(words.contains("sorted files know"), "{words}");
    }
    killed(&path, &copy, usize::MAX);
    assert_eq!(all(&open(&copy).expect("killed, no more"), "hub").len(), 20);
}
