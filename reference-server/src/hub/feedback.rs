//! What became of cloud-to-device messages, for back ends that asked (IoT Hub documentation, "Send
//! cloud-to-device messages": message feedback).

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use fleetstorm_protocol::ids::ClientId;
use jiff::Timestamp;
use tokio::sync::Notify;

use super::HubRefusal;
use super::message_queue::{Ended, Ending};
use super::registry::HubRegistry;

/// Most that wait to be read; the oldest go first.
const MAX_WAITING: usize = 4096;
/// Most that are read at once.
const MAX_BATCH: usize = 100;

/// One hub's.
#[derive(Debug, Default)]
pub(super) struct Feedback(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<FeedbackRecord>,
    wakes: Vec<Weak<Notify>>,
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

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing in here panics half-way.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn wake(&mut self) {
        self.wakes.retain(|wake| {
            let wake = wake.upgrade();
            if let Some(wake) = &wake {
                wake.notify_one();
            }
            wake.is_some()
        });
    }
}

/// A back end that reads; what it does not settle waits again.
pub struct FeedbackReceiver {
    hubs: Arc<HubRegistry>,
    hub: usize,
    held: BTreeMap<u64, Vec<FeedbackRecord>>,
    taken: u64,
    _wake: Arc<Notify>,
}

impl FeedbackReceiver {
    /// The next records, and a name that settles them; none until the next wake.
    pub fn take(&mut self) -> Option<(u64, &[FeedbackRecord])> {
        let mut state = self.hubs.at(self.hub)?.feedback.state();
        let most = state.waiting.len().min(MAX_BATCH);
        let batch: Vec<_> = state.waiting.drain(..most).collect();
        drop(state);
        if batch.is_empty() {
            return None;
        }
        self.taken += 1;
        let name = self.taken;
        Some((name, self.held.entry(name).or_insert(batch)))
    }

    /// Says what becomes of them: they are done with, or wait again.
    pub fn settle(&mut self, name: u64, is_done: bool) {
        if let Some(batch) = self.held.remove(&name)
            && !is_done
        {
            self.give_back(batch);
        }
    }

    fn give_back(&self, batch: Vec<FeedbackRecord>) {
        if let Some(hub) = self.hubs.at(self.hub) {
            let mut state = hub.feedback.state();
            for record in batch.into_iter().rev() {
                state.waiting.push_front(record);
            }
            state.waiting.truncate(MAX_WAITING);
            state.wake();
        }
    }
}

impl Drop for FeedbackReceiver {
    fn drop(&mut self) {
        for batch in std::mem::take(&mut self.held).into_values().rev() {
            self.give_back(batch);
        }
    }
}

impl HubRegistry {
    /// Reads a hub's feedback; `wake` is notified when there is more.
    ///
    /// # Errors
    /// Unknown hub.
    pub fn read_feedback(
        self: &Arc<Self>,
        hub: &str,
        wake: Arc<Notify>,
    ) -> Result<FeedbackReceiver, HubRefusal> {
        let (index, hub) = self.hub(hub)?;
        let mut state = hub.feedback.state();
        state.wakes.retain(|other| other.strong_count() > 0);
        state.wakes.push(Arc::downgrade(&wake));
        wake.notify_one();
        Ok(FeedbackReceiver {
            hubs: Arc::clone(self),
            hub: index,
            held: BTreeMap::new(),
            taken: 0,
            _wake: wake,
        })
    }
}
