//! Allocation by lowest latency goes by the address that a connection comes from.

use std::collections::BTreeMap;
use std::time::Duration;

use fleetstorm_protocol::enrollment::AllocationPolicy;
use fleetstorm_reference_server::{Config, HubConfig, InstanceConfig, RegionConfig};

use crate::dialect::{self, Ask};
use crate::instance::{Instance, quick, tenant};
use crate::questions::register;

#[test]
fn a_device_goes_to_the_hub_that_is_near_its_address() {
    let region = |name: &str, prefix: &str, other: &str| RegionConfig {
        name: name.into(),
        prefixes: vec![prefix.parse().expect("a prefix")],
        latency: BTreeMap::from([(other.to_owned(), Duration::from_millis(85))]),
    };
    let hub = |name: &str, region: &str| HubConfig {
        region: Some(region.into()),
        ..HubConfig::named(name)
    };
    // The tests connect from loopback: it lies in another region each time.
    for (here, there) in [("west", "east"), ("east", "west")] {
        let instance = Instance::start(Config {
            regions: vec![
                region(here, "127.0.0.0/8", there),
                region(there, "10.0.0.0/8", here),
            ],
            hubs: vec![hub("hub-west.test", "west"), hub("hub-east.test", "east")],
            instances: vec![InstanceConfig {
                allocation_policy: AllocationPolicy::GeoLatency,
                ..tenant()
            }],
            ..quick()
        });
        let server = instance.server.announcement();
        for (number, dialect) in dialect::ALL.iter().enumerate() {
            let pump = instance.pump(&format!("pump-{number}"));
            let accepted = (dialect.ask)(server, &pump, &register());
            let operation = accepted.body["operationId"].as_str().expect("accepted");
            let ended = (dialect.ask)(server, &pump, &Ask::OperationStatus(operation.into()));
            let hub = &ended.body["registrationState"]["assignedHub"];
            assert_eq!(*hub, format!("hub-{here}.test"), "{}", dialect.transport);
        }
    }
}
