//! `transport = "mqtt"`, or a mix by weight: `transport = { https = 70, mqtt = 30 }`.

use fleetstorm_protocol::attestation::{AttestationKind, TransportKind};

use crate::file::Value;

/// The transports and their weights, each allowed for `attestation` as far as that is known.
pub(super) fn read(
    value: &Value<'_>,
    attestation: Option<AttestationKind>,
) -> Option<Vec<(TransportKind, u32)>> {
    if !value.is_table() {
        let kinds = TransportKind::ALL.map(|kind| (kind.name(), kind));
        let transport = value.word("transport", kinds)?;
        return allowed(value, attestation, transport).map(|()| vec![(transport, 1)]);
    }
    let mut table = value.table()?;
    let mut good = Some(());
    let mut transports = Vec::new();
    for transport in TransportKind::ALL {
        let Some(weight) = table.take(transport.name()) else {
            continue;
        };
        let read = allowed(&weight, attestation, transport)
            .and_then(|()| weight.integer(1..=u64::from(u32::MAX)))
            .and_then(|weight| u32::try_from(weight).ok())
            .map(|weight| transports.push((transport, weight)));
        good = good.and(read);
    }
    let nothing_known = transports.is_empty() && good.is_some();
    let nothing_written = table.is_empty();
    table.finish();
    if nothing_known {
        if nothing_written {
            return value.wrong(
                "needs at least one transport",
                "like { https = 70, mqtt = 30 }".to_string(),
            );
        }
        return None;
    }
    good.map(|()| transports)
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
                    "{attestation} devices can't register over {transport}: DPS does not offer their proof of identity there"
                ),
                format!("let them use {}", others.join(" or ")),
            )
        }
        _ => Some(()),
    }
}
