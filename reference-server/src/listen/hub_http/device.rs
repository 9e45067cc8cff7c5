//! What a device asks its hub over HTTPS.

use bytes::Bytes;
use fleetstorm_protocol::hub::route::DeviceOperation;
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use hyper::{Response, StatusCode};
use jiff::Timestamp;
use uuid::Uuid;

use super::answer::{Answered, empty};
use super::message;
use crate::hub::HubRefusal;
use crate::hub::admitted::AdmittedDevice;
use crate::hub::message_queue::Settlement;

/// Content type of several messages in one request.
const BATCH: &str = "application/vnd.microsoft.iothub.json";

/// Answers it.
pub(super) fn answer(
    device: &AdmittedDevice,
    operation: &DeviceOperation,
    headers: &HeaderMap,
    body: &Bytes,
    now: Timestamp,
) -> Answered {
    match operation {
        DeviceOperation::Send => send(device, headers, body, now)?,
        DeviceOperation::Receive => return receive(device, now),
        DeviceOperation::Complete(lock) => settle(device, lock, Settlement::Complete, now)?,
        DeviceOperation::Reject(lock) => settle(device, lock, Settlement::Reject, now)?,
        DeviceOperation::Abandon(lock) => settle(device, lock, Settlement::Abandon, now)?,
    }
    Ok(empty(StatusCode::NO_CONTENT))
}

fn send(
    device: &AdmittedDevice,
    headers: &HeaderMap,
    body: &[u8],
    now: Timestamp,
) -> Result<(), HubRefusal> {
    let content_type = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    if content_type.is_some_and(|value| value.eq_ignore_ascii_case(BATCH.as_bytes())) {
        let messages = message::batch(body)?;
        return messages
            .iter()
            .try_for_each(|message| device.send(message, now));
    }
    device.send(&message::of_request(headers, body), now)
}

fn receive(device: &AdmittedDevice, now: Timestamp) -> Answered {
    let Some(delivery) = device.receive(now)? else {
        return Ok(empty(StatusCode::NO_CONTENT));
    };
    let body = Bytes::copy_from_slice(&delivery.message.body);
    let mut response = Response::new(body.into());
    message::headers(&delivery, response.headers_mut());
    Ok(response)
}

fn settle(
    device: &AdmittedDevice,
    lock: &str,
    settlement: Settlement,
    now: Timestamp,
) -> Result<(), HubRefusal> {
    let lock = Uuid::try_parse(lock.trim_matches('"')).map_err(|_| HubRefusal::LockLost)?;
    device.settle(lock, settlement, now)
}
