//! Memory that a burst of connections has taken goes back to the machine once they are gone: the allocator
//! keeps it between what is still used, for the next burst that may never come.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::connection_limit::ConnectionLimit;

/// Between two looks.
const EVERY: Duration = Duration::from_secs(2);
/// Fewer leave too little behind to look for it.
const BURST: usize = 256;

/// Watches the connections until `stop` turns true.
pub(crate) async fn give_back(devices: Arc<ConnectionLimit>, mut stop: watch::Receiver<bool>) {
    // In its time it does not stop, and the sender's end is a stop as well.
    while tokio::time::timeout(EVERY, stop.wait_for(|stopped| *stopped))
        .await
        .is_err()
    {
        if devices.has_emptied(BURST) {
            // It takes its time, and serves nobody meanwhile. Without a thread it is for the next time.
            let thread = std::thread::Builder::new().name("memory".into());
            let _ = thread.spawn(trim);
        }
    }
}

#[cfg(target_env = "gnu")]
fn trim() {
    // SAFETY: it takes no pointer and may be called at any time, from any thread (malloc_trim(3)).
    #[expect(
        unsafe_code,
        reason = "no safe crate offers this call of the C library"
    )]
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Other allocators are left alone.
#[cfg(not(target_env = "gnu"))]
fn trim() {}
