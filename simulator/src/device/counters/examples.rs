//! What a peer said that broke the protocol: an example of each kind, for the report.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use fleetstorm_protocol::registration::RegistrationOperationStatus;
use fleetstorm_reports::Outcome;
use fleetstorm_reports::outcomes::Example;

/// How much of an answer is shown, characters.
const SHOWN: usize = 200;

/// The first of each kind, from all cores: there are as many kinds as ways to end.
#[derive(Debug, Default)]
pub struct Examples(Mutex<BTreeMap<Outcome, String>>);

impl Examples {
    /// An answer that leads to an end like this.
    pub fn note(&self, outcome: Outcome, answer: &[u8]) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.entry(outcome).or_insert_with(|| describe(answer));
    }

    /// All of them.
    pub fn all(&self) -> Vec<Example> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let examples = known.iter().map(|(outcome, text)| Example {
            outcome: *outcome,
            text: text.clone(),
        });
        examples.collect()
    }
}

/// What is wrong with it, where a reader can tell, and its beginning.
fn describe(answer: &[u8]) -> String {
    let problem = serde_json::from_slice::<RegistrationOperationStatus>(answer).err();
    let text = String::from_utf8_lossy(answer);
    let mut shown: String = text
        .chars()
        .take(SHOWN)
        .flat_map(char::escape_debug)
        .collect();
    // Quotes are what JSON is made of.
    shown = shown.replace("\\\"", "\"");
    if text.chars().nth(SHOWN).is_some() {
        shown.push('…');
    }
    match (problem, answer.is_empty()) {
        (_, true) => "the answer was empty".into(),
        (Some(problem), false) => format!("{problem}: {shown}"),
        (None, false) => shown,
    }
}

#[cfg(test)]
mod tests {
    use fleetstorm_reports::{Breach, Fault, Phase};

    use super::*;

    #[test]
    fn the_first_of_each_kind_is_shown_with_what_is_wrong_with_it() {
        let broken = |breach| Outcome::Broken {
            phase: Phase::Register,
            fault: Fault::Protocol(breach),
        };
        let examples = Examples::default();
        examples.note(broken(Breach::Answer), br#"{"status":"assigning"}"#);
        examples.note(broken(Breach::Answer), b"never");
        let parked = br#"{"operationId":"1","status":"parked"}"#;
        examples.note(broken(Breach::Status), parked);
        let all: Vec<_> = examples
            .all()
            .into_iter()
            .map(|example| example.text)
            .collect();
        assert_eq!(
            all,
            [
                r#"missing field `operationId` at line 1 column 22: {"status":"assigning"}"#,
                r#"{"operationId":"1","status":"parked"}"#,
            ]
        );
    }

    #[test]
    fn whatever_was_answered_is_one_short_line() {
        for (answer, shown) in [
            (&b""[..], "the answer was empty"),
            (
                b"<html>\n\x1b[2J\xff",
                r"expected value at line 1 column 1: <html>\n\u{1b}[2J\u{fffd}",
            ),
        ] {
            let described = describe(answer).replace('\u{fffd}', r"\u{fffd}");
            assert_eq!(described, shown);
        }
        let long = describe(&[b'x'; 100_000]);
        assert!(long.ends_with("x…") && long.len() < 300, "{}", long.len());
    }
}
