//! Two sides of a hub, without a wire between them.

use bytes::Bytes;
use fleetstorm_protocol::hub::Message;
use fleetstorm_protocol::ids::ClientId;
use fleetstorm_protocol::x509::thumbprint;
use rustls::pki_types::CertificateDer;
use serde_json::{Value, json};

use super::*;
use crate::hub::assignment::{AssignedIdentity, AssignedTwin, LinkedRegistry as _};
use crate::hub::authentication::Authentication;
use crate::hub::identity::{Condition, WantedIdentity};
use crate::hub::inbox::SessionEnd;
use crate::hub::message_queue::Settlement;
use crate::hub::registry::Hub;
use crate::hub::thumbprint::CertificateThumbprint;
use crate::hub::twin::{TwinChange, TwinPatch};
use crate::store::Store;

const HUB: &str = "hub-1.fleetstorm.test";

struct Yard {
    hub: Arc<Hub>,
    certificate: CertificateDer<'static>,
}

fn now() -> Timestamp {
    Timestamp::from_second(1_800_000_000).expect("in range")
}

fn pump() -> ClientId {
    ClientId::parse("pump-1").expect("valid")
}

impl Yard {
    fn new() -> Self {
        let yard = Self {
            hub: Arc::new(Hub::alone(HUB, 0, &Store::default())),
            certificate: CertificateDer::from(vec![1; 100]),
        };
        yard.enter(Authentication::certificate(thumbprint(&yard.certificate)));
        yard
    }

    fn admitted(&self) -> AdmittedDevice {
        let chain = std::slice::from_ref(&self.certificate);
        self.hub
            .authenticate(&pump(), None, chain, now())
            .expect("its own certificate")
    }

    fn session(&self) -> DeviceSession {
        DeviceSession::open(self.admitted(), Arc::new(Notify::new()), now()).expect("it exists")
    }

    /// Enters the device anew, by DPS.
    fn enter(&self, authentication: Authentication) {
        let assigned = AssignedIdentity {
            authentication,
            iot_edge: false,
            twin: AssignedTwin::Kept {
                moved: None,
                initial: None,
            },
        };
        self.hub.put(&pump(), assigned, now()).expect("known hub");
    }

    fn patch(&self, patch: Value) {
        let patch: TwinPatch = serde_json::from_value(patch).expect("a patch");
        self.hub
            .change_twin(&pump(), patch, TwinChange::Merge, Condition::Unnamed, now())
            .expect("a good patch");
    }
}

#[tokio::test]
async fn a_change_of_desired_properties_wakes_who_listens() {
    let yard = Yard::new();
    let wake = Arc::new(Notify::new());
    let session =
        DeviceSession::open(yard.admitted(), Arc::clone(&wake), now()).expect("it exists");
    yard.patch(json!({"properties": {"desired": {"unheard": 1}}}));
    assert_eq!(session.take(), None, "it does not listen yet");
    session.listen(Interest::Desired, true, now());
    yard.patch(json!({"tags": {"site": "north"}}));
    yard.patch(json!({"properties": {"desired": {"interval": 9}}}));
    wake.notified().await;
    let Some(Downstream::Desired(change)) = session.take() else {
        panic!("it was told");
    };
    assert_eq!(change.version, 3);
    let patch: Value = serde_json::from_slice(&change.patch).expect("JSON");
    assert_eq!(patch, json!({"interval": 9, "$version": 3}));
    assert_eq!(session.take(), None, "tags are not its business");
    session.listen(Interest::Desired, false, now());
    yard.patch(json!({"properties": {"desired": {"interval": 10}}}));
    assert_eq!(session.take(), None);
    let counted = yard.hub.tally.read();
    assert_eq!(counted.desired_changes_sent[HUB], 1);
}

#[test]
fn a_newer_session_ends_the_older_one_and_not_the_other_way_round() {
    let yard = Yard::new();
    let older = yard.session();
    assert_eq!(older.take(), None);
    let newer = yard.session();
    let superseded = Some(Downstream::Ended(SessionEnd::Superseded));
    assert_eq!(older.take(), superseded);
    assert_eq!(older.take(), superseded);
    drop(older);
    assert!(yard.hub.identity(&pump()).expect("known").connected);
    assert_eq!(newer.take(), None);
    drop(newer);
    assert!(!yard.hub.identity(&pump()).expect("known").connected);
}

#[tokio::test]
async fn a_call_is_answered_and_an_absent_device_is_not_called() {
    let yard = Yard::new();
    let call = || {
        yard.hub
            .call(&pump(), "reboot", Bytes::from_static(b"{\"in\":5}"))
    };
    assert_eq!(call().err(), Some(HubRefusal::NotOnline));
    let arrival = yard.hub.arrival(&pump()).expect("it may come");
    let session = yard.session();
    assert_eq!(
        call().err(),
        Some(HubRefusal::NotOnline),
        "it does not listen yet"
    );
    session.listen(Interest::Methods, true, now());
    arrival.await.expect("it has arrived");
    let mut late = yard.hub.arrival(&pump()).expect("it is there");
    assert_eq!(
        late.try_recv(),
        Ok(()),
        "who asks after it came need not wait"
    );

    let pending = call().expect("it listens");
    let Some(Downstream::Method(request)) = session.take() else {
        panic!("it was called");
    };
    assert_eq!(
        (&*request.name, &request.payload[..]),
        ("reboot", &b"{\"in\":5}"[..])
    );
    let answer = MethodAnswer {
        status: 418,
        payload: Bytes::from_static(b"null"),
    };
    assert!(session.answer(request.call, answer.clone()));
    assert!(!session.answer(request.call, answer.clone()), "once");
    assert_eq!(pending.answer().await, Ok(answer));

    let unanswered = call().expect("it listens");
    drop(session);
    assert_eq!(unanswered.answer().await, Err(HubRefusal::NotOnline));
    assert_eq!(yard.hub.tally.read().methods_called[HUB], 2);
}

#[test]
fn messages_wait_for_the_device_until_it_settles_them() {
    let yard = Yard::new();
    let send = |body: &str| {
        let message = Message {
            body: body.into(),
            ..Message::default()
        };
        yard.hub.send_message(&pump(), message, now())
    };
    assert_eq!(send("first"), Ok(1));
    let session = yard.session();
    assert_eq!(session.take(), None);
    session.listen(Interest::Messages, true, now());
    assert_eq!(session.take(), Some(Downstream::MessagesWait));
    assert_eq!(send("second"), Ok(2));
    assert_eq!(session.take(), Some(Downstream::MessagesWait));
    let first = session.receive(now()).expect("known").expect("one waits");
    let second = session
        .receive(now())
        .expect("known")
        .expect("another waits");
    assert_eq!(session.receive(now()), Ok(None));
    let settle = |lock, settlement| session.device().settle(lock, settlement, now());
    assert_eq!(settle(first.lock, Settlement::Complete), Ok(()));
    assert_eq!(
        settle(first.lock, Settlement::Complete),
        Err(HubRefusal::LockLost)
    );
    assert_eq!(settle(second.lock, Settlement::Abandon), Ok(()));
    assert_eq!(session.take(), Some(Downstream::MessagesWait));
    session
        .receive(now())
        .expect("known")
        .expect("it waits again");

    // The session ends with a message in its hands: the next one gets it.
    drop(session);
    let next = yard.session();
    let again = next.receive(now()).expect("known").expect("it waits still");
    assert_eq!(
        (&again.message.body[..], again.deliveries),
        (&b"second"[..], 2)
    );
    let counted = yard.hub.tally.read();
    assert_eq!(counted.cloud_to_device_messages[HUB], 2);
    assert_eq!(counted.cloud_to_device_completed[HUB], 1);

    let large = Message {
        body: vec![0; 64 * 1024 + 1],
        ..Message::default()
    };
    let refused = yard.hub.send_message(&pump(), large, now());
    assert!(matches!(refused, Err(HubRefusal::TooLarge(_))));
}

#[test]
fn a_session_that_is_over_takes_no_message_from_the_next_one() {
    let yard = Yard::new();
    let (older, newer) = (yard.session(), yard.session());
    let sent = yard.hub.send_message(&pump(), Message::default(), now());
    assert_eq!(sent, Ok(1));
    // Its connection has yet to hear that it is over.
    let taken = older.receive(now());
    drop(older);
    let delivered = newer.receive(now()).expect("known");
    assert!(delivered.is_some(), "it is held for nobody: {taken:?}");
    assert_eq!(taken, Ok(None));
}

#[test]
fn a_removed_or_disabled_identity_ends_its_session() {
    let yard = Yard::new();
    let wanted = |enabled| WantedIdentity {
        managed_by: None,
        authentication: Authentication::certificate(thumbprint(&yard.certificate)),
        enabled,
        status_reason: None,
        iot_edge: None,
    };
    let put = |wanted, condition| yard.hub.put_identity(&pump(), wanted, condition, now());
    let session = yard.session();
    assert_eq!(
        put(wanted(false), Condition::Unnamed),
        Err(HubRefusal::AlreadyExists)
    );
    assert_eq!(
        put(wanted(false), Condition::Is("AAAAAAAAAAk=")),
        Err(HubRefusal::PreconditionFailed)
    );
    let disabled = put(wanted(false), Condition::Is("AAAAAAAAAAE=")).expect("its tag");
    assert_eq!(disabled.etag, "AAAAAAAAAAI=");
    let revoked = Some(Downstream::Ended(SessionEnd::Revoked));
    assert_eq!(session.take(), revoked);
    let chain = std::slice::from_ref(&yard.certificate);
    let refused = yard.hub.authenticate(&pump(), None, chain, now());
    assert_eq!(refused.err(), Some(HubRefusal::Unauthorized));

    put(wanted(true), Condition::Exists).expect("it exists");
    let session = yard.session();
    assert_eq!(yard.hub.remove_identity(&pump(), Condition::Exists), Ok(()));
    assert_eq!(session.take(), revoked);
    assert_eq!(session.device().read_twin(), Err(HubRefusal::UnknownDevice));
    assert_eq!(
        put(wanted(true), Condition::Exists),
        Err(HubRefusal::UnknownDevice)
    );
}

#[test]
fn telemetry_and_reports_are_counted() {
    let yard = Yard::new();
    let device = yard.admitted();
    assert_eq!(device.send(&Message::default(), now()), Ok(()));
    let large = Message {
        body: vec![0; 256 * 1024 + 1],
        ..Message::default()
    };
    assert!(matches!(
        device.send(&large, now()),
        Err(HubRefusal::TooLarge(_))
    ));
    assert_eq!(device.patch_reported(b"{\"a\":1}", now()), Ok(2));
    assert!(device.patch_reported(b"[]", now()).is_err());
    let counted = yard.hub.tally.read();
    assert_eq!(counted.device_to_cloud_messages[HUB], 1);
    assert_eq!(counted.reported_patches[HUB], 1);
}

#[test]
fn many_at_once_lose_nothing_and_lock_nobody_out() {
    let yard = Yard::new();
    const ROUNDS: usize = 200;
    std::thread::scope(|scope| {
        for _ in 0..2 {
            // Devices that come and go, and take what is there for them.
            scope.spawn(|| {
                for _ in 0..ROUNDS {
                    let session = yard.session();
                    session.listen(Interest::Messages, true, now());
                    session.listen(Interest::Methods, true, now());
                    while let Ok(Some(delivery)) = session.receive(now()) {
                        // Another session may have taken over, and the message with it.
                        let settled =
                            session
                                .device()
                                .settle(delivery.lock, Settlement::Complete, now());
                        assert!(matches!(settled, Ok(()) | Err(HubRefusal::LockLost)));
                    }
                    let reported = session.device().patch_reported(b"{\"a\":1}", now());
                    assert!(reported.is_ok());
                }
            });
        }
        scope.spawn(|| {
            for _ in 0..ROUNDS {
                let sent = yard.hub.send_message(&pump(), Message::default(), now());
                assert!(matches!(sent, Ok(_) | Err(HubRefusal::QueueFull)));
                let called = yard.hub.call(&pump(), "x", Bytes::new());
                assert!(matches!(
                    called.map(drop),
                    Ok(()) | Err(HubRefusal::NotOnline | HubRefusal::Throttled)
                ));
            }
        });
    });
    let identity = yard.hub.identity(&pump()).expect("known");
    assert!(!identity.connected);
    let counted = yard.hub.tally.read();
    assert_eq!(counted.reported_patches[HUB], 2 * ROUNDS as u64);
    let (_, twin) = yard.hub.twin(&pump()).expect("known");
    assert_eq!(twin.reported["$version"], 2 * ROUNDS + 1);
}

#[test]
fn a_session_ends_with_what_opened_it() {
    let yard = Yard::new();
    let own = thumbprint(&yard.certificate);
    let (admitted, session) = (yard.admitted(), yard.session());
    yard.enter(Authentication::SelfSigned {
        primary: CertificateThumbprint::Sha256([9; 32]),
        secondary: Some(Box::new(CertificateThumbprint::Sha256(own))),
    });
    assert_eq!(session.take(), None, "it is among them still");
    assert!(admitted.read_twin().is_ok());
    yard.enter(Authentication::certificate([9; 32]));
    assert_eq!(session.take(), Some(Downstream::Ended(SessionEnd::Revoked)));
    for refused in [
        admitted.read_twin().err(),
        admitted.receive(now()).err(),
        admitted.send(&Message::default(), now()).err(),
        admitted.patch_reported(b"{}", now()).err(),
        DeviceSession::open(admitted, Arc::new(Notify::new()), now()).err(),
    ] {
        assert_eq!(refused, Some(HubRefusal::Unauthorized));
    }
    drop(session);
    let connected = yard.hub.identity(&pump()).expect("known").connected;
    assert!(!connected);
}

#[test]
fn a_model_that_was_named_is_kept() {
    let yard = Yard::new();
    let session = yard.session();
    let model = || yard.hub.twin(&pump()).expect("known").1.model_id;
    assert_eq!(model(), None);
    session
        .device()
        .is_of_model("dtmi:test:Pump;1")
        .expect("known");
    assert_eq!(model().as_deref(), Some("dtmi:test:Pump;1"));
    yard.patch(json!({"tags": {"a": 1}}));
    assert_eq!(model().as_deref(), Some("dtmi:test:Pump;1"));
}
