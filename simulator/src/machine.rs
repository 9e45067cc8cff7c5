//! What this machine gives: CPU, memory, files, ports; and what a process took of it.

use std::time::Instant;

use fleetstorm_reports::machine::Machine;
use fleetstorm_reports::snapshot::ProcessUsage;
use procfs::process::Process;

/// Watches the CPU and memory of one process.
#[derive(Debug)]
pub struct ProcessMeter {
    pid: i32,
    last: Option<(Instant, f64)>,
    usage: ProcessUsage,
}

impl ProcessMeter {
    /// Watches this process.
    pub fn own() -> Self {
        Self::of(std::process::id())
    }

    /// Watches the process `pid`.
    pub fn of(pid: u32) -> Self {
        let pid = i32::try_from(pid).unwrap_or(i32::MAX);
        Self {
            pid,
            last: None,
            usage: ProcessUsage::default(),
        }
    }

    /// Reads it now. A process that has gone keeps its last reading.
    pub fn read(&mut self) -> ProcessUsage {
        let Ok(process) = Process::new(self.pid) else {
            return self.usage;
        };
        let (Ok(stat), Ok(status)) = (process.stat(), process.status()) else {
            return self.usage;
        };
        let now = Instant::now();
        let ticks = procfs::ticks_per_second();
        #[expect(
            clippy::cast_precision_loss,
            reason = "a tick count fits a double for millennia"
        )]
        let cpu_seconds = (stat.utime + stat.stime) as f64 / ticks as f64;
        self.usage.cpu_seconds = cpu_seconds;
        self.usage.rss_bytes = status.vmrss.unwrap_or(0) * 1024;
        self.usage.peak_rss_bytes = status.vmhwm.unwrap_or(0) * 1024;
        match self.last {
            Some((at, _)) if now.duration_since(at).as_millis() < 900 => {}
            Some((at, before)) => {
                self.usage.cores = (cpu_seconds - before) / now.duration_since(at).as_secs_f64();
                self.last = Some((now, cpu_seconds));
            }
            None => self.last = Some((now, cpu_seconds)),
        }
        self.usage
    }
}

/// Cores that this process may use.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// What a report says of this machine.
pub fn describe() -> Machine {
    use procfs::Current;
    let line = |path: &str| {
        let text = std::fs::read_to_string(path).ok()?;
        Some(text.trim().to_owned()).filter(|line| !line.is_empty())
    };
    let processors = procfs::CpuInfo::current().ok();
    let model = processors.as_ref().and_then(|all| all.model_name(0));
    Machine {
        name: line("/proc/sys/kernel/hostname"),
        cores: cores() as u64,
        cpu: model.map(ToOwned::to_owned),
        memory_bytes: procfs::Meminfo::current().ok().map(|it| it.mem_total),
        kernel: line("/proc/sys/kernel/osrelease"),
    }
}

/// Raises the limit of open files as far as it goes, and says how far that is.
pub fn raise_file_limit() -> u64 {
    match rlimit::Resource::NOFILE.get() {
        Ok((soft, hard)) if soft < hard => match rlimit::Resource::NOFILE.set(hard, hard) {
            Ok(()) => hard,
            Err(_) => soft,
        },
        Ok((soft, _)) => soft,
        Err(_) => 1024,
    }
}

/// Memory that could be had without swapping, in bytes; `None` where the kernel does not say.
pub fn available_memory() -> Option<u64> {
    use procfs::Current;
    procfs::Meminfo::current().ok()?.mem_available
}

/// How many local ports the kernel deals out per source and destination address.
pub fn ephemeral_ports() -> u64 {
    let range =
        std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    let mut ends = range
        .split_whitespace()
        .filter_map(|end| end.parse::<u64>().ok());
    match (ends.next(), ends.next()) {
        (Some(from), Some(to)) if to >= from => to - from + 1,
        _ => 28_232,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_meter_sees_memory_and_cpu() {
        let mut meter = ProcessMeter::own();
        let before = meter.read();
        let mut sum = 0_u64;
        while meter.read().cpu_seconds <= before.cpu_seconds {
            sum = (0..1_000_000).fold(sum, |a, b| a ^ b);
        }
        std::hint::black_box(sum);
        assert!(meter.read().rss_bytes > 0);
    }

    #[test]
    fn a_process_that_has_gone_keeps_its_last_reading() {
        let mut meter = ProcessMeter::of(u32::MAX);
        assert_eq!(meter.read(), ProcessUsage::default());
    }
}
