//! A DPS and its hubs in memory: what devices meet in tests in virtual time.

use std::cell::RefCell;
use std::net::Ipv4Addr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use fleetstorm_protocol::hub::HubEvent;
use fleetstorm_protocol::ids::IdScope;
use fleetstorm_scenarios::{Overrides, Plan, Ports, parse};
use serde_json::json;
use tokio::io::DuplexStream;
use tokio::sync::broadcast;
use tokio::task::spawn_local;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use self::certificate::certified;
use crate::device::Conditions;
use crate::device::geography::Geography;
use crate::fleet::Fleet;
use crate::link::dial::DialOptions;
use crate::link::dial::memory::Network;
use crate::link::region_link::RegionLinks;
use crate::run;
use crate::server::target::Target;
use crate::stopwatch::RunClock;

mod amqp;
mod certificate;
mod http;
mod mqtt;

const HTTPS: u16 = 443;
const MQTT: u16 = 8883;
const AMQP: u16 = 5671;
/// Seconds until whoever asks DPS may ask again.
const RETRY_AFTER: u32 = 1;
/// Every registration's.
const OPERATION: &str = "4.1";

/// The global endpoint.
pub const ENDPOINT: &str = "global.test";
/// Where devices are assigned to at first, and another hub.
pub const HUBS: [&str; 2] = ["hub-1.test", "hub-2.test"];

/// One service; copies are the same one.
#[derive(Clone)]
pub struct Service {
    network: Network,
    ca_pem: String,
    state: Rc<RefCell<State>>,
    clock: RunClock,
    /// To those who have a session with a hub.
    tell: broadcast::Sender<Told>,
}

struct State {
    /// Where devices are assigned to.
    hub: &'static str,
    /// The status with which DPS refuses everybody.
    refuses: Option<u16>,
    /// The hubs that don't know any device.
    strangers: Vec<&'static str>,
    are_hubs_shut: bool,
    is_deaf: bool,
    seen: Vec<(Duration, Seen)>,
}

/// What a service sees of devices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// One asks to be registered.
    Registers,
    /// One has a session with this hub.
    Joins(&'static str),
    /// One was not let in there.
    NotLetIn,
    /// A message.
    Message(String),
    /// A method was answered.
    Answers,
    /// A sign of life.
    Lives,
    /// One says good-bye to its hub.
    Leaves,
    /// One has gone without a word.
    Vanishes,
}

/// What happens to the sessions of a hub.
#[derive(Debug, Clone)]
enum Told {
    Publish(HubEvent),
    Hangup,
}

impl Service {
    /// One that serves from now on, in tasks of its own.
    pub fn start(clock: RunClock) -> Self {
        let (network, mut listener) = Network::new();
        let (server, ca_pem) = certified();
        let acceptor = TlsAcceptor::from(Arc::new(server));
        let service = Self {
            network,
            ca_pem,
            state: Rc::new(RefCell::new(State {
                hub: HUBS[0],
                refuses: None,
                strangers: Vec::new(),
                are_hubs_shut: false,
                is_deaf: false,
                seen: Vec::new(),
            })),
            clock,
            tell: broadcast::Sender::new(16),
        };
        let serving = service.clone();
        spawn_local(async move {
            while let Some((port, caller)) = listener.recv().await {
                let (serving, acceptor) = (serving.clone(), acceptor.clone());
                spawn_local(async move {
                    // One that hangs up early is none.
                    if let Ok(secured) = acceptor.accept(caller).await {
                        serving.serve(port, secured).await;
                    }
                });
            }
        });
        service
    }

    /// A scenario's plan, and its devices, which have nobody but this service.
    pub fn devices_of(&self, scenario: &str) -> (Plan, Conditions) {
        let scenario = parse(scenario, "in-memory.toml").expect("a scenario");
        let plan = Plan::new(scenario, &Overrides::default()).expect("a plan");
        let fleet = Fleet::prepare(&plan, None, &|_, _| {}).expect("a fleet");
        let id_scope = |tenant| IdScope::parse(&format!("0ne0000000{tenant}"));
        let target = Target {
            label: String::new(),
            endpoint: ENDPOINT.into(),
            id_scopes: (0..3)
                .map(|tenant| id_scope(tenant).expect("valid"))
                .collect(),
            ports: Ports {
                https: HTTPS,
                mqtt: MQTT,
                amqp: AMQP,
            },
            dial: DialOptions {
                trust_pem: Some(self.ca_pem.clone()),
                connect_to: Some(Ipv4Addr::LOCALHOST.into()),
            },
            hubs: HUBS.map(str::to_owned).into(),
        };
        let geography = Geography::of(plan.scenario(), &RegionLinks::of(&[]));
        let shared = (self.clock, &Arc::new(geography));
        let conditions = run::conditions(&plan, &Arc::new(fleet), &target, shared);
        let mut conditions = conditions.expect("what devices share");
        conditions.dialer.network = Some(self.network.clone());
        (plan, conditions)
    }

    /// Whether nobody gets through to it from now on.
    pub fn set_down(&self, is_down: bool) {
        self.network.set_down(is_down);
    }

    /// Devices are assigned to this hub from now on.
    pub fn assign_to(&self, hub: &'static str) {
        self.state.borrow_mut().hub = hub;
    }

    /// DPS refuses everybody from now on, or nobody.
    pub fn refuse(&self, status: Option<u16>) {
        self.state.borrow_mut().refuses = status;
    }

    /// Whether hubs end each connection before anything is said, from now on.
    pub fn shut_hubs(&self, are_shut: bool) {
        self.state.borrow_mut().are_hubs_shut = are_shut;
    }

    /// This hub does not know any device from now on, and ends its sessions.
    pub fn forget_at(&self, hub: &'static str) {
        self.state.borrow_mut().strangers.push(hub);
        self.hang_up();
    }

    /// Ends all sessions with hubs.
    pub fn hang_up(&self) {
        // There may be none.
        let _ = self.tell.send(Told::Hangup);
    }

    /// Hubs take nothing that is said to them, and keep their connections.
    pub fn go_deaf(&self) {
        self.state.borrow_mut().is_deaf = true;
    }

    /// Every device is told.
    pub fn publish(&self, event: &HubEvent) {
        let told = self.tell.send(Told::Publish(event.clone()));
        told.expect("a session");
    }

    /// What it has seen so far, in whole seconds.
    pub fn seen(&self) -> Vec<(u64, Seen)> {
        let state = self.state.borrow();
        let seen = state.seen.iter();
        seen.map(|(at, seen)| (at.as_secs(), seen.clone()))
            .collect()
    }

    /// When it saw this, to the millisecond.
    pub fn times_of(&self, what: &Seen) -> Vec<Duration> {
        let state = self.state.borrow();
        let seen = state.seen.iter().filter(|(_, seen)| seen == what);
        seen.map(|(at, _)| Duration::from_millis(u64::try_from(at.as_millis()).expect("short")))
            .collect()
    }

    fn see(&self, seen: Seen) {
        self.state.borrow_mut().seen.push((self.clock.now(), seen));
    }

    /// Serves a connection to `port`.
    async fn serve(&self, port: u16, secured: TlsStream<DuplexStream>) {
        let host = secured.get_ref().1.server_name().map(str::to_owned);
        let hub = HUBS.into_iter().find(|hub| host.as_deref() == Some(hub));
        if hub.is_some() && self.state.borrow().are_hubs_shut {
            return;
        }
        match port {
            HTTPS => self.serve_http(secured, hub).await,
            MQTT => self.serve_mqtt(secured, hub).await,
            AMQP => self.serve_amqp(secured, hub).await,
            _ => panic!("nobody serves port {port}"),
        }
    }

    /// Whether this hub knows no device.
    fn is_stranger_at(&self, hub: &'static str) -> bool {
        self.state.borrow().strangers.contains(&hub)
    }

    /// What DPS answers: a status as of HTTP, and JSON. Whoever is answered comes back in [`RETRY_AFTER`].
    fn answer(&self, is_register: bool) -> (u16, String) {
        let state = self.state.borrow();
        let (status, body) = match (is_register, state.refuses) {
            (true, Some(status)) => (status, json!({"errorCode": u32::from(status) * 1000})),
            (true, None) => (
                202,
                json!({"operationId": OPERATION, "status": "assigning"}),
            ),
            (false, _) => {
                let assigned = json!({"assignedHub": state.hub, "deviceId": "device"});
                (
                    200,
                    json!({"operationId": OPERATION, "status": "assigned", "registrationState": assigned}),
                )
            }
        };
        drop(state);
        if is_register {
            self.see(Seen::Registers);
        }
        (status, body.to_string())
    }
}
