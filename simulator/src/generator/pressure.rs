//! Who waits for a core on this machine, by the kernel's counts.

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

/// How long the threads of a process worked, and waited for a core while they had work.
///
/// <https://docs.kernel.org/scheduler/sched-stats.html>
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CoreTime {
    worked_ns: u64,
    waited_ns: u64,
}

impl CoreTime {
    /// Of a process that runs; `None` where the kernel does not say.
    pub fn of(pid: u32) -> Option<Self> {
        let process = Process::new(i32::try_from(pid).ok()?).ok()?;
        let mut time = Self::default();
        for task in process.tasks().ok()? {
            // A thread that ends meanwhile has its say no more.
            let Some(stat) = task.ok().and_then(|task| task.schedstat().ok()) else {
                continue;
            };
            time.worked_ns += stat.sum_exec_runtime;
            time.waited_ns += stat.run_delay;
        }
        Some(time)
    }

    /// What came since `before`.
    #[must_use]
    pub fn since(self, before: Self) -> Self {
        Self {
            worked_ns: self.worked_ns.saturating_sub(before.worked_ns),
            waited_ns: self.waited_ns.saturating_sub(before.waited_ns),
        }
    }

    /// Both together.
    #[must_use]
    pub fn plus(self, more: Self) -> Self {
        Self {
            worked_ns: self.worked_ns + more.worked_ns,
            waited_ns: self.waited_ns + more.waited_ns,
        }
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
        let Some(before) = CoreTime::of(std::process::id()) else {
            return;
        };
        let mut now = before;
        while now.worked_ns == before.worked_ns {
            now = CoreTime::of(std::process::id()).expect("still there");
        }
        let share = now.since(before).waited().expect("has worked");
        assert!((0.0..=1.0).contains(&share), "{share}");
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
