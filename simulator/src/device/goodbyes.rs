//! Connections that devices have done with: closed in order, beside what the devices do next, so that no
//! good-bye is part of a time that is measured.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::spawn_local;
use tokio::time::timeout;

/// The good-byes of one core's devices.
#[derive(Debug)]
pub struct Goodbyes {
    places: Arc<Semaphore>,
    limit: Duration,
}

impl Goodbyes {
    /// None yet; at most so many at once, each of which may take as long as `limit`.
    pub fn new(most: usize, limit: Duration) -> Self {
        Self {
            places: Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS))),
            limit,
        }
    }

    /// Lets a connection be closed, in a task of its own. What comes while there are too many, or takes too
    /// long, is cut off.
    pub fn say(&self, closing: impl Future<Output = ()> + 'static) {
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
            return;
        };
        let closing = timeout(self.limit, closing);
        spawn_local(async move {
            // A peer that does not let go makes no difference.
            let _ = closing.await;
            drop(place);
        });
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::rc::Rc;

    use tokio::task::LocalSet;
    use tokio::time::{Instant, sleep};

    use super::*;

    const LIMIT: Duration = Duration::from_secs(60);

    #[tokio::test(start_paused = true)]
    async fn a_good_bye_holds_nobody_up_and_is_said_to_its_end() {
        LocalSet::new()
            .run_until(async {
                let goodbyes = Goodbyes::new(1, LIMIT);
                let link = Rc::new(());
                let closed = Rc::clone(&link);
                let began = Instant::now();
                goodbyes.say(async move {
                    sleep(Duration::from_secs(2)).await;
                    drop(closed);
                });
                assert_eq!(began.elapsed(), Duration::ZERO);
                assert_eq!(Rc::strong_count(&link), 2);
                sleep(Duration::from_secs(3)).await;
                assert_eq!(Rc::strong_count(&link), 1);
            })
            .await;
    }

    #[tokio::test(start_paused = true)]
    async fn good_byes_are_bounded_in_number_and_in_time() {
        LocalSet::new()
            .run_until(async {
                let goodbyes = Goodbyes::new(2, LIMIT);
                let link = Rc::new(());
                let endless = || {
                    let link = Rc::clone(&link);
                    async move {
                        pending::<()>().await;
                        drop(link);
                    }
                };
                for open in [1, 2, 2] {
                    goodbyes.say(endless());
                    assert_eq!(Rc::strong_count(&link), 1 + open);
                }
                sleep(LIMIT + Duration::from_millis(1)).await;
                assert_eq!(Rc::strong_count(&link), 1);
                goodbyes.say(endless());
                assert_eq!(Rc::strong_count(&link), 2, "there is room again");
            })
            .await;
    }
}
