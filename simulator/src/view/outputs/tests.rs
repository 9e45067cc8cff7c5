use fleetstorm_reports::Aggregator;
use fleetstorm_reports::run::{Ending, RunInfo};
use serde_json::json;

use super::*;

fn summary() -> Summary {
    let info = json!({
        "schema_version": fleetstorm_reports::journal::SCHEMA_VERSION,
        "scenario": "nightly",
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
    let info: RunInfo = serde_json::from_value(info).expect("a run");
    let fold = Aggregator::new(info, None).expect("no thresholds");
    fold.finish(Ending::default()).summary
}

fn outputs(texts: &[String]) -> Vec<Output> {
    let read = texts.iter().map(|text| text.parse().expect("an output"));
    read.collect()
}

#[test]
fn a_place_is_proven_before_anything_starts() {
    let scratch = tempfile::tempdir().expect("a folder");
    let at = |name: &str| format!("junit={}", scratch.path().join(name).display());
    assert_eq!(check(&outputs(&[at("a.xml"), "junit".into()])), Ok(()));
    for nowhere in [at("none/a.xml"), at("")] {
        let failure = check(&outputs(&[nowhere])).expect_err("there is no such place");
        assert_eq!(failure.exit_code, 2);
        assert!(failure.to_string().contains("--output"), "{failure}");
    }
}

#[test]
fn the_command_line_adds_to_what_the_scenario_asks_for() {
    let asked = outputs(&["junit".into(), "markdown=a.md".into()]);
    let all = all(&asked, &[Format::Junit, Format::Markdown]);
    assert_eq!(all[..2], asked);
    assert_eq!(in_folder(&all), [Format::Junit, Format::Markdown]);
}

#[test]
fn what_has_a_place_of_its_own_is_written_there_and_nowhere_else() {
    let scratch = tempfile::tempdir().expect("a folder");
    let path = scratch.path().join("result.xml");
    let outputs = outputs(&[format!("junit={}", path.display()), "markdown".into()]);
    assert_eq!(in_folder(&outputs), [Format::Markdown]);
    write(&summary(), &outputs, &Ci::default()).expect("room");
    let text = fs::read_to_string(&path).expect("a file");
    assert!(text.contains("<testcase"), "{text}");
    let written = fs::read_dir(scratch.path()).expect("a folder");
    assert_eq!(written.count(), 1);
}

#[test]
fn what_is_no_file_is_written_to_and_stays() {
    let outputs = outputs(&["junit=/dev/null".into()]);
    write(&summary(), &outputs, &Ci::default()).expect("a hole");
    let hole = fs::metadata("/dev/null").expect("a hole");
    assert!(!hole.is_file());
}

#[test]
fn the_page_of_a_step_gets_each_result_that_is_asked_for_as_markdown() {
    let scratch = tempfile::tempdir().expect("a folder");
    let page = scratch.path().join("page.md");
    fs::write(&page, "what another tool said").expect("a file");
    let ci = Ci {
        step_summary: Some(page.clone()),
        has_annotations: false,
    };
    write(&summary(), &outputs(&["junit=/dev/null".into()]), &ci).expect("a hole");
    for _ in 0..2 {
        write(&summary(), &outputs(&["markdown".into()]), &ci).expect("room");
    }
    let text = fs::read_to_string(&page).expect("a file");
    assert!(text.starts_with("what another tool said\n"), "{text}");
    assert_eq!(text.matches("\n## ").count(), 2, "{text}");
}

#[test]
fn what_is_of_many_files_takes_a_folder() {
    let scratch = tempfile::tempdir().expect("a folder");
    let at = |name: &str| outputs(&[format!("hgrm={}", scratch.path().join(name).display())]);
    fs::write(scratch.path().join("file"), "").expect("a file");
    assert!(check(&at("file")).is_err());
    assert_eq!(check(&at("new")), Ok(()));
    write(&summary(), &at("new"), &Ci::default()).expect("room");
    assert!(scratch.path().join("new").is_dir());
}
