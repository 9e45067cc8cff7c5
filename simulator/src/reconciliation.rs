//! The devices' counts beside the server's own: nothing lost, nothing double.

use std::collections::BTreeMap;

use fleetstorm_reports::summary::{CounterRow, ServerCounters};
use fleetstorm_reports::{Outcome, Record};

use crate::bundled::Counters;

/// What the devices saw.
#[derive(Debug, Clone, Default)]
pub struct Reconciliation {
    hubs: Vec<String>,
    registered: u64,
    assigned: BTreeMap<u16, u64>,
    twins: BTreeMap<u16, u64>,
}

impl Reconciliation {
    /// Nothing seen; `hubs` are the names behind a record's index.
    pub fn new(hubs: Vec<String>) -> Self {
        Self {
            hubs,
            ..Self::default()
        }
    }

    /// Counts one device.
    pub fn count(&mut self, record: &Record) {
        if record.registered_us.is_some() {
            self.registered += 1;
        }
        let Some(hub) = record.hub else { return };
        *self.assigned.entry(hub).or_default() += 1;
        if matches!(record.outcome, Outcome::Provisioned | Outcome::TwinMismatch) {
            *self.twins.entry(hub).or_default() += 1;
        }
    }

    /// Lays both ends side by side.
    pub fn compare(&self, server: &Counters) -> ServerCounters {
        let mut rows = vec![CounterRow {
            name: "registrations assigned".into(),
            server: server.registrations_assigned,
            simulator: self.registered,
        }];
        for (name, of_server, of_devices) in [
            ("assigned to", &server.assignments, &self.assigned),
            ("twins read from", &server.twins_read, &self.twins),
        ] {
            rows.extend((0_u16..).zip(&self.hubs).map(|(index, hub)| CounterRow {
                name: format!("{name} {hub}"),
                server: of_server.get(hub).copied().unwrap_or(0),
                simulator: of_devices.get(&index).copied().unwrap_or(0),
            }));
        }
        let agree = rows.iter().all(|row| row.server == row.simulator);
        ServerCounters { rows, agree }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fleetstorm_reports::Phase;
    use fleetstorm_reports::record::NOT_REACHED;

    fn record(hub: Option<u16>, outcome: Outcome) -> Record {
        Record {
            intended_start_us: 0,
            start_us: 0,
            registered_us: hub.map(|_| 1),
            end_us: 2,
            phases_us: [NOT_REACHED; Phase::ALL.len()],
            device: 0,
            cohort: 0,
            transport: 0,
            attestation: 0,
            polls: 1,
            hub,
            outcome,
        }
    }

    #[test]
    fn a_lost_twin_shows_as_a_row_that_differs() {
        let mut seen = Reconciliation::new(vec!["a".into(), "b".into()]);
        seen.count(&record(Some(0), Outcome::Provisioned));
        seen.count(&record(Some(1), Outcome::TimedOut { phase: Phase::Twin }));
        seen.count(&record(None, Outcome::Disabled));
        let mut server = Counters {
            registrations_assigned: 2,
            ..Counters::default()
        };
        server.assignments = [("a".into(), 1), ("b".into(), 1)].into();
        server.twins_read = [("a".into(), 1)].into();
        assert!(seen.compare(&server).agree);

        server.twins_read.insert("b".into(), 1);
        let compared = seen.compare(&server);
        assert!(!compared.agree);
        let differing: Vec<_> = compared
            .rows
            .iter()
            .filter(|row| row.server != row.simulator)
            .collect();
        assert_eq!(differing.len(), 1);
        assert_eq!(differing[0].name, "twins read from b");
    }
}
