//! A device's AMQP connection to its hub, frame by frame.

use std::collections::BTreeMap;

use rustls::ALL_VERSIONS;
use serde_json::Value;

use super::HUB;
use crate::dialect::Caller;
use crate::dialect::amqp::{
    HEADER, compound, deliver, described, find, flow, frame, plain, read, receive, section, send,
    string, symbol, uint,
};
use crate::instance::Instance;
use crate::tls::{Secured, dial};

/// A connection that is open, with a session.
pub struct AmqpDevice {
    wire: Secured,
    deliveries: u8,
    handles: BTreeMap<String, u8>,
    /// The model that it says it is of, with each link.
    pub model: Option<&'static str>,
    /// The version that each link names.
    pub version: &'static str,
    /// What the messages of links are to be selected by.
    pub selector: Option<&'static str>,
}

/// A message that the hub sent.
#[derive(Debug)]
pub struct Received {
    pub delivery: u8,
    pub settled: bool,
    bytes: Vec<u8>,
}

impl AmqpDevice {
    /// Connects, with its certificate if it has one.
    pub fn connect(instance: &Instance, caller: &Caller) -> Self {
        let server = instance.server.announcement();
        let certificate = caller.certificate.as_ref();
        Self::open(dial(server, server.amqp, HUB, certificate, ALL_VERSIONS))
    }

    /// Logs in by SASL PLAIN; none where the hub will not have it.
    pub fn log_in(instance: &Instance, user: &str, password: &str) -> Option<Self> {
        let server = instance.server.announcement();
        let mut wire = dial(server, server.amqp, HUB, None, ALL_VERSIONS);
        let response = format!("\0{user}\0{password}");
        let code = plain(&mut wire, response.as_bytes());
        assert!([0, 1].contains(&code), "ok or auth: {code}");
        (code == 0).then(|| Self::open(wire))
    }

    fn open(mut wire: Secured) -> Self {
        let opening = [
            HEADER.to_vec(),
            frame(0x10, &[string("wire"), string(HUB)]),
            frame(0x11, &[vec![0x40], uint(0), uint(200), uint(200)]),
        ];
        send(&mut wire, &opening.concat());
        assert_eq!(read(&mut wire, 8), HEADER);
        for code in [0x10, 0x11] {
            assert_eq!(receive(&mut wire).0, code);
        }
        Self {
            wire,
            deliveries: 0,
            handles: BTreeMap::new(),
            model: None,
            version: "2021-04-12",
            selector: None,
        }
    }

    /// Attaches a link by a name of the test's own; gives it credit, or waits for some.
    pub fn attach(&mut self, name: &str, receives: bool, address: &str) {
        let handle = self.ask_for(name, receives, address);
        assert_eq!(receive(&mut self.wire).0, 0x12, "attach of {address}");
        if receives {
            send(&mut self.wire, &flow(handle, 50));
        } else {
            assert_eq!(receive(&mut self.wire).0, 0x13, "credit for {address}");
        }
    }

    /// Asks for a link that is refused. Returns the detach.
    pub fn refused(&mut self, receives: bool, address: &str) -> Vec<u8> {
        let handle = self.ask_for(address, receives, address);
        assert_eq!(receive(&mut self.wire).0, 0x12, "attach of {address}");
        let (code, refusal) = receive(&mut self.wire);
        assert_eq!(code, 0x16, "detach of {address}");
        send(&mut self.wire, &crate::dialect::amqp::detach(handle));
        refusal
    }

    fn ask_for(&mut self, name: &str, receives: bool, address: &str) -> u8 {
        let handle = u8::try_from(self.handles.len()).expect("few links");
        self.handles.insert(name.to_owned(), handle);
        let mut there = vec![string(address)];
        if let Some(selector) = self.selector {
            let name = symbol("apache.org:selector-filter:string");
            let value = [&[0x00], &name[..], &string(selector)].concat();
            there.extend(std::iter::repeat_n(vec![0x40], 6));
            there.push(compound(0xd1, &[name, value]));
        }
        let there = described(0x28, &there);
        let (source, target) = if receives {
            (there, described(0x29, &[]))
        } else {
            (described(0x28, &[]), described(0x29, &[string(address)]))
        };
        // Both links of a pair begin alike: `twin-in`, `twin-out`.
        let (pair, _) = name.split_once('-').unwrap_or((name, ""));
        let mut properties = vec![
            symbol("com.microsoft:channel-correlation-id"),
            string(pair),
            symbol("com.microsoft:api-version"),
            string(self.version),
        ];
        if let Some(model) = self.model {
            properties.extend([symbol("com.microsoft:model-id"), string(model)]);
        }
        let null = || vec![0x40];
        let fields = [
            string(name),
            uint(handle),
            vec![if receives { 0x41 } else { 0x42 }],
            null(),
            null(),
            source,
            target,
            null(),
            null(),
            if receives { null() } else { uint(0) },
            null(),
            null(),
            null(),
            compound(0xd1, &properties),
        ];
        send(&mut self.wire, &frame(0x12, &fields));
        handle
    }

    /// Takes so many more messages of a link than it has had.
    pub fn give_credit(&mut self, name: &str, had: u8, more: u8) {
        let window = [uint(0), uint(255), uint(0), uint(255)];
        let link = [uint(self.handles[name]), uint(had), uint(more)];
        let flow = frame(0x13, &[&window[..], &link].concat());
        send(&mut self.wire, &flow);
    }

    /// Ends a link.
    pub fn detach(&mut self, name: &str) {
        let handle = self.handles[name];
        send(&mut self.wire, &crate::dialect::amqp::detach(handle));
        assert_eq!(receive(&mut self.wire).0, 0x16, "detach");
    }

    /// Sends a message and returns its disposition.
    pub fn send(&mut self, name: &str, message: &[u8]) -> Vec<u8> {
        let frames = deliver(self.handles[name], self.deliveries, message);
        self.deliveries += 1;
        send(&mut self.wire, &frames);
        loop {
            let (code, body) = receive(&mut self.wire);
            match code {
                0x15 => return body,
                0x13 => {}
                code => panic!("{code:02x} before the disposition"),
            }
        }
    }

    /// The next message.
    pub fn hear(&mut self) -> Received {
        let (code, bytes) = receive(&mut self.wire);
        assert_eq!(
            code,
            0x14,
            "a transfer: {:?}",
            String::from_utf8_lossy(&bytes)
        );
        // A list: handle, delivery id, tag of four bytes, format, settled, more.
        let fields = &bytes[3..];
        let small = |bytes: &[u8]| match bytes {
            [0x43, ..] => (0, 1),
            [0x52, number, ..] => (*number, 2),
            other => panic!("no small number: {other:02x?}"),
        };
        let (_, length) = small(fields);
        let (delivery, more) = small(&fields[length..]);
        let behind_tag = &fields[length + more + 6..];
        let (_, format) = small(behind_tag);
        let settled = match behind_tag[format..] {
            [0x41, ..] | [0x56, 1, ..] => true,
            [0x42, ..] | [0x56, 0, ..] => false,
            ref other => panic!("no boolean: {other:02x?}"),
        };
        Received {
            delivery,
            settled,
            bytes,
        }
    }

    /// Says what becomes of a message: the code of its state.
    pub fn settle(&mut self, heard: &Received, state: u8) {
        let fields = [
            vec![0x41],
            uint(heard.delivery),
            vec![0x40],
            vec![0x41],
            described(state, &[]),
        ];
        send(&mut self.wire, &frame(0x15, &fields));
    }

    /// The next frame.
    pub fn frame(&mut self) -> (u8, Vec<u8>) {
        receive(&mut self.wire)
    }

    /// Nothing comes: a session flow is answered first.
    pub fn hears_nothing(&mut self) {
        let null = || vec![0x40];
        let fields = [
            uint(0),
            uint(200),
            uint(0),
            uint(200),
            null(),
            null(),
            null(),
            null(),
            null(),
            vec![0x41],
        ];
        send(&mut self.wire, &frame(0x13, &fields));
        assert_eq!(receive(&mut self.wire).0, 0x13, "nothing before the echo");
    }
}

impl Received {
    /// Whether these bytes are somewhere in it.
    pub fn has(&self, bytes: &[u8]) -> bool {
        find(&self.bytes, bytes).is_some()
    }

    /// Its Data section, which is the last.
    pub fn data(&self) -> &[u8] {
        let at = find(&self.bytes, b"\x00\x53\x75").expect("a Data section") + 3;
        match self.bytes[at] {
            0xa0 => &self.bytes[at + 2..],
            0xb0 => &self.bytes[at + 5..],
            other => panic!("no binary: {other:02x}"),
        }
    }

    /// The UUID in it, encoded.
    pub fn uuid(&self) -> Vec<u8> {
        let at = find(&self.bytes, &[0x98]).expect("a UUID");
        self.bytes[at..at + 17].to_vec()
    }

    /// The same as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(self.data()).expect("JSON")
    }
}

/// A message with annotations, a correlation id, application properties and a body.
pub fn message(
    annotations: &[(&str, Vec<u8>)],
    correlation: Option<Vec<u8>>,
    application: &[(&str, Vec<u8>)],
    body: Vec<u8>,
) -> Vec<u8> {
    let mut message = Vec::new();
    if !annotations.is_empty() {
        let pairs = annotations
            .iter()
            .flat_map(|(name, value)| [symbol(name), value.clone()]);
        message.extend(section(0x72, &compound(0xd1, &pairs.collect::<Vec<_>>())));
    }
    if let Some(id) = correlation {
        let fields: Vec<_> = (0..5).map(|_| vec![0x40]).chain([id]).collect();
        message.extend(section(0x73, &compound(0xd0, &fields)));
    }
    if !application.is_empty() {
        let pairs = application
            .iter()
            .flat_map(|(name, value)| [string(name), value.clone()]);
        message.extend(section(0x74, &compound(0xd1, &pairs.collect::<Vec<_>>())));
    }
    message.extend(body);
    message
}
