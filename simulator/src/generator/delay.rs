//! How long a device was ready to go on and did not get its core.

use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use super::event_loop::EventLoop;
use super::stamp::Stamped;

/// What the generator has added to one device so far, microseconds. Copies count together.
#[derive(Debug, Clone, Default)]
pub struct Delay {
    added_us: Rc<Cell<u64>>,
}

impl Delay {
    /// So far.
    pub fn us(&self) -> u64 {
        self.added_us.get()
    }

    fn add(&self, us: u64) {
        self.added_us.set(self.added_us.get().saturating_add(us));
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
            let waited_us = began_us.saturating_sub(woken_us);
            this.delay
                .add(waited_us + this.event_loop.looked_late_us(woken_us));
        }
        let mut context = Context::from_waker(&waker);
        let polled = this.device.as_mut().poll(&mut context);
        this.delay.add(this.event_loop.end(began_us));
        polled
    }
}
