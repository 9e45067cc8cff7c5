//! The journals of the database, read before it reads them itself: it takes the first record that it
//! can't read for the end, cuts the rest off and goes on without it.
//!
//! ```text
//! journal = record* 0*                                  room is set aside behind the last record
//! record  = start item* end
//! start   = 1, items u32, sequence number u64           all numbers little-endian
//! item    = 2, type u8, compression u8, keyspace u64, key length u16, value length u32, stored length u32, key, value
//! end     = 3, XXH3-64 of the items u64, "FJL" 3
//! ```
//! A write that was under way when the process was killed leaves the start of a record, and nothing behind
//! it. Anything else that is no record is damage.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::xxh3_64;

use super::damage::{at, at_or, io_error};
use super::error::StoreError;
use super::files;

/// What ends a record.
const TRAILER: [u8; 4] = *b"FJL\x03";
/// Numbers from here on are the database's own.
const SEQUENCE_NUMBERS: u64 = 1 << 63;

/// What all journals of a database say.
#[derive(Debug, Default)]
pub(super) struct Journals {
    /// Oldest first.
    paths: Vec<PathBuf>,
    /// The last change of each key, by keyspace and key.
    last: HashMap<(u64, Box<[u8]>), Change>,
    /// The number of the last record of the last journal and where that ends, if there is one.
    end: Option<(u64, usize)>,
}

/// A change, and the record that it stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Change {
    journal: usize,
    offset: usize,
    /// A digest of the value; none where it was removed.
    value: Option<u64>,
}

/// The end of a journal that a write under way has left.
#[derive(Debug)]
struct Torn {
    journal: PathBuf,
    offset: usize,
    bytes: Vec<u8>,
}

impl Journals {
    /// Reads those in a folder. A torn end is kept aside in `aside` and told on standard error; the database
    /// cuts it off.
    ///
    /// # Errors
    /// One can't be read, or is damaged.
    pub(super) fn read(store: &Path, aside: &Path) -> Result<Self, StoreError> {
        let mut journals = Self::default();
        let numbers = numbers(store).map_err(|e| io_error(store, &e))?;
        let (mut sequence, mut torn) = (None, None);
        for (place, number) in numbers.iter().enumerate() {
            let path = path(store, *number);
            if place > 0 && numbers[place - 1] + 1 != *number {
                let problem = format!("the journals beside it, up to {}", numbers[place - 1]);
                return Err(at(&path, 0, &format!("does not follow {problem}")));
            }
            let is_last = place + 1 == numbers.len();
            let end = journals.take(path, &mut sequence, is_last)?;
            torn = end.or(torn);
        }
        if let Some(torn) = torn {
            torn.keep(aside).map_err(|e| io_error(aside, &e))?;
        }
        Ok(journals)
    }

    /// Takes what a journal says.
    fn take(
        &mut self,
        path: PathBuf,
        sequence: &mut Option<u64>,
        is_last: bool,
    ) -> Result<Option<Torn>, StoreError> {
        let mut bytes = std::fs::read(&path).map_err(|e| io_error(&path, &e))?;
        bytes.truncate(end_of(&bytes));
        let journal = self.paths.len();
        let mut offset = 0;
        while offset < bytes.len() {
            let rest = &bytes[offset..];
            let record = match Record::read(rest) {
                Ok(record) => record,
                Err(Unread::CutShort) if is_last && is_torn(rest) => {
                    let bytes = rest.to_vec();
                    self.paths.push(path.clone());
                    return Ok(Some(Torn {
                        journal: path,
                        offset,
                        bytes,
                    }));
                }
                Err(unread) if is_last => {
                    let cut = format!(
                        "without what it says and all that follows it: truncate -s {offset} {}",
                        path.display()
                    );
                    return Err(at_or(&path, offset, unread.words(), &cut));
                }
                Err(unread) => return Err(at(&path, offset, unread.words())),
            };
            if sequence.is_some_and(|before| before >= record.sequence) {
                return Err(at(&path, offset, "its number is not above the one before"));
            }
            *sequence = Some(record.sequence);
            for item in &record.items {
                let change = Change {
                    journal,
                    offset,
                    value: item.value.map(xxh3_64),
                };
                self.last.insert((item.keyspace, item.key.into()), change);
            }
            offset += record.length;
            self.end = is_last.then_some((record.sequence, offset));
        }
        self.paths.push(path);
        Ok(None)
    }

    /// Whether the last journal knows of what the database has sorted last, by its number: what is
    /// sorted was in the journals before, and what follows a record of the last one is in that.
    ///
    /// # Errors
    /// It ends before.
    pub(super) fn reach(&self, sorted: Option<u64>) -> Result<(), StoreError> {
        match self.end.zip(self.paths.last()) {
            Some(((last, end), path)) if sorted.is_some_and(|sorted| sorted > last) => {
                let problem = "ends before what sorted files know of, and what was between is lost";
                Err(at(path, end, problem))
            }
            _ => Ok(()),
        }
    }

    /// Whether the database knows what the journals say last: it passes over records whose numbers it
    /// takes for older than what it has sorted already.
    ///
    /// # Errors
    /// It knows something else, or can't be read.
    pub(super) fn are_known<Value: AsRef<[u8]>>(
        &self,
        mut get: impl FnMut(u64, &[u8]) -> Result<Option<Value>, StoreError>,
    ) -> Result<(), StoreError> {
        for ((keyspace, key), change) in &self.last {
            let known = get(*keyspace, key)?;
            if known.map(|value| xxh3_64(value.as_ref())) != change.value {
                let problem = "what it says is not in the store: its number is wrong";
                return Err(at(&self.paths[change.journal], change.offset, problem));
            }
        }
        Ok(())
    }
}

impl Torn {
    fn keep(&self, aside: &Path) -> io::Result<()> {
        files::make_folder(aside)?;
        let name = self
            .journal
            .file_name()
            .unwrap_or_default()
            .to_string_lossy();
        let kept = aside.join(format!("{name}@{}", self.offset));
        let mut file = File::options();
        let mut file = file
            .create(true)
            .truncate(true)
            .write(true)
            .mode(0o600)
            .open(&kept)?;
        file.write_all(&self.bytes)?;
        file.sync_all()?;
        files::sync_folder(aside)?;
        // Nobody may read it.
        let _ = writeln!(
            io::stderr(),
            "{}: a change was being written when the server ended, and no answer told of it: its {} bytes from offset {} on are left out, and kept in {}",
            self.journal.display(),
            self.bytes.len(),
            self.offset,
            kept.display()
        );
        Ok(())
    }
}

/// Numbers of the journals in a folder, lowest first.
fn numbers(store: &Path) -> io::Result<Vec<u64>> {
    let mut numbers = Vec::new();
    for entry in std::fs::read_dir(store)? {
        let name = entry?.file_name();
        let number = name.to_str().and_then(|name| name.strip_suffix(".jnl"));
        numbers.extend(number.and_then(|number| number.parse::<u64>().ok()));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// Number of the last journal in a folder.
pub(super) fn last_number(store: &Path) -> io::Result<Option<u64>> {
    Ok(numbers(store)?.pop())
}

/// How long the whole records are that `bytes` begins with.
pub(super) fn whole_records(bytes: &[u8]) -> usize {
    let mut length = 0;
    while let Ok(record) = Record::read(&bytes[length..]) {
        length += record.length;
    }
    length
}

/// The last journal in a folder, and where it ends.
pub(super) fn last(store: &Path) -> io::Result<Option<(u64, usize)>> {
    let last = last_number(store)?;
    let last = last.map(|last| Ok((last, end(&path(store, last))?)));
    last.transpose()
}

/// Where a journal ends.
pub(super) fn end(journal: &Path) -> io::Result<usize> {
    std::fs::read(journal).map(|bytes| end_of(&bytes))
}

pub(super) fn path(store: &Path, number: u64) -> PathBuf {
    store.join(format!("{number}.jnl"))
}

/// Where the room begins that was set aside. The last byte of a record is not zero.
fn end_of(journal: &[u8]) -> usize {
    let last = journal.iter().rposition(|byte| *byte != 0);
    last.map_or(0, |last| last + 1)
}

/// Whether what begins a record, and ends before its end, is all that was written of it: there is no end of
/// a record behind it.
fn is_torn(rest: &[u8]) -> bool {
    !rest.windows(TRAILER.len()).any(|bytes| bytes == TRAILER)
}

/// Changes that were made together.
struct Record<'a> {
    sequence: u64,
    items: Vec<Item<'a>>,
    length: usize,
}

struct Item<'a> {
    keyspace: u64,
    key: &'a [u8],
    value: Option<&'a [u8]>,
}

/// Why there is no record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unread {
    /// What is there begins one.
    CutShort,
    NoRecord,
    Checksum,
}

impl Unread {
    fn words(self) -> &'static str {
        match self {
            Self::CutShort => "a record ends before its end",
            Self::NoRecord => "is no record",
            Self::Checksum => "a record does not have the checksum that it says",
        }
    }
}

impl<'a> Record<'a> {
    fn read(bytes: &'a [u8]) -> Result<Self, Unread> {
        let mut rest = Rest(bytes);
        rest.tag(1)?;
        let count = u32::from_le_bytes(rest.array()?);
        let sequence = u64::from_le_bytes(rest.array()?);
        if count == 0 || sequence >= SEQUENCE_NUMBERS {
            return Err(Unread::NoRecord);
        }
        let begin = rest.0;
        let mut items = Vec::new();
        for _ in 0..count {
            items.push(Item::read(&mut rest)?);
        }
        let checked = &begin[..begin.len() - rest.0.len()];
        rest.tag(3)?;
        let checksum = u64::from_le_bytes(rest.array()?);
        if rest.array()? != TRAILER {
            return Err(Unread::NoRecord);
        }
        if checksum != xxh3_64(checked) {
            return Err(Unread::Checksum);
        }
        let length = bytes.len() - rest.0.len();
        Ok(Self {
            sequence,
            items,
            length,
        })
    }
}

impl<'a> Item<'a> {
    fn read(rest: &mut Rest<'a>) -> Result<Self, Unread> {
        rest.tag(2)?;
        let [kind, compression] = rest.array()?;
        let keyspace = u64::from_le_bytes(rest.array()?);
        let key = u16::from_le_bytes(rest.array()?);
        let value = u32::from_le_bytes(rest.array()?);
        let stored = u32::from_le_bytes(rest.array()?);
        if kind > 1 || compression != 0 || value != stored {
            return Err(Unread::NoRecord);
        }
        let key = rest.take(key.into())?;
        let value = rest.take(usize::try_from(value).map_err(|_| Unread::CutShort)?)?;
        let value = (kind == 0).then_some(value);
        Ok(Self {
            keyspace,
            key,
            value,
        })
    }
}

/// What is still to be read.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], Unread> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(Unread::CutShort)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const LENGTH: usize>(&mut self) -> Result<[u8; LENGTH], Unread> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(Unread::CutShort)?;
        self.0 = rest;
        Ok(*taken)
    }

    fn tag(&mut self, tag: u8) -> Result<(), Unread> {
        if self.array()? == [tag] {
            Ok(())
        } else {
            Err(Unread::NoRecord)
        }
    }
}
