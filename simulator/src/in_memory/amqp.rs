//! The service over AMQP.

use bytes::Bytes;
use fleetstorm_protocol::amqp::cbs::{PutToken, PutTokenAnswer};
use fleetstorm_protocol::amqp::dps::{DpsRequest, DpsResponse, rejection};
use fleetstorm_protocol::amqp::hub::{MethodCall, TwinMessage, TwinRequest};
use fleetstorm_protocol::amqp::hub_node::HubNode;
use fleetstorm_protocol::amqp::message::Message;
use fleetstorm_protocol::amqp::types::messaging::MessageId;
use fleetstorm_protocol::http::DeviceOperation;
use fleetstorm_protocol::hub::HubEvent;
use fleetstorm_protocol::twin::DeviceTwin;

use self::session::{Delivery, Received, Session};
use super::{RETRY_AFTER, Seen, Service, Told};
use crate::link::carrier::duplex::Duplex;

mod session;

impl Service {
    /// Serves a connection to DPS, or to `hub`.
    pub(super) async fn serve_amqp(&self, carrier: impl Duplex, hub: Option<&'static str>) {
        let mut session = Session::new(carrier);
        if session.log_in().await.is_none() {
            return;
        }
        match hub {
            Some(hub) => self.serve_hub_amqp(session, hub).await,
            None => self.serve_dps_amqp(session).await,
        }
    }

    async fn serve_dps_amqp(&self, mut session: Session<impl Duplex>) {
        while let Some(Received::Message(asked)) = session.next(false).await {
            let request = DpsRequest::of(&asked.message).expect("a request");
            let is_register = request.operation == DeviceOperation::Register;
            let (status, body) = self.answer(is_register);
            if status >= 400 {
                let rejected = rejection(status, Some(RETRY_AFTER), body.as_bytes());
                session.settle(&asked, Some(rejected));
                continue;
            }
            session.settle(&asked, None);
            let answer = DpsResponse {
                correlation_id: request.correlation_id,
                retry_after: Some(RETRY_AFTER),
                body: body.into(),
            };
            session.send(&asked.address, &answer.message());
        }
    }

    async fn serve_hub_amqp(&self, mut session: Session<impl Duplex>, hub: &'static str) {
        let mut told = self.tell.subscribe();
        let mut has_joined = false;
        loop {
            let is_deaf = self.state.borrow().is_deaf;
            let received = tokio::select! {
                told = told.recv() => match told {
                    Ok(Told::Publish(event)) => {
                        publish(&mut session, event);
                        continue;
                    }
                    Ok(Told::Hangup) | Err(_) => return,
                },
                received = session.next(is_deaf) => received,
            };
            if self.state.borrow().is_deaf && received.is_some() {
                continue;
            }
            match received {
                Some(Received::Message(said)) => {
                    session.settle(&said, None);
                    match HubNode::parse(&said.address).expect("a node") {
                        HubNode::Claims => {
                            let is_stranger = self.is_stranger_at(hub);
                            answer_token(&mut session, &said, is_stranger);
                            if is_stranger {
                                session.flush().await;
                                return self.see(Seen::NotLetIn);
                            }
                            has_joined = true;
                            self.see(Seen::Joins(hub));
                        }
                        HubNode::Twin(_) => answer_twin(&mut session, &said),
                        HubNode::Methods(_) => self.see(Seen::Answers),
                        HubNode::Events(_) => {
                            let text = String::from_utf8(said.message.text().to_vec());
                            self.see(Seen::Message(text.expect("text")));
                        }
                        other => panic!("a device sends to {other:?}"),
                    }
                }
                Some(Received::Life) => self.see(Seen::Lives),
                Some(Received::Close) => return self.see(Seen::Leaves),
                None if has_joined => return self.see(Seen::Vanishes),
                None => return,
            }
        }
    }
}

fn answer_token(session: &mut Session<impl Duplex>, said: &Delivery, is_stranger: bool) {
    let put = PutToken::of(&said.message).expect("a token");
    let answer = PutTokenAnswer {
        correlation_id: put.message_id,
        status: if is_stranger { 401 } else { 200 },
        description: String::new(),
    };
    session.send(&said.address, &answer.message());
}

fn answer_twin(session: &mut Session<impl Duplex>, said: &Delivery) {
    let request = TwinRequest::of(&said.message).expect("a request");
    let twin = serde_json::to_vec(&DeviceTwin::default()).expect("JSON");
    let answer = TwinMessage::Answer {
        correlation_id: request.correlation_id,
        status: 200,
        version: None,
        body: twin.into(),
    };
    session.send(&said.address, &answer.message());
}

fn publish(session: &mut Session<impl Duplex>, event: HubEvent) {
    let body = Bytes::from_static(b"{}");
    let (is_twins, message): (bool, Message) = match event {
        HubEvent::Desired { version } => (true, TwinMessage::Desired { version, body }.message()),
        HubEvent::Method { name, rid } => {
            let call = MethodCall {
                correlation_id: Some(MessageId::String(rid)),
                name,
                payload: body,
            };
            (false, call.message())
        }
        HubEvent::Message { .. } => panic!("devices ask for no messages"),
    };
    let address = session.address(|node| match node {
        HubNode::Twin(_) => is_twins,
        HubNode::Methods(_) => !is_twins,
        _ => false,
    });
    session.send(&address, &message);
}
