//! The devices' counts beside the server's own: nothing lost, nothing double.

use std::collections::{BTreeMap, BTreeSet};

use fleetstorm_reports::Record;
use fleetstorm_reports::counters::{CounterRow, ServerCounters};

use crate::device::counters::deaths::ConfirmedByHub;
use crate::device::counters::{Count, DeviceCounters, Exchanges, HubCounters};
use crate::server::bundled::Counters;

/// What the devices saw that their records tell; the rest is in their device_counters.
#[derive(Debug, Clone, Default)]
pub struct Reconciliation {
    hubs: Vec<String>,
    registered: u64,
    assigned: BTreeMap<u16, u64>,
    /// Registered at a hub that is none of the run's: its name was not what the server has sent.
    astray: u64,
    /// Cohorts, by index, in which two devices have one name; and how many of those devices failed.
    with_doubles: BTreeSet<u16>,
    displaced: u64,
}

/// How both ends may differ in one counter.
#[derive(Debug, Clone, Copy)]
struct Allowance {
    /// Answers that may have been on their way when a device lost its connection or its patience.
    unheard: u64,
    /// Devices that failed because another one has the same name.
    displaced: u64,
    /// What devices heard of while the server was being killed.
    uncounted: u64,
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
        // Who never started has displaced nobody.
        let has_double = self.with_doubles.contains(&record.cohort) && record.outcome.is_started();
        self.displaced += u64::from(has_double && !record.outcome.is_provisioned());
        if record.registered_us.is_some() {
            self.registered += 1;
            match record.hub {
                Some(hub) => *self.assigned.entry(hub).or_default() += 1,
                None => self.astray += 1,
            }
        }
    }

    /// Lays both ends side by side.
    pub fn compare(&self, server: &Counters, device_counters: &DeviceCounters) -> ServerCounters {
        let at_deaths = device_counters.heard_at_deaths();
        let uncounted = |index: u16, of: fn(&ConfirmedByHub) -> u64| {
            at_deaths.hubs.get(usize::from(index)).map_or(0, of)
        };
        let unheard = device_counters.unheard_assignments.get();
        let in_all = row(
            "registrations assigned".into(),
            (server.registrations_assigned, self.registered),
            Allowance {
                unheard,
                displaced: self.displaced,
                uncounted: at_deaths.registered,
            },
        );
        let mut rows = vec![in_all];
        rows.extend(self.by_hub("assigned to", &server.assignments, |index| {
            let seen = self.assigned.get(&index).copied();
            let allowed = Allowance {
                // Nobody knows which hub it was that a device has not heard of.
                unheard: unheard + self.astray,
                displaced: self.displaced,
                uncounted: uncounted(index, |hub| hub.assigned),
            };
            (seen.unwrap_or(0), allowed)
        }));
        let exchanges = |of: fn(&HubCounters) -> &Exchanges,
                         at_deaths: fn(&ConfirmedByHub) -> u64| {
            move |index| {
                let exchanges = of(device_counters.hub(Some(index)));
                let allowed = Allowance {
                    unheard: exchanges.unheard.get(),
                    displaced: 0,
                    uncounted: uncounted(index, at_deaths),
                };
                (exchanges.heard.get(), allowed)
            }
        };
        let heard = |of: fn(&HubCounters) -> &Count, at_deaths: fn(&ConfirmedByHub) -> u64| {
            move |index| {
                let hub = device_counters.hub(Some(index));
                let allowed = Allowance {
                    unheard: hub.broken_off.get(),
                    displaced: 0,
                    uncounted: uncounted(index, at_deaths),
                };
                (of(hub).get(), allowed)
            }
        };
        let twins = exchanges(|hub| &hub.twins, |hub| hub.twins);
        rows.extend(self.by_hub("twins read from", &server.twins_read, twins));
        // Most scenarios end with the twin.
        let after = [
            self.by_hub(
                "reports to",
                &server.reported_patches,
                exchanges(|hub| &hub.reports, |hub| hub.reports),
            ),
            self.by_hub(
                "messages to",
                &server.device_to_cloud_messages,
                exchanges(|hub| &hub.messages, |hub| hub.messages),
            ),
            self.by_hub(
                "desired changes by",
                &server.desired_changes_sent,
                heard(|hub| &hub.desired, |hub| hub.desired),
            ),
            self.by_hub(
                "methods called by",
                &server.methods_called,
                heard(|hub| &hub.methods, |hub| hub.methods),
            ),
        ];
        let has_happened = |row: &CounterRow| row.server > 0 || row.simulator > 0;
        for happened in after.into_iter().filter(|of| of.iter().any(has_happened)) {
            rows.extend(happened);
        }
        ServerCounters::of(rows)
    }

    /// A row each hub; `seen` by the devices, by the hub's index.
    fn by_hub(
        &self,
        name: &str,
        server: &BTreeMap<String, u64>,
        seen: impl Fn(u16) -> (u64, Allowance),
    ) -> Vec<CounterRow> {
        let hubs = (0_u16..).zip(&self.hubs);
        let of_hub = |(index, hub): (u16, &String)| {
            let (simulator, allowed) = seen(index);
            let server = server.get(hub).copied().unwrap_or(0);
            row(format!("{name} {hub}"), (server, simulator), allowed)
        };
        hubs.map(of_hub).collect()
    }
}

fn row(name: String, (server, simulator): (u64, u64), allowed: Allowance) -> CounterRow {
    CounterRow {
        name,
        server,
        simulator,
        unheard: allowed.unheard,
        displaced: allowed.displaced,
        uncounted: allowed.uncounted,
        agrees: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fleetstorm_reports::Outcome;
    use fleetstorm_reports::record::RecordedDevice;

    fn record(hub: Option<u16>, outcome: Outcome) -> Record {
        Record {
            registered_us: hub.map(|_| 1),
            end_us: 2,
            polls: 1,
            hub,
            ..Record::new(RecordedDevice::default(), 0, 0, outcome)
        }
    }

    fn server(assigned: u64, twins: u64) -> Counters {
        Counters {
            registrations_assigned: assigned,
            assignments: [("a".into(), assigned)].into(),
            twins_read: [("a".into(), twins)].into(),
            ..Counters::default()
        }
    }

    /// The names of the rows that differ.
    fn differing(compared: &ServerCounters) -> Vec<&str> {
        let rows = compared.rows.iter().filter(|row| !row.agrees);
        let names: Vec<_> = rows.map(|row| row.name.as_str()).collect();
        assert_eq!(compared.agree, names.is_empty());
        names
    }

    #[test]
    fn an_answer_that_got_lost_excuses_its_own_row_and_no_other() {
        const ALL: [&str; 5] = [
            "registrations assigned",
            "assigned to a",
            "twins read from a",
            "reports to a",
            "messages to a",
        ];
        type Lose = fn(&DeviceCounters);
        let rows: [(Lose, &[&str]); 5] = [
            (|_| {}, &[]),
            (
                |device_counters| device_counters.unheard_assignments.add(),
                &["registrations assigned", "assigned to a"],
            ),
            (
                |device_counters| device_counters.hub(Some(0)).twins.unheard.add(),
                &["twins read from a"],
            ),
            (
                |device_counters| device_counters.hub(Some(0)).reports.unheard.add(),
                &["reports to a"],
            ),
            (
                |device_counters| device_counters.hub(Some(0)).messages.unheard.add(),
                &["messages to a"],
            ),
        ];
        let mut one_more = server(1, 1);
        one_more.reported_patches = [("a".into(), 1)].into();
        one_more.device_to_cloud_messages = [("a".into(), 1)].into();
        for (lose, excused) in rows {
            let device_counters = DeviceCounters::new(1);
            lose(&device_counters);
            let seen = Reconciliation::new(vec!["a".into()], BTreeSet::new());
            let compared = seen.compare(&one_more, &device_counters);
            let expected = ALL.into_iter().filter(|row| !excused.contains(row));
            assert_eq!(differing(&compared), expected.collect::<Vec<_>>());
        }
    }

    #[test]
    fn connections_that_were_lost_before_anything_was_asked_excuse_nothing() {
        let mut seen = Reconciliation::new(vec!["a".into()], BTreeSet::new());
        let mut reset = record(None, Outcome::Cancelled);
        reset.lost = 9;
        seen.count(&reset);
        let compared = seen.compare(&server(1, 0), &DeviceCounters::new(1));
        let both = ["registrations assigned", "assigned to a"];
        assert_eq!(differing(&compared), both);
    }

    #[test]
    fn a_hub_that_nobody_has_leaves_open_which_one_it_was() {
        let mut seen = Reconciliation::new(vec!["a".into()], BTreeSet::new());
        let mut garbled = record(None, Outcome::Cancelled);
        garbled.registered_us = Some(1);
        seen.count(&garbled);
        let compared = seen.compare(&server(1, 0), &DeviceCounters::new(1));
        assert_eq!(differing(&compared), Vec::<&str>::new());
    }

    #[test]
    fn what_a_session_missed_that_was_broken_off_is_excused_at_its_hub() {
        let device_counters = DeviceCounters::new(2);
        device_counters.hub(Some(1)).broken_off.add();
        let seen = Reconciliation::new(vec!["a".into(), "b".into()], BTreeSet::new());
        let told = |hub: &str| Counters {
            desired_changes_sent: [(hub.into(), 1)].into(),
            methods_called: [(hub.into(), 1)].into(),
            ..Counters::default()
        };
        let compared = seen.compare(&told("b"), &device_counters);
        assert_eq!(differing(&compared), Vec::<&str>::new());
        let compared = seen.compare(&told("a"), &device_counters);
        let both = ["desired changes by a", "methods called by a"];
        assert_eq!(differing(&compared), both);
    }

    #[test]
    fn a_device_may_hear_what_was_assigned_to_its_double() {
        for (cohort, other, assigned, differs) in [
            (0, Outcome::Disabled, 1, 2),
            (1, Outcome::Disabled, 1, 0),
            (1, Outcome::NotStarted, 0, 2),
        ] {
            let mut seen = Reconciliation::new(vec!["a".into()], [1].into());
            for outcome in [Outcome::Provisioned, other] {
                let mut double = record(outcome.is_started().then_some(0), outcome);
                double.cohort = cohort;
                seen.count(&double);
            }
            let device_counters = DeviceCounters::new(1);
            let compared = seen.compare(&server(assigned, 0), &device_counters);
            let told = format!("cohort {cohort}, {other}");
            assert_eq!(differing(&compared).len(), differs, "{told}");
        }
    }

    #[test]
    fn a_killed_server_may_have_counted_what_was_heard_then_and_no_more() {
        for (heard, differs) in [(1, 3), (2, 0), (3, 0)] {
            let device_counters = DeviceCounters::new(1);
            let mut seen = Reconciliation::new(vec!["a".into()], BTreeSet::new());
            let mut hear = |times| {
                for _ in 0..times {
                    seen.count(&record(Some(0), Outcome::Provisioned));
                    device_counters.hub(Some(0)).assigned.add();
                    device_counters.hub(Some(0)).twins.heard.add();
                }
            };
            hear(5);
            device_counters.deaths.begin(device_counters.heard());
            hear(heard);
            device_counters.deaths.end(&device_counters.heard());
            hear(5 - heard);
            let compared = seen.compare(&server(8, 8), &device_counters);
            assert_eq!(differing(&compared).len(), differs, "{heard} of two lost");
        }
    }
}
