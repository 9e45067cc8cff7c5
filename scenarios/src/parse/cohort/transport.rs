//! `transport = "mqtt"`, or a mix by weight: `transport = { https = 70, mqtt = 30 }`.

use fleetstorm_protocol::attestation::{AttestationKind, TransportKind};

use crate::keys::{Fields, Section, keys};
use crate::parse::kinds::{Count, either, kinds, words};
use crate::table::Value;

keys! {
    struct MixKeys: "A mix by weight." {
        "https" https: optional Count, "Weight of https.";
        "mqtt" mqtt: optional Count, "Weight of mqtt.";
        "mqtt-ws" mqtt_ws: optional Count, "Weight of mqtt-ws.";
        "amqp" amqp: optional Count, "Weight of amqp.";
        "amqp-ws" amqp_ws: optional Count, "Weight of amqp-ws.";
    }
}

kinds! {
    /// Transports, by weight.
    Transports -> Vec<(TransportKind, u32)>: read, either(
        words(TransportKind::ALL.map(TransportKind::name)),
        MixKeys::schema().with("minProperties", 1_u64),
    );
    HubTransport -> TransportKind: at_hub, words(at_hubs().map(TransportKind::name));
}

fn read(value: &Value<'_>) -> Option<Vec<(TransportKind, u32)>> {
    if !value.is_table() {
        if !value.is_text() {
            return value.expected("a transport's name, or a table of transports by weight");
        }
        return Some(vec![(one(value)?, 1)]);
    }
    if value.entries()?.is_empty() {
        return value.wrong(
            "needs at least one transport",
            "like { https = 70, mqtt = 30 }".to_string(),
        );
    }
    let keys = MixKeys::read(value)?;
    let weights = [
        (TransportKind::Https, keys.https.read?),
        (TransportKind::Mqtt, keys.mqtt.read?),
        (TransportKind::MqttWs, keys.mqtt_ws.read?),
        (TransportKind::Amqp, keys.amqp.read?),
        (TransportKind::AmqpWs, keys.amqp_ws.read?),
    ];
    let weights = weights
        .into_iter()
        .filter_map(|(transport, weight)| Some((transport, weight?)));
    let transports: Vec<_> = weights.collect();
    // None of the keys was a transport: each has been noted as unknown.
    (!transports.is_empty()).then_some(transports)
}

fn one(value: &Value<'_>) -> Option<TransportKind> {
    value.word(
        "transport",
        TransportKind::ALL.map(|kind| (kind.name(), kind)),
    )
}

/// The same, if each is allowed for the attestation.
pub(super) fn allowed(
    value: &Value<'_>,
    transports: Vec<(TransportKind, u32)>,
    attestation: AttestationKind,
) -> Option<Vec<(TransportKind, u32)>> {
    let refused = transports
        .iter()
        .map(|(transport, _)| *transport)
        .filter(|transport| !attestation.works_over(*transport));
    let refused = refused.map(|transport| {
        let others = TransportKind::ALL
            .into_iter()
            .filter(|other| attestation.works_over(*other));
        value.at(transport.name()).wrong::<()>(
            format!(
                "DPS does not offer {attestation} attestation over {transport}, which carries no nonce challenge"
            ),
            format!("let them use {}", quoted(others)),
        )
    });
    (refused.count() == 0).then_some(transports)
}

/// `hub-transport = "mqtt-ws"`: what the devices speak to their hub.
fn at_hub(value: &Value<'_>) -> Option<TransportKind> {
    let transport = one(value)?;
    if transport.at_hub() == transport {
        return Some(transport);
    }
    value.wrong(
        format!("hubs hold no sessions over {transport}, so there would be no twin to read"),
        format!("let them use {}", quoted(at_hubs())),
    )
}

/// What hubs hold sessions over.
fn at_hubs() -> impl Iterator<Item = TransportKind> {
    TransportKind::ALL
        .into_iter()
        .filter(|transport| transport.at_hub() == *transport)
}

fn quoted(transports: impl Iterator<Item = TransportKind>) -> String {
    let quoted: Vec<_> = transports.map(|other| format!("\"{other}\"")).collect();
    quoted.join(" or ")
}
