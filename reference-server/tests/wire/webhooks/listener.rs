//! A webhook: a real HTTP server that does what a test wants, good or bad.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use rustls::crypto::aws_lc_rs::default_provider;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::Value;

use crate::tls::Wire;

/// What it does with a request.
#[derive(Debug, Clone)]
pub enum Behaviour {
    /// These very bytes.
    Says(String),
    /// Nothing, for as long as the other side waits.
    IsSilent,
    /// It hangs up.
    HangsUp,
    /// A good head, and a body without end.
    NeverEnds,
}

/// One request.
#[derive(Debug, Clone)]
pub struct WebhookRequest {
    /// Its first line.
    pub line: String,
    /// The rest of its head.
    pub headers: Vec<String>,
    /// Its body.
    pub body: Value,
}

/// A webhook that listens until the tests end.
pub struct Listener {
    pub address: SocketAddr,
    seen: Arc<Seen>,
}

#[derive(Default)]
struct Seen {
    asked: Mutex<Vec<WebhookRequest>>,
    connections: AtomicUsize,
}

impl Listener {
    /// Over HTTP.
    pub fn start(act: impl Fn(&WebhookRequest) -> Behaviour + Send + Sync + 'static) -> Self {
        Self::over(|stream| Box::new(stream), act)
    }

    /// Over HTTPS.
    pub fn start_secured(
        certificate: Arc<CertifiedKey>,
        act: impl Fn(&WebhookRequest) -> Behaviour + Send + Sync + 'static,
    ) -> Self {
        let resolver = SingleCertAndKey::from(certificate);
        let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions of TLS")
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(resolver));
        let config = Arc::new(config);
        let secured = move |stream| -> Box<dyn Wire + Send> {
            let connection = ServerConnection::new(Arc::clone(&config)).expect("a server");
            Box::new(StreamOwned::new(connection, stream))
        };
        Self::over(secured, act)
    }

    fn over(
        secured: impl Fn(TcpStream) -> Box<dyn Wire + Send> + Send + 'static,
        act: impl Fn(&WebhookRequest) -> Behaviour + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let seen = Arc::new(Seen::default());
        let act = Arc::new(act);
        let notes = Arc::clone(&seen);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (act, notes, stream) = (Arc::clone(&act), Arc::clone(&notes), secured(stream));
                notes.connections.fetch_add(1, Ordering::SeqCst);
                std::thread::spawn(move || serve(stream, &*act, &notes));
            }
        });
        Self { address, seen }
    }

    /// All that it was asked until now.
    pub fn asked(&self) -> Vec<WebhookRequest> {
        self.seen.asked.lock().expect("no panic").clone()
    }

    /// Connections until now.
    pub fn connections(&self) -> usize {
        self.seen.connections.load(Ordering::SeqCst)
    }
}

/// A good answer.
pub fn says(status: &str, body: &Value) -> Behaviour {
    says_text(status, &body.to_string())
}

/// An answer with any body.
pub fn says_text(status: &str, body: &str) -> Behaviour {
    let length = body.len();
    Behaviour::Says(format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    ))
}

fn serve(stream: Box<dyn Wire + Send>, act: &dyn Fn(&WebhookRequest) -> Behaviour, seen: &Seen) {
    let mut stream = BufReader::new(stream);
    while let Some(asked) = read(&mut stream) {
        seen.asked.lock().expect("no panic").push(asked.clone());
        let out = stream.get_mut();
        match act(&asked) {
            Behaviour::Says(text) => {
                // Who hung up does not hear it.
                let _ = out.write_all(text.as_bytes());
                let _ = out.flush();
            }
            Behaviour::HangsUp => return,
            Behaviour::IsSilent => {
                let _ = stream.read(&mut [0]);
                return;
            }
            Behaviour::NeverEnds => {
                let head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
                let mut sent = out.write_all(head);
                while sent.is_ok() {
                    sent = out.write_all(&[&b"1000\r\n"[..], &[b' '; 4096], b"\r\n"].concat());
                }
                return;
            }
        }
    }
}

fn read(stream: &mut impl BufRead) -> Option<WebhookRequest> {
    let mut line = || {
        let mut line = String::new();
        stream.read_line(&mut line).ok()?;
        Some(line.trim_end().to_owned())
    };
    let first = line().filter(|first| !first.is_empty())?;
    let mut headers = Vec::new();
    loop {
        let header = line()?;
        if header.is_empty() {
            break;
        }
        headers.push(header.to_ascii_lowercase());
    }
    let length = headers
        .iter()
        .find_map(|header| header.strip_prefix("content-length: "));
    let mut body = vec![0; length?.parse().ok()?];
    stream.read_exact(&mut body).ok()?;
    Some(WebhookRequest {
        line: first,
        headers,
        body: serde_json::from_slice(&body).ok()?,
    })
}
