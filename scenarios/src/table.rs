//! A scenario's TOML as values that know their place and key.
//!
//! A derived deserializer stops at the first mistake. Here what is missing, of the wrong type or
//! unknown is noted in the [`Diagnostics`], and reading goes on. The rule that holds it together:
//! **a reader returns `None` only after it has noted a mistake.**

use std::ops::RangeInclusive;

use toml::de::{DeInteger, DeTable, DeValue};

use crate::diagnostics::{Diagnostics, did_you_mean};
use crate::error::{Place, ScenarioError};

/// Reads `text` with `read`, which gets the root table.
///
/// # Errors
/// The TOML parser's first error, for what it finds after that may be its own confusion; else
/// every mistake that `read` noted, in the file's order.
pub(crate) fn read<T>(
    text: &str,
    origin: &str,
    read: impl FnOnce(&Value<'_>) -> Option<T>,
) -> Result<T, ScenarioError> {
    let diagnostics = Diagnostics::new(text);
    let root = DeTable::parse(text).map(|tree| DeValue::Table(tree.into_inner()));
    let result = match &root {
        Ok(node) => read(&Value {
            diagnostics: &diagnostics,
            path: String::new(),
            place: None,
            node,
        }),
        Err(error) => diagnostics.note_syntax(error),
    };
    let mistakes = diagnostics.into_mistakes();
    match result {
        Some(value) if mistakes.is_empty() => Ok(value),
        _ => Err(ScenarioError {
            origin: origin.into(),
            mistakes,
        }),
    }
}

/// A key and its value.
#[derive(Debug)]
pub(crate) struct Entry<'f> {
    pub(crate) key: &'f str,
    pub(crate) value: Value<'f>,
    key_place: Place,
}

impl Entry<'_> {
    /// Notes that there is no such key among the `known` ones.
    pub(crate) fn unknown(&self, known: &[&str]) {
        let hint = did_you_mean(self.key, known);
        self.value.diagnostics.note::<()>(
            Some(self.key_place),
            &self.value.path,
            "unknown key".into(),
            Some(hint),
        );
    }
}

/// A value, its key and its place.
#[derive(Debug, Clone)]
pub(crate) struct Value<'f> {
    diagnostics: &'f Diagnostics<'f>,
    path: String,
    /// None for the file as a whole.
    place: Option<Place>,
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
            .note(self.place, &self.path, problem.into(), hint.into())
    }

    /// Stands for the value of `key` in a table that does not have it.
    pub(crate) fn stand_in<'d>(&self, key: &str, node: &'d DeValue<'d>) -> Value<'d>
    where
        'f: 'd,
    {
        Value {
            diagnostics: self.diagnostics,
            path: join(&self.path, key),
            place: self.place,
            node,
        }
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

    /// What a table holds, in the file's order.
    pub(crate) fn entries(&self) -> Option<Vec<Entry<'f>>> {
        let DeValue::Table(table) = self.node else {
            return self.expected("a table");
        };
        let mut in_order: Vec<_> = table.iter().collect();
        in_order.sort_by_key(|(key, _)| key.span().start);
        let entries = in_order.into_iter().map(|(key, value)| Entry {
            key: key.get_ref(),
            key_place: self.diagnostics.place(key.span().start),
            value: Value {
                diagnostics: self.diagnostics,
                path: join(&self.path, key.get_ref()),
                place: Some(self.diagnostics.place(value.span().start)),
                node: value.get_ref(),
            },
        });
        Some(entries.collect())
    }

    /// What a table says of `key`, or where it would; the value itself if it is no table.
    pub(crate) fn at(&self, key: &str) -> Value<'f> {
        if !self.is_table() {
            return self.clone();
        }
        let mut entries = self.entries().into_iter().flatten();
        let entry = entries.find(|entry| entry.key == key);
        entry.map_or_else(|| self.stand_in(key, self.node), |entry| entry.value)
    }

    pub(crate) fn array(&self) -> Option<Vec<Value<'f>>> {
        let DeValue::Array(array) = self.node else {
            return self.expected("an array");
        };
        let elements = array.iter().enumerate().map(|(index, element)| Value {
            diagnostics: self.diagnostics,
            path: format!("{}[{index}]", self.path),
            place: Some(self.diagnostics.place(element.span().start)),
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

/// What `read` makes of all `items`, or `None` if one of them is wrong; each is read either way.
pub(crate) fn each<I: IntoIterator, T>(
    items: I,
    read: impl FnMut(I::Item) -> Option<T>,
) -> Option<Vec<T>> {
    let read: Vec<Option<T>> = items.into_iter().map(read).collect();
    read.into_iter().collect()
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
