//! Watches the generator and its machine while a run goes on.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use fleetstorm_reports::generator::{ClockJump, GeneratorHealth, LoopLag};

use super::pressure::{CoreTime, CoreWatch, Pressure};
use crate::server::bundled::BundledServer;

/// Between two looks the clocks may part by so much: a clock that is being disciplined slews less.
const CLOCK_JUMP: Duration = Duration::from_millis(500);
/// Most jumps that are told.
const MAX_JUMPS: usize = 32;
/// A process has work that has it for this share of the time …
const WORK: f64 = 0.05;
/// … and starves when it waits for a core for this share.
const STARVED: f64 = 0.5;
/// Both clocks are read within this, or once more.
const ONE_MOMENT: Duration = Duration::from_millis(5);

/// The watch.
pub struct HealthWatch {
    lags: Vec<Arc<Mutex<LoopLag>>>,
    began: Instant,
    pressure: Pressure,
    simulator: Option<CoreWatch>,
    server: Option<ServerTime>,
    observer_late_us: u64,
    clocks: (Instant, SystemTime),
    jumps: Vec<ClockJump>,
}

/// The bundled server's time, through the lives of its process.
struct ServerTime {
    server: Arc<BundledServer>,
    pid: u32,
    life: Option<CoreWatch>,
    /// Of the lives before.
    before: CoreTime,
    looks: Looks,
}

/// Looks that found a process with work, and those of them that found it without a core.
#[derive(Debug, Default)]
struct Looks {
    last: Option<(Instant, CoreTime)>,
    with_work: u64,
    starved: u64,
}

impl HealthWatch {
    /// Begins now, with the lags of as many cores as there are.
    pub fn begin(lags: Vec<Arc<Mutex<LoopLag>>>, server: Option<Arc<BundledServer>>) -> Self {
        Self {
            lags,
            began: Instant::now(),
            pressure: Pressure::begin(),
            simulator: CoreWatch::begin(std::process::id()),
            server: server.map(ServerTime::of),
            observer_late_us: 0,
            clocks: both_clocks(),
            jumps: Vec::new(),
        }
    }

    /// Looks once; the observer's tick was late by so much, `now_us` after the run's start.
    pub fn look(&mut self, late: Duration, now_us: u64) {
        let late_us = u64::try_from(late.as_micros()).unwrap_or(u64::MAX);
        self.observer_late_us = self.observer_late_us.max(late_us);
        let clocks = both_clocks();
        if let Some(by_us) = jump(self.clocks, clocks).filter(|_| self.jumps.len() < MAX_JUMPS) {
            self.jumps.push(ClockJump {
                at_us: now_us,
                by_us,
            });
        }
        self.clocks = clocks;
        if let Some(simulator) = &mut self.simulator {
            simulator.read();
        }
        if let Some(server) = &mut self.server {
            server.look(clocks.0);
        }
    }

    /// How it has been so far; `out_of_resources` is how often devices could not connect for want of the
    /// simulator's own files, ports or memory.
    pub fn health(&mut self, out_of_resources: u64) -> GeneratorHealth {
        let mut all = LoopLag::default();
        for lag in &self.lags {
            all.merge(&lag.lock().unwrap_or_else(PoisonError::into_inner));
        }
        let us = u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX);
        GeneratorHealth {
            loop_lag: all.percentiles(),
            stalls: all.stalls(),
            observer_late_us: self.observer_late_us,
            out_of_resources,
            clock_jumps: self.jumps.clone(),
            cpu_pressure: self.pressure.waited(us),
            stolen: self.pressure.stolen(),
            simulator_waited: self
                .simulator
                .as_ref()
                .and_then(|watch| watch.so_far().waited()),
            server_waited: self.server.as_ref().and_then(ServerTime::waited),
            server_starved: self.server.as_ref().and_then(ServerTime::starved),
        }
    }
}

impl ServerTime {
    fn of(server: Arc<BundledServer>) -> Self {
        let pid = server.pid();
        Self {
            server,
            pid,
            life: CoreWatch::begin(pid),
            before: CoreTime::default(),
            looks: Looks::default(),
        }
    }

    fn look(&mut self, now: Instant) {
        self.read();
        self.looks.add(now, self.so_far());
    }

    fn starved(&self) -> Option<f64> {
        self.looks.starved()
    }

    fn read(&mut self) {
        let pid = self.server.pid();
        if pid != self.pid {
            self.before = self.so_far();
            self.pid = pid;
            // What it did before it is seen first is its start.
            self.life = CoreWatch::begin(pid);
        } else if let Some(life) = &mut self.life {
            life.read();
        }
    }

    fn so_far(&self) -> CoreTime {
        let life = self.life.as_ref().map(CoreWatch::so_far);
        self.before.plus(life.unwrap_or_default())
    }

    fn waited(&self) -> Option<f64> {
        self.so_far().waited()
    }
}

impl Looks {
    /// One more, when the process had come so far.
    fn add(&mut self, now: Instant, so_far: CoreTime) {
        if let Some((then, before)) = self.last.replace((now, so_far)) {
            let since = so_far.since(before).unwrap_or_default();
            let elapsed = now.saturating_duration_since(then);
            let is_busy = since.worked() + since.waited_for() >= elapsed.mul_f64(WORK);
            self.with_work += u64::from(is_busy);
            self.starved += u64::from(is_busy && since.waited_for() >= elapsed.mul_f64(STARVED));
        }
    }

    /// Share of those with work.
    #[expect(clippy::cast_precision_loss, reason = "looks of a run")]
    fn starved(&self) -> Option<f64> {
        (self.with_work > 0).then(|| self.starved as f64 / self.with_work as f64)
    }
}

/// The same moment by the clock that measures and by the clock on the wall.
fn both_clocks() -> (Instant, SystemTime) {
    let mut tries = 0;
    loop {
        let (before, wall) = (Instant::now(), SystemTime::now());
        tries += 1;
        // A process that is stopped in between sees two moments.
        if before.elapsed() <= ONE_MOMENT || tries == 3 {
            return (before, wall);
        }
    }
}

/// By how much the wall clock jumped between two looks, if it did, microseconds.
fn jump(before: (Instant, SystemTime), now: (Instant, SystemTime)) -> Option<i64> {
    let measured = now.0.saturating_duration_since(before.0);
    let expected = before.1.checked_add(measured)?;
    let signed = |apart: Duration| i64::try_from(apart.as_micros()).unwrap_or(i64::MAX);
    let by_us = match now.1.duration_since(expected) {
        Ok(ahead) => signed(ahead),
        Err(behind) => -signed(behind.duration()),
    };
    (by_us.unsigned_abs() > u64::try_from(CLOCK_JUMP.as_micros()).unwrap_or(u64::MAX))
        .then_some(by_us)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_jumps_and_comes_back_jumps_twice() {
        let (at, wall) = both_clocks();
        let later = |seconds| at + Duration::from_secs(seconds);
        let minute = Duration::from_secs(60);
        let ahead = wall + Duration::from_secs(1) + minute;
        assert_eq!(jump((at, wall), (later(1), ahead)), Some(60_000_000));
        let back = wall + Duration::from_secs(2);
        assert_eq!(jump((later(1), ahead), (later(2), back)), Some(-60_000_000));
    }

    #[test]
    fn a_process_starves_where_it_has_work_and_no_core() {
        let begin = Instant::now();
        let mut looks = Looks::default();
        let mut so_far = CoreTime::default();
        let mut look = |at_ms, worked_ms, waited_ms| {
            so_far = so_far.plus(CoreTime::of_ms(worked_ms, waited_ms));
            looks.add(begin + Duration::from_millis(at_ms), so_far);
            looks.starved()
        };
        assert_eq!(look(0, 500, 500), None);
        // Next to nothing to do.
        assert_eq!(look(250, 5, 7), None);
        assert_eq!(look(500, 20, 124), Some(0.0));
        assert_eq!(look(750, 1, 125), Some(0.5));
        // What is measured late is measured for as long.
        assert_eq!(look(2_750, 100, 999), Some(1.0 / 3.0));
    }

    #[test]
    fn a_process_that_was_stopped_sees_no_jump() {
        let (at, wall) = both_clocks();
        let hour = Duration::from_secs(3_600);
        assert_eq!(jump((at, wall), (at + hour, wall + hour)), None);
        let slewed = wall + hour + Duration::from_millis(400);
        assert_eq!(jump((at, wall), (at + hour, slewed)), None);
    }
}
