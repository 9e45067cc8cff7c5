//! The schema that editors use and the reader of scenario files know the same keys and words.
//!
//! The reader is asked as people ask it: with a word that nobody knows, upon which it tells those
//! that it knows.

use std::collections::BTreeSet;

use fleetstorm_scenarios::{parse, schema};
use serde_json::Value;

/// Like no word there is.
const STRANGER: &str = "zzzzzzzzzzzzzzzzzzzzzzzz";

fn schema() -> Value {
    serde_json::from_str(&schema::schema()).expect("the schema is JSON")
}

/// What the reader knows where `text` has the stranger.
fn known_to_the_reader(text: &str) -> BTreeSet<String> {
    let text = text.replace('?', STRANGER);
    let error = parse(&text, "any").expect_err("a stranger is a mistake");
    let of_stranger = error
        .mistakes
        .iter()
        .find(|mistake| mistake.key.contains(STRANGER) || mistake.problem.contains(STRANGER));
    let hint = of_stranger.and_then(|mistake| mistake.hint.as_deref());
    let known = hint.and_then(|hint| hint.strip_prefix("known here: "));
    let known = known.unwrap_or_else(|| panic!("{text}: {}", error.report()));
    known.split(", ").map(Into::into).collect()
}

fn at<'s>(schema: &'s Value, pointer: &str) -> &'s Value {
    schema
        .pointer(pointer)
        .unwrap_or_else(|| panic!("the schema has no {pointer}"))
}

fn keys(schema: &Value, pointer: &str) -> BTreeSet<String> {
    let properties = at(schema, &format!("{pointer}/properties"));
    let properties = properties.as_object().expect("properties are an object");
    properties.keys().cloned().collect()
}

fn words(schema: &Value, pointer: &str) -> BTreeSet<String> {
    let words = at(schema, &format!("{pointer}/enum"));
    let words = words.as_array().expect("an array").iter();
    words
        .map(|word| word.as_str().expect("a word").into())
        .collect()
}

#[test]
fn every_table_has_the_keys_that_the_reader_knows() {
    let schema = schema();
    let rows = [
        ("? = 1", ""),
        ("[target]\n? = 1", "/properties/target"),
        ("[server]\n? = 1", "/properties/server"),
        (
            "[server]\nprocessing = { ? = 1 }",
            "/properties/server/properties/processing",
        ),
        (
            "[server]\nthrottle = { ? = 1 }",
            "/definitions/throttle/anyOf/1",
        ),
        (
            "[[server.hub]]\n? = 1",
            "/properties/server/properties/hub/items",
        ),
        ("[[tenant]]\n? = 1", "/definitions/tenant"),
        ("[[region]]\n? = 1", "/definitions/region"),
        (
            "[[region]]\nstall = { ? = 1 }",
            "/definitions/region/properties/stall",
        ),
        ("[[cohort]]\n? = 1", "/definitions/cohort"),
        ("[[slo]]\n? = 1", "/definitions/slo"),
        (
            "[[event]]\ndo = \"faults\"\nrules = [{ ? = 1 }]",
            "/definitions/fault",
        ),
        (
            "[thresholds]\ntls.p99 = { is = \"< 1s\", ? = 1 }",
            "/definitions/threshold",
        ),
        (
            "[[cohort]]\nafter = { ? = 1 }",
            "/definitions/cohort/properties/after",
        ),
        (
            "[[cohort]]\ntransport = { ? = 1 }",
            "/definitions/cohort/properties/transport/anyOf/1",
        ),
    ];
    for (text, pointer) in rows {
        assert_eq!(known_to_the_reader(text), keys(&schema, pointer), "{text}");
    }
}

/// The variants of a definition, which its `key` tells apart, have the keys that the reader knows;
/// and there is one for each word that it knows. `text` has the word in quotes, then a stranger.
fn compare_variants(definition: &str, key: &str, text: &str) {
    let schema = schema();
    let variants = at(&schema, &format!("/definitions/{definition}/oneOf"));
    let mut named = BTreeSet::new();
    for variant in variants.as_array().expect("an array") {
        let name = at(variant, &format!("/properties/{key}/const"));
        let name = name.as_str().expect("a word");
        let with_stranger = format!("{text} = \"{name}\"\n? = 1");
        let known = known_to_the_reader(&with_stranger);
        assert_eq!(known, keys(variant, ""), "{name}");
        named.insert(name.to_string());
    }
    assert_eq!(known_to_the_reader(&format!("{text} = \"?\"")), named);
}

#[test]
fn every_event_has_the_keys_that_the_reader_knows() {
    compare_variants("event", "do", "[[event]]\ndo");
}

#[test]
fn every_arrival_has_the_keys_that_the_reader_knows() {
    compare_variants("arrival", "kind", "[arrival]\nkind");
    let schema = schema();
    let stages = "/definitions/arrival/oneOf/1/properties/stages/items/oneOf";
    let [change, hold] = [0, 1].map(|index| keys(&schema, &format!("{stages}/{index}")));
    let text = "[arrival]\nkind = \"ramping-rate\"\nstages = [{ ? = 1 }]";
    assert_eq!(known_to_the_reader(text), &change | &hold);
}

#[test]
fn every_choice_has_the_words_that_the_reader_knows() {
    let schema = schema();
    let cohort = "/definitions/cohort/properties";
    let rows = [
        ("attestation", format!("{cohort}/attestation")),
        ("transport", format!("{cohort}/transport/anyOf/0")),
        ("retry", format!("{cohort}/retry")),
        ("allocation", format!("{cohort}/allocation")),
        ("boot", format!("{cohort}/boot")),
        ("flaw", format!("{cohort}/flaw")),
    ];
    for (key, pointer) in rows {
        let text = format!("[[cohort]]\n{key} = \"?\"");
        assert_eq!(known_to_the_reader(&text), words(&schema, &pointer));
    }
    let throttle = "/definitions/throttle/anyOf/0";
    assert_eq!(
        known_to_the_reader("[server]\nthrottle = \"?\""),
        words(&schema, throttle)
    );
    assert_eq!(
        known_to_the_reader("[[slo]]\nof = \"?\""),
        words(&schema, "/definitions/slo/properties/of")
    );
    for (key, written, pointer) in [
        ("do", "\"?\"", "do"),
        ("protocol", "\"?\"", "protocol"),
        ("operations", "[\"?\"]", "operations/items"),
    ] {
        let text = format!("[[event]]\ndo = \"faults\"\nrules = [{{ {key} = {written} }}]");
        let pointer = format!("/definitions/fault/properties/{pointer}");
        assert_eq!(known_to_the_reader(&text), words(&schema, &pointer));
    }
    let spacing = "[arrival]\nkind = \"constant-rate\"\nrate = \"1/s\"\nspacing = \"?\"";
    for arrival in [0, 1] {
        let pointer = format!("/definitions/arrival/oneOf/{arrival}/properties/spacing");
        assert_eq!(known_to_the_reader(spacing), words(&schema, &pointer));
    }
    // Hubs hold no sessions over some of the transports that there are.
    let mut at_hub = known_to_the_reader("[[cohort]]\nhub-transport = \"?\"");
    at_hub.retain(|word| {
        let text = format!("[[cohort]]\nhub-transport = \"{word}\"");
        let told = parse(&text, "any").expect_err("there is more to a cohort");
        !told.report().contains("hub-transport")
    });
    assert_eq!(at_hub, words(&schema, &format!("{cohort}/hub-transport")));
}

#[test]
fn every_key_is_explained_and_every_reference_leads_somewhere() {
    fn walk(root: &Value, here: &Value, path: &str) {
        match here {
            Value::Object(members) => {
                if let Some(reference) = members.get("$ref") {
                    let pointer = reference.as_str().and_then(|text| text.strip_prefix('#'));
                    at(root, pointer.expect("a local reference"));
                }
                if let Some(properties) = members.get("properties").and_then(Value::as_object) {
                    for (key, property) in properties {
                        let explained = property.get("description").is_some();
                        assert!(explained, "{path}/{key} has no description");
                    }
                }
                for (key, member) in members {
                    walk(root, member, &format!("{path}/{key}"));
                }
            }
            Value::Array(elements) => elements.iter().for_each(|e| walk(root, e, path)),
            _ => {}
        }
    }
    let schema = schema();
    walk(&schema, &schema, "");
}
