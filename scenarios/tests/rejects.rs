//! Broken scenario files, and what people are told: `rejects/x.toml` gives `rejects/x.txt`.
//!
//! `UPDATE_GOLDEN=1 cargo test -p fleetstorm-scenarios` writes the messages anew.

use std::fs;
use std::path::{Path, PathBuf};

use fleetstorm_reports::threshold::Terms;
use fleetstorm_reports::{Dimensions, Threshold};
use fleetstorm_scenarios::parse;
use proptest::prelude::*;

fn broken_files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rejects");
    let entries = fs::read_dir(folder).expect("the folder of broken files");
    let mut files: Vec<_> = entries
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|ext| ext == "toml"))
        .collect();
    files.sort();
    files
}

#[test]
fn every_broken_file_gets_its_messages() {
    let files = broken_files();
    assert!(files.len() >= 12, "{files:?}");
    let mut differences = String::new();
    for path in files {
        let origin = path
            .file_name()
            .and_then(|name| name.to_str())
            .expect("UTF-8");
        let text = fs::read_to_string(&path).expect("a broken file");
        let report = match parse(&text, origin) {
            Ok(_) => String::from("valid\n"),
            Err(error) => error.report() + "\n",
        };
        let golden = path.with_extension("txt");
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            fs::write(&golden, &report).expect("write the golden message");
        }
        let expected = fs::read_to_string(&golden).unwrap_or_default();
        if report != expected {
            differences += &format!("--- expected\n{expected}+++ got\n{report}");
        }
    }
    assert!(differences.is_empty(), "{differences}");
}

#[test]
fn three_mistakes_are_told_at_once_with_line_column_and_key() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rejects/three-mistakes.toml");
    let text = fs::read_to_string(path).expect("three-mistakes.toml");
    let error = parse(&text, "three-mistakes.toml").expect_err("three mistakes");
    let found: Vec<_> = error
        .mistakes
        .iter()
        .map(|m| (m.place.map(|at| (at.line, at.column)), m.key.as_str()))
        .collect();
    assert_eq!(
        found,
        [
            (Some((9, 1)), "cohort[0].attestaton"),
            (Some((13, 11)), "cohort[1].devices"),
            (Some((15, 34)), "cohort[1].transport.mqtt"),
        ]
    );
}

/// What a threshold may be is for the reports to say; whatever they refuse must reach people
/// with its line and in their words.
#[test]
fn a_threshold_that_reports_refuse_is_a_mistake_with_its_line() {
    let rows = [
        ("registration.response.p99", "< 5s"),
        ("registraton.response.p99", "< 5s"),
        ("registration.response.p99", "< 5 parsecs"),
        ("dropped.count", "about 0"),
        ("failed.rat.io", "< 1%"),
    ];
    for (subject, condition) in rows {
        let without = WHOLE.split("[thresholds]").next().expect("a first part");
        let line = without.lines().count() + 2;
        let text = format!("{without}[thresholds]\n{subject} = \"{condition}\"\n");
        let told = parse(&text, "any").map_err(|error| error.report());
        let column = subject.len() + " = ".len() + 1;
        let refused =
            Threshold::parse(subject, condition, Terms::default(), &Dimensions::default())
                .map_err(|error| format!("any:{line}:{column}: thresholds.{subject}: {error}"));
        assert_eq!(told.err(), refused.err());
    }
}

/// A valid file.
const WHOLE: &str = include_str!("../smoke.toml");

proptest! {
    #[test]
    fn any_text_is_read_or_refused_with_a_mistake(text in "\\PC*") {
        if let Err(error) = parse(&text, "any") {
            prop_assert!(!error.mistakes.is_empty());
        }
    }

    #[test]
    fn a_file_with_a_line_gone_is_read_or_refused_with_a_mistake(gone in 0_usize..60) {
        let lines = WHOLE.lines().enumerate().filter(|(index, _)| *index != gone);
        let text: Vec<_> = lines.map(|(_, line)| line).collect();
        if let Err(error) = parse(&text.join("\n"), "any") {
            prop_assert!(!error.mistakes.is_empty());
        }
    }

    #[test]
    fn a_file_with_a_value_of_another_type_is_read_or_refused_with_a_mistake(
        line in 0_usize..60,
        value in prop::sample::select(vec!["-1", "1e400", "nan", "[]", "{}", "\"\"", "true", "1979-05-27", "[[{}]]", "99999999999999999999"]),
    ) {
        let lines = WHOLE.lines().enumerate().map(|(index, text)| match text.split_once('=') {
            Some((key, _)) if index == line => format!("{key}= {value}"),
            _ => text.to_string(),
        });
        if let Err(error) = parse(&lines.collect::<Vec<_>>().join("\n"), "any") {
            prop_assert!(!error.mistakes.is_empty());
        }
    }
}
