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

/// A shard that is locked.
type Locked<'a, Key, Value> = MutexGuard<'a, HashMap<Key, Value>>;

/// A panic elsewhere leaves each entry whole: entries change in one step.
fn lock<Key, Value>(shard: &Mutex<HashMap<Key, Value>>) -> Locked<'_, Key, Value> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
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

    /// Locks the shard that holds `key`, if it is held. Nobody may hold two.
    pub(crate) fn of<Borrowed>(&self, key: &Borrowed) -> MutexGuard<'_, HashMap<Key, Value>>
    where
        Borrowed: Hash + ?Sized,
    {
        lock(self.shard(key))
    }

    /// Looks at all that a shard holds, from number 0 on; none where there is no such shard. It is
    /// locked meanwhile, the others are not.
    pub(crate) fn look_at<Seen>(
        &self,
        number: usize,
        look: impl FnOnce(&HashMap<Key, Value>) -> Seen,
    ) -> Option<Seen> {
        let shard = self.shards.get(number)?;
        Some(look(&lock(shard)))
    }

    fn shard<Borrowed>(&self, key: &Borrowed) -> &Mutex<HashMap<Key, Value>>
    where
        Borrowed: Hash + ?Sized,
    {
        &self.shards[self.hasher.hash_one(key) as usize % SHARDS]
    }
}

impl<Value> Shards<Box<str>, Value> {
    /// At most `limit` of the entries that `show` shows, from the place that `from` names on, from the start without one;
    /// and the place after them, if more follow. Entries that are there all the while come once:
    /// shard by shard, each in the order of its keys.
    pub(crate) fn page<Shown>(
        &self,
        from: Option<&str>,
        limit: usize,
        show: impl Fn(&str, &Value) -> Option<Shown>,
    ) -> (Vec<Shown>, Option<String>) {
        let (first, mut after) = from.and_then(place).unwrap_or((0, ""));
        let mut page = Vec::new();
        for (number, shard) in self.shards.iter().enumerate().skip(first) {
            let shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            let mut entries: Vec<_> = shard.iter().filter(|(key, _)| &***key > after).collect();
            entries.sort_unstable_by_key(|(key, _)| *key);
            let mut last = after;
            for (key, value) in &entries {
                let Some(shown) = show(key, value) else {
                    continue;
                };
                if page.len() == limit {
                    return (page, Some(format!("{number}:{last}")));
                }
                page.push(shown);
                last = key;
            }
            after = "";
        }
        (page, None)
    }
}

/// A shard's number and the key after which to go on there.
fn place(from: &str) -> Option<(usize, &str)> {
    let (number, after) = from.split_once(':')?;
    Some((number.parse().ok()?, after))
}

impl<Key: Hash + Eq, Value> Default for Shards<Key, Value> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_hold_every_entry_once() {
        let shards: Shards<Box<str>, u32> = Shards::new();
        for number in 0..1_000 {
            let key: Box<str> = format!("device-{number}").into();
            shards.of(&key).insert(key, number);
        }
        for limit in [1, 7, 100, 1_000, 2_000] {
            let mut seen = Vec::new();
            let mut from = None;
            loop {
                let (page, next) = shards.page(from.as_deref(), limit, |_, number| Some(*number));
                assert!(page.len() <= limit);
                seen.extend(page);
                from = next;
                if from.is_none() {
                    break;
                }
            }
            seen.sort_unstable();
            assert_eq!(seen, (0..1_000).collect::<Vec<_>>(), "{limit}");
        }
        let even = |from: Option<&str>| shards.page(from, 10, |_, n| (n % 2 == 0).then_some(*n)).0;
        assert!(even(Some("999:x")).is_empty());
        assert_eq!(even(Some("nonsense")).len(), 10);
    }
}
