//! A machine's cores, shared evenly by all who have work for them (processor sharing): a device's task
//! runs for a moment, then the next one's, as a runtime does it.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Steps of a CPU microsecond that are told apart.
const STEPS: f64 = 1024.0;

/// Who is being served, and how far.
#[derive(Debug)]
pub(super) struct Station {
    cores: f64,
    now_us: f64,
    /// CPU microseconds that each device has had which was there all the time.
    served_us: f64,
    devices: f64,
    order: u64,
    served_next: BinaryHeap<Reverse<Served>>,
}

/// Devices with the same work, by how much each will have had of it when they are done.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Served {
    at_steps: u64,
    order: u64,
    devices: u32,
    batch: u32,
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "moments of virtual time, never below zero"
)]
impl Station {
    /// Idle.
    pub(super) fn new(cores: u32) -> Self {
        Self {
            cores: f64::from(cores.max(1)),
            now_us: 0.0,
            served_us: 0.0,
            devices: 0.0,
            order: 0,
            served_next: BinaryHeap::new(),
        }
    }

    /// A batch comes with `cost_us` CPU microseconds of work for each of its devices.
    pub(super) fn add(&mut self, now_us: u64, batch: u32, devices: u32, cost_us: f64) {
        self.advance(now_us as f64);
        self.devices += f64::from(devices);
        self.order += 1;
        self.served_next.push(Reverse(Served {
            at_steps: ((self.served_us + cost_us) * STEPS).ceil() as u64,
            order: self.order,
            devices,
            batch,
        }));
    }

    /// When the next batch is done.
    pub(super) fn next_done(&self) -> Option<u64> {
        let Reverse(next) = self.served_next.peek()?;
        let missing_us = (next.at_steps as f64 / STEPS - self.served_us).max(0.0);
        Some((self.now_us + missing_us / self.speed()).ceil() as u64)
    }

    /// Lets time go on until the next batch is done, which leaves.
    pub(super) fn take_done(&mut self) -> Option<u32> {
        let at_us = self.next_done()?;
        self.advance(at_us as f64);
        let Reverse(done) = self.served_next.pop()?;
        self.devices -= f64::from(done.devices);
        if self.served_next.is_empty() {
            self.served_us = 0.0;
        }
        Some(done.batch)
    }

    /// CPU microseconds a microsecond for each device: a whole core at most.
    fn speed(&self) -> f64 {
        (self.cores / self.devices.max(1.0)).min(1.0)
    }

    fn advance(&mut self, now_us: f64) {
        if now_us > self.now_us {
            self.served_us += (now_us - self.now_us) * self.speed();
            self.now_us = now_us;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_work_shares_the_cores_and_the_least_work_is_done_first() {
        let mut station = Station::new(2);
        // Four devices on two cores: half a core each until the two with little are done, then one each.
        station.add(0, 1, 2, 1_000.0);
        station.add(0, 2, 2, 3_000.0);
        assert_eq!(
            (station.next_done(), station.take_done()),
            (Some(2_000), Some(1))
        );
        assert_eq!(
            (station.next_done(), station.take_done()),
            (Some(4_000), Some(2))
        );
        assert_eq!(station.next_done(), None);
        station.add(10_000, 3, 1, 500.0);
        assert_eq!(
            station.next_done(),
            Some(10_500),
            "idle in between, and no more than a core"
        );
    }

    /// One core shared evenly, work of fixed length, visitors by chance (Poisson): the mean time of a
    /// visit is 1 / (1 - rho) pieces of work, whatever the lengths.
    #[test]
    fn the_mean_visit_is_that_of_the_m_g_1_queue_with_processor_sharing() {
        use rand_chacha::ChaCha12Rng;
        use rand_chacha::rand_core::{Rng, SeedableRng};
        for rho in [0.3, 0.7, 0.9] {
            let mut station = Station::new(1);
            let mut chance = ChaCha12Rng::seed_from_u64(1);
            let visitors = 300_000;
            let (mut now, mut spent) = (0.0, 0.0);
            let mut came = Vec::with_capacity(visitors);
            let mut leave = |station: &mut Station, came: &[f64], until: f64| {
                while let Some(at) = station.next_done().filter(|at| *at as f64 <= until) {
                    let who = station.take_done().expect("one is done");
                    spent += at as f64 - came[who as usize];
                }
            };
            for visitor in 0..visitors {
                let draw = (chance.next_u64() >> 11) as f64 / (1_u64 << 53) as f64;
                now -= (1.0 - draw).ln() * 1_000.0 / rho;
                leave(&mut station, &came, now);
                came.push(now.floor());
                let who = u32::try_from(visitor).expect("few");
                station.add(now as u64, who, 1, 1_000.0);
            }
            leave(&mut station, &came, f64::MAX);
            let mean = spent / visitors as f64 / 1_000.0;
            let expected = 1.0 / (1.0 - rho);
            assert!(
                (mean / expected - 1.0).abs() < 0.05,
                "at {rho}: {mean}, not {expected}"
            );
        }
    }
}
