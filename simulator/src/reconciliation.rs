//! The devices' counts beside the server's own: nothing lost, nothing double.

use std::collections::{BTreeMap, BTreeSet};

use fleetstorm_reports::summary::{CounterRow, ServerCounters};
use fleetstorm_reports::{Phase, Record};

use crate::bundled::Counters;
use crate::device::tally::{Count, HubTally, Tally};

/// What the devices saw.
#[derive(Debug, Clone, Default)]
pub struct Reconciliation {
    hubs: Vec<String>,
    registered: u64,
    unheard: u64,
    /// Cohorts, by index, in which two devices have one name; and how many of those devices failed.
    with_doubles: BTreeSet<u16>,
    displaced: u64,
    assigned: BTreeMap<u16, u64>,
    twins: BTreeMap<u16, u64>,
    reported: BTreeMap<u16, u64>,
    messages: BTreeMap<u16, u64>,
}

impl Reconciliation {
    /// Nothing seen; `hubs` are the names behind a record's index, and in `with_doubles` are the cohorts in which
    /// two devices have one name.
    pub fn new(hubs: Vec<String>, with_doubles: BTreeSet<u16>) -> Self {
        Self {
            hubs,
            with_doubles,
            ..Self::default()
        }
    }

    /// Counts one device.
    pub fn count(&mut self, record: &Record) {
        self.unheard += u64::from(record.lost);
        // Who never started has displaced nobody.
        let has_double = self.with_doubles.contains(&record.cohort) && record.outcome.is_started();
        self.displaced += u64::from(has_double && !record.outcome.is_provisioned());
        if record.registered_us.is_some() {
            self.registered += 1;
        }
        let Some(hub) = record.hub else { return };
        *self.assigned.entry(hub).or_default() += 1;
        let mut count = |seen: fn(&mut Self) -> &mut BTreeMap<u16, u64>, more| {
            *seen(self).entry(hub).or_default() += more;
        };
        let went_through = |phase| u64::from(record.phase_us(phase).is_some());
        count(|seen| &mut seen.twins, went_through(Phase::Twin));
        count(|seen| &mut seen.reported, went_through(Phase::Report));
        count(|seen| &mut seen.messages, u64::from(record.messages));
    }

    /// Lays both ends side by side.
    pub fn compare(&self, server: &Counters, life: &Tally) -> ServerCounters {
        // A connection that was lost, or could not be made, may have had an answer on its way.
        let unheard = self.unheard + life.dropped.get() + life.lost.get();
        let mut rows = vec![CounterRow {
            name: "registrations assigned".into(),
            server: server.registrations_assigned,
            simulator: self.registered,
            unheard,
            displaced: self.displaced,
            at_least: false,
        }];
        let lived = |count: fn(&HubTally) -> &Count, before: Option<&BTreeMap<u16, u64>>| {
            let mut counts = before.cloned().unwrap_or_default();
            for hub in (0_u16..).take(self.hubs.len()) {
                *counts.entry(hub).or_default() += count(life.hub(Some(hub))).get();
            }
            counts
        };
        let twins = lived(|hub| &hub.twins, Some(&self.twins));
        let messages = lived(|hub| &hub.messages, Some(&self.messages));
        let desired = lived(|hub| &hub.desired, None);
        let methods = lived(|hub| &hub.methods, None);
        let after = [
            ("reports to", &server.reported_patches, &self.reported),
            ("messages to", &server.device_to_cloud_messages, &messages),
            ("desired changes by", &server.desired_changes_sent, &desired),
            ("methods called by", &server.methods_called, &methods),
        ];
        // Most scenarios end with the twin.
        let happened = after.into_iter().filter(|(_, of_server, of_devices)| {
            let mut counts = of_server.values().chain(of_devices.values());
            counts.any(|count| *count > 0)
        });
        let always = [
            ("assigned to", &server.assignments, &self.assigned),
            ("twins read from", &server.twins_read, &twins),
        ];
        for (name, of_server, of_devices) in always.into_iter().chain(happened) {
            rows.extend((0_u16..).zip(&self.hubs).map(|(index, hub)| CounterRow {
                name: format!("{name} {hub}"),
                server: of_server.get(hub).copied().unwrap_or(0),
                simulator: of_devices.get(&index).copied().unwrap_or(0),
                unheard,
                displaced: self.displaced,
                at_least: false,
            }));
        }
        let agree = rows.iter().all(CounterRow::agrees);
        ServerCounters { rows, agree }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fleetstorm_reports::Outcome;
    use fleetstorm_reports::record::NOT_REACHED;

    fn record(hub: Option<u16>, outcome: Outcome) -> Record {
        let mut phases_us = [NOT_REACHED; Phase::ALL.len()];
        if outcome == Outcome::Provisioned {
            phases_us[Phase::Twin as usize] = 1;
        }
        Record {
            intended_start_us: 0,
            start_us: 0,
            registered_us: hub.map(|_| 1),
            end_us: 2,
            added_to_registration_us: 0,
            added_us: 0,
            phases_us,
            device: 0,
            cohort: 0,
            transport: 0,
            attestation: 0,
            tenant: 0,
            region: None,
            polls: 1,
            messages: 0,
            attempts: 1,
            throttled: 0,
            lost: 0,
            again: false,
            hub,
            outcome,
        }
    }

    #[test]
    fn a_lost_twin_shows_as_a_row_that_differs() {
        let life = Tally::new(2);
        let mut seen = Reconciliation::new(vec!["a".into(), "b".into()], [1].into());
        seen.count(&record(Some(0), Outcome::Provisioned));
        seen.count(&record(Some(1), Outcome::TimedOut { phase: Phase::Twin }));
        seen.count(&record(None, Outcome::Disabled));
        let mut server = Counters {
            registrations_assigned: 2,
            ..Counters::default()
        };
        server.assignments = [("a".into(), 1), ("b".into(), 1)].into();
        server.twins_read = [("a".into(), 1)].into();
        assert!(seen.compare(&server, &life).agree);

        server.twins_read.insert("b".into(), 1);
        let compared = seen.compare(&server, &life);
        assert!(!compared.agree);
        let differing: Vec<_> = compared.rows.iter().filter(|row| !row.agrees()).collect();
        assert_eq!(differing.len(), 1);
        assert_eq!(differing[0].name, "twins read from b");

        let mut hung_up = record(None, Outcome::Cancelled);
        hung_up.lost = 1;
        seen.count(&hung_up);
        let compared = seen.compare(&server, &life);
        assert!(compared.agree, "an answer may have been on its way");

        for (cohort, outcome, agree) in [
            (0, Outcome::TimedOut { phase: Phase::Twin }, false),
            (1, Outcome::TimedOut { phase: Phase::Twin }, true),
            (1, Outcome::NotStarted, false),
        ] {
            let hub = outcome.is_started().then_some(0);
            let mut heard_too = record(hub, outcome);
            heard_too.cohort = cohort;
            let mut seen = seen.clone();
            seen.count(&heard_too);
            let mut server = server.clone();
            server.registrations_assigned += u64::from(hub.is_none()) * 2;
            assert_eq!(seen.compare(&server, &life).agree, agree, "cohort {cohort}");
        }
    }
}
