//! Many DPS instances behind one global endpoint: what one knows, the other does not.

use std::io::Write;

use fleetstorm_protocol::quota::Rates;
use fleetstorm_reference_server::{Config, HubConfig, InstanceConfig, LinkedHubConfig};

use crate::certificates::{Authority, Validity};
use crate::dialect::{self, Ask, Caller, Dialect};
use crate::hub::http::to_control;
use crate::instance::{ID_SCOPE, Instance, caller, group, quick, tenant};
use crate::questions::register;

const OTHER_SCOPE: &str = "0ne00000002";

fn linked(host_name: &str) -> Vec<LinkedHubConfig> {
    vec![LinkedHubConfig {
        host_name: host_name.into(),
        allocation_weight: 1,
        apply_allocation_policy: true,
    }]
}

/// Registers and polls once: the status, and the hub if there is one.
fn provision(dialect: &Dialect, instance: &Instance, caller: &Caller) -> (u16, Option<String>) {
    let server = instance.server.announcement();
    let accepted = (dialect.ask)(server, caller, &register());
    let Some(operation) = accepted.body["operationId"].as_str() else {
        return (accepted.status, None);
    };
    let operation = Ask::OperationStatus(operation.into());
    let ended = (dialect.ask)(server, caller, &operation);
    let hub = ended.body["registrationState"]["assignedHub"].as_str();
    (ended.status, hub.map(Into::into))
}

#[test]
fn each_instance_has_its_own_devices_hubs_and_throttle() {
    let theirs = Authority::new("theirs");
    let mut list = tempfile::NamedTempFile::new().expect("a file");
    writeln!(list, "{}", group("pumps", &theirs, "enabled")).expect("a line");
    let instance = Instance::start(Config {
        hubs: ["ours.test", "theirs.test"].map(HubConfig::named).into(),
        instances: vec![
            InstanceConfig {
                hubs: linked("ours.test"),
                ..tenant()
            },
            InstanceConfig {
                id_scope: OTHER_SCOPE.into(),
                name: "dps-2.fleetstorm.test".into(),
                hubs: linked("theirs.test"),
                enrollments: Some(list.path().into()),
                throttle: Rates {
                    registrations_per_minute: 5,
                    ..Rates::NONE
                },
                ..tenant()
            },
        ],
        ..quick()
    });
    let ours = instance.pump("pump-1");
    let theirs = caller("pump-1", &theirs.device("pump-1", Validity::Current));
    let in_scope = |caller: &Caller, id_scope: &str| Caller {
        id_scope: id_scope.into(),
        ..caller.clone()
    };
    let hub = |name: &str| (200, Some(name.to_owned()));
    for dialect in &dialect::ALL {
        let provision =
            |caller: &Caller, scope| provision(dialect, &instance, &in_scope(caller, scope));
        let name = dialect.transport;
        assert_eq!(provision(&ours, ID_SCOPE), hub("ours.test"), "{name}");
        assert_eq!(
            provision(&theirs, OTHER_SCOPE),
            hub("theirs.test"),
            "{name}"
        );
        assert_eq!(provision(&ours, OTHER_SCOPE).0, 401, "{name}");
        assert_eq!(provision(&theirs, ID_SCOPE).0, 401, "{name}");
    }
    // Five were theirs; ours has no limit.
    let first = &dialect::ALL[0];
    assert_eq!(
        provision(first, &instance, &in_scope(&theirs, OTHER_SCOPE)).0,
        429
    );
    assert_eq!(provision(first, &instance, &ours), hub("ours.test"));
}

#[test]
fn the_rates_of_an_instance_change_while_it_runs() {
    let instance = Instance::start(Config {
        instances: vec![InstanceConfig {
            throttle: Rates {
                registrations_per_minute: 1,
                ..Rates::NONE
            },
            ..tenant()
        }],
        ..quick()
    });
    let dialect = &dialect::ALL[0];
    let pump = instance.pump("pump-1");
    let registers = || provision(dialect, &instance, &pump).0;
    let path = format!("PUT /instances/{ID_SCOPE}/throttle");
    let change = |line: &str, body: &str| to_control(&instance, line, &[], body);
    // The minute may end between two questions, once.
    let refused = (0..3).any(|_| registers() == 429);
    assert!(refused, "one a minute");
    assert_eq!(change(&path, r#""none""#).status, 200);
    assert_eq!([registers(), registers()], [200, 200]);
    let azure = change(&path, r#""azure""#).body.to_string();
    let documented = concat!(
        r#""throttle":{"operations-per-minute":1000,"polls-per-ten-seconds":5,"#,
        r#""registrations-per-minute":1000}"#
    );
    assert!(azure.contains(documented), "{azure}");
    for (line, body) in [
        (path.as_str(), r#""aws""#),
        (path.as_str(), r#"{"registrations":1}"#),
        ("PUT /instances/0neunknown/throttle", r#""none""#),
    ] {
        assert_eq!(change(line, body).status, 400, "{line} {body}");
    }
    let shown = change("GET /instances", "").body.to_string();
    assert_eq!(shown, azure);
}
