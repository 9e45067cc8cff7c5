//! Devices on their way, against a service in memory, in virtual time, over every transport: each does as its retry profile says.

use std::time::Duration;

use fleetstorm_protocol::attestation::TransportKind;
use fleetstorm_reports::{Outcome, Phase};
use tokio::task::LocalSet;
use tokio::time::{Instant, sleep};

use super::*;
use crate::in_memory::Service;
use crate::stopwatch::RunClock;

/// One device.
fn scenario(transport: TransportKind, retry: &str) -> String {
    format!(
        r#"
name = "way"
seed = 1
device-timeout = "60s"
[[cohort]]
name = "meters"
devices = 1
attestation = "symmetric-key-group"
transport = "{transport}"
retry = "{retry}"
arrival = {{ kind = "all-at-once" }}
"#
    )
}

/// The way of one device to its twin, while something happens to the service.
async fn way(
    transport: TransportKind,
    retry: &str,
    meanwhile: impl AsyncFnOnce(&Service),
) -> Record {
    let on_its_way = async {
        let service = Service::start(RunClock::starting_at(Instant::now()));
        let (plan, conditions) = service.devices_of(&scenario(transport, retry));
        let release = plan.open_schedule(0, 1).next().expect("a device");
        let provisioning = provision_and_leave(release, &conditions);
        tokio::join!(provisioning, meanwhile(&service)).0
    };
    LocalSet::new().run_until(on_its_way).await
}

/// The service is throttled for so many seconds.
async fn throttled(transport: TransportKind, retry: &str, seconds: u64) -> Record {
    way(transport, retry, async |service| {
        service.refuse(Some(429));
        sleep(Duration::from_secs(seconds)).await;
        service.refuse(None);
    })
    .await
}

/// Hubs are shut for so many seconds.
async fn shut(transport: TransportKind, retry: &str, seconds: u64) -> Record {
    way(transport, retry, async |service| {
        service.shut_hubs(true);
        sleep(Duration::from_secs(seconds)).await;
        service.shut_hubs(false);
    })
    .await
}

#[tokio::test(start_paused = true)]
async fn throttled_devices_come_back_as_their_sdks_do() {
    for transport in TransportKind::ALL {
        for retry in ["naive", "well-behaved", "sdk-node", "sdk-python"] {
            if (retry, transport) == ("sdk-node", TransportKind::Https) {
                continue;
            }
            let record = throttled(transport, retry, 7).await;
            let way = format!("{retry} over {transport}");
            assert_eq!(record.outcome, Outcome::Provisioned, "{way}");
            assert_eq!(record.throttled + 1, record.attempts, "{way}");
            assert!(record.throttled >= 1, "{way}");
            assert!(record.end_us >= 7_000_000, "{way}");
        }
        let naive = throttled(transport, "naive", 7).await;
        assert_eq!(naive.attempts, 8, "every second over {transport}");
        let python = throttled(transport, "sdk-python", 7).await.attempts;
        assert!(python < naive.attempts, "every other second: {python}");
    }
}

#[tokio::test(start_paused = true)]
async fn some_sdks_take_429_for_the_end() {
    let java = TransportKind::ALL.map(|transport| ("sdk-java", transport));
    let node = [("sdk-node", TransportKind::Https)];
    for (retry, transport) in java.into_iter().chain(node) {
        let record = throttled(transport, retry, 7).await;
        let way = format!("{retry} over {transport}");
        assert_eq!((record.attempts, record.throttled), (1, 1), "{way}");
        assert!(!record.outcome.is_provisioned(), "{way}");
        assert!(record.end_us < 1_000_000, "{way}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_hub_that_was_shut_is_found_by_everybody() {
    for transport in TransportKind::ALL {
        let hub_connect = |record: &Record| record.phases_us[Phase::HubConnect as usize];
        for retry in [
            "patient",
            "naive",
            "sdk-csharp",
            "sdk-python",
            "well-behaved",
        ] {
            let record = shut(transport, retry, 6).await;
            assert_eq!(
                record.outcome,
                Outcome::Provisioned,
                "{retry} over {transport}"
            );
            assert!(record.attempts > 1, "{retry} over {transport}");
            assert_eq!(record.lost + 1, record.attempts, "{retry} over {transport}");
            assert_eq!(record.throttled, 0, "{retry} over {transport}");
        }
        let (naive, patient) = (
            shut(transport, "naive", 6).await,
            shut(transport, "patient", 6).await,
        );
        assert!(naive.attempts > patient.attempts);
        let python = shut(transport, "sdk-python", 6).await;
        assert_eq!(python.attempts, 2, "once more after ten seconds");
        assert!((10_000_000..10_010_000).contains(&hub_connect(&python)));
        assert!(hub_connect(&naive) < 7_000_000);
    }
}

#[tokio::test(start_paused = true)]
async fn a_device_that_is_never_served_runs_out_of_time() {
    for transport in TransportKind::ALL {
        let record = throttled(transport, "naive", 100).await;
        let ended = Outcome::TimedOut {
            phase: Phase::Register,
        };
        assert_eq!(record.outcome, ended);
        assert_eq!(record.end_us / 1_000_000, 60);
    }
}

/// The service ends it all the same, whether it is polled or not.
#[tokio::test(start_paused = true)]
async fn a_registration_that_nobody_hears_the_end_of_may_have_a_hub() {
    for transport in TransportKind::ALL {
        for (refused, unheard) in [(None, 1), (Some(404), 0)] {
            let on_its_way = async {
                let service = Service::start(RunClock::starting_at(Instant::now()));
                service.refuse(refused);
                let (plan, mut conditions) = service.devices_of(&scenario(transport, "patient"));
                // Before its first poll.
                conditions.device_timeout = Duration::from_millis(500);
                let release = plan.open_schedule(0, 1).next().expect("a device");
                let record = provision_and_leave(release, &conditions).await;
                assert!(!record.outcome.is_provisioned());
                let device_counters = &conditions.device_counters;
                assert_eq!(
                    device_counters.unheard_assignments.get(),
                    unheard,
                    "{refused:?}"
                );
            };
            LocalSet::new().run_until(on_its_way).await;
        }
    }
}
