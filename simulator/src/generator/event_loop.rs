//! How late a core's event loop is: a ticker beside the devices, in the same queue as they.

use std::cell::{Cell, RefCell};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use fleetstorm_reports::generator::{LoopLag, Stall};
use tokio::time::Instant;

use super::stamp::Stamped;
use crate::stopwatch::RunClock;

/// Between two ticks.
const TICK: Duration = Duration::from_millis(5);
const TICK_US: u64 = TICK.as_micros() as u64;
/// Timers are as exact as this: a tick that is no later is in time.
pub(super) const TIMER_GRAIN: Duration = Duration::from_millis(2);
const TIMER_GRAIN_US: u64 = TIMER_GRAIN.as_micros() as u64;
/// A tick is stamped before other timers of the same look, within this …
const ONE_TURN_US: u64 = 1_000;
/// … and after what came over connections, within this.
const ONE_LOOK_US: u64 = 10_000;
/// No device works longer at a time (an RSA operation takes a tenth of it): what is beyond, the core did
/// something else, or nothing.
const LONGEST_WORK_US: u64 = 20_000;

/// The event loop of one core, as its devices see it.
#[derive(Debug)]
pub struct EventLoop {
    clock: RunClock,
    lag: Arc<Mutex<LoopLag>>,
    tick: RefCell<Stamped>,
    /// When the next tick is due.
    due_us: Cell<u64>,
    /// When the loop looked at its events last, as far as a tick was among them, and how late that was.
    looked: Cell<(u64, u64)>,
    /// What devices have worked since, each bounded.
    worked_us: Cell<u64>,
}

impl EventLoop {
    /// One that has not ticked; what its ticks tell goes to `lag`.
    pub fn new(clock: RunClock, lag: Arc<Mutex<LoopLag>>) -> Self {
        Self {
            clock,
            lag,
            tick: RefCell::new(Stamped::new(clock)),
            due_us: Cell::new(0),
            looked: Cell::new((0, 0)),
            worked_us: Cell::new(0),
        }
    }

    /// The run's.
    pub fn clock(&self) -> RunClock {
        self.clock
    }

    /// A device begins to work; gives the time.
    pub fn begin(&self) -> u64 {
        self.look();
        self.clock.now_us()
    }

    /// A device that began then has worked; gives how much longer that took than work can take.
    pub fn end(&self, began_us: u64) -> u64 {
        let lasted_us = self.clock.now_us().saturating_sub(began_us);
        let worked_us = lasted_us.min(LONGEST_WORK_US);
        self.worked_us.set(self.worked_us.get() + worked_us);
        lasted_us - worked_us
    }

    /// The look at events that has woken a device then, if a tick was among them: when it was, and how long
    /// an event had waited for it, microseconds.
    pub fn look_at(&self, woken_us: u64) -> Option<(u64, u64)> {
        let (at_us, late_us) = self.looked.get();
        let its_own = woken_us.saturating_sub(ONE_TURN_US)..=woken_us + ONE_LOOK_US;
        its_own.contains(&at_us).then_some((at_us, late_us))
    }

    /// Ticks for as long as it is polled.
    pub fn ticks(self: Rc<Self>) -> Ticks {
        let due = Instant::now() + TICK;
        Ticks {
            next: Box::pin(tokio::time::sleep_until(due)),
            event_loop: self,
        }
    }

    /// Notices that the loop has looked at its events, once each time.
    fn look(&self) {
        let Some(woken_us) = self.tick.borrow().peek() else {
            return;
        };
        if woken_us == self.looked.get().0 {
            return;
        }
        let late_us = woken_us.saturating_sub(self.due_us.get() + TIMER_GRAIN_US);
        // While devices worked, events came at any time; while nothing went on, they came at its beginning:
        // answers take no longer because nobody is there to hear them.
        let worked_us = self.worked_us.take().min(late_us);
        self.looked.set((woken_us, late_us - worked_us / 2));
    }

    fn ticked(&self) {
        let due_us = self.due_us.get();
        let late_us = self.clock.now_us().saturating_sub(due_us);
        let mut lag = self.lag.lock().unwrap_or_else(PoisonError::into_inner);
        lag.add(Stall {
            from_us: due_us,
            to_us: due_us + late_us,
        });
    }
}

/// The ticker of a loop; never ends.
pub struct Ticks {
    next: Pin<Box<dyn Future<Output = ()>>>,
    event_loop: Rc<EventLoop>,
}

impl Future for Ticks {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let event_loop = &this.event_loop;
        let waker = event_loop.tick.borrow_mut().waker(context.waker());
        let mut context = Context::from_waker(&waker);
        loop {
            if this.next.as_mut().poll(&mut context).is_pending() {
                return Poll::Pending;
            }
            // The first time, nothing was due.
            if event_loop.due_us.get() > 0 {
                event_loop.look();
                event_loop.ticked();
            }
            // Counted from the look that woke it, not from its turn: what others did before it is what the next
            // look comes late by.
            let looked_us = event_loop.tick.borrow().take();
            let looked_us = looked_us.unwrap_or_else(|| event_loop.clock.now_us());
            event_loop.due_us.set(looked_us + TICK_US);
            let due = event_loop.clock.at(Duration::from_micros(looked_us) + TICK);
            this.next = if due > Instant::now() {
                Box::pin(tokio::time::sleep_until(due))
            } else {
                // Overdue: with the very next look.
                Box::pin(tokio::task::yield_now())
            };
        }
    }
}
