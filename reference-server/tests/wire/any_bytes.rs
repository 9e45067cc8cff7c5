//! Any bytes at any listener: the server serves on, and no thread of it panics.
//!
//! Each case is a conversation that goes wrong: mutated, cut, repeated, out of order, or no
//! conversation at all. `FLEETSTORM_ANY_BYTES_SECONDS` sets how long each test looks for one
//! that does harm.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use fleetstorm_reference_server::Config;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{TestCaseResult, TestRunner};
use rustls::sign::CertifiedKey;
use rustls::{ALL_VERSIONS, ClientConnection};
use serde_json::json;

use crate::conversations::{Conversation, at_amqp, at_control, at_https, at_mqtt};
use crate::dialect::{self, Ask, Caller, https};
use crate::hub::{one_hub, provisioned};
use crate::instance::Instance;
use crate::mutation::{edited, edits};
use crate::panics;
use crate::questions::register;
use crate::tls::{Secured, connect, dial};

/// Cases between two proofs that the server still serves.
const BATCH: u32 = 32;
/// How long each test goes on, unless told otherwise.
const SECONDS: u64 = 3;

/// A server under siege, one at a time: a panic is counted, but does not say whose it is.
struct Siege {
    instance: Instance,
    _alone: MutexGuard<'static, ()>,
}

impl Siege {
    /// With so few places that a connection which is never given up would show.
    fn lay() -> Self {
        static ALONE: Mutex<()> = Mutex::new(());
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let instance = Instance::start(Config {
            max_connections: 24,
            ..one_hub()
        });
        Self {
            instance,
            _alone: alone,
        }
    }
}

impl Siege {
    /// Tries cases of `strategy` until the time is over; after each batch the server must serve.
    fn last<Case: Strategy>(&self, strategy: Case, case: impl Fn(Case::Value) -> TestCaseResult) {
        let seconds = std::env::var("FLEETSTORM_ANY_BYTES_SECONDS");
        let seconds = seconds.map_or(SECONDS, |text| text.parse().expect("whole seconds"));
        let end = Instant::now() + Duration::from_secs(seconds);
        let config = ProptestConfig {
            cases: BATCH,
            failure_persistence: None,
            ..ProptestConfig::default()
        };
        while Instant::now() < end {
            let tried = TestRunner::new(config.clone()).run(&strategy, |value| {
                let before = panics::count();
                case(value)?;
                prop_assert_eq!(panics::count(), before, "a thread of a server panicked");
                Ok(())
            });
            if let Err(harm) = tried {
                panic!("{harm}");
            }
            serves(&self.instance);
        }
    }
}

/// A good device still registers, over every transport.
fn serves(instance: &Instance) {
    let server = instance.server.announcement();
    let pump = instance.pump("pump-1");
    for dialect in dialect::ALL {
        let answer = (dialect.ask)(server, &pump, &register());
        assert_eq!(
            answer.status, 202,
            "{} over {}",
            answer.body, dialect.transport
        );
    }
}

/// Sends pieces over TLS, hangs up, and waits until the server does.
fn say(mut wire: Secured, pieces: &[Vec<u8>]) -> TestCaseResult {
    for piece in pieces {
        // Who is hung up on can't say more.
        if wire.write_all(piece).and_then(|()| wire.flush()).is_err() {
            break;
        }
    }
    wire.conn.send_close_notify();
    let _ = wire.flush();
    until_the_end(&mut wire.sock)
}

/// The same without TLS.
fn say_plainly(address: SocketAddr, pieces: &[Vec<u8>]) -> TestCaseResult {
    let mut wire = connect(address);
    for piece in pieces {
        if wire.write_all(piece).is_err() {
            break;
        }
    }
    until_the_end(&mut wire)
}

fn until_the_end(wire: &mut TcpStream) -> TestCaseResult {
    let _ = wire.shutdown(Shutdown::Write);
    let mut heard = [0; 4096];
    loop {
        match wire.read(&mut heard) {
            Ok(0) => return Ok(()),
            Ok(_) => {}
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
                ) =>
            {
                return Err(TestCaseError::fail("the server does not hang up"));
            }
            Err(_) => return Ok(()),
        }
    }
}

impl Siege {
    /// Mutates good conversations over TLS.
    fn conversations(&self, device: &Caller, good: &[Conversation]) {
        let server = self.instance.server.announcement();
        self.last((0..good.len(), edits()), |(chosen, edits)| {
            let Conversation {
                host,
                address,
                pieces,
            } = &good[chosen];
            let certificate = device.certificate.as_ref();
            let wire = dial(server, *address, host, certificate, ALL_VERSIONS);
            say(wire, &edited(pieces, &edits))
        });
    }
}

#[test]
fn no_bytes_at_the_https_port_do_harm() {
    let siege = Siege::lay();
    let pump = provisioned(&siege.instance, "pump-1");
    siege.conversations(&pump, &at_https(&siege.instance, &pump));
}

#[test]
fn no_bytes_at_the_mqtt_port_do_harm() {
    let siege = Siege::lay();
    let pump = provisioned(&siege.instance, "pump-1");
    siege.conversations(&pump, &at_mqtt(&siege.instance, &pump));
}

#[test]
fn no_bytes_at_the_amqp_port_do_harm() {
    let siege = Siege::lay();
    let pump = provisioned(&siege.instance, "pump-1");
    siege.conversations(&pump, &at_amqp(&siege.instance, &pump));
}

#[test]
fn no_bytes_instead_of_tls_do_harm() {
    let siege = Siege::lay();
    let instance = &siege.instance;
    let server = instance.server.announcement();
    let hello = client_hello(instance);
    let garbage = vec(any::<u8>(), 0..2000).prop_map(|bytes| vec![bytes]);
    let mutated = edits().prop_map(move |edits| edited(std::slice::from_ref(&hello), &edits));
    let cases = (0..4usize, prop_oneof![garbage, mutated]);
    siege.last(cases, |(port, pieces)| {
        let address = [server.https, server.mqtt, server.amqp, server.control][port];
        say_plainly(address, &pieces)
    });
}

fn client_hello(instance: &Instance) -> Vec<u8> {
    let server = instance.server.announcement();
    let wire = dial(
        server,
        server.https,
        &server.global_endpoint,
        None,
        ALL_VERSIONS,
    );
    let mut connection: ClientConnection = wire.conn;
    let mut hello = Vec::new();
    connection.write_tls(&mut hello).expect("a first flight");
    hello
}

#[test]
fn no_bytes_at_the_control_port_do_harm() {
    let siege = Siege::lay();
    provisioned(&siege.instance, "pump-1");
    let good = at_control(&siege.instance);
    siege.last((0..good.len(), edits()), |(chosen, edits)| {
        let Conversation {
            address, pieces, ..
        } = &good[chosen];
        say_plainly(*address, &edited(pieces, &edits))
    });
}

#[test]
fn no_certificate_does_harm() {
    let siege = Siege::lay();
    let instance = &siege.instance;
    let server = instance.server.announcement();
    let pump = instance.pump("pump-1");
    let good = pump.certificate.as_deref().expect("a certificate");
    let chain: Vec<_> = good
        .cert
        .iter()
        .map(|certificate| certificate.to_vec())
        .collect();
    siege.last(edits(), |edits| {
        let chain = edited(&chain, &edits).into_iter().map(Into::into).collect();
        let shown = Arc::new(CertifiedKey::new(chain, Arc::clone(&good.key)));
        let wire = dial(
            server,
            server.https,
            &server.global_endpoint,
            Some(&shown),
            ALL_VERSIONS,
        );
        let body = json!({"registrationId": "pump-1"}).to_string().into_bytes();
        say(
            wire,
            &[https::request(
                &server.global_endpoint,
                &pump,
                &Ask::Register(body),
            )],
        )
    });
}
