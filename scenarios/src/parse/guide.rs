//! The guide's tables of keys are made of those that are read: they stand between `<!-- keys of … -->`
//! and `<!-- end -->` in its pages.

use serde_json::Value as Json;

use super::ScenarioKeys;
use super::cohort::CohortKeys;
use super::cohort::after::AfterKeys;
use super::event::{self, EventKeys};
use super::region::{RegionKeys, StallKeys};
use super::server::{HubKeys, RateKeys, ServerKeys};
use super::slo::SloKeys;
use super::target::TargetKeys;
use super::tenant::TenantKeys;
use super::threshold::ThresholdKeys;
use crate::arrival::READERS;
use crate::event::service::faults::RuleKeys;
use crate::keys::{Key, Section, Variant};

const PAGES: [&str; 3] = ["WRITE-A-SCENARIO.md", "KEYS.md", "THRESHOLDS.md"];

const TABLES: [(&str, &[Key]); 14] = [
    ("a scenario", ScenarioKeys::KEYS),
    ("[target]", TargetKeys::KEYS),
    ("[server]", ServerKeys::KEYS),
    ("a hub", HubKeys::KEYS),
    ("throttle", RateKeys::KEYS),
    ("[[tenant]]", TenantKeys::KEYS),
    ("[[region]]", RegionKeys::KEYS),
    ("stall", StallKeys::KEYS),
    ("[[cohort]]", CohortKeys::KEYS),
    ("after", AfterKeys::KEYS),
    ("a threshold", ThresholdKeys::KEYS),
    ("[[slo]]", SloKeys::KEYS),
    ("[[event]]", EventKeys::KEYS),
    ("a fault", RuleKeys::KEYS),
];

/// Every table that a page may have, by its name.
fn tables() -> Vec<(&'static str, String)> {
    let mut tables: Vec<_> = TABLES.map(|(name, keys)| (name, table(keys))).into();
    tables.extend([
        ("every event", variants("do", event::variants())),
        ("every arrival", variants("kind", READERS.into_iter())),
        ("events", keys_of(event::variants())),
        ("arrivals", keys_of(READERS.into_iter())),
    ]);
    tables
}

/// `UPDATE_SCHEMA=1` writes the tables anew.
#[test]
fn the_guide_is_up_to_date() {
    let mut told = Vec::new();
    for page in PAGES {
        let path = format!("{}/{page}", env!("CARGO_MANIFEST_DIR"));
        let on_disk = std::fs::read_to_string(&path).expect("the page");
        let written = with_tables(&on_disk, &mut told);
        if std::env::var_os("UPDATE_SCHEMA").is_some() {
            std::fs::write(&path, written).expect("write the page");
        } else {
            assert!(
                on_disk == written,
                "{page} is out of date: run the tests with UPDATE_SCHEMA=1"
            );
        }
    }
    for (name, _) in tables() {
        assert!(told.iter().any(|told| told == name), "no page has {name}");
    }
}

/// The page with its tables as they must be; their names are noted.
fn with_tables(page: &str, told: &mut Vec<String>) -> String {
    let mut parts = page.split("<!-- keys of ");
    let mut written = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (name, rest) = part.split_once(" -->").expect("a name");
        let (_, after) = rest.split_once("<!-- end -->").expect("an end");
        let (_, table) = tables()
            .into_iter()
            .find(|(known, _)| *known == name)
            .unwrap_or_else(|| panic!("there is no {name}"));
        written += &format!("<!-- keys of {name} -->\n{table}<!-- end -->{after}");
        told.push(name.to_owned());
    }
    written
}

fn table(keys: &[Key]) -> String {
    let head = "| key | value | default | |\n|---|---|---|---|\n";
    let rows = keys.iter().map(|key| row(key) + "\n");
    head.to_owned() + &rows.collect::<String>()
}

fn row(key: &Key) -> String {
    let schema = serde_json::to_value((key.kind)()).expect("JSON");
    let default = match (key.default, key.is_required) {
        (Some(default), _) => format!("`{default}`"),
        (None, true) => "required".into(),
        (None, false) => String::new(),
    };
    let (value, text) = (in_words(&schema), key.text.replace('|', "\\|"));
    format!("| `{}` | {value} | {default} | {text} |", key.name)
}

/// What each is about, and which keys it has.
fn variants<R>(tag: &str, variants: impl Iterator<Item = Variant<R>>) -> String {
    let mut table = format!("| `{tag}` | keys | |\n|---|---|---|\n");
    for Variant {
        word, about, keys, ..
    } in variants
    {
        let keys = keys.iter().copied().flatten();
        let keys: Vec<_> = keys.map(|key| format!("`{}`", key.name)).collect();
        table += &format!("| `{word}` | {} | {about} |\n", keys.join(", "));
    }
    table
}

/// The keys of all of them.
fn keys_of<R>(variants: impl Iterator<Item = Variant<R>>) -> String {
    let mut table = String::from("| of | key | value | default | |\n|---|---|---|---|---|\n");
    for Variant { word, keys, .. } in variants {
        for key in keys.iter().copied().flatten() {
            table += &format!("| `{word}` {}\n", row(key));
        }
    }
    table
}

/// What a schema allows, in words.
fn in_words(schema: &Json) -> String {
    let several = |of: &Json, word: fn(&Json) -> String, between: &str| {
        let words = of.as_array().into_iter().flatten().map(word);
        words.collect::<Vec<_>>().join(between)
    };
    if let Some(definition) = schema["$ref"].as_str() {
        return definition.replace("#/definitions/", "");
    }
    if schema["enum"].is_array() {
        return several(&schema["enum"], code, ", ");
    }
    if schema["anyOf"].is_array() {
        return several(&schema["anyOf"], in_words, " or ");
    }
    match schema["type"].as_str().unwrap_or_default() {
        "string" if schema["examples"].is_array() => {
            format!("like {}", several(&schema["examples"], code, ", "))
        }
        "boolean" => "`true` or `false`".into(),
        "integer" | "number" => in_range(schema),
        "array" => format!("[{}, …]", in_words(&schema["items"])),
        "object" => "table".into(),
        _ => "text".into(),
    }
}

fn in_range(schema: &Json) -> String {
    let either = |inclusive: &str, exclusive: &str| match &schema[inclusive] {
        Json::Null => schema[exclusive].to_string(),
        limit => limit.to_string(),
    };
    let least = either("minimum", "exclusiveMinimum");
    match either("maximum", "exclusiveMaximum").as_str() {
        // As many as fit.
        "null" | "4294967295" => format!("{least} or more"),
        most => format!("{least} to {most}"),
    }
}

fn code(word: &Json) -> String {
    format!("`{}`", word.as_str().unwrap_or_default())
}
