//! What a hub's registry is asked for, and whether a twin is that.
#![no_main]

use fleetstorm_reference_server::hub::query::Query;
use libfuzzer_sys::fuzz_target;
use serde_json::json;

fuzz_target!(|text: &str| {
    if let Ok(query) = Query::parse(text) {
        let _ = query.finds(&json!({
            "deviceId": "pump-1", "status": "enabled", "version": 3,
            "tags": {"site": {"floor": 2, "name": "north"}, "on": true, "none": null},
            "properties": {"desired": {"rate": 0.5}, "reported": {"list": [1, "two"]}},
        }));
    }
});
