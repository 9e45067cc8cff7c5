//! Shared access signature tokens (DPS documentation, "Control access";
//! IoT Hub documentation, "SAS tokens").

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::{DecodeError, query};

/// How far the clocks of device and service may differ, in seconds.
const CLOCK_SKEW: i64 = 300;

/// A parsed token. Keeps `sr` and `se` as they were written, because clients
/// disagree on the encoding and the signature covers the written form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SasToken {
    raw_resource: String,
    raw_expiry: String,
    resource: String,
    signature: Vec<u8>,
    expiry: i64,
    key_name: Option<String>,
}

/// Why a token does not open the door.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SasError {
    /// `se` has passed.
    #[error("the token has expired")]
    Expired,
    /// Not signed with the key.
    #[error("the signature does not match")]
    BadSignature,
    /// Signs another resource.
    #[error("the token is for another resource")]
    WrongResource,
}

impl SasToken {
    /// Signs for `resource` until `expiry` (Unix seconds). `sign` is
    /// HMAC-SHA256 under the device's key, be it in memory or in a TPM.
    /// `key_name` becomes `skn`; `sr` is percent-encoded (upper case).
    pub fn format(
        resource: &str,
        expiry: i64,
        key_name: Option<&str>,
        sign: impl FnOnce(&[u8]) -> [u8; 32],
    ) -> String {
        let sr = query::encode(resource).to_string();
        let signature = STANDARD.encode(sign(signed_text(&sr, &expiry.to_string()).as_bytes()));
        let sig = query::encode(&signature);
        let mut token = format!("SharedAccessSignature sr={sr}&sig={sig}&se={expiry}");
        if let Some(name) = key_name {
            token.push_str(&format!("&skn={}", query::encode(name)));
        }
        token
    }

    /// Reads a token; fields in any order, `skn` optional or empty, unknown
    /// fields ignored.
    ///
    /// # Errors
    /// The field that is missing, malformed or given twice.
    pub fn parse(text: &str) -> Result<Self, DecodeError> {
        let fields = text
            .trim()
            .split_once(' ')
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("SharedAccessSignature"))
            .map(|(_, fields)| fields.trim_start())
            .ok_or_else(|| {
                DecodeError::new(
                    "SAS token",
                    "does not begin with \"SharedAccessSignature \"",
                )
            })?;

        let raw_resource = field(fields, "sr")?;
        let sig = query::decode("sig", field(fields, "sig")?)?;
        let raw_expiry = field(fields, "se")?;
        let key_name = match unique(fields, "skn")? {
            None | Some("") => None,
            Some(name) => Some(query::decode("skn", name)?),
        };
        Ok(Self {
            raw_resource: raw_resource.to_owned(),
            raw_expiry: raw_expiry.to_owned(),
            resource: query::decode("sr", raw_resource)?,
            signature: STANDARD
                .decode(&sig)
                .map_err(|problem| DecodeError::new("sig", format!("is not base64: {problem}")))?,
            expiry: raw_expiry.parse().map_err(|_| {
                DecodeError::new(
                    "se",
                    format!("\"{raw_expiry}\" is not a time in Unix seconds"),
                )
            })?,
            key_name,
        })
    }

    /// Checks resource (decoded, case-insensitively), expiry against `now`
    /// (Unix seconds, five minutes of clock skew forgiven) and signature (in constant time).
    ///
    /// # Errors
    /// See [`SasError`].
    pub fn verify(&self, resource: &str, key: &[u8], now: i64) -> Result<(), SasError> {
        if !self.resource.eq_ignore_ascii_case(resource) {
            return Err(SasError::WrongResource);
        }
        if now > self.expiry.saturating_add(CLOCK_SKEW) {
            return Err(SasError::Expired);
        }
        let key = hmac::Key::new(hmac::HMAC_SHA256, key);
        let signed = signed_text(&self.raw_resource, &self.raw_expiry);
        hmac::verify(&key, signed.as_bytes(), &self.signature).map_err(|_| SasError::BadSignature)
    }

    /// `sr`, decoded.
    pub fn resource(&self) -> &str {
        &self.resource
    }

    /// `skn`, when given and not empty.
    pub fn key_name(&self) -> Option<&str> {
        self.key_name.as_deref()
    }

    /// From when on, in Unix seconds, it does not hold any more for who is let in with it at `now`: from
    /// `se` on, or from the end of the five minutes that are forgiven, where they have begun.
    pub fn holds_until(&self, now: i64) -> i64 {
        if now < self.expiry {
            self.expiry
        } else {
            self.expiry.saturating_add(CLOCK_SKEW + 1)
        }
    }
}

/// What the signature covers: both fields exactly as written.
fn signed_text(raw_resource: &str, raw_expiry: &str) -> String {
    format!("{raw_resource}\n{raw_expiry}")
}

fn field<'a>(fields: &'a str, name: &'static str) -> Result<&'a str, DecodeError> {
    match unique(fields, name)? {
        Some(value) if !value.is_empty() => Ok(value),
        _ => Err(DecodeError::new(name, "is missing")),
    }
}

/// A field given twice is refused: two readers might disagree on which one counts.
fn unique<'a>(fields: &'a str, name: &'static str) -> Result<Option<&'a str>, DecodeError> {
    let mut values = query::pairs(fields)
        .filter(|(key, _)| *key == name)
        .map(|(_, value)| value);
    let first = values.next();
    match values.next() {
        None => Ok(first),
        Some(_) => Err(DecodeError::new(name, "is given twice")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &[u8] = b"0123456789abcdef0123456789abcdef";
    const RESOURCE: &str = "0ne00111111/registrations/Dev:1";

    fn sign(data: &[u8]) -> [u8; 32] {
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, KEY), data);
        tag.as_ref().try_into().expect("SHA-256 has 32 bytes")
    }

    /// A token with the given spelling of `sr` and order of fields.
    fn spelled(template: &str, sr: &str, se: &str) -> String {
        let sig = STANDARD.encode(sign(format!("{sr}\n{se}").as_bytes()));
        let sig = query::encode(&sig).to_string();
        let fields = template
            .replace("{sr}", sr)
            .replace("{sig}", &sig)
            .replace("{se}", se);
        format!("SharedAccessSignature {fields}")
    }

    #[test]
    fn every_sdk_spelling_of_a_token_verifies() {
        let spellings = [
            (
                "sr={sr}&sig={sig}&se={se}&skn=registration",
                "0ne00111111/registrations/Dev:1",
            ),
            (
                "sr={sr}&sig={sig}&se={se}&skn=registration",
                "0ne00111111%2Fregistrations%2FDev%3A1",
            ),
            (
                "sr={sr}&sig={sig}&se={se}&skn=registration",
                "0ne00111111%2fregistrations%2fDev%3a1",
            ),
            (
                "sr={sr}&sig={sig}&se={se}&skn=",
                "0ne00111111/registrations/Dev:1",
            ),
            (
                "sr={sr}&sig={sig}&se={se}",
                "0ne00111111%2Fregistrations%2FDev%3A1",
            ),
            (
                "sig={sig}&se={se}&skn=registration&sr={sr}",
                "0ne00111111%2fregistrations%2fdev%3a1",
            ),
        ];
        for (template, sr) in spellings {
            let token = SasToken::parse(&spelled(template, sr, "1000")).expect(template);
            assert_eq!(token.verify(RESOURCE, KEY, 900), Ok(()), "{template} {sr}");
        }
    }

    #[test]
    fn the_written_token_is_exact() {
        let token = SasToken::format(
            "0ne/registrations/a",
            1_700_000_000,
            Some("registration"),
            |data| {
                assert_eq!(data, b"0ne%2Fregistrations%2Fa\n1700000000");
                [0xfb; 32]
            },
        );
        assert_eq!(
            token,
            "SharedAccessSignature sr=0ne%2Fregistrations%2Fa\
             &sig=%2B%2Fv7%2B%2Fv7%2B%2Fv7%2B%2Fv7%2B%2Fv7%2B%2Fv7%2B%2Fv7%2B%2Fv7%2B%2Fv7%2B%2Fv7%2B%2Fs%3D\
             &se=1700000000&skn=registration"
        );
    }

    #[test]
    fn a_token_opens_only_its_own_door() {
        let text = SasToken::format(RESOURCE, 1000, Some("registration"), sign);
        let token = SasToken::parse(&text).expect("own format");
        assert_eq!(
            (token.key_name(), token.resource()),
            (Some("registration"), RESOURCE)
        );
        let until = [0, 999, 1000, 1300].map(|now| token.holds_until(now));
        assert_eq!(until, [1000, 1000, 1301, 1301], "later than it is let in");
        assert_eq!(token.verify(RESOURCE, KEY, 1300), Ok(()), "skew forgiven");
        assert_eq!(token.verify(RESOURCE, KEY, 1301), Err(SasError::Expired));
        assert_eq!(
            token.verify("0ne00111111/registrations/dev:12", KEY, 0),
            Err(SasError::WrongResource)
        );
        assert_eq!(
            token.verify(RESOURCE, b"another key", 0),
            Err(SasError::BadSignature)
        );
    }

    #[test]
    fn changing_what_is_signed_breaks_the_signature() {
        let text = SasToken::format(RESOURCE, 1000, None, sign);
        let later = text.replace("se=1000", "se=9000");
        assert_eq!(
            SasToken::parse(&later)
                .expect("reads")
                .verify(RESOURCE, KEY, 0),
            Err(SasError::BadSignature)
        );
        let respelled = text.replace("%2F", "/");
        assert_eq!(
            SasToken::parse(&respelled)
                .expect("reads")
                .verify(RESOURCE, KEY, 0),
            Err(SasError::BadSignature)
        );
    }

    #[test]
    fn malformed_tokens_name_the_field() {
        let cases = [
            ("", "SAS token"),
            ("Bearer sr=a&sig=AA==&se=1", "SAS token"),
            ("SharedAccessSignature sig=AA==&se=1", "sr"),
            ("SharedAccessSignature sr=a&se=1", "sig"),
            ("SharedAccessSignature sr=a&sig=!&se=1", "sig"),
            ("SharedAccessSignature sr=a&sig=AA==", "se"),
            ("SharedAccessSignature sr=a&sig=AA==&se=soon", "se"),
            ("SharedAccessSignature sr=a&sig=AA==&se=1&sr=b", "sr"),
            ("SharedAccessSignature sr=%ff&sig=AA==&se=1", "sr"),
        ];
        for (text, field) in cases {
            assert_eq!(SasToken::parse(text).expect_err(text).what, field, "{text}");
        }
    }
}
