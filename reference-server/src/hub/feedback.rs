//! What became of cloud-to-device messages, for back ends that asked (IoT Hub documentation, "Send
//! cloud-to-device messages": message feedback).

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError, Weak};

use fleetstorm_protocol::ids::ClientId;
use jiff::Timestamp;
use tokio::sync::Notify;

use super::message_queue::{Ended, Ending};

/// Most that wait to be read; the oldest go first.
pub(super) const MAX_WAITING: usize = 4096;

/// One hub's.
#[derive(Debug, Default)]
pub(super) struct Feedback(Mutex<State>);

/// What waits, and for whom.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) waiting: VecDeque<FeedbackRecord>,
    pub(super) wakes: Vec<Weak<Notify>>,
}

/// What became of one message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeedbackRecord {
    /// Id of the message, as its sender wrote it.
    pub message_id: String,
    /// Who was to get it.
    pub device: ClientId,
    /// When that identity was created.
    pub created: Timestamp,
    /// When it ended.
    pub at: Timestamp,
    /// How.
    pub ending: Ending,
}

impl Feedback {
    /// Tells of messages of a device.
    pub(super) fn tell(&self, device: &ClientId, created: Timestamp, ended: Vec<Ended>) {
        let mut state = self.state();
        for Ended {
            message_id,
            at,
            ending,
        } in ended
        {
            if state.waiting.len() >= MAX_WAITING {
                state.waiting.pop_front();
            }
            state.waiting.push_back(FeedbackRecord {
                message_id,
                device: device.clone(),
                created,
                at,
                ending,
            });
        }
        state.wake();
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        // Nothing in here panics half-way.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    pub(super) fn wake(&mut self) {
        self.wakes.retain(|wake| {
            let wake = wake.upgrade();
            if let Some(wake) = &wake {
                wake.notify_one();
            }
            wake.is_some()
        });
    }
}
