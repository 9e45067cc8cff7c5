//! The diagnostic log tells what devices did, and nothing that opens a door.

use std::collections::BTreeSet;

use fleetstorm_reference_server::Config;
use serde_json::Value;

use crate::dialect;
use crate::instance::{Instance, quick};
use crate::questions::rows;

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
