//! A machine's cores as one queue: work is done in order of coming, as fast as all cores allow.

/// When the cores are free again.
#[derive(Debug, Clone, Copy)]
pub(super) struct Station {
    cores: f64,
    free_us: f64,
}

impl Station {
    /// Idle.
    pub(super) fn new(cores: u32) -> Self {
        Self {
            cores: f64::from(cores.max(1)),
            free_us: 0.0,
        }
    }

    /// Work of `pieces` times `cost_us` CPU microseconds that comes at `now`: when the last piece is done.
    pub(super) fn serve(&mut self, now: u64, pieces: u32, cost_us: f64) -> u64 {
        let work = f64::from(pieces) * cost_us;
        let begin = self.free_us.max(now as f64);
        self.free_us = begin + work / self.cores;
        // One core does one piece of work; the others only take the queue off it.
        let done = (now as f64 + cost_us).max(self.free_us);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a moment of virtual time, never below zero"
        )]
        let done = done as u64;
        done.max(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_queues_once_all_cores_have_some() {
        let mut station = Station::new(2);
        assert_eq!(station.serve(0, 1, 1_000.0), 1_000);
        assert_eq!(station.serve(0, 1, 1_000.0), 1_000);
        assert_eq!(station.serve(0, 1, 1_000.0), 1_500);
        assert_eq!(station.serve(10_000, 1, 1_000.0), 11_000, "idle in between");
        assert_eq!(station.serve(20_000, 100, 1_000.0), 70_000, "a crowd");
    }

    /// One server with work of fixed length, visitors by chance (Poisson): the mean wait is
    /// rho / (2 (1 - rho)) pieces of work (Pollaczek and Khinchin).
    #[test]
    fn the_mean_wait_is_that_of_the_m_d_1_queue() {
        use rand_chacha::ChaCha12Rng;
        use rand_chacha::rand_core::{Rng, SeedableRng};
        for rho in [0.3, 0.7, 0.9] {
            let mut station = Station::new(1);
            let mut chance = ChaCha12Rng::seed_from_u64(1);
            let (mut now, mut waited) = (0.0, 0.0);
            let visitors = 400_000;
            for _ in 0..visitors {
                let draw = (chance.next_u64() >> 11) as f64 / (1_u64 << 53) as f64;
                now -= (1.0 - draw).ln() * 1_000.0 / rho;
                waited += station.serve(now as u64, 1, 1_000.0) as f64 - now - 1_000.0;
            }
            let mean = waited / f64::from(visitors) / 1_000.0;
            let expected = rho / (2.0 * (1.0 - rho));
            assert!(
                (mean / expected - 1.0).abs() < 0.05,
                "at {rho}: {mean}, not {expected}"
            );
        }
    }
}
