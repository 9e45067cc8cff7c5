//! A twin's life, by both sides.

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;

use super::*;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("in range")
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        other => panic!("{other} is no object"),
    }
}

fn twin() -> Twin {
    let mut initial = InitialTwin {
        tags: object(json!({"site": "north"})),
        ..InitialTwin::default()
    };
    initial.properties.desired = object(json!({"interval": 5, "mode": {"eco": true}}));
    Twin::new(Some(&initial), &SharedViews::default(), at(0))
}

fn view(twin: &Twin) -> Value {
    serde_json::from_slice(twin.view()).expect("JSON")
}

fn patch(text: &str) -> TwinPatch {
    serde_json::from_str(text).expect("a patch")
}

#[test]
fn a_new_twin_has_both_parts_at_version_one() {
    assert_eq!(
        view(&Twin::new(None, &SharedViews::default(), at(0))),
        json!({"desired": {"$version": 1}, "reported": {"$version": 1}})
    );
    let document = twin().document();
    assert_eq!(Value::Object(document.tags), json!({"site": "north"}));
    assert_eq!(
        (document.version, document.etag.as_str()),
        (2, "AAAAAAAAAAE=")
    );
    let born = json!({"$lastUpdated": "1970-01-01T00:00:00.0000000Z", "$lastUpdatedVersion": 1});
    assert_eq!(
        document.desired["$metadata"],
        json!({
            "$lastUpdated": "1970-01-01T00:00:00.0000000Z", "$lastUpdatedVersion": 1,
            "interval": born,
            "mode": {"$lastUpdated": "1970-01-01T00:00:00.0000000Z", "$lastUpdatedVersion": 1, "eco": born},
        })
    );
}

#[test]
fn a_device_reports_and_only_its_part_moves() {
    let mut twin = twin();
    let first = twin.patch_reported(
        br#"{"battery": 90, "net": {"ip": "::1"}, "$version": 1}"#,
        at(10),
    );
    assert_eq!(first, Ok(2));
    assert_eq!(
        twin.patch_reported(br#"{"battery": null, "net": {"up": true}}"#, at(20)),
        Ok(3)
    );
    assert_eq!(
        view(&twin),
        json!({
            "desired": {"interval": 5, "mode": {"eco": true}, "$version": 1},
            "reported": {"net": {"ip": "::1", "up": true}, "$version": 3},
        })
    );
    let document = twin.document();
    assert_eq!(
        (document.version, document.etag.as_str()),
        (4, "AAAAAAAAAAE=")
    );
    let metadata = &document.reported["$metadata"]["net"];
    assert_eq!(
        metadata["ip"]["$lastUpdated"],
        "1970-01-01T00:00:10.0000000Z"
    );
    assert_eq!(
        metadata["up"]["$lastUpdated"],
        "1970-01-01T00:00:20.0000000Z"
    );
    assert!(metadata["up"].get("$lastUpdatedVersion").is_none());
}

#[test]
fn what_breaks_a_rule_changes_nothing() {
    let mut twin = twin();
    let before = view(&twin);
    let fifty_kilobytes =
        json!({"a": "x".repeat(4096), "b": vec!["y".repeat(4096); 12]}).to_string();
    for bad in [
        "",
        "nonsense",
        "[]",
        "1",
        "null",
        r#"{"$x": 1}"#,
        r#"{"a": {"b c": 1}}"#,
        &fifty_kilobytes,
    ] {
        assert!(twin.patch_reported(bad.as_bytes(), at(1)).is_err(), "{bad}");
    }
    for bad in [
        r#"{"tags": {"$x": 1}}"#,
        r#"{"tags": {"a": 1}, "properties": {"desired": {"b.c": 1}}}"#,
    ] {
        assert!(
            twin.change(patch(bad), TwinChange::Merge, at(1)).is_err(),
            "{bad}"
        );
    }
    assert_eq!(view(&twin), before);
    assert_eq!(
        Value::Object(twin.document().tags),
        json!({"site": "north"})
    );
    assert_eq!(twin.document().version, 2);
}

#[test]
fn the_service_patches_and_the_device_is_told_the_patch() {
    let mut twin = twin();
    let told = twin
        .change(
            patch(r#"{"tags": {"row": 7}, "properties": {"desired": {"interval": null, "mode": {"eco": false}}}}"#),
            TwinChange::Merge,
            at(5),
        )
        .expect("good")
        .expect("desired properties change");
    assert_eq!(told.version, 2);
    let told: Value = serde_json::from_slice(&told.patch).expect("JSON");
    assert_eq!(
        told,
        json!({"interval": null, "mode": {"eco": false}, "$version": 2})
    );
    assert_eq!(
        view(&twin)["desired"],
        json!({"mode": {"eco": false}, "$version": 2})
    );
    let document = twin.document();
    assert_eq!(
        Value::Object(document.tags),
        json!({"site": "north", "row": 7})
    );
    assert_eq!(
        (document.version, document.etag.as_str()),
        (3, "AAAAAAAAAAI=")
    );

    let told = twin.change(
        patch(r#"{"tags": {"row": null}}"#),
        TwinChange::Merge,
        at(6),
    );
    assert_eq!(told, Ok(None), "tags are not the device's");
    assert_eq!(
        Value::Object(twin.document().tags),
        json!({"site": "north"})
    );
}

#[test]
fn a_replacement_reaches_the_device_as_the_patch_that_makes_it() {
    let mut twin = twin();
    let told = twin
        .change(
            patch(r#"{"properties": {"desired": {"mode": {"eco": true, "night": 1}, "$version": 9}}}"#),
            TwinChange::Replace,
            at(5),
        )
        .expect("good")
        .expect("desired properties change");
    let told: Value = serde_json::from_slice(&told.patch).expect("JSON");
    assert_eq!(
        told,
        json!({"interval": null, "mode": {"night": 1}, "$version": 2})
    );
    assert_eq!(
        view(&twin)["desired"],
        json!({"mode": {"eco": true, "night": 1}, "$version": 2})
    );
    assert!(twin.document().tags.is_empty(), "they were replaced, too");
}

/// Documents of few keys, so that patches meet.
fn patches() -> impl Strategy<Value = Map<String, Value>> {
    let leaf = prop_oneof![
        3 => Just(Value::Null),
        2 => any::<bool>().prop_map(Value::from),
        2 => (0..9_i64).prop_map(Value::from),
        1 => "[a-z ]{0,6}".prop_map(Value::from),
        1 => vec(0..9_i64, 0..3).prop_map(Value::from),
    ];
    let value = leaf.prop_recursive(3, 12, 4, |inner| {
        btree_map("[a-d]", inner, 0..4).prop_map(|map| Value::Object(map.into_iter().collect()))
    });
    btree_map("[a-d]", value, 0..4).prop_map(|map| map.into_iter().collect())
}

/// Whether `$metadata` names the properties, all of them and no others.
fn is_noted(properties: &Map<String, Value>, metadata: &Value) -> bool {
    let Some(metadata) = metadata.as_object() else {
        return false;
    };
    let noted = metadata.keys().filter(|key| !key.starts_with('$'));
    let named = properties.keys().filter(|key| !key.starts_with('$'));
    metadata.contains_key("$lastUpdated")
        && noted.eq(named.clone())
        && named.into_iter().all(|key| match &properties[key] {
            Value::Object(inner) => is_noted(inner, &metadata[key]),
            _ => metadata[key]
                .as_object()
                .is_some_and(|noted| noted.keys().all(|key| key.starts_with('$'))),
        })
}

proptest! {
    #[test]
    fn a_device_that_follows_every_change_holds_what_the_twin_holds(
        changes in vec((any::<bool>(), any::<bool>(), patches()), 1..12),
    ) {
        let mut twin = twin();
        let mut followed = twin.parsed().desired;
        let (mut reported_version, mut desired_version) = (1, 1);
        for (by_device, replaces, patch) in changes {
            if by_device {
                let patch = serde_json::to_vec(&patch).expect("JSON");
                reported_version += 1;
                prop_assert_eq!(twin.patch_reported(&patch, at(1)), Ok(reported_version));
                continue;
            }
            let (change, desired) = if replaces {
                let mut whole = Map::new();
                merge(&mut whole, &patch);
                (TwinChange::Replace, whole)
            } else {
                (TwinChange::Merge, patch)
            };
            let patch = TwinPatch {
                tags: None,
                properties: TwinPatchProperties { desired: Some(desired) },
            };
            let told = twin.change(patch, change, at(2)).expect("good").expect("told");
            desired_version += 1;
            prop_assert_eq!(told.version, desired_version);
            let told: Map<String, Value> = serde_json::from_slice(&told.patch).expect("JSON");
            merge(&mut followed, &told);
        }
        let read = twin.parsed();
        prop_assert_eq!(&read.desired, &followed);
        prop_assert_eq!(&read.desired["$version"], desired_version);
        prop_assert_eq!(&read.reported["$version"], reported_version);
        let document = twin.document();
        prop_assert!(is_noted(&read.desired, &document.desired["$metadata"]), "{document:?}");
        prop_assert!(is_noted(&read.reported, &document.reported["$metadata"]), "{document:?}");
        prop_assert_eq!(document.version, reported_version + desired_version);
    }
}
