//! The service over AMQP: what it sends needs no settling, and what it receives is settled at once.

use std::future::pending;

use bytes::{Buf, Bytes, BytesMut};
use fleetstorm_protocol::amqp::cbs::{self, PutToken, PutTokenAnswer};
use fleetstorm_protocol::amqp::dps::{DpsRequest, DpsResponse, rejection};
use fleetstorm_protocol::amqp::frame::{self, Frame};
use fleetstorm_protocol::amqp::hub::{
    MethodCall, TwinMessage, TwinOperation, TwinRequest,
};
use fleetstorm_protocol::amqp::hub_node::HubNode;
use fleetstorm_protocol::amqp::message::Message;
use fleetstorm_protocol::amqp::sasl::{PLAIN, SaslFrame};
use fleetstorm_protocol::amqp::types::definitions::{Handle, Role};
use fleetstorm_protocol::amqp::types::messaging::{
    Accepted, DeliveryState, MessageId, TargetArchetype,
};
use fleetstorm_protocol::amqp::types::performatives::{
    Attach, Close, Disposition, Flow, Performative, Transfer,
};
use fleetstorm_protocol::amqp::types::sasl::{SaslCode, SaslMechanisms, SaslOutcome};
use fleetstorm_protocol::amqp::{AMQP_HEADER, SASL_HEADER, Symbol};
use fleetstorm_protocol::hub::HubEvent;
use fleetstorm_protocol::http::DeviceOperation;
use fleetstorm_protocol::twin::DeviceTwin;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
