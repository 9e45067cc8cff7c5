//! What outlives the process (`data-dir`): a folder with a key-value store, or nothing at all.
//!
//! ```text
//! structures in memory ── each change, under the lock of what it changes ──► write-through, by kind and key
//!         ▲                                                                        │
//!         └──────────── all of it, when a server starts ◄──────────────────────────┘
//! listener: answer in hand ── settled? ── yes ──► sent
//! ```
//! Reads never come here. A write is with the operating system when [`Store::write`] returns, so that
//! it survives `kill -9`; with [`Durability::Disk`] an answer also waits until it is on the disk.
//! A write that fails is told to nobody but the listeners: none sends an answer after it, whatever
//! the structures in memory say by then, and conversations end.

use std::path::Path;
use std::sync::Arc;

use fjall::OwnedWriteBatch;
use serde::Serialize;
use serde::de::DeserializeOwned;

use durability::Durability;
use error::StoreError;
use folder::Folder;
use kind::Kind;

pub mod durability;

pub(crate) mod error;
pub(crate) mod kind;

mod damage;
mod files;
mod folder;
mod format;
mod journal;
mod reached;
mod syncing;
mod tables;

/// Keeps what it is given; the default keeps nothing and costs nothing.
#[derive(Debug, Clone, Default)]
pub(crate) struct Store(Option<Arc<Folder>>);

/// Changes that are kept together or not at all.
pub(crate) struct Writes<'a> {
    folder: &'a Folder,
    batch: OwnedWriteBatch,
}

impl Store {
    /// In a folder, made where it is not there.
    ///
    /// # Errors
    /// It can't be written, is in use, is something else, of another format, or damaged.
    pub(crate) fn in_folder(path: &Path, durability: Durability) -> Result<Self, StoreError> {
        let folder = Folder::open(path, durability)?;
        Ok(Self(Some(Arc::new(folder))))
    }

    /// Keeps changes. WebhookOutcome under the lock of what has changed, so that changes of one thing are
    /// kept in their order. Does not even look at them where nothing is kept.
    pub(crate) fn write(&self, changes: impl FnOnce(&mut Writes<'_>)) {
        let Some(folder) = &self.0 else {
            return;
        };
        let mut writes = Writes {
            folder,
            batch: folder.batch(),
        };
        changes(&mut writes);
        folder.commit(writes.batch);
    }

    /// Waits until all that was written is kept as the durability wants it; called before anything
    /// is answered.
    ///
    /// # Errors
    /// A write has failed, this one or an earlier one: nothing more is kept.
    pub(crate) async fn settled(&self) -> Result<(), StoreError> {
        match &self.0 {
            None => Ok(()),
            Some(folder) => folder.settled().await,
        }
    }

    /// Whether all that was written is kept.
    ///
    /// # Errors
    /// A write has failed.
    pub(crate) fn check(&self) -> Result<(), StoreError> {
        match &self.0 {
            None => Ok(()),
            Some(folder) => folder.check(),
        }
    }

    /// Waits until a write fails; for ever where nothing is kept.
    pub(crate) async fn failed(&self) {
        match &self.0 {
            None => std::future::pending().await,
            Some(folder) => folder.failed().await,
        }
    }

    /// Reads all values of a kind in a scope, in the order of their ids.
    ///
    /// # Errors
    /// One can't be read, or `take` can't use it and says why.
    pub(crate) fn each<Value: DeserializeOwned>(
        &self,
        kind: Kind,
        scope: &str,
        mut take: impl FnMut(&str, Value) -> Result<(), String>,
    ) -> Result<(), StoreError> {
        let Some(folder) = &self.0 else {
            return Ok(());
        };
        folder.each(kind, scope, |id, value| {
            let named = |problem: &str| format!("{}: {id}: {problem}", kind.name());
            let value = serde_json::from_slice(value);
            let value = value.map_err(|e| folder.damaged(&named(&e.to_string())))?;
            take(id, value).map_err(|problem| folder.error(named(&problem)))
        })
    }

    /// Whether there is a value.
    ///
    /// # Errors
    /// It can't be read.
    pub(crate) fn knows(&self, kind: Kind, scope: &str, id: &str) -> Result<bool, StoreError> {
        match &self.0 {
            None => Ok(false),
            Some(folder) => Ok(folder.get(kind, scope, id)?.is_some()),
        }
    }

    /// What the server made up before by that name; else what it makes up now.
    ///
    /// # Errors
    /// It can't be read or kept.
    pub(crate) fn secret<Secret: Serialize + DeserializeOwned>(
        &self,
        name: &str,
        make: impl FnOnce() -> Secret,
    ) -> Result<Secret, StoreError> {
        let Some(folder) = &self.0 else {
            return Ok(make());
        };
        if let Some(known) = folder.get(Kind::Secret, "", name)? {
            let problem = |e| folder.damaged(&format!("{name}: {e}"));
            return serde_json::from_slice(&known).map_err(problem);
        }
        let secret = make();
        self.write(|writes| writes.put(Kind::Secret, "", name, &secret));
        folder.check()?;
        Ok(secret)
    }
}

/// Reads the journals of a database, and nothing else of it.
#[cfg(fuzzing)]
pub(crate) fn read_journals(store: &Path, aside: &Path) -> Result<(), StoreError> {
    journal::Journals::read(store, aside).map(drop)
}

impl Writes<'_> {
    /// Keeps a value, in place of the one that is there.
    pub(crate) fn put(&mut self, kind: Kind, scope: &str, id: &str, value: &impl Serialize) {
        let value = serde_json::to_vec(value).expect("what is kept has names for its members");
        let (keyspace, key) = (self.folder.keyspace(kind), folder::key(scope, id));
        self.batch.insert(keyspace, key, value);
    }

    /// Forgets a value.
    pub(crate) fn remove(&mut self, kind: Kind, scope: &str, id: &str) {
        let (keyspace, key) = (self.folder.keyspace(kind), folder::key(scope, id));
        self.batch.remove(keyspace, key);
    }
}

#[cfg(test)]
mod tests;
