//! DPS over AMQP: one link a direction, both with the device's address.

use bytes::Bytes;
use fleetstorm_protocol::amqp::dps::{DpsAddress, DpsRequest, DpsResponse, refusal_of};
use fleetstorm_protocol::amqp::sasl::Plain;
use fleetstorm_protocol::amqp::types::messaging::MessageId;
use fleetstorm_protocol::http::{API_VERSION, DeviceOperation};
use fleetstorm_reports::{Breach, Fault};

use super::{AmqpLink, Received, Wanted};
use crate::link::carrier::Carrier;
use crate::link::error::LinkError;
use crate::link::request::{Proof, Registrant, Request, Response};

/// A device's AMQP connection with DPS.
pub struct DpsAmqp {
    link: AmqpLink,
    request_link: u32,
    last_request: u64,
}

impl DpsAmqp {
    /// Proves who the device is, where its certificate has not, then opens both links.
    ///
    /// # Errors
    /// The connection broke, or DPS refused the device.
    pub async fn open(
        carrier: Carrier,
        host: &str,
        registrant: Registrant<'_>,
        proof: Proof<'_>,
    ) -> Result<Self, LinkError> {
        let address = DpsAddress::format(registrant.id_scope, registrant.registration_id);
        let mut link = AmqpLink::new(carrier);
        match proof {
            Proof::None => {}
            Proof::Sas(sas) => {
                let plain = Plain {
                    user: address.clone(),
                    password: sas.to_owned(),
                };
                link.authenticate(&plain).await?;
            }
            Proof::Tpm(tpm) => link.attest(registrant, tpm).await?,
        }
        link.begin(host, registrant.registration_id.as_str());
        let wanted = |name, sends| Wanted {
            name,
            address: &address,
            sends,
            settled: false,
            api_version: API_VERSION,
            properties: &[],
        };
        link.attach(&wanted("provision_receiver_link", false));
        let request_link = link.attach(&wanted("provision_sender_link", true));
        link.settle_in().await?;
        Ok(Self {
            link,
            request_link,
            last_request: 0,
        })
    }

    /// Asks, and waits for the answer or the refusal.
    ///
    /// # Errors
    /// The connection broke.
    pub async fn request(&mut self, request: Request<'_>) -> Result<Response, LinkError> {
        self.last_request += 1;
        let correlation_id = Some(MessageId::String(self.last_request.to_string()));
        let (operation, body) = match request {
            Request::Register(body) => (DeviceOperation::Register, Bytes::copy_from_slice(body)),
            Request::OperationStatus(id) => {
                (DeviceOperation::OperationStatus(id.clone()), Bytes::new())
            }
        };
        let is_register = operation == DeviceOperation::Register;
        let request = DpsRequest {
            correlation_id: correlation_id.clone(),
            operation,
            body,
        };
        let received = self
            .link
            .exchange(self.request_link, &request.message(), false, |message| {
                message.properties.correlation_id == correlation_id
            })
            .await?;
        match received {
            Received::Rejection(rejected) => {
                let (status, retry_after, body) = refusal_of(&rejected);
                Ok(Response {
                    status,
                    retry_after,
                    body,
                })
            }
            Received::Answer(message) => {
                let answer =
                    DpsResponse::of(*message).map_err(|_| Fault::Protocol(Breach::Answer))?;
                // AMQP has no status for success; the JSON tells what matters.
                let status = if is_register { 202 } else { 200 };
                Ok(Response {
                    status,
                    retry_after: answer.retry_after,
                    body: answer.body,
                })
            }
        }
    }

    /// Closes the connection.
    pub async fn close(self) {
        self.link.close().await;
    }
}
