//! Several requests over one connection, of which some are refused before anybody reads their bodies; and
//! requests that do not say which host they are for.

use std::io::{BufRead, BufReader, Read, Write};

use rustls::ALL_VERSIONS;

use crate::hub::{HUB, yard};
use crate::instance::Instance;
use crate::tls::{Secured, dial};

/// Every kind of name at the HTTPS port.
fn names(instance: &Instance) -> [String; 3] {
    let announcement = instance.server.announcement();
    [
        announcement.global_endpoint.clone(),
        announcement.instances[0].service_endpoint.clone(),
        HUB.to_owned(),
    ]
}

fn connect(instance: &Instance, name: &str) -> BufReader<Secured> {
    let server = instance.server.announcement();
    BufReader::new(dial(server, server.https, name, None, ALL_VERSIONS))
}

/// Status, and whether it says that the connection ends.
fn answer(wire: &mut BufReader<Secured>) -> (u16, bool) {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        wire.read_line(&mut line).expect("an answer");
        assert!(!line.is_empty(), "it ends within {lines:?}");
        if line.trim_end().is_empty() {
            break;
        }
        lines.push(line.trim_end().to_ascii_lowercase());
    }
    let value = |name: &str| lines.iter().find_map(|line| line.strip_prefix(name));
    let length = value("content-length: ").map_or(0, |length| length.parse().expect("a length"));
    let mut body = vec![0; length];
    wire.read_exact(&mut body).expect("a body");
    let status = lines[0][9..12].parse().expect("a status");
    (status, value("connection: ") == Some("close"))
}

/// A request that nobody may make.
fn refused(name: &str, length: usize) -> String {
    let path = if name == HUB {
        "/devices/pump-9"
    } else {
        "/enrollments/pump-9"
    };
    let version = if name == HUB {
        "2021-04-12"
    } else {
        "2021-10-01"
    };
    format!(
        "PUT {path}?api-version={version} HTTP/1.1\r\nHost: {name}\r\nContent-Length: {length}\r\n\r\n"
    )
}

#[test]
fn a_request_follows_one_that_was_refused_before_its_body_was_read() {
    let yard = yard();
    for name in names(&yard) {
        let mut wire = connect(&yard, &name);
        // Small ones come with their heads, large ones are still on their way.
        for length in [10, 100_000, 3_000_000] {
            let body = vec![b' '; length];
            let request = [refused(&name, length).as_bytes(), &body].concat();
            wire.get_mut().write_all(&request).expect("it is read");
            let (status, closes) = answer(&mut wire);
            assert!((400..500).contains(&status), "{name}: {status}");
            assert!(!closes, "{name}: {length}");
        }
    }
}

#[test]
fn a_connection_that_can_not_go_on_says_so_and_ends_in_order() {
    let yard = yard();
    for name in names(&yard) {
        for sent in [0, 1000] {
            let mut wire = connect(&yard, &name);
            let request = [refused(&name, 1001).as_bytes(), &vec![b' '; sent]].concat();
            wire.get_mut().write_all(&request).expect("it is read");
            let (status, closes) = answer(&mut wire);
            assert!((400..500).contains(&status), "{name}: {status}");
            assert!(closes, "{name}: {sent}");
            let mut rest = Vec::new();
            let end = wire.read_to_end(&mut rest);
            assert_eq!(end.expect("close_notify"), 0, "{name}: {sent}");
        }
    }
}

#[test]
fn a_request_names_one_host_once() {
    let yard = yard();
    for name in names(&yard) {
        let upgrade = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
                       Sec-WebSocket-Protocol: mqtt\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";
        let twice = format!("Host: {name}\r\nHost: {name}");
        let others = format!("Host: {name}\r\nHost: evil.test");
        for more in ["", upgrade] {
            for hosts in ["X-Nothing: 1", "Host:", "Host: a b", &twice, &others] {
                let mut wire = connect(&yard, &name);
                let head = format!("GET /$iothub/websocket HTTP/1.1\r\n{hosts}\r\n{more}");
                let request = format!("{}\r\n\r\n", head.trim_end());
                wire.get_mut()
                    .write_all(request.as_bytes())
                    .expect("it is read");
                assert_eq!(answer(&mut wire), (400, false), "{name}: {hosts} {more}");
            }
        }
        let mut wire = connect(&yard, &name);
        let old = b"GET /other HTTP/1.0\r\n\r\n";
        wire.get_mut().write_all(old).expect("it is read");
        assert_ne!(
            answer(&mut wire).0,
            400,
            "{name}: HTTP/1.0 has no such rule"
        );
    }
}
