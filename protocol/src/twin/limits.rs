//! What a twin may hold (IoT Hub documentation, "Device twins: tags and properties format,
//! device twin size").

use serde_json::{Map, Value};

/// Largest desired or reported properties, in bytes.
const MAX_PROPERTIES: usize = 32 * 1024;
/// Largest tags, in bytes.
const MAX_TAGS: usize = 8 * 1024;
/// Objects may lie in objects this deep.
const MAX_DEPTH: usize = 10;
/// Longest key, in bytes.
const MAX_KEY: usize = 1024;
/// Longest text, in bytes.
const MAX_TEXT: usize = 4096;
/// Integers lie between the negative of it and it.
const MAX_INTEGER: i64 = 4_503_599_627_370_496;

/// The parts of a twin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Seen by the service only.
    Tags,
    /// What the device should be.
    Desired,
    /// What it says it is.
    Reported,
}

impl Part {
    fn name(self) -> &'static str {
        match self {
            Self::Tags => "tags",
            Self::Desired => "desired properties",
            Self::Reported => "reported properties",
        }
    }

    fn limit(self) -> usize {
        match self {
            Self::Tags => MAX_TAGS,
            Self::Desired | Self::Reported => MAX_PROPERTIES,
        }
    }
}

/// Whether a patch obeys the rules of keys, values and depth.
///
/// # Errors
/// The first that breaks one.
pub fn check_form(part: Part, patch: &Map<String, Value>) -> Result<(), String> {
    check_object(patch, 1, Null::Deletes).map_err(|problem| format!("{}: {problem}", part.name()))
}

/// The same of what takes the place of a whole part: there is nothing for a null to delete.
///
/// # Errors
/// The first that breaks a rule.
pub fn check_whole(part: Part, document: &Map<String, Value>) -> Result<(), String> {
    let checked = check_object(document, 1, Null::Forbidden);
    checked.map_err(|problem| format!("{}: {problem}", part.name()))
}

/// Whether a whole part fits.
///
/// # Errors
/// It is too large.
pub fn check_size(part: Part, document: &Map<String, Value>) -> Result<(), String> {
    let (size, limit) = (size_of_object(document), part.limit());
    if size <= limit {
        Ok(())
    } else {
        let name = part.name();
        Err(format!("{name}: {size} bytes, the limit is {limit}"))
    }
}

/// What a null as the value of a key is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Null {
    /// The key is to be deleted.
    Deletes,
    /// Nothing that a twin can hold.
    Forbidden,
}

fn check_object(object: &Map<String, Value>, depth: usize, null: Null) -> Result<(), String> {
    if depth > MAX_DEPTH {
        return Err(format!("objects are nested deeper than {MAX_DEPTH}"));
    }
    for (key, value) in object {
        check_key(key)?;
        check_value(value, depth, null).map_err(|problem| format!("\"{key}\" {problem}"))?;
    }
    Ok(())
}

fn check_key(key: &str) -> Result<(), String> {
    if key.is_empty() {
        return Err("a key is empty".into());
    }
    if key.len() > MAX_KEY {
        return Err(format!(
            "a key has {} bytes, the limit is {MAX_KEY}",
            key.len()
        ));
    }
    match key
        .chars()
        .find(|c| c.is_control() || matches!(c, '.' | '$' | ' '))
    {
        Some(c) => Err(format!("{c:?} is not allowed in the key \"{key}\"")),
        None => Ok(()),
    }
}

fn check_value(value: &Value, depth: usize, null: Null) -> Result<(), String> {
    match value {
        Value::Null if null == Null::Forbidden => {
            Err("is null, and there is nothing to delete".into())
        }
        Value::Null | Value::Bool(_) => Ok(()),
        Value::Number(number) => match number.as_i64() {
            Some(integer) if (-MAX_INTEGER..=MAX_INTEGER).contains(&integer) => Ok(()),
            None if number.is_f64() => Ok(()),
            _ => Err(format!("is beyond ±{MAX_INTEGER}")),
        },
        Value::String(text) if text.len() <= MAX_TEXT => Ok(()),
        Value::String(text) => Err(format!("has {} bytes, the limit is {MAX_TEXT}", text.len())),
        Value::Array(items) => {
            if depth >= MAX_DEPTH {
                return Err(format!("is nested deeper than {MAX_DEPTH}"));
            }
            items.iter().try_for_each(|item| match item {
                Value::Null => Err("holds a null in an array".into()),
                // Arrays are replaced, and not patched.
                item => check_value(item, depth + 1, Null::Forbidden),
            })
        }
        Value::Object(object) => check_object(object, depth + 1, null),
    }
}

/// Keys and texts count their bytes, numbers 8, booleans 4. An item of an array counts something,
/// however empty it is: what is kept must be bounded.
fn size_of_object(object: &Map<String, Value>) -> usize {
    object
        .iter()
        .map(|(key, value)| key.len() + size_of(value))
        .sum()
}

fn size_of(value: &Value) -> usize {
    match value {
        Value::Null => 0,
        Value::Bool(_) => 4,
        Value::Number(_) => 8,
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(|item| size_of(item).max(1)).sum(),
        Value::Object(object) => size_of_object(object),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn nested(depth: usize) -> Value {
        (1..depth).fold(json!({"x": 1}), |inner, _| json!({ "x": inner }))
    }

    fn form(document: &Value) -> Result<(), String> {
        check_form(Part::Reported, document.as_object().expect("an object"))
    }

    #[test]
    fn what_twins_may_hold_is_taken() {
        for good in [
            json!({}),
            json!({"a": null, "b": [1, "x", {"c": true}], "d-e_f": -4_503_599_627_370_496_i64}),
            json!({"text": "x".repeat(4096), "number": 1.5e300}),
            nested(10),
        ] {
            assert_eq!(form(&good), Ok(()), "{good}");
        }
    }

    #[test]
    fn what_twins_may_not_hold_is_refused_by_name() {
        for (bad, words) in [
            (json!({"$version": 1}), "'$' is not allowed"),
            (json!({"a.b": 1}), "'.' is not allowed"),
            (json!({"a b": 1}), "' ' is not allowed"),
            (json!({"a\u{7}": 1}), "is not allowed"),
            (json!({"": 1}), "a key is empty"),
            (json!({"k".repeat(1025): 1}), "a key has 1025 bytes"),
            (json!({"a": "x".repeat(4097)}), "\"a\" has 4097 bytes"),
            (json!({"a": 4_503_599_627_370_497_i64}), "beyond"),
            (json!({"a": u64::MAX}), "beyond"),
            (json!({"a": [1, null]}), "null in an array"),
            (json!({"a": [{"b": null}]}), "\"b\" is null"),
            (nested(11), "deeper than 10"),
        ] {
            let problem = form(&bad).expect_err(words);
            assert!(problem.contains(words), "{problem}");
        }
    }

    #[test]
    fn what_is_whole_holds_no_null() {
        let whole = |document: Value| {
            let document = document.as_object().expect("an object");
            check_whole(Part::Tags, document)
        };
        assert_eq!(whole(json!({"a": {"b": [1, {"c": 2}]}})), Ok(()));
        for null in [
            json!({"a": null}),
            json!({"a": {"b": null}}),
            json!({"a": [null]}),
        ] {
            let problem = whole(null).expect_err("a null");
            assert!(problem.starts_with("tags: \"a\" "), "{problem}");
        }
    }

    #[test]
    fn a_crowd_of_nothings_is_too_large() {
        let nothings = json!({"a": vec![json!([]); MAX_PROPERTIES]});
        let document = nothings.as_object().expect("an object");
        assert!(check_size(Part::Reported, document).is_err());
    }

    #[test]
    fn sizes_are_counted_as_documented() {
        let document = json!({"ab": 1, "c": true, "d": {"e": "four"}, "f": [1, 2]});
        assert_eq!(
            size_of_object(document.as_object().expect("an object")),
            2 + 8 + 1 + 4 + 1 + 1 + 4 + 1 + 16
        );
        let large = |n: usize| {
            let text = "x".repeat(4096 - 1);
            let keys = (b'a'..)
                .take(n)
                .map(|key| ((key as char).to_string(), json!(text)));
            keys.collect::<Map<_, _>>()
        };
        assert_eq!(check_size(Part::Reported, &large(8)), Ok(()));
        assert!(check_size(Part::Desired, &large(9)).is_err());
        assert_eq!(check_size(Part::Tags, &large(2)), Ok(()));
        assert!(check_size(Part::Tags, &large(3)).is_err());
    }
}
