//! The last messages of a hub's devices, kept for inspection where the configuration asks for it.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use fleetstorm_protocol::hub::Message;
use fleetstorm_protocol::ids::ClientId;
use jiff::Timestamp;

/// Longest body that is kept whole; what is beyond is cut off.
const MAX_BODY: usize = 4096;

/// At most as many as the configuration says; the oldest go first.
#[derive(Debug)]
pub(super) struct Recent {
    limit: usize,
    messages: Mutex<VecDeque<Received>>,
}

/// A message of a device, as the hub took it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// Who sent it.
    pub device: ClientId,
    /// When the hub took it.
    pub enqueued: Timestamp,
    /// The message, its body cut off behind 4 KB.
    pub message: Message,
}

impl Recent {
    /// Keeps up to `limit`; nothing when 0.
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit,
            messages: Mutex::default(),
        }
    }

    /// Keeps a message.
    pub(super) fn keep(&self, device: &ClientId, message: &Message, now: Timestamp) {
        if self.limit == 0 {
            return;
        }
        let mut message = message.clone();
        message.body.truncate(MAX_BODY);
        let received = Received {
            device: device.clone(),
            enqueued: now,
            message,
        };
        let mut messages = self.messages();
        if messages.len() >= self.limit {
            messages.pop_front();
        }
        messages.push_back(received);
    }

    /// All that are kept, the oldest first.
    pub(super) fn all(&self) -> Vec<Received> {
        self.messages().iter().cloned().collect()
    }

    fn messages(&self) -> MutexGuard<'_, VecDeque<Received>> {
        // Nothing in here panics half-way.
        self.messages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(limit: usize, sent: usize) -> Vec<usize> {
        let (recent, device) = (Recent::new(limit), ClientId::parse("d").expect("valid"));
        for body in 0..sent {
            let message = Message {
                body: vec![0; body],
                ..Message::default()
            };
            recent.keep(&device, &message, Timestamp::UNIX_EPOCH);
        }
        let bodies = recent.all();
        bodies
            .iter()
            .map(|received| received.message.body.len())
            .collect()
    }

    #[test]
    fn the_last_are_kept_and_no_more_than_asked_for() {
        assert_eq!(kept(0, 3), [0; 0]);
        assert_eq!(kept(2, 5), [3, 4]);
        assert_eq!(kept(1, MAX_BODY + 9), [MAX_BODY]);
    }
}
