use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use super::Store;
use super::durability::Durability;
use super::error::StoreError;
use super::kind::Kind;

mod cut;
mod damage;

fn open(path: &Path) -> Result<Store, StoreError> {
    Store::in_folder(path, Durability::Process)
}

fn put(store: &Store, scope: &str, id: &str, value: &str) {
    store.write(|writes| writes.put(Kind::Identity, scope, id, &value));
    store.check().expect("room");
}

fn all(store: &Store, scope: &str) -> Vec<(String, String)> {
    let mut all = Vec::new();
    let read = store.each(Kind::Identity, scope, |id, value: String| {
        all.push((id.to_owned(), value));
        Ok(())
    });
    read.expect("readable");
    all
}

#[test]
fn what_was_put_and_not_removed_is_there_after_a_restart() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("new");
    let store = open(&path).expect("a new folder");
    for (id, value) in [("a", "1"), ("b", "2"), ("a", "3")] {
        put(&store, "Hub", id, value);
    }
    put(&store, "hub-2", "c", "4");
    store.write(|writes| {
        writes.remove(Kind::Identity, "hub", "b");
        writes.put(Kind::Identity, "hub", "d", &"5");
    });
    let secret = store.secret("key", || "first".to_owned()).expect("room");
    assert_eq!(secret, "first");
    drop(store);
    let store = open(&path).expect("the same folder");
    let pairs = [("a", "3"), ("d", "5")].map(|(id, value)| (id.to_owned(), value.to_owned()));
    assert_eq!(all(&store, "hub"), pairs);
    let secret = store.secret("key", || "second".to_owned()).expect("kept");
    assert_eq!(secret, "first");
}

#[test]
fn memory_keeps_nothing_and_looks_at_nothing() {
    let store = Store::default();
    store.write(|_| unreachable!("not asked for"));
    assert!(all(&store, "hub").is_empty());
    assert!(store.check().is_ok());
}

#[tokio::test]
async fn an_answer_waits_until_what_it_tells_is_on_the_disk() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::in_folder(folder.path(), Durability::Disk).expect("a folder");
    store.settled().await.expect("nothing to wait for");
    for id in ["a", "b"] {
        put(&store, "hub", id, "1");
        let unsynced = |store: &Store| store.0.as_ref().expect("a folder").unsynced();
        store.settled().await.expect("a disk");
        assert_eq!(unsynced(&store), 0);
    }
}

#[test]
fn a_folder_that_cant_be_used_is_refused_in_words() {
    let folder = tempfile::tempdir().expect("a folder");
    let refused = |path: &Path, words: &str| {
        let refusal = open(path).expect_err("refused").to_string();
        assert!(refusal.contains(words), "{refusal}");
        assert!(
            refusal.starts_with(path.to_str().expect("UTF-8")),
            "{refusal}"
        );
    };
    let used = folder.path().join("used");
    let held = open(&used).expect("new");
    refused(&used, "another server uses it");
    put(&held, "hub", "a", "1");
    drop(held);

    std::fs::write(used.join("format"), "fleetstorm data 2\n").expect("writable");
    refused(&used, "its format is \"fleetstorm data 2\"");

    let foreign = folder.path().join("foreign");
    std::fs::create_dir(&foreign).expect("writable");
    std::fs::write(foreign.join("letter"), "dear").expect("writable");
    refused(&foreign, "is no data folder and not empty");
    refused(&foreign.join("letter"), "");
}

/// Where the writer that is killed writes.
const WRITES_TO: &str = "FLEETSTORM_TEST_WRITES_TO";

#[test]
#[ignore = "the process that the test below starts and kills"]
fn a_writer_that_does_not_end() {
    let path = std::env::var_os(WRITES_TO).expect("a folder");
    let store = open(Path::new(&path)).expect("the folder");
    #[expect(clippy::disallowed_methods, reason = "a test of its own reads it")]
    let mut said = std::io::stdout();
    for number in all(&store, "hub").len().. {
        let id = format!("{number:08}");
        put(&store, "hub", &id, &id);
        writeln!(said, "\nkept {id}").expect("a reader");
        said.flush().expect("a reader");
    }
}

#[test]
fn nothing_that_was_said_to_be_kept_is_lost_when_the_process_is_killed() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("data");
    let mut said = Vec::new();
    for _ in 0..5 {
        let mut writer = Command::new(std::env::current_exe().expect("this program"))
            .args(["--exact", "store::tests::a_writer_that_does_not_end"])
            .args(["--ignored", "--nocapture"])
            .env(WRITES_TO, &path)
            .stdout(Stdio::piped())
            .spawn()
            .expect("a process");
        let output = writer.stdout.take().expect("its output");
        let mut lines = 0;
        // All that was said before the kill counts, also what was not read by then.
        for line in BufReader::new(output).lines() {
            if let Some(id) = line.expect("text").strip_prefix("kept ") {
                said.push(id.to_owned());
                lines += 1;
            }
            if lines == 500 {
                writer.kill().expect("it runs, or was killed already");
            }
        }
        writer.wait().expect("its end");
        assert!(lines >= 500, "it ended by itself");
    }
    // A line may be cut by the kill, the last of each life.
    said.retain(|id| id.len() == 8);
    let store = open(&path).expect("readable after five kills");
    let kept = all(&store, "hub");
    let is_lost = |id: &&String| kept.binary_search_by(|(kept, _)| kept.cmp(id)).is_err();
    let lost: Vec<_> = said.iter().filter(is_lost).collect();
    assert!(
        lost.is_empty(),
        "{} of {}: {lost:?}",
        lost.len(),
        said.len()
    );
    assert!(said.len() >= 2_500 && kept.iter().all(|(id, value)| id == value));
}
