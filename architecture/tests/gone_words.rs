//! Words that were replaced do not come back: `gone-words.txt` lists them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use architecture::CRATES;
use serde_json::Value;
use syn::visit::{self, Visit};

/// What is told of no longer: `kind word better`, a line each; what begins with # is a comment.
const GONE: &str = include_str!("gone-words.txt");

/// A word that is gone.
struct Gone<'a> {
    kind: &'a str,
    word: &'a str,
    better: &'a str,
}

fn gone(kind: &str) -> impl Iterator<Item = Gone<'_>> {
    let words = GONE.lines().filter(|line| !line.starts_with('#'));
    words
        .filter(|line| !line.is_empty())
        .map(|line| {
            let (kind, rest) = line.split_once(' ').expect("kind word better");
            let (word, better) = rest.trim().split_once(' ').expect("kind word better");
            let better = better.trim();
            Gone { kind, word, better }
        })
        .filter(move |gone| gone.kind == kind)
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Every file below `folder` whose name ends so, with its text; nothing that a tool made or fetched.
fn files(folder: &Path, endings: &[&str], found: &mut Vec<(PathBuf, String)>) {
    for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        let name = name.to_string_lossy();
        let is_made = path.join("CACHEDIR.TAG").exists()
            || ["node_modules", "fleetstorm-out"].contains(&name.as_ref());
        if is_made || name.starts_with(".git") {
            continue;
        }
        if path.is_dir() {
            files(&path, endings, found);
        } else if endings.iter().any(|ending| name.ends_with(ending)) {
            let text = std::fs::read_to_string(&path).expect("text");
            found.push((path, text));
        }
    }
}

fn texts(endings: &[&str]) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    files(&root(), endings, &mut found);
    assert!(!found.is_empty(), "no file ends with {endings:?}");
    found
}

/// The names of types that are declared.
#[derive(Default)]
struct Types(BTreeSet<String>);

impl<'ast> Visit<'ast> for Types {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        let name = match item {
            syn::Item::Enum(item) => Some(&item.ident),
            syn::Item::Struct(item) => Some(&item.ident),
            syn::Item::Trait(item) => Some(&item.ident),
            syn::Item::Type(item) => Some(&item.ident),
            _ => None,
        };
        self.0.extend(name.map(ToString::to_string));
        visit::visit_item(self, item);
    }
}

#[test]
fn no_type_has_a_name_that_was_replaced() {
    for name in CRATES {
        let mut sources = Vec::new();
        files(&root().join(name), &[".rs"], &mut sources);
        for (path, text) in sources {
            let mut types = Types::default();
            types.visit_file(&syn::parse_file(&text).expect("Rust"));
            for Gone { word, better, .. } in gone("type") {
                let path = path.display();
                assert!(!types.0.contains(word), "{path}: {word} is now {better}");
            }
        }
    }
}

/// Names of properties, wherever they are in a schema.
fn properties(schema: &Value, found: &mut BTreeSet<String>) {
    match schema {
        Value::Object(members) => {
            for (key, value) in members {
                if let (true, Value::Object(names)) = (key == "properties", value) {
                    found.extend(names.keys().cloned());
                }
                properties(value, found);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| properties(item, found)),
        _ => {}
    }
}

#[test]
fn no_file_format_has_a_key_that_was_replaced() {
    for (path, text) in texts(&["schema.json"]) {
        let mut keys = BTreeSet::new();
        properties(&serde_json::from_str(&text).expect("JSON"), &mut keys);
        assert!(!keys.is_empty(), "{}", path.display());
        for Gone { word, better, .. } in gone("key") {
            let path = path.display();
            assert!(!keys.contains(word), "{path}: \"{word}\" is now {better}");
        }
    }
}

#[test]
fn no_text_names_a_flag_or_a_metric_that_was_replaced() {
    let is_of_word = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
    for (path, text) in texts(&[".md", ".rs", ".toml", ".snap", ".txt", ".mjs"]) {
        if path.ends_with("CHANGELOG.md") || path.ends_with("gone-words.txt") {
            continue;
        }
        for Gone { word, better, .. } in gone("word") {
            let is_there = text.match_indices(word).any(|(at, _)| {
                let before = text[..at].chars().next_back().is_some_and(is_of_word);
                let after = text[at + word.len()..]
                    .chars()
                    .next()
                    .is_some_and(is_of_word);
                !before && !after
            });
            assert!(!is_there, "{}: {word} is now {better}", path.display());
        }
    }
}
