//! DPS's names for things: parsed once, then trusted.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::DecodeError;

/// Longest registration, device or enrollment group id in characters
/// (DPS documentation, "Service concepts").
pub const MAX_ID_LENGTH: usize = 128;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $what:literal, $check:path) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Box<str>);

        impl $name {
            /// Reads the id.
            ///
            /// # Errors
            /// Names the rule that the text breaks.
            pub fn parse(text: &str) -> Result<Self, DecodeError> {
                $check(text).map_err(|problem| DecodeError::new($what, problem))?;
                Ok(Self(text.into()))
            }

            /// The id as it was written.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl TryFrom<String> for $name {
            type Error = DecodeError;
            fn try_from(text: String) -> Result<Self, DecodeError> {
                Self::parse(&text)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0.into()
            }
        }
    };
}

id!(
    /// Names one DPS instance behind the global endpoint, like `0ne00111111`.
    IdScope, "id scope", id_scope_rule
);
id!(
    /// Names a device within an id scope. Case-insensitive: compare by [`RegistrationId::canonical`].
    RegistrationId, "registration id", registration_id_rule
);
id!(
    /// Names a device within its hub.
    DeviceId, "device id", device_id_rule
);
id!(
    /// Names a running registration, like `5.316aac5bdc130deb.b1e02da8-c3a0-4ff2-a121-7ea7a6b7f550`.
    OperationId, "operation id", operation_id_rule
);

impl RegistrationId {
    /// The lower-case form under which DPS files and compares the id.
    pub fn canonical(&self) -> String {
        self.0.to_ascii_lowercase()
    }
}

/// A device is called at its hub as it is called at DPS, where nobody says otherwise.
impl From<&RegistrationId> for DeviceId {
    fn from(id: &RegistrationId) -> Self {
        Self(id.0.clone())
    }
}

fn id_scope_rule(text: &str) -> Result<(), String> {
    length_rule(text, MAX_ID_LENGTH)?;
    charset_rule(text, |c| c.is_ascii_alphanumeric() || c == '-')
}

/// Alphanumeric, `-`, `.`, `_`, `:`; the last character alphanumeric or `-`
/// (DPS documentation, "Service concepts: registration ID").
fn registration_id_rule(text: &str) -> Result<(), String> {
    length_rule(text, MAX_ID_LENGTH)?;
    charset_rule(text, |c| {
        c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | ':')
    })?;
    match text.chars().last() {
        Some(c) if c.is_ascii_alphanumeric() || c == '-' => Ok(()),
        _ => Err(format!("\"{text}\" must end with a letter, a digit or '-'")),
    }
}

/// ASCII alphanumeric and `- . % _ * ? ! ( ) , : = @ $ '` (IoT Hub documentation, "Identity registry").
fn device_id_rule(text: &str) -> Result<(), String> {
    length_rule(text, MAX_ID_LENGTH)?;
    charset_rule(text, |c| {
        c.is_ascii_alphanumeric() || "-.%_*?!(),:=@$'".contains(c)
    })
}

fn operation_id_rule(text: &str) -> Result<(), String> {
    length_rule(text, MAX_ID_LENGTH)?;
    charset_rule(text, |c| {
        c.is_ascii_alphanumeric() || matches!(c, '-' | '.')
    })
}

fn length_rule(text: &str, max: usize) -> Result<(), String> {
    match text.len() {
        0 => Err("is empty".into()),
        n if n > max => Err(format!("has {n} characters, the limit is {max}")),
        _ => Ok(()),
    }
}

fn charset_rule(text: &str, allowed: impl Fn(char) -> bool) -> Result<(), String> {
    match text.chars().find(|c| !allowed(*c)) {
        Some(c) => Err(format!("{c:?} is not allowed")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registration_ids_follow_the_documented_rule() {
        for good in ["a", "sn-007-888-abc", "Gateway.1:b_2", "ends-"] {
            assert!(RegistrationId::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "has space",
            "ends.",
            "sl/ash",
            "ümlaut",
            &"x".repeat(129),
        ] {
            assert!(RegistrationId::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_registration_id_is_a_device_id() {
        for good in ["a", "Gateway.1:b_2", "ends-", &"x".repeat(128)] {
            let id = RegistrationId::parse(good).expect("valid");
            assert_eq!(DeviceId::parse(good), Ok(DeviceId::from(&id)));
        }
    }

    #[test]
    fn canonical_form_is_lower_case() {
        let id = RegistrationId::parse("Dev-A").expect("valid");
        assert_eq!((id.as_str(), id.canonical().as_str()), ("Dev-A", "dev-a"));
    }
}
