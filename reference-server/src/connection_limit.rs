//! How many connections may be open at once: of devices as many as the configuration allows and there are
//! files for, at the control endpoint the newest.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use procfs::process::Process;
use rlimit::Resource;

use crate::config::Config;
use crate::error::ServeError;
use crate::fault::kill_switch::KillSwitch;

/// Connections to the control endpoint at once.
const CONTROL_PLACES: usize = 64;
/// Files that a data folder may have open: sorted ones, journals, and those being written.
const STORE_FILES: usize = 128;
/// Files of a thread: its runtime, and a connection that finds no place.
const THREAD_FILES: usize = 8;
/// Files that nobody has thought of.
const OTHER_FILES: usize = 32;

/// Places for connections that may be open at once.
pub(crate) struct ConnectionLimit {
    taken: AtomicUsize,
    /// Most that were taken at once, since a burst was over.
    most: AtomicUsize,
    places: usize,
}

/// One of them.
pub(crate) struct Permit {
    room: Arc<ConnectionLimit>,
}

impl ConnectionLimit {
    /// Empty, for devices: what else needs files is never short of them. WebhookOutcome once all ports are open.
    ///
    /// # Errors
    /// There are no files for devices.
    pub(crate) fn for_devices(config: &Config, threads: usize) -> Result<Arc<Self>, ServeError> {
        let places = match files() {
            None => config.max_connections,
            Some((most, open)) => {
                let kept = kept_back(config, threads);
                let a_connection = if config.record_dir.is_some() { 2 } else { 1 };
                let places = most.saturating_sub(open + kept) / a_connection;
                if places == 0 {
                    return Err(ServeError::Config {
                        key: "max-connections",
                        problem: format!(
                            "this process may have {most} files open, of which {} are no connection's: raise that limit (ulimit -n)",
                            open + kept
                        ),
                    });
                }
                places
            }
        };
        if places < config.max_connections {
            // Nobody may read it.
            let _ = writeln!(
                io::stderr(),
                "max-connections is {}, and there are files for {places}: no more are open at once; raise the limit of open files (ulimit -n) for more",
                config.max_connections
            );
        }
        Ok(Arc::new(Self {
            taken: AtomicUsize::new(0),
            most: AtomicUsize::new(0),
            places: places.min(config.max_connections),
        }))
    }

    /// Whether a burst is over: at least `burst` places were taken, and half of them are free again. It is
    /// told of once.
    pub(crate) fn has_emptied(&self, burst: usize) -> bool {
        let (most, taken) = (&self.most, self.taken.load(Ordering::Relaxed));
        let highest = most.load(Ordering::Relaxed);
        let has_emptied = highest >= burst && taken <= highest / 2;
        if has_emptied {
            most.store(taken, Ordering::Relaxed);
        }
        has_emptied
    }

    /// A place, until it is dropped; none when all are taken.
    pub(crate) fn take(self: &Arc<Self>) -> Option<Permit> {
        let place = Permit {
            room: Arc::clone(self),
        };
        let before = self.taken.fetch_add(1, Ordering::Relaxed);
        self.most.fetch_max(before + 1, Ordering::Relaxed);
        (before < self.places).then_some(place)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.room.taken.fetch_sub(1, Ordering::Relaxed);
    }
}

/// How many files this process may have open, and has; nothing where the machine does not tell.
fn files() -> Option<(usize, usize)> {
    let most = Resource::NOFILE.get_soft().ok()?;
    let open = Process::myself().and_then(|process| process.fd_count());
    Some((usize::try_from(most).unwrap_or(usize::MAX), open.ok()?))
}

fn kept_back(config: &Config, threads: usize) -> usize {
    let store = config.data_dir.as_ref().map_or(0, |_| STORE_FILES);
    let threads = threads.saturating_mul(THREAD_FILES);
    let others = CONTROL_PLACES + store + OTHER_FILES;
    others
        .saturating_add(threads)
        .saturating_add(config.webhook.concurrent)
}

/// Connections to the control endpoint, oldest first. The newest is served at the oldest's cost: requests
/// that nobody finishes hide from nobody how the server is.
#[derive(Default)]
pub(crate) struct Newest(VecDeque<Weak<KillSwitch>>);

impl Newest {
    /// Lets one in.
    pub(crate) fn admit(&mut self, line: &Arc<KillSwitch>) {
        self.0.retain(|line| line.strong_count() > 0);
        if self.0.len() >= CONTROL_PLACES
            && let Some(oldest) = self.0.pop_front().and_then(|line| line.upgrade())
        {
            oldest.drop_it();
        }
        self.0.push_back(Arc::downgrade(line));
    }
}
