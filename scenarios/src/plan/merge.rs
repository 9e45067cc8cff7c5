//! The releases of all cohorts, merged by intended start.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use super::Release;
use super::transport::TransportMix;
use crate::arrival::Arrival;
use crate::scenario::Scenario;

/// Iterates over releases; computed, not stored.
#[derive(Debug)]
pub struct Schedule<'plan> {
    lanes: Vec<Lane<'plan>>,
    next: BinaryHeap<Reverse<Due>>,
    shards: u64,
}

/// One cohort.
#[derive(Debug)]
struct Lane<'plan> {
    devices: u64,
    arrival: &'plan Arrival,
    transports: TransportMix<'plan>,
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
    pub(super) fn new(scenario: &'plan Scenario, shard: usize, shards: usize) -> Self {
        let lanes = scenario.cohorts.iter().map(|cohort| Lane {
            devices: cohort.devices,
            arrival: &cohort.arrival,
            transports: TransportMix::new(scenario.seed, cohort),
        });
        let mut schedule = Self {
            lanes: lanes.collect(),
            next: BinaryHeap::new(),
            shards: shards as u64,
        };
        if shard < shards {
            // Cohorts start at different shards, or shard 0 would have all the single devices.
            for (lane, _) in (0..).zip(&scenario.cohorts) {
                let ahead = usize::from(lane) % shards;
                let first = shard
                    .checked_sub(ahead)
                    .unwrap_or_else(|| shards - (ahead - shard));
                schedule.line_up(lane, first as u64);
            }
        }
        schedule
    }

    fn line_up(&mut self, lane: u16, device: u64) {
        let Lane {
            devices, arrival, ..
        } = &self.lanes[usize::from(lane)];
        if device < *devices {
            let at = arrival.release_at(device);
            self.next.push(Reverse(Due { at, device, lane }));
        }
    }
}

impl Iterator for Schedule<'_> {
    type Item = Release;

    fn next(&mut self) -> Option<Release> {
        let Reverse(Due { at, device, lane }) = self.next.pop()?;
        self.line_up(lane, device.saturating_add(self.shards));
        let index = u32::try_from(device).expect("a cohort has at most u32::MAX devices");
        Some(Release {
            cohort: lane,
            device: index,
            transport: self.lanes[usize::from(lane)].transports.of(index),
            intended_start: at,
        })
    }
}
