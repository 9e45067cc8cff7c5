//! Who reads telemetry as it comes.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use fleetstorm_protocol::hub::EventPosition;
use tokio::sync::Notify;

use super::HubRefusal;
use super::registry::HubRegistry;
use super::telemetry::{Extent, Received};

/// A back end that reads; while it is there, messages are kept for it.
pub struct TelemetryReader {
    hubs: Arc<HubRegistry>,
    hub: usize,
    next: u64,
    _wake: Arc<Notify>,
}

impl TelemetryReader {
    /// The next message from its place on; none until the next wake. One that is too slow misses what
    /// is not kept any more.
    pub fn take(&mut self) -> Option<Arc<Received>> {
        let state = self.hubs.at(self.hub)?.telemetry.state();
        let first = state.extent().first;
        let place = usize::try_from(self.next.saturating_sub(first)).ok()?;
        let received = Arc::clone(state.messages.get(place)?);
        self.next = received.sequence + 1;
        Some(received)
    }
}

impl Drop for TelemetryReader {
    fn drop(&mut self) {
        if let Some(hub) = self.hubs.at(self.hub) {
            let readers = hub.telemetry.readers.fetch_sub(1, Ordering::Relaxed) - 1;
            hub.telemetry.state().prune(hub.telemetry.most(readers));
        }
    }
}

impl HubRegistry {
    /// Reads a hub's telemetry from a position on; `wake` is notified when there is more.
    ///
    /// # Errors
    /// Unknown hub.
    pub fn read_telemetry(
        self: &Arc<Self>,
        hub: &str,
        position: EventPosition,
        wake: Arc<Notify>,
    ) -> Result<TelemetryReader, HubRefusal> {
        let (index, hub) = self.hub(hub)?;
        let mut state = hub.telemetry.state();
        hub.telemetry.readers.fetch_add(1, Ordering::Relaxed);
        state.wakes.retain(|other| other.strong_count() > 0);
        state.wakes.push(Arc::downgrade(&wake));
        wake.notify_one();
        Ok(TelemetryReader {
            hubs: Arc::clone(self),
            hub: index,
            next: state.seek(position),
            _wake: wake,
        })
    }

    /// What is kept of a hub's telemetry.
    ///
    /// # Errors
    /// Unknown hub.
    pub fn telemetry(&self, hub: &str) -> Result<Extent, HubRefusal> {
        let (_, hub) = self.hub(hub)?;
        Ok(hub.telemetry.state().extent())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::counters::Tally;
    use crate::hub::access_policy::HubPolicies;
    use crate::hub::telemetry::MAX_BYTES;
    use fleetstorm_protocol::hub::Message;
    use fleetstorm_protocol::ids::ClientId;
    use jiff::Timestamp;

    const HUB: &str = "hub.test";

    fn hubs(limit: usize) -> Arc<HubRegistry> {
        let names = [HUB.to_owned()];
        let tally = Arc::new(Tally::new(&names));
        let hubs = names.map(|name| (name, HubPolicies::generate()));
        Arc::new(HubRegistry::new(hubs.into(), limit, tally))
    }

    fn send(hubs: &HubRegistry, body: usize, second: i64) {
        let device = ClientId::parse("d").expect("valid");
        let message = Message {
            body: vec![0; body],
            ..Message::default()
        };
        let now = Timestamp::from_second(second).expect("in range");
        let hub = hubs.at(0).expect("a hub");
        hub.telemetry.keep(&device, &message, now);
    }

    fn bodies(hubs: &HubRegistry) -> Vec<usize> {
        let kept = hubs.recent_messages(HUB).expect("a hub");
        kept.iter().map(|kept| kept.message.body.len()).collect()
    }

    #[test]
    fn the_last_are_kept_and_no_more_than_asked_for() {
        for (limit, expected) in [(0, vec![]), (2, vec![3, 4])] {
            let hubs = hubs(limit);
            (0..5).for_each(|body| send(&hubs, body, 0));
            assert_eq!(bodies(&hubs), expected);
        }
        let hubs = hubs(100);
        (0..100).for_each(|_| send(&hubs, MAX_BYTES / 10, 0));
        assert_eq!(bodies(&hubs).len(), 10);
    }

    #[test]
    fn a_reader_reads_on_from_its_place() {
        let hubs = hubs(2);
        (0..5).for_each(|body| send(&hubs, body, 100));
        let read = |position| {
            let wake = Arc::new(Notify::new());
            hubs.read_telemetry(HUB, position, wake).expect("a hub")
        };
        let next = |reader: &mut TelemetryReader| {
            reader
                .take()
                .map(|received| (received.sequence, received.message.body.len()))
        };
        for (position, expected) in [
            (EventPosition::Earliest, Some((3, 3))),
            (EventPosition::From(0), Some((3, 3))),
            (EventPosition::From(4), Some((4, 4))),
            (EventPosition::Since(100_000), Some((3, 3))),
            (EventPosition::Since(100_001), None),
            (EventPosition::Latest, None),
        ] {
            assert_eq!(next(&mut read(position)), expected, "{position:?}");
        }
        let mut reader = read(EventPosition::Latest);
        (5..10).for_each(|body| send(&hubs, body, 200));
        for body in 5..10 {
            assert_eq!(next(&mut reader), Some((body as u64, body)));
        }
        assert_eq!(next(&mut reader), None);
        assert_eq!(bodies(&hubs), [8, 9], "for inspection");
        drop(reader);
        let extent = hubs.telemetry(HUB).expect("a hub");
        assert_eq!(
            (extent.first, extent.next),
            (8, 10),
            "nobody reads any more"
        );
    }

    #[test]
    fn nothing_is_kept_while_nobody_reads() {
        let hubs = hubs(0);
        send(&hubs, 1, 0);
        assert_eq!(hubs.telemetry(HUB), Ok(Extent::default()));
    }
}
