//! The run as seen without a terminal: one plain line a second.

use std::io::{self, Write};
use std::sync::mpsc::Receiver;

use fleetstorm_reports::Metric;
use fleetstorm_reports::snapshot::{RunState, Snapshot};
use fleetstorm_reports::units::{count, duration, rate};

/// Writes a line a second, and one for the end, until the sender is gone.
///
/// # Errors
/// The writer's.
pub fn show(snapshots: &Receiver<Snapshot>, out: &mut dyn Write) -> io::Result<()> {
    let mut next_us = 1_000_000;
    let mut last_warnings = Vec::new();
    let mut events_told = 0;
    for snapshot in snapshots {
        for event in snapshot.events.iter().skip(events_told) {
            let at = duration(event.at_us);
            match &event.problem {
                Some(problem) => writeln!(out, "event at {at}: {} failed: {problem}", event.what)?,
                None => writeln!(out, "event at {at}: {}", event.what)?,
            }
        }
        events_told = snapshot.events.len();
        for warning in snapshot
            .warnings
            .iter()
            .filter(|warning| !last_warnings.contains(*warning))
        {
            writeln!(out, "warning: {warning}")?;
        }
        if snapshot.elapsed_us >= next_us || snapshot.state == RunState::Finished {
            writeln!(out, "{}", line(&snapshot))?;
            out.flush()?;
            next_us = (snapshot.elapsed_us / 1_000_000 + 1) * 1_000_000;
        }
        last_warnings = snapshot.warnings;
    }
    Ok(())
}

fn line(snapshot: &Snapshot) -> String {
    let progress = snapshot.progress;
    let mut line = format!(
        "{:>5} s  {}/{} released  {} in flight  {} provisioned  {} failed  {} of {}",
        snapshot.elapsed_us / 1_000_000,
        count(progress.released),
        count(progress.planned),
        count(progress.in_flight),
        count(progress.provisioned),
        count(progress.failed),
        rate(snapshot.achieved_rate),
        rate(snapshot.target_rate),
    );
    if progress.dropped > 0 {
        line.push_str(&format!("  {} dropped", count(progress.dropped)));
    }
    if progress.throttled > 0 {
        line.push_str(&format!("  {} throttled", count(progress.throttled)));
    }
    let held = snapshot.held;
    if held.any() {
        line.push_str(&format!(
            "  {} held  {} messages",
            count(held.now),
            count(held.messages)
        ));
        if held.dropped > 0 {
            line.push_str(&format!(
                "  {} dropped  {} reconnected",
                count(held.dropped),
                count(held.reconnected)
            ));
        }
    }
    if snapshot.reprovisions > 0 {
        line.push_str(&format!("  {} back to DPS", count(snapshot.reprovisions)));
    }
    let response = snapshot
        .metrics
        .iter()
        .find(|view| view.metric == Metric::ProvisioningResponse);
    if let Some(view) = response {
        let percentiles = view.percentiles;
        line.push_str(&format!(
            "  p50 {}  p99 {}",
            duration(percentiles.p50_us),
            duration(percentiles.p99_us)
        ));
    }
    if let Some(added) = snapshot.generator.added {
        line.push_str(&format!("  generator added p99 {}", duration(added.p99_us)));
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use fleetstorm_reports::snapshot::Progress;
    use std::sync::mpsc::sync_channel;

    fn at(elapsed_us: u64, state: RunState) -> Snapshot {
        Snapshot {
            elapsed_us,
            state,
            progress: Progress {
                planned: 1_000,
                released: 120,
                in_flight: 20,
                provisioned: 99,
                failed: 1,
                ..Progress::default()
            },
            target_rate: 100.0,
            achieved_rate: 99.0,
            ..Snapshot::default()
        }
    }

    #[test]
    fn a_line_a_second_and_one_at_the_end() {
        let (sender, snapshots) = sync_channel(8);
        for (elapsed_us, state) in [
            (250_000, RunState::Running),
            (1_000_000, RunState::Running),
            (1_250_000, RunState::Running),
            (2_010_000, RunState::Draining),
            (2_100_000, RunState::Finished),
        ] {
            sender.send(at(elapsed_us, state)).expect("room");
        }
        drop(sender);
        let mut out = Vec::new();
        show(&snapshots, &mut out).expect("memory");
        let text = String::from_utf8(out).expect("UTF-8");
        assert_eq!(text.lines().count(), 3, "{text}");
        let first =
            "    1 s  120/1,000 released  20 in flight  99 provisioned  1 failed  99.0/s of 100/s";
        assert_eq!(text.lines().next(), Some(first));
    }
}
