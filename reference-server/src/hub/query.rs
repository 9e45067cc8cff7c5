//! Which devices a query asks for (IoT Hub documentation, "IoT Hub query language"):
//!
//! ```text
//! SELECT * FROM devices [WHERE condition]
//! condition  AND, OR, NOT, ( ), is_defined(property), [NOT] IN ['a', 'b'],
//!            =, !=, <>, <, >, <=, >= between properties, texts, numbers, true, false and null
//! property   of the twin as the service reads it, like deviceId or properties.reported.rate
//! ```
//! What the documentation has beyond that (projections, aggregates, other collections) is refused.
//! A property that is not there, and values of different types, compare to neither true nor false:
//! then the device is not among those found, nor is it by NOT.

use serde_json::Value;

use super::HubRefusal;
use condition::Condition;

mod condition;
mod language;
mod tokens;

/// A query that was understood.
#[derive(Debug, Clone, PartialEq)]
pub struct Query {
    condition: Option<Condition>,
}

impl Query {
    /// Reads a query.
    ///
    /// # Errors
    /// It is none, or asks for what hubs of this server can't tell: says what.
    pub fn parse(text: &str) -> Result<Self, HubRefusal> {
        let condition = language::parse(text);
        let condition =
            condition.map_err(|problem| HubRefusal::Malformed(format!("query: {problem}")))?;
        Ok(Self { condition })
    }

    /// Whether it asks for the device with this twin, as the service reads it.
    pub fn finds(&self, twin: &Value) -> bool {
        let condition = self.condition.as_ref();
        condition.is_none_or(|condition| condition.holds(twin) == Some(true))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn twin() -> Value {
        json!({
            "deviceId": "pump-1",
            "status": "enabled",
            "connectionState": "Connected",
            "version": 7,
            "tags": {"location": {"region": "US", "plant": "O'Hare \"1\""}, "order": 3, "gone": null},
            "properties": {
                "desired": {"interval": 5, "on": true, "$version": 2},
                "reported": {"interval": 4.5, "limits": {"low": -1}, "$version": 1},
            },
        })
    }

    fn finds(condition: &str) -> bool {
        let query = Query::parse(&format!("SELECT * FROM devices WHERE {condition}"));
        query.expect(condition).finds(&twin())
    }

    #[test]
    fn conditions_find_what_they_say() {
        for condition in [
            "deviceId = 'pump-1'",
            "'pump-1' = deviceId",
            "tags.location.region = 'US' AND properties.desired.interval >= 5",
            "tags.location.region='CN' OR status = \"enabled\" AND connectionState != 'Disconnected'",
            "(tags.location.region='CN' OR status = 'enabled') and connectionState = 'Connected'",
            "tags.location.plant = 'O\\'Hare \"1\"'",
            "tags.order <> 4",
            "tags.gone = null",
            "NOT tags.order < 3",
            "properties.reported.interval < properties.desired.interval",
            "properties.reported.limits.low = -1",
            "properties.reported.limits.low <= -0.5",
            "properties.desired.on = true",
            "properties.desired.$version = 2",
            "deviceId IN ['pump-0', 'pump-1']",
            "deviceId in ('pump-1')",
            "deviceId NOT IN ['pump-0']",
            "deviceId NIN ['pump-0']",
            "((deviceId) = ('pump-1'))",
            "(NOT (tags.order = 4) AND ((tags.order = 3)))",
            "tags.location.plant = 'O''Hare \"1\"'",
            "properties.reported.interval = 45e-1",
            "version IN [6, 7]",
            "is_defined(tags.location.region)",
            "IS_DEFINED(tags.gone) AND NOT is_defined(tags.there)",
        ] {
            assert!(finds(condition), "{condition}");
        }
    }

    #[test]
    fn conditions_leave_out_what_they_do_not_say() {
        for condition in [
            "deviceId = 'PUMP-1'",
            "tags.location.region = 'US' AND tags.order > 3",
            "deviceId IN ['pump-0']",
            "NOT (status = 'enabled' OR tags.order = 4)",
            "is_defined(tags.there)",
            // What is not there, and what is of another type, is neither this nor that.
            "tags.there = 'x'",
            "tags.there != 'x'",
            "NOT tags.there = 'x'",
            "tags.there = null",
            "tags.order = '3'",
            "tags.order != '3'",
            "tags.location = 'US'",
            "tags.there IN ['x']",
            "tags.there NOT IN ['x']",
            "tags.there = 1 AND status = 'enabled'",
        ] {
            assert!(!finds(condition), "{condition}");
        }
        assert!(finds("tags.there = 1 OR status = 'enabled'"));
        assert!(finds("NOT (tags.there = 1 AND status = 'disabled')"));
    }

    #[test]
    fn everything_is_found_without_a_condition() {
        for text in ["SELECT * FROM devices", "select *\n from Devices "] {
            assert!(Query::parse(text).expect(text).finds(&twin()));
        }
    }

    #[test]
    fn what_hubs_can_not_tell_is_refused_with_what_they_can() {
        let long_list = format!("deviceId IN ['{}']", vec!["a"; 600].join("','"));
        let deep = format!("{}a = 1{}", "(".repeat(2_000), ")".repeat(2_000));
        let negative = format!("{} a = 1", "NOT ".repeat(400));
        let sum = format!("{}1 = 1", "1 + ".repeat(400));
        let long = format!("a = '{}'", "x".repeat(9_000));
        for (condition, words) in [
            ("", "its end is neither a property nor a value"),
            ("a", "no condition before its end"),
            ("a = ", "its end is neither a property nor a value"),
            ("a = 'x", "does not end"),
            ("a LIKE 'x'", "no condition before \"LIKE\""),
            ("a + 1 = 2", "no condition before \"+\""),
            ("a || b", "no condition before \"|\""),
            ("startswith(deviceId, 'a')", "no condition before \"(\""),
            ("is_defined('a')", "is_defined takes a property"),
            ("is_defined(a, b)", "is_defined takes a property"),
            ("a = 1 ORDER BY a", "SELECT * FROM devices"),
            ("a = 1 GROUP BY a", "SELECT * FROM devices"),
            ("a = 1; DROP TABLE devices", "from \";\" on"),
            (long_list.as_str(), "words"),
            (deep.as_str(), "words"),
            (negative.as_str(), "deeper than 24"),
            (sum.as_str(), "words"),
            (long.as_str(), "bytes"),
        ] {
            let text = format!("SELECT * FROM devices WHERE {condition}");
            let problem = Query::parse(&text).expect_err(&text).to_string();
            assert!(problem.starts_with("query: "), "{problem}");
            assert!(problem.contains(words), "{words}: {problem}");
        }
        for text in [
            "",
            "SELECT deviceId FROM devices",
            "SELECT COUNT() AS n FROM devices",
            "SELECT TOP 3 * FROM devices",
            "SELECT * FROM devices.modules",
            "SELECT * FROM devices.jobs",
            "SELECT * FROM devices d",
            "DELETE FROM devices",
        ] {
            assert!(Query::parse(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_query_or_refused(
            words in proptest::collection::vec(
                prop_oneof![
                    Just("a".to_owned()), Just("tags.".to_owned()), Just("= 1".to_owned()),
                    Just("AND".to_owned()), Just("NOT".to_owned()), Just("IN".to_owned()),
                    Just("[".to_owned()), Just("]".to_owned()), Just("(".to_owned()),
                    Just(")".to_owned()), Just("is_defined".to_owned()), ".{0,6}",
                ],
                0..40,
            ),
        ) {
            // It must only not panic.
            let text = format!("SELECT * FROM devices WHERE {}", words.join(" "));
            let _ = Query::parse(&text).map(|query| query.finds(&twin()));
        }
    }
}
