//! Releases devices when the plan says so; the only place that sleeps for pacing.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use fleetstorm_reports::record::NOT_REACHED;
use fleetstorm_reports::{Outcome, Phase, Record, Recorder};
use fleetstorm_scenarios::{Plan, Release};
use tokio::sync::{Notify, watch};
use tokio::task::LocalSet;
use tokio::time::Instant;

use crate::device::{self, Conditions};
use crate::progress::Command;

/// What no record tells, from all cores.
#[derive(Debug, Default)]
pub struct Gauges {
    /// Devices started.
    pub released: AtomicU64,
    /// Devices due and not started, because as many as allowed were under way.
    pub dropped: AtomicU64,
}

/// One core's share of a run.
pub struct Share {
    /// Whose devices.
    pub plan: Arc<Plan>,
    /// Which share.
    pub shard: usize,
    /// Of how many.
    pub shards: usize,
    /// What its devices share.
    pub conditions: Conditions,
    /// Where records go.
    pub recorder: Recorder,
    /// What no record tells.
    pub gauges: Arc<Gauges>,
    /// What the user asked for.
    pub commands: watch::Receiver<Option<Command>>,
}

impl Share {
    /// Runs the share to its end on the calling thread: until every device has ended,
    /// or the user wants to leave.
    ///
    /// # Errors
    /// The runtime can't be made.
    pub fn run(self) -> std::io::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let devices = LocalSet::new();
        devices.block_on(&runtime, self.release_all());
        Ok(())
    }

    async fn release_all(mut self) {
        let under_way = Rc::new(UnderWay::default());
        let limit = (self.plan.scenario().max_in_flight as usize).div_ceil(self.shards);
        let conditions = Rc::new(self.conditions);
        for release in self.plan.schedule(self.shard, self.shards) {
            let due = Instant::from_std(conditions.clock.at(release.intended_start));
            tokio::select! {
                biased;
                stopped = self.commands.wait_for(Option::is_some) => {
                    drop(stopped);
                    break;
                }
                () = tokio::time::sleep_until(due) => {}
            }
            if under_way.count.get() >= limit {
                self.gauges.dropped.fetch_add(1, Ordering::Relaxed);
                continue;
            }
            self.gauges.released.fetch_add(1, Ordering::Relaxed);
            let ticket = Ticket::new(&under_way, release, &conditions, self.recorder.clone());
            let conditions = Rc::clone(&conditions);
            tokio::task::spawn_local(async move {
                let record = device::provision(release, &conditions).await;
                ticket.end(record);
            });
        }
        tokio::select! {
            () = under_way.all_ended() => {}
            left = self.commands.wait_for(|command| *command == Some(Command::Leave)) => drop(left),
        }
    }
}

/// Devices of this core that have started and not ended.
#[derive(Default)]
struct UnderWay {
    count: Cell<usize>,
    ended: Notify,
}

impl UnderWay {
    async fn all_ended(&self) {
        while self.count.get() > 0 {
            self.ended.notified().await;
        }
    }
}

/// Makes sure that every released device leaves a record, also one that is cut short.
struct Ticket {
    under_way: Rc<UnderWay>,
    cancelled: Option<Record>,
    conditions: Rc<Conditions>,
    recorder: Recorder,
}

impl Ticket {
    fn new(
        under_way: &Rc<UnderWay>,
        release: Release,
        conditions: &Rc<Conditions>,
        recorder: Recorder,
    ) -> Self {
        under_way.count.set(under_way.count.get() + 1);
        let cancelled = cancelled_record(release, conditions);
        Self {
            under_way: Rc::clone(under_way),
            cancelled: Some(cancelled),
            conditions: Rc::clone(conditions),
            recorder,
        }
    }

    fn end(mut self, record: Record) {
        self.cancelled = None;
        self.recorder.record(record);
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if let Some(mut record) = self.cancelled.take() {
            record.end_us = self.conditions.clock.now_us();
            self.recorder.record(record);
        }
        self.under_way.count.set(self.under_way.count.get() - 1);
        self.under_way.ended.notify_one();
    }
}

fn cancelled_record(release: Release, conditions: &Conditions) -> Record {
    let start_us = conditions.clock.now_us();
    Record {
        intended_start_us: u64::try_from(release.intended_start.as_micros()).unwrap_or(u64::MAX),
        start_us,
        registered_us: None,
        end_us: start_us,
        phases_us: [NOT_REACHED; Phase::ALL.len()],
        device: release.device,
        cohort: release.cohort,
        transport: release.transport as u8,
        attestation: conditions.habits(release.cohort).attestation,
        polls: 0,
        messages: 0,
        attempts: 1,
        throttled: 0,
        lost: 0,
        hub: None,
        outcome: Outcome::Cancelled,
    }
}
