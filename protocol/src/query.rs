//! `key=value&key=value` text with percent-encoding, as it stands in URLs,
//! MQTT topics and user names, and SAS tokens.

use std::fmt;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use crate::DecodeError;

/// Everything but RFC 3986's unreserved characters.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// The pairs in order; values stay as they were written.
pub(crate) fn pairs(query: &str) -> impl Iterator<Item = (&str, &str)> {
    query.split('&').filter_map(|pair| pair.split_once('='))
}

/// The written value of `key`, whose case does not matter and whose `$` may be encoded.
pub(crate) fn value<'a>(query: &'a str, key: &str) -> Option<&'a str> {
    let is_key = |written: &str| {
        percent_decode_str(written)
            .decode_utf8_lossy()
            .eq_ignore_ascii_case(key)
    };
    pairs(query)
        .find(|(written, _)| is_key(written))
        .map(|(_, value)| value)
}

/// Undoes percent-encoding; a `%` that starts no escape stands for itself.
pub(crate) fn decode(what: &'static str, written: &str) -> Result<String, DecodeError> {
    match percent_decode_str(written).decode_utf8() {
        Ok(text) => Ok(text.into_owned()),
        Err(_) => Err(DecodeError::new(
            what,
            format!("\"{written}\" is not UTF-8 when percent-decoded"),
        )),
    }
}

/// Percent-encodes with upper-case digits.
pub(crate) fn encode(text: &str) -> impl fmt::Display {
    utf8_percent_encode(text, RESERVED)
}

/// Whole seconds of a retry-after: digits only.
pub(crate) fn seconds(text: &str) -> Option<u32> {
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

/// The `$rid` of an MQTT topic, as written, because answers echo it verbatim.
pub(crate) fn request_id(query: &str) -> Result<String, DecodeError> {
    match value(query, "$rid") {
        Some("") => Err(DecodeError::new("$rid", "is empty")),
        Some(rid) => Ok(rid.to_owned()),
        None => Err(DecodeError::new("$rid", "is missing")),
    }
}

/// The HTTP status of an answer's topic: `{status}/?{query}` behind `prefix`.
pub(crate) fn answer<'a>(topic: &'a str, prefix: &str) -> Result<(u16, &'a str), DecodeError> {
    let (status, query) = topic
        .strip_prefix(prefix)
        .and_then(|rest| rest.split_once("/?"))
        .ok_or_else(|| {
            DecodeError::new(
                "topic",
                format!("\"{topic}\" is not {prefix}{{status}}/?$rid=…"),
            )
        })?;
    let status = seconds(status)
        .and_then(|status| u16::try_from(status).ok())
        .filter(|status| (100..1000).contains(status))
        .ok_or_else(|| DecodeError::new("topic", format!("\"{status}\" is not an HTTP status")))?;
    Ok((status, query))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_found_whatever_their_case_and_values_stay_written() {
        let query = "API-Version=1&%24rid=a%2Fb&odd&empty=";
        assert_eq!(value(query, "api-version"), Some("1"));
        assert_eq!(value(query, "$rid"), Some("a%2Fb"));
        assert_eq!(value(query, "empty"), Some(""));
        assert_eq!(value(query, "odd"), None);
    }

    #[test]
    fn seconds_are_digits_and_nothing_else() {
        assert_eq!(seconds("3"), Some(3));
        for text in ["", "+3", "-1", "3.5", " 3", "99999999999"] {
            assert_eq!(seconds(text), None, "{text}");
        }
    }

    #[test]
    fn broken_escapes_stand_for_themselves_and_broken_utf8_is_refused() {
        assert_eq!(decode("x", "100%zz").as_deref(), Ok("100%zz"));
        assert!(decode("x", "%ff%fe").is_err());
        assert_eq!(encode("a/b:c ü~").to_string(), "a%2Fb%3Ac%20%C3%BC~");
    }
}
