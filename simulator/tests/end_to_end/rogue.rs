//! A server that talks rubbish, stops or hangs up: devices fail with a reason, each in its
//! time, and none takes the run along.

use std::net::SocketAddr;
use std::sync::Arc;

use rand::SeedableRng;
use rand::seq::IndexedRandom;
use rand::{Rng, RngExt};
use rand_chacha::ChaCha8Rng;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy, split};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::binary::{Scratch, Served, fleetstorm, path};

const DEVICES: u64 = 240;

/// Devices that prove themselves inside the protocol: certificates would end at the rogue.
const SCENARIO: &str = r#"
name = "rogue"
seed = 5
device-timeout = "8s"

[server]
processing = { p50 = "1ms", p99 = "5ms" }
retry-after = "0s"

[arrival]
kind = "constant-rate"
rate = "120/s"

[[cohort]]
name = "meters"
devices = 200
attestation = "symmetric-key-group"
transport = { https = 1, mqtt = 1, mqtt-ws = 1, amqp = 1, amqp-ws = 1 }
desired = { interval = 30 }
after = { reported = { firmware = "1.1" }, messages = 2 }

[[cohort]]
name = "controllers"
devices = 40
attestation = "tpm"
transport = { https = 1, amqp = 1 }
"#;

/// Between devices and a good server. What devices say is passed on; what the server says,
/// not always.
struct Rogue {
    ports: [SocketAddr; 3],
    ca_pem: String,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

/// What becomes of what the server says, from some byte on.
#[derive(Debug, Clone, Copy)]
enum Whim {
    Honest,
    FlipBits,
    Insert,
    Stop,
    HangUp,
}

const WHIMS: [Whim; 8] = [
    Whim::Honest,
    Whim::Honest,
    Whim::Honest,
    Whim::FlipBits,
    Whim::FlipBits,
    Whim::Insert,
    Whim::Stop,
    Whim::HangUp,
];

impl Rogue {
    fn before(served: &Served) -> Self {
        let names = served.announcement["hubs"].as_array().into_iter().flatten();
        let names = names.filter_map(Value::as_str);
        let names: Vec<_> = names
            .chain([served.text("global_endpoint")])
            .map(str::to_owned)
            .collect();
        let (server, ca_pem) = own_certificate(names);
        let acceptor = TlsAcceptor::from(Arc::new(server));
        let connector = TlsConnector::from(Arc::new(trust_in(served.text("ca_pem"))));
        let good: [SocketAddr; 3] =
            ["https", "mqtt", "amqp"].map(|port| served.text(port).parse().expect("a port"));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let listeners = good.map(|_| {
            let listening = TcpListener::bind("127.0.0.1:0");
            runtime.block_on(listening).expect("a port")
        });
        let ports = listeners
            .each_ref()
            .map(|listener| listener.local_addr().expect("an address"));
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            for (listener, good) in listeners.into_iter().zip(good) {
                let (acceptor, connector) = (acceptor.clone(), connector.clone());
                runtime.spawn(async move {
                    for number in 0.. {
                        let Ok((device, _)) = listener.accept().await else {
                            return;
                        };
                        let random =
                            ChaCha8Rng::seed_from_u64(u64::from(good.port()) << 32 | number);
                        let (acceptor, connector) = (acceptor.clone(), connector.clone());
                        tokio::spawn(pass_on(device, good, acceptor, connector, random));
                    }
                });
            }
            let _ = runtime.block_on(stopped);
        });
        Self {
            ports,
            ca_pem,
            stop: Some(stop),
            thread: Some(thread),
        }
    }
}

impl Drop for Rogue {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn own_certificate(names: Vec<String>) -> (ServerConfig, String) {
    let ca_key = KeyPair::generate().expect("a key");
    let mut ca = CertificateParams::default();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca_pem = ca.self_signed(&ca_key).expect("a CA").pem();
    let key = KeyPair::generate().expect("a key");
    let leaf = CertificateParams::new(names).expect("host names");
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

fn trust_in(ca_pem: &str) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    let ca = CertificateDer::from_pem_slice(ca_pem.as_bytes()).expect("PEM");
    roots.add(ca).expect("a CA");
    ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions of TLS")
        .with_root_certificates(roots)
        .with_no_client_auth()
}

/// One connection, by one whim.
async fn pass_on(
    device: TcpStream,
    good: SocketAddr,
    acceptor: TlsAcceptor,
    connector: TlsConnector,
    mut random: ChaCha8Rng,
) -> Option<()> {
    device.set_nodelay(true).ok()?;
    let device = acceptor.accept(device).await.ok()?;
    let name = device.get_ref().1.server_name()?.to_owned();
    let name = ServerName::try_from(name).ok()?;
    let server = TcpStream::connect(good).await.ok()?;
    server.set_nodelay(true).ok()?;
    let server = connector.connect(name, server).await.ok()?;
    let (mut from_device, mut to_device) = split(device);
    let (mut from_server, mut to_server) = split(server);
    tokio::spawn(async move { copy(&mut from_device, &mut to_server).await });

    let whim = *WHIMS.choose(&mut random)?;
    // Answers are short: the whim has to come early to come at all.
    let mut until = random.random_range(0..1200);
    let mut bytes = [0; 2048];
    loop {
        let length = from_server
            .read(&mut bytes)
            .await
            .ok()
            .filter(|length| *length > 0)?;
        let mut said = bytes[..length].to_vec();
        if let Some(from) = said.get_mut(until..) {
            match whim {
                Whim::Honest => {}
                Whim::FlipBits => from.iter_mut().step_by(97).for_each(|byte| {
                    *byte ^= 1 << random.random_range(0..8);
                }),
                Whim::Insert => {
                    let mut rubbish = [0; 40];
                    random.fill_bytes(&mut rubbish);
                    said.splice(until..until, rubbish);
                }
                // Open, and silent from here on.
                Whim::Stop => std::future::pending().await,
                Whim::HangUp => return None,
            }
        }
        until = until.saturating_sub(length);
        to_device.write_all(&said).await.ok()?;
        to_device.flush().await.ok()?;
    }
}

#[test]
fn a_server_that_talks_rubbish_fails_devices_and_nothing_else() {
    let scratch = Scratch::new();
    let scenario = scratch.write("rogue.toml", SCENARIO);
    let list = scratch.path("enrollments.jsonl");
    let exported = fleetstorm(&["enrollments", path(&scenario), "--out", path(&list)]);
    assert_eq!(exported.exit_code, 0, "{}", exported.stderr);
    let served = Served::with_enrollments(&list);
    let rogue = Rogue::before(&served);
    let ca = scratch.write("ca.pem", &rogue.ca_pem);
    let [https, mqtt, amqp] = rogue.ports.map(|address| address.port().to_string());
    let run = scratch.run(
        SCENARIO,
        &[
            "--endpoint",
            served.text("global_endpoint"),
            "--id-scope",
            served.id_scope(),
            "--connect-to",
            "127.0.0.1",
            "--https-port",
            &https,
            "--mqtt-port",
            &mqtt,
            "--amqp-port",
            &amqp,
            "--ca",
            path(&ca),
        ],
    );
    let said = format!("{}\n{}", run.stdout, run.stderr);
    assert!(!said.contains("panicked"), "{said}");
    let summary = scratch.summary();
    // No threshold was set; but an answer may have become one that no device should get.
    let contradicted = summary["oracle"]["contradictions"] != 0;
    let expected = if contradicted { 99 } else { 0 };
    assert_eq!(run.exit_code, expected, "{said}");
    let devices = &summary["devices"];
    let count = |name: &str| devices[name].as_u64().expect("a count");
    assert_eq!(count("released"), DEVICES, "{said}");
    assert_eq!(count("provisioned") + count("failed"), DEVICES, "{said}");
    assert!(count("provisioned") > 0 && count("failed") > 0, "{said}");
}
