//! The hubs of a server.

use std::collections::HashMap;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::thread::ScopedJoinHandle;

use super::access_policy::HubPolicies;
use super::registry::Hub;
use crate::counters::LiveCounters;
use crate::store::Store;
use crate::store::error::StoreError;

/// All of them.
pub struct Hubs {
    in_order: Vec<Arc<Hub>>,
    /// By host name in lower case.
    by_name: HashMap<String, Arc<Hub>>,
}

impl Hubs {
    /// Each with its host name and the policies of its service API, and with the devices that a store
    /// knows; what that knows of hubs that are not there stays in it. Each keeps so many messages.
    ///
    /// # Errors
    /// The store can't be read.
    pub(crate) fn new(
        hubs: Vec<(String, HubPolicies)>,
        kept_messages: usize,
        tally: &Arc<LiveCounters>,
        store: &Store,
    ) -> Result<Self, StoreError> {
        let in_order = std::thread::scope(|threads| {
            let loads: Vec<_> = hubs
                .into_iter()
                .map(|(name, policies)| {
                    threads.spawn(move || Hub::new(name, policies, kept_messages, tally, store))
                })
                .collect();
            let ends = loads.into_iter().map(ScopedJoinHandle::join);
            ends.map(|end| {
                end.unwrap_or_else(|panic| resume_unwind(panic))
                    .map(Arc::new)
            })
            .collect::<Result<Vec<_>, StoreError>>()
        })?;
        let by_name = in_order
            .iter()
            .map(|hub| (hub.host_name().to_ascii_lowercase(), Arc::clone(hub)))
            .collect();
        Ok(Self { in_order, by_name })
    }

    /// The hub with a host name, whatever its case.
    pub fn named(&self, host_name: &str) -> Option<&Arc<Hub>> {
        // Most clients write it as it is.
        self.by_name
            .get(host_name)
            .or_else(|| self.by_name.get(&host_name.to_ascii_lowercase()))
    }

    /// All, in the order of the configuration.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Hub>> {
        self.in_order.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hub_is_found_by_its_name_whatever_its_case() {
        let names = ["Hub-1.test", "hub-2.test"].map(String::from);
        let tally = Arc::new(LiveCounters::new(&names));
        let hubs = names.map(|name| (name, HubPolicies::generate()));
        let hubs = Hubs::new(hubs.into(), 0, &tally, &Store::default()).expect("readable");
        for (asked, found) in [
            ("Hub-1.test", Some("Hub-1.test")),
            ("HUB-1.test", Some("Hub-1.test")),
            ("hub-2.TEST", Some("hub-2.test")),
            ("hub-3.test", None),
        ] {
            assert_eq!(hubs.named(asked).map(|hub| hub.host_name()), found);
        }
    }
}
