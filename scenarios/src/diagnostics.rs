//! The mistakes found in a text so far.

use std::cell::RefCell;

use crate::error::{Mistake, Place};

/// A text, and the mistakes found in it so far.
#[derive(Debug)]
pub(crate) struct Diagnostics<'t> {
    text: &'t str,
    mistakes: RefCell<Vec<Mistake>>,
}

impl<'t> Diagnostics<'t> {
    pub(crate) fn new(text: &'t str) -> Self {
        Self {
            text,
            mistakes: RefCell::default(),
        }
    }

    /// Notes a mistake. Always `None`, to be returned.
    pub(crate) fn note<T>(
        &self,
        place: Option<Place>,
        key: &str,
        problem: String,
        hint: Option<String>,
    ) -> Option<T> {
        self.mistakes.borrow_mut().push(Mistake {
            place,
            key: key.into(),
            problem,
            hint,
        });
        None
    }

    /// Notes that the text is not TOML. Always `None`, to be returned.
    pub(crate) fn note_syntax<T>(&self, error: &toml::de::Error) -> Option<T> {
        let place = error.span().map(|span| self.place(span.start));
        let problem = format!("not TOML: {}", error.message().trim());
        self.note(place, "", problem, None)
    }

    /// Where a byte stands.
    pub(crate) fn place(&self, offset: usize) -> Place {
        let before = self.text.get(..offset).unwrap_or(self.text);
        let line_start = before.rfind('\n').map_or(0, |end| end + 1);
        Place {
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
        }
    }

    /// All of them, in the file's order.
    pub(crate) fn into_mistakes(self) -> Vec<Mistake> {
        let mut mistakes = self.mistakes.into_inner();
        mistakes.sort_by_key(|mistake| mistake.place);
        mistakes
    }
}

/// Asks whether the known word that looks like `word` was meant, else tells them all.
pub(crate) fn did_you_mean(word: &str, known: &[&str]) -> String {
    match closest(word, known) {
        Some(candidate) => format!("did you mean \"{candidate}\"?"),
        None => format!("known here: {}", known.join(", ")),
    }
}

/// The known word that looks like `word`. A third of the letters wrong is still a slip; more
/// is another word.
pub(crate) fn closest<'k>(word: &str, known: &[&'k str]) -> Option<&'k str> {
    known
        .iter()
        .map(|&candidate| (strsim::damerau_levenshtein(word, candidate), candidate))
        .min_by_key(|(distance, _)| *distance)
        .filter(|(distance, candidate)| *distance <= (candidate.len() / 3).max(1))
        .map(|(_, candidate)| candidate)
}
