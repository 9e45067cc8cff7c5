//! A device's MQTT session with DPS (DPS documentation, "MQTT protocol support").

use fleetstorm_protocol::attestation::Protocol;
use fleetstorm_protocol::http::DeviceOperation;
use fleetstorm_protocol::mqtt::{
    DpsOperation, DpsRequest, DpsResponse, DpsUserName, RESPONSE_FILTER,
};
use rumqttc::mqttbytes::QoS;
use rumqttc::mqttbytes::v4::Connect;

use super::client::Client;
use super::mqtt::{ClientEvent, Session, password};
use super::server::Server;
use super::stream::Stream;
use crate::service::request::RegistrationRequest;

/// Serves it to its end. Who may log in is not asked: the proof is looked at with each
/// request, and refused with 401 there, as the real service does.
pub(super) async fn serve(
    mut session: Session<impl Stream>,
    user: &DpsUserName,
    connect: &Connect,
    client: &Client,
    server: &Server,
) {
    // DPS keeps no sessions.
    if !session.accept(false).await {
        return;
    }
    let mut subscribed = None;
    loop {
        let packet = session.receive().await;
        let asked = session
            .acknowledge(packet, |filter| filter == RESPONSE_FILTER)
            .await;
        let publish = match asked {
            ClientEvent::Published(publish) => publish,
            ClientEvent::Left | ClientEvent::Gone => break,
            other => {
                match other {
                    ClientEvent::Subscribed(granted) => {
                        subscribed = granted.last().map(|(_, qos)| *qos).or(subscribed);
                    }
                    ClientEvent::Unsubscribed(filters) => {
                        let kept = |_: &QoS| filters.iter().all(|filter| filter != RESPONSE_FILTER);
                        subscribed = subscribed.filter(kept);
                    }
                    _ => {}
                }
                if session.flush().await {
                    continue;
                }
                break;
            }
        };
        // Any other topic ends the connection.
        let Ok(request) = DpsRequest::parse(&publish.topic) else {
            break;
        };
        let registration_request = RegistrationRequest {
            id_scope: &user.id_scope,
            registration_id: &user.registration_id,
            operation: match request.operation {
                DpsOperation::Register => DeviceOperation::Register,
                DpsOperation::OperationStatus(operation) => {
                    DeviceOperation::OperationStatus(operation)
                }
            },
            body: &publish.payload,
            sas: password(connect),
            tpm: None,
            api_version: user.api_version.as_deref(),
            certificates: &client.certificates,
            unproven: client.unproven.as_deref(),
            origin: client.origin(Protocol::Mqtt),
        };
        let answer = server.ask(client, &registration_request).await;
        // What was asked is done, though nobody listens.
        let Some(qos) = subscribed else {
            if session.flush().await {
                continue;
            }
            return;
        };
        let response = DpsResponse {
            status: answer.status,
            rid: request.rid,
            retry_after: answer.retry_after,
        };
        let published = session.publish(response.topic(), qos, answer.body.into());
        if published.await.is_none() {
            return;
        }
    }
    session.close().await;
}
