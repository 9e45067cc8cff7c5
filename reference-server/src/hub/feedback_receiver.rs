//! Who reads what became of messages.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::Notify;

use super::feedback::{FeedbackRecord, MAX_WAITING};
use super::registry::Hub;

/// Most that are read at once.
const MAX_BATCH: usize = 100;

/// A back end that reads; what it does not settle waits again.
pub struct FeedbackReceiver {
    hub: Arc<Hub>,
    held: BTreeMap<u64, Vec<FeedbackRecord>>,
    taken: u64,
    _wake: Arc<Notify>,
}

impl FeedbackReceiver {
    /// The next records, and a name that settles them; none until the next wake.
    pub fn take(&mut self) -> Option<(u64, &[FeedbackRecord])> {
        let mut state = self.hub.feedback.state();
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
        let mut state = self.hub.feedback.state();
        for record in batch.into_iter().rev() {
            state.waiting.push_front(record);
        }
        state.waiting.truncate(MAX_WAITING);
        state.wake();
    }
}

impl Drop for FeedbackReceiver {
    fn drop(&mut self) {
        for batch in std::mem::take(&mut self.held).into_values().rev() {
            self.give_back(batch);
        }
    }
}

impl Hub {
    /// Reads the feedback; `wake` is notified when there is more.
    pub fn read_feedback(self: &Arc<Self>, wake: Arc<Notify>) -> FeedbackReceiver {
        let mut state = self.feedback.state();
        state.wakes.retain(|other| other.strong_count() > 0);
        state.wakes.push(Arc::downgrade(&wake));
        wake.notify_one();
        drop(state);
        FeedbackReceiver {
            hub: Arc::clone(self),
            held: BTreeMap::new(),
            taken: 0,
            _wake: wake,
        }
    }
}
