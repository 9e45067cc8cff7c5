//! The sorted files of the database, looked at before it uses them: it checks what it reads when it reads it,
//! and never which files it has.
//!
//! ```text
//! version                       its own format
//! keyspaces/{id}/current        ── number and XXH3-128 of ──► v{number}
//! keyspaces/{id}/v{number}      ── names and XXH3-128 of ───► tables/{table}
//! ```

use std::fs::File;
use std::io::{self, BufReader, Cursor, ErrorKind, Read};
use std::path::Path;

use xxhash_rust::xxh3::{Xxh3Default, xxh3_128};

use super::damage::{at, io_error};
use super::error::StoreError;

/// What the database calls its format.
const VERSION: &[u8] = b"FJL\x03";

/// Checks every file of every keyspace.
///
/// # Errors
/// One can't be read, or is not what was written.
pub(super) fn check(store: &Path) -> Result<(), StoreError> {
    let path = store.join("version");
    let version = std::fs::read(&path).map_err(|e| io_error(&path, &e))?;
    if version != VERSION {
        return Err(at(&path, 0, "is of no version that is known"));
    }
    let keyspaces = store.join("keyspaces");
    let on_disk = |e: io::Error| io_error(&keyspaces, &e);
    for keyspace in std::fs::read_dir(&keyspaces).map_err(on_disk)? {
        check_keyspace(&keyspace.map_err(on_disk)?.path())?;
    }
    Ok(())
}

fn check_keyspace(keyspace: &Path) -> Result<(), StoreError> {
    let current_path = keyspace.join("current");
    let current = match std::fs::read(&current_path) {
        // It was about to be made.
        Err(e) if e.kind() == ErrorKind::NotFound && !has_tables(keyspace) => return Ok(()),
        current => current.map_err(|e| io_error(&current_path, &e))?,
    };
    let mut rest = current.as_slice();
    let (version, checksum) = number(&mut rest)
        .map(u64::from_le_bytes)
        .zip(checksum(&mut rest))
        .filter(|_| rest.is_empty())
        .ok_or_else(|| at(&current_path, 0, "does not say which version there is"))?;

    let path = keyspace.join(format!("v{version}"));
    let bytes = match std::fs::read(&path) {
        Err(e) if e.kind() == ErrorKind::NotFound => {
            let problem = format!("names {}, which is not there", path.display());
            return Err(at(&current_path, 0, &problem));
        }
        bytes => bytes.map_err(|e| io_error(&path, &e))?,
    };
    if xxh3_128(&bytes) != checksum {
        return Err(at(&path, 0, &unlike(&current_path)));
    }
    let tables = tables(&bytes).ok_or_else(|| at(&path, 0, "does not list its tables"))?;
    for (table, checksum) in tables {
        let table_path = keyspace.join("tables").join(table.to_string());
        let digest = digest(&table_path).map_err(|e| io_error(&table_path, &e))?;
        if digest != checksum {
            return Err(at(&table_path, 0, &unlike(&path)));
        }
    }
    Ok(())
}

fn unlike(names_it: &Path) -> String {
    format!("its checksum is not the one in {}", names_it.display())
}

fn has_tables(keyspace: &Path) -> bool {
    let tables = std::fs::read_dir(keyspace.join("tables"));
    tables.is_ok_and(|mut tables| tables.next().is_some())
}

/// Tables that a version lists, with their checksums.
fn tables(version: &[u8]) -> Option<Vec<(u64, u128)>> {
    let archive = sfa::Reader::from_reader(&mut Cursor::new(version)).ok()?;
    let section = archive.toc().section(b"tables")?;
    let from = usize::try_from(section.pos()).ok()?;
    let length = usize::try_from(section.len()).ok()?;
    let mut rest = version.get(from..)?.get(..length)?;
    let mut tables = Vec::new();
    let [levels] = number(&mut rest)?;
    for _ in 0..levels {
        let [runs] = number(&mut rest)?;
        for _ in 0..runs {
            for _ in 0..number(&mut rest).map(u32::from_le_bytes)? {
                let table = number(&mut rest).map(u64::from_le_bytes)?;
                let [kind] = number(&mut rest)?;
                let checksum = number(&mut rest).map(u128::from_le_bytes)?;
                // Where its sequence numbers begin.
                number::<8>(&mut rest)?;
                (kind == XXH3).then(|| tables.push((table, checksum)))?;
            }
        }
    }
    rest.is_empty().then_some(tables)
}

/// The kind of checksum that there is.
const XXH3: u8 = 0;

fn checksum(rest: &mut &[u8]) -> Option<u128> {
    let checksum = number(rest).map(u128::from_le_bytes)?;
    let [kind] = number(rest)?;
    (kind == XXH3).then_some(checksum)
}

fn number<const LENGTH: usize>(rest: &mut &[u8]) -> Option<[u8; LENGTH]> {
    let (number, behind) = rest.split_first_chunk()?;
    *rest = behind;
    Some(*number)
}

fn digest(path: &Path) -> io::Result<u128> {
    let mut file = BufReader::new(File::open(path)?);
    let mut digest = Xxh3Default::new();
    let mut block = vec![0; 1 << 16];
    loop {
        match file.read(&mut block)? {
            0 => return Ok(digest.digest128()),
            length => digest.update(&block[..length]),
        }
    }
}
