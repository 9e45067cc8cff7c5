//! When a threshold is judged, and what follows from it.

use std::fmt;
use std::time::Duration;

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use super::condition::Comparison;
use super::subject::Subject;

/// What a time scale may have done to durations that were equal.
const ROUNDING: Duration = Duration::from_micros(1);

/// The terms of one threshold; by default it is judged over the whole run, at its end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// It must hold in every stretch of this length.
    pub window: Option<Duration>,
    /// It is about devices that end from the first of these moments to the second, since the start.
    pub between: Option<(Duration, Duration)>,
    /// Whether the run stops as soon as it is crossed (k6's `abortOnFail`).
    pub abort: bool,
    /// Stops no run before (k6's `delayAbortEval`).
    pub after: Option<Duration>,
    /// Says nothing of fewer samples: of latencies, or of devices.
    pub samples: Option<u64>,
}

impl Terms {
    /// What can't be judged so, and why.
    ///
    /// # Errors
    /// For people.
    pub(super) fn fit(
        &self,
        subject: Subject,
        comparison: Comparison,
        in_a_cut: bool,
    ) -> Result<(), String> {
        let in_a_part = self.window.is_some() || self.between.is_some() || in_a_cut;
        if in_a_part && !subject.is_of_records() {
            return Err(format!(
                "{subject} is counted for the whole run and all devices: it has no tags, window or between"
            ));
        }
        if let Some((from, to)) = self.between {
            if from >= to {
                return Err("between has to end after it begins".into());
            }
            let is_longer = |window| window > to - from + ROUNDING;
            if self.window.is_some_and(is_longer) {
                return Err("the window is longer than the part of the run in between".into());
            }
        }
        if self.after.is_some() && !self.abort {
            return Err(
                "after says how long no run is stopped: it goes with abort = true; what is judged of a run, between says"
                    .into(),
            );
        }
        let waits = subject.only_grows() && comparison.asks_for_more();
        if self.abort && self.window.is_none() && waits {
            return Err(format!(
                "{subject} may grow until it holds, so that no run can be stopped for it: leave abort out, or judge a window"
            ));
        }
        Ok(())
    }
}

impl fmt::Display for Terms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(window) = self.window {
            write!(f, " in every {}", written(window))?;
        }
        if let Some((from, to)) = self.between {
            write!(f, " from {} to {}", written(from), written(to))?;
        }
        Ok(())
    }
}

/// Like `1m 30s`.
fn written(duration: Duration) -> String {
    SignedDuration::try_from(duration)
        .map_or_else(|_| format!("{duration:?}"), |signed| format!("{signed:#}"))
}
