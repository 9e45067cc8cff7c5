//! The releases of all cohorts, merged by intended start.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use fleetstorm_protocol::attestation::TransportKind;

use super::mix::Mix;
use super::release::Release;
use crate::arrival::Load;
use crate::cohort::Cohort;
use crate::scenario::Scenario;

/// Iterates over releases; computed, not stored.
#[derive(Debug)]
pub struct Schedule<'plan> {
    lanes: Vec<Lane<'plan>>,
    next: BinaryHeap<Reverse<Due>>,
}

/// One cohort.
#[derive(Debug)]
struct Lane<'plan> {
    devices: u64,
    /// From one device of this schedule to the next.
    stride: u64,
    load: &'plan Load,
    transports: Mix<'plan, TransportKind>,
    regions: Mix<'plan, u8>,
}

/// The next device of a lane. In order of time; of those that come together, the lower index
/// first, so that cohorts which come all at once take turns.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Due {
    at: Duration,
    device: u64,
    lane: u16,
}

impl<'plan> Schedule<'plan> {
    /// Of the cohorts that are `asked` for, by their index.
    pub(super) fn new(
        scenario: &'plan Scenario,
        shard: usize,
        shards: usize,
        asked: impl Fn(u16) -> bool,
    ) -> Self {
        let mut schedule = Self::empty(scenario, |_| shards as u64);
        if shard < shards {
            // Cohorts start at different shards, or shard 0 would have all the single devices.
            for (lane, _) in (0..).zip(&scenario.cohorts) {
                if !asked(lane) {
                    continue;
                }
                let ahead = usize::from(lane) % shards;
                let first = shard
                    .checked_sub(ahead)
                    .unwrap_or_else(|| shards - (ahead - shard));
                schedule.line_up(lane, first as u64);
            }
        }
        schedule
    }

    /// Of each cohort one device in so many, the middle one; the last few may have none.
    pub(super) fn sample(
        scenario: &'plan Scenario,
        one_in: impl Fn(&Cohort) -> u64,
        asked: impl Fn(&Cohort) -> bool,
    ) -> Self {
        let mut schedule = Self::empty(scenario, one_in);
        for (lane, cohort) in (0..).zip(&scenario.cohorts) {
            if !asked(cohort) {
                continue;
            }
            let middle = (schedule.lanes[usize::from(lane)].stride - 1) / 2;
            schedule.line_up(lane, middle);
        }
        schedule
    }

    fn empty(scenario: &'plan Scenario, stride: impl Fn(&Cohort) -> u64) -> Self {
        let lanes = scenario.cohorts.iter().map(|cohort| Lane {
            devices: cohort.devices,
            stride: stride(cohort).max(1),
            load: &cohort.load,
            transports: Mix::of_transports(scenario.seed, cohort),
            regions: Mix::of_regions(scenario.seed, cohort),
        });
        Self {
            lanes: lanes.collect(),
            next: BinaryHeap::new(),
        }
    }

    fn line_up(&mut self, lane: u16, device: u64) {
        let Lane { devices, load, .. } = &self.lanes[usize::from(lane)];
        if device < *devices {
            let at = load.release_at(device);
            self.next.push(Reverse(Due { at, device, lane }));
        }
    }
}

impl Iterator for Schedule<'_> {
    type Item = Release;

    fn next(&mut self) -> Option<Release> {
        let Reverse(Due { at, device, lane }) = self.next.pop()?;
        let stride = self.lanes[usize::from(lane)].stride;
        self.line_up(lane, device.saturating_add(stride));
        let index = u32::try_from(device).expect("a cohort has at most u32::MAX devices");
        let of = &self.lanes[usize::from(lane)];
        Some(Release {
            cohort: lane,
            device: index,
            transport: of.transports.of(index).expect("a cohort has a transport"),
            region: of.regions.of(index),
            intended_start: at,
        })
    }
}
