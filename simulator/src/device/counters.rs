//! What devices count that no record tells, from all cores.

use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use fleetstorm_reports::held::HeldDevices;
use fleetstorm_reports::series::AttemptsSoFar;

use self::deaths::{Confirmed, ConfirmedByHub, Deaths};
use self::examples::Examples;
use crate::link::LinkError;

pub mod deaths;
pub mod examples;

/// A number that cores share.
#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    /// One more.
    pub fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// How many.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Requests of one kind to one hub.
#[derive(Debug, Default)]
pub struct Exchanges {
    /// Those that the hub has answered as they wished.
    pub heard: Count,
    /// Those that went out and were never answered, or not readably: the hub may have done what they
    /// asked for.
    pub unheard: Count,
}

impl Exchanges {
    /// Sends one request, which must be all that `asking` does before it waits for the answer. To give up
    /// the wait leaves it unheard.
    ///
    /// # Errors
    /// Those of `asking`.
    pub async fn count<Answer>(
        &self,
        asking: impl Future<Output = Result<Answer, LinkError>>,
    ) -> Result<Answer, LinkError> {
        let unheard = Unheard(&self.unheard);
        let asked = asking.await;
        match asked {
            Ok(_) => self.heard.add(),
            Err(LinkError::Refused { .. }) => {}
            Err(LinkError::Broken(_)) => return asked,
        }
        mem::forget(unheard);
        asked
    }
}

/// Counts when it is dropped.
struct Unheard<'a>(&'a Count);

impl Drop for Unheard<'_> {
    fn drop(&mut self) {
        self.0.add();
    }
}

/// All of it.
#[derive(Debug, Default)]
pub struct DeviceCounters {
    held: AtomicU64,
    most_held: AtomicU64,
    /// How often this machine had no file, port or memory for a device's connection, whether the device
    /// got over it or not.
    pub shortages: Count,
    /// Answers that a device comes too often (429), counted when they come.
    pub throttled: Count,
    /// Attempts after a device's first.
    pub retries: Count,
    /// Connections of devices on their way that could not be made, or broke.
    pub lost: Count,
    /// Registrations that may have ended with a hub, of which their device has not heard.
    pub unheard_assignments: Count,
    /// Devices that were to stay and had to leave.
    pub turned_away: Count,
    /// Connections lost.
    pub dropped: Count,
    /// Found their hub again.
    pub reconnected: Count,
    /// Gave up looking for it.
    pub given_up: Count,
    /// Booted again, once the power was back.
    pub rebooted: Count,
    /// Messages acknowledged to devices that stay.
    pub messages: Count,
    /// When the bundled server was being killed.
    pub deaths: Deaths,
    /// Answers that broke the protocol.
    pub examples: Examples,
    hubs: Vec<HubCounters>,
    /// Hubs that the run does not know: those of an endpoint that it did not start.
    others: HubCounters,
}

/// One hub's.
#[derive(Debug, Default)]
pub struct HubCounters {
    /// Devices that heard that they were assigned to it.
    pub assigned: Count,
    /// Twins read.
    pub twins: Exchanges,
    /// Properties reported.
    pub reports: Exchanges,
    /// Messages sent.
    pub messages: Exchanges,
    /// Changes of desired properties heard of.
    pub desired: Count,
    /// Methods answered.
    pub methods: Count,
    /// Sessions of devices that stay that ended without good-bye: the hub may have said something meanwhile.
    pub broken_off: Count,
}

impl DeviceCounters {
    /// All zero, for as many hubs as the run's dimensions have.
    pub fn new(hubs: usize) -> Self {
        let mut device_counters = Self::default();
        device_counters.hubs.resize_with(hubs, HubCounters::default);
        device_counters
    }

    /// By index in the run's dimensions; one for all hubs that they don't have.
    pub fn hub(&self, index: Option<u16>) -> &HubCounters {
        let known = index.and_then(|index| self.hubs.get(usize::from(index)));
        known.unwrap_or(&self.others)
    }

    /// One connection more is held, for as long as what is returned lives.
    pub fn hold(self: &Arc<Self>) -> Held {
        let held = self.held.fetch_add(1, Ordering::Relaxed) + 1;
        self.most_held.fetch_max(held, Ordering::Relaxed);
        Held(Arc::clone(self))
    }

    /// Everything that devices have heard so far.
    pub fn heard(&self) -> Confirmed {
        let of_hub = |hub: &HubCounters| ConfirmedByHub {
            assigned: hub.assigned.get(),
            twins: hub.twins.heard.get(),
            reports: hub.reports.heard.get(),
            messages: hub.messages.heard.get(),
            desired: hub.desired.get(),
            methods: hub.methods.get(),
        };
        let hubs: Vec<_> = self.hubs.iter().map(of_hub).collect();
        let known: u64 = hubs.iter().map(|hub| hub.assigned).sum();
        Confirmed {
            registered: known + self.others.assigned.get(),
            hubs,
        }
    }

    /// What they heard while the bundled server was being killed.
    pub fn heard_at_deaths(&self) -> Confirmed {
        self.deaths.within(&self.heard())
    }

    /// What has happened to devices so far, ended or not.
    pub fn attempts(&self) -> AttemptsSoFar {
        AttemptsSoFar {
            throttled: self.throttled.get(),
            retries: self.retries.get(),
            lost_connections: self.lost.get() + self.dropped.get(),
            messages: self.messages.get(),
        }
    }

    /// Where it stands.
    pub fn held(&self) -> HeldDevices {
        let of_hubs = |count: fn(&HubCounters) -> &Count| {
            let hubs = self.hubs.iter().chain([&self.others]);
            hubs.map(|hub| count(hub).get()).sum()
        };
        HeldDevices {
            now: self.held.load(Ordering::Relaxed),
            most: self.most_held.load(Ordering::Relaxed),
            turned_away: self.turned_away.get(),
            dropped: self.dropped.get(),
            reconnected: self.reconnected.get(),
            given_up: self.given_up.get(),
            rebooted: self.rebooted.get(),
            messages: self.messages.get(),
            desired: of_hubs(|hub| &hub.desired),
            methods: of_hubs(|hub| &hub.methods),
        }
    }
}

/// A connection that is held.
#[derive(Debug)]
pub struct Held(Arc<DeviceCounters>);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.held.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};
    use std::time::Duration;

    use fleetstorm_reports::{Breach, Fault};
    use tokio::time::timeout;

    use super::*;

    #[test]
    fn what_is_held_ends_and_the_most_that_was_stays_known() {
        let device_counters = Arc::new(DeviceCounters::new(2));
        let first = device_counters.hold();
        drop(device_counters.hold());
        assert_eq!(
            (device_counters.held().now, device_counters.held().most),
            (1, 2)
        );
        drop(first);
        assert_eq!(
            (device_counters.held().now, device_counters.held().most),
            (0, 2)
        );
    }

    #[test]
    fn hubs_count_apart_and_show_together() {
        let device_counters = DeviceCounters::new(2);
        for hub in [Some(0), Some(1), Some(1), Some(2), None] {
            device_counters.hub(hub).desired.add();
        }
        assert_eq!(device_counters.hub(Some(1)).desired.get(), 2);
        assert_eq!(device_counters.held().desired, 5);
    }

    #[tokio::test]
    async fn a_request_is_unheard_until_it_is_answered_and_a_refusal_is_an_answer() {
        let lost = LinkError::Broken(Fault::ConnectionLost);
        let unreadable = LinkError::Broken(Fault::Protocol(Breach::Answer));
        for (came, heard, unheard) in [
            (Ok(()), 1, 0),
            (Err(LinkError::Refused { status: 429 }), 0, 0),
            (Err(lost), 0, 1),
            (Err(unreadable), 0, 1),
        ] {
            let exchanges = Exchanges::default();
            assert_eq!(exchanges.count(ready(came)).await, came);
            let counted = (exchanges.heard.get(), exchanges.unheard.get());
            assert_eq!(counted, (heard, unheard), "{came:?}");
        }

        let exchanges = Exchanges::default();
        drop(exchanges.count(pending::<Result<(), _>>()));
        assert_eq!(exchanges.unheard.get(), 0, "nothing has gone out");
        let waits = exchanges.count(pending::<Result<(), _>>());
        assert!(timeout(Duration::from_millis(1), waits).await.is_err());
        assert_eq!(exchanges.unheard.get(), 1);
    }
}
