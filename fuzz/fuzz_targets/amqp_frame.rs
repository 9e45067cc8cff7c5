//! AMQP frames of both layers, and the messages in them.
#![no_main]

use bytes::BytesMut;
use fleetstorm_protocol::amqp::cbs::{PutToken, PutTokenAnswer};
use fleetstorm_protocol::amqp::dps::{DpsAddress, DpsRequest, DpsResponse};
use fleetstorm_protocol::amqp::events::ManagementQuestion;
use fleetstorm_protocol::amqp::frame::Frame;
use fleetstorm_protocol::amqp::hub::{MethodCall, MethodResult, TwinMessage, TwinRequest};
use fleetstorm_protocol::amqp::hub_message;
use fleetstorm_protocol::amqp::hub_node::HubNode;
use fleetstorm_protocol::amqp::hub_user::HubUser;
use fleetstorm_protocol::amqp::message::Message;
use fleetstorm_protocol::amqp::sasl::{Plain, SaslFrame};
use fleetstorm_protocol::amqp::sasl_tpm::{self, TpmChallengePart, TpmInit};
use fleetstorm_protocol::amqp::types::performatives::Performative;
use libfuzzer_sys::fuzz_target;

const MAX_FRAME: usize = 64 * 1024;

fuzz_target!(|bytes: &[u8]| {
    let mut stream = BytesMut::from(bytes);
    while let Ok(Some(frame)) = SaslFrame::read(&mut stream) {
        if let SaslFrame::Init(init) = &frame {
            response(init.initial_response.as_deref().map_or(&[], Vec::as_slice));
        }
        if let SaslFrame::Response(answer) = &frame {
            response(&answer.response);
        }
    }
    let mut stream = BytesMut::from(bytes);
    while let Ok(Some(frame)) = Frame::read(&mut stream, MAX_FRAME) {
        if let Some(Performative::Attach(attach)) = frame.performative {
            let address = attach.source.and_then(|source| source.address);
            let address = address.unwrap_or_default();
            let _ = (DpsAddress::parse(&address), HubNode::parse(&address));
        }
        if let Ok(message) = Message::read(frame.payload) {
            read(message);
        }
    }
});

fn response(bytes: &[u8]) {
    if let Ok(plain) = Plain::parse(bytes) {
        let _ = HubUser::parse(&plain.user);
    }
    let _ = TpmInit::parse(bytes);
    let _ = TpmChallengePart::parse(bytes);
    let _ = sasl_tpm::parse(bytes);
}

/// As whatever anybody may take it for.
fn read(message: Message) {
    let written = message.to_bytes();
    let read = Message::read(written.clone()).expect("a message that we wrote");
    assert_eq!(read.to_bytes(), written);
    let _ = PutToken::of(&message);
    let _ = PutTokenAnswer::of(&message);
    let _ = ManagementQuestion::of(&message);
    let _ = TwinRequest::of(&message);
    let _ = TwinMessage::of(&message);
    let _ = MethodCall::of(&message);
    let _ = MethodResult::of(&message);
    let _ = DpsRequest::of(&message);
    let _ = hub_message::from_service(&message);
    let _ = DpsResponse::of(message);
}
