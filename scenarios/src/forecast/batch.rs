//! Devices that do the same at the same time, followed as one; they part when not all are let in.

use std::time::Duration;

use fleetstorm_protocol::attestation::TransportKind;
use fleetstorm_protocol::quota::Window;

use crate::cohort::Cohort;
use crate::plan::{Plan, Schedule};

/// What a batch turns to next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BatchState {
    /// Connects to DPS.
    Connect,
    /// Asks to be registered.
    Register,
    /// Asks how its assignment stands.
    Poll,
    /// Connects to its hub, and reads its twin.
    Join,
    /// Has its twin.
    Provisioned,
    /// Goes to the hub that it knows, after it has booted.
    Rejoin,
    /// Stays with its hub.
    Held,
    /// Has given up, or was refused.
    Failed,
    /// Has run out of the time that a device has.
    TimedOut,
}

/// Devices of one cohort over one transport, in the same state.
#[derive(Debug, Clone)]
pub(super) struct Batch {
    pub(super) devices: u32,
    pub(super) cohort: u16,
    /// Index of the instance that it belongs to.
    pub(super) tenant: u8,
    pub(super) transport: TransportKind,
    /// Index of the region that it is in.
    pub(super) region: Option<u8>,
    pub(super) stage: BatchState,
    /// When it was due; of devices that go back to DPS, what made them go.
    pub(super) due_us: u64,
    /// When it starts; its time counts from then.
    pub(super) start_us: u64,
    /// Until when it stays with its hub, once it has one.
    pub(super) until_us: u64,
    /// When it goes back to DPS by itself; 0 until it stays with its hub.
    pub(super) round_us: u64,
    /// Whether it was provisioned before, and goes back to DPS.
    pub(super) again: bool,
    /// Its first question to DPS.
    pub(super) first_us: u64,
    /// When its assignment is there.
    pub(super) assigned_us: u64,
    /// Failures in a row.
    pub(super) failures: u32,
    /// Whether it was ever turned away.
    pub(super) throttled: bool,
    /// The polls of each of its devices.
    pub(super) polls: Window,
}

impl Batch {
    /// It was with its hub, and turns elsewhere at `then_us`, for a reason that came at `due_us`.
    pub(super) fn goes_back(&mut self, to: BatchState, due_us: u64, then_us: u64) {
        self.stage = to;
        self.due_us = due_us;
        self.start_us = then_us;
        self.failures = 0;
        self.throttled = false;
        self.again = true;
    }
}

/// A plan's devices as batches, in order of their start.
pub(super) struct Arrivals<'plan> {
    schedule: Schedule<'plan>,
    /// Devices of each cohort, how many a batch has, and whose they are.
    cohorts: Vec<(u64, u64, u8)>,
}

impl<'plan> Arrivals<'plan> {
    /// At most `most` batches, but for some more where cohorts are small: of those that come at their time.
    pub(super) fn new(plan: &'plan Plan, most: u64) -> Self {
        Self::of(plan, most, |cohort| cohort.load.open().is_some())
    }

    /// The same of one cohort.
    pub(super) fn of_cohort(plan: &'plan Plan, most: u64, one: &Cohort) -> Self {
        Self::of(plan, most, |cohort| cohort.name == one.name)
    }

    fn of(plan: &'plan Plan, most: u64, asked: impl Fn(&Cohort) -> bool) -> Self {
        let share = plan.devices().div_ceil(most.max(1)).max(1);
        // A small cohort beside a large one is followed as closely as a hundredth of all.
        let least = (most / 100).max(1);
        let size = move |cohort: &Cohort| {
            let size = share.min(cohort.devices.div_ceil(least));
            // Of a closed load, a batch is a tenth of those under way.
            let closed = cohort.load.closed();
            let most = closed.map_or(u64::MAX, |load| u64::from(load.concurrency()).div_ceil(10));
            size.min(most).max(1)
        };
        let cohorts = plan.scenario().cohorts.iter();
        Self {
            schedule: plan.sample(size, asked),
            cohorts: cohorts
                .map(|cohort| (cohort.devices, size(cohort), cohort.tenant))
                .collect(),
        }
    }

    /// Devices in the largest batch.
    pub(super) fn largest(&self) -> u64 {
        self.cohorts
            .iter()
            .map(|(_, size, _)| *size)
            .max()
            .unwrap_or(1)
    }
}

impl Iterator for Arrivals<'_> {
    type Item = Batch;

    fn next(&mut self) -> Option<Batch> {
        let release = self.schedule.next()?;
        let (devices, size, tenant) = self.cohorts[usize::from(release.cohort)];
        let middle = u64::from(release.device);
        let is_last = middle + size >= devices;
        let batch = if is_last {
            devices - middle / size * size
        } else {
            size
        };
        let due_us = micros(release.intended_start);
        Some(Batch {
            devices: u32::try_from(batch).expect("a cohort has at most u32::MAX devices"),
            cohort: release.cohort,
            tenant,
            transport: release.transport,
            region: release.region,
            stage: BatchState::Connect,
            due_us,
            start_us: due_us,
            until_us: 0,
            round_us: 0,
            again: false,
            first_us: due_us,
            assigned_us: 0,
            failures: 0,
            throttled: false,
            polls: Window::default(),
        })
    }
}

/// Whole microseconds.
pub(super) fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
