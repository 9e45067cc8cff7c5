//! `transport = "mqtt"`, or a mix by weight: `transport = { https = 70, mqtt = 30 }`.

use fleetstorm_protocol::attestation::{AttestationKind, TransportKind};

use crate::parse::optional::each;
use crate::table::Value;

/// The transports and their weights, each allowed for `attestation` as far as that is known.
pub(super) fn read(
    value: &Value<'_>,
    attestation: Option<AttestationKind>,
) -> Option<Vec<(TransportKind, u32)>> {
    if !value.is_table() {
        if !value.is_text() {
            return value.expected("a transport's name, or a table of transports by weight");
        }
        let kinds = TransportKind::ALL.map(|kind| (kind.name(), kind));
        let transport = value.word("transport", kinds)?;
        return allowed(value, attestation, transport).map(|()| vec![(transport, 1)]);
    }
    let mut table = value.table()?;
    if table.is_empty() {
        return value.wrong(
            "needs at least one transport",
            "like { https = 70, mqtt = 30 }".to_string(),
        );
    }
    let written = TransportKind::ALL.map(|transport| (transport, table.take(transport.name())));
    table.finish();
    let given = written
        .iter()
        .filter_map(|(transport, weight)| Some((*transport, weight.as_ref()?)));
    let transports = each(given, |(transport, weight)| {
        allowed(weight, attestation, transport)?;
        let weight = weight.integer(1..=u64::from(u32::MAX))?;
        Some((transport, u32::try_from(weight).ok()?))
    })?;
    // None of the keys was a transport: each has been noted as unknown.
    (!transports.is_empty()).then_some(transports)
}

/// `hub-transport = "mqtt-ws"`: what the devices speak to their hub.
pub(super) fn at_hub(value: &Value<'_>) -> Option<TransportKind> {
    let kinds = TransportKind::ALL.map(|kind| (kind.name(), kind));
    let transport = value.word("transport", kinds)?;
    if transport.at_hub() == transport {
        return Some(transport);
    }
    let others: Vec<_> = TransportKind::ALL
        .into_iter()
        .filter(|other| other.at_hub() == *other)
        .map(|other| format!("\"{other}\""))
        .collect();
    value.wrong(
        format!("hubs hold no sessions over {transport}, so there would be no twin to read"),
        format!("let them use {}", others.join(" or ")),
    )
}

fn allowed(
    value: &Value<'_>,
    attestation: Option<AttestationKind>,
    transport: TransportKind,
) -> Option<()> {
    match attestation {
        Some(attestation) if !attestation.works_over(transport) => {
            let others: Vec<_> = TransportKind::ALL
                .into_iter()
                .filter(|other| attestation.works_over(*other))
                .map(|other| format!("\"{other}\""))
                .collect();
            value.wrong(
                format!(
                    "DPS does not offer {attestation} attestation over {transport}, which carries no nonce challenge"
                ),
                format!("let them use {}", others.join(" or ")),
            )
        }
        _ => Some(()),
    }
}
