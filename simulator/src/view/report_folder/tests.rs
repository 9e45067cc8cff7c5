use std::os::unix::fs::symlink;

use fleetstorm_reports::Aggregator;
use fleetstorm_reports::run::{Ending, Finished, RunInfo};
use serde_json::{Value, json};

use super::files::{FINISHED, REPORT, draft};
use super::*;

fn folder() -> (tempfile::TempDir, PathBuf) {
    let scratch = tempfile::tempdir().expect("a folder");
    let path = scratch.path().join("out");
    (scratch, path)
}

fn info(scenario: &str) -> RunInfo {
    let info = json!({
        "schema_version": fleetstorm_reports::journal::SCHEMA_VERSION,
        "scenario": scenario,
        "target": "here",
        "seed": 1,
        "time_scale": 1.0,
        "fleetstorm_version": "0",
        "started_at": "2026-11-24T10:00:00Z",
        "machine": { "name": null, "cores": 1, "cpu": null, "memory_bytes": null, "kernel": null },
        "planned": 1,
        "arrivals": null,
        "max_dropped": fleetstorm_reports::validity::MAX_DROPPED,
        "dimensions": {
            "cohorts": [], "transports": [], "attestations": [], "tenants": [], "regions": [], "hubs": [],
        },
        "thresholds": [],
        "slos": [],
    });
    serde_json::from_value(info).expect("a run")
}

fn finished(scenario: &str, journal: Option<Journal>) -> Finished {
    let fold = Aggregator::new(info(scenario), journal).expect("no thresholds");
    fold.finish(Ending::default())
}

fn claim(path: &Path, scenario: &str) -> Result<ReportFolder, Failure> {
    ReportFolder::claim(Some(path), scenario, false)
}

/// A run into `path` from its start to its end.
fn run(path: &Path, scenario: &str, has_journal: bool) {
    let mut folder = claim(path, scenario).expect("a folder");
    let journal = has_journal.then(|| folder.journal().expect("a journal"));
    folder.begin();
    let finished = finished(scenario, journal);
    finished.journal.expect("room");
    folder.publish(&finished.summary, &[]).expect("room");
}

/// One that ends in the middle.
fn cut_off(path: &Path, scenario: &str) {
    let mut folder = claim(path, scenario).expect("a folder");
    let journal = folder.journal().expect("a journal");
    folder.begin();
    Aggregator::new(info(scenario), Some(journal)).expect("no thresholds");
}

fn names(path: &Path) -> Vec<String> {
    let entries = fs::read_dir(path).expect("a folder");
    let mut names: Vec<_> = entries
        .map(|entry| {
            entry
                .expect("an entry")
                .file_name()
                .into_string()
                .expect("UTF-8")
        })
        .collect();
    names.sort();
    names
}

fn refused(claimed: Result<ReportFolder, Failure>, words: &[&str]) {
    let failure = claimed.expect_err("it is not to be had");
    assert_eq!(failure.exit_code, 2);
    for word in words {
        assert!(failure.to_string().contains(word), "{failure}");
    }
}

#[test]
fn somebody_elses_files_are_left_alone_whatever_was_said() {
    let (_scratch, path) = folder();
    fs::create_dir(&path).expect("a folder");
    for (name, text) in [
        ("thesis.txt", "years of work"),
        (SUMMARY, "{\"total\": {\"lines\": 100}}"),
        (JOURNAL, "dear diary\n"),
        (REPORT, "<p>"),
        (LOG, "GET /"),
    ] {
        fs::write(path.join(name), text).expect("a file");
        refused(
            ReportFolder::claim(Some(&path), "a", true),
            &[name, "--out"],
        );
        assert_eq!(names(&path), [name]);
        assert_eq!(fs::read_to_string(path.join(name)).expect("a file"), text);
        fs::remove_file(path.join(name)).expect("a file");
    }
    for inner in [UNFINISHED, FINISHED, CUT_OFF] {
        fs::create_dir_all(path.join(inner).join("chapters")).expect("a folder");
        refused(
            ReportFolder::claim(Some(&path), "a", true),
            &["chapters", "--out"],
        );
        assert_eq!(names(&path.join(inner)), ["chapters"]);
        fs::remove_dir_all(path.join(inner)).expect("a folder");
    }
    symlink("/etc", path.join(UNFINISHED)).expect("a link");
    refused(ReportFolder::claim(Some(&path), "a", true), &[UNFINISHED]);
}

#[test]
fn a_run_that_never_begins_leaves_everything_as_it_was() {
    let (_scratch, path) = folder();
    drop(claim(&path, "a").expect("a folder"));
    assert!(!path.exists());
    run(&path, "a", true);
    let before = names(&path);
    assert_eq!(before, [JOURNAL, REPORT, SUMMARY]);
    let folder = claim(&path, "a").expect("the same scenario's");
    fs::write(folder.log(), "it did not start").expect("a log");
    assert_eq!(read(&path).expect("a report").scenario, "a");
    drop(folder);
    assert_eq!(names(&path), before);
}

#[test]
fn a_report_gives_way_to_a_finished_one_of_its_scenario_and_to_no_other() {
    let (_scratch, path) = folder();
    run(&path, "a", true);
    run(&path, "a", false);
    assert_eq!(
        names(&path),
        [REPORT, SUMMARY],
        "the journal was the older run's"
    );
    refused(
        claim(&path, "b"),
        &["another scenario: a", "--out", "--force"],
    );
    let mut folder = ReportFolder::claim(Some(&path), "b", true).expect("by force");
    folder.begin();
    folder
        .publish(&finished("b", None).summary, &[])
        .expect("room");
    assert_eq!(read(&path).expect("a report").scenario, "b");
    assert_eq!(names(&path), [REPORT, SUMMARY]);
}

#[test]
fn of_two_runs_at_once_the_second_is_refused() {
    let (_scratch, path) = folder();
    let first = claim(&path, "a").expect("a folder");
    refused(claim(&path, "a"), &["a run is under way", "out"]);
    refused(
        ReportFolder::claim(Some(&path), "a", true),
        &["a run is under way"],
    );
    let reopened = reopen(&path).expect_err("not yet");
    assert!(reopened.message.contains("under way"), "{reopened}");
    let inner = reopen(&path.join(UNFINISHED)).expect_err("not yet");
    assert!(inner.message.contains("under way"), "{inner}");
    drop(first);
    claim(&path, "a").expect("the other one has gone");
}

#[test]
fn a_full_disk_keeps_the_older_report_and_sends_the_newer_elsewhere() {
    let (_scratch, path) = folder();
    run(&path, "a", false);
    let older = fs::read(path.join(SUMMARY)).expect("a report");
    let mut folder = claim(&path, "a").expect("the same scenario's");
    folder.begin();
    // What is written there fails as on a full disk.
    symlink("/dev/full", path.join(UNFINISHED).join(draft(SUMMARY))).expect("a link");
    let summary = finished("a", None).summary;
    let unpublished = folder.publish(&summary, &[]).expect_err("no space left");
    let told = unpublished.failure.to_string();
    assert!(
        told.contains(SUMMARY) && told.contains("No space left"),
        "{told}"
    );
    let elsewhere = unpublished.elsewhere.expect("another disk");
    assert_eq!(read(&elsewhere).expect("a report"), summary);
    fs::remove_dir_all(elsewhere).expect("a folder");
    assert_eq!(fs::read(path.join(SUMMARY)).expect("a report"), older);
}

#[test]
fn the_end_of_a_partial_journal_gives_way_to_the_report() {
    let (_scratch, path) = folder();
    let mut folder = claim(&path, "a").expect("a folder");
    folder.journal().expect("a journal");
    folder.begin();
    let unfinished = path.join(UNFINISHED);
    fs::write(unfinished.join(JOURNAL), "{}\n").expect("a journal");
    folder.mark_journal_partial();
    // It can be written at the second try: the first one takes the link away.
    symlink("/dev/full", unfinished.join(draft(SUMMARY))).expect("a link");
    folder
        .publish(&finished("a", None).summary, &[])
        .expect("room");
    assert_eq!(names(&path), [PARTIAL_JOURNAL, REPORT, SUMMARY]);
    let left = fs::metadata(path.join(PARTIAL_JOURNAL)).expect("a journal");
    assert_eq!(left.len(), 0);
    drop(folder);
    assert!(reopen(&path).expect("a report").remark.is_none());
}

#[test]
fn a_report_that_was_on_its_way_arrives() {
    let (_scratch, path) = folder();
    run(&path, "a", false);
    // The process was ended after it had moved the first file.
    let newer = path.join(FINISHED);
    fs::create_dir(&newer).expect("a folder");
    let mut summary = finished("a", None).summary;
    summary.started_at = "2026-11-25T10:00:00Z".into();
    write(&newer, &summary, &[]).expect("room");
    fs::rename(newer.join(REPORT), path.join(REPORT)).expect("a move");
    assert_eq!(reopen(&path).expect("a report").summary, summary);
    assert_eq!(names(&path), [REPORT, SUMMARY]);
}

#[test]
fn what_was_cut_off_is_reported_and_outlives_a_run_that_never_begins() {
    let (_scratch, path) = folder();
    cut_off(&path, "a");
    refused(claim(&path, "b"), &["another scenario: a"]);
    drop(claim(&path, "a").expect("the same scenario's"));
    assert_eq!(names(&path), [CUT_OFF]);
    let reopened = reopen(&path).expect("a journal");
    assert!(reopened.summary.invalid_reasons[0].contains("cut off"));
    reopened.write(&[]).expect("room");
    drop(reopened);
    assert_eq!(names(&path), [JOURNAL, REPORT, SUMMARY]);
    assert_eq!(read(&path).expect("a report").exit_code, 98);
}

#[test]
fn a_report_stays_beside_a_later_run_that_was_cut_off() {
    let (_scratch, path) = folder();
    run(&path, "a", false);
    cut_off(&path, "a");
    let reopened = reopen(&path).expect("a report");
    assert!(
        !reopened
            .summary
            .invalid_reasons
            .iter()
            .any(|it| it.contains("cut off"))
    );
    let remark = reopened.remark.as_deref().expect("a remark");
    assert!(
        remark.contains("cut off") && remark.contains("out/unfinished"),
        "{remark}"
    );
    reopened.write(&[]).expect("room");
    assert_eq!(names(&path), [REPORT, SUMMARY, UNFINISHED]);
    let later = reopen(&path.join(UNFINISHED)).expect("a journal").summary;
    assert_eq!(later.exit_code, 98);
    drop(reopened);
    run(&path, "a", false);
    assert_eq!(names(&path), [REPORT, SUMMARY]);
}

#[test]
fn a_journal_that_was_damaged_later_spoils_no_report() {
    let (_scratch, path) = folder();
    run(&path, "a", true);
    let summary = fs::read(path.join(SUMMARY)).expect("a report");
    let journal = fs::read(path.join(JOURNAL)).expect("a journal");
    fs::write(path.join(JOURNAL), &journal[..journal.len() - 9]).expect("a shorter journal");
    let reopened = reopen(&path).expect("a journal");
    assert_eq!(reopened.summary.exit_code, 98);
    assert!(
        reopened
            .remark
            .as_deref()
            .is_some_and(|remark| remark.contains("gaps"))
    );
    reopened.write(&[]).expect("room");
    assert_eq!(fs::read(path.join(SUMMARY)).expect("a report"), summary);
}

#[test]
fn a_run_that_was_cut_off_without_a_journal_is_told_of() {
    let (_scratch, path) = folder();
    let mut folder = claim(&path, "a").expect("a folder");
    fs::write(folder.log(), "").expect("a log");
    folder.begin();
    drop(folder);
    let failure = reopen(&path).expect_err("nothing to report");
    assert!(failure.to_string().contains("--journal"), "{failure}");
    run(&path, "b", false);
    assert_eq!(names(&path), [REPORT, SUMMARY]);
}

#[test]
fn a_summary_of_another_version_is_refused_by_its_version() {
    let (_scratch, path) = folder();
    run(&path, "a", false);
    // One whose shape would do, and one of another shape.
    let written = fs::read(path.join(SUMMARY)).expect("a report");
    let mut later: Value = serde_json::from_slice(&written).expect("JSON");
    later["schema_version"] = 9.into();
    for (summary, version) in [(later, 9), (json!({ "schema_version": 1, "life": {} }), 1)] {
        fs::write(path.join(SUMMARY), summary.to_string()).expect("a file");
        let failure = read(&path).expect_err("another version").to_string();
        let words = format!("of schema version {version};");
        assert!(failure.contains(&words), "{failure}");
    }
}

#[test]
fn a_journal_of_another_version_is_refused_by_its_version() {
    let (_scratch, path) = folder();
    fs::create_dir(&path).expect("a folder");
    let current = serde_json::to_value(info("a")).expect("JSON");
    let next = fleetstorm_reports::journal::SCHEMA_VERSION + 1;
    let mut newer = current.clone();
    newer["schema_version"] = next.into();
    let mut unversioned = current;
    let fields = unversioned.as_object_mut().expect("a run");
    fields.remove("schema_version");
    for (run, version) in [
        (unversioned, 1),
        (json!({ "scenario": "a", "life": {} }), 1),
        (newer, next),
        (json!({ "scenario": "a", "schema_version": next }), next),
    ] {
        let first = json!({ "run": run });
        fs::write(path.join(JOURNAL), format!("{first}\n{{}}\n")).expect("a file");
        let told = [
            reopen(&path).expect_err("another version").to_string(),
            records_of(&path, |_| {})
                .expect_err("another version")
                .to_string(),
        ];
        for told in told {
            for words in [
                format!("is a journal of schema version {version};"),
                format!("this fleetstorm reads version {}", next - 1),
                "report with the fleetstorm that wrote it".into(),
            ] {
                assert!(told.contains(&words), "{told}");
            }
        }
        drop(claim(&path, "a").expect("the same scenario's"));
        refused(claim(&path, "b"), &["another scenario: a"]);
    }
}

#[test]
fn names_become_fit_for_files() {
    let now: jiff::ZonedDateTime = "2026-11-24T10:11:12[UTC]".parse().expect("a time");
    assert_eq!(
        default_path("geo/ramp 1", &now),
        Path::new("fleetstorm-out/geo-ramp-1-20261124-101112")
    );
}

#[test]
fn outputs_are_a_part_of_the_report_and_go_with_it() {
    let (_scratch, path) = folder();
    let formats = Format::ALL;
    let mut folder = claim(&path, "a").expect("a folder");
    folder.begin();
    folder
        .publish(&finished("a", None).summary, &formats)
        .expect("room");
    drop(folder);
    let has_all = || {
        ["junit.xml", "summary.md", "timeline.csv"]
            .iter()
            .all(|file| path.join(file).exists())
    };
    assert!(has_all());
    run(&path, "a", false);
    assert_eq!(names(&path), [REPORT, SUMMARY]);
    let reopened = reopen(&path).expect("a report");
    reopened.write(&formats).expect("room");
    assert!(has_all());
}
