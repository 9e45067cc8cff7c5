//! The architecture, held: which crate may know which.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the workspace")
        .to_owned()
}

#[test]
fn no_crate_knows_one_that_it_may_not() {
    let allowed: BTreeSet<(&str, &str)> = [
        ("fleetstorm-scenarios", "fleetstorm-protocol"),
        ("fleetstorm-scenarios", "fleetstorm-reports"),
        ("fleetstorm-reference-server", "fleetstorm-protocol"),
        ("fleetstorm-reference-server", "fleetstorm-websocket"),
        ("fleetstorm", "fleetstorm-protocol"),
        ("fleetstorm", "fleetstorm-scenarios"),
        ("fleetstorm", "fleetstorm-reports"),
        ("fleetstorm", "fleetstorm-reference-server"),
        ("fleetstorm", "fleetstorm-websocket"),
    ]
    .into();
    let metadata = cargo_metadata::MetadataCommand::new()
        .manifest_path(workspace().join("Cargo.toml"))
        .no_deps()
        .other_options(["--offline".to_owned()])
        .exec()
        .expect("cargo metadata");
    let mut seen = 0;
    for package in &metadata.packages {
        for dependency in package.dependencies.iter().filter(|d| d.path.is_some()) {
            let edge = (package.name.as_str(), dependency.name.as_str());
            assert!(
                allowed.contains(&edge),
                "{} may not know {}",
                edge.0,
                edge.1
            );
            seen += 1;
        }
    }
    assert_eq!(seen, allowed.len(), "an edge of the list is gone");
}

/// Every `.rs` file below `folder`, with its text.
fn sources(folder: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder").flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                let text = std::fs::read_to_string(&path).expect("a source file");
                found.push((path, text));
            }
        }
    }
    found
}

#[test]
fn one_file_of_the_simulator_names_the_reference_server() {
    let naming: Vec<_> = sources(&workspace().join("simulator/src"))
        .into_iter()
        .filter(|(_, text)| text.contains("fleetstorm_reference_server"))
        .map(|(path, _)| {
            path.file_name()
                .map(|name| name.to_string_lossy().into_owned())
        })
        .collect();
    assert_eq!(naming, [Some("bundled.rs".to_owned())]);
}

#[test]
fn the_protocol_does_no_input_or_output_and_reads_no_clock() {
    let banned = [
        "tokio",
        "std::net",
        "SystemTime",
        "Instant::now",
        "Timestamp::now",
        "std::fs",
        "rand::",
    ];
    for (path, text) in sources(&workspace().join("protocol/src")) {
        for word in banned {
            assert!(!text.contains(word), "{} has {word}", path.display());
        }
    }
}

#[test]
fn the_terminal_ui_sees_snapshots_only() {
    for (path, text) in sources(&workspace().join("simulator/src/view/tui")) {
        for word in [
            "Aggregator",
            "Recorder",
            "crate::device",
            "crate::link",
            "crate::scheduler",
        ] {
            assert!(!text.contains(word), "{} has {word}", path.display());
        }
    }
}
