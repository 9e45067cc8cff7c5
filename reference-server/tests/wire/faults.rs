//! Every fault, as a device meets it, in every protocol; and hubs that go down and come back.

use std::io::{ErrorKind, Read};
use std::time::{Duration, Instant};

use fleetstorm_reference_server::Announcement;
use rustls::ALL_VERSIONS;
use serde_json::{Value, json};

use crate::dialect::{Ask, Caller, Dialect, amqp, https, mqtt};
use crate::hub::device::Device;
use crate::hub::http::{as_device, to_control};
use crate::hub::{HUB, provisioned, yard};
use crate::instance::{Instance, quick};
use crate::questions::register;
use crate::tls::{Secured, connect, dial};

/// Puts rules in the place of all.
fn arm(instance: &Instance, rules: &Value) {
    let armed = to_control(instance, "PUT /faults", &[], &rules.to_string());
    assert_eq!(armed.status, 200, "{}", armed.body);
}

/// How often the first rule has hit.
fn hits(instance: &Instance) -> Value {
    let shown = to_control(instance, "GET /faults", &[], "");
    shown.json()[0]["hits"].clone()
}

/// How a connection ends, once everything that was said is read.
fn ending(wire: &mut impl Read) -> Option<ErrorKind> {
    let mut rest = Vec::new();
    wire.read_to_end(&mut rest).err().map(|error| error.kind())
}

/// A connection on which a register was asked, and everything before it answered.
type Dial = fn(&Announcement, &Caller) -> Secured;

const ASKED: [(&str, Dial); 3] = [
    ("https", |server, caller| {
        let mut wire = secured(server, server.https, caller);
        let request = https::request(&server.global_endpoint, caller, &register());
        mqtt::send(&mut wire, &request);
        wire
    }),
    ("mqtt", |server, caller| {
        let mut wire = secured(server, server.mqtt, caller);
        mqtt::send(&mut wire, &mqtt::connect(caller));
        mqtt::receive(&mut wire);
        mqtt::send(&mut wire, &mqtt::publish(&register()));
        wire
    }),
    ("amqp", |server, caller| {
        let mut wire = secured(server, server.amqp, caller);
        amqp::open(&mut wire, &amqp::address(caller));
        amqp::send(&mut wire, &amqp::transfer(&register()));
        wire
    }),
];

fn secured(server: &Announcement, port: std::net::SocketAddr, caller: &Caller) -> Secured {
    let host = &server.global_endpoint;
    dial(
        server,
        port,
        host,
        caller.certificate.as_ref(),
        ALL_VERSIONS,
    )
}

const DIALECTS: [(&str, Dialect); 3] = [
    ("https", https::DIALECT),
    ("mqtt", mqtt::DIALECT),
    ("amqp", amqp::DIALECT),
];

#[test]
fn a_refusal_and_a_throttle_are_heard_in_every_protocol() {
    let instance = Instance::start(quick());
    let (server, pump) = (instance.server.announcement(), instance.pump("pump-1"));
    for (name, dialect) in DIALECTS {
        let rules = json!([
            {"do": "refuse", "code": 500_001, "protocol": name, "operations": ["poll"]},
            {"do": "throttle", "retry-after": 7, "protocol": name, "devices": ["pump-*"]},
        ]);
        arm(&instance, &rules);
        let throttled = (dialect.ask)(server, &pump, &register());
        assert_eq!(throttled.status, 429, "{name}");
        assert_eq!(throttled.retry_after, Some(7), "{name}");
        assert_eq!(throttled.body["errorCode"], 429_001, "{name}");
        let poll = Ask::OperationStatus("5.0.0".into());
        let refused = (dialect.ask)(server, &pump, &poll);
        assert_eq!(refused.status, 500, "{name}");
        assert_eq!(refused.body["errorCode"], 500_001, "{name}");
        for (other, dialect) in DIALECTS.into_iter().filter(|(other, _)| *other != name) {
            let accepted = (dialect.ask)(server, &pump, &register());
            assert_eq!(accepted.status, 202, "{other} while {name} is at fault");
        }
        assert_eq!(hits(&instance), 1, "{name}");
    }
    let metrics = to_control(&instance, "GET /metrics", &[], "").body;
    let counted = "fleetstorm_fault_hits_total{rule=\"fault-2\"} 1";
    assert!(metrics.contains(counted), "{metrics}");
}

#[test]
fn a_dropped_connection_ends_and_a_reset_one_is_reset() {
    let instance = Instance::start(quick());
    let (server, pump) = (instance.server.announcement(), instance.pump("pump-1"));
    for (name, ask) in ASKED {
        for (action, kind) in [
            ("drop", Some(ErrorKind::UnexpectedEof)),
            ("reset", Some(ErrorKind::ConnectionReset)),
        ] {
            arm(
                &instance,
                &json!([{"do": action, "operations": ["register"]}]),
            );
            let mut wire = ask(server, &pump);
            assert_eq!(ending(&mut wire), kind, "{action}, {name}");
            assert_eq!(hits(&instance), 1, "{action}, {name}");
        }
    }
    assert_eq!(instance.server.counters().registrations_accepted, 0);
}

#[test]
fn a_delay_and_a_stall_hold_the_answer_back() {
    let instance = Instance::start(quick());
    let (server, pump) = (instance.server.announcement(), instance.pump("pump-1"));
    for (name, dialect) in DIALECTS {
        for action in ["delay", "stall"] {
            arm(
                &instance,
                &json!([{"do": action, "time": "300ms", "operations": ["register"]}]),
            );
            let began = Instant::now();
            let accepted = (dialect.ask)(server, &pump, &register());
            assert_eq!(accepted.status, 202, "{action}, {name}");
            let took = began.elapsed();
            assert!(
                took >= Duration::from_millis(300),
                "{action}, {name}: {took:?}"
            );
        }
    }
}

#[test]
fn a_corrupt_answer_is_as_long_and_not_what_was_said() {
    let instance = Instance::start(quick());
    let (server, pump) = (instance.server.announcement(), instance.pump("pump-1"));
    let heard = |ask: Dial| {
        let mut wire = ask(server, &pump);
        let mut heard = Vec::new();
        let sock = &mut wire.sock;
        sock.set_read_timeout(Some(Duration::from_millis(500)))
            .expect("a socket");
        // The server waits for the next question: silence is the end of the answer.
        let _ = wire.read_to_end(&mut heard);
        heard
    };
    let has_status = |heard: &[u8]| amqp::find(heard, b"\"status\":\"assigning\"").is_some();
    for (name, ask) in [ASKED[0], ASKED[2]] {
        arm(&instance, &json!([]));
        let sound = heard(ask);
        assert!(has_status(&sound), "{name}");
        arm(
            &instance,
            &json!([{"do": "corrupt", "operations": ["register"]}]),
        );
        let corrupt = heard(ask);
        assert_eq!(corrupt.len(), sound.len(), "{name}");
        assert!(!has_status(&corrupt), "{name}");
    }
    arm(
        &instance,
        &json!([{"do": "corrupt", "operations": ["register"]}]),
    );
    let mut wire = secured(server, server.mqtt, &pump);
    mqtt::send(&mut wire, &mqtt::connect(&pump));
    mqtt::receive(&mut wire);
    mqtt::send(&mut wire, &mqtt::subscribe("$dps/registrations/res/#"));
    mqtt::receive(&mut wire);
    mqtt::send(&mut wire, &mqtt::publish(&register()));
    mqtt::receive(&mut wire);
    let (head, packet) = mqtt::receive(&mut wire);
    assert_eq!(head, 0x32, "the packet itself is sound");
    assert!(!has_status(&packet));
}

#[test]
fn a_connection_can_end_before_it_is_secured() {
    let instance = Instance::start(quick());
    let server = instance.server.announcement();
    for (action, kind) in [("drop", None), ("reset", Some(ErrorKind::ConnectionReset))] {
        arm(
            &instance,
            &json!([{"do": action, "operations": ["connect"], "protocol": "mqtt"}]),
        );
        assert_eq!(ending(&mut connect(server.mqtt)), kind, "{action}");
        let accepted = (https::DIALECT.ask)(server, &instance.pump("pump-1"), &register());
        assert_eq!(accepted.status, 202, "another port");
        assert_eq!(hits(&instance), 1);
    }
}

#[test]
fn faults_meet_devices_at_their_hub() {
    let yard = yard();
    let pump = provisioned(&yard, "pump-1");
    let mut device = Device::connect(&yard, &pump);
    device.subscribe("$iothub/twin/res/#", 0);
    arm(
        &yard,
        &json!([{"do": "refuse", "code": 503_000, "operations": ["twin"], "hub": HUB}]),
    );
    device.publish("$iothub/twin/GET/?$rid=1", "");
    assert_eq!(device.hear().topic, "$iothub/twin/res/503/?$rid=1");
    arm(&yard, &json!([{"do": "corrupt", "operations": ["twin"]}]));
    device.publish("$iothub/twin/GET/?$rid=2", "");
    let corrupt = device.hear();
    assert_eq!(corrupt.topic, "$iothub/twin/res/200/?$rid=2");
    assert!(
        serde_json::from_str::<Value>(&corrupt.body).is_err(),
        "{}",
        corrupt.body
    );
    arm(&yard, &json!([{"do": "drop", "operations": ["telemetry"]}]));
    device.publish_unacknowledged("devices/pump-1/messages/events/", "{}");
    device.ends();
    let line = "POST /devices/pump-1/messages/events?api-version=2021-04-12";
    arm(
        &yard,
        &json!([{"do": "throttle", "operations": ["telemetry"]}]),
    );
    assert_eq!(as_device(&yard, &pump, line, &[], b"{}").status, 429);
    assert_eq!(hits(&yard), 1);
}

#[test]
fn a_hub_that_is_down_resets_its_devices_and_comes_back() {
    let yard = yard();
    let (server, pump) = (yard.server.announcement(), provisioned(&yard, "pump-1"));
    let dial_as = |name: &str| {
        let certificate = pump.certificate.as_ref();
        dial(server, server.mqtt, name, certificate, ALL_VERSIONS)
    };
    let mut held = dial_as(HUB);
    let user = format!("{HUB}/pump-1/?api-version=2021-04-12&DeviceClientType=wire");
    mqtt::send(&mut held, &mqtt::connect_as("pump-1", &user, None));
    assert_eq!(mqtt::receive(&mut held), (0x20, vec![0, 0]));
    let path = format!("PUT /hubs/{HUB}/state");
    let down = to_control(&yard, &path, &[], "{\"state\":\"down\"}");
    assert_eq!(down.json(), json!([{"hostName": HUB, "state": "down"}]));
    assert_eq!(ending(&mut held), Some(ErrorKind::ConnectionReset));
    assert_eq!(ending(&mut dial_as(HUB)), Some(ErrorKind::ConnectionReset));
    // Whoever names it in the user name alone does not get around that.
    let mut elsewhere = dial_as(&server.global_endpoint);
    mqtt::send(&mut elsewhere, &mqtt::connect_as("pump-1", &user, None));
    assert_eq!(ending(&mut elsewhere), Some(ErrorKind::ConnectionReset));
    // DPS is another service: it still assigns devices to the hub.
    provisioned(&yard, "pump-2");
    assert_eq!(
        to_control(&yard, &path, &[], "{\"state\":\"up\"}").status,
        200
    );
    drop(Device::connect(&yard, &pump));
    for (path, body) in [
        ("PUT /hubs/nowhere/state", "{\"state\":\"down\"}"),
        ("PUT /regions/nowhere/state", "{\"state\":\"down\"}"),
        (path.as_str(), "{\"state\":\"sideways\"}"),
    ] {
        assert_eq!(
            to_control(&yard, path, &[], body).status,
            400,
            "{path} {body}"
        );
    }
}

#[test]
fn rules_are_shown_appended_and_removed_and_bad_ones_refused() {
    let instance = Instance::start(quick());
    let change = |line: &str, body: &str| to_control(&instance, line, &[], body);
    let names = |shown: &Value| {
        let rules = shown.as_array().expect("rules").iter();
        rules.map(|rule| rule["name"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(change("GET /faults", "").json(), json!([]));
    let first = change("POST /faults", "{\"do\":\"drop\",\"devices\":[\"nobody\"]}");
    assert_eq!(names(&first.json()), ["fault-1"]);
    let both = change(
        "POST /faults",
        "{\"do\":\"delay\",\"time\":\"10ms\",\"name\":\"slow\"}",
    );
    assert_eq!(names(&both.json()), ["fault-1", "slow"]);
    for (line, body, words) in [
        ("POST /faults", "{\"do\":\"delay\"}", "time: is missing"),
        ("POST /faults", "{\"do\":\"explode\"}", "unknown variant"),
        ("POST /faults", "nonsense", "expected"),
        ("DELETE /faults/fast", "", "is no rule"),
    ] {
        let refused = change(line, body);
        assert_eq!(refused.status, 400, "{line} {body}");
        assert!(refused.body.contains(words), "{}", refused.body);
    }
    assert_eq!(
        names(&change("DELETE /faults/fault-1", "").json()),
        ["slow"]
    );
    assert_eq!(change("DELETE /faults", "").json(), json!([]));
}
