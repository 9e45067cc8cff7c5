//! A map that all cores write to: split into shards, so that they rarely meet.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Shards; well above the number of cores.
const SHARDS: usize = 64;

/// Keys to values behind many small locks.
#[derive(Debug)]
pub(crate) struct Shards<Key, Value> {
    hasher: RandomState,
    shards: Box<[Mutex<HashMap<Key, Value>>]>,
}

impl<Key: Hash + Eq, Value> Shards<Key, Value> {
    /// Empty.
    pub(crate) fn new() -> Self {
        let shards = std::iter::repeat_with(|| Mutex::new(HashMap::new())).take(SHARDS);
        Self {
            hasher: RandomState::new(),
            shards: shards.collect(),
        }
    }

    /// Locks the shard that holds `key`, if it is held. No two shards are ever locked at once.
    pub(crate) fn of<Borrowed>(&self, key: &Borrowed) -> MutexGuard<'_, HashMap<Key, Value>>
    where
        Borrowed: Hash + ?Sized,
    {
        let shard = self.hasher.hash_one(key) as usize % SHARDS;
        // A panic elsewhere leaves each entry whole: entries change in one step.
        self.shards[shard]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
