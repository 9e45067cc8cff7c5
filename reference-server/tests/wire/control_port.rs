//! The control endpoint, which asks for no credential: what a web page can send to it is refused, and who
//! holds connections to it hides nothing.

use std::io::Write;

use crate::hub::http::{Response, to_control};
use crate::instance::{Instance, quick};
use crate::tls::connect;

const FAULT: &str = r#"{"name":"busy","do":"throttle","retry-after":5}"#;

fn says(instance: &Instance, head: &str, body: &str) -> u16 {
    let mut wire = connect(instance.server.announcement().control);
    let length = body.len();
    let request = format!("{head}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}");
    wire.write_all(request.as_bytes()).expect("it is read");
    Response::read(&mut wire).status
}

#[test]
fn a_web_page_changes_nothing() {
    let instance = Instance::start(quick());
    let json = "Content-Type: application/json";
    for host in [
        "localhost",
        "LOCALHOST:9000",
        "127.0.0.1",
        "127.9.9.9:80",
        "[::1]:9000",
    ] {
        let head = format!("PUT /faults HTTP/1.1\r\nHost: {host}\r\n{json}");
        assert_eq!(says(&instance, &head, "[]"), 200, "{host}");
        let read = format!("GET /health HTTP/1.1\r\nHost: {host}");
        assert_eq!(says(&instance, &read, ""), 200, "{host}");
    }
    let foreign = [
        "Host: evil.test",
        "Host: localhost.evil.test",
        "Host: 127.0.0.1.evil.test",
        "Host: 10.0.0.1",
        "Host: 0.0.0.0",
        "Host: [2001:db8::1]",
        "Host:",
        "Host: localhost\r\nHost: evil.test",
        "Host: localhost\r\nHost: localhost",
        "Host: localhost\r\nOrigin: http://evil.test",
        "Host: localhost\r\nOrigin: http://localhost",
        "Host: localhost\r\nOrigin: null",
        "X-Forwarded-Host: localhost",
    ];
    let targets = [
        ("POST /faults", FAULT),
        ("PUT /faults", "[]"),
        ("DELETE /faults", ""),
        (
            "PUT /hubs/hub-1.fleetstorm.test/state",
            r#"{"state":"down"}"#,
        ),
        ("PUT /instances/0ne00000001/throttle", r#""none""#),
        (
            "POST /instances/0ne00000001/certificates/a/generateVerificationCode",
            "",
        ),
        (
            "POST /hubs/hub-1.fleetstorm.test/devices/a/messages/devicebound",
            "hi",
        ),
        ("GET /counters", ""),
        ("GET /metrics", ""),
        ("GET /hubs/hub-1.fleetstorm.test/messages/events", ""),
    ];
    for (line, body) in targets {
        for from in foreign {
            let head = format!("{line} HTTP/1.1\r\n{from}\r\n{json}");
            assert_eq!(says(&instance, &head, body), 403, "{line}: {from}");
        }
        let whole = line.replacen(' ', " http://evil.test", 1);
        let head = format!("{whole} HTTP/1.1\r\nHost: localhost\r\n{json}");
        assert_eq!(says(&instance, &head, body), 403, "{whole}");
    }
    // What a form, or a script without leave, can say that it sends.
    for kind in [
        "Content-Type: text/plain",
        "Content-Type: application/x-www-form-urlencoded",
        "Content-Type: multipart/form-data; boundary=a",
        "Content-Type: text/plain; application/json",
        "X-Nothing: 1",
    ] {
        let head = format!("POST /faults HTTP/1.1\r\nHost: localhost\r\n{kind}");
        assert_eq!(says(&instance, &head, FAULT), 415, "{kind}");
    }
    assert_eq!(to_control(&instance, "GET /faults", &[], "").body, "[]");
    let head = format!("POST /faults HTTP/1.1\r\nHost: localhost\r\n{json}; charset=utf-8");
    assert_eq!(says(&instance, &head, FAULT), 200);
}

#[test]
fn who_finishes_no_request_keeps_nobody_from_asking() {
    let instance = Instance::start(quick());
    let address = instance.server.announcement().control;
    let halves: Vec<_> = (0..200)
        .map(|_| {
            let mut wire = connect(address);
            wire.write_all(b"GET /heal").expect("a socket");
            wire
        })
        .collect();
    for _ in 0..3 {
        assert_eq!(to_control(&instance, "GET /health", &[], "").status, 200);
    }
    drop(halves);
}
