//! Operations of devices that never ask what became of them.

use tokio::time::{Instant, sleep};

use super::*;
use crate::completions::complete;
use crate::store::durability::Durability;

/// What a server does while a test looks on, in virtual time from the service's `now` on.
async fn meanwhile(told: &Told, look: impl Future<Output = ()>) {
    let began = Instant::now();
    tokio::select! {
        () = complete(&told.service, || told.now + began.elapsed()) => {}
        () = look => {}
    }
}

fn assigned(told: &Told) -> u64 {
    told.tally.read().registrations_assigned
}

#[tokio::test(start_paused = true)]
async fn devices_that_never_poll_are_assigned_when_their_time_is_over() {
    let told = Told::new();
    meanwhile(&told, async {
        sleep(Duration::from_secs(1)).await;
        let (status, _) = told.pump(DeviceOperation::Register, &told.pump);
        assert_eq!(status, 202);
        sleep(PROCESSING - Duration::from_millis(1002)).await;
        assert_eq!(assigned(&told), 0, "not before");
        sleep(Duration::from_millis(20)).await;
        assert_eq!(assigned(&told), 1);
        let device = ClientId::parse("pump").expect("an id");
        let is_known = told.hubs.iter().any(|hub| hub.identity(&device).is_ok());
        assert!(is_known, "its hub knows it");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn more_than_are_ended_in_one_go_are_ended_all_the_same() {
    let told = Told::new();
    for number in 0..1_000 {
        let key = format!("nobody-{number}");
        told.service.registrations.under_way.add(told.now, &key);
    }
    let (status, _) = told.pump(DeviceOperation::Register, &told.pump);
    assert_eq!(status, 202);
    meanwhile(&told, sleep(PROCESSING + Duration::from_millis(20))).await;
    assert_eq!(assigned(&told), 1);
    assert_eq!(told.service.next_end(), None);
}

#[tokio::test(start_paused = true)]
async fn what_was_under_way_when_a_server_stopped_is_ended_by_the_next_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let open = || Store::in_folder(folder.path(), Durability::Process).expect("free");
    let told = Told::kept_in(&open());
    let (status, _) = told.pump(DeviceOperation::Register, &told.pump);
    assert_eq!(status, 202);
    drop(told);
    let mut told = Told::kept_in(&open());
    told.pass(HOUR);
    meanwhile(&told, sleep(Duration::from_millis(20))).await;
    assert_eq!(assigned(&told), 1);
}
