//! A device's AMQP connection with DPS (DPS documentation, "AMQP protocol support"): one link a
//! direction, both with the device's address.

use std::collections::HashMap;
use std::rc::Rc;

use fleetstorm_protocol::amqp::API_VERSION_PROPERTY;
use fleetstorm_protocol::amqp::dps::{DpsAddress, DpsRequest, DpsResponse, rejection};
use fleetstorm_protocol::amqp::message::Message;
use fleetstorm_protocol::amqp::types::definitions::{AmqpError, Error};
use fleetstorm_protocol::attestation::Protocol;
use fleetstorm_protocol::http::MAX_BODY;
use jiff::Timestamp;

use super::amqp::login::Login;
use super::amqp::{Allowance, AttachRequest, Conversation, Delivery, Event, LinkId};
use super::client::Client;
use super::server::Server;
use super::stream::Stream;
use crate::service::refusal::Refusal;
use crate::service::request::{RegistrationRequest, ServiceResponse};

/// Two links are needed; some clients open theirs anew before the old are gone.
pub(super) const ALLOWANCE: Allowance = Allowance {
    sessions: 8,
    links: 8,
    message: MAX_BODY + 8 * 1024,
};

/// The device's links.
#[derive(Default)]
struct Links {
    /// On which requests come, and who asks.
    requests: HashMap<LinkId, Asks>,
    /// On which answers go, and to whom.
    answers: Vec<(LinkId, Rc<DpsAddress>)>,
}

/// Who asks on a link.
struct Asks {
    address: Rc<DpsAddress>,
    /// As its attach says.
    api_version: Option<String>,
}

/// Serves it to its end. As over MQTT, the proof is looked at with each request.
pub(super) async fn serve(
    conversation: &mut Conversation<impl Stream>,
    login: &Login,
    client: &Client,
    server: &Server,
) {
    let mut links = Links::default();
    while let Some(event) = conversation.next().await {
        match event {
            Event::Attach(asked) => attach(conversation, asked, login, &mut links),
            Event::Message(id, delivery, message) => {
                let asker = Asker {
                    login,
                    client,
                    server,
                };
                let came = (id, delivery);
                asker.answer(conversation, came, &message, &links).await;
            }
            Event::Settled(..) | Event::Credit(_) => {}
            Event::Detached(id) => {
                links.requests.remove(&id);
                links.answers.retain(|(link, _)| *link != id);
            }
        }
    }
}

fn attach(
    conversation: &mut Conversation<impl Stream>,
    asked: AttachRequest,
    login: &Login,
    links: &mut Links,
) {
    let address = match DpsAddress::parse(asked.address().unwrap_or_default()) {
        Ok(address) => Rc::new(address),
        Err(error) => {
            let error = Error::new(AmqpError::NotFound, error.to_string(), None);
            return conversation.refuse(asked, error);
        }
    };
    if login.address().is_some_and(|own| !is_same(own, &address)) {
        let problem = "the link is another device's than the login".to_owned();
        let error = Error::new(AmqpError::UnauthorizedAccess, problem, None);
        return conversation.refuse(asked, error);
    }
    if asked.is_incoming() {
        let api_version = asked.property(API_VERSION_PROPERTY).map(str::to_owned);
        let asks = Asks {
            address,
            api_version,
        };
        links.requests.insert(asked.id, asks);
    } else {
        links.answers.push((asked.id, address));
    }
    conversation.accept(asked);
}

/// Ids and scopes are the same in any case.
fn is_same(one: &DpsAddress, other: &DpsAddress) -> bool {
    one.id_scope.eq_ignore_ascii_case(&other.id_scope)
        && one.registration_id.canonical() == other.registration_id.canonical()
}

struct Asker<'a> {
    login: &'a Login,
    client: &'a Client,
    server: &'a Server,
}

impl Asker<'_> {
    async fn answer(
        &self,
        conversation: &mut Conversation<impl Stream>,
        (id, delivery): (LinkId, Delivery),
        message: &Message,
        links: &Links,
    ) {
        let Some(asks) = links.requests.get(&id) else {
            return;
        };
        let answers = links
            .answers
            .iter()
            .find(|(link, to)| link.is_beside(id) && is_same(to, &asks.address));
        let Some((answers, _)) = answers else {
            // Without a link for it there is nobody to hear the answer.
            let refusal = Refusal::BadRequest("no link for the answer is attached".into());
            let answer = self.server.instances.refuse(&refusal, Timestamp::now());
            return conversation.settle(id, delivery, Some(rejected(&answer)));
        };
        let (answer, correlation_id) = match DpsRequest::of(message) {
            Ok(request) => (self.ask(asks, &request).await, request.correlation_id),
            Err(error) => {
                let refusal = Refusal::BadRequest(error.to_string());
                let answer = self.server.instances.refuse(&refusal, Timestamp::now());
                (answer, None)
            }
        };
        if answer.status >= 400 {
            return conversation.settle(id, delivery, Some(rejected(&answer)));
        }
        let response = DpsResponse {
            correlation_id,
            retry_after: answer.retry_after,
            body: answer.body.into(),
        };
        conversation.settle(id, delivery, None);
        conversation.send(*answers, &response.message(), None);
    }

    async fn ask(&self, asks: &Asks, request: &DpsRequest) -> ServiceResponse {
        if request.body.len() > MAX_BODY {
            let refusal = Refusal::TooLarge;
            return self.server.instances.refuse(&refusal, Timestamp::now());
        }
        let registration_request = RegistrationRequest {
            id_scope: &asks.address.id_scope,
            registration_id: &asks.address.registration_id,
            operation: request.operation.clone(),
            body: &request.body,
            sas: self.login.sas(),
            tpm: self.login.tpm(),
            api_version: asks.api_version.as_deref(),
            certificates: &self.client.certificates,
            unproven: self.client.unproven.as_deref(),
            origin: self.client.origin(Protocol::Amqp),
        };
        self.server.ask(self.client, &registration_request).await
    }
}

fn rejected(answer: &ServiceResponse) -> fleetstorm_protocol::amqp::types::messaging::Rejected {
    rejection(answer.status, answer.retry_after, &answer.body)
}
