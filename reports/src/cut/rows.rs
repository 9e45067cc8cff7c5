//! The rows of one dimension, in memory that is bounded whatever the dimension is.
//!
//! The first rows that devices come to have histograms ([`most_detailed`]); others count devices alone, and
//! those beyond [`MAX_COUNTED`] are counted together. Of more than [`MAX_ROWS`] rows those are told that matter
//! most: by devices that failed or were not started, then by devices.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use super::view::LeftOut;
use crate::fold::{Detail, Fold};
use crate::foremost::foremost;
use crate::histogram::Precision;
use crate::record::Record;

/// Most rows that are told.
pub(crate) const MAX_ROWS: usize = 256;
/// Most rows that have one histogram each.
const MAX_PLACED: usize = 1_024;
/// Most rows that are counted apart.
pub(crate) const MAX_COUNTED: usize = 16_384;

/// A row by the indices of [`crate::Dimensions`]: by both where it is of two of them.
pub(super) type Key = (usize, usize);

/// Most rows that have histograms. One of their own is so little that more rows have it than are told: which will
/// be, nobody knows before the end.
pub(crate) fn most_detailed(detail: Detail) -> usize {
    match detail {
        Detail::All | Detail::Reached => MAX_ROWS,
        Detail::Response => MAX_PLACED,
        Detail::Counts => 0,
    }
}

#[derive(Debug)]
pub(super) struct Rows {
    detail: Detail,
    rows: BTreeMap<Key, Fold>,
    /// Those that are not counted apart.
    others: Fold,
}

impl Rows {
    /// Nothing counted.
    pub(super) fn new(detail: Detail) -> Self {
        Self {
            detail,
            rows: BTreeMap::new(),
            others: counting(),
        }
    }

    /// Counts a device in its row, if there is such a row.
    pub(super) fn add(&mut self, key: Key, record: &Record, exists: impl FnOnce() -> bool) {
        let known = self.rows.len();
        let fold = match self.rows.entry(key) {
            Entry::Occupied(row) => row.into_mut(),
            Entry::Vacant(_) if !exists() => return,
            Entry::Vacant(free) if known < most_detailed(self.detail) => {
                free.insert(Fold::new(Precision::Coarse, self.detail))
            }
            Entry::Vacant(free) if known < MAX_COUNTED => free.insert(counting()),
            Entry::Vacant(_) => &mut self.others,
        };
        fold.add(record);
    }

    /// The rows that matter most, in their order.
    pub(super) fn told(&self) -> Vec<(Key, &Fold)> {
        let rows = self.rows.iter().map(|(key, fold)| (*key, fold));
        foremost(rows, MAX_ROWS, |(_, fold)| {
            (fold.failed() + fold.dropped, fold.ended)
        })
    }

    /// All others together, if there are any.
    pub(super) fn left_out(&self, dimension: &str) -> Option<LeftOut> {
        let told = self.told();
        let rows = self.rows.len() - told.len();
        let uncounted = self.others.ended + self.others.dropped > 0;
        let of = |count: fn(&Fold) -> u64| {
            let all: u64 = self.rows.values().map(count).sum();
            let told: u64 = told.iter().map(|(_, fold)| count(fold)).sum();
            all + count(&self.others) - told
        };
        (rows > 0 || uncounted).then(|| LeftOut {
            dimension: dimension.into(),
            rows: (!uncounted).then_some(rows as u64),
            released: of(|fold| fold.ended),
            provisioned: of(|fold| fold.provisioned),
            failed: of(Fold::failed),
            dropped: of(|fold| fold.dropped),
        })
    }
}

fn counting() -> Fold {
    Fold::new(Precision::Coarse, Detail::Counts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::Outcome;
    use crate::record::sample;

    /// One device in each of so many rows.
    fn filled(rows: usize) -> Rows {
        let mut filled = Rows::new(Detail::All);
        for row in 0..rows {
            filled.add((row, 0), &sample(), || true);
        }
        filled
    }

    #[test]
    fn all_rows_are_told_as_long_as_they_are_few() {
        let few = filled(MAX_ROWS);
        assert_eq!(few.told().len(), MAX_ROWS);
        assert_eq!(few.left_out("cohort"), None);
    }

    #[test]
    fn of_many_rows_those_are_told_that_matter_most() {
        let mut many = filled(MAX_ROWS + 100);
        let last = (MAX_ROWS + 99, 0);
        let failed = Record {
            outcome: Outcome::Disabled,
            ..sample()
        };
        many.add(last, &failed, || true);
        many.add((MAX_ROWS + 50, 0), &sample(), || true);
        let told = many.told();
        assert_eq!(told.len(), MAX_ROWS);
        let ends: Vec<_> = told.iter().rev().take(3).map(|(key, _)| key.0).collect();
        assert_eq!(ends, [MAX_ROWS + 99, MAX_ROWS + 50, MAX_ROWS - 3]);
        let left_out = many.left_out("cohort").expect("some");
        assert_eq!((left_out.rows, left_out.released), (Some(100), 100));
        assert_eq!((left_out.provisioned, left_out.failed), (100, 0));
    }

    #[test]
    fn rows_without_end_are_counted_together() {
        let endless = filled(MAX_COUNTED + 5);
        assert_eq!(endless.rows.len(), MAX_COUNTED);
        let left_out = endless.left_out("placement").expect("some");
        let others = MAX_COUNTED - MAX_ROWS + 5;
        assert_eq!((left_out.rows, left_out.released), (None, others as u64));
    }

    #[test]
    fn a_row_that_does_not_exist_is_not_made() {
        let mut none = Rows::new(Detail::All);
        none.add((7, 0), &sample(), || false);
        assert!(none.told().is_empty());
    }
}
