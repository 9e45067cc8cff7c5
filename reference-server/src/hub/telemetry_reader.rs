//! Who reads telemetry as it comes.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use fleetstorm_protocol::hub::EventPosition;
use tokio::sync::Notify;

use super::registry::Hub;
use super::telemetry::{Extent, Received};

/// A back end that reads; while it is there, messages are kept for it.
pub struct TelemetryReader {
    hub: Arc<Hub>,
    next: u64,
    _wake: Arc<Notify>,
}

impl TelemetryReader {
    /// The next message from its place on; none until the next wake. One that is too slow misses what
    /// is not kept any more.
    pub fn take(&mut self) -> Option<Arc<Received>> {
        let state = self.hub.telemetry.state();
        let first = state.extent().first;
        let place = usize::try_from(self.next.saturating_sub(first)).ok()?;
        let received = Arc::clone(state.messages.get(place)?);
        self.next = received.sequence + 1;
        Some(received)
    }
}

impl Drop for TelemetryReader {
    fn drop(&mut self) {
        let telemetry = &self.hub.telemetry;
        let readers = telemetry.readers.fetch_sub(1, Ordering::Relaxed) - 1;
        telemetry.state().prune(telemetry.most(readers));
    }
}

impl Hub {
    /// Reads the telemetry from a position on; `wake` is notified when there is more.
    pub fn read_telemetry(
        self: &Arc<Self>,
        position: EventPosition,
        wake: Arc<Notify>,
    ) -> TelemetryReader {
        let mut state = self.telemetry.state();
        self.telemetry.readers.fetch_add(1, Ordering::Relaxed);
        state.wakes.retain(|other| other.strong_count() > 0);
        state.wakes.push(Arc::downgrade(&wake));
        wake.notify_one();
        TelemetryReader {
            hub: Arc::clone(self),
            next: state.seek(position),
            _wake: wake,
        }
    }

    /// What is kept of the telemetry.
    pub fn telemetry(&self) -> Extent {
        self.telemetry.state().extent()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hub::telemetry::MAX_BYTES;
    use crate::store::Store;
    use fleetstorm_protocol::hub::Message;
    use fleetstorm_protocol::ids::ClientId;
    use jiff::Timestamp;

    fn hub(limit: usize) -> Arc<Hub> {
        Arc::new(Hub::alone("hub.test", limit, &Store::default()))
    }

    fn send(hub: &Hub, body: usize, second: i64) {
        let device = ClientId::parse("d").expect("valid");
        let message = Message {
            body: vec![0; body],
            ..Message::default()
        };
        let now = Timestamp::from_second(second).expect("in range");
        hub.telemetry.keep(&device, &message, now);
    }

    fn bodies(hub: &Hub) -> Vec<usize> {
        let kept = hub.recent_messages();
        kept.iter().map(|kept| kept.message.body.len()).collect()
    }

    #[test]
    fn the_last_are_kept_and_no_more_than_asked_for() {
        for (limit, expected) in [(0, vec![]), (2, vec![3, 4])] {
            let hub = hub(limit);
            (0..5).for_each(|body| send(&hub, body, 0));
            assert_eq!(bodies(&hub), expected);
        }
        let hub = hub(100);
        (0..100).for_each(|_| send(&hub, MAX_BYTES / 10, 0));
        assert_eq!(bodies(&hub).len(), 10);
    }

    #[test]
    fn a_reader_reads_on_from_its_place() {
        let hub = hub(2);
        (0..5).for_each(|body| send(&hub, body, 100));
        let read = |position| {
            let wake = Arc::new(Notify::new());
            hub.read_telemetry(position, wake)
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
        (5..10).for_each(|body| send(&hub, body, 200));
        for body in 5..10 {
            assert_eq!(next(&mut reader), Some((body as u64, body)));
        }
        assert_eq!(next(&mut reader), None);
        assert_eq!(bodies(&hub), [8, 9], "for inspection");
        drop(reader);
        let extent = hub.telemetry();
        assert_eq!(
            (extent.first, extent.next),
            (8, 10),
            "nobody reads any more"
        );
    }

    #[test]
    fn nothing_is_kept_while_nobody_reads() {
        let hub = hub(0);
        send(&hub, 1, 0);
        assert_eq!(hub.telemetry(), Extent::default());
    }
}
