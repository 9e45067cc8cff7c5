//! From a journal back to what the run came to, as far as the journal tells.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;

use crate::aggregator::Aggregator;
use crate::journal::lines::{Line, Lines};
use crate::journal::{Entry, SCHEMA_VERSION};
use crate::record::Record;
use crate::run::Ending;
use crate::summary::Summary;
use crate::units::{count, duration};

/// A run, folded again.
#[derive(Debug)]
pub struct Replayed {
    /// What it came to; invalid where the journal has gaps, with what is missing among the reasons.
    pub summary: Summary,
    /// Whether the journal tells all of the run.
    pub is_whole: bool,
}

/// A journal's lines are of another version than those that are read here.
#[derive(Debug, thiserror::Error)]
#[error("is a journal of schema version {0}; this fleetstorm reads version {SCHEMA_VERSION}")]
pub struct OtherVersion(u32);

/// Reads a journal back and folds it again: to its ending or, where the run was cut off, to its last
/// whole line.
///
/// # Errors
/// The file can't be read, or does not start as a journal; [`OtherVersion`] where it is one of another version.
pub fn replay(path: &Path) -> io::Result<Replayed> {
    let mut lines = Lines::new(BufReader::new(File::open(path)?));
    let mut aggregator = started(&mut lines)?;
    let mut damage = Damage::default();
    let mut reached_us = 0;
    let mut ending = None;
    while ending.is_none()
        && let Some(line) = lines.next()?
    {
        match line {
            Line::Whole(Entry::Record(record)) => {
                reached_us = reached_us.max(record.end_us);
                aggregator.add(&record);
            }
            Line::Whole(Entry::Second {
                second,
                totals,
                busy,
            }) => {
                reached_us = reached_us.max(second.saturating_add(1).saturating_mul(1_000_000));
                aggregator.close_second(second, totals, busy);
            }
            Line::Whole(Entry::Ending(ended)) => ending = Some(*ended),
            Line::Whole(Entry::Run(_)) => damage.at(lines.number(), "a second run starts".into()),
            Line::Damaged(problem) => damage.at(lines.number(), problem),
        }
    }
    let mut gaps: Vec<_> = damage.told().into_iter().collect();
    let ending = ending.unwrap_or_else(|| {
        gaps.insert(0, cut_off(&aggregator, reached_us, lines.number()));
        // No more is known than what its devices told.
        Ending {
            elapsed_us: reached_us,
            released: aggregator.ended(),
            ..Ending::default()
        }
    });
    Ok(Replayed {
        is_whole: gaps.is_empty(),
        summary: aggregator.finish_with_gaps(ending, gaps),
    })
}

/// Reads a journal back, device by device, in the order in which they were written; as far as it goes.
///
/// # Errors
/// The file can't be read, or does not start as a journal; [`OtherVersion`] where it is one of another version.
pub fn records(path: &Path, mut each: impl FnMut(&Record)) -> io::Result<()> {
    let mut lines = Lines::new(BufReader::new(File::open(path)?));
    started(&mut lines)?;
    while let Some(line) = lines.next()? {
        if let Line::Whole(Entry::Record(record)) = line {
            each(&record);
        }
    }
    Ok(())
}

/// The scenario whose run a journal tells of, of whatever version it is; none where it is no journal.
pub fn scenario(path: &Path) -> Option<String> {
    let mut lines = Lines::new(BufReader::new(File::open(path).ok()?));
    lines.next().ok()?;
    lines.head().map(|head| head.scenario)
}

/// A fold of the run that the first line tells of.
fn started(lines: &mut Lines<impl BufRead>) -> io::Result<Aggregator> {
    let first = lines.next()?;
    if let Some(head) = lines.head() {
        let version = head.schema_version.unwrap_or(1);
        if version != SCHEMA_VERSION {
            let other = OtherVersion(version);
            return Err(io::Error::new(io::ErrorKind::InvalidData, other));
        }
    }
    let problem = match first {
        Some(Line::Whole(Entry::Run(info))) => return Aggregator::new(*info, None),
        Some(Line::Whole(_)) => "line 1: a journal starts with its run".to_owned(),
        Some(Line::Damaged(problem)) => format!("line 1: is none of a journal: {problem}"),
        None => "it is empty: the run was cut off before it began".into(),
    };
    Err(io::Error::new(io::ErrorKind::InvalidData, problem))
}

fn cut_off(aggregator: &Aggregator, reached_us: u64, lines: u64) -> String {
    format!(
        "the run was cut off: its journal ends after {}, with line {}, when {} of {} devices had ended; nothing is known of what came later",
        duration(reached_us),
        count(lines),
        count(aggregator.ended()),
        count(aggregator.planned()),
    )
}

/// Lines that say nothing.
#[derive(Debug, Default)]
struct Damage {
    first: Option<(u64, String)>,
    more: u64,
}

impl Damage {
    fn at(&mut self, line: u64, problem: String) {
        if self.first.is_none() {
            self.first = Some((line, problem));
        } else {
            self.more += 1;
        }
    }

    fn told(self) -> Option<String> {
        let (line, problem) = self.first?;
        let line = count(line);
        Some(match self.more {
            0 => format!("line {line} of the journal is damaged and left out: {problem}"),
            more => format!(
                "line {line} of the journal and {} after it are damaged and left out: {problem}",
                count(more)
            ),
        })
    }
}

#[cfg(test)]
mod tests;
