//! AMQP that is written reads back as itself, and no bytes of a peer make a reader panic.

use bytes::{Bytes, BytesMut};
use fleetstorm_protocol::amqp::cbs::{PutToken, PutTokenAnswer};
use fleetstorm_protocol::amqp::dps::{DpsAddress, DpsRequest, DpsResponse, refusal_of, rejection};
use fleetstorm_protocol::amqp::encoding;
use fleetstorm_protocol::amqp::frame::{self, Frame, FrameError};
use fleetstorm_protocol::amqp::hub::{HubNode, MethodCall, MethodResult, TwinMessage, TwinRequest};
use fleetstorm_protocol::amqp::message::{Body, Message};
use fleetstorm_protocol::amqp::sasl::{Plain, SaslFrame};
use fleetstorm_protocol::amqp::sasl_tpm::{self, TpmChallengePart, TpmInit};
use fleetstorm_protocol::amqp::types::definitions::{
    AmqpError, Error, Fields, Handle, ReceiverSettleMode, Role, SenderSettleMode,
};
use fleetstorm_protocol::amqp::types::messaging::{
    Accepted, DeliveryState, MessageId, Rejected, Source, Target, TargetArchetype,
};
use fleetstorm_protocol::amqp::types::performatives::{
    Attach, Begin, ChannelMax, Close, Detach, Disposition, End, Flow, MaxFrameSize, Open,
    Performative, Transfer,
};
use fleetstorm_protocol::amqp::types::primitives::SimpleValue;
use fleetstorm_protocol::amqp::types::sasl::{
    SaslChallenge, SaslCode, SaslInit, SaslMechanisms, SaslOutcome, SaslResponse,
};
use fleetstorm_protocol::amqp::{Array, OrderedMap, Symbol, Value};
use fleetstorm_protocol::http::DeviceOperation;
use fleetstorm_protocol::ids::{IdScope, OperationId, RegistrationId};
use proptest::collection::vec;
use proptest::prelude::*;

const LIMIT: usize = 64 * 1024;

fn fields() -> Fields {
    let mut fields = OrderedMap::new();
    fields.insert(
        Symbol::from("com.microsoft:api-version"),
        Value::String("2019-03-31".into()),
    );
    fields.insert(Symbol::from("wait"), Value::Int(3));
    fields
}

/// One of each, with most fields set.
fn performatives() -> Vec<Performative> {
    let state = DeliveryState::Rejected(Rejected {
        error: Some(Error::new(AmqpError::NotFound, "why".to_owned(), fields())),
    });
    vec![
        Performative::Open(Open {
            container_id: "device".into(),
            hostname: Some("global.test".into()),
            max_frame_size: MaxFrameSize(65_536),
            channel_max: ChannelMax(8),
            idle_time_out: Some(240_000),
            outgoing_locales: None,
            incoming_locales: Some(Array(vec![Symbol::from("en-US")])),
            offered_capabilities: Some(Array(vec![Symbol::from("a"), Symbol::from("b")])),
            desired_capabilities: None,
            properties: Some(fields()),
        }),
        Performative::Begin(Begin {
            remote_channel: Some(1),
            next_outgoing_id: 0,
            incoming_window: 2048,
            outgoing_window: 2048,
            handle_max: Handle(7),
            offered_capabilities: None,
            desired_capabilities: None,
            properties: None,
        }),
        Performative::Attach(Attach {
            name: "link".into(),
            handle: Handle(0),
            role: Role::Sender,
            snd_settle_mode: SenderSettleMode::Settled,
            rcv_settle_mode: ReceiverSettleMode::First,
            source: Some(Box::new(Source::builder().address("here").build())),
            target: Some(Box::new(TargetArchetype::Target(Target {
                address: Some("0ne/registrations/dev".into()),
                ..Target::default()
            }))),
            unsettled: None,
            incomplete_unsettled: false,
            initial_delivery_count: Some(0),
            max_message_size: Some(65_536),
            offered_capabilities: None,
            desired_capabilities: None,
            properties: Some(fields()),
        }),
        Performative::Flow(Flow {
            next_incoming_id: Some(1),
            incoming_window: 2048,
            next_outgoing_id: 2,
            outgoing_window: 2048,
            handle: Some(Handle(0)),
            delivery_count: Some(1),
            link_credit: Some(50),
            available: None,
            drain: true,
            echo: false,
            properties: None,
        }),
        Performative::Transfer(Transfer {
            handle: Handle(0),
            delivery_id: Some(4),
            delivery_tag: Some(vec![1, 2, 3].into()),
            message_format: Some(0),
            settled: Some(false),
            more: false,
            rcv_settle_mode: None,
            state: Some(DeliveryState::Accepted(Accepted {})),
            resume: false,
            aborted: false,
            batchable: true,
        }),
        Performative::Disposition(Disposition {
            role: Role::Receiver,
            first: 4,
            last: Some(5),
            settled: true,
            state: Some(state),
            batchable: false,
        }),
        Performative::Detach(Detach {
            handle: Handle(0),
            closed: true,
            error: Some(Error::new(AmqpError::InternalError, None, None)),
        }),
        Performative::End(End { error: None }),
        Performative::Close(Close {
            error: Some(Error::new(AmqpError::DecodeError, "x".to_owned(), None)),
        }),
    ]
}

fn sasl_frames() -> Vec<SaslFrame> {
    vec![
        SaslFrame::Mechanisms(SaslMechanisms {
            sasl_server_mechanisms: Array(vec![Symbol::from("TPM")]),
        }),
        SaslFrame::Init(SaslInit {
            mechanism: Symbol::from("PLAIN"),
            initial_response: Some(b"\0u\0p".to_vec().into()),
            hostname: Some("h".into()),
        }),
        SaslFrame::Challenge(SaslChallenge {
            challenge: vec![0].into(),
        }),
        SaslFrame::Response(SaslResponse {
            response: vec![0; 285].into(),
        }),
        SaslFrame::Outcome(SaslOutcome {
            code: SaslCode::Auth,
            additional_data: None,
        }),
    ]
}

fn encoded(performative: &Performative) -> BytesMut {
    let mut out = BytesMut::new();
    let payload: &[u8] = match performative {
        Performative::Transfer(_) => b"payload",
        _ => b"",
    };
    frame::write(&mut out, 3, performative, payload);
    out
}

/// All bytes that have a meaning to somebody.
fn vectors() -> Vec<Vec<u8>> {
    let mut vectors: Vec<Vec<u8>> = performatives()
        .iter()
        .map(|p| encoded(p).to_vec())
        .collect();
    for frame in sasl_frames() {
        let mut out = BytesMut::new();
        frame.write(&mut out);
        vectors.push(out.to_vec());
    }
    vectors
}

/// Messages of all kinds.
fn messages() -> Vec<Vec<u8>> {
    let correlated = Message::of_data("{}")
        .with_correlation(Some(MessageId::Uuid([7; 16].into())))
        .with_application("status-code", SimpleValue::Int(200))
        .with_annotation("operation", Value::String("GET".into()));
    let value = Message {
        body: Body::Value(Value::List(vec![Value::Null, Value::Uint(7)])),
        ..Message::default()
    };
    [correlated, value, Message::default()]
        .iter()
        .map(|message| message.to_bytes().to_vec())
        .collect()
}

#[test]
fn every_performative_reads_back_and_every_truncation_waits_for_more() {
    for performative in performatives() {
        let bytes = encoded(&performative);
        for cut in 0..bytes.len() {
            let mut part = BytesMut::from(&bytes[..cut]);
            assert_eq!(
                Frame::read(&mut part, LIMIT),
                Ok(None),
                "{performative:?} cut at {cut}"
            );
        }
        let mut twice = BytesMut::from([&bytes[..], &bytes[..]].concat().as_slice());
        for _ in 0..2 {
            let frame = Frame::read(&mut twice, LIMIT)
                .expect("own frame")
                .expect("complete");
            assert_eq!(frame.channel, 3);
            assert_eq!(frame.performative.as_ref(), Some(&performative));
        }
        assert!(twice.is_empty());
    }
}

#[test]
fn a_body_that_is_cut_inside_a_frame_is_refused() {
    for performative in performatives() {
        let bytes = encoded(&performative);
        let payload = if matches!(performative, Performative::Transfer(_)) {
            7
        } else {
            0
        };
        for cut in 9..bytes.len() - payload {
            let mut part = BytesMut::from(&bytes[..cut]);
            part[..4].copy_from_slice(&(cut as u32).to_be_bytes());
            assert!(
                Frame::read(&mut part, LIMIT).is_err(),
                "{performative:?} cut at {cut}"
            );
        }
    }
}

#[test]
fn heartbeats_limits_and_headers() {
    let mut out = BytesMut::new();
    frame::write_heartbeat(&mut out);
    assert_eq!(&out[..], b"\x00\x00\x00\x08\x02\x00\x00\x00");
    let frame = Frame::read(&mut out, LIMIT)
        .expect("reads")
        .expect("complete");
    assert_eq!(frame.performative, None);
    for bytes in [
        &b"\x00\x00\x00\x07\x02\x00\x00\x00"[..],
        b"\x00\x00\x00\x08\x01\x00\x00\x00",
        b"\x00\x00\x00\x08\x03\x00\x00\x00",
        b"\x00\x00\x00\x08\x02\x01\x00\x00",
        b"AMQP\x00\x01\x00\x00",
    ] {
        assert!(
            Frame::read(&mut BytesMut::from(bytes), LIMIT).is_err(),
            "{bytes:02x?}"
        );
    }
    // The size alone refuses it: nothing is waited for.
    let long = BytesMut::from(&b"\x00\x01\x00\x01\x02\x00\x00\x00"[..]);
    assert_eq!(
        Frame::read(&mut long.clone(), LIMIT),
        Err(FrameError::TooLong {
            size: LIMIT + 1,
            limit: LIMIT
        })
    );
    // An extended header is skipped.
    let mut extended = BytesMut::from(&b"\x00\x00\x00\x0c\x03\x00\x00\x01abcd"[..]);
    let frame = Frame::read(&mut extended, LIMIT)
        .expect("reads")
        .expect("complete");
    assert_eq!((frame.channel, frame.performative), (1, None));
}

#[test]
fn sasl_frames_read_back_and_take_no_byte_more() {
    for frame in sasl_frames() {
        let mut out = BytesMut::new();
        frame.write(&mut out);
        assert!(out.len() <= frame::MIN_MAX_FRAME_SIZE);
        out.extend_from_slice(b"AMQP\x00\x01\x00\x00");
        let read = SaslFrame::read(&mut out)
            .expect("own frame")
            .expect("complete");
        assert_eq!(format!("{read:?}"), format!("{frame:?}"));
        assert_eq!(&out[..], b"AMQP\x00\x01\x00\x00");
    }
}

#[test]
fn a_single_symbol_is_a_list_of_mechanisms_too_and_ours_is_an_array() {
    let mut out = BytesMut::new();
    sasl_frames()[0].write(&mut out);
    assert!(
        out.ends_with(b"\xe0\x09\x01\xb3\x00\x00\x00\x03TPM"),
        "{out:02x?}"
    );
    let single = b"\x00\x00\x00\x13\x02\x01\x00\x00\x00\x53\x40\xc0\x06\x01\xa3\x03TPM";
    let Ok(Some(SaslFrame::Mechanisms(read))) = SaslFrame::read(&mut BytesMut::from(&single[..]))
    else {
        panic!("is not read");
    };
    assert_eq!(read.sasl_server_mechanisms.0, [Symbol::from("TPM")]);
}

#[test]
fn data_sections_are_joined_however_many_they_are() {
    let bytes = b"\x00\x53\x75\xa0\x01x".repeat(50_000);
    let message = Message::read(bytes.into()).expect("sections");
    assert_eq!(message.text(), "x".repeat(50_000));
    let empty = Message::read(Bytes::from_static(b"\x00\x53\x75\xa0\x00")).expect("a section");
    assert_eq!(empty.body, Body::Data(Bytes::new()));
}

/// Bytes that begin well and then go wrong.
fn hostile(good: Vec<Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let edits = vec((any::<prop::sample::Index>(), any::<u8>()), 1..6);
    let spliced = (
        any::<prop::sample::Index>(),
        any::<prop::sample::Index>(),
        vec(any::<u8>(), 0..12),
    );
    (
        prop::sample::select(good),
        edits,
        proptest::option::of(spliced),
    )
        .prop_map(|(mut bytes, edits, spliced)| {
            for (at, byte) in edits {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            if let Some((from, to, with)) = spliced {
                let (a, b) = (from.index(bytes.len()), to.index(bytes.len()));
                bytes.splice(a.min(b)..a.max(b), with);
            }
            bytes
        })
}

/// Mends the frame's size, and its compounds' as far as a repair of one level goes, so that more is read.
fn mend(bytes: &mut [u8]) {
    if let Some(size) = u32::try_from(bytes.len()).ok().filter(|size| *size >= 8) {
        bytes[..4].copy_from_slice(&size.to_be_bytes());
        bytes[4] = 2;
    }
    if bytes.len() > 13 && bytes[11] == 0xc0 {
        bytes[12] = u8::try_from(bytes.len() - 13).unwrap_or(u8::MAX);
    }
}

fn read_all(bytes: &[u8]) {
    let _ = Frame::read(&mut BytesMut::from(bytes), LIMIT);
    let _ = SaslFrame::read(&mut BytesMut::from(bytes));
    let _ = encoding::length(bytes);
    let _ = encoding::descriptor(bytes);
    if let Ok(message) = Message::read(Bytes::copy_from_slice(bytes)) {
        let _ = DpsRequest::of(&message);
        let _ = PutToken::of(&message);
        let _ = PutTokenAnswer::of(&message);
        let _ = TwinRequest::of(&message);
        let _ = TwinMessage::of(&message);
        let _ = MethodCall::of(&message);
        let _ = MethodResult::of(&message);
        let _ = DpsResponse::of(message);
    }
    let _ = Plain::parse(bytes);
    let _ = TpmInit::parse(bytes);
    let _ = TpmChallengePart::parse(bytes);
    let _ = sasl_tpm::segments(bytes);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn no_bytes_make_a_reader_panic(bytes in vec(any::<u8>(), 0..300)) {
        read_all(&bytes);
        let described = [b"\x00\x53", &bytes[..]].concat();
        read_all(&described);
    }

    #[test]
    fn no_broken_frame_makes_a_reader_panic(mut bytes in hostile(vectors())) {
        read_all(&bytes);
        mend(&mut bytes);
        read_all(&bytes);
    }

    #[test]
    fn no_broken_message_makes_a_reader_panic(bytes in hostile(messages())) {
        read_all(&bytes);
    }

    #[test]
    fn values_of_any_shape_meet_any_performative(code in 0x10u8..0x20, values in vec(value(), 0..16)) {
        let body: Vec<u8> = values.concat();
        let mut bytes = vec![0, 0, 0, 0, 2, 0, 0, 0, 0, 0x53, code, 0xd0];
        bytes.extend_from_slice(&(body.len() as u32 + 4).to_be_bytes());
        bytes.extend_from_slice(&(values.len() as u32).to_be_bytes());
        bytes.extend_from_slice(&body);
        let size = bytes.len() as u32;
        bytes[..4].copy_from_slice(&size.to_be_bytes());
        let read = Frame::read(&mut BytesMut::from(&bytes[..]), LIMIT);
        prop_assert!(!matches!(read, Ok(None)));
        for section in 0x70u8..0x79 {
            for value in &values {
                read_all(&[b"\x00\x53", &[section][..], value].concat());
            }
        }
        bytes[5] = 1;
        bytes[10] = 0x40 | code & 0x07;
        let _ = SaslFrame::read(&mut BytesMut::from(&bytes[..]));
    }
}

/// A well-formed value of any kind.
fn value() -> impl Strategy<Value = Vec<u8>> {
    let scalar = prop_oneof![
        Just(vec![0x40]),
        Just(vec![0x41]),
        Just(vec![0x43]),
        Just(vec![0x44]),
        Just(vec![0x45]),
        any::<u8>().prop_map(|b| vec![0x52, b]),
        any::<u8>().prop_map(|b| vec![0x53, b]),
        any::<u8>().prop_map(|b| vec![0x50, b]),
        any::<u8>().prop_map(|b| vec![0x56, b]),
        any::<[u8; 4]>().prop_map(|b| [&[0x70], &b[..]].concat()),
        any::<[u8; 4]>().prop_map(|b| [&[0x73], &b[..]].concat()),
        any::<[u8; 8]>().prop_map(|b| [&[0x83], &b[..]].concat()),
        any::<[u8; 16]>().prop_map(|b| [&[0x98], &b[..]].concat()),
        vec(any::<u8>(), 0..9).prop_map(|b| [&[0xa1, b.len() as u8], &b[..]].concat()),
        vec(any::<u8>(), 0..9).prop_map(|b| [&[0xa0, b.len() as u8], &b[..]].concat()),
        "[a-z:-]{0,12}".prop_map(|b| [&[0xa3, b.len() as u8], b.as_bytes()].concat()),
        vec(any::<u8>(), 1..9).prop_map(|b| [
            &[0xe0, b.len() as u8 + 2, b.len() as u8, 0x50],
            &b[..]
        ]
        .concat()),
        Just(vec![0xe0, 2, 1, 0x41]),
        Just(vec![0xe0, 1, 0]),
    ];
    scalar.prop_recursive(4, 24, 6, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(|items| {
                let body = items.concat();
                [
                    &[0xd0],
                    &(body.len() as u32 + 4).to_be_bytes()[..],
                    &(items.len() as u32).to_be_bytes(),
                    &body,
                ]
                .concat()
            }),
            vec((inner.clone(), inner.clone()), 0..4).prop_map(|items| {
                let count = items.len() as u32 * 2;
                let body: Vec<u8> = items
                    .into_iter()
                    .flat_map(|(k, v)| [k, v].concat())
                    .collect();
                [
                    &[0xd1],
                    &(body.len() as u32 + 4).to_be_bytes()[..],
                    &count.to_be_bytes(),
                    &body,
                ]
                .concat()
            }),
            (0x10u8..0x80, inner)
                .prop_map(|(code, value)| [&[0x00, 0x53, code], &value[..]].concat()),
        ]
    })
}

proptest! {
    #[test]
    fn dps_requests_and_answers(
        scope in "[0-9a-zA-Z-]{1,20}",
        id in "[0-9a-zA-Z._:-]{0,127}[0-9a-zA-Z-]",
        operation in "[0-9a-zA-Z.-]{1,128}",
        correlation in any::<Option<String>>(),
        body in vec(any::<u8>(), 0..600),
        retry_after in proptest::option::of(0u32..=i32::MAX as u32),
    ) {
        let scope = IdScope::parse(&scope).expect("within the rule");
        let id = RegistrationId::parse(&id).expect("within the rule");
        let address = DpsAddress { id_scope: scope.to_string(), registration_id: id.clone() };
        prop_assert_eq!(DpsAddress::parse(&DpsAddress::format(&scope, &id)), Ok(address));

        let correlation_id = correlation.map(MessageId::String);
        let operation = OperationId::parse(&operation).expect("within the rule");
        for (operation, body) in [
            (DeviceOperation::Register, Bytes::from(body.clone())),
            (DeviceOperation::OperationStatus(operation), Bytes::new()),
        ] {
            let request = DpsRequest { correlation_id: correlation_id.clone(), operation, body };
            let read = Message::read(request.message().to_bytes()).expect("own message");
            prop_assert_eq!(DpsRequest::of(&read), Ok(request));
        }
        let response = DpsResponse { correlation_id, retry_after, body: body.into() };
        let read = Message::read(response.clone().message().to_bytes()).expect("own message");
        prop_assert_eq!(DpsResponse::of(read), Ok(response));
    }

    #[test]
    fn refusals(status in 400u16..600, retry_after in proptest::option::of(0u32..100), text in any::<String>()) {
        let body = format!("{{\"errorCode\":{}}}", u32::from(status) * 1000);
        let (read, wait, _) = refusal_of(&rejection(status, retry_after, body.as_bytes()));
        prop_assert_eq!((read, wait), (status, retry_after));
        let (_, wait, body) = refusal_of(&rejection(status, retry_after, text.as_bytes()));
        prop_assert_eq!((wait, &body[..]), (retry_after, text.as_bytes()));
    }

    #[test]
    fn sasl_messages(user in "[^\0]*", password in "[^\0]*", key in vec(any::<u8>(), 0..400)) {
        let plain = Plain { user: user.clone(), password };
        prop_assert_eq!(Plain::parse(&plain.format()), Ok(plain));
        let init = TpmInit { id_scope: user.clone(), registration_id: user, endorsement_key: key.clone() };
        prop_assert_eq!(TpmInit::parse(&init.format()), Ok(init));
        let message = sasl_tpm::format(&key);
        prop_assert_eq!(sasl_tpm::parse(&message), Ok(&key[..]));
    }

    #[test]
    fn addresses_of_any_text(text in any::<String>()) {
        let _ = DpsAddress::parse(&text);
        let _ = HubNode::parse(&text);
        let _ = HubNode::parse(&format!("/devices/{text}"));
    }
}
