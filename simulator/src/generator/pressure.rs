//! Who waits for a core on this machine, by the kernel's counts.

use std::collections::HashMap;
use std::time::Duration;

use procfs::process::Process;
use procfs::{CpuPressure, Current, CurrentSI, KernelStats};

/// Pressure on the cores since it began to watch.
#[derive(Debug)]
pub struct Pressure {
    /// Microseconds in which somebody waited.
    waited_us: Option<u64>,
    steal: Option<Steal>,
}

/// Ticks of all cores.
#[derive(Debug, Clone, Copy)]
struct Steal {
    stolen: u64,
    all: u64,
}

impl Pressure {
    /// Begins now.
    pub fn begin() -> Self {
        Self {
            waited_us: some_waited_us(),
            steal: Steal::read(),
        }
    }

    /// Share of the time since then, `us` microseconds, in which somebody waited for a core.
    pub fn waited(&self, us: u64) -> Option<f64> {
        let waited_us = some_waited_us()?.saturating_sub(self.waited_us?);
        share(waited_us, us)
    }

    /// Share of the machine's time since then that its host gave to others.
    pub fn stolen(&self) -> Option<f64> {
        let (before, now) = (self.steal?, Steal::read()?);
        share(
            now.stolen.saturating_sub(before.stolen),
            now.all.saturating_sub(before.all),
        )
    }
}

/// <https://docs.kernel.org/accounting/psi.html>
fn some_waited_us() -> Option<u64> {
    CpuPressure::current().ok().map(|cpu| cpu.some.total)
}

impl Steal {
    fn read() -> Option<Self> {
        let cpu = KernelStats::current().ok()?.total;
        let stolen = cpu.steal?;
        let busy = cpu.user + cpu.nice + cpu.system + cpu.irq? + cpu.softirq?;
        Some(Self {
            stolen,
            all: busy + cpu.idle + cpu.iowait? + stolen,
        })
    }
}

/// How long threads worked, and waited for a core while they had work.
///
/// <https://docs.kernel.org/scheduler/sched-stats.html>
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CoreTime {
    worked_ns: u64,
    waited_ns: u64,
}

impl CoreTime {
    /// Both together.
    #[must_use]
    pub fn plus(self, more: Self) -> Self {
        Self {
            worked_ns: self.worked_ns + more.worked_ns,
            waited_ns: self.waited_ns + more.waited_ns,
        }
    }

    /// What came since `before`, a reading of the same thread or of the same [`CoreWatch`]; `None` where this is
    /// no later one.
    pub fn since(self, before: Self) -> Option<Self> {
        Some(Self {
            worked_ns: self.worked_ns.checked_sub(before.worked_ns)?,
            waited_ns: self.waited_ns.checked_sub(before.waited_ns)?,
        })
    }

    /// How long they worked.
    pub fn worked(self) -> Duration {
        Duration::from_nanos(self.worked_ns)
    }

    /// How long they waited for a core.
    pub fn waited_for(self) -> Duration {
        Duration::from_nanos(self.waited_ns)
    }

    /// The share of the time in which there was work that was spent waiting for a core.
    pub fn waited(self) -> Option<f64> {
        share(self.waited_ns, self.worked_ns + self.waited_ns)
    }
}

/// The time of a process's threads since it began to be watched.
///
/// The kernel says it of the threads that there are: each is followed by itself, so that what one did stays counted
/// when it has ended, but for what it did after the last reading.
#[derive(Debug)]
pub struct CoreWatch {
    pid: i32,
    threads: HashMap<i32, CoreTime>,
    so_far: CoreTime,
}

impl CoreWatch {
    /// Begins now; `None` where the kernel does not say.
    pub fn begin(pid: u32) -> Option<Self> {
        let pid = i32::try_from(pid).ok()?;
        Some(Self {
            pid,
            threads: threads(pid)?,
            so_far: CoreTime::default(),
        })
    }

    /// Reads once more; a process that is gone stays as it was read last.
    pub fn read(&mut self) {
        if let Some(now) = threads(self.pid).filter(|threads| !threads.is_empty()) {
            self.follow(now);
        }
    }

    /// What came since the begin, as last read.
    pub fn so_far(&self) -> CoreTime {
        self.so_far
    }

    fn follow(&mut self, now: HashMap<i32, CoreTime>) {
        for (thread, time) in &now {
            let before = self.threads.get(thread).copied().unwrap_or_default();
            // The number of a thread that has ended is given to another, which begins at nothing.
            self.so_far = self.so_far.plus(time.since(before).unwrap_or(*time));
        }
        self.threads = now;
    }
}

/// Each thread's time, by its number.
fn threads(pid: i32) -> Option<HashMap<i32, CoreTime>> {
    let tasks = Process::new(pid).ok()?.tasks().ok()?;
    // A thread that ends meanwhile has its say no more.
    let read = tasks.filter_map(|task| {
        let task = task.ok()?;
        let stat = task.schedstat().ok()?;
        let time = CoreTime {
            worked_ns: stat.sum_exec_runtime,
            waited_ns: stat.run_delay,
        };
        Some((task.tid, time))
    });
    Some(read.collect())
}

#[cfg(test)]
impl CoreTime {
    /// So many milliseconds each.
    pub fn of_ms(worked: u64, waited: u64) -> Self {
        Self {
            worked_ns: worked * 1_000_000,
            waited_ns: waited * 1_000_000,
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "times of a run")]
fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| (part as f64 / whole as f64).min(1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_works_has_worked() {
        let Some(mut watch) = CoreWatch::begin(std::process::id()) else {
            return;
        };
        while watch.so_far().worked().is_zero() {
            watch.read();
        }
        let share = watch.so_far().waited().expect("has worked");
        assert!((0.0..=1.0).contains(&share), "{share}");
    }

    #[test]
    fn what_a_thread_did_stays_when_it_has_ended() {
        let mut watch = CoreWatch {
            pid: 0,
            threads: HashMap::from([(1, CoreTime::of_ms(100, 10)), (2, CoreTime::of_ms(500, 0))]),
            so_far: CoreTime::default(),
        };
        let mut read = |threads: &[(i32, CoreTime)]| {
            watch.follow(threads.iter().copied().collect());
            watch.so_far()
        };
        let both = [(1, CoreTime::of_ms(110, 12)), (2, CoreTime::of_ms(700, 1))];
        assert_eq!(read(&both), CoreTime::of_ms(210, 3));
        assert_eq!(
            read(&[(1, CoreTime::of_ms(111, 13))]),
            CoreTime::of_ms(211, 4)
        );
        let anew = [(1, CoreTime::of_ms(111, 13)), (2, CoreTime::of_ms(5, 1))];
        assert_eq!(read(&anew), CoreTime::of_ms(216, 5));
    }

    #[test]
    fn a_process_without_work_has_no_share() {
        assert_eq!(CoreTime::default().waited(), None);
        let half = CoreTime {
            worked_ns: 5,
            waited_ns: 5,
        };
        assert_eq!(half.plus(half).waited(), Some(0.5));
    }
}
