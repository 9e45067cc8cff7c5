//! Frames: eight bytes of header, a performative, perhaps a payload (part 2, 2.3).

use bytes::{Buf, BufMut, Bytes, BytesMut};
use fe2o3_amqp_types::definitions::Handle;
use fe2o3_amqp_types::performatives::{Performative, Transfer};
use serde::Serialize;

use super::encoding;
use crate::DecodeError;

/// Every peer takes frames of this size (MIN-MAX-FRAME-SIZE, part 2, 2.8.20).
pub const MIN_MAX_FRAME_SIZE: usize = 512;

const HEADER: usize = 8;
/// The null of AMQP.
const NULL: u8 = 0x40;
const AMQP: u8 = 0x00;
const SASL: u8 = 0x01;

/// An AMQP frame.
#[derive(Debug, Clone, PartialEq)]
pub struct Frame {
    /// Channel of the session it belongs to; 0 for those that belong to none.
    pub channel: u16,
    /// What it says; nothing when it only shows that the peer is alive.
    pub performative: Option<Performative>,
    /// What follows a transfer: a message, or a part of one.
    pub payload: Bytes,
}

/// Why bytes are no frame.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The header contradicts itself, or the frame is of the other layer.
    #[error("frame: {0}")]
    Framing(String),
    /// Longer than was agreed.
    #[error("frame: {size} bytes are more than the {limit} that were agreed")]
    TooLong {
        /// As the header says.
        size: usize,
        /// What was agreed.
        limit: usize,
    },
    /// The performative can't be read.
    #[error(transparent)]
    Malformed(#[from] DecodeError),
}

impl Frame {
    /// Takes the first frame off `buffer`; `None` while it is not complete.
    ///
    /// # Errors
    /// See [`FrameError`]. The stream can't be read any further.
    pub fn read(buffer: &mut BytesMut, limit: usize) -> Result<Option<Self>, FrameError> {
        let Some((channel, mut body)) = cut(buffer, AMQP, limit)? else {
            return Ok(None);
        };
        if body.is_empty() {
            return Ok(Some(Self {
                channel,
                performative: None,
                payload: Bytes::new(),
            }));
        }
        let performative = body.split_to(encoding::length(&body)?);
        let performative = decode("performative", &performative)?;
        if !body.is_empty() && !matches!(performative, Performative::Transfer(_)) {
            return Err(DecodeError::new("performative", "only a transfer has a payload").into());
        }
        Ok(Some(Self {
            channel,
            performative: Some(performative),
            payload: body,
        }))
    }
}

/// Appends a frame with its payload.
pub fn write(out: &mut BytesMut, channel: u16, performative: &Performative, payload: &[u8]) {
    begin(out, AMQP, channel, |out| {
        encode(out, performative);
        out.put_slice(payload);
    });
}

/// The same with all fields of the performative, to the last null: a peer may leave the last ones out
/// (part 1, 1.4), and the clients of Event Hubs for Python fall over it.
pub fn write_whole(out: &mut BytesMut, channel: u16, performative: &Performative, payload: &[u8]) {
    let fields = match performative {
        Performative::Open(_) => 10,
        Performative::Begin(_) => 8,
        Performative::Attach(_) => 14,
        Performative::Flow(_) | Performative::Transfer(_) => 11,
        Performative::Disposition(_) => 6,
        Performative::Detach(_) => 3,
        Performative::End(_) | Performative::Close(_) => 1,
    };
    begin(out, AMQP, channel, |out| {
        let start = out.len();
        encode(out, performative);
        fill(out, start, fields);
        out.put_slice(payload);
    });
}

/// Fills a described list up with nulls. One that is none stays as it is.
fn fill(out: &mut BytesMut, start: usize, fields: u8) {
    let (count, header): (u32, usize) = match &out[start..] {
        [0x00, 0x53, _, 0x45, ..] => (0, 4),
        [0x00, 0x53, _, 0xc0, _, count, ..] => ((*count).into(), 6),
        [0x00, 0x53, _, 0xd0, _, _, _, _, a, b, c, d, ..] => {
            (u32::from_be_bytes([*a, *b, *c, *d]), 12)
        }
        _ => return,
    };
    let missing = (count..fields.into()).len();
    if missing == 0 {
        return;
    }
    let mut items = out.split_off(start + header);
    out.truncate(start + 3);
    items.put_bytes(NULL, missing);
    match u8::try_from(items.len() + 1) {
        Ok(size) => out.put_slice(&[0xc0, size, fields]),
        Err(_) => {
            let size = u32::try_from(items.len() + 4).expect("frames are far below 4 GB");
            out.put_u8(0xd0);
            out.put_u32(size);
            out.put_u32(fields.into());
        }
    }
    out.unsplit(items);
}

/// What one frame carries of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// Of the link.
    pub handle: u32,
    /// Names the delivery in its session.
    pub delivery: u32,
    /// Whether the delivery begins here: only then it is named (part 2, 2.6.14).
    pub is_first: bool,
    /// Whether the sender wants no outcome.
    pub settled: bool,
    /// Whether there is more to come.
    pub more: bool,
}

impl From<Part> for Performative {
    fn from(part: Part) -> Self {
        let Part {
            is_first, delivery, ..
        } = part;
        Self::Transfer(Transfer {
            handle: Handle(part.handle),
            delivery_id: is_first.then_some(delivery),
            delivery_tag: is_first.then(|| delivery.to_be_bytes().to_vec().into()),
            message_format: is_first.then_some(0),
            settled: Some(part.settled),
            more: part.more,
            rcv_settle_mode: None,
            state: None,
            resume: false,
            aborted: false,
            batchable: false,
        })
    }
}

/// Appends a transfer.
pub fn write_part(out: &mut BytesMut, channel: u16, part: Part, payload: &[u8]) {
    write(out, channel, &part.into(), payload);
}

/// Appends an empty frame: a sign of life.
pub fn write_heartbeat(out: &mut BytesMut) {
    begin(out, AMQP, 0, |_| {});
}

/// Takes the body of the first SASL frame off `buffer`; `None` while it is not complete.
pub(super) fn read_sasl(buffer: &mut BytesMut) -> Result<Option<Bytes>, FrameError> {
    let frame = cut(buffer, SASL, MIN_MAX_FRAME_SIZE)?;
    let Some((_, body)) = frame else {
        return Ok(None);
    };
    encoding::check(&body)?;
    Ok(Some(body))
}

/// Appends a SASL frame.
pub(super) fn write_sasl(out: &mut BytesMut, body: &impl Serialize) {
    begin(out, SASL, 0, |out| encode(out, body));
}

/// Takes channel and body of the first frame off `buffer`, without extended header.
fn cut(buffer: &mut BytesMut, kind: u8, limit: usize) -> Result<Option<(u16, Bytes)>, FrameError> {
    let Some(header) = buffer.first_chunk::<HEADER>() else {
        return Ok(None);
    };
    let [s0, s1, s2, s3, offset, found, c0, c1] = *header;
    let size = usize::try_from(u32::from_be_bytes([s0, s1, s2, s3])).unwrap_or(usize::MAX);
    let (offset, channel) = (usize::from(offset) * 4, u16::from_be_bytes([c0, c1]));
    if size > limit {
        return Err(FrameError::TooLong { size, limit });
    }
    if offset < HEADER || size < offset {
        return Err(FrameError::Framing(format!(
            "its body starts at {offset} of {size} bytes"
        )));
    }
    if found != kind {
        return Err(FrameError::Framing(format!(
            "its type is {found}, not {kind}"
        )));
    }
    if buffer.len() < size {
        return Ok(None);
    }
    let mut frame = buffer.split_to(size);
    frame.advance(offset);
    Ok(Some((channel, frame.freeze())))
}

fn begin(out: &mut BytesMut, kind: u8, channel: u16, write_body: impl FnOnce(&mut BytesMut)) {
    let start = out.len();
    out.put_u32(0);
    out.put_slice(&[2, kind]);
    out.put_u16(channel);
    write_body(out);
    let size = u32::try_from(out.len() - start).expect("frames are far below 4 GB");
    out[start..start + 4].copy_from_slice(&size.to_be_bytes());
}

/// Decodes one checked value.
pub(super) fn decode<'de, T: serde::Deserialize<'de>>(
    what: &'static str,
    value: &'de [u8],
) -> Result<T, DecodeError> {
    serde_amqp::from_slice(value).map_err(|problem| DecodeError::new(what, problem.to_string()))
}

/// Appends one value.
pub(super) fn encode(out: &mut BytesMut, value: &impl Serialize) {
    let mut serializer = serde_amqp::ser::Serializer::new(out.writer());
    value
        .serialize(&mut serializer)
        .expect("values of ours have an encoding, and memory takes it");
}

#[cfg(test)]
mod tests {
    use fe2o3_amqp_types::definitions::{AmqpError, Error};
    use fe2o3_amqp_types::performatives::{Close, Detach};

    use super::*;

    #[test]
    fn whole_frames_say_the_same_with_all_fields() {
        let long = "x".repeat(300);
        let error = |text: &str| Some(Error::new(AmqpError::NotFound, text.to_owned(), None));
        let detach = |error| {
            Performative::Detach(Detach {
                handle: Handle(7),
                closed: true,
                error,
            })
        };
        let part = Part {
            handle: 1,
            delivery: 300,
            is_first: true,
            settled: false,
            more: false,
        };
        for (performative, fields) in [
            (detach(None), 3),
            (detach(error("short")), 3),
            (detach(error(&long)), 3),
            (Performative::Close(Close { error: None }), 1),
            (part.into(), 11),
        ] {
            let payload: &[u8] = match performative {
                Performative::Transfer(_) => b"message",
                _ => b"",
            };
            let (mut whole, mut short) = (BytesMut::new(), BytesMut::new());
            write_whole(&mut whole, 5, &performative, payload);
            write(&mut short, 5, &performative, payload);
            let count = match whole[11] {
                0xc0 => u32::from(whole[13]),
                0xd0 => u32::from_be_bytes([whole[16], whole[17], whole[18], whole[19]]),
                other => panic!("no list: {other:02x}"),
            };
            assert_eq!(count, fields, "{performative:?}");
            let read = |bytes: &mut BytesMut| {
                let frame = Frame::read(bytes, 4096).expect("a frame").expect("whole");
                assert!(bytes.is_empty());
                format!("{frame:?}")
            };
            assert_eq!(read(&mut whole), read(&mut short));
        }
    }
}
