//! The SASL mechanism `TPM`, as the SDKs speak it (they are its only specification).
//!
//! ```text
//! C: init      00 | id scope | 00 | registration id | 00 | endorsement key (TPM2B_PUBLIC)
//! S: challenge 00
//! C: response  00 | storage root key (TPM2B_PUBLIC)
//! S: challenge 80 | first 470 bytes of the activation blob
//! C: response  00
//! S: challenge C1 | rest of the blob
//! C: response  00 | SAS token
//! S: outcome
//! ```

use crate::DecodeError;

/// Most payload of one segment: a SASL frame has at most 512 bytes.
const SEGMENT: usize = 470;
/// A SASL frame less what is around the challenge.
const MAX_LAST_SEGMENT: usize = 490;
/// Control byte of everything that is no segment.
const WHOLE: u8 = 0x00;
/// Control byte of the first segment: the Java SDK compares for equality.
const FIRST: u8 = 0x80;
/// Control byte of the second and last.
const LAST: u8 = 0xc1;

/// What a device opens with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TpmInit {
    /// The instance; still text, because it may name none.
    pub id_scope: String,
    /// The device; still text.
    pub registration_id: String,
    /// Its endorsement key, a TPM2B_PUBLIC.
    pub endorsement_key: Vec<u8>,
}

impl TpmInit {
    /// Reads the initial response.
    ///
    /// # Errors
    /// The part that is missing or malformed.
    pub fn parse(response: &[u8]) -> Result<Self, DecodeError> {
        let mut parts = whole(response)?.splitn(3, |byte| *byte == 0);
        let (Some(id_scope), Some(registration_id), Some(key)) =
            (parts.next(), parts.next(), parts.next())
        else {
            return Err(malformed("is not scope, registration id, key"));
        };
        let text = |part: &[u8]| {
            std::str::from_utf8(part)
                .map(str::to_owned)
                .map_err(|_| malformed("is not UTF-8"))
        };
        Ok(Self {
            id_scope: text(id_scope)?,
            registration_id: text(registration_id)?,
            endorsement_key: key.to_vec(),
        })
    }

    /// Writes it.
    pub fn format(&self) -> Vec<u8> {
        let (scope, id) = (self.id_scope.as_bytes(), self.registration_id.as_bytes());
        [&[WHOLE], scope, &[0], id, &[0], &self.endorsement_key].concat()
    }
}

/// The challenge that asks for the storage root key, and the response that asks for the next segment.
pub const GO_ON: [u8; 1] = [WHOLE];

/// A storage root key or SAS token behind its control byte.
pub fn format(payload: &[u8]) -> Vec<u8> {
    [&[WHOLE], payload].concat()
}

/// What is behind the control byte of a response.
///
/// # Errors
/// There is no control byte, or that of a segment: no TPM's key or token needs two.
pub fn parse(response: &[u8]) -> Result<&[u8], DecodeError> {
    whole(response)
}

/// The two challenges that carry an activation blob; `None` when it does not fit.
pub fn segments(blob: &[u8]) -> Option<[Vec<u8>; 2]> {
    let (first, rest) = blob.split_at_checked(SEGMENT)?;
    (rest.len() <= MAX_LAST_SEGMENT).then(|| [[&[FIRST], first].concat(), [&[LAST], rest].concat()])
}

/// A challenge, as a device reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TpmChallengePart<'a> {
    /// Asks for the storage root key.
    AskKey,
    /// A part of the blob; more follows.
    Segment(&'a [u8]),
    /// The end of the blob.
    LastSegment(&'a [u8]),
}

impl<'a> TpmChallengePart<'a> {
    /// Reads a challenge.
    ///
    /// # Errors
    /// It is empty, or its control byte means nothing.
    pub fn parse(challenge: &'a [u8]) -> Result<Self, DecodeError> {
        match challenge {
            [WHOLE, ..] => Ok(Self::AskKey),
            [control, part @ ..] if control & 0xc0 == 0xc0 => Ok(Self::LastSegment(part)),
            [control, part @ ..] if control & 0x80 != 0 => Ok(Self::Segment(part)),
            _ => Err(malformed("has no control byte that means something")),
        }
    }
}

fn whole(message: &[u8]) -> Result<&[u8], DecodeError> {
    match message.split_first() {
        Some((&WHOLE, payload)) => Ok(payload),
        _ => Err(malformed("does not start with 00")),
    }
}

fn malformed(problem: &str) -> DecodeError {
    DecodeError::new("SASL TPM message", problem)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blob_travels_in_two_segments_with_the_control_bytes_the_sdks_want() {
        let blob: Vec<u8> = (0..796u32).map(|n| n as u8).collect();
        let [first, last] = segments(&blob).expect("fits");
        assert_eq!((first[0], first.len()), (0x80, 471));
        assert_eq!((last[0], last.len()), (0xc1, 327));
        let parts = [first, last].map(|part| match TpmChallengePart::parse(&part) {
            Ok(TpmChallengePart::Segment(part) | TpmChallengePart::LastSegment(part)) => {
                part.to_vec()
            }
            other => panic!("{other:?}"),
        });
        assert_eq!(parts.concat(), blob);
        assert_eq!(segments(&[0; 469]), None);
        assert_eq!(segments(&[0; 470 + 491]), None);
    }

    #[test]
    fn the_init_is_exact_and_reads_back() {
        let init = TpmInit {
            id_scope: "0ne".into(),
            registration_id: "dev".into(),
            endorsement_key: vec![1, 0x3a, 0, 1],
        };
        let bytes = b"\x000ne\0dev\0\x01\x3a\x00\x01";
        assert_eq!(init.format(), bytes);
        assert_eq!(TpmInit::parse(bytes), Ok(init));
        for broken in [&b""[..], b"0ne\0dev\0k", b"\x000ne\0dev", b"\0\xff\0a\0"] {
            assert!(TpmInit::parse(broken).is_err(), "{broken:?}");
        }
    }
}
