//! Cohorts whose devices come when others have ended: a closed model.

use std::collections::VecDeque;
use std::iter::Peekable;

use super::crowd::{Arrivals, Crowd};
use crate::plan::Plan;

/// All of them.
pub(super) struct Turns<'plan> {
    /// By the cohort's index; none where devices come at their time.
    cohorts: Vec<Option<Turn<'plan>>>,
    /// Crowds whose turn it is.
    ready: VecDeque<Crowd>,
}

struct Turn<'plan> {
    waiting: Peekable<Arrivals<'plan>>,
    /// Devices that may start.
    free: u64,
}

impl<'plan> Turns<'plan> {
    /// Before the first has started; at most about `most` crowds.
    pub(super) fn new(plan: &'plan Plan, most: u64) -> Self {
        let cohorts = plan.scenario().cohorts.iter().map(|cohort| {
            let free = cohort.arrival.concurrency()?;
            Some(Turn {
                waiting: Arrivals::of_cohort(plan, most, cohort).peekable(),
                free: u64::from(free),
            })
        });
        let mut turns = Self {
            cohorts: cohorts.collect(),
            ready: VecDeque::new(),
        };
        for cohort in 0..turns.cohorts.len() {
            turns.call(cohort, 0);
        }
        turns
    }

    /// When the next crowd starts, if one may.
    pub(super) fn next_due(&self) -> Option<u64> {
        self.ready.front().map(|crowd| crowd.due_us)
    }

    /// The next crowd that starts, if it is its time.
    pub(super) fn next_if(&mut self, is_time: bool) -> Option<Crowd> {
        if is_time {
            self.ready.pop_front()
        } else {
            None
        }
    }

    /// A crowd has ended.
    pub(super) fn ended(&mut self, crowd: &Crowd, now: u64) {
        let cohort = usize::from(crowd.cohort);
        if let Some(Some(turn)) = self.cohorts.get_mut(cohort)
            && !crowd.again
        {
            turn.free += u64::from(crowd.devices);
            self.call(cohort, now);
        }
    }

    fn call(&mut self, cohort: usize, now: u64) {
        let Some(Some(turn)) = self.cohorts.get_mut(cohort) else {
            return;
        };
        let free = &mut turn.free;
        while let Some(mut crowd) = turn
            .waiting
            .next_if(|crowd| u64::from(crowd.devices) <= *free)
        {
            *free -= u64::from(crowd.devices);
            let due_us = crowd.due_us.max(now);
            (crowd.due_us, crowd.start_us, crowd.first_us) = (due_us, due_us, due_us);
            let place = self.ready.partition_point(|other| other.due_us <= due_us);
            self.ready.insert(place, crowd);
        }
    }
}
