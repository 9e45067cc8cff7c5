//! Syncs a journal to the disk for all who wait for that at once.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::Instant;

use fjall::{Database, PersistMode};
use tokio::sync::watch;

use super::reached::Reached;

/// A thread that syncs when something was written.
pub(super) struct Syncing {
    /// Writes so far.
    written: Arc<AtomicU64>,
    /// How many of them are on the disk; none more once the thread is gone.
    synced: watch::Receiver<u64>,
    /// Why there are none after these.
    failure: Arc<OnceLock<fjall::Error>>,
    /// Holds one wake-up at most: the thread then looks at how much there is.
    wake: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Syncing {
    pub(super) fn start(database: Database, mut reached: Reached) -> io::Result<Self> {
        let written = Arc::new(AtomicU64::new(0));
        let (tell, synced) = watch::channel(0);
        let (wake, woken) = sync_channel(1);
        let thread = std::thread::Builder::new().name("store-sync".into());
        let failure = Arc::new(OnceLock::new());
        let (counted, failed) = (Arc::clone(&written), Arc::clone(&failure));
        let work = move || {
            if let Err(error) = sync(&database, &mut reached, &woken, &counted, &tell) {
                // It is the only one that sets it.
                let _ = failed.set(error);
            }
        };
        let thread = thread.spawn(work)?;
        Ok(Self {
            written,
            synced,
            failure,
            wake: Some(wake),
            thread: Some(thread),
        })
    }

    /// There is something to sync.
    pub(super) fn written(&self) {
        self.written.fetch_add(1, Ordering::Release);
        if let Some(wake) = &self.wake {
            // It is awake already, or gone: then whoever waits is told.
            let _ = wake.try_send(());
        }
    }

    /// Waits until all that was written until now is on the disk.
    ///
    /// # Errors
    /// A sync has failed: there are none after it.
    pub(super) async fn synced(&self) -> Result<(), &fjall::Error> {
        let until = self.written.load(Ordering::Acquire);
        let mut synced = self.synced.clone();
        match synced.wait_for(|synced| *synced >= until).await {
            Ok(_) => Ok(()),
            Err(_) => Err(self.failure.get().unwrap_or(&fjall::Error::Poisoned)),
        }
    }
}

#[cfg(test)]
impl Syncing {
    /// Writes that are not on the disk yet.
    pub(super) fn unsynced(&self) -> u64 {
        self.written.load(Ordering::Acquire) - *self.synced.borrow()
    }
}

/// Rests for as long as it has worked: while it works, nobody can write.
fn sync(
    database: &Database,
    reached: &mut Reached,
    woken: &Receiver<()>,
    written: &AtomicU64,
    tell: &watch::Sender<u64>,
) -> fjall::Result<()> {
    while woken.recv().is_ok() {
        let until = written.load(Ordering::Acquire);
        let began = Instant::now();
        // Where that can't be read or written, what is missing later is missed less: nothing is lost by it.
        let is_known = reached.go_on().is_ok();
        database.persist(PersistMode::SyncData)?;
        if is_known {
            let _ = reached.write_down();
        }
        tell.send_replace(until);
        std::thread::sleep(began.elapsed());
    }
    Ok(())
}

impl Drop for Syncing {
    fn drop(&mut self) {
        self.wake = None;
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has nothing left to sync.
            let _ = thread.join();
        }
    }
}
