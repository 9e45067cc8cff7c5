//! Cohorts whose devices come when others have ended: a closed model.

use std::collections::VecDeque;
use std::iter::Peekable;

use super::batch::{Arrivals, Batch};
use crate::plan::Plan;

/// All of them.
pub(super) struct ClosedLoads<'plan> {
    /// By the cohort's index; none where devices come at their time.
    cohorts: Vec<Option<ClosedLoad<'plan>>>,
    /// Batches that may start.
    ready: VecDeque<Batch>,
}

struct ClosedLoad<'plan> {
    waiting: Peekable<Arrivals<'plan>>,
    /// Devices that may start.
    free: u64,
}

impl<'plan> ClosedLoads<'plan> {
    /// Before the first has started; at most about `most` batches.
    pub(super) fn new(plan: &'plan Plan, most: u64) -> Self {
        let cohorts = plan.scenario().cohorts.iter().map(|cohort| {
            let free = cohort.load.closed()?.concurrency();
            Some(ClosedLoad {
                waiting: Arrivals::of_cohort(plan, most, cohort).peekable(),
                free: u64::from(free),
            })
        });
        let mut loads = Self {
            cohorts: cohorts.collect(),
            ready: VecDeque::new(),
        };
        for cohort in 0..loads.cohorts.len() {
            loads.admit(cohort, 0);
        }
        loads
    }

    /// When the next batch starts, if one may.
    pub(super) fn next_due(&self) -> Option<u64> {
        self.ready.front().map(|batch| batch.due_us)
    }

    /// The next batch that starts, if it is its time.
    pub(super) fn next_if(&mut self, is_time: bool) -> Option<Batch> {
        if is_time {
            self.ready.pop_front()
        } else {
            None
        }
    }

    /// A batch has ended.
    pub(super) fn ended(&mut self, batch: &Batch, now: u64) {
        let cohort = usize::from(batch.cohort);
        if let Some(Some(load)) = self.cohorts.get_mut(cohort)
            && !batch.again
        {
            load.free += u64::from(batch.devices);
            self.admit(cohort, now);
        }
    }

    fn admit(&mut self, cohort: usize, now: u64) {
        let Some(Some(load)) = self.cohorts.get_mut(cohort) else {
            return;
        };
        let free = &mut load.free;
        while let Some(mut batch) = load
            .waiting
            .next_if(|batch| u64::from(batch.devices) <= *free)
        {
            *free -= u64::from(batch.devices);
            let due_us = batch.due_us.max(now);
            (batch.due_us, batch.start_us, batch.first_us) = (due_us, due_us, due_us);
            let place = self.ready.partition_point(|other| other.due_us <= due_us);
            self.ready.insert(place, batch);
        }
    }
}
