//! When a task was woken.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Wake, Waker};

use crate::stopwatch::RunClock;

/// Wakes a task, and notes when.
#[derive(Debug)]
pub struct Stamped {
    clock: RunClock,
    current: Option<Arc<Stamp>>,
}

#[derive(Debug)]
struct Stamp {
    clock: RunClock,
    /// Microseconds since the start of the run, plus one; zero while nobody has woken it.
    woken: AtomicU64,
    task: Waker,
}

impl Stamped {
    /// Nobody has woken it.
    pub fn new(clock: RunClock) -> Self {
        Self {
            clock,
            current: None,
        }
    }

    /// What wakes `task` and notes the time.
    pub fn waker(&mut self, task: &Waker) -> Waker {
        let current = self.current.take();
        let stamp = match current {
            Some(stamp) if stamp.task.will_wake(task) => stamp,
            moved => Arc::new(Stamp {
                clock: self.clock,
                woken: AtomicU64::new(moved.map_or(0, |stamp| stamp.woken.load(Ordering::Relaxed))),
                task: task.clone(),
            }),
        };
        self.current = Some(Arc::clone(&stamp));
        Waker::from(stamp)
    }

    /// When it was woken first since this was asked last, microseconds since the run's start.
    pub fn take(&self) -> Option<u64> {
        let stamp = self.current.as_ref()?;
        stamp.woken.swap(0, Ordering::Relaxed).checked_sub(1)
    }

    /// The same without forgetting it.
    pub fn peek(&self) -> Option<u64> {
        let stamp = self.current.as_ref()?;
        stamp.woken.load(Ordering::Relaxed).checked_sub(1)
    }
}

impl Wake for Stamp {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let now = self.clock.now_us().saturating_add(1);
        // Woken twice before it is polled: it has waited since the first time.
        let _ = self
            .woken
            .compare_exchange(0, now, Ordering::Relaxed, Ordering::Relaxed);
        self.task.wake_by_ref();
    }
}
