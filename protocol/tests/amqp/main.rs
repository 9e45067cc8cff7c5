//! AMQP that is written reads back as itself, and no bytes of a peer make a reader panic.

use bytes::{Bytes, BytesMut};
use fleetstorm_protocol::amqp::cbs::{PutToken, PutTokenAnswer};
use fleetstorm_protocol::amqp::dps::{DpsAddress, DpsRequest, DpsResponse, refusal_of, rejection};
use fleetstorm_protocol::amqp::encoding;
use fleetstorm_protocol::amqp::frame::{self, Frame, FrameError};
use fleetstorm_protocol::amqp::hub::{MethodCall, MethodResult, TwinMessage, TwinRequest};
use fleetstorm_protocol::amqp::hub_node::HubNode;
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

mod hostile;
mod round_trips;

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
