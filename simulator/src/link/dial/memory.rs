//! A network in memory, for tests in virtual time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use fleetstorm_reports::Fault;
use tokio::io::{DuplexStream, duplex};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::link::shaped::Shaped;

/// What a socket takes before its peer has read it.
const SOCKET: usize = 16 * 1024;

/// A connection, and the port that it is to.
pub type Incoming = (u16, DuplexStream);

/// It leads everybody to the same service, whatever the address.
#[derive(Debug, Clone)]
pub struct Network {
    incoming: UnboundedSender<Incoming>,
    is_down: Arc<AtomicBool>,
}

impl Network {
    /// One, and what the service has of it.
    pub fn new() -> (Self, UnboundedReceiver<Incoming>) {
        let (incoming, listener) = unbounded_channel();
        let network = Self {
            incoming,
            is_down: Arc::default(),
        };
        (network, listener)
    }

    /// Whether nobody gets through from now on.
    pub fn set_down(&self, is_down: bool) {
        self.is_down.store(is_down, Ordering::Relaxed);
    }

    /// A connection to `port`.
    pub(super) fn connect(&self, port: u16) -> Result<Shaped, Fault> {
        let (ours, theirs) = duplex(SOCKET);
        if self.is_down.load(Ordering::Relaxed) || self.incoming.send((port, theirs)).is_err() {
            return Err(Fault::ConnectionRefused);
        }
        Ok(Shaped::InMemory(ours))
    }
}
