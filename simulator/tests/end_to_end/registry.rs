//! What a server says of a device when the service side asks.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use rustls::{ClientConnection, StreamOwned};
use serde_json::Value;

use crate::binary::Served;
use crate::service::dial;

/// The service API of an instance or a hub, over one connection.
pub struct ServiceApi {
    stream: BufReader<StreamOwned<ClientConnection, TcpStream>>,
    host: String,
    token: String,
}

impl ServiceApi {
    /// As a connection string says.
    pub fn connect(served: &Served, connection_string: &str) -> Self {
        let (stream, host, token) = dial(served, connection_string);
        Self {
            stream: BufReader::new(stream),
            host: host.to_owned(),
            token,
        }
    }

    /// What is at a path; nothing, where it is not found.
    pub fn get(&mut self, path: &str) -> Option<Value> {
        let Self { host, token, .. } = self;
        // DPS and its hubs have versions of their own.
        let version = if path.starts_with("/registrations/") {
            "2021-10-01"
        } else {
            "2021-04-12"
        };
        let request = format!(
            "GET {path}?api-version={version} HTTP/1.1\r\nHost: {host}\r\nAuthorization: {token}\r\n\r\n"
        );
        let stream = self.stream.get_mut();
        stream
            .write_all(request.as_bytes())
            .expect("the server reads");
        let mut line = || {
            let mut line = String::new();
            self.stream.read_line(&mut line).expect("a line");
            line.trim_end().to_ascii_lowercase()
        };
        let status = line();
        let mut length = 0;
        loop {
            let header = line();
            if header.is_empty() {
                break;
            }
            if let Some(value) = header.strip_prefix("content-length: ") {
                length = value.parse().expect("a number");
            }
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).expect("a body");
        if status.contains(" 404 ") {
            return None;
        }
        assert!(status.contains(" 200 "), "{path}: {status}");
        Some(serde_json::from_slice(&body).expect("JSON"))
    }
}
