//! What ARCHITECTURE.md and CONTRIBUTING.md say of the sources is so.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use architecture::CRATES;
use architecture::floors::table;

const ARCHITECTURE: &str = include_str!("../../ARCHITECTURE.md");
const CONTRIBUTING: &str = include_str!("../../CONTRIBUTING.md");

#[test]
fn the_floors_are_shown() {
    let table = table().expect("floors.toml");
    for name in CRATES {
        let floors = table[name].floors.iter().map(|floor| floor.name.as_str());
        let floors: Vec<_> = floors.collect();
        let row = format!("| `{name}` | {} |", floors.join(" · "));
        assert!(
            ARCHITECTURE.lines().any(|line| line == row),
            "ARCHITECTURE.md has no line {row}"
        );
    }
}

/// Files and folders of the sources, by all that ends their paths.
fn paths(folder: &Path, found: &mut BTreeSet<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        let is_made = path.join("CACHEDIR.TAG").exists() || path.ends_with("node_modules");
        if is_made || path.ends_with(".git") {
            continue;
        }
        let parts: Vec<_> = path.components().collect();
        found.extend((0..parts.len()).map(|first| parts[first..].iter().collect()));
        if path.is_dir() {
            paths(&path, found);
        }
    }
}

#[test]
fn files_that_are_named_are_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut there = BTreeSet::new();
    paths(&root.canonicalize().expect("the workspace"), &mut there);
    for (page, text) in [
        ("ARCHITECTURE.md", ARCHITECTURE),
        ("CONTRIBUTING.md", CONTRIBUTING),
    ] {
        let code = text.split('`').skip(1).step_by(2);
        let is_path = |code: &&str| {
            let ending = code.rsplit_once('.').map_or("", |(_, ending)| ending);
            let is_file = ["rs", "toml", "json", "md", "txt"].contains(&ending);
            (is_file || code.ends_with('/')) && !code.contains([' ', '*', '{'])
        };
        // What stands in capitals stands for any name.
        let named = code.filter(is_path).filter(|code| !code.contains("NAME"));
        for path in named {
            assert!(
                there.contains(Path::new(path)),
                "{page}: {path} is not there"
            );
        }
    }
}
