//! The SASL layer: mechanisms, init, challenges, outcome (part 5, 5.3).

use bytes::BytesMut;
use fe2o3_amqp_types::sasl::{SaslChallenge, SaslInit, SaslMechanisms, SaslOutcome, SaslResponse};

use super::encoding;
use super::frame::{self, FrameError};
use crate::DecodeError;

/// Nobody in particular.
pub const ANONYMOUS: &str = "ANONYMOUS";
/// Who the TLS certificate says.
pub const EXTERNAL: &str = "EXTERNAL";
/// Claims follow by a put-token: as good as nobody yet.
pub const MSSBCBS: &str = "MSSBCBS";
/// User name and password (RFC 4616).
pub const PLAIN: &str = "PLAIN";
/// The TPM nonce challenge ([`super::sasl_tpm`]).
pub const TPM: &str = "TPM";

/// A SASL frame.
#[derive(Debug, Clone)]
pub enum SaslFrame {
    /// Server: what it offers.
    Mechanisms(SaslMechanisms),
    /// Client: what it chose.
    Init(SaslInit),
    /// Server: a question.
    Challenge(SaslChallenge),
    /// Client: its answer.
    Response(SaslResponse),
    /// Server: how it ended.
    Outcome(SaslOutcome),
}

impl SaslFrame {
    /// Takes the first SASL frame off `buffer`; `None` while it is not complete. It takes no
    /// byte more: the AMQP header may follow at once.
    ///
    /// # Errors
    /// See [`FrameError`].
    pub fn read(buffer: &mut BytesMut) -> Result<Option<Self>, FrameError> {
        let Some(body) = frame::read_sasl(buffer)? else {
            return Ok(None);
        };
        let descriptor = encoding::descriptor(&body)?;
        let what = "SASL frame";
        let frame = if descriptor.is(0x40, "amqp:sasl-mechanisms:list") {
            Self::Mechanisms(frame::decode(what, &body)?)
        } else if descriptor.is(0x41, "amqp:sasl-init:list") {
            Self::Init(frame::decode(what, &body)?)
        } else if descriptor.is(0x42, "amqp:sasl-challenge:list") {
            Self::Challenge(frame::decode(what, &body)?)
        } else if descriptor.is(0x43, "amqp:sasl-response:list") {
            Self::Response(frame::decode(what, &body)?)
        } else if descriptor.is(0x44, "amqp:sasl-outcome:list") {
            Self::Outcome(frame::decode(what, &body)?)
        } else {
            return Err(DecodeError::new(what, "is of an unknown kind").into());
        };
        Ok(Some(frame))
    }

    /// Appends it.
    pub fn write(&self, out: &mut BytesMut) {
        match self {
            Self::Mechanisms(body) => frame::write_sasl(out, body),
            Self::Init(body) => frame::write_sasl(out, body),
            Self::Challenge(body) => frame::write_sasl(out, body),
            Self::Response(body) => frame::write_sasl(out, body),
            Self::Outcome(body) => frame::write_sasl(out, body),
        }
    }
}

/// User name and password of [`PLAIN`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plain {
    /// `{idScope}/registrations/{registrationId}`.
    pub user: String,
    /// SAS token.
    pub password: String,
}

impl Plain {
    /// Reads `[authzid] NUL user NUL password`; the first part is not looked at.
    ///
    /// # Errors
    /// Another number of parts, or not UTF-8.
    pub fn parse(response: &[u8]) -> Result<Self, DecodeError> {
        let malformed = |problem| DecodeError::new("PLAIN response", problem);
        let text = std::str::from_utf8(response).map_err(|_| malformed("is not UTF-8"))?;
        let mut parts = text.split('\0');
        match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some(_), Some(user), Some(password), None) => Ok(Self {
                user: user.to_owned(),
                password: password.to_owned(),
            }),
            _ => Err(malformed("has not three parts")),
        }
    }

    /// Writes it, without authzid.
    pub fn format(&self) -> Vec<u8> {
        format!("\0{}\0{}", self.user, self.password).into_bytes()
    }
}
