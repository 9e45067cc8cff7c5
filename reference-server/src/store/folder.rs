//! The folder: its format, its lock, the database in it, and what goes wrong with them in words.

use std::fs::{DirBuilder, File};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use fjall::{
    Database, Keyspace, KeyspaceCreateOptions, OwnedWriteBatch, PersistMode, Readable, UserValue,
};

use super::syncing::Syncing;
use super::{Durability, Kind, StoreError};

/// First line of the file `format` of a folder that this version reads and writes.
const FORMAT: &str = "fleetstorm data 1";
/// What ends the scope in a key; neither host names nor id scopes have it.
const END_OF_SCOPE: char = '\0';
/// Bytes of a kind that are held in memory before they are sorted into a file.
const MEMTABLE: u64 = 16 << 20;
/// Bytes of the cache for reads: there are hardly any once a server runs.
const CACHE: u64 = 4 << 20;
/// Bytes of journals that may wait to be sorted: what a start has to read once more.
const JOURNALS: u64 = 128 << 20;
/// Most that a write which was under way at the end may have left at the end of a journal. Where
/// more can't be read, the file was damaged otherwise.
const MAX_TORN: u64 = 2 << 20;

/// A data folder that is this process's.
pub(super) struct Folder {
    path: PathBuf,
    keyspaces: [Keyspace; Kind::ALL.len()],
    /// Why a write failed; there are none after it.
    failure: OnceLock<String>,
    syncing: Option<Syncing>,
    database: Database,
    /// Locked while this is.
    _lock: File,
}

impl Folder {
    pub(super) fn open(path: &Path, durability: Durability) -> Result<Self, StoreError> {
        let failed = |problem: String| StoreError {
            path: path.to_owned(),
            problem,
        };
        let on_disk = |e: io::Error| failed(io_words(&e));
        // Keys are in it.
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(0o700);
        builder.create(path).map_err(on_disk)?;
        let lock = lock(path).map_err(&failed)?;
        check_format(path).map_err(&failed)?;
        let store = path.join("store");
        let before = journal_bytes(&store).map_err(on_disk)?;
        let database = Database::builder(&store)
            .cache_size(CACHE)
            .max_journaling_size(JOURNALS)
            .worker_threads(1)
            .open()
            .map_err(|e| failed(words(&e)))?;
        let after = journal_bytes(&store).map_err(on_disk)?;
        if before.saturating_sub(after) > MAX_TORN {
            return Err(failed(damaged(&format!(
                "the last {} bytes of its journal were unreadable and are cut off; what stood before them is left",
                before - after
            ))));
        }
        let open = |kind: Kind| {
            let options = || KeyspaceCreateOptions::default().max_memtable_size(MEMTABLE);
            let opened = database.keyspace(kind.name(), options);
            opened.map_err(|e| failed(words(&e)))
        };
        let mut keyspaces = Vec::with_capacity(Kind::ALL.len());
        for kind in Kind::ALL {
            keyspaces.push(open(kind)?);
        }
        let keyspaces = keyspaces.try_into();
        let keyspaces = keyspaces.unwrap_or_else(|_| unreachable!("one for each kind"));
        let syncing = match durability {
            Durability::Process => None,
            Durability::Disk => Some(Syncing::start(database.clone()).map_err(on_disk)?),
        };
        Ok(Self {
            path: path.to_owned(),
            keyspaces,
            failure: OnceLock::new(),
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
        if self.failure.set(problem.to_owned()).is_ok() {
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
        match self.failure.get() {
            None => Ok(()),
            Some(problem) => Err(self.error(problem.clone())),
        }
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
    /// Writes that are not on the disk yet.
    pub(super) fn unsynced(&self) -> u64 {
        self.syncing.as_ref().map_or(0, Syncing::unsynced)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Whether it is on the disk or not: nobody was promised that it is, or was told already.
        let _ = self.database.persist(PersistMode::SyncAll);
    }
}

/// Where a value is: names of scopes are the same in any case.
pub(super) fn key(scope: &str, id: &str) -> String {
    let mut key = scope.to_ascii_lowercase();
    key.push(END_OF_SCOPE);
    key.push_str(id);
    key
}

/// The system frees it when the process ends, however it ends.
fn lock(folder: &Path) -> Result<File, String> {
    let path = folder.join("lock");
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
        .map_err(|e| io_words(&e))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => {
            Err("another server uses it: stop that one, or name another folder".into())
        }
        Err(std::fs::TryLockError::Error(error)) => Err(io_words(&error)),
    }
}

fn check_format(folder: &Path) -> Result<(), String> {
    let format = folder.join("format");
    match std::fs::read_to_string(&format) {
        Ok(text) if text.trim_end() == FORMAT => Ok(()),
        Ok(text) => {
            let found = text.lines().next().unwrap_or_default();
            Err(format!(
                "its format is \"{found}\", this version knows \"{FORMAT}\": use the version that wrote it, or another folder"
            ))
        }
        Err(e) if e.kind() == ErrorKind::NotFound => {
            for entry in std::fs::read_dir(folder).map_err(|e| io_words(&e))? {
                let name = entry.map_err(|e| io_words(&e))?.file_name();
                if name != "lock" {
                    return Err(
                        "is no data folder and not empty: name an empty or a new one".into(),
                    );
                }
            }
            std::fs::write(&format, format!("{FORMAT}\n")).map_err(|e| io_words(&e))
        }
        Err(e) => Err(io_words(&e)),
    }
}

/// Bytes that all journals hold; none where there is no database yet.
fn journal_bytes(store: &Path) -> io::Result<u64> {
    let entries = match std::fs::read_dir(store) {
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(0),
        entries => entries?,
    };
    let mut bytes = 0;
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|end| end == "jnl") {
            bytes += end_of(&File::open(path)?)?;
        }
    }
    Ok(bytes)
}

/// Where a journal ends: room for more is set aside behind that, all zero. What is written last
/// of a change is not.
fn end_of(journal: &File) -> io::Result<u64> {
    let mut block = vec![0; 1 << 16];
    let mut end = journal.metadata()?.len();
    while end > 0 {
        let start = (end - 1) / block.len() as u64 * block.len() as u64;
        let length = usize::try_from(end - start).map_or(block.len(), |rest| rest.min(block.len()));
        let read = &mut block[..length];
        journal.read_exact_at(read, start)?;
        if let Some(last) = read.iter().rposition(|byte| *byte != 0) {
            return Ok(start + last as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}

fn words(error: &fjall::Error) -> String {
    match error {
        fjall::Error::Locked => {
            "another server uses it: stop that one, or name another folder".into()
        }
        fjall::Error::Io(error) => io_words(error),
        fjall::Error::Poisoned => "an earlier write failed".into(),
        other => damaged(&other.to_string()),
    }
}

fn io_words(error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => format!("the disk is full ({error})"),
        _ => error.to_string(),
    }
}

fn damaged(problem: &str) -> String {
    format!("is damaged ({problem}): bring back a copy of it, or name another folder")
}
