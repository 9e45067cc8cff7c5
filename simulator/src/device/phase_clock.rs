//! The times of one device: stamped as it goes, a record at the end.

use std::sync::Arc;
use std::time::Duration;

use fleetstorm_reports::record::{NOT_REACHED, RecordedDevice};
use fleetstorm_reports::{Outcome, Phase, Record};
use fleetstorm_scenarios::Release;

use super::counters::DeviceCounters;
use crate::generator::delay::Delay;
use crate::link::LinkError;
use crate::stopwatch::RunClock;

/// One device's times.
#[derive(Debug)]
pub struct PhaseClock {
    clock: RunClock,
    delay: Delay,
    /// What the delay was when the device started.
    delayed_before_us: u64,
    counts: Arc<DeviceCounters>,
    record: Record,
    phase: Phase,
    /// When the running phase began; `None` between phases.
    entered_us: Option<u64>,
    /// Registrations that the service may be at, or may have ended with a hub, of which the device has not heard.
    under_way: u16,
}

impl PhaseClock {
    /// The device starts now; of which attestation and instance, as indices in the run's dimensions. `delay`
    /// is counted by its task; what happens to it is counted in `counts` as it happens.
    pub fn start(
        clock: RunClock,
        delay: Delay,
        counts: Arc<DeviceCounters>,
        release: Release,
        (attestation, tenant): (u8, u8),
    ) -> Self {
        let start_us = clock.now_us();
        let intended_start_us =
            u64::try_from(release.intended_start.as_micros()).unwrap_or(u64::MAX);
        let mut phases_us = [NOT_REACHED; Phase::ALL.len()];
        phases_us[Phase::Queue as usize] = clamp(start_us.saturating_sub(intended_start_us));
        let of = RecordedDevice {
            device: release.device,
            cohort: release.cohort,
            transport: release.transport as u8,
            attestation,
            region: release.region,
            tenant,
        };
        // A release is never early: the clock may have been read a moment before.
        let start = start_us.max(intended_start_us);
        let record = Record {
            end_us: start_us,
            added_us: NOT_REACHED,
            phases_us,
            ..Record::new(of, intended_start_us, start, Outcome::Cancelled)
        };
        Self {
            clock,
            delayed_before_us: delay.us(),
            delay,
            counts,
            record,
            phase: Phase::Queue,
            entered_us: None,
            under_way: 0,
        }
    }

    /// The running phase, or the last one.
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// Ends the running phase and begins `phase`; goes on with it if it is the running one.
    pub fn enter(&mut self, phase: Phase) {
        if self.phase == phase && self.entered_us.is_some() {
            return;
        }
        let now_us = self.end_phase();
        if Phase::AFTER.contains(&phase) {
            self.account();
        }
        self.phase = phase;
        self.entered_us = Some(now_us);
    }

    /// Ends the running phase.
    pub fn leave(&mut self) {
        self.end_phase();
        self.entered_us = None;
    }

    /// A hub was assigned: registration is over.
    pub fn registered(&mut self, hub: Option<u16>) {
        self.heard_of_registration();
        self.leave();
        self.record.registered_us = Some(self.clock.now_us());
        self.record.added_to_registration_us = self.added_us();
        self.record.hub = hub;
    }

    /// Is about to ask once more how it stands.
    pub fn polls(&mut self) {
        self.record.polls = self.record.polls.saturating_add(1);
    }

    /// Has asked to be registered: whatever it hears, that may have begun.
    pub fn asked_for_registration(&mut self) {
        self.under_way = self.under_way.saturating_add(1);
    }

    /// Has heard how one registration ended, or that it never began.
    pub fn heard_of_registration(&mut self) {
        self.under_way = self.under_way.saturating_sub(1);
    }

    /// Hubs that the service may have assigned, for it does so whether it is polled or not, and of which the
    /// device has not heard.
    pub fn unheard_assignments(&self) -> u16 {
        self.under_way
    }

    /// The hub has acknowledged one more message.
    pub fn sent(&mut self) {
        self.record.messages = self.record.messages.saturating_add(1);
    }

    /// It failed, and tries once more.
    pub fn tries_again(&mut self) {
        self.record.attempts = self.record.attempts.saturating_add(1);
        self.counts.retries.add();
    }

    /// It was told that it came too often.
    pub fn throttled(&mut self) {
        self.record.throttled = self.record.throttled.saturating_add(1);
        self.counts.throttled.add();
    }

    /// A link could not be opened, or broke.
    pub fn failed(&mut self, error: LinkError) {
        match error {
            LinkError::Refused { status: 429 } => self.throttled(),
            LinkError::Refused { .. } => {}
            LinkError::Broken(_) => {
                self.record.lost = self.record.lost.saturating_add(1);
                self.counts.lost.add();
            }
        }
    }

    /// Waits because it was told to.
    pub async fn sleep(&self, wait: Duration) {
        self.delay.sleep(wait).await;
    }

    /// Since it started.
    pub fn elapsed(&self) -> Duration {
        let now_us = self.clock.now_us();
        Duration::from_micros(now_us.saturating_sub(self.record.start_us))
    }

    /// Waits so far, between polls and after failures.
    pub fn waits(&self) -> u32 {
        u32::from(self.record.attempts) + u32::from(self.record.polls)
    }

    /// The device ended. A phase that was not completed does not count.
    pub fn end(mut self, outcome: Outcome) -> Record {
        self.account();
        self.record.end_us = self.clock.now_us();
        self.record.outcome = outcome;
        self.record
    }

    /// Provisioning is over, one way or the other: what is added from here on is no part of it.
    fn account(&mut self) {
        if self.record.added_us == NOT_REACHED {
            self.record.added_us = self.added_us();
        }
    }

    /// What the generator has added so far, since the device was due.
    fn added_us(&self) -> u32 {
        let queue_us = u64::from(self.record.phases_us[Phase::Queue as usize]);
        clamp(queue_us + self.delay.us() - self.delayed_before_us)
    }

    fn end_phase(&mut self) -> u64 {
        let now_us = self.clock.now_us();
        if let Some(entered_us) = self.entered_us {
            // A phase can be entered again: what came between is another's.
            let spent = &mut self.record.phases_us[self.phase as usize];
            let before = if *spent == NOT_REACHED { 0 } else { *spent };
            *spent = clamp(u64::from(before) + now_us.saturating_sub(entered_us));
        }
        now_us
    }
}

/// Microseconds in 32 bits: more than an hour in one phase is shown as that hour.
fn clamp(us: u64) -> u32 {
    u32::try_from(us).unwrap_or(u32::MAX).min(NOT_REACHED - 1)
}
