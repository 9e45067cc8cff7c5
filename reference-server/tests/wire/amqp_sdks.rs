//! What each SDK does otherwise over AMQP, sent byte by byte.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use fleetstorm_protocol::tpm::IdentityKey;
use fleetstorm_reference_server::Config;
use rustls::ALL_VERSIONS;
use serde_json::{Value, json};

use crate::dialect::amqp::{
    self, HEADER, SASL_HEADER, attach, binary, compound, deliver, find, flow, frame, init, read,
    receive, receive_sasl, response, section, send, string, symbol, uint,
};
use crate::dialect::{Ask, Caller};
use crate::instance::{ID_SCOPE, Instance, quick, stranger};
use crate::questions::{register, sas, token};
use crate::software_tpm::SoftwareTpm;
use crate::tls::{Secured, dial};

fn connect(instance: &Instance, caller: &Caller) -> Secured {
    let server = instance.server.announcement();
    let host = &server.global_endpoint;
    let certificate = caller.certificate.as_ref();
    dial(server, server.amqp, host, certificate, ALL_VERSIONS)
}

#[test]
fn link_addresses_are_understood_in_all_four_forms() {
    let instance = Instance::start(quick());
    let pump = instance.pump("pump-1");
    let bare = amqp::address(&pump);
    for address in [
        bare.clone(),
        format!("/{bare}"),
        format!("amqps://global.test/{bare}"),
        format!("amqps://global.test:5671/{bare}"),
    ] {
        let mut wire = connect(&instance, &pump);
        amqp::open(&mut wire, &address);
        send(&mut wire, &amqp::transfer(&register()));
        assert_eq!(amqp::hear(&mut wire).status, 202, "{address}");
    }
}

#[test]
fn every_step_may_wait_for_the_one_before() {
    let instance = Instance::start(quick());
    let pump = instance.pump("pump-1");
    let mut wire = connect(&instance, &pump);
    let steps = amqp::opening(&amqp::address(&pump));
    send(&mut wire, &steps[0]);
    assert_eq!(read(&mut wire, 8), HEADER, "C# waits for the echo");
    for (step, code) in steps[1..].iter().zip([0x10, 0x11, 0x12, 0x12]) {
        send(&mut wire, step);
        assert_eq!(receive(&mut wire).0, code);
    }
    assert_eq!(receive(&mut wire).0, 0x13, "credit");
    // Without credit for it, the answer waits; the request is accepted all the same.
    send(&mut wire, &amqp::transfer(&register()));
    let (code, disposition) = receive(&mut wire);
    assert_eq!(code, 0x15);
    assert!(find(&disposition, b"\x00\x53\x24").is_some(), "accepted");
    send(&mut wire, &flow(0, 1));
    assert_eq!(receive(&mut wire).0, 0x14, "the answer");
}

#[test]
fn bytes_may_come_one_by_one() {
    let instance = Instance::start(quick());
    let pump = instance.pump("pump-1");
    let mut wire = connect(&instance, &pump);
    let said = [
        amqp::opening(&amqp::address(&pump)).concat(),
        amqp::transfer(&register()),
    ]
    .concat();
    for byte in said {
        send(&mut wire, &[byte]);
    }
    assert_eq!(read(&mut wire, 8), HEADER);
    for code in [0x10, 0x11, 0x12, 0x12, 0x13] {
        assert_eq!(receive(&mut wire).0, code);
    }
    assert_eq!(amqp::hear(&mut wire).status, 202);
}

/// A poll with a body of another kind, and correlation ids of another type or none.
#[test]
fn polls_have_bodies_and_correlation_ids_of_every_kind() {
    let instance = Instance::start(quick());
    let pump = instance.pump("pump-1");
    let mut wire = connect(&instance, &pump);
    amqp::open(&mut wire, &amqp::address(&pump));
    send(&mut wire, &amqp::transfer(&register()));
    let accepted = amqp::hear(&mut wire).body;
    let operation = accepted["operationId"].as_str().expect("accepted");
    let null = || vec![0x40];
    let uuid = [&[0x98][..], &[7; 16]].concat();
    let ulong = vec![0x80, 0, 0, 0, 0, 0, 0, 1, 0];
    for (delivery, (body, correlation)) in (1..).zip([
        (Vec::new(), null()),
        (section(0x77, &string("")), uuid.clone()),
        (
            section(0x77, &string("iotdps-get-operationstatus")),
            ulong.clone(),
        ),
        (
            section(0x75, &binary(b"{\"registrationId\":\"pump-1\"}")),
            binary(b"c"),
        ),
        (section(0x76, &[0x45]), string("c")),
        (section(0x77, &null()), null()),
    ]) {
        let properties: Vec<_> = (0..5)
            .map(|_| null())
            .chain([correlation.clone()])
            .collect();
        let application = [
            string("iotdps-operation-type"),
            string("iotdps-get-operationstatus"),
            string("iotdps-operation-id"),
            string(operation),
            // A boolean, as Node and C# write it on registers.
            string("iotdps-forceRegistration"),
            vec![0x42],
        ];
        let message = [
            section(0x73, &compound(0xd0, &properties)),
            section(0x74, &compound(0xd1, &application)),
            body,
        ]
        .concat();
        send(&mut wire, &deliver(1, delivery, &message));
        let (code, disposition) = receive(&mut wire);
        assert_eq!(code, 0x15);
        assert!(find(&disposition, b"\x00\x53\x24").is_some(), "accepted");
        let (_, answer) = receive(&mut wire);
        if correlation == binary(b"c") {
            assert!(find(&answer, b"\xa0\x01c").is_some(), "a binary stays one");
        } else if correlation != null() {
            assert!(
                find(&answer, &correlation).is_some(),
                "{correlation:02x?} comes back with its type: {answer:02x?}"
            );
        }
        assert!(find(&answer, b"\"status\":\"assigned\"").is_some());
    }
}

#[test]
fn a_tpm_proves_itself_inside_sasl_and_then_needs_no_body() {
    let instance = Instance::start(quick());
    let vault = stranger("vault-1");
    let mut wire = connect(&instance, &vault);
    let key = attest(&instance, &mut wire);
    send(&mut wire, &response(&proof(&sas("vault-1", &key))));
    let (code, outcome) = receive_sasl(&mut wire);
    assert_eq!((code, outcome.last()), (0x44, Some(&0)), "ok");

    amqp::open(&mut wire, &amqp::address(&vault));
    // C# sends no byte, Java its id alone.
    for body in [&b""[..], b"{\"registrationId\":\"vault-1\"}"] {
        send(&mut wire, &amqp::transfer(&Ask::Register(body.to_vec())));
        assert_eq!(amqp::hear(&mut wire).status, 202);
    }
    send(&mut wire, &amqp::transfer(&register()));
    let accepted = amqp::hear(&mut wire).body;
    let operation = accepted["operationId"].as_str().expect("accepted");
    send(
        &mut wire,
        &amqp::transfer(&Ask::OperationStatus(operation.into())),
    );
    let assigned: Value = amqp::hear(&mut wire).body;
    let hub_key = assigned["registrationState"]["tpm"]["authenticationKey"].as_str();
    let hub_key = instance.tpm.activate(hub_key.expect("a hub key"));
    assert!(hub_key.is_ok(), "wrapped for this TPM");
}

#[test]
fn a_tpm_without_the_key_of_its_challenge_is_not_let_in() {
    let instance = Instance::start(quick());
    let vault = stranger("vault-1");
    // What is no answer ends it at once.
    for said in [Vec::new(), vec![0x80, 1], vec![0, 0xff]] {
        let mut wire = connect(&instance, &vault);
        attest(&instance, &mut wire);
        send(&mut wire, &response(&said));
        let (code, outcome) = receive_sasl(&mut wire);
        assert_eq!((code, outcome.last()), (0x44, Some(&1)), "auth");
    }
    // A token of another key is refused with the register, as that of SASL PLAIN is.
    for said in [&token("vault-1", 7)[..], "nonsense", ""] {
        let mut wire = connect(&instance, &vault);
        attest(&instance, &mut wire);
        send(&mut wire, &response(&proof(said)));
        assert_eq!(receive_sasl(&mut wire).1.last(), Some(&0), "ok");
        amqp::open(&mut wire, &amqp::address(&vault));
        send(&mut wire, &amqp::transfer(&register()));
        assert_eq!(amqp::hear(&mut wire).body["errorCode"], 401_000);
    }
    // Another device's link, though the TPM is who it says.
    let mut wire = connect(&instance, &vault);
    let key = attest(&instance, &mut wire);
    send(&mut wire, &response(&proof(&sas("vault-1", &key))));
    assert_eq!(receive_sasl(&mut wire).1.last(), Some(&0));
    let other = amqp::opening(&amqp::address(&stranger("pump-1")));
    send(&mut wire, &other.concat());
    assert_eq!(read(&mut wire, 8), HEADER);
    for code in [0x10, 0x11, 0x12] {
        assert_eq!(receive(&mut wire).0, code);
    }
    let (code, detach) = receive(&mut wire);
    assert_eq!(code, 0x16);
    assert!(find(&detach, b"amqp:unauthorized-access").is_some());
}

/// A SASL failure tells a client nothing (the Node SDK waits for ever then): a TPM that is not
/// enrolled is challenged by its keys, and its register refused as over HTTPS.
#[test]
fn a_tpm_that_is_not_enrolled_hears_so_when_it_registers() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("dps.log");
    let instance = Instance::start(Config {
        diagnostic_log: Some(path.clone()),
        ..quick()
    });
    let other = SoftwareTpm::new();
    for (scope, id, tpm, code) in [
        (ID_SCOPE, "vault-9", instance.tpm, 404_201),
        ("0ne0FFFFFFF", "vault-1", instance.tpm, 404_000),
        // Enrolled, with another endorsement key or by a symmetric key.
        (ID_SCOPE, "vault-1", &other, 401_000),
        (ID_SCOPE, "valve-1", instance.tpm, 401_000),
    ] {
        let asker = Caller {
            id_scope: scope.into(),
            ..stranger(id)
        };
        let mut wire = connect(&instance, &asker);
        let key = attest_as(&asker, tpm, &mut wire);
        send(&mut wire, &response(&proof(&sas(id, &key))));
        assert_eq!(receive_sasl(&mut wire).1.last(), Some(&0), "{scope} {id}");
        amqp::open(&mut wire, &amqp::address(&asker));
        for _ in 0..2 {
            // C# sends no byte.
            send(&mut wire, &amqp::transfer(&Ask::Register(Vec::new())));
            let refused = amqp::hear(&mut wire);
            assert_eq!(refused.body["errorCode"], code, "{scope} {id}");
        }
        let body = json!({"registrationId": id, "tpm": tpm.presented()}).to_string();
        let asker = Caller { sas: None, ..asker };
        let ask = crate::dialect::https::DIALECT.ask;
        let server = instance.server.announcement();
        let refused = ask(server, &asker, &Ask::Register(body.into()));
        assert_eq!(refused.body["errorCode"], code, "{scope} {id} over HTTPS");
    }
    drop(instance);
    let log = std::fs::read_to_string(&path).expect("a log");
    let logged = log
        .lines()
        .filter(|line| line.contains("vault-9") && line.contains("Amqp"));
    assert_eq!(logged.count(), 2, "{log}");
}

#[test]
fn what_is_no_tpm_is_not_challenged() {
    let instance = Instance::start(quick());
    let mut wire = connect(&instance, &stranger("vault-1"));
    begin_tpm(&mut wire, ID_SCOPE, "vault-1", b"no key");
    assert_eq!(
        receive_sasl(&mut wire).0,
        0x42,
        "asks for the storage root key"
    );
    send(&mut wire, &response(&storage_root_key(instance.tpm)));
    let (code, outcome) = receive_sasl(&mut wire);
    assert_eq!((code, outcome.last()), (0x44, Some(&1)));
}

#[test]
fn other_mechanisms_say_nothing_and_leave_it_to_the_certificate() {
    let instance = Instance::start(quick());
    let pump = instance.pump("pump-1");
    for mechanism in ["EXTERNAL", "ANONYMOUS", "MSSBCBS"] {
        let mut wire = connect(&instance, &pump);
        send(&mut wire, SASL_HEADER);
        assert_eq!(read(&mut wire, 8), SASL_HEADER);
        let (_, offered) = receive_sasl(&mut wire);
        // uamqp takes an array and nothing else.
        assert!(offered.contains(&0xe0) || offered.contains(&0xf0));
        assert!(find(&offered, mechanism.as_bytes()).is_some());
        // Without an initial response.
        send(&mut wire, &amqp::sasl(0x41, &[amqp::symbol(mechanism)]));
        assert_eq!(receive_sasl(&mut wire).1.last(), Some(&0), "{mechanism}");
        amqp::open(&mut wire, &amqp::address(&pump));
        send(&mut wire, &amqp::transfer(&register()));
        assert_eq!(amqp::hear(&mut wire).status, 202, "{mechanism}");
    }
    for malformed in [&b""[..], b"user", b"\0nobody\0p", b"\0a\0b\0c", b"\xff\0\0"] {
        let mut wire = connect(&instance, &pump);
        assert_eq!(amqp::plain(&mut wire, malformed), 1, "{malformed:?}");
    }
}

#[test]
fn a_link_to_nowhere_is_refused_and_the_connection_goes_on() {
    let instance = Instance::start(quick());
    let pump = instance.pump("pump-1");
    let mut wire = connect(&instance, &pump);
    amqp::open(&mut wire, &amqp::address(&pump));
    for (handle, address) in (2..).zip(["", "$cbs", "0ne/registrations", "/devices/pump-1/twin"]) {
        send(&mut wire, &attach(handle, true, address));
        let (code, answer) = receive(&mut wire);
        assert_eq!(code, 0x12);
        assert!(find(&answer, b"\x00\x53\x28").is_none(), "no source");
        let (code, detach) = receive(&mut wire);
        assert_eq!(code, 0x16);
        assert!(find(&detach, b"amqp:not-found").is_some(), "{address}");
        send(&mut wire, &amqp::detach(handle));
    }
    send(
        &mut wire,
        &frame(0x13, &[uint(0), uint(255), uint(0), uint(255)]),
    );
    send(&mut wire, &amqp::transfer(&register()));
    assert_eq!(amqp::hear(&mut wire).status, 202);
}

#[test]
fn a_link_is_granted_whatever_its_source_filters_by_and_told_its_address_alone() {
    let instance = Instance::start(quick());
    let pump = instance.pump("pump-1");
    let address = amqp::address(&pump);
    let null = || vec![0x40];
    let filter = |name: &str, value: &[u8]| [symbol(name), amqp::section(0x10, value)].concat();
    let filters = [
        filter("t", &[0x83, 0, 0, 0, 0, 0, 0, 0, 0]),
        filter("b", &binary(b"x")),
    ];
    let filters = {
        let mut map = compound(0xd1, &filters);
        map[8] *= 2;
        map
    };
    let mut source = vec![string(&address)];
    source.extend(std::iter::repeat_with(null).take(6));
    source.push(filters);
    let receiver = frame(
        0x12,
        &[
            string("filtered"),
            uint(0),
            vec![0x41],
            null(),
            null(),
            amqp::described(0x28, &source),
            amqp::described(0x29, &[]),
        ],
    );
    let mut steps = amqp::opening(&address);
    steps[3] = receiver;
    let mut wire = connect(&instance, &pump);
    send(&mut wire, &steps.concat());
    assert_eq!(read(&mut wire, 8), HEADER);
    for code in [0x10, 0x11] {
        assert_eq!(receive(&mut wire).0, code);
    }
    let (code, granted) = receive(&mut wire);
    assert_eq!(code, 0x12);
    assert!(find(&granted, address.as_bytes()).is_some());
    assert!(find(&granted, &symbol("t")).is_none(), "the filter");
    for code in [0x12, 0x13] {
        assert_eq!(receive(&mut wire).0, code);
    }
    send(&mut wire, &amqp::transfer(&register()));
    assert_eq!(amqp::hear(&mut wire).status, 202);
}

#[test]
fn a_peer_that_wants_signs_of_life_gets_them() {
    let instance = Instance::start(quick());
    let pump = instance.pump("pump-1");
    let open = |idle: u16| {
        let null = || vec![0x40];
        let idle = [&[0x70, 0, 0][..], &idle.to_be_bytes()].concat();
        frame(0x10, &[string("wire"), null(), null(), null(), idle])
    };
    let mut wire = connect(&instance, &pump);
    send(&mut wire, &[HEADER, &open(1000)].concat());
    assert_eq!(read(&mut wire, 8), HEADER);
    assert_eq!(receive(&mut wire).0, 0x10);
    for _ in 0..2 {
        assert_eq!(
            read(&mut wire, 8),
            [0, 0, 0, 8, 2, 0, 0, 0],
            "an empty frame"
        );
    }
    let mut wire = connect(&instance, &pump);
    send(&mut wire, &[HEADER, &open(1)].concat());
    assert_eq!(read(&mut wire, 8), HEADER);
    assert_eq!(receive(&mut wire).0, 0x10);
    let (code, close) = receive(&mut wire);
    assert_eq!(code, 0x18);
    assert!(
        find(&close, b"amqp:not-allowed").is_some(),
        "nobody can keep that"
    );
}

/// SASL TPM up to the proof: the key that the blob holds.
fn attest(instance: &Instance, wire: &mut Secured) -> IdentityKey {
    attest_as(&stranger("vault-1"), instance.tpm, wire)
}

fn attest_as(asker: &Caller, tpm: &SoftwareTpm, wire: &mut Secured) -> IdentityKey {
    let key = STANDARD.decode(tpm.endorsement_key()).expect("base64");
    begin_tpm(wire, &asker.id_scope, &asker.registration_id, &key);
    assert!(
        receive_sasl(wire).1.ends_with(&[0xa0, 1, 0]),
        "one zero byte"
    );
    send(wire, &response(&storage_root_key(tpm)));
    let first = challenge(wire);
    // Java compares the control bytes for equality; frames have at most 512 bytes.
    assert_eq!((first[0], first.len()), (0x80, 471));
    send(wire, &response(&[0]));
    let last = challenge(wire);
    assert_eq!(last[0], 0xc1);
    let blob = [&first[1..], &last[1..]].concat();
    tpm.activate(&STANDARD.encode(blob)).expect("for this TPM")
}

fn begin_tpm(wire: &mut Secured, scope: &str, id: &str, key: &[u8]) {
    send(wire, SASL_HEADER);
    assert_eq!(read(wire, 8), SASL_HEADER);
    assert_eq!(receive_sasl(wire).0, 0x40, "mechanisms");
    let said = [b"\0", scope.as_bytes(), b"\0", id.as_bytes(), b"\0", key].concat();
    send(wire, &init("TPM", &said));
}

fn storage_root_key(tpm: &SoftwareTpm) -> Vec<u8> {
    let key = tpm.presented()["storageRootKey"].clone();
    let key = STANDARD
        .decode(key.as_str().expect("text"))
        .expect("base64");
    [&[0], &key[..]].concat()
}

fn proof(sas: &str) -> Vec<u8> {
    [b"\0", sas.as_bytes()].concat()
}

/// The binary of a challenge: the last field of its list.
fn challenge(wire: &mut Secured) -> Vec<u8> {
    let (code, body) = receive_sasl(wire);
    assert_eq!(code, 0x42, "a challenge");
    let (at, header) = match find(&body, b"\xb0\x00\x00") {
        Some(at) => (at, 5),
        None => (find(&body, b"\xa0").expect("a binary"), 2),
    };
    body[at + header..].to_vec()
}
