//! How devices come back to their hub: the SDKs' own retry policies, by their defaults, read from
//! their sources. `n` is the number of failures in a row.
//!
//! | profile | wait | limit |
//! |---|---|---|
//! | `sdk-node` | 100 ms + (2^(n-1) - 1) x 0 to 25 ms, at most 10 s; after 429 10 s + (2^(n-1) - 1) x 0 to 1.25 s, at most 1 min | 4 min |
//! | `sdk-c` | none, then 1 s doubled up to 30 s, and up to 5 % of it by chance, whole seconds | |
//! | `sdk-csharp`, `edge` | 100 ms + (2^(n-1) - 1) x 80 to 120 ms, at most 10 s | 4 min |
//! | `sdk-java` | none, then as `sdk-csharp` | 4 min |
//! | `sdk-python` | 10 s | |
//!
//! Node: `common/core/src/retry_policy.ts`; C: `iothub_client_retry_control.c`; .NET:
//! `ExponentialBackoffRetryStrategy.cs` (IoT Edge is built on it); Java:
//! `ExponentialBackoffWithJitter.java`; Python: `connection_retry_interval`. A hub tells no
//! `Retry-After` when it refuses a connection.

use std::time::Duration;

use super::profile::{RetryProfile, Setback, Situation};
use super::wait::{SECOND, TWO_SECONDS, part, well_behaved};

/// `maxOperationTimeout` of Node, `OperationTimeoutInMilliseconds` of .NET, Java's operation timeout.
const OPERATION_LIMIT: Duration = Duration::from_secs(240);
const TEN_SECONDS: Duration = Duration::from_secs(10);
/// Doublings after which every ceiling is reached.
const MOST_DOUBLINGS: u32 = 16;

/// Milliseconds of an exponential backoff.
struct Backoff {
    least: u32,
    /// What is multiplied: from here ...
    from: f64,
    /// ... to here.
    to: f64,
    most: u32,
}

const NODE: Backoff = Backoff {
    least: 100,
    from: 0.0,
    to: 25.0,
    most: 10_000,
};
const NODE_THROTTLED: Backoff = Backoff {
    least: 10_000,
    from: 0.0,
    to: 1_250.0,
    most: 60_000,
};
const CSHARP: Backoff = Backoff {
    least: 100,
    from: 80.0,
    to: 120.0,
    most: 10_000,
};

/// How long to wait before the hub is sought again.
pub(super) fn wait(profile: RetryProfile, now: Situation) -> Duration {
    match profile {
        RetryProfile::Patient => TWO_SECONDS,
        RetryProfile::SdkNode if now.setback == Setback::Status(429) => NODE_THROTTLED.wait(now),
        RetryProfile::SdkNode => NODE.wait(now),
        RetryProfile::SdkPython => TEN_SECONDS,
        RetryProfile::SdkC | RetryProfile::SdkJava if now.failures <= 1 => Duration::ZERO,
        RetryProfile::SdkC => {
            let whole = (SECOND * 2_u32.pow(now.failures.saturating_sub(2).min(5)))
                .min(Duration::from_secs(30));
            Duration::from_secs((whole + part(whole / 20, now.chance)).as_secs())
        }
        RetryProfile::SdkCsharp | RetryProfile::SdkJava | RetryProfile::Edge => CSHARP.wait(now),
        RetryProfile::Naive => SECOND,
        RetryProfile::WellBehaved => well_behaved(now),
    }
}

/// Longest time to look for the hub.
pub(super) fn limit(profile: RetryProfile) -> Duration {
    match profile {
        RetryProfile::SdkNode
        | RetryProfile::SdkCsharp
        | RetryProfile::SdkJava
        | RetryProfile::Edge => OPERATION_LIMIT,
        _ => Duration::MAX,
    }
}

impl Backoff {
    fn wait(&self, now: Situation) -> Duration {
        let doublings = now.failures.saturating_sub(1).min(MOST_DOUBLINGS);
        let times = f64::from(2_u32.pow(doublings) - 1);
        let spread = Duration::from_secs_f64((self.to - self.from) / 1e3);
        let factor = self.from / 1e3 + part(spread, now.chance).as_secs_f64();
        let wait = f64::from(self.least) / 1e3 + times * factor;
        Duration::from_secs_f64(wait.min(f64::from(self.most) / 1e3))
    }
}
