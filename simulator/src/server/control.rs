//! The bundled server's control endpoint: plain HTTP on loopback, between two halves of one program.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Longest answer.
const MAX_ANSWER: u64 = 1 << 20;
const CONNECT_LIMIT: Duration = Duration::from_secs(2);
const ANSWER_LIMIT: Duration = Duration::from_secs(5);

/// Where it is.
#[derive(Debug, Clone, Copy)]
pub struct Control {
    address: SocketAddr,
}

impl Control {
    /// At this address.
    pub fn at(address: SocketAddr) -> Self {
        Self { address }
    }

    /// Asks for a resource.
    ///
    /// # Errors
    /// It does not answer, or not with 200.
    pub fn get(&self, path: &str) -> io::Result<Vec<u8>> {
        self.ask("GET", path, "")
    }

    /// Changes a resource; `body` is JSON.
    ///
    /// # Errors
    /// It does not answer, or refuses: with its reason.
    pub fn put(&self, path: &str, body: &str) -> io::Result<()> {
        self.ask("PUT", path, body).map(drop)
    }

    fn ask(&self, method: &str, path: &str, body: &str) -> io::Result<Vec<u8>> {
        let mut stream = TcpStream::connect_timeout(&self.address, CONNECT_LIMIT)?;
        stream.set_read_timeout(Some(ANSWER_LIMIT))?;
        stream.set_write_timeout(Some(ANSWER_LIMIT))?;
        let length = body.len();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
        )?;
        let mut answer = Vec::new();
        stream.take(MAX_ANSWER).read_to_end(&mut answer)?;
        let head = answer
            .windows(4)
            .position(|window| window == b"\r\n\r\n")
            .ok_or_else(|| io::Error::other("the answer has no end of headers"))?;
        let body = answer.split_off(head + 4);
        if answer.starts_with(b"HTTP/1.1 200") {
            return Ok(body);
        }
        let said = if body.is_empty() { answer } else { body };
        Err(io::Error::other(reason(&said)))
    }
}

/// What a refusal says for people: its `error`, else all of it.
fn reason(said: &[u8]) -> String {
    let parsed: Option<serde_json::Value> = serde_json::from_slice(said).ok();
    let error = parsed.as_ref().and_then(|said| said["error"].as_str());
    error.map_or_else(|| String::from_utf8_lossy(said).into_owned(), str::to_owned)
}
