//! How long a device was ready to go on and did not get its core.

use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::time::Instant;

use super::event_loop::{EventLoop, TIMER_GRAIN};
use super::stamp::Stamped;

/// What the generator has added to one device so far, microseconds. Copies count together.
#[derive(Debug, Clone, Default)]
pub struct Delay {
    added_us: Rc<Cell<u64>>,
    /// The look of its event loop that it has been told of: one that was late delays a device once.
    look_us: Rc<Cell<u64>>,
    event_loop: Option<Rc<EventLoop>>,
}

impl Delay {
    /// Of a device on this loop.
    pub fn on(event_loop: Rc<EventLoop>) -> Self {
        Self {
            added_us: Rc::default(),
            look_us: Rc::default(),
            event_loop: Some(event_loop),
        }
    }

    /// So far.
    pub fn us(&self) -> u64 {
        self.added_us.get()
    }

    /// Sleeps for `wait`. While a device wants nothing but to sleep, nobody keeps it waiting, whatever wakes
    /// it: what is added is how much later it goes on.
    pub async fn sleep(&self, wait: Duration) {
        let before_us = self.us();
        let until = Instant::now() + wait;
        tokio::time::sleep_until(until).await;
        let late = until.elapsed().as_micros();
        let late_us = u64::try_from(late).unwrap_or(u64::MAX);
        self.added_us.set(before_us.saturating_add(late_us));
    }

    /// Something that the device waits for was due so long ago. Timers are not exact.
    pub fn late(&self, by: Duration) {
        let late = by.saturating_sub(TIMER_GRAIN).as_micros();
        self.add(u64::try_from(late).unwrap_or(u64::MAX));
    }

    /// It was woken then and goes on now.
    fn waited(&self, event_loop: &EventLoop, woken_us: u64, now_us: u64) {
        self.add(now_us.saturating_sub(woken_us));
        if let Some((at_us, late_us)) = event_loop.look_at(woken_us)
            && self.look_us.replace(at_us) != at_us
        {
            self.add(late_us);
        }
    }

    fn add(&self, us: u64) {
        self.added_us.set(self.added_us.get().saturating_add(us));
    }
}

/// What comes for a device in another task than its own, which has to wait for its core as well.
#[derive(Debug)]
pub struct Incoming {
    delay: Delay,
    stamped: Option<Stamped>,
}

impl Incoming {
    /// What is added is the device's.
    pub fn new(delay: Delay) -> Self {
        let event_loop = delay.event_loop.as_ref();
        Self {
            stamped: event_loop.map(|event_loop| Stamped::new(event_loop.clock())),
            delay,
        }
    }

    /// What wakes the task when something comes, and nothing else.
    pub fn waker(&mut self, task: &Waker) -> Waker {
        let stamped = self.stamped.as_mut();
        stamped.map_or_else(|| task.clone(), |stamped| stamped.waker(task))
    }

    /// The task has taken what has come.
    pub fn taken(&mut self) {
        let (Some(stamped), Some(event_loop)) = (&self.stamped, &self.delay.event_loop) else {
            return;
        };
        if let Some(woken_us) = stamped.take() {
            self.delay.waited(event_loop, woken_us, event_loop.begin());
        }
    }
}

/// A device's task that measures its own [`Delay`].
pub struct Delayed<F> {
    device: Pin<Box<F>>,
    delay: Delay,
    event_loop: Rc<EventLoop>,
    stamped: Stamped,
}

impl<F: Future<Output = ()>> Delayed<F> {
    /// Measures `device` while it is polled on `event_loop`.
    pub fn new(device: F, delay: Delay, event_loop: Rc<EventLoop>) -> Self {
        Self {
            device: Box::pin(device),
            delay,
            stamped: Stamped::new(event_loop.clock()),
            event_loop,
        }
    }
}

impl<F: Future<Output = ()>> Future for Delayed<F> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let began_us = this.event_loop.begin();
        let waker = this.stamped.waker(context.waker());
        if let Some(woken_us) = this.stamped.take() {
            this.delay.waited(&this.event_loop, woken_us, began_us);
        }
        let mut context = Context::from_waker(&waker);
        let polled = this.device.as_mut().poll(&mut context);
        this.delay.add(this.event_loop.end(began_us));
        polled
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tokio::task::LocalSet;

    use super::*;
    use crate::stopwatch::RunClock;

    const NAP: Duration = Duration::from_millis(10);
    const WORK: Duration = Duration::from_millis(60);

    fn event_loop() -> Rc<EventLoop> {
        let clock = RunClock::starting_at(Instant::now());
        Rc::new(EventLoop::new(clock, Arc::new(Mutex::default())))
    }

    async fn run(device: impl Future<Output = ()>, delay: &Delay, event_loop: &Rc<EventLoop>) {
        Delayed::new(device, delay.clone(), Rc::clone(event_loop)).await;
    }

    #[tokio::test]
    async fn who_is_ready_and_waits_for_another_is_delayed() {
        let devices = LocalSet::new();
        let event_loop = event_loop();
        let delay = Delay::default();
        let (waits, its_loop) = (delay.clone(), Rc::clone(&event_loop));
        devices.spawn_local(event_loop.ticks());
        devices.spawn_local(async {
            tokio::time::sleep(NAP).await;
            std::thread::sleep(WORK);
        });
        let due = Instant::now() + 2 * NAP;
        let late = Rc::new(Cell::new(0));
        let measured = Rc::clone(&late);
        let device = async move {
            tokio::time::sleep_until(due).await;
            // On a slow machine the other one works now.
            tokio::task::yield_now().await;
            measured.set(u64::try_from(due.elapsed().as_micros()).unwrap_or(u64::MAX));
        };
        let device = async move { run(device, &waits, &its_loop).await };
        devices.run_until(device).await;
        let (us, late_us) = (delay.us(), late.get());
        assert!(
            us >= late_us / 2 && us <= late_us * 3 / 2,
            "{us} of {late_us}"
        );
    }

    #[tokio::test]
    async fn who_sleeps_is_delayed_by_what_the_sleep_is_too_long() {
        let delay = Delay::default();
        delay.add(7);
        delay.sleep(NAP).await;
        assert!(delay.us() >= 7, "{}", delay.us());
        let before = delay.us();
        let (asleep, awake) = (delay.clone(), delay.clone());
        // What it is woken for in between keeps nobody waiting.
        tokio::join!(asleep.sleep(WORK), async { awake.add(10_000_000) });
        let us = delay.us() - before;
        assert!(us < 1_000_000, "{us}");
    }
}
