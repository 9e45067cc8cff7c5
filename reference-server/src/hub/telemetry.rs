//! What a hub's devices have sent last: for back ends that read it as it comes, and for inspection
//! where the configuration asks for that. While nobody does, nothing is kept.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use fleetstorm_protocol::hub::{EventPosition, Message};
use fleetstorm_protocol::ids::ClientId;
use jiff::Timestamp;
use tokio::sync::Notify;

/// Most messages that are kept for readers.
const MAX_READ: usize = 4096;
/// Most bytes of bodies that are kept; the oldest go first.
pub(super) const MAX_BYTES: usize = 64 << 20;

/// One hub's.
#[derive(Debug)]
pub(super) struct Telemetry {
    limit: usize,
    pub(super) readers: AtomicUsize,
    state: Mutex<State>,
}

/// What is kept, and who waits for more.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) messages: VecDeque<Arc<Received>>,
    bytes: usize,
    /// Number of the next message.
    next: u64,
    pub(super) wakes: Vec<Weak<Notify>>,
}

/// A message of a device, as the hub took it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// Its place among those that were kept, from 0.
    pub sequence: u64,
    /// Who sent it.
    pub device: ClientId,
    /// When the hub took it.
    pub enqueued: Timestamp,
    /// The message.
    pub message: Message,
}

/// What is kept, and what was kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Extent {
    /// Number of the first message that is kept, or of the next.
    pub first: u64,
    /// Number of the next.
    pub next: u64,
    /// When the last one came, if one is kept.
    pub last_enqueued: Option<Timestamp>,
}

impl Telemetry {
    /// Keeps up to `limit`; nothing when 0.
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit,
            readers: AtomicUsize::new(0),
            state: Mutex::default(),
        }
    }

    /// Keeps a message, and tells who reads.
    pub(super) fn keep(&self, device: &ClientId, message: &Message, now: Timestamp) {
        let readers = self.readers.load(Ordering::Relaxed);
        if self.limit == 0 && readers == 0 {
            return;
        }
        let message = message.clone();
        let mut state = self.state();
        let sequence = state.next;
        state.next += 1;
        state.bytes += message.body.len();
        state.messages.push_back(Arc::new(Received {
            sequence,
            device: device.clone(),
            enqueued: now,
            message,
        }));
        state.prune(self.most(readers));
        state.wakes.retain(|wake| {
            let wake = wake.upgrade();
            if let Some(wake) = &wake {
                wake.notify_one();
            }
            wake.is_some()
        });
    }

    /// The last that are kept for inspection, the oldest first.
    pub(super) fn last(&self) -> Vec<Arc<Received>> {
        let state = self.state();
        let before = state.messages.len().saturating_sub(self.limit);
        state.messages.iter().skip(before).cloned().collect()
    }

    pub(super) fn most(&self, readers: usize) -> usize {
        if readers > 0 {
            self.limit.max(MAX_READ)
        } else {
            self.limit
        }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        // Nothing in here panics half-way.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    pub(super) fn prune(&mut self, most: usize) {
        while self.messages.len() > most || self.bytes > MAX_BYTES {
            let Some(gone) = self.messages.pop_front() else {
                return;
            };
            self.bytes -= gone.message.body.len();
        }
    }

    pub(super) fn extent(&self) -> Extent {
        let first = self
            .messages
            .front()
            .map_or(self.next, |first| first.sequence);
        Extent {
            first,
            next: self.next,
            last_enqueued: self.messages.back().map(|last| last.enqueued),
        }
    }

    pub(super) fn seek(&self, position: EventPosition) -> u64 {
        match position {
            EventPosition::Earliest => self.extent().first,
            EventPosition::Latest => self.next,
            EventPosition::From(sequence) => sequence,
            EventPosition::Since(milliseconds) => {
                let came =
                    |received: &&Arc<Received>| received.enqueued.as_millisecond() >= milliseconds;
                let first = self.messages.iter().find(came);
                first.map_or(self.next, |first| first.sequence)
            }
        }
    }
}
