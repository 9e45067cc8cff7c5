//! Messages: sections one behind another (part 3, 3.2).

use bytes::{Bytes, BytesMut};
use fe2o3_amqp_types::messaging::annotations::OwnedKey;
use fe2o3_amqp_types::messaging::{
    AmqpValue, ApplicationProperties, Data, MessageAnnotations, MessageId, Properties,
};
use fe2o3_amqp_types::primitives::SimpleValue;
use serde_amqp::primitives::{Binary, Symbol};
use serde_amqp::value::Value;

use super::encoding;
use super::frame::{decode, encode};
use crate::DecodeError;

/// A message, without the sections that only brokers need.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Message {
    /// For the infrastructure.
    pub annotations: MessageAnnotations,
    /// The standard properties.
    pub properties: Properties,
    /// Name and value, by the applications.
    pub application_properties: ApplicationProperties,
    /// The body.
    pub body: Body,
}

/// Body of a message.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum Body {
    /// None.
    #[default]
    Empty,
    /// Data sections, joined.
    Data(Bytes),
    /// An AmqpValue section.
    Value(Value),
    /// AmqpSequence sections; nobody looks into them.
    Sequence,
}

impl Message {
    /// A message with one Data section.
    pub fn of_data(data: impl Into<Bytes>) -> Self {
        Self {
            body: Body::Data(data.into()),
            ..Self::default()
        }
    }

    /// Reads it.
    ///
    /// # Errors
    /// A section is malformed or unknown.
    pub fn read(mut bytes: Bytes) -> Result<Self, DecodeError> {
        let mut message = Self::default();
        // Sections may be many and short: they are joined at the end.
        let mut data = None;
        while !bytes.is_empty() {
            let section = bytes.split_to(encoding::length(&bytes)?);
            message.add(&section, &mut data)?;
        }
        if let Some(data) = data {
            message.body = Body::Data(data.freeze());
        }
        Ok(message)
    }

    fn add(&mut self, section: &Bytes, data: &mut Option<BytesMut>) -> Result<(), DecodeError> {
        let what = "message section";
        let descriptor = encoding::descriptor(section)?;
        if descriptor.is(0x75, "amqp:data:binary") {
            let Data(part) = decode(what, section)?;
            let data = data.get_or_insert_default();
            data.extend_from_slice(&part);
        } else if descriptor.is(0x73, "amqp:properties:list") {
            self.properties = decode(what, section)?;
        } else if descriptor.is(0x74, "amqp:application-properties:map") {
            self.application_properties = decode(what, section)?;
        } else if descriptor.is(0x72, "amqp:message-annotations:map") {
            self.annotations = decode(what, section)?;
        } else if descriptor.is(0x77, "amqp:amqp-value:*") {
            let AmqpValue(value) = decode(what, section)?;
            self.body = Body::Value(value);
        } else if descriptor.is(0x76, "amqp:amqp-sequence:list") {
            self.body = Body::Sequence;
        } else if !descriptor.is(0x70, "amqp:header:list")
            && !descriptor.is(0x71, "amqp:delivery-annotations:map")
            && !descriptor.is(0x78, "amqp:footer:map")
        {
            return Err(DecodeError::new(what, "is of an unknown kind"));
        }
        Ok(())
    }

    /// Appends it; sections without content are left out.
    pub fn write(&self, out: &mut BytesMut) {
        if !self.annotations.0.is_empty() {
            encode(out, &self.annotations);
        }
        if self.properties != Properties::default() {
            encode(out, &self.properties);
        }
        if !self.application_properties.0.is_empty() {
            encode(out, &self.application_properties);
        }
        match &self.body {
            // A message needs a body: the shortest is the null value.
            Body::Empty | Body::Sequence => encode(out, &AmqpValue(Value::Null)),
            Body::Data(data) => encode(out, &Data(Binary::from(data.to_vec()))),
            Body::Value(value) => encode(out, &AmqpValue(value.clone())),
        }
    }

    /// It as bytes.
    pub fn to_bytes(&self) -> Bytes {
        let mut out = BytesMut::with_capacity(256);
        self.write(&mut out);
        out.freeze()
    }

    /// Bytes of a body that is text: Data, or a string, symbol or binary value. Nothing otherwise.
    pub fn text(&self) -> Bytes {
        match &self.body {
            Body::Data(data) => data.clone(),
            Body::Value(Value::String(text)) => Bytes::copy_from_slice(text.as_bytes()),
            Body::Value(Value::Symbol(text)) => Bytes::copy_from_slice(text.as_str().as_bytes()),
            Body::Value(Value::Binary(data)) => Bytes::copy_from_slice(data),
            Body::Empty | Body::Value(_) | Body::Sequence => Bytes::new(),
        }
    }

    /// The application property `name`.
    pub fn application_property(&self, name: &str) -> Option<&SimpleValue> {
        self.application_properties.0.get(name)
    }

    /// The application property `name`, if it is text.
    pub fn application_text(&self, name: &str) -> Option<&str> {
        match self.application_property(name)? {
            SimpleValue::String(text) => Some(text),
            SimpleValue::Symbol(text) => Some(text.as_str()),
            _ => None,
        }
    }

    /// Sets an application property.
    pub fn with_application(mut self, name: &str, value: SimpleValue) -> Self {
        self.application_properties.0.insert(name.into(), value);
        self
    }

    /// The message annotation `name`.
    pub fn annotation(&self, name: &str) -> Option<&Value> {
        self.annotations
            .0
            .get(&OwnedKey::Symbol(Symbol::from(name)))
    }

    /// The message annotation `name`, if it is text.
    pub fn annotation_text(&self, name: &str) -> Option<&str> {
        match self.annotation(name)? {
            Value::String(text) => Some(text),
            Value::Symbol(text) => Some(text.as_str()),
            _ => None,
        }
    }

    /// Sets a message annotation.
    pub fn with_annotation(mut self, name: &str, value: Value) -> Self {
        self.annotations.0.insert(name.into(), value);
        self
    }

    /// Sets the correlation id.
    pub fn with_correlation(mut self, id: Option<MessageId>) -> Self {
        self.properties.correlation_id = id;
        self
    }
}

/// A whole number that isn't negative, whatever its width.
pub(super) fn number(value: &SimpleValue) -> Option<u64> {
    whole_number(value)?.try_into().ok()
}

/// A whole number, whatever its width.
pub(super) fn whole_number(value: &SimpleValue) -> Option<i128> {
    match value {
        SimpleValue::Ubyte(number) => Some((*number).into()),
        SimpleValue::Ushort(number) => Some((*number).into()),
        SimpleValue::Uint(number) => Some((*number).into()),
        SimpleValue::Ulong(number) => Some((*number).into()),
        SimpleValue::Byte(number) => Some((*number).into()),
        SimpleValue::Short(number) => Some((*number).into()),
        SimpleValue::Int(number) => Some((*number).into()),
        SimpleValue::Long(number) => Some((*number).into()),
        SimpleValue::String(text) => text.parse().ok(),
        _ => None,
    }
}

/// A whole number that isn't negative, whatever its width.
pub(super) fn number_of_value(value: &Value) -> Option<u64> {
    match value {
        Value::Ubyte(number) => Some((*number).into()),
        Value::Ushort(number) => Some((*number).into()),
        Value::Uint(number) => Some((*number).into()),
        Value::Ulong(number) => Some(*number),
        Value::Byte(number) => (*number).try_into().ok(),
        Value::Short(number) => (*number).try_into().ok(),
        Value::Int(number) => (*number).try_into().ok(),
        Value::Long(number) => (*number).try_into().ok(),
        _ => None,
    }
}
