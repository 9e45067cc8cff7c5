//! Enrollment lists as streams: a line an enrollment, in the JSON of the service API.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use fleetstorm_protocol::enrollment::Enrollment;
use jiff::Timestamp;
use serde::Deserialize;

use super::{ServeError, file_error};
use crate::config::InstanceConfig;
use crate::service::enrollment_list::{Condition, EnrollmentList};

/// Where enrollments come from: JSON lines, in the form of the service API.
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

/// A list line by line.
pub(super) struct Lines<Input> {
    input: Input,
    until_empty: bool,
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
        })
    }
}

impl<Input: BufRead> Lines<Input> {
    /// What comes before the first empty line.
    pub(super) fn up_to_an_empty_one(input: Input) -> Self {
        Self {
            input,
            until_empty: true,
        }
    }
}

impl<Input: BufRead> Iterator for Lines<Input> {
    type Item = Result<ListLine, String>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let mut line = Vec::new();
            match (&mut self.input)
                .take(MAX_LINE)
                .read_until(b'\n', &mut line)
            {
                Ok(0) => return None,
                Ok(_) if line.trim_ascii().is_empty() && self.until_empty => return None,
                Ok(_) if line.trim_ascii().is_empty() => {}
                Ok(_) => {
                    let text = String::from_utf8(line).map_err(|_| "is not UTF-8".to_owned());
                    return Some(text.and_then(|text| ListLine::from_json(&text)));
                }
                Err(error) => return Some(Err(error.to_string())),
            }
        }
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
}
