//! What the server costs the machine, under the names that Prometheus client libraries give it
//! ("Process metrics" in their documentation).

use procfs::process::Process;

use super::page::{Kind, Page};

/// Writes what the machine tells; nothing where it tells nothing.
pub(crate) fn write(page: &mut Page) {
    let Ok(stat) = Process::myself().and_then(|process| process.stat()) else {
        return;
    };
    #[expect(clippy::cast_precision_loss, reason = "a clock's ticks are few")]
    let cpu = (stat.utime + stat.stime) as f64 / procfs::ticks_per_second() as f64;
    page.family(
        "process_cpu_seconds_total",
        Kind::Counter,
        "User and system CPU time spent in seconds.",
    );
    page.sample(&[], cpu);
    page.family(
        "process_resident_memory_bytes",
        Kind::Gauge,
        "Resident memory size in bytes.",
    );
    page.sample(&[], stat.rss * procfs::page_size());
    page.family("process_threads", Kind::Gauge, "Number of OS threads.");
    page.sample(&[], stat.num_threads);
}
