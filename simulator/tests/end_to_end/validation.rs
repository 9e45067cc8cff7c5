//! What is wrong with a scenario is told before anything starts, by every verb in the same words.

use std::path::PathBuf;

use crate::binary::{Scratch, fleetstorm, path};

/// The scenarios that their reader's own tests know to be wrong.
fn wrong_scenarios() -> Vec<PathBuf> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../scenarios/tests/rejects");
    let entries = std::fs::read_dir(folder).expect("the folder of broken files");
    let mut files: Vec<_> = entries
        .map(|entry| entry.expect("an entry").path())
        .filter(|file| file.extension().is_some_and(|ending| ending == "toml"))
        .filter(|file| {
            let told = std::fs::read_to_string(file.with_extension("txt"));
            told.expect("what it is told") != "valid\n"
        })
        .collect();
    files.sort();
    assert!(files.len() >= 50, "{files:?}");
    files
}

/// The words with which a scenario is refused: by each verb the same.
fn refusal(scratch: &Scratch, scenario: &str) -> String {
    let out = scratch.path("out");
    let validated = fleetstorm(&["validate", scenario]);
    for verb in [
        &["run", scenario, "--tui", "never", "--out", path(&out)][..],
        &["plan", scenario],
        &["enrollments", scenario],
    ] {
        let refused = fleetstorm(verb);
        assert_eq!(refused.stderr, validated.stderr, "{verb:?}");
        assert_eq!(refused.exit_code, 2, "{verb:?}");
    }
    assert_eq!(validated.exit_code, 2, "{scenario}: {}", validated.stdout);
    assert!(!out.exists(), "{scenario}: nothing has begun");
    validated.stderr
}

#[test]
fn every_wrong_scenario_is_refused_in_the_same_words_by_every_verb() {
    let scratch = Scratch::new();
    for file in wrong_scenarios() {
        let words = refusal(&scratch, path(&file));
        let place = format!("{}:", file.display());
        assert!(words.contains(&place), "{words}");
    }
}

#[test]
fn a_target_that_can_not_be_trusted_is_told_with_its_file() {
    let scratch = Scratch::new();
    let file = scratch.write(
        "elsewhere.toml",
        r#"
name = "elsewhere"
[target]
endpoint = "127.0.0.1"
id-scope = "0ne00000001"
ca = "no-such-file.pem"
[[cohort]]
name = "a"
devices = 1
attestation = "x509-group"
transport = "https"
arrival = { kind = "all-at-once" }
"#,
    );
    let words = refusal(&scratch, path(&file));
    let told = format!(
        "{}: failed to read the CA file no-such-file.pem",
        file.display()
    );
    assert!(words.contains(&told), "{words}");
}
