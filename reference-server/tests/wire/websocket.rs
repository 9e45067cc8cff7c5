//! A WebSocket, by hand (RFC 6455).

use std::io::{self, Read, Write};

use crate::tls::Wire;

/// Operation codes of messages (section 5.2).
pub const TEXT: u8 = 1;
/// Bytes.
pub const BINARY: u8 = 2;
/// The last frame of a side.
pub const CLOSE: u8 = 8;
/// To be answered with the same payload in a 0xA.
pub const PING: u8 = 9;

/// Masks what the client sends (section 5.3); any key will do.
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// A connection after its upgrade: each write is a message, reads give the bytes of messages.
pub struct Socket<Carrier> {
    carrier: Carrier,
    incoming: Vec<u8>,
}

/// Asks for a WebSocket with the key of section 1.3.
pub fn request(host: &str, path: &str, sub_protocol: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         Sec-WebSocket-Protocol: {sub_protocol}\r\n\r\n"
    )
}

/// The head of an answer, line by line, to the empty one.
pub fn head(carrier: &mut impl Wire) -> Vec<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        carrier.read_exact(&mut byte).expect("a whole head");
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).expect("UTF-8");
    head.trim_end().lines().map(str::to_owned).collect()
}

impl<Carrier: Wire> Socket<Carrier> {
    /// Upgrades a connection.
    pub fn open(mut carrier: Carrier, host: &str, path: &str, sub_protocol: &str) -> Self {
        let request = request(host, path, sub_protocol);
        carrier.write_all(request.as_bytes()).expect("it is read");
        let head = head(&mut carrier);
        assert!(head[0].starts_with("HTTP/1.1 101 "), "{head:?}");
        let has = |name: &str, value: &str| {
            head.iter().any(|line| {
                line.split_once(": ")
                    .is_some_and(|(n, v)| n.eq_ignore_ascii_case(name) && v == value)
            })
        };
        assert!(
            has("Sec-WebSocket-Accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
            "{head:?}"
        );
        assert!(
            has("Sec-WebSocket-Protocol", sub_protocol),
            "the client's spelling: {head:?}"
        );
        Self {
            carrier,
            incoming: Vec::new(),
        }
    }

    /// Sends one message.
    pub fn send(&mut self, opcode: u8, payload: &[u8]) -> io::Result<()> {
        self.carrier.write_all(&frame(opcode, payload))?;
        self.carrier.flush()
    }

    /// Sends bytes as they are.
    pub fn send_raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.carrier.write_all(bytes)?;
        self.carrier.flush()
    }

    /// The next message: its operation code and payload.
    pub fn receive(&mut self) -> io::Result<(u8, Vec<u8>)> {
        let mut head = [0; 2];
        self.carrier.read_exact(&mut head)?;
        assert_eq!(head[0] & 0xf0, 0x80, "whole messages");
        assert_eq!(head[1] & 0x80, 0, "servers do not mask");
        let length = match head[1] {
            126 => {
                let mut length = [0; 2];
                self.carrier.read_exact(&mut length)?;
                usize::from(u16::from_be_bytes(length))
            }
            length => usize::from(length),
        };
        let mut payload = vec![0; length];
        self.carrier.read_exact(&mut payload)?;
        Ok((head[0] & 0x0f, payload))
    }
}

/// A whole message in one frame, masked.
pub fn frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = frame_head(opcode, payload.len());
    frame.extend(payload.iter().zip(MASK.iter().cycle()).map(|(b, m)| b ^ m));
    frame
}

/// The head of a frame that announces `length` bytes.
pub fn frame_head(opcode: u8, length: usize) -> Vec<u8> {
    let mut head = vec![0x80 | opcode];
    match u16::try_from(length) {
        Ok(short @ ..126) => head.push(0x80 | u8::try_from(short).expect("below 126")),
        Ok(length) => {
            head.push(0x80 | 126);
            head.extend(length.to_be_bytes());
        }
        Err(_) => {
            head.push(0x80 | 127);
            head.extend(u64::try_from(length).expect("64 bits").to_be_bytes());
        }
    }
    head.extend(MASK);
    head
}

impl<Carrier: Wire> Read for Socket<Carrier> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.incoming.is_empty() {
            match self.receive()? {
                (BINARY, payload) => self.incoming = payload,
                (CLOSE, _) => return Ok(0),
                (opcode, _) => panic!("an unexpected message: {opcode}"),
            }
        }
        let taken = into.len().min(self.incoming.len());
        into[..taken].copy_from_slice(&self.incoming[..taken]);
        self.incoming.drain(..taken);
        Ok(taken)
    }
}

impl<Carrier: Wire> Write for Socket<Carrier> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.send(BINARY, bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.carrier.flush()
    }
}
