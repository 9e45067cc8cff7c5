//! What the hub has to say to a connected device, until its connection takes it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::Notify;

use super::twin::DesiredChange;

/// Most that may wait for a connection. One that is slower than that is ended: it would
/// miss changes.
const MAX_EVENTS: usize = 64;

/// What a connection has to pass on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Downstream {
    /// Desired properties have changed.
    Desired(DesiredChange),
    /// The service calls a method of the device.
    Method(MethodRequest),
    /// Messages wait: receive them as the device has room for them.
    MessagesWait,
    /// The session is over: close the connection, or this device's part of it.
    Ended(SessionEnd),
}

/// A direct method, called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MethodRequest {
    /// Names the call within the hub; the answer carries it back.
    pub call: u64,
    /// The method.
    pub name: Box<str>,
    /// JSON.
    pub payload: Bytes,
}

/// Why a session is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionEnd {
    /// The device has connected anew.
    Superseded,
    /// The identity was removed or disabled, or proves itself by something else now.
    Revoked,
    /// The connection took too long to take what waited for it.
    TooSlow,
}

/// One session's. The hub's side writes, the connection reads.
#[derive(Debug)]
pub(super) struct Inbox {
    state: Mutex<State>,
    wake: Arc<Notify>,
}

#[derive(Debug, Default)]
struct State {
    events: VecDeque<Downstream>,
    messages_wait: bool,
    ended: Option<SessionEnd>,
}

impl Inbox {
    /// Empty; `wake` tells the connection that something is in it.
    pub(super) fn new(wake: Arc<Notify>) -> Self {
        Self {
            state: Mutex::default(),
            wake,
        }
    }

    /// Puts something in. Returns whether it will be read.
    pub(super) fn put(&self, event: Downstream) -> bool {
        let mut state = self.state();
        match event {
            _ if state.ended.is_some() => return false,
            Downstream::Ended(end) => state.ended = Some(end),
            Downstream::MessagesWait => state.messages_wait = true,
            _ if state.events.len() >= MAX_EVENTS => state.ended = Some(SessionEnd::TooSlow),
            event => state.events.push_back(event),
        }
        let read = state.ended.is_none();
        drop(state);
        self.wake.notify_one();
        read
    }

    /// Takes the next out. An end comes first, and again and again.
    pub(super) fn take(&self) -> Option<Downstream> {
        let mut state = self.state();
        if let Some(end) = state.ended {
            return Some(Downstream::Ended(end));
        }
        let event = state.events.pop_front();
        event.or_else(|| {
            std::mem::take(&mut state.messages_wait).then_some(Downstream::MessagesWait)
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing in here panics half-way.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(version: u64) -> Downstream {
        Downstream::Desired(DesiredChange {
            version,
            patch: Bytes::new(),
        })
    }

    #[test]
    fn events_keep_their_order_and_waiting_messages_are_told_once() {
        let inbox = Inbox::new(Arc::new(Notify::new()));
        for event in [
            Downstream::MessagesWait,
            change(2),
            Downstream::MessagesWait,
            change(3),
        ] {
            assert!(inbox.put(event));
        }
        let taken: Vec<_> = std::iter::from_fn(|| inbox.take()).collect();
        assert_eq!(taken, [change(2), change(3), Downstream::MessagesWait]);
    }

    #[test]
    fn whoever_does_not_read_is_ended() {
        let inbox = Inbox::new(Arc::new(Notify::new()));
        for version in 0..MAX_EVENTS as u64 {
            assert!(inbox.put(change(version)));
        }
        assert!(!inbox.put(change(99)));
        assert_eq!(inbox.take(), Some(Downstream::Ended(SessionEnd::TooSlow)));
        assert!(!inbox.put(Downstream::Ended(SessionEnd::Superseded)));
        assert_eq!(inbox.take(), Some(Downstream::Ended(SessionEnd::TooSlow)));
    }
}
