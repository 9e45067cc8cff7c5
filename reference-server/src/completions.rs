//! Ends operations whose time is over, whether or not their devices ask: on a thread of its own, some
//! together, so that a device that polls in time finds its own thread at it and nobody waits for this one.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::watch;
use tokio::task::{LocalSet, yield_now};
use tokio::time::sleep;

use crate::error::ServeError;
use crate::service::Service;
use crate::service::instances::Instances;

/// Those that end within it end together.
const TOGETHER: Duration = Duration::from_millis(10);
/// Longest wait for an end that is foreseen: a clock that is set forward brings it nearer.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// Starts the thread; it ends when `stop` turns true.
///
/// # Errors
/// A thread can't be had.
pub(crate) fn start(
    instances: &Instances,
    mut stop: watch::Receiver<bool>,
) -> Result<JoinHandle<()>, ServeError> {
    let services: Vec<_> = instances.all().map(Arc::clone).collect();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let completing = move || {
        let tasks = LocalSet::new();
        for service in services {
            tasks.spawn_local(async move { complete(&service, Timestamp::now).await });
        }
        tasks.block_on(&runtime, async {
            // The sender's end is a stop as well.
            let _ = stop.wait_for(|stopped| *stopped).await;
        });
    };
    let thread = std::thread::Builder::new().name("completions".into());
    Ok(thread.spawn(completing)?)
}

/// Ends the operations of an instance as their times come, for ever.
pub(crate) async fn complete(service: &Service, now: impl Fn() -> Timestamp) {
    loop {
        service.complete_ended(now());
        match service.next_end() {
            None => service.next_end_changed().await,
            // More are at their end than are ended in one go.
            Some(next) if next <= now() => {
                yield_now().await;
                continue;
            }
            Some(next) => {
                let wait = Duration::try_from(next.duration_since(now())).unwrap_or_default();
                tokio::select! {
                    () = sleep(wait.min(LONGEST_WAIT)) => {}
                    () = service.next_end_changed() => {}
                }
            }
        }
        sleep(TOGETHER).await;
    }
}
