//! The server's own counters, as the control endpoint publishes them.

use std::collections::BTreeMap;
use std::ops::AddAssign;
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use count::Count;
use instance::LiveInstanceCounters;
use requests::Requests;

pub(crate) mod count;
pub(crate) mod histogram;
pub(crate) mod instance;
pub(crate) mod requests;

/// Counts since the start.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Register requests accepted with 202.
    pub registrations_accepted: u64,
    /// Registrations that ended assigned.
    pub registrations_assigned: u64,
    /// Registrations that ended failed, by the errorCode of their registrationState.
    #[serde(default)]
    pub registrations_failed: BTreeMap<u32, u64>,
    /// TPM challenges sent.
    pub tpm_challenges: u64,
    /// Device requests answered with an error, by DPS error code.
    pub refusals: BTreeMap<u32, u64>,
    /// Assignments by hub host name.
    pub assignments: BTreeMap<String, u64>,
    /// Twins read by devices, by hub host name.
    pub twins_read: BTreeMap<String, u64>,
    /// Messages from devices, by hub host name.
    pub device_to_cloud_messages: BTreeMap<String, u64>,
    /// Reported properties patched by devices, by hub host name.
    pub reported_patches: BTreeMap<String, u64>,
    /// Changes of desired properties passed on to devices that listened, by hub host name.
    pub desired_changes_sent: BTreeMap<String, u64>,
    /// Direct methods called of devices that listened, by hub host name.
    pub methods_called: BTreeMap<String, u64>,
    /// Messages to devices that a hub took, by hub host name.
    pub cloud_to_device_messages: BTreeMap<String, u64>,
    /// Messages that devices completed, by hub host name.
    pub cloud_to_device_completed: BTreeMap<String, u64>,
    /// Connections refused by a hub.
    pub hub_refusals: u64,
    /// Connections accepted.
    pub connections: u64,
    /// Connections closed at accept, because there were too many.
    pub connections_refused: u64,
    /// TLS handshakes that failed.
    pub tls_failures: u64,
}

impl AddAssign for Counters {
    /// What another life of the same server has counted.
    fn add_assign(&mut self, other: Self) {
        self.registrations_accepted += other.registrations_accepted;
        self.registrations_assigned += other.registrations_assigned;
        self.tpm_challenges += other.tpm_challenges;
        self.hub_refusals += other.hub_refusals;
        self.connections += other.connections;
        self.connections_refused += other.connections_refused;
        self.tls_failures += other.tls_failures;
        add_all(&mut self.registrations_failed, other.registrations_failed);
        add_all(&mut self.refusals, other.refusals);
        add_all(&mut self.assignments, other.assignments);
        add_all(&mut self.twins_read, other.twins_read);
        add_all(
            &mut self.device_to_cloud_messages,
            other.device_to_cloud_messages,
        );
        add_all(&mut self.reported_patches, other.reported_patches);
        add_all(&mut self.desired_changes_sent, other.desired_changes_sent);
        add_all(&mut self.methods_called, other.methods_called);
        add_all(
            &mut self.cloud_to_device_messages,
            other.cloud_to_device_messages,
        );
        add_all(
            &mut self.cloud_to_device_completed,
            other.cloud_to_device_completed,
        );
    }
}

fn add_all<K: Ord>(counts: &mut BTreeMap<K, u64>, others: BTreeMap<K, u64>) {
    for (key, count) in others {
        *counts.entry(key).or_default() += count;
    }
}

/// The counters as they grow; every thread adds.
#[derive(Debug, Default)]
pub(crate) struct LiveCounters {
    pub(crate) registrations_accepted: Count,
    pub(crate) registrations_assigned: Count,
    pub(crate) tpm_challenges: Count,
    pub(crate) hub_refusals: Count,
    pub(crate) connections: Count,
    /// Those of them that are over.
    pub(crate) connections_closed: Count,
    pub(crate) connections_refused: Count,
    pub(crate) tls_failures: Count,
    pub(crate) requests: Requests,
    refusals: Mutex<BTreeMap<u32, u64>>,
    failures: Mutex<BTreeMap<u32, u64>>,
    hubs: Vec<Arc<LiveHubCounters>>,
    instances: Vec<Arc<LiveInstanceCounters>>,
}

/// One hub's.
#[derive(Debug, Default)]
pub(crate) struct LiveHubCounters {
    host_name: String,
    pub(crate) assignments: Count,
    pub(crate) twins_read: Count,
    pub(crate) device_to_cloud_messages: Count,
    pub(crate) reported_patches: Count,
    pub(crate) desired_changes_sent: Count,
    pub(crate) methods_called: Count,
    pub(crate) cloud_to_device_messages: Count,
    pub(crate) cloud_to_device_completed: Count,
}

impl LiveCounters {
    /// All zero.
    pub(crate) fn new(hubs: &[String]) -> Self {
        let hub = |host_name: &String| {
            Arc::new(LiveHubCounters {
                host_name: host_name.clone(),
                ..LiveHubCounters::default()
            })
        };
        Self {
            hubs: hubs.iter().map(hub).collect(),
            ..Self::default()
        }
    }

    /// The same with instances, by the host names of their service endpoints.
    pub(crate) fn of_instances<'a>(self, names: impl Iterator<Item = &'a str>) -> Self {
        let hubs = self.hubs.len();
        let instance = |name| Arc::new(LiveInstanceCounters::new(name, hubs));
        Self {
            instances: names.map(instance).collect(),
            ..self
        }
    }

    /// Counts an error answer. The codes are the server's own, so that there are few.
    pub(crate) fn refused(&self, code: u32) {
        add_to(&self.refusals, code);
    }

    /// Counts an operation that ended failed, by a code of the server's own.
    pub(crate) fn failed(&self, code: u32) {
        add_to(&self.failures, code);
    }

    /// The hub at `index` of the configuration.
    pub(crate) fn hub(&self, index: usize) -> Option<&LiveHubCounters> {
        self.hubs.get(index).map(Arc::as_ref)
    }

    /// The hub with a host name. What nobody announced is counted, and not shown.
    pub(crate) fn hub_named(&self, host_name: &str) -> Arc<LiveHubCounters> {
        let known = self.hubs.iter().find(|known| known.host_name == host_name);
        known.cloned().unwrap_or_default()
    }

    /// Host names of the hubs, in their order.
    pub(crate) fn hub_names(&self) -> impl Iterator<Item = &str> {
        self.hubs.iter().map(|hub| hub.host_name.as_str())
    }

    /// Every instance, in the order of the configuration.
    pub(crate) fn instances(&self) -> impl Iterator<Item = &LiveInstanceCounters> {
        self.instances.iter().map(Arc::as_ref)
    }

    /// The instance with a name. What nobody announced is counted, and not shown.
    pub(crate) fn instance(&self, name: &str) -> Arc<LiveInstanceCounters> {
        let known = self.instances.iter().find(|known| known.name() == name);
        known.cloned().unwrap_or_default()
    }

    /// What was counted until now.
    pub(crate) fn read(&self) -> Counters {
        let by_hub = |count: fn(&LiveHubCounters) -> &Count| {
            self.hubs
                .iter()
                .map(|hub| (hub.host_name.clone(), count(hub).get()))
                .collect()
        };
        Counters {
            registrations_accepted: self.registrations_accepted.get(),
            registrations_assigned: self.registrations_assigned.get(),
            tpm_challenges: self.tpm_challenges.get(),
            registrations_failed: counted(&self.failures),
            refusals: counted(&self.refusals),
            assignments: by_hub(|hub| &hub.assignments),
            twins_read: by_hub(|hub| &hub.twins_read),
            device_to_cloud_messages: by_hub(|hub| &hub.device_to_cloud_messages),
            reported_patches: by_hub(|hub| &hub.reported_patches),
            desired_changes_sent: by_hub(|hub| &hub.desired_changes_sent),
            methods_called: by_hub(|hub| &hub.methods_called),
            cloud_to_device_messages: by_hub(|hub| &hub.cloud_to_device_messages),
            cloud_to_device_completed: by_hub(|hub| &hub.cloud_to_device_completed),
            hub_refusals: self.hub_refusals.get(),
            connections: self.connections.get(),
            connections_refused: self.connections_refused.get(),
            tls_failures: self.tls_failures.get(),
        }
    }
}

fn add_to(by_code: &Mutex<BTreeMap<u32, u64>>, code: u32) {
    let mut by_code = by_code.lock().unwrap_or_else(PoisonError::into_inner);
    *by_code.entry(code).or_default() += 1;
}

fn counted(by_code: &Mutex<BTreeMap<u32, u64>>) -> BTreeMap<u32, u64> {
    let by_code = by_code.lock().unwrap_or_else(PoisonError::into_inner);
    by_code.clone()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_lives_of_a_server_add_up_counter_by_counter() {
        let life = |scale: u64| {
            let tally = LiveCounters::new(&["hub-1".into(), "hub-2".into()]);
            let hub = |index: usize| tally.hub(index).expect("a hub");
            let hubs = [(hub(0), 1), (hub(1), 2)];
            let grow = |count: &Count, by: u64| (0..by * scale).for_each(|_| count.add());
            for (hub, by) in hubs {
                for count in [
                    &hub.assignments,
                    &hub.twins_read,
                    &hub.device_to_cloud_messages,
                    &hub.reported_patches,
                    &hub.desired_changes_sent,
                    &hub.methods_called,
                    &hub.cloud_to_device_messages,
                    &hub.cloud_to_device_completed,
                ] {
                    grow(count, by);
                }
            }
            for count in [
                &tally.registrations_accepted,
                &tally.registrations_assigned,
                &tally.tpm_challenges,
                &tally.hub_refusals,
                &tally.connections,
                &tally.connections_refused,
                &tally.tls_failures,
            ] {
                grow(count, 3);
            }
            (0..scale).for_each(|_| tally.refused(401_002));
            (0..scale).for_each(|_| tally.failed(400_207));
            tally.read()
        };
        let mut both = life(1);
        both += life(4);
        assert_eq!(both, life(5));
    }
}
