//! The diagnostic log tells what devices did, and nothing that opens a door.

use std::collections::BTreeSet;

use fleetstorm_reference_server::Config;
use serde_json::{Value, json};

use crate::dialect;
use crate::hub::http::to_control;
use crate::instance::{Instance, quick, stranger};
use crate::questions::{register, rows};

#[test]
fn every_question_is_logged_and_no_key_or_token_is() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("dps.log");
    let instance = Instance::start(Config {
        diagnostic_log: Some(path.clone()),
        ..quick()
    });
    let mut secrets: Vec<String> = [&instance.meters, &instance.lamps, &instance.locks]
        .into_iter()
        .flatten()
        .map(|key| String::from(key.clone()))
        .collect();
    let mut asked = 0;
    for row in rows(&instance) {
        for dialect in [&dialect::https::DIALECT, &dialect::mqtt::DIALECT] {
            let answer = (dialect.ask)(instance.server.announcement(), &row.caller, &row.ask);
            if answer.status != 0 {
                asked += 1;
            }
        }
        let signature = |sas: &str| Some(sas.split("sig=").nth(1)?.split('&').next()?.to_owned());
        secrets.extend(row.caller.sas.as_deref().and_then(signature));
    }
    drop(instance);
    let log = std::fs::read_to_string(&path).expect("a log");
    let records: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON lines"))
        .collect();
    // Questions to an instance that there is not are in no instance's log.
    assert!(records.len() > asked / 2, "{} of {asked}", records.len());
    let results: BTreeSet<_> = records
        .iter()
        .map(|record| record["ResultType"].as_str().expect("text"))
        .collect();
    assert_eq!(results, BTreeSet::from(["ClientError", "Success"]));
    let has = |secret: &&String| !secret.is_empty() && log.contains(secret.as_str());
    assert_eq!(secrets.iter().find(has), None);
}

#[test]
fn the_log_tells_what_was_answered_and_not_what_a_fault_made_of_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("dps.log");
    let instance = Instance::start(Config {
        diagnostic_log: Some(path.clone()),
        ..quick()
    });
    let rule = json!({"do": "corrupt", "operations": ["register"]}).to_string();
    assert_eq!(
        to_control(&instance, "POST /faults", &[], &rule).status,
        200
    );
    let server = instance.server.announcement();
    // Its JSON is none any more, which the one that asks here stumbles over.
    let asked = std::panic::catch_unwind(|| {
        (dialect::https::DIALECT.ask)(server, &stranger("lock-1"), &register()).status
    });
    assert!(asked.is_err() || asked.is_ok_and(|status| status == 401));
    drop(instance);
    let log = std::fs::read_to_string(&path).expect("a log");
    let record: Value = serde_json::from_str(log.lines().next().expect("a record")).expect("JSON");
    assert_eq!(record["ResultType"], "ClientError");
    assert_eq!(record["ResultSignature"], "401");
}
