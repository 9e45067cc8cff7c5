use super::*;
use crate::aggregator::fixture::{self, aggregator, due_before, ending, live};
use crate::breach::Breach;
use crate::journal::Journal;
use crate::outcome::{Fault, Outcome};
use crate::outcomes::Example;
use crate::phase::Phase;
use crate::render;
use crate::run::Ending;
use crate::verdict::Verdict;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use std::sync::LazyLock;

/// A whole journal, and what it came to.
fn journal() -> (Vec<u8>, Summary) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("journal.jsonl");
    let mut aggregator = aggregator(Some(Journal::create(&path).expect("a journal")));
    aggregator.snapshot(&live(), due_before);
    let finished = aggregator.finish(ending());
    finished.journal.expect("a writable journal");
    (std::fs::read(&path).expect("readable"), finished.summary)
}

fn replayed(bytes: &[u8]) -> io::Result<Replayed> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("journal.jsonl");
    std::fs::write(&path, bytes).expect("a file");
    replay(&path)
}

#[test]
fn a_whole_journal_gives_the_same_summary_again() {
    let (bytes, written) = journal();
    let replayed = replayed(&bytes).expect("a journal");
    assert!(replayed.is_whole);
    assert_eq!(replayed.summary, written);
}

#[test]
fn an_answer_that_broke_the_protocol_is_shown_beside_the_devices_that_heard_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("journal.jsonl");
    let mut aggregator = aggregator(Some(Journal::create(&path).expect("a journal")));
    let outcome = Outcome::Broken {
        phase: Phase::Register,
        fault: Fault::Protocol(Breach::Answer),
    };
    let mut broken = fixture::records().pop().expect("a record");
    broken.outcome = outcome;
    aggregator.add(&broken);
    let text = r#"missing field `operationId` at line 1 column 22: {"status":"assigning"}"#;
    let finished = aggregator.finish(Ending {
        examples: vec![Example {
            outcome,
            text: text.into(),
        }],
        ..ending()
    });
    let read = replay(&path).expect("a journal").summary;
    assert_eq!(read, finished.summary);
    let shown = read.outcomes.iter().find(|one| one.example.is_some());
    let shown = shown.expect("the example");
    assert_eq!(shown.example.as_deref(), Some(text));
    assert_eq!(shown.count, 1);
    let words = "protocol broken at register: the answer is not the documented JSON";
    assert_eq!((shown.outcome, shown.text.as_str()), (outcome, words));
    let mut console = Vec::new();
    render::text::render(&read, render::style::Style::Plain, &mut console).expect("memory");
    let console = String::from_utf8(console).expect("UTF-8");
    assert!(
        console.contains(words) && console.contains(text),
        "{console}"
    );
    let mut page = Vec::new();
    render::html::render(&read, &mut page).expect("memory");
    let page = String::from_utf8(page).expect("UTF-8");
    assert!(
        page.contains(words) && page.contains("missing field"),
        "{page}"
    );
    assert!(!page.contains(text), "it is escaped");
}

#[test]
fn a_journal_that_was_cut_off_is_read_to_its_last_whole_line() {
    let (bytes, _) = journal();
    let lines: Vec<_> = bytes.split_inclusive(|byte| *byte == b'\n').collect();
    let after = |lines: &[&[u8]], torn: &[u8]| [lines.concat().as_slice(), torn].concat();
    for (bytes, devices, place) in [
        // The run, two devices, and half of another.
        (
            after(&lines[..3], &lines[3][..20]),
            2,
            "after 505 ms, with line 3, when 2 of 4 devices",
        ),
        (after(&lines[..3], b""), 2, "with line 3"),
        // All but its end.
        (
            after(&lines[..4], lines[4].trim_ascii_end()),
            4,
            "with line 5",
        ),
        (
            after(&lines[..1], &[0; 5000]),
            0,
            "with line 1, when 0 of 4",
        ),
    ] {
        let replayed = replayed(&bytes).expect("a journal");
        let summary = replayed.summary;
        assert!(!replayed.is_whole);
        assert_eq!((summary.verdict, summary.exit_code), (Verdict::Invalid, 98));
        assert_eq!(summary.devices.released, devices);
        let reason = &summary.invalid_reasons[0];
        assert!(
            reason.contains("cut off") && reason.contains(place),
            "{reason}"
        );
    }
}

#[test]
fn a_damaged_line_is_told_with_its_number_and_the_rest_is_read() {
    let (bytes, _) = journal();
    let mut lines: Vec<_> = bytes.split_inclusive(|byte| *byte == b'\n').collect();
    lines[2] = b"{\"record\": \xff\n";
    let one = replayed(&lines.concat()).expect("a journal").summary;
    assert_eq!((one.verdict, one.exit_code), (Verdict::Invalid, 98));
    assert_eq!(one.devices.provisioned + one.devices.failed, 3);
    let reason = &one.invalid_reasons[0];
    assert!(
        reason.starts_with("line 3 of the journal is damaged"),
        "{reason}"
    );

    let late = String::from_utf8(lines[3].to_vec()).expect("UTF-8");
    let late = late.replace("\"end_us\":", "\"end_us\":9999999999999");
    lines[3] = late.as_bytes();
    let two = replayed(&lines.concat()).expect("a journal").summary;
    let reason = &two.invalid_reasons[0];
    assert!(
        reason.starts_with("line 3 of the journal and 1 after it"),
        "{reason}"
    );
}

#[test]
fn what_is_no_journal_is_refused() {
    let (bytes, _) = journal();
    let headless = bytes.splitn(2, |byte| *byte == b'\n').nth(1).expect("more");
    for (bytes, words) in [
        (b"".as_slice(), "it is empty"),
        (b"{\"run\": {", "it is empty"),
        (b"{}\n", "line 1: is none of a journal"),
        (headless, "line 1: a journal starts with its run"),
    ] {
        let problem = replayed(bytes).expect_err("no journal").to_string();
        assert!(problem.contains(words), "{problem}");
    }
}

/// Figures that a journal may hold by mistake.
const FIGURES: [&str; 5] = ["0", "255", "65535", "40000000000", "18446744073709551615"];

/// Puts another figure in the place of one.
fn with_figure(bytes: &mut Vec<u8>, place: Index, figure: &str) {
    let start = place.index(bytes.len());
    let is_digit = |byte: &u8| byte.is_ascii_digit();
    let Some(first) = bytes[start..].iter().position(is_digit) else {
        return;
    };
    let first = start + first;
    let digits = bytes[first..]
        .iter()
        .take_while(|byte| is_digit(byte))
        .count();
    bytes.splice(first..first + digits, figure.bytes());
}

proptest! {
    /// Whatever a disk has made of it: figures or a refusal, and every renderer bears them.
    #[test]
    fn no_damage_panics(
        flipped in vec((any::<Index>(), any::<u8>()), 0..3),
        figures in vec((any::<Index>(), select(&FIGURES)), 0..4),
        end in any::<Index>(),
    ) {
        static WHOLE: LazyLock<Vec<u8>> = LazyLock::new(|| journal().0);
        let mut bytes = WHOLE.clone();
        for (place, figure) in figures {
            with_figure(&mut bytes, place, figure);
        }
        for (place, byte) in flipped {
            let length = bytes.len();
            bytes[place.index(length)] = byte;
        }
        bytes.truncate(end.index(4 * bytes.len()));
        if let Ok(Replayed { summary, .. }) = replayed(&bytes) {
            let style = render::style::Style::Plain;
            render::text::render(&summary, style, &mut io::sink()).expect("words");
            render::html::render(&summary, &mut io::sink()).expect("a page");
            render::json::render(&summary, &mut io::sink()).expect("JSON");
        }
    }
}

/// Seeds of another version would be refused by their first line, and find nothing.
#[test]
fn the_seeds_of_the_fuzz_target_are_journals_of_this_version() {
    let seed = |name: &str| {
        let seeds = concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz/seeds/run_journal");
        replay(&Path::new(seeds).join(name)).expect("a journal: run one with --journal")
    };
    let whole = seed("whole");
    assert!(whole.is_whole, "{:?}", whole.summary.invalid_reasons);
    assert!(whole.summary.devices.provisioned > 0);
    assert!(!seed("torn").is_whole);
}
