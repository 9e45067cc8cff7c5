//! Folds records while the run goes on, and makes the picture that people see.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::time::Duration;

use fleetstorm_reports::live::Live;
use fleetstorm_reports::run::{Ending, Finished};
use fleetstorm_reports::snapshot::{ProcessUsage, RunState, Snapshot};
use fleetstorm_reports::summary::{ProcessResources, Resources};
use fleetstorm_reports::{Aggregator, Record};
use fleetstorm_scenarios::Plan;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::fleet::Fleet;
use crate::generator::health::HealthWatch;
use crate::machine::{self, ProcessMeter};
use crate::operator_command::OperatorCommand;
use crate::run::director::EventLog;
use crate::run::oracle::Oracle;
use crate::run::reconciliation::Reconciliation;
use crate::run::scheduler::Gauges;
use crate::server::bundled::BundledServer;
use crate::stopwatch::RunClock;

/// Between two snapshots.
const TICK: Duration = Duration::from_millis(250);
/// Cores in use, of those there are, beyond which measuring disturbs what is measured.
const SATURATED: f64 = 0.95;

/// Everything that the fold needs.
pub struct Observer {
    /// The plan.
    pub plan: Arc<Plan>,
    /// The time line.
    pub clock: RunClock,
    /// The fold.
    pub aggregator: Aggregator,
    /// What no record tells.
    pub gauges: Arc<Gauges>,
    /// How the generator is.
    pub health: HealthWatch,
    /// Outcome against intent.
    pub oracle: Oracle,
    /// Who devices are, for those that are told by name.
    pub fleet: Arc<Fleet>,
    /// Both ends' counts.
    pub reconciliation: Reconciliation,
    /// What has happened.
    pub events: EventLog,
    /// The bundled server, when there is one.
    pub server: Option<Arc<BundledServer>>,
    /// To stop the run when a threshold wants it.
    pub commands: watch::Sender<Option<OperatorCommand>>,
}

impl Observer {
    /// Folds until the last recorder is gone, then reads the server's counters and sums up.
    pub fn watch(
        mut self,
        records: &Receiver<Record>,
        snapshots: SyncSender<Snapshot>,
    ) -> Finished {
        let mut meters = Meters::new(self.server.clone());
        let plan = Arc::clone(&self.plan);
        let due_before = |second| plan.due_before(Duration::from_secs(second));
        let mut next_tick = first_tick(self.clock.at(Duration::ZERO), Instant::now());
        let mut last_end_us = 0;
        let mut server_death = None;
        let fleet = Arc::clone(&self.fleet);
        let name = |cohort, device| fleet.identity(cohort, device).registration_id.to_string();
        loop {
            let wait = next_tick.saturating_duration_since(Instant::now());
            match records.recv_timeout(wait) {
                Ok(record) => {
                    // What happens to devices later is no part of bringing them in.
                    if !record.reprovision {
                        last_end_us = last_end_us.max(record.end_us);
                    }
                    self.reconciliation.count(&record);
                    let oracle = &mut self.oracle;
                    self.events
                        .so_far(|events| oracle.count(&record, events, name));
                    self.aggregator.add(&record);
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            let now = Instant::now();
            if now >= next_tick {
                let late = now - next_tick;
                self.health.look(late, self.clock.now_us());
                // One that was late does not make up for it with ticks that tell nothing.
                next_tick += TICK * (whole_ticks(late) + 1);
                if server_death.is_none() {
                    server_death = self.server.as_ref().and_then(|server| server.has_died());
                }
                let mut live = self.live(&mut meters);
                if let Some(status) = server_death {
                    live.warnings
                        .push(format!("the bundled server ended ({status})"));
                }
                // A viewer that is behind misses a picture, no more.
                let picture = self.aggregator.snapshot(&live, due_before);
                drop(snapshots.try_send(picture));
                self.abort();
                if server_death.is_some() {
                    self.leave_if_stopping();
                }
            }
        }
        let mut live = self.live(&mut meters);
        live.state = RunState::Finished;
        let last = self.aggregator.snapshot(&live, due_before);
        let mut invalid_reasons = Vec::new();
        if let Some(status) = server_death {
            invalid_reasons.push(format!(
                "the bundled server ended during the run ({status}); see server.log"
            ));
        }
        let _ = snapshots.send(last);
        let aborted = self.aggregator.aborted().cloned();
        let interrupted = match *self.commands.borrow() {
            Some(OperatorCommand::Stop) => aborted.is_none(),
            Some(OperatorCommand::Leave) => true,
            None => false,
        };
        let server_counters = match &self.server {
            Some(server) if server.is_off() => {
                invalid_reasons.push("the run was over before the bundled server was back".into());
                None
            }
            Some(server) if !interrupted && server_death.is_none() => match server.counters() {
                Ok(counters) => Some(
                    self.reconciliation
                        .compare(&counters, &self.gauges.device_counters),
                ),
                Err(failure) => {
                    invalid_reasons.push(failure.message);
                    None
                }
            },
            _ => None,
        };
        let ending = Ending {
            elapsed_us: last_end_us,
            released: live.released,
            invalid_reasons,
            generator: live.generator,
            interrupted,
            aborted,
            oracle: Some(self.oracle.close(live.released, name)),
            server_counters,
            resources: meters.resources(),
            held: live.held,
            events: self.events.close(live.elapsed_us),
            examples: self.gauges.device_counters.examples.all(),
        };
        self.aggregator.finish(ending)
    }

    /// Stops the run gently once a threshold wants it to.
    fn abort(&self) {
        if self.aggregator.aborted().is_some() {
            self.commands.send_if_modified(|asked| {
                let is_new = asked.is_none();
                asked.get_or_insert(OperatorCommand::Stop);
                is_new
            });
        }
    }

    /// Those under way wait in vain for a server that has ended, too: whoever asks all processes to stop has
    /// asked both.
    fn leave_if_stopping(&self) {
        if self.aggregator.aborted().is_none() {
            self.commands.send_if_modified(|asked| {
                let is_stopping = *asked == Some(OperatorCommand::Stop);
                if is_stopping {
                    *asked = Some(OperatorCommand::Leave);
                }
                is_stopping
            });
        }
    }

    fn live(&mut self, meters: &mut Meters) -> Live {
        let elapsed_us = self.clock.now_us();
        let released = self.gauges.released.load(Ordering::Relaxed);
        let dropped = self.gauges.dropped.load(Ordering::Relaxed);
        let state = match *self.commands.borrow() {
            Some(_) => RunState::Stopping,
            None if elapsed_us == 0 => RunState::Preparing,
            None if released + dropped < self.plan.devices() => RunState::Running,
            None if self.aggregator.ended() < released => RunState::Draining,
            None => RunState::Holding,
        };
        let (simulator, server) = meters.read();
        let cores = machine::cores();
        #[expect(clippy::cast_precision_loss, reason = "a handful of cores")]
        let in_use = (simulator.cores + server.map_or(0.0, |server| server.cores)) / cores as f64;
        let mut warnings = Vec::new();
        if in_use > SATURATED {
            warnings.push(format!(
                "all {cores} cores are busy: times include waiting for a core"
            ));
        }
        if let Some(error) = self.aggregator.journal_failure() {
            warnings.push(format!(
                "the journal ends here, and the run goes on: {error}"
            ));
        }
        if self.oracle.is_contradicted() {
            warnings.push("what became of devices contradicts the scenario".into());
        }
        if let Some(aborted) = self.aggregator.aborted() {
            let name = self.aggregator.threshold(aborted.threshold);
            let observed = &aborted.stop.observed;
            warnings.push(format!("{name} is crossed ({observed}): the run stops"));
        }
        let closed = self.gauges.closed_released.load(Ordering::Relaxed);
        Live {
            elapsed_us,
            state,
            due: self.plan.due(Duration::from_micros(elapsed_us)) + closed,
            closed_due: closed,
            released,
            held: self.gauges.device_counters.held(),
            attempts: self.gauges.device_counters.attempts(),
            events: self.events.read(),
            generator: self
                .health
                .health(self.gauges.device_counters.shortages.get()),
            simulator,
            server,
            warnings,
        }
    }
}

/// Ticks fall on whole seconds of the run, so that what is counted then is theirs: the first from `now` on.
fn first_tick(start: Instant, now: Instant) -> Instant {
    match start.checked_duration_since(now) {
        Some(ahead) => start - TICK * whole_ticks(ahead),
        None => start + TICK * (whole_ticks(now - start) + 1),
    }
}

fn whole_ticks(duration: Duration) -> u32 {
    u32::try_from(duration.as_nanos() / TICK.as_nanos()).unwrap_or(u32::MAX)
}

struct Meters {
    simulator: ProcessMeter,
    server: Option<ServerMeter>,
}

/// Watches the server through the lives of its process.
struct ServerMeter {
    server: Arc<BundledServer>,
    pid: u32,
    meter: ProcessMeter,
    /// CPU and highest memory of the lives before.
    before: (f64, u64),
}

impl ServerMeter {
    fn of(server: Arc<BundledServer>) -> Self {
        let pid = server.pid();
        Self {
            server,
            pid,
            meter: ProcessMeter::of(pid),
            before: (0.0, 0),
        }
    }

    fn read(&mut self) -> ProcessUsage {
        let pid = self.server.pid();
        if pid != self.pid {
            // One that has gone keeps its last reading.
            let usage = self.meter.read();
            let (cpu_seconds, peak_rss_bytes) = self.before;
            self.before = (
                cpu_seconds + usage.cpu_seconds,
                peak_rss_bytes.max(usage.peak_rss_bytes),
            );
            self.pid = pid;
            self.meter = ProcessMeter::of(pid);
        }
        let usage = self.meter.read();
        ProcessUsage {
            cpu_seconds: self.before.0 + usage.cpu_seconds,
            peak_rss_bytes: self.before.1.max(usage.peak_rss_bytes),
            ..usage
        }
    }
}

impl Meters {
    fn new(server: Option<Arc<BundledServer>>) -> Self {
        Self {
            simulator: ProcessMeter::own(),
            server: server.map(ServerMeter::of),
        }
    }

    fn read(&mut self) -> (ProcessUsage, Option<ProcessUsage>) {
        (
            self.simulator.read(),
            self.server.as_mut().map(ServerMeter::read),
        )
    }

    fn resources(&mut self) -> Resources {
        let (simulator, server) = self.read();
        let of = |usage: ProcessUsage| ProcessResources {
            cpu_seconds: usage.cpu_seconds,
            peak_rss_bytes: usage.peak_rss_bytes,
        };
        Resources {
            simulator: of(simulator),
            server: server.map(of),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_fall_on_whole_seconds_of_the_run() {
        let start = Instant::now() + Duration::from_secs(60);
        for (ahead_ms, first_ms) in [(0, 0), (50, 0), (250, 250), (3_100, 3_000)] {
            let now = start - Duration::from_millis(ahead_ms);
            let first = start - Duration::from_millis(first_ms);
            assert_eq!(first_tick(start, now), first, "{ahead_ms} ms before");
        }
        let under_way = start + Duration::from_secs(1);
        let next = start + Duration::from_millis(1_250);
        assert_eq!(first_tick(start, under_way), next);
        assert_eq!(whole_ticks(Duration::from_millis(760)), 3);
    }
}
