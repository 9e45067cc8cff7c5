//! How a patch changes properties, and the note of when each one changed.

use serde_json::{Map, Value, json};

/// Applies a merge patch (RFC 7396, as twins have it): null deletes, objects merge, anything
/// else, arrays included, replaces. The caller has bounded the depth.
pub(super) fn merge(properties: &mut Map<String, Value>, patch: &Map<String, Value>) {
    for (key, change) in patch {
        match change {
            Value::Null => {
                properties.remove(key);
            }
            Value::Object(change) => {
                let value = properties.entry(key.as_str()).or_insert(Value::Null);
                if !value.is_object() {
                    *value = Value::Object(Map::new());
                }
                if let Value::Object(inner) = value {
                    merge(inner, change);
                }
            }
            change => {
                properties.insert(key.clone(), change.clone());
            }
        }
    }
}

/// The patch that makes `old` into `new`: what replaces a document reaches a device as a change.
pub(super) fn difference(old: &Map<String, Value>, new: &Map<String, Value>) -> Map<String, Value> {
    let gone = old
        .keys()
        .filter(|key| !new.contains_key(*key))
        .map(|key| (key.clone(), Value::Null));
    let changed = new
        .iter()
        .filter_map(|(key, value)| match (old.get(key), value) {
            (Some(Value::Object(before)), Value::Object(after)) => {
                let inner = difference(before, after);
                (!inner.is_empty()).then(|| (key.clone(), Value::Object(inner)))
            }
            (Some(before), after) if before == after => None,
            (_, after) => Some((key.clone(), after.clone())),
        });
    gone.chain(changed).collect()
}

/// When a property changed, as `$metadata` has it.
#[derive(Debug, Clone)]
pub(super) struct Stamp {
    /// RFC 3339.
    pub(super) time: String,
    /// The version that changed it; only desired properties carry it.
    pub(super) version: Option<u64>,
}

/// Notes a patch in `$metadata`, which has the shape of the properties.
pub(super) fn note(metadata: &mut Map<String, Value>, patch: &Map<String, Value>, stamp: &Stamp) {
    metadata.insert("$lastUpdated".into(), json!(stamp.time));
    if let Some(version) = stamp.version {
        metadata.insert("$lastUpdatedVersion".into(), json!(version));
    }
    let nothing = Map::new();
    for (key, change) in patch {
        let inner = match change {
            Value::Null => {
                metadata.remove(key);
                continue;
            }
            Value::Object(inner) => inner,
            _ => {
                metadata.remove(key);
                &nothing
            }
        };
        let entry = metadata
            .entry(key.as_str())
            .or_insert_with(|| Value::Object(Map::new()));
        if let Value::Object(entry) = entry {
            note(entry, inner, stamp);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(value: Value) -> Map<String, Value> {
        match value {
            Value::Object(map) => map,
            other => panic!("{other} is no object"),
        }
    }

    #[test]
    fn patches_merge_as_the_documentation_has_it() {
        let cases = [
            (
                "adds",
                json!({"a": 1}),
                json!({"b": 2}),
                json!({"a": 1, "b": 2}),
            ),
            (
                "replaces",
                json!({"a": 1}),
                json!({"a": "x"}),
                json!({"a": "x"}),
            ),
            (
                "null deletes",
                json!({"a": 1, "b": 2}),
                json!({"a": null}),
                json!({"b": 2}),
            ),
            (
                "null for what is not there",
                json!({}),
                json!({"a": null}),
                json!({}),
            ),
            (
                "objects merge",
                json!({"a": {"x": 1}}),
                json!({"a": {"y": 2}}),
                json!({"a": {"x": 1, "y": 2}}),
            ),
            (
                "null deletes inside",
                json!({"a": {"x": 1, "y": 2}}),
                json!({"a": {"x": null}}),
                json!({"a": {"y": 2}}),
            ),
            (
                "arrays replace",
                json!({"a": [1, 2, 3]}),
                json!({"a": [4]}),
                json!({"a": [4]}),
            ),
            (
                "an object replaces a value",
                json!({"a": 1}),
                json!({"a": {"x": null, "y": 2}}),
                json!({"a": {"y": 2}}),
            ),
            (
                "a value replaces an object",
                json!({"a": {"x": 1}}),
                json!({"a": false}),
                json!({"a": false}),
            ),
            (
                "nothing changes nothing",
                json!({"a": 1}),
                json!({}),
                json!({"a": 1}),
            ),
        ];
        for (what, before, patch, after) in cases {
            let mut properties = object(before);
            merge(&mut properties, &object(patch));
            assert_eq!(Value::Object(properties), after, "{what}");
        }
    }

    #[test]
    fn the_difference_of_two_documents_makes_one_of_the_other() {
        let documents = [
            json!({}),
            json!({"a": 1}),
            json!({"a": {"x": 1, "y": {"z": [1]}}, "b": true}),
            json!({"a": {"y": {"z": [2]}}, "c": {}}),
            json!({"a": "text", "b": false}),
        ];
        for old in &documents {
            for new in &documents {
                let (mut became, new) = (object(old.clone()), object(new.clone()));
                let patch = difference(&became, &new);
                merge(&mut became, &patch);
                assert_eq!(became, new, "{patch:?}");
            }
        }
    }

    #[test]
    fn metadata_follows_the_shape_of_the_properties() {
        let stamp = |time: &str, version| Stamp {
            time: time.into(),
            version,
        };
        let mut metadata = Map::new();
        note(
            &mut metadata,
            &object(json!({"a": {"x": 1}, "b": 2})),
            &stamp("t1", Some(1)),
        );
        note(
            &mut metadata,
            &object(json!({"a": {"y": 1}, "b": null})),
            &stamp("t2", Some(2)),
        );
        let first = json!({"$lastUpdated": "t1", "$lastUpdatedVersion": 1});
        let second = json!({"$lastUpdated": "t2", "$lastUpdatedVersion": 2});
        assert_eq!(
            Value::Object(metadata.clone()),
            json!({
                "$lastUpdated": "t2", "$lastUpdatedVersion": 2,
                "a": {"$lastUpdated": "t2", "$lastUpdatedVersion": 2, "x": first, "y": second},
            })
        );
        note(&mut metadata, &object(json!({"a": 7})), &stamp("t3", None));
        assert_eq!(metadata.get("a"), Some(&json!({"$lastUpdated": "t3"})));
    }
}
