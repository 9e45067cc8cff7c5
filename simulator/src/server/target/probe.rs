//! One connection to each place that devices will turn to, before any load: a wrong name, port or trust
//! anchor is told once, and not by every device.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use fleetstorm_reports::Fault;
use fleetstorm_scenarios::Plan;
use futures_util::{StreamExt, stream};
use tokio::time::timeout;

use super::Target;
use crate::failure::Failure;
use crate::link::dial::{Dialer, Way};

/// Longest wait for a first connection.
const LIMIT: Duration = Duration::from_secs(15);
/// Connections tried at once.
const AT_ONCE: usize = 16;

/// A place.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Door {
    /// The global endpoint's.
    Endpoint { port: u16 },
    /// A hub's.
    Hub { host: String, port: u16 },
    /// Where hubs are by their address, of which nobody knows the names.
    Unnamed { address: SocketAddr },
}

impl Target {
    /// Attempts each port that the plan's devices use: at the endpoint, and at the hubs that are known.
    ///
    /// # Errors
    /// What stands in the way of the first that can't be reached: exit 3.
    pub fn probe(&self, plan: &Plan) -> Result<(), Failure> {
        let dialer = Dialer::new(&self.dial)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|e| Failure::bug(format!("the probe could not start: {e}")))?;
        let doors = self.doors(plan);
        runtime.block_on(async {
            let tries = doors.iter().map(|door| self.try_door(door, &dialer));
            let mut tried = stream::iter(tries).buffered(AT_ONCE);
            while let Some(open) = tried.next().await {
                open?;
            }
            Ok(())
        })
    }

    /// The endpoint's come first.
    fn doors(&self, plan: &Plan) -> Vec<Door> {
        let cohorts = &plan.scenario().cohorts;
        let of_dps = cohorts.iter().flat_map(|cohort| {
            let transports = cohort.transports.iter();
            transports.map(|(transport, _)| self.ports.of(*transport))
        });
        let of_dps: BTreeSet<u16> = of_dps.collect();
        let of_hubs = cohorts.iter().flat_map(|cohort| {
            let told = cohort.hub_transport;
            let transports = cohort.transports.iter();
            transports.map(move |(transport, _)| {
                self.ports.of(told.unwrap_or_else(|| transport.at_hub()))
            })
        });
        let of_hubs: BTreeSet<u16> = of_hubs.collect();
        let endpoint = of_dps.iter().map(|port| Door::Endpoint { port: *port });
        let hubs = self.hubs.iter().flat_map(|host| {
            let host = host.clone();
            of_hubs.iter().map(move |port| Door::Hub {
                host: host.clone(),
                port: *port,
            })
        });
        let elsewhere = self.dial.connect_to.filter(|_| self.hubs.is_empty());
        // The endpoint's are tried already.
        let unnamed = elsewhere.into_iter().flat_map(|address| {
            let others = of_hubs.difference(&of_dps);
            others.map(move |port| Door::Unnamed {
                address: SocketAddr::new(address, *port),
            })
        });
        endpoint.chain(hubs).chain(unnamed).collect()
    }

    async fn try_door(&self, door: &Door, dialer: &Dialer) -> Result<(), Failure> {
        let dial = async |host: &str, port| {
            let dialled = dialer.dial(host, port, None, Way::default()).await;
            dialled.map(drop).map_err(|broken| broken.fault)
        };
        let trying = async {
            match door {
                Door::Endpoint { port } => dial(&self.endpoint, *port).await,
                Door::Hub { host, port } => dial(host, *port).await,
                Door::Unnamed { address } => {
                    dialer.connect(*address, Way::default()).await.map(drop)
                }
            }
        };
        let place = match door {
            Door::Endpoint { port } => format!("{}:{port}", self.endpoint),
            Door::Hub { host, port } => format!("hub {host}:{port}"),
            Door::Unnamed { address } => format!("hubs at {address}"),
        };
        match timeout(LIMIT, trying).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(fault)) => {
                Err(Failure::unreachable(format!("{place}: {}", fault.name()))
                    .hint(hint(fault, door)))
            }
            Err(_) => {
                let limit = LIMIT.as_secs();
                Err(
                    Failure::unreachable(format!("{place} did not answer within {limit} s"))
                        .hint("check the host, the port and the firewall"),
                )
            }
        }
    }
}

fn hint(fault: Fault, door: &Door) -> &'static str {
    match fault {
        Fault::UntrustedServer => "name the CA that signed the server's certificate with --ca FILE",
        Fault::Unresolvable => "check the host name, or give its address with --connect-to",
        Fault::ConnectionRefused => "check the port: nobody listens there",
        Fault::LocalResources => {
            "raise the limit of open files (ulimit -n), or close what has them"
        }
        _ => match door {
            Door::Endpoint { .. } => "check that host and port are those of a DPS endpoint",
            Door::Hub { .. } | Door::Unnamed { .. } => {
                "check that host and port are those of a hub"
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::dial::DialOptions;
    use fleetstorm_scenarios::{Overrides, Ports};

    fn doors(cohorts: &[&str], hubs: &[&str], connect_to: Option<&str>) -> Vec<String> {
        let cohorts = (0..).zip(cohorts).map(|(number, keys)| {
            format!(
                "[[cohort]]\nname = \"a-{number}\"\ndevices = 1\nattestation = \"x509-group\"\narrival = {{ kind = \"all-at-once\" }}\n{keys}\n"
            )
        });
        let text = "name = \"doors\"\n".to_owned() + &cohorts.collect::<String>();
        let scenario = fleetstorm_scenarios::parse(&text, "doors.toml").expect("valid");
        let plan = Plan::new(scenario, &Overrides::default()).expect("a plan");
        let target = Target {
            label: "dps.test".into(),
            endpoint: "dps.test".into(),
            id_scopes: Vec::new(),
            ports: Ports::default(),
            dial: DialOptions {
                trust_pem: None,
                connect_to: connect_to.map(|address| address.parse().expect("an address")),
            },
            hubs: hubs.iter().map(ToString::to_string).collect(),
        };
        let doors = target.doors(&plan).into_iter().map(|door| match door {
            Door::Endpoint { port } => format!("dps:{port}"),
            Door::Hub { host, port } => format!("{host}:{port}"),
            Door::Unnamed { address } => address.to_string(),
        });
        doors.collect()
    }

    #[test]
    fn every_port_is_tried_where_devices_will_turn_to_it() {
        let https = "transport = \"https\"";
        let amqp = "transport = \"amqp\"";
        let both = "transport = { https = 1, mqtt = 2 }\nhub-transport = \"amqp-ws\"";
        assert_eq!(doors(&[https], &[], None), ["dps:443"]);
        // Who speaks HTTPS to DPS speaks MQTT to its hub.
        let one = doors(&[https], &["hub-1"], None);
        assert_eq!(one, ["dps:443", "hub-1:8883"]);
        let mixed = doors(&[amqp, both], &["hub-1", "hub-2"], None);
        assert_eq!(
            mixed,
            [
                "dps:443",
                "dps:5671",
                "dps:8883",
                "hub-1:443",
                "hub-1:5671",
                "hub-2:443",
                "hub-2:5671"
            ]
        );
        let unnamed = doors(&[https, amqp], &[], Some("127.0.0.1"));
        assert_eq!(unnamed, ["dps:443", "dps:5671", "127.0.0.1:8883"]);
    }
}
