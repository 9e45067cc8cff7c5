//! What a back end reads: telemetry of devices, as of an event hub with one partition, and what became
//! of its messages to them.

use std::sync::Arc;

use fleetstorm_protocol::amqp::events::{
    MANAGEMENT, ManagementQuestion, PARTITION, PartitionExtent, about_event_hub, about_partition,
    event, no_answer,
};
use fleetstorm_protocol::amqp::hub_message::feedback;
use fleetstorm_protocol::amqp::hub_node::TELEMETRY;
use fleetstorm_protocol::amqp::message::Message;
use fleetstorm_protocol::amqp::types::definitions::{Error, Fields, LinkError};
use fleetstorm_protocol::amqp::types::messaging::DeliveryState;
use fleetstorm_protocol::amqp::{Symbol, Value};
use fleetstorm_protocol::hub::EventPosition;
use fleetstorm_protocol::timestamp;
use jiff::Timestamp;
use serde_json::{Value as Json, json};
use tokio::sync::Notify;

use crate::hub::feedback::FeedbackRecord;
use crate::hub::feedback_receiver::FeedbackReceiver;
use crate::hub::registry::Hub;
use crate::hub::telemetry_reader::TelemetryReader;
use crate::hub::{HubRefusal, generation};
use crate::listen::amqp::{AttachRequest, Conversation, LinkId};
use crate::listen::stream::Stream;

/// The port of AMQP, whatever this server's is: clients look it up in what they are told.
const PORT: u16 = 5671;

/// The name that a hub has as an event hub: the first part of its host name.
pub(super) fn event_hub(hub: &str) -> &str {
    hub.split_once('.').map_or(hub, |(label, _domain)| label)
}

/// Whether a back end calls a hub's telemetry so.
pub(super) fn is_telemetry(hub: &str, entity: &str) -> bool {
    let names = [TELEMETRY, event_hub(hub)];
    names.iter().any(|name| name.eq_ignore_ascii_case(entity))
}

/// Who asks at the hub where telemetry is, is sent to the event hub: that is here as well.
pub(super) fn redirect(hub: &str) -> Error {
    let name = event_hub(hub);
    let mut info = Fields::new();
    for (key, value) in [
        ("hostname", hub.to_owned()),
        ("network-host", hub.to_owned()),
        (
            "address",
            format!("amqps://{hub}:{PORT}/{name}/{MANAGEMENT}"),
        ),
    ] {
        info.insert(Symbol::from(key), Value::String(value));
    }
    info.insert(Symbol::from("port"), Value::Ushort(PORT));
    let problem = format!("telemetry is read at {hub} as of the event hub {name}");
    Error::new(LinkError::Redirect, problem, Some(info))
}

/// Begins to read a partition.
///
/// # Errors
/// There is no such partition, or the selector is not understood.
pub(super) fn read(
    hub: &Arc<Hub>,
    partition: &str,
    asked: &AttachRequest,
    wake: &Arc<Notify>,
) -> Result<TelemetryReader, HubRefusal> {
    if partition != PARTITION {
        let problem = format!("partition: \"{partition}\" is not \"{PARTITION}\", the only one");
        return Err(HubRefusal::Malformed(problem));
    }
    let position = match asked.selector() {
        None => EventPosition::Earliest,
        Some(selector) => EventPosition::parse(selector)
            .map_err(|error| HubRefusal::Malformed(error.to_string()))?,
    };
    Ok(hub.read_telemetry(position, Arc::clone(wake)))
}

/// Sends what a reader has not read yet, as far as it has credit.
pub(super) fn pass_on(
    conversation: &mut Conversation<impl Stream>,
    id: LinkId,
    reader: &mut TelemetryReader,
) {
    while conversation.room(id) > 0
        && let Some(received) = reader.take()
    {
        let message = event(
            &received.device,
            &received.message,
            received.sequence,
            received.enqueued,
        );
        conversation.send(id, &message, None);
    }
}

/// Sends what a receiver of feedback has not been sent, as far as it has credit.
pub(super) fn tell(
    conversation: &mut Conversation<impl Stream>,
    id: LinkId,
    hub: &str,
    receiver: &mut FeedbackReceiver,
) {
    while conversation.room(id) > 0
        && let Some((name, records)) = receiver.take()
    {
        let document = |record: &FeedbackRecord| {
            json!({
                "originalMessageId": record.message_id,
                "enqueuedTimeUtc": timestamp::format(record.at),
                "statusCode": record.ending.name(),
                "description": record.ending.name(),
                "deviceId": record.device.device_id(),
                "deviceGenerationId": generation(record.created),
            })
        };
        let records: Vec<_> = records.iter().map(document).collect();
        let records = Json::from(records).to_string().into_bytes();
        let message = feedback(hub, records, Timestamp::now());
        conversation.send(id, &message, Some(name));
    }
}

/// What a receiver of feedback makes of it.
pub(super) fn settled(receiver: &mut FeedbackReceiver, name: u64, state: Option<&DeliveryState>) {
    let waits = matches!(
        state,
        Some(DeliveryState::Released(_) | DeliveryState::Modified(_))
    );
    receiver.settle(name, !waits);
}

/// Answers a request about the event hub.
pub(super) fn answer(hub: &Hub, message: &Message) -> Message {
    let answer = match ManagementQuestion::of(message) {
        Ok(ManagementQuestion::EventHub { name } | ManagementQuestion::Partition { name, .. })
            if !is_telemetry(hub.host_name(), &name) =>
        {
            no_answer(404, "no such event hub")
        }
        Ok(ManagementQuestion::EventHub { name }) => about_event_hub(&name, Timestamp::UNIX_EPOCH),
        Ok(ManagementQuestion::Partition { name, partition }) if partition == PARTITION => {
            let extent = hub.telemetry();
            let extent = PartitionExtent {
                first: extent.first,
                next: extent.next,
                last_enqueued: extent.last_enqueued.unwrap_or(Timestamp::UNIX_EPOCH),
            };
            about_partition(&name, extent)
        }
        Ok(ManagementQuestion::Partition { .. }) => no_answer(404, "no such partition"),
        Err(error) => no_answer(400, &error.to_string()),
    };
    answer.with_correlation(message.properties.message_id.clone())
}
