//! Good conversations, piece by piece, at every port: where the bad ones start from.

use std::net::SocketAddr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use fleetstorm_protocol::sas::SasToken;
use fleetstorm_protocol::tpm::IdentityKey;
use serde_json::Value;

use crate::dialect::{Ask, Caller, amqp, https, mqtt};
use crate::hub::{HUB, SERVICE_KEY, http};
use crate::instance::{Instance, stranger};
use crate::questions::{register, token, tpm_body};
use crate::websocket::{self, BINARY, CLOSE, PING, frame};

/// One conversation.
#[derive(Debug, Clone)]
pub struct Conversation {
    /// Whom it asks for by SNI.
    pub host: String,
    /// Where.
    pub address: SocketAddr,
    /// What is said, whatever is answered.
    pub pieces: Vec<Vec<u8>>,
}

/// HTTP to DPS and to a hub, and WebSockets.
pub fn at_https(instance: &Instance, device: &Caller) -> Vec<Conversation> {
    let server = instance.server.announcement();
    let global = server.global_endpoint.as_str();
    let at = |host: &str, pieces| Conversation {
        host: host.to_owned(),
        address: server.https,
        pieces,
    };
    let in_messages = |sub_protocol: &str, pieces: Vec<Vec<u8>>| {
        let upgrade = websocket::request(global, "/$iothub/websocket", sub_protocol);
        let mut messages = vec![upgrade.into_bytes(), frame(PING, b"hi")];
        messages.extend(pieces.iter().map(|piece| frame(BINARY, piece)));
        messages.push(frame(CLOSE, &[3, 232]));
        messages
    };
    vec![
        at(global, dps_over_http(instance, device)),
        at(global, in_messages("mqtt", dps_over_mqtt(instance, device))),
        at(global, in_messages("AMQPWSB10", dps_over_amqp(device))),
        at(HUB, device_over_http()),
        at(HUB, service_over_http()),
    ]
}

/// MQTT to DPS and to a hub.
pub fn at_mqtt(instance: &Instance, device: &Caller) -> Vec<Conversation> {
    let server = instance.server.announcement();
    let at = |host: &str, pieces| Conversation {
        host: host.to_owned(),
        address: server.mqtt,
        pieces,
    };
    vec![
        at(&server.global_endpoint, dps_over_mqtt(instance, device)),
        at(HUB, hub_over_mqtt()),
    ]
}

/// AMQP to DPS, bare, by SASL PLAIN, by SASL TPM; and to a hub, by certificate and by token.
pub fn at_amqp(instance: &Instance, device: &Caller) -> Vec<Conversation> {
    let server = instance.server.announcement();
    let at = |host: &str, pieces| Conversation {
        host: host.to_owned(),
        address: server.amqp,
        pieces,
    };
    let global = server.global_endpoint.as_str();
    vec![
        at(global, dps_over_amqp(device)),
        at(global, dps_over_sasl_plain()),
        at(global, dps_over_sasl_tpm(instance)),
        at(HUB, hub_over_amqp()),
        at(HUB, claims_over_amqp()),
    ]
}

/// The control endpoint.
pub fn at_control(instance: &Instance) -> Vec<Conversation> {
    let message = format!("POST /hubs/{HUB}/devices/pump-1/messages/devicebound");
    let requests = [
        http::control_request("GET /health", &[], b""),
        http::control_request("GET /counters", &[], b""),
        http::control_request(&message, &[("iothub-app-level", "high")], b"hello"),
        http::control_request("GET /other", &[], b""),
    ];
    vec![Conversation {
        host: "localhost".to_owned(),
        address: instance.server.announcement().control,
        pieces: requests.map(kept_alive).into(),
    }]
}

/// The first of several: the connection stays for the next.
fn kept_alive(request: Vec<u8>) -> Vec<u8> {
    let close = b"Connection: close\r\n";
    let at = request.windows(close.len()).position(|part| part == close);
    let at = at.expect("a request that closes");
    [&request[..at], &request[at + close.len()..]].concat()
}

fn dps_over_http(instance: &Instance, device: &Caller) -> Vec<Vec<u8>> {
    let host = &instance.server.announcement().global_endpoint;
    let vault = Caller {
        sas: Some(token("vault-1", 7)),
        ..stranger("vault-1")
    };
    let path = "/0ne00000001/registrations/pump-1";
    let chunked = format!(
        "PUT {path}/register?api-version=2019-03-31 HTTP/1.1\r\nHost: {host}\r\n\
         Transfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n2\r\n{{}}\r\n0\r\n\r\n"
    );
    let look_up = format!(
        "POST {path}?api-version=2021-06-01 HTTP/1.1\r\nHost: {host}\r\nContent-Length: 2\r\n\r\n{{}}"
    );
    vec![
        https::request(host, device, &register()),
        https::request(host, device, &Ask::OperationStatus("5.0.0".into())),
        https::request(host, &vault, &Ask::Register(tpm_body(instance))),
        chunked.into_bytes(),
        look_up.into_bytes(),
    ]
}

fn device_over_http() -> Vec<Vec<u8>> {
    let v = "?api-version=2021-04-12";
    let events = format!("POST /devices/pump-1/messages/events{v}");
    let bound = "/devices/pump-1/messages/devicebound";
    let batch = br#"[{"body":"aGk=","properties":{"iothub-app-a":"1"}},{"body":"aGk="}]"#;
    let batched = [("Content-Type", "application/vnd.microsoft.iothub.json")];
    [
        http::request(&events, &[("iothub-app-level", "high")], b"{}"),
        http::request(&events, &batched, batch),
        http::request(&format!("GET {bound}{v}"), &[], b""),
        http::request(&format!("DELETE {bound}/lock{v}"), &[], b""),
    ]
    .map(kept_alive)
    .into()
}

fn service_over_http() -> Vec<Vec<u8>> {
    let v = "?api-version=2021-04-12";
    let token = http::policy_token(SERVICE_KEY, "iothubowner");
    let key = STANDARD.encode([1; 32]);
    let identity = format!(
        r#"{{"deviceId":"lamp-1","authentication":{{"type":"sas","symmetricKey":{{"primaryKey":"{key}","secondaryKey":"{key}"}}}}}}"#
    );
    let twin = r#"{"tags":{"floor":{"room":7}},"properties":{"desired":{"a":{"b":1,"c":null}}}}"#;
    let call = r#"{"methodName":"m","responseTimeoutInSeconds":5,"connectTimeoutInSeconds":0,"payload":{"a":1}}"#;
    let bulk = r#"[{"id":"lamp-2","importMode":"create","tags":{"floor":7}},{"id":"lamp-2","importMode":"delete"}]"#;
    let query = r#"{"query":"SELECT * FROM devices WHERE tags.floor IN [7, -1] AND NOT (is_defined(a.$b) OR c >= 'x')"}"#;
    [
        ("PUT /devices/lamp-1", identity.as_str()),
        ("GET /devices/pump-1", ""),
        ("PATCH /twins/pump-1", twin),
        ("GET /twins/pump-1", ""),
        ("POST /twins/pump-1/methods", call),
        ("DELETE /devices/lamp-1", ""),
        ("GET /devices", ""),
        ("POST /devices", bulk),
        ("POST /devices/query", query),
        ("GET /statistics/devices", ""),
    ]
    .map(|(line, body)| {
        let headers = [("Authorization", token.as_str())];
        kept_alive(http::request(
            &format!("{line}{v}"),
            &headers,
            body.as_bytes(),
        ))
    })
    .into()
}

fn dps_over_mqtt(instance: &Instance, device: &Caller) -> Vec<Vec<u8>> {
    vec![
        mqtt::connect(device),
        mqtt::subscribe("$dps/registrations/res/#"),
        mqtt::publish(&register()),
        mqtt::publish(&Ask::OperationStatus("5.0.0".into())),
        mqtt::publish(&Ask::Register(tpm_body(instance))),
        mqtt::PING.to_vec(),
        mqtt::DISCONNECT.to_vec(),
    ]
}

fn hub_over_mqtt() -> Vec<Vec<u8>> {
    let user = format!("{HUB}/pump-1/?api-version=2021-04-12");
    let events = "devices/pump-1/messages/events/";
    let will = Some((events, "gone"));
    vec![
        mqtt::connect_with("pump-1", &user, None, will),
        mqtt::subscribe("$iothub/twin/res/#"),
        mqtt::subscribe("$iothub/twin/PATCH/properties/desired/#"),
        mqtt::subscribe("$iothub/methods/POST/#"),
        mqtt::subscribe("devices/pump-1/messages/devicebound/#"),
        mqtt::publish_to("$iothub/twin/GET/?$rid=1", b""),
        mqtt::publish_to(
            "$iothub/twin/PATCH/properties/reported/?$rid=2",
            br#"{"a":{"b":[1,{"c":"d"}]},"e":null}"#,
        ),
        mqtt::publish_to(&format!("{events}$.mid=1&level=high%20"), b"{}"),
        mqtt::publish_to("$iothub/methods/res/200/?$rid=1", b"{}"),
        mqtt::packet(0x40, &[0, 1]),
        mqtt::packet(
            0xa2,
            &[&[0, 9], mqtt::text("$iothub/twin/res/#").as_slice()].concat(),
        ),
        mqtt::PING.to_vec(),
        mqtt::DISCONNECT.to_vec(),
    ]
}

fn dps_over_amqp(device: &Caller) -> Vec<Vec<u8>> {
    let mut pieces = amqp::opening(&amqp::address(device));
    pieces.extend([
        amqp::transfer(&register()),
        amqp::transfer(&Ask::OperationStatus("5.0.0".into())),
        amqp::HEARTBEAT.to_vec(),
        amqp::detach(0),
        amqp::END.to_vec(),
        amqp::CLOSE.to_vec(),
    ]);
    pieces
}

fn dps_over_sasl_plain() -> Vec<Vec<u8>> {
    let lock = stranger("lock-1");
    let response = format!("\0{}\0{}", amqp::address(&lock), token("lock-1", 7));
    let mut pieces = vec![
        amqp::SASL_HEADER.to_vec(),
        amqp::init("PLAIN", response.as_bytes()),
    ];
    pieces.extend(dps_over_amqp(&lock));
    pieces
}

fn dps_over_sasl_tpm(instance: &Instance) -> Vec<Vec<u8>> {
    let vault = stranger("vault-1");
    let presented = instance.tpm.presented();
    let key = |name: &str| {
        let text = Value::as_str(&presented[name]).expect("a key");
        STANDARD.decode(text).expect("base64")
    };
    let (endorsement_key, storage_root_key) = (key("endorsementKey"), key("storageRootKey"));
    let names = format!("\0{}\0{}\0", vault.id_scope, vault.registration_id);
    let mut pieces = vec![
        amqp::SASL_HEADER.to_vec(),
        amqp::init("TPM", &[names.as_bytes(), &endorsement_key].concat()),
        amqp::response(&[&[0], storage_root_key.as_slice()].concat()),
        amqp::response(&[0]),
        amqp::response(&[&[0], token("vault-1", 7).as_bytes()].concat()),
    ];
    pieces.extend(dps_over_amqp(&vault));
    pieces
}

fn hub_over_amqp() -> Vec<Vec<u8>> {
    let pair = [("com.microsoft:channel-correlation-id", "twin:1")];
    let node = |name: &str| format!("/devices/pump-1/{name}");
    let (events, twin) = (node("messages/events"), node("twin"));
    let reported = br#"{"a":{"b":[1,{"c":"d"}]},"e":null}"#;
    let twin_operation = |operation: &str, resource: &str, body: &[u8]| {
        let annotations = [("operation", operation), ("resource", resource)];
        amqp::message(&annotations, "m-1", &[], &amqp::data(body))
    };
    let mut pieces = amqp::opening(&twin);
    pieces.truncate(3);
    pieces.extend([
        amqp::attach_with(0, true, &twin, &pair),
        amqp::attach_with(1, false, &twin, &pair),
        amqp::attach(2, false, &events),
        amqp::attach(3, true, &node("messages/devicebound")),
        amqp::attach_with(4, true, &node("methods/devicebound"), &pair),
        amqp::attach_with(5, false, &node("methods/devicebound"), &pair),
        amqp::flow(0, 10),
        amqp::flow(3, 10),
        amqp::deliver(1, 0, &twin_operation("GET", "", b"")),
        amqp::deliver(
            1,
            1,
            &twin_operation("PATCH", "/properties/reported", reported),
        ),
        amqp::deliver(
            1,
            2,
            &twin_operation("PUT", "/notifications/twin/properties/desired", b""),
        ),
        amqp::deliver(
            2,
            3,
            &amqp::message(&[], "m-2", &[("level", "high")], &amqp::data(b"{}")),
        ),
        amqp::deliver(5, 4, &amqp::message(&[], "m-3", &[], &amqp::data(b"{}"))),
        amqp::detach(0),
        amqp::END.to_vec(),
        amqp::CLOSE.to_vec(),
    ]);
    pieces
}

fn claims_over_amqp() -> Vec<Vec<u8>> {
    let put = [
        ("operation", "put-token"),
        ("type", "servicebus.windows.net:sastoken"),
        ("name", "hub-1.fleetstorm.test/devices/pump-1"),
    ];
    let sign = |text: &[u8]| IdentityKey::from_bytes([7; 32]).sign(text);
    let resource = format!("{HUB}/devices/pump-1");
    let token = SasToken::format(&resource, i64::from(u32::MAX), None, sign);
    let mut pieces = vec![amqp::SASL_HEADER.to_vec(), amqp::init("ANONYMOUS", b"")];
    pieces.extend(amqp::opening("$cbs"));
    pieces.extend([
        amqp::deliver(1, 0, &amqp::message(&[], "m-1", &put, &amqp::value(&token))),
        amqp::attach(2, false, "/devices/pump-1/messages/events"),
        amqp::CLOSE.to_vec(),
    ]);
    pieces
}
