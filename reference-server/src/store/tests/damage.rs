//! Folders with damage: whatever a disk does to one file, a server refuses it in words or has all of it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{Kind, Store, StoreError, open, put};

/// How many folders are damaged.
const DAMAGES: &str = "FLEETSTORM_TEST_DAMAGES";
/// As long as nobody says otherwise.
const FEW: u32 = 300;
/// What a disk loses at once.
const SECTOR: usize = 512;

type Contents = Vec<(Kind, String, String)>;

fn contents(store: &Store) -> Result<Contents, StoreError> {
    let mut contents = Vec::new();
    for kind in Kind::ALL {
        store.each(kind, "hub", |id, value: String| {
            contents.push((kind, id.to_owned(), value));
            Ok(())
        })?;
    }
    Ok(contents)
}

/// Files with their contents, by their paths in a folder.
pub(super) fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).expect("a folder") {
            let path = entry.expect("readable").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(folder).expect("it is in there");
                files.insert(name.to_owned(), std::fs::read(&path).expect("readable"));
            }
        }
    }
    files
}

pub(super) fn write(folder: &Path, files: &BTreeMap<PathBuf, Vec<u8>>, folders: &[PathBuf]) {
    for name in folders {
        std::fs::create_dir_all(folder.join(name)).expect("writable");
    }
    for (name, bytes) in files {
        std::fs::write(folder.join(name), bytes).expect("writable");
    }
}

pub(super) fn folders(folder: &Path) -> Vec<PathBuf> {
    let mut folders = vec![folder.to_owned()];
    let mut place = 0;
    while place < folders.len() {
        for entry in std::fs::read_dir(&folders[place]).expect("a folder") {
            let path = entry.expect("readable").path();
            if path.is_dir() {
                folders.push(path);
            }
        }
        place += 1;
    }
    let names = folders.iter().map(|path| path.strip_prefix(folder));
    names
        .map(|name| name.expect("it is in there").to_owned())
        .collect()
}

/// A folder as a life leaves it: sorted files, and a journal with changes to what is in them.
fn lived_in(path: &Path) -> Contents {
    let store = open(path).expect("a new folder");
    let put = |kind, id: u32, value: &str| {
        let value = format!("{value} of {id}");
        store.write(|writes| writes.put(kind, "hub", &format!("{id:04}"), &value));
    };
    let sort = || store.0.as_ref().expect("a folder").sort();
    for kind in Kind::ALL {
        (0..40).for_each(|id| put(kind, id, "the first value"));
    }
    sort();
    for kind in [Kind::Individual, Kind::Identity] {
        (10..30).for_each(|id| put(kind, id, "another value"));
    }
    store.write(|writes| writes.remove(Kind::Identity, "hub", "0003"));
    sort();
    for id in 20..60 {
        put(Kind::Identity, id, "the last value");
        store.write(|writes| {
            writes.put(Kind::Registration, "hub", &format!("{id:04}"), &"assigned");
            writes.remove(Kind::Authority, "hub", &format!("{id:04}"));
        });
    }
    store.check().expect("room");
    contents(&store).expect("readable")
}

#[test]
fn a_damaged_folder_is_refused_in_words_or_whole() {
    let scratch = tempfile::tempdir().expect("a folder");
    let template = scratch.path().join("template");
    let whole = lived_in(&template);
    // Room that is set aside is gone.
    drop(open(&template).expect("whole"));
    let (intact, folders) = (files(&template), folders(&template));
    let names: Vec<_> = intact
        .iter()
        .filter(|(_, bytes)| !bytes.is_empty())
        .collect();

    let damages = std::env::var(DAMAGES).map_or(FEW, |count| count.parse().expect("a number"));
    let mut random = ChaCha8Rng::seed_from_u64(13);
    let (mut refused, mut kept) = (0, 0);
    for damage in 0..damages {
        let (name, bytes) = names[random.random_range(0..names.len())];
        let mut bytes = bytes.clone();
        let place = random.random_range(0..bytes.len());
        let what = if random.random_ratio(1, 4) {
            let sector = place / SECTOR * SECTOR;
            let end = bytes.len().min(sector + SECTOR);
            bytes[sector..end].fill(0);
            format!(
                "{damage}: {} without its sector at {sector}",
                name.display()
            )
        } else {
            bytes[place] ^= 1 << random.random_range(0..8);
            format!("{damage}: {} with a flipped bit at {place}", name.display())
        };
        let path = scratch.path().join("damaged");
        let mut damaged = intact.clone();
        damaged.insert(name.clone(), bytes);
        let is_killed = random.random_bool(0.5) && name != Path::new("reached");
        if is_killed {
            damaged.remove(Path::new("reached"));
        }
        write(&path, &damaged, &folders);
        match open(&path).and_then(|store| contents(&store)) {
            Ok(found) => {
                // The end of what a server wrote when it was killed may be missing: that is told.
                let is_torn = is_killed && path.join("torn").exists();
                assert!(
                    found == whole || is_torn,
                    "{what}: {} of {}",
                    found.len(),
                    whole.len()
                );
                kept += 1;
            }
            Err(error) => {
                let words = error.to_string();
                let file = path.join(name).display().to_string();
                let is_named = words.contains(&file) || words.contains("its format is");
                assert!(is_named, "{what}: {words}");
                assert_eq!(files(&path), damaged, "{what}: {words}: it is as it was");
                refused += 1;
            }
        }
        std::fs::remove_dir_all(&path).expect("ours");
    }
    #[expect(clippy::disallowed_methods, reason = "for who asked for many")]
    let mut out = std::io::stdout();
    let _ = std::io::Write::write_fmt(&mut out, format_args!("{refused} refused, {kept} whole\n"));
    assert!(refused > kept);
}

/// The journal of a small folder, and what it says, without the room behind that.
fn small(path: &Path) -> (PathBuf, Vec<u8>) {
    let store = open(path).expect("a new folder");
    for number in 0..10 {
        put(&store, "hub", &number.to_string(), "the value of it");
    }
    drop(store);
    // As after a kill.
    std::fs::remove_file(path.join("reached")).expect("it was stopped");
    let journal = path.join("store").join("0.jnl");
    let mut bytes = std::fs::read(&journal).expect("readable");
    let end = bytes.iter().rposition(|byte| *byte != 0);
    bytes.truncate(end.expect("something") + 1);
    (journal, bytes)
}

#[test]
fn a_torn_end_is_left_out_and_kept_aside() {
    let scratch = tempfile::tempdir().expect("a folder");
    let path = scratch.path().join("data");
    let (journal, whole) = small(&path);
    let record = whole.len() / 10;
    // The kernel stops a write between two pages when its process is killed; behind them is
    // nothing yet, or room that was set aside.
    for cut in (whole.len() - record + 1..whole.len()).step_by(3) {
        for room in [0, 1 << 16] {
            let mut torn = whole[..cut].to_vec();
            let written = torn.iter().rposition(|byte| *byte != 0).expect("something") + 1;
            torn.resize(cut + room, 0);
            std::fs::write(&journal, &torn).expect("writable");
            let store = open(&path).expect("what was under way is left out");
            assert_eq!(super::all(&store, "hub").len(), 9, "{cut} {room}");
            let offset = whole.len() - record;
            let kept = std::fs::read(path.join("torn").join(format!("0.jnl@{offset}")));
            assert_eq!(kept.expect("kept"), whole[offset..written], "{cut} {room}");
            drop(store);
            std::fs::remove_file(path.join("reached")).expect("it was stopped");
        }
    }
}

#[test]
fn damage_is_named_by_file_and_offset_and_nothing_is_cut_off() {
    let scratch = tempfile::tempdir().expect("a folder");
    let path = scratch.path().join("data");
    let (journal, whole) = small(&path);
    let record = whole.len() / 10;
    // Every byte of the first, of one in the middle and of the last record, good ones behind it or none.
    for number in [0, 4, 9] {
        for place in number * record..(number + 1) * record {
            let mut damaged = whole.clone();
            damaged[place] ^= 0x10;
            std::fs::write(&journal, &damaged).expect("writable");
            let refusal = match open(&path) {
                Err(refusal) => refusal,
                // The last one may have another number.
                Ok(store) => {
                    assert_eq!(super::all(&store, "hub").len(), 10, "{place}");
                    drop(store);
                    std::fs::remove_file(path.join("reached")).expect("it was stopped");
                    continue;
                }
            };
            assert_eq!(refusal.path, journal, "{place}");
            let words = refusal.to_string();
            let is_here = words.contains(&format!("at offset {}", number * record));
            let is_next = words.contains(&format!("at offset {}", (number + 1) * record));
            assert!(is_here || is_next, "{place}: {words}");
            assert!(words.contains("bring back a copy"), "{words}");
            assert_eq!(std::fs::read(&journal).expect("there"), damaged, "{place}");
        }
    }
}

#[test]
fn what_a_stopped_server_has_kept_is_missed() {
    let scratch = tempfile::tempdir().expect("a folder");
    let path = scratch.path().join("data");
    let (journal, whole) = small(&path);
    std::fs::write(&journal, &whole).expect("writable");
    drop(open(&path).expect("whole"));
    let record = whole.len() / 10;
    std::fs::write(&journal, &whole[..8 * record]).expect("writable");
    let refusal = open(&path).expect_err("two are gone");
    assert_eq!(refusal.path, journal);
    let words = refusal.to_string();
    assert!(
        words.contains(&format!("at offset {}", 8 * record)),
        "{words}"
    );
    // As it is told there.
    std::fs::remove_file(path.join("reached")).expect("there");
    assert_eq!(
        super::all(&open(&path).expect("without them"), "hub").len(),
        8
    );
}

#[test]
fn a_folder_that_was_being_made_is_made_again() {
    let scratch = tempfile::tempdir().expect("a folder");
    let path = scratch.path().join("data");
    let works = |what: &str| {
        let store = open(&path).unwrap_or_else(|e| panic!("{what}: {e}"));
        put(&store, "hub", "a", "1");
    };
    std::fs::create_dir_all(path.join("new").join("keyspaces")).expect("writable");
    std::fs::write(path.join("new").join("0.jnl"), "").expect("writable");
    works("half a database");
    std::fs::remove_dir_all(&path).expect("ours");

    std::fs::create_dir(&path).expect("writable");
    std::fs::write(path.join("format"), "").expect("writable");
    works("an empty format");

    std::fs::rename(path.join("store"), path.join("new")).expect("ours");
    std::fs::remove_file(path.join("reached")).expect("it was stopped");
    works("not moved yet");

    std::fs::write(path.join("format"), "").expect("writable");
    let refusal = open(&path).expect_err("it has a database").to_string();
    assert!(refusal.contains("`format` is empty"), "{refusal}");

    std::fs::write(path.join("format"), "fleetstorm data 1\n").expect("writable");
    std::fs::remove_dir_all(path.join("store")).expect("ours");
    let refusal = open(&path).expect_err("its database is gone").to_string();
    assert!(refusal.contains("`store` is gone"), "{refusal}");
}
