//! `desired = { … }`, `reported = { … }`: any TOML that is JSON too.

use fleetstorm_protocol::twin::limits::{Part, check_form, check_size};
use serde_json::{Map, Number, Value as Json};
use toml::de::DeValue;

use crate::table::{Entry, Value, each};

/// Properties of a twin.
pub(crate) type Properties = Map<String, Json>;

/// Properties of a cohort's twins, as a hub takes them.
pub(crate) fn read(value: &Value<'_>, part: Part) -> Option<Properties> {
    let properties = each(value.entries()?, |Entry { key, value, .. }| {
        let property = Map::from_iter([(property(key, &value)?, json(&value)?)]);
        match check_form(part, &property) {
            Ok(()) => Some(property),
            Err(problem) => value.wrong(problem, None),
        }
    })?;
    let properties: Map<_, _> = properties.into_iter().flatten().collect();
    match check_size(part, &properties) {
        Ok(()) => Some(properties),
        Err(problem) => value.wrong(problem, None),
    }
}

fn members(value: &Value<'_>) -> Option<Map<String, Json>> {
    let members = each(value.entries()?, |Entry { key, value, .. }| {
        Some((property(key, &value)?, json(&value)?))
    })?;
    Some(members.into_iter().collect())
}

/// A property's name (IoT Hub documentation, "Understand and use device twins": no control
/// characters, `.`, `$` or space).
fn property(key: &str, value: &Value<'_>) -> Option<String> {
    let refused = key
        .chars()
        .find(|c| c.is_control() || matches!(c, '.' | '$' | ' '));
    match refused {
        Some(c) => value.wrong(format!("{c:?} is not allowed in a property's name"), None),
        None => Some(key.into()),
    }
}

/// Any value that JSON has, too.
fn json(value: &Value<'_>) -> Option<Json> {
    match value.node() {
        DeValue::String(text) => Some(Json::from(text.as_ref())),
        DeValue::Boolean(boolean) => Some(Json::from(*boolean)),
        DeValue::Integer(integer) => match i64::from_str_radix(integer.as_str(), integer.radix()) {
            Ok(number) => Some(Json::from(number)),
            Err(_) => value.wrong(format!("{integer} does not fit into 64 bits"), None),
        },
        DeValue::Float(float) => {
            let number = float.as_str().parse().ok().and_then(Number::from_f64);
            match number {
                Some(number) => Some(Json::Number(number)),
                None => value.wrong(format!("JSON has no {float}"), None),
            }
        }
        DeValue::Datetime(_) => {
            value.wrong("JSON has no dates", "write it as a string".to_string())
        }
        DeValue::Array(_) => each(&value.array()?, json).map(Json::from),
        DeValue::Table(_) => members(value).map(Json::Object),
    }
}
