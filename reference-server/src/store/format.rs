//! A data folder's own files: who uses it, what is in it, and how a new one is made.
//!
//! ```text
//! lock       held by the server that uses it
//! format     what is in it; written once the database is whole, so that there is no folder with half of one
//! store/     the database; made as `new/`
//! reached    how far its last journal has reached on the disk
//! torn/      ends of journals that were left out
//! ```

use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::damage::{damaged, io_words};
use super::files::{sync_folder, write_whole};

/// First line of the file `format` of a folder that this version reads and writes.
const FORMAT: &str = "fleetstorm data 1";

/// A folder that is this process's. The system frees it when the process ends, however it ends.
#[derive(Debug)]
pub(super) struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        // To close the file is not enough: a process that is being started has it, too, for a moment.
        let _ = self.0.unlock();
    }
}

pub(super) fn lock(folder: &Path) -> Result<Lock, String> {
    let mut options = File::options();
    let options = options.create(true).truncate(false).write(true).mode(0o600);
    let file = options
        .open(folder.join("lock"))
        .map_err(|e| io_words(&e))?;
    match file.try_lock() {
        Ok(()) => Ok(Lock(file)),
        Err(std::fs::TryLockError::WouldBlock) => {
            Err("another server uses it: stop that one, or name another folder".into())
        }
        Err(std::fs::TryLockError::Error(error)) => Err(io_words(&error)),
    }
}

/// Sees to it that a folder has a database that this version knows: with `make` in one that is new.
pub(super) fn prepare(
    folder: &Path,
    make: impl FnOnce(&Path) -> Result<(), String>,
) -> Result<(), String> {
    let (store, new) = (folder.join("store"), folder.join("new"));
    let format = match std::fs::read(folder.join("format")) {
        Ok(format) => String::from_utf8_lossy(&format).into_owned(),
        Err(e) if e.kind() == ErrorKind::NotFound => String::new(),
        Err(e) => return Err(io_words(&e)),
    };
    let found = format.lines().next().unwrap_or_default();
    if format.is_empty() {
        check_empty(folder)?;
        if new.exists() {
            std::fs::remove_dir_all(&new).map_err(|e| io_words(&e))?;
        }
        make(&new)?;
        write_whole(folder, "format", &format!("{FORMAT}\n")).map_err(|e| io_words(&e))?;
    } else if format.trim_end() != FORMAT {
        return Err(format!(
            "its format is \"{found}\", this version knows \"{FORMAT}\": use the version that wrote it, or another folder"
        ));
    } else if !store.exists() && !new.exists() {
        return Err(damaged("its folder `store` is gone"));
    }
    if !store.exists() {
        let moved = std::fs::rename(&new, &store).and_then(|()| sync_folder(folder));
        moved.map_err(|e| io_words(&e))?;
    }
    Ok(())
}

/// Whether a folder without a format holds nothing but what making it has left.
fn check_empty(folder: &Path) -> Result<(), String> {
    if folder.join("store").exists() {
        return Err(damaged("its file `format` is empty or gone"));
    }
    for entry in std::fs::read_dir(folder).map_err(|e| io_words(&e))? {
        let name = entry.map_err(|e| io_words(&e))?.file_name();
        if !["lock", "format", "format.new", "new"]
            .iter()
            .any(|ours| name == *ours)
        {
            return Err("is no data folder and not empty: name an empty or a new one".into());
        }
    }
    // The folder itself may be new.
    let synced = folder
        .canonicalize()
        .and_then(|folder| match folder.parent() {
            Some(parent) => sync_folder(parent),
            None => Ok(()),
        });
    synced.map_err(|e| io_words(&e))
}
