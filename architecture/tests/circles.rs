//! No file knows one that knows it, by whatever way.

use architecture::circles::circles;
use architecture::imports::Imports;
use architecture::sources::Sources;
use architecture::{CRATES, folder_of};

#[test]
fn files_know_each_other_in_no_circle() {
    for name in CRATES {
        let sources = Sources::read(&folder_of(name), "lib.rs").expect("sources");
        let circles = circles(&Imports::of(&sources));
        assert!(
            circles.is_empty(),
            "{name}: {circles:?}: let what they need of each other stand below them, in a file of its own"
        );
    }
}

#[test]
fn what_a_file_names_is_what_it_knows() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().expect("below it")).expect("folders");
        std::fs::write(path, text).expect("a file");
    };
    write(
        "lib.rs",
        "mod room; mod leaf; mod apart; pub use room::Room;",
    );
    write(
        "room.rs",
        "mod inner; pub struct Room; impl Room { pub fn of() -> u8 { crate::leaf::one() + inner::two() } }
         #[cfg(test)] mod tests { use crate::apart::Apart; }",
    );
    write(
        "room/inner.rs",
        "use super::Room; use std::fmt; pub fn two() -> u8 { drop(Room); 2 }",
    );
    write(
        "leaf.rs",
        "pub(in crate::leaf) struct Leaf; pub fn one() -> u8 { 1 }",
    );
    write(
        "apart.rs",
        "use crate::{leaf::{self, one as first}, Room}; pub struct Apart;",
    );
    let sources = Sources::read(folder.path(), "lib.rs").expect("Rust");
    let imports = Imports::of(&sources);
    let known = |name: &str| -> Vec<&str> {
        let at = imports
            .names
            .iter()
            .position(|known| known == name)
            .expect("a file");
        imports.known[at]
            .iter()
            .map(|to| imports.names[*to].as_str())
            .collect()
    };
    assert_eq!(known("lib"), ["room"]);
    assert_eq!(known("room"), ["room/inner", "leaf"]);
    assert_eq!(known("room/inner"), ["room"]);
    assert!(known("leaf").is_empty());
    assert_eq!(known("apart"), ["lib", "leaf"]);
    assert_eq!(circles(&imports), [["room", "room/inner"]]);
}
