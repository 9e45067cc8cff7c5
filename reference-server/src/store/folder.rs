//! The database in a folder: nothing is served out of one that is not whole.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use fjall::{
    AbstractTree, Database, Keyspace, KeyspaceCreateOptions, OwnedWriteBatch, PersistMode,
    Readable, UserValue,
};
use tokio::sync::watch;

use super::damage::{damaged, io_words, words};
use super::durability::Durability;
use super::error::StoreError;
use super::journal::Journals;
use super::kind::Kind;
use super::reached::Reached;
use super::syncing::Syncing;
use super::{files, format, reached, tables};

/// What ends the scope in a key; neither host names nor id scopes have it.
const END_OF_SCOPE: char = '\0';
/// Bytes of a kind that are held in memory before they are sorted into a file.
const MEMTABLE: u64 = 16 << 20;
/// Bytes of the cache for reads: there are hardly any once a server runs.
const CACHE: u64 = 4 << 20;
/// Sorted files that stay open.
const FILES: usize = 64;
/// Bytes of journals that may wait to be sorted: what a start has to read once more.
const JOURNALS: u64 = 128 << 20;

/// A database, and what it keeps of each kind.
struct Tree {
    database: Database,
    keyspaces: [Keyspace; Kind::ALL.len()],
}

impl Tree {
    fn open(store: &Path) -> Result<Self, String> {
        let database = Database::builder(store)
            .cache_size(CACHE)
            .max_cached_files(Some(FILES))
            .max_journaling_size(JOURNALS)
            .worker_threads(1)
            .open()
            .map_err(|e| words(&e))?;
        let open = |kind: Kind| {
            let options = || KeyspaceCreateOptions::default().max_memtable_size(MEMTABLE);
            database.keyspace(kind.name(), options)
        };
        let keyspaces = Kind::ALL
            .map(open)
            .into_iter()
            .collect::<Result<Vec<_>, _>>();
        let keyspaces = keyspaces.map_err(|e| words(&e))?.try_into();
        let keyspaces = keyspaces.unwrap_or_else(|_| unreachable!("one for each kind"));
        Ok(Self {
            database,
            keyspaces,
        })
    }
}

/// A data folder that is this process's.
pub(super) struct Folder {
    path: PathBuf,
    keyspaces: [Keyspace; Kind::ALL.len()],
    /// Why a write failed; there are none after it.
    failure: watch::Sender<Option<String>>,
    syncing: Option<Syncing>,
    database: Database,
    /// Locked while this is.
    _lock: format::Lock,
}

impl Folder {
    pub(super) fn open(path: &Path, durability: Durability) -> Result<Self, StoreError> {
        let failed = |problem: String| StoreError {
            path: path.to_owned(),
            problem,
        };
        let on_disk = |e: io::Error| failed(io_words(&e));
        files::make_folder(path).map_err(on_disk)?;
        let lock = format::lock(path).map_err(&failed)?;
        format::prepare(path, |new| Tree::open(new).map(drop)).map_err(&failed)?;
        let store = path.join("store");
        tables::check(&store)?;
        reached::check(path, &store)?;
        let journals = Journals::read(&store, &path.join("torn"))?;
        let Tree {
            database,
            keyspaces,
        } = Tree::open(&store).map_err(&failed)?;
        let sorted = keyspaces.iter();
        let sorted = sorted.filter_map(|keyspace| keyspace.tree.get_highest_persisted_seqno());
        journals.reach(sorted.max())?;
        journals.are_known(|keyspace, key| {
            let keyspace = keyspaces.iter().find(|known| known.id() == keyspace);
            let known = keyspace.map(|keyspace| keyspace.get(key)).transpose();
            known.map(Option::flatten).map_err(|e| failed(words(&e)))
        })?;
        let syncing = match durability {
            Durability::Process => None,
            Durability::Disk => {
                let reached = Reached::follow(path, &store).map_err(on_disk)?;
                Some(Syncing::start(database.clone(), reached).map_err(on_disk)?)
            }
        };
        Ok(Self {
            path: path.to_owned(),
            keyspaces,
            failure: watch::Sender::new(None),
            syncing,
            database,
            _lock: lock,
        })
    }

    pub(super) fn keyspace(&self, kind: Kind) -> &Keyspace {
        &self.keyspaces[kind as usize]
    }

    /// Without a durability of its own a batch would stay in this process until the next one.
    pub(super) fn batch(&self) -> OwnedWriteBatch {
        self.database.batch().durability(Some(PersistMode::Buffer))
    }

    /// The first failure is said on standard error, too: clients hear no more than that it is the
    /// server's fault.
    pub(super) fn commit(&self, batch: OwnedWriteBatch) {
        match batch.commit() {
            Ok(()) => {
                if let Some(syncing) = &self.syncing {
                    syncing.written();
                }
            }
            Err(error) => self.fail(&words(&error)),
        }
    }

    fn fail(&self, problem: &str) {
        let is_first = self.failure.send_if_modified(|failure| {
            let is_first = failure.is_none();
            failure.get_or_insert_with(|| problem.to_owned());
            is_first
        });
        if is_first {
            let path = self.path.display();
            // Nobody may read it.
            let _ = writeln!(
                io::stderr(),
                "{path}: {problem}\nnothing more is kept, so nothing more is answered: restart the server once the folder can be written again"
            );
        }
    }

    pub(super) async fn settled(&self) -> Result<(), StoreError> {
        if let Some(syncing) = &self.syncing
            && let Err(problem) = syncing.synced().await
        {
            self.fail(&words(problem));
        }
        self.check()
    }

    pub(super) fn check(&self) -> Result<(), StoreError> {
        match &*self.failure.borrow() {
            None => Ok(()),
            Some(problem) => Err(self.error(problem.clone())),
        }
    }

    pub(super) async fn failed(&self) {
        // It is there for as long as this is.
        let _ = self.failure.subscribe().wait_for(Option::is_some).await;
    }

    pub(super) fn get(
        &self,
        kind: Kind,
        scope: &str,
        id: &str,
    ) -> Result<Option<UserValue>, StoreError> {
        let known = self.keyspace(kind).get(key(scope, id));
        known.map_err(|e| self.error(words(&e)))
    }

    pub(super) fn each(
        &self,
        kind: Kind,
        scope: &str,
        mut take: impl FnMut(&str, &[u8]) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let prefix = key(scope, "");
        // Of what is there now: a snapshot does not see what `take` may write.
        let entries = self
            .database
            .snapshot()
            .prefix(self.keyspace(kind), &prefix);
        for entry in entries {
            let (key, value) = entry.into_inner().map_err(|e| self.error(words(&e)))?;
            let id = key.get(prefix.len()..).unwrap_or_default();
            let id = std::str::from_utf8(id);
            let id = id.map_err(|e| self.damaged(&format!("{}: {e}", kind.name())))?;
            take(id, &value)?;
        }
        Ok(())
    }

    pub(super) fn damaged(&self, problem: &str) -> StoreError {
        self.error(damaged(problem))
    }

    pub(super) fn error(&self, problem: String) -> StoreError {
        StoreError {
            path: self.path.clone(),
            problem,
        }
    }
}

impl std::fmt::Debug for Folder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Folder")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
impl Folder {
    /// Sorts what is in memory into files.
    pub(super) fn sort(&self) {
        for keyspace in &self.keyspaces {
            keyspace.rotate_memtable_and_wait().expect("room");
        }
    }

    /// Writes that are not on the disk yet.
    pub(super) fn unsynced(&self) -> u64 {
        self.syncing.as_ref().map_or(0, Syncing::unsynced)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        self.syncing = None;
        // Whether it is on the disk or not: nobody was promised that it is, or was told already.
        let persisted = self.database.persist(PersistMode::SyncAll);
        if persisted.is_ok() && self.check().is_ok() {
            // It is for the next start to know more than it has to.
            let _ = reached::write(&self.path, &self.path.join("store"));
        }
    }
}

/// Where a value is: names of scopes are the same in any case.
pub(super) fn key(scope: &str, id: &str) -> String {
    let mut key = scope.to_ascii_lowercase();
    key.push(END_OF_SCOPE);
    key.push_str(id);
    key
}
