//! A scenario's TOML as tables and values that know their place and key, and collect mistakes.
//!
//! A derived deserializer stops at the first mistake. Here a reader takes the keys it knows out
//! of a [`Table`]; what is missing, of the wrong type or left over is noted in the [`Diagnostics`], and
//! reading goes on. The rule that holds it together: **a reader returns `None` only after it has
//! noted a mistake.**

use std::cell::RefCell;
use std::ops::RangeInclusive;

use toml::de::{DeInteger, DeTable, DeValue};

use crate::error::{Mistake, Place, ScenarioError};

/// The text, and the mistakes found in it so far.
#[derive(Debug)]
struct Diagnostics<'t> {
    text: &'t str,
    mistakes: RefCell<Vec<Mistake>>,
}

/// Reads `text` with `read`, which gets the root table.
///
/// # Errors
/// The TOML parser's first error, for what it finds after that may be its own confusion; else
/// every mistake that `read` noted, in the file's order.
pub(crate) fn read<T>(
    text: &str,
    origin: &str,
    read: impl FnOnce(Table<'_>) -> Option<T>,
) -> Result<T, ScenarioError> {
    let diagnostics = Diagnostics {
        text,
        mistakes: RefCell::default(),
    };
    let tree = DeTable::parse(text);
    let result = match &tree {
        Ok(tree) => read(Table::new(
            &diagnostics,
            String::new(),
            None,
            tree.get_ref(),
        )),
        Err(error) => diagnostics.note_syntax(error),
    };
    let mut mistakes = diagnostics.mistakes.into_inner();
    match result {
        Some(value) if mistakes.is_empty() => Ok(value),
        _ => {
            mistakes.sort_by_key(|mistake| mistake.place);
            Err(ScenarioError {
                origin: origin.into(),
                mistakes,
            })
        }
    }
}

impl Diagnostics<'_> {
    fn note(&self, place: Option<Place>, key: &str, problem: String, hint: Option<String>) {
        self.mistakes.borrow_mut().push(Mistake {
            place,
            key: key.into(),
            problem,
            hint,
        });
    }

    /// Notes that the text is not TOML. Always `None`, to be returned.
    fn note_syntax<T>(&self, error: &toml::de::Error) -> Option<T> {
        let place = error.span().map(|span| self.place(span.start));
        let problem = format!("not TOML: {}", error.message().trim());
        self.note(place, "", problem, None);
        None
    }

    /// Where a byte stands.
    fn place(&self, offset: usize) -> Place {
        let before = self.text.get(..offset).unwrap_or(self.text);
        let line_start = before.rfind('\n').map_or(0, |end| end + 1);
        Place {
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
        }
    }
}

/// A table whose known keys have yet to be taken.
#[derive(Debug)]
pub(crate) struct Table<'f> {
    diagnostics: &'f Diagnostics<'f>,
    path: String,
    place: Option<Place>,
    /// In the file's order.
    entries: Vec<Entry<'f>>,
    known: Vec<&'static str>,
    missing: Vec<&'static str>,
}

#[derive(Debug)]
struct Entry<'f> {
    key: &'f str,
    key_place: Place,
    value: Value<'f>,
}

impl<'f> Table<'f> {
    fn new(
        diagnostics: &'f Diagnostics<'f>,
        path: String,
        place: Option<Place>,
        table: &'f DeTable<'f>,
    ) -> Self {
        let mut in_order: Vec<_> = table.iter().collect();
        in_order.sort_by_key(|(key, _)| key.span().start);
        let entries = in_order.into_iter().map(|(key, value)| Entry {
            key: key.get_ref(),
            key_place: diagnostics.place(key.span().start),
            value: Value {
                diagnostics,
                path: join(&path, key.get_ref()),
                place: diagnostics.place(value.span().start),
                node: value.get_ref(),
            },
        });
        Self {
            entries: entries.collect(),
            diagnostics,
            path,
            place,
            known: Vec::new(),
            missing: Vec::new(),
        }
    }

    /// Takes the value of `key` out, if there is one.
    pub(crate) fn take(&mut self, key: &'static str) -> Option<Value<'f>> {
        self.known.push(key);
        let index = self.entries.iter().position(|entry| entry.key == key)?;
        Some(self.entries.remove(index).value)
    }

    /// Takes the value of `key` out, which must be there.
    pub(crate) fn require(&mut self, key: &'static str) -> Option<Value<'f>> {
        let value = self.take(key);
        if value.is_none() {
            self.missing(key, None);
        }
        value
    }

    /// Notes that `key` is not there.
    pub(crate) fn missing(&mut self, key: &'static str, hint: Option<&str>) {
        self.missing.push(key);
        let problem = "is missing".into();
        let path = join(&self.path, key);
        self.diagnostics
            .note(self.place, &path, problem, hint.map(Into::into));
    }

    /// Notes that what it has of `key`, or has not, is wrong. Always `None`, to be returned.
    pub(crate) fn wrong<T>(&self, key: &str, problem: String) -> Option<T> {
        let path = join(&self.path, key);
        self.diagnostics.note(self.place, &path, problem, None);
        None
    }

    /// Notes the keys that nobody took. One that looks like a missing key is that key
    /// misspelt: one mistake, not two.
    pub(crate) fn finish(self) {
        for entry in &self.entries {
            if let Some(meant) = closest(entry.key, &self.known)
                && self.missing.contains(&meant)
            {
                let path = join(&self.path, meant);
                let mut mistakes = self.diagnostics.mistakes.borrow_mut();
                mistakes.retain(|mistake| mistake.key != path);
            }
            let hint = did_you_mean(entry.key, &self.known);
            let problem = "unknown key".into();
            self.diagnostics.note(
                Some(entry.key_place),
                &entry.value.path,
                problem,
                Some(hint),
            );
        }
    }

    /// Every entry not yet taken, in the file's order: for tables whose keys are the user's.
    pub(crate) fn into_entries(self) -> impl Iterator<Item = (&'f str, Value<'f>)> {
        let entries = self.entries.into_iter();
        entries.map(|entry| (entry.key, entry.value))
    }

    /// Whether no entry is left.
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

/// A value, its key and its place.
#[derive(Debug, Clone)]
pub(crate) struct Value<'f> {
    diagnostics: &'f Diagnostics<'f>,
    path: String,
    place: Place,
    node: &'f DeValue<'f>,
}

impl<'f> Value<'f> {
    /// Notes that the value is wrong. Always `None`, to be returned.
    pub(crate) fn wrong<T>(
        &self,
        problem: impl Into<String>,
        hint: impl Into<Option<String>>,
    ) -> Option<T> {
        self.diagnostics
            .note(Some(self.place), &self.path, problem.into(), hint.into());
        None
    }

    pub(crate) fn is_table(&self) -> bool {
        self.node.is_table()
    }

    pub(crate) fn is_array(&self) -> bool {
        matches!(self.node, DeValue::Array(_))
    }

    pub(crate) fn is_text(&self) -> bool {
        self.node.is_str()
    }

    /// The value as parsed.
    pub(crate) fn node(&self) -> &'f DeValue<'f> {
        self.node
    }

    pub(crate) fn text(&self) -> Option<&'f str> {
        match self.node {
            DeValue::String(text) => Some(text),
            _ => self.expected("a string"),
        }
    }

    /// A string; `example` shows one to who wrote something else.
    pub(crate) fn text_like(&self, example: &str) -> Option<&'f str> {
        match self.node {
            DeValue::String(text) => Some(text),
            other => self.wrong(
                format!("must be a string, not {}", kind(other)),
                format!("like {example}"),
            ),
        }
    }

    pub(crate) fn boolean(&self) -> Option<bool> {
        match self.node {
            DeValue::Boolean(boolean) => Some(*boolean),
            _ => self.expected("true or false"),
        }
    }

    /// A whole number within `range`.
    pub(crate) fn integer(&self, range: RangeInclusive<u64>) -> Option<u64> {
        let DeValue::Integer(integer) = self.node else {
            return self.expected("a whole number");
        };
        match whole(integer) {
            Some(number) if range.contains(&number) => Some(number),
            _ => {
                let (least, most) = range.into_inner();
                self.wrong(
                    format!("must be from {least} to {most}, not {integer}"),
                    None,
                )
            }
        }
    }

    pub(crate) fn table(&self) -> Option<Table<'f>> {
        match self.node {
            DeValue::Table(table) => Some(Table::new(
                self.diagnostics,
                self.path.clone(),
                Some(self.place),
                table,
            )),
            _ => self.expected("a table"),
        }
    }

    pub(crate) fn array(&self) -> Option<Vec<Value<'f>>> {
        let DeValue::Array(array) = self.node else {
            return self.expected("an array");
        };
        let elements = array.iter().enumerate().map(|(index, element)| Value {
            diagnostics: self.diagnostics,
            path: format!("{}[{index}]", self.path),
            place: self.diagnostics.place(element.span().start),
            node: element.get_ref(),
        });
        Some(elements.collect())
    }

    /// One of `words`; `what` names the kind of word.
    pub(crate) fn word<T: Copy>(
        &self,
        what: &str,
        words: impl IntoIterator<Item = (&'static str, T)>,
    ) -> Option<T> {
        let text = self.text()?;
        let words: Vec<_> = words.into_iter().collect();
        match words.iter().find(|(word, _)| *word == text) {
            Some((_, meaning)) => Some(*meaning),
            None => {
                let known: Vec<_> = words.iter().map(|(word, _)| *word).collect();
                self.wrong(
                    format!("unknown {what} \"{text}\""),
                    did_you_mean(text, &known),
                )
            }
        }
    }

    /// Notes that something else was expected here.
    pub(crate) fn expected<T>(&self, what: &str) -> Option<T> {
        self.wrong(format!("must be {what}, not {}", kind(self.node)), None)
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
fn closest<'k>(word: &str, known: &[&'k str]) -> Option<&'k str> {
    known
        .iter()
        .map(|&candidate| (strsim::damerau_levenshtein(word, candidate), candidate))
        .min_by_key(|(distance, _)| *distance)
        .filter(|(distance, candidate)| *distance <= (candidate.len() / 3).max(1))
        .map(|(_, candidate)| candidate)
}

fn whole(integer: &DeInteger<'_>) -> Option<u64> {
    u64::from_str_radix(integer.as_str(), integer.radix()).ok()
}

fn join(path: &str, key: &str) -> String {
    match path {
        "" => key.into(),
        _ => format!("{path}.{key}"),
    }
}

fn kind(node: &DeValue<'_>) -> &'static str {
    match node {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "an array",
        DeValue::Table(_) => "a table",
    }
}
