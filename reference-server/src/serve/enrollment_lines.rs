//! Enrollment lists as streams: a line an enrollment, or an array of them, in the JSON of the service API.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use fleetstorm_protocol::enrollment::Enrollment;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use crate::error::{ServeError, file_error};
use crate::service::config::InstanceConfig;
use crate::service::enrollment_list::EnrollmentList;
use crate::service::enrollment_list::condition::Condition;

/// Where enrollments come from: JSON lines or an array, in the form of the service API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EnrollmentSource {
    /// Standard input, up to an empty line. It stays open as a life line: the server ends when it does.
    StandardInput,
    /// A file.
    File(PathBuf),
}

/// Longest line.
const MAX_LINE: u64 = 1 << 20;

/// A line of an enrollment list.
#[derive(Debug, Clone, PartialEq)]
#[expect(
    clippy::large_enum_variant,
    reason = "there is one at a time, and nearly all are enrollments"
)]
pub enum ListLine {
    /// Who may register.
    Enrollment(Enrollment),
    /// `{"idScope": "0ne…"}`: the enrollments below are this instance's.
    Instance(String),
}

impl ListLine {
    /// Reads one.
    ///
    /// # Errors
    /// It is neither.
    pub fn from_json(text: &str) -> Result<Self, String> {
        if let Ok(Heading { id_scope }) = serde_json::from_str(text) {
            return Ok(Self::Instance(id_scope));
        }
        let enrollment = Enrollment::from_json(text).map_err(|e| e.to_string())?;
        Ok(Self::Enrollment(enrollment))
    }
}

impl From<Enrollment> for ListLine {
    fn from(enrollment: Enrollment) -> Self {
        Self::Enrollment(enrollment)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Heading {
    id_scope: String,
}

/// What Windows tools put before UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// A list: a line an enrollment, or one array of them, as the Azure CLI writes it.
pub(super) struct Lines<Input> {
    input: Input,
    until_empty: bool,
    form: Form,
}

/// How a list is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// It has not begun.
    Unknown,
    /// A line an enrollment.
    Lines,
    /// Between brackets.
    Array,
    /// It is over.
    Ended,
}

impl Lines<BufReader<File>> {
    /// All of a file.
    ///
    /// # Errors
    /// It can't be opened.
    pub(super) fn of_file(path: &Path) -> Result<Self, ServeError> {
        let file = File::open(path).map_err(|e| file_error(path, &e))?;
        Ok(Self {
            input: BufReader::new(file),
            until_empty: false,
            form: Form::Unknown,
        })
    }
}

impl<Input: BufRead> Lines<Input> {
    /// What comes before the first empty line.
    pub(super) fn up_to_an_empty_one(input: Input) -> Self {
        Self {
            input,
            until_empty: true,
            form: Form::Unknown,
        }
    }

    /// The next byte that is none of `skipped`; it stays where it is. A list that does not begin at
    /// once, after an empty line for example, is empty.
    fn peek(&mut self, skipped: &[u8]) -> io::Result<Option<u8>> {
        loop {
            let Some(next) = self.input.fill_buf()?.first().copied() else {
                return Ok(None);
            };
            if !skipped.contains(&next) {
                return Ok(Some(next));
            }
            self.input.consume(1);
        }
    }

    /// Looks at how it begins.
    fn begin(&mut self) -> io::Result<()> {
        if self.input.fill_buf()?.starts_with(BYTE_ORDER_MARK) {
            self.input.consume(BYTE_ORDER_MARK.len());
        }
        // An empty line is the end of a list that ends with one.
        let skipped: &[u8] = if self.until_empty { b"" } else { b" \t\r\n" };
        self.form = Form::Lines;
        if self.peek(skipped)? == Some(b'[') {
            self.input.consume(1);
            self.form = Form::Array;
        }
        Ok(())
    }

    fn next_line(&mut self) -> Result<Option<ListLine>, String> {
        loop {
            let mut line = Vec::new();
            let mut bounded = (&mut self.input).take(MAX_LINE);
            let read = bounded.read_until(b'\n', &mut line);
            match read.map_err(|error| error.to_string())? {
                0 => return Ok(None),
                _ if line.trim_ascii().is_empty() && self.until_empty => return Ok(None),
                _ if line.trim_ascii().is_empty() => {}
                _ => {
                    let text = String::from_utf8(line).map_err(|_| "is not UTF-8".to_owned())?;
                    return ListLine::from_json(&text).map(Some);
                }
            }
        }
    }

    fn next_of_array(&mut self) -> Result<Option<ListLine>, String> {
        let next = self.peek(b" \t\r\n,").map_err(|error| error.to_string())?;
        match next {
            Some(b']') => return Ok(None),
            None => return Err("the array that the list is does not end".into()),
            Some(_) => {}
        }
        // It reads no further than to the end of an object.
        let mut item = serde_json::Deserializer::from_reader((&mut self.input).take(MAX_LINE));
        let read = Value::deserialize(&mut item).map_err(|error| error.to_string())?;
        ListLine::from_json(&read.to_string()).map(Some)
    }
}

impl<Input: BufRead> Iterator for Lines<Input> {
    type Item = Result<ListLine, String>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.form == Form::Unknown
            && let Err(error) = self.begin()
        {
            return Some(Err(error.to_string()));
        }
        let next = match self.form {
            Form::Array => self.next_of_array(),
            Form::Unknown | Form::Lines => self.next_line(),
            Form::Ended => Ok(None),
        };
        if !matches!(next, Ok(Some(_))) {
            self.form = Form::Ended;
        }
        next.transpose()
    }
}

/// Enters the lists that the configuration names.
///
/// # Errors
/// A file can't be read, or a line of it can't be entered.
pub(super) fn enter_files(
    instances: &[InstanceConfig],
    lists: &[(&str, EnrollmentList)],
) -> Result<(), ServeError> {
    for (instance, list) in instances.iter().zip(lists) {
        if let Some(path) = &instance.enrollments {
            enter(Lines::of_file(path)?, std::slice::from_ref(list))?;
        }
    }
    Ok(())
}

/// Enters enrollments one by one; none that a data folder has heard of. They are the first list's, until
/// a line says whose those below it are.
///
/// # Errors
/// The first line that can't be entered.
pub(super) fn enter(
    lines: impl Iterator<Item = Result<ListLine, String>>,
    lists: &[(&str, EnrollmentList)],
) -> Result<(), ServeError> {
    let mut list = lists.first();
    for (line, read) in (1..).zip(lines) {
        let wrong = |problem| ServeError::Enrollment { line, problem };
        let enrollment = match read.map_err(wrong)? {
            ListLine::Enrollment(enrollment) => enrollment,
            ListLine::Instance(id_scope) => {
                list = lists.iter().find(|(scope, _)| *scope == id_scope);
                if list.is_none() {
                    let problem = format!("there is no instance with the id scope {id_scope} here");
                    return Err(wrong(problem));
                }
                continue;
            }
        };
        let Some((_, list)) = list else { continue };
        if list.has_heard_of(&enrollment)? {
            continue;
        }
        let put = list.put(&enrollment, Condition::Absent, Timestamp::now());
        put.map_err(|e| wrong(e.to_string()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_heading_says_whose_the_lines_below_are() {
        let heading = r#"{"idScope":"0ne00000002"}"#;
        assert_eq!(
            ListLine::from_json(heading),
            Ok(ListLine::Instance("0ne00000002".into()))
        );
        let enrollment = r#"{"registrationId":"a","attestation":{"type":"symmetricKey"}}"#;
        assert!(matches!(
            ListLine::from_json(enrollment),
            Ok(ListLine::Enrollment(Enrollment::Individual(_)))
        ));
        let problem = ListLine::from_json(r#"{"idScop":"0ne00000002"}"#).expect_err("neither");
        assert!(problem.contains("registrationId"), "{problem}");
    }

    fn read(list: &str) -> Vec<Result<ListLine, String>> {
        Lines::up_to_an_empty_one(list.as_bytes()).collect()
    }

    fn ids(list: &str) -> Vec<String> {
        let id = |line: Result<ListLine, String>| match line.expect("an enrollment") {
            ListLine::Enrollment(enrollment) => enrollment.id().to_owned(),
            ListLine::Instance(id_scope) => id_scope,
        };
        read(list).into_iter().map(id).collect()
    }

    #[test]
    fn lists_are_read_however_tools_write_them() {
        let item = |id: &str| {
            format!(r#"{{"registrationId": "{id}", "attestation": {{"type": "symmetricKey"}}}}"#)
        };
        let (a, b) = (item("a"), item("b"));
        let spread = b.replace(", ", ",\n  ");
        for list in [
            format!("{a}\n{b}\n"),
            format!("\u{feff}{a}\r\n{b}\r\n\r\nmore"),
            format!("[{a},{b}]"),
            format!("\u{feff}[\n  {a},\n  {spread}\n]\n\nmore"),
        ] {
            assert_eq!(ids(&list), ["a", "b"], "{list}");
        }
        for empty in ["", "\n", "\u{feff}", "[]", "[ \n ]\n"] {
            assert_eq!(ids(empty), Vec::<String>::new(), "{empty:?}");
        }
        let whole = Lines {
            input: format!("\n\n[{a}]").as_bytes(),
            until_empty: false,
            form: Form::Unknown,
        }
        .collect::<Vec<_>>();
        assert_eq!(whole.len(), 1, "{whole:?}");
    }

    #[test]
    fn what_is_no_list_is_refused_once_and_in_words() {
        let good = r#"{"registrationId": "a", "attestation": {"type": "symmetricKey"}}"#;
        for (list, problem) in [
            (format!("[{good}"), "does not end"),
            (format!("[{good}, 7]"), "neither registrationId nor"),
            (
                format!("[{good}, {{\"registrationId\": }}]"),
                "expected value",
            ),
            (format!("{good}\n7\n{good}"), "neither registrationId nor"),
            (
                format!("{good}\n{}", good.replace("\"a\"", "7")),
                "registrationId: invalid type",
            ),
        ] {
            let mut read = read(&list);
            let last = read.pop().expect("a line").expect_err(problem);
            assert!(last.contains(problem), "{last}");
            assert_eq!(read.len(), 1, "{list}");
        }
    }
}
