//! A DPS and its hubs in memory, over MQTT: what devices meet in tests in virtual time.

use std::cell::RefCell;
use std::net::Ipv4Addr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use fleetstorm_protocol::hub::{HubEvent, HubRequest, TwinResponse};
use fleetstorm_protocol::ids::IdScope;
use fleetstorm_protocol::mqtt::{DpsOperation, DpsRequest, DpsResponse};
use fleetstorm_protocol::twin::DeviceTwin;
use fleetstorm_scenarios::{Overrides, Plan, Ports, parse};
use futures_util::{SinkExt, StreamExt};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rumqttc::mqttbytes::QoS;
use rumqttc::mqttbytes::v4::{
    Codec, ConnAck, ConnectReturnCode, Packet, PubAck, Publish, SubAck, SubscribeReasonCode,
};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::PrivatePkcs8KeyDer;
use serde_json::json;
use tokio::io::DuplexStream;
use tokio::sync::broadcast;
use tokio::task::spawn_local;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::codec::Framed;

use crate::device::Conditions;
use crate::device::geography::Geography;
use crate::fleet::Fleet;
use crate::link::dial::DialOptions;
use crate::link::dial::memory::Network;
use crate::link::region_link::RegionLinks;
use crate::run;
use crate::server::target::Target;
use crate::stopwatch::RunClock;

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
    Publish(String),
    Hangup,
}

type Conversation = Framed<TlsStream<DuplexStream>, Codec>;

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
            while let Some(caller) = listener.recv().await {
                let (serving, acceptor) = (serving.clone(), acceptor.clone());
                spawn_local(async move {
                    // One that hangs up early is none.
                    if let Ok(secured) = acceptor.accept(caller).await {
                        serving.converse(secured).await;
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
                https: 443,
                mqtt: 8883,
                amqp: 5671,
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
        let told = self.tell.send(Told::Publish(event.topic()));
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

    async fn converse(&self, secured: TlsStream<DuplexStream>) {
        let host = secured.get_ref().1.server_name().map(str::to_owned);
        let hub = HUBS.into_iter().find(|hub| host.as_deref() == Some(hub));
        if hub.is_some() && self.state.borrow().are_hubs_shut {
            return;
        }
        let codec = Codec {
            max_incoming_size: 65_536,
            max_outgoing_size: 65_536,
        };
        let mut packets = Framed::new(secured, codec);
        let Some(Ok(Packet::Connect(_))) = packets.next().await else {
            return;
        };
        let is_stranger = hub.is_some_and(|hub| self.state.borrow().strangers.contains(&hub));
        let code = if is_stranger {
            ConnectReturnCode::NotAuthorized
        } else {
            ConnectReturnCode::Success
        };
        say(&mut packets, Packet::ConnAck(ConnAck::new(code, false))).await;
        match hub {
            Some(_) if is_stranger => self.see(Seen::NotLetIn),
            Some(hub) => self.serve_hub(packets, hub).await,
            None => self.serve_dps(packets).await,
        }
    }

    async fn serve_dps(&self, mut packets: Conversation) {
        while let Some(Ok(packet)) = packets.next().await {
            match packet {
                Packet::Subscribe(asked) => say(&mut packets, granted(asked.pkid)).await,
                Packet::Publish(asked) => {
                    say(&mut packets, Packet::PubAck(PubAck::new(asked.pkid))).await;
                    let request = DpsRequest::parse(&asked.topic).expect("a request");
                    say(&mut packets, self.answer(request)).await;
                }
                _ => return,
            }
        }
    }

    fn answer(&self, request: DpsRequest) -> Packet {
        let state = self.state.borrow();
        let (status, body) = match request.operation {
            DpsOperation::Register => match state.refuses {
                Some(status) => (status, json!({"errorCode": u32::from(status) * 1000})),
                None => (202, json!({"operationId": "4.1", "status": "assigning"})),
            },
            DpsOperation::OperationStatus(_) => {
                let assigned = json!({"assignedHub": state.hub, "deviceId": "device"});
                let operation = "4.1";
                (
                    200,
                    json!({"operationId": operation, "status": "assigned", "registrationState": assigned}),
                )
            }
        };
        drop(state);
        if matches!(status, 202 | 400..) {
            self.see(Seen::Registers);
        }
        let answer = DpsResponse {
            status,
            rid: request.rid,
            retry_after: Some(1),
        };
        publish(answer.topic(), body.to_string().as_bytes())
    }

    async fn serve_hub(&self, mut packets: Conversation, hub: &'static str) {
        self.see(Seen::Joins(hub));
        let mut told = self.tell.subscribe();
        loop {
            let packet = tokio::select! {
                told = told.recv() => match told {
                    Ok(Told::Publish(topic)) => {
                        say(&mut packets, publish(topic, b"{}")).await;
                        continue;
                    }
                    Ok(Told::Hangup) | Err(_) => return,
                },
                packet = packets.next() => packet,
            };
            let Some(Ok(packet)) = packet else {
                return self.see(Seen::Vanishes);
            };
            if self.state.borrow().is_deaf {
                continue;
            }
            match packet {
                Packet::Subscribe(asked) => say(&mut packets, granted(asked.pkid)).await,
                Packet::Publish(said) => {
                    say(&mut packets, Packet::PubAck(PubAck::new(said.pkid))).await;
                    if let Some(answer) = self.heard(&said) {
                        say(&mut packets, answer).await;
                    }
                }
                Packet::PingReq => {
                    self.see(Seen::Lives);
                    say(&mut packets, Packet::PingResp).await;
                }
                Packet::Disconnect => return self.see(Seen::Leaves),
                _ => {}
            }
        }
    }

    /// What a device says to its hub, and the answer, if it wants one.
    fn heard(&self, said: &Publish) -> Option<Packet> {
        let rid = match HubRequest::parse(&said.topic).expect("a request") {
            HubRequest::TwinGet { rid } | HubRequest::ReportedPatch { rid } => rid,
            HubRequest::MethodResponse { .. } => {
                self.see(Seen::Answers);
                return None;
            }
            HubRequest::Telemetry { .. } => {
                let text = String::from_utf8(said.payload.to_vec());
                self.see(Seen::Message(text.expect("text")));
                return None;
            }
        };
        let answer = TwinResponse {
            status: 200,
            rid,
            version: None,
        };
        let twin = serde_json::to_vec(&DeviceTwin::default()).expect("JSON");
        Some(publish(answer.topic(), &twin))
    }
}

/// A device that does not listen any more makes no difference.
async fn say(packets: &mut Conversation, packet: Packet) {
    let _ = packets.send(packet).await;
}

fn granted(id: u16) -> Packet {
    let granted = vec![SubscribeReasonCode::Success(QoS::AtLeastOnce)];
    Packet::SubAck(SubAck::new(id, granted))
}

fn publish(topic: String, payload: &[u8]) -> Packet {
    Packet::Publish(Publish::new(topic, QoS::AtMostOnce, payload))
}

/// A certificate for all hosts, and PEM of its CA.
fn certified() -> (ServerConfig, String) {
    let ca_key = KeyPair::generate().expect("a key");
    let mut ca = CertificateParams::default();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca_pem = ca.self_signed(&ca_key).expect("a CA").pem();
    let key = KeyPair::generate().expect("a key");
    let names = HUBS.into_iter().chain([ENDPOINT]).map(str::to_owned);
    let leaf = CertificateParams::new(names.collect::<Vec<_>>()).expect("host names");
    let leaf = leaf.signed_by(&key, &Issuer::new(ca, ca_key));
    let chain = vec![leaf.expect("a certificate").der().clone()];
    let key = PrivatePkcs8KeyDer::from(key.serialize_der());
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions of TLS")
        .with_no_client_auth()
        .with_single_cert(chain, key.into())
        .expect("a certificate");
    (config, ca_pem)
}
