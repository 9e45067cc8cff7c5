//! DPS's names for things: parsed once, then trusted.

use std::fmt;
use std::hash::{Hash, Hasher};

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
    /// Names a module within its device.
    ModuleId, "module id", device_id_rule
);
id!(
    /// Names a running registration, like `5.316aac5bdc130deb.b1e02da8-c3a0-4ff2-a121-7ea7a6b7f550`.
    OperationId, "operation id", operation_id_rule
);

/// Names who has an identity at a hub, with a twin and connections of its own: a device, or a module of
/// one; `{deviceId}` or `{deviceId}/{moduleId}`, which is also its client id in MQTT.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ClientId(Box<str>);

impl ClientId {
    /// A module's.
    pub fn of_module(device: &str, module: &ModuleId) -> Self {
        Self(format!("{device}/{module}").into())
    }

    /// Reads it.
    ///
    /// # Errors
    /// Names the rule that a part breaks.
    pub fn parse(text: &str) -> Result<Self, DecodeError> {
        match text.split_once('/') {
            None => Ok(DeviceId::parse(text)?.into()),
            Some((device, module)) => {
                DeviceId::parse(device)?;
                ModuleId::parse(module)?;
                Ok(Self(text.into()))
            }
        }
    }

    /// Reads it off what stands behind `devices/` in paths: `{deviceId}[/modules/{moduleId}]`.
    ///
    /// # Errors
    /// It is no such path, or a part breaks a rule.
    pub fn of_path(path: &str) -> Result<Self, DecodeError> {
        match path.split_once('/') {
            None => Self::parse(path),
            Some((device, rest)) => {
                let module = rest.split_once('/').filter(|(word, _)| {
                    // Words are the same in any case, ids are not.
                    word.eq_ignore_ascii_case("modules")
                });
                let (_, module) = module.ok_or_else(|| {
                    DecodeError::new("path", format!("\"{path}\" is no device's or module's"))
                })?;
                Ok(Self::of_module(
                    DeviceId::parse(device)?.as_str(),
                    &ModuleId::parse(module)?,
                ))
            }
        }
    }

    /// As in its resource and its topics: `devices/{deviceId}[/modules/{moduleId}]`.
    pub fn path(&self) -> String {
        match self.module_id() {
            None => format!("devices/{}", self.device_id()),
            Some(module) => format!("devices/{}/modules/{module}", self.device_id()),
        }
    }

    /// The id as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The device, or the one that the module is of.
    pub fn device_id(&self) -> &str {
        self.0.split_once('/').map_or(&self.0, |(device, _)| device)
    }

    /// The module, if it is one.
    pub fn module_id(&self) -> Option<&str> {
        self.0.split_once('/').map(|(_, module)| module)
    }

    /// Whether it is a module.
    pub fn is_module(&self) -> bool {
        self.module_id().is_some()
    }

    /// The device that a module is of; a device is its own.
    pub fn device(&self) -> Self {
        Self(self.device_id().into())
    }
}

/// Modules are filed beside their device.
impl Hash for ClientId {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.device_id().hash(state);
    }
}

impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<DeviceId> for ClientId {
    fn from(id: DeviceId) -> Self {
        Self(id.0)
    }
}

impl From<&DeviceId> for ClientId {
    fn from(id: &DeviceId) -> Self {
        Self(id.0.clone())
    }
}

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
    fn modules_are_named_within_their_device() {
        let module = ClientId::of_path("pump-1/modules/$edgeAgent").expect("valid");
        assert_eq!(module.as_str(), "pump-1/$edgeAgent");
        assert_eq!(ClientId::parse("pump-1/$edgeAgent"), Ok(module.clone()));
        assert_eq!(
            (module.device_id(), module.module_id()),
            ("pump-1", Some("$edgeAgent"))
        );
        assert_eq!(module.path(), "devices/pump-1/modules/$edgeAgent");
        let device = ClientId::of_path("pump-1").expect("valid");
        assert_eq!(
            (device.module_id(), module.device()),
            (None, device.clone())
        );
        assert_eq!(device.path(), "devices/pump-1");
        for bad in ["", "/", "a/", "/m", "a/b/c", "a b", "a/modules/"] {
            assert!(ClientId::parse(bad).is_err(), "{bad}");
        }
        for bad in [
            "a/m",
            "a/modules",
            "a/modules/",
            "a/modules/b/c",
            "a/twins/b",
        ] {
            assert!(ClientId::of_path(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn canonical_form_is_lower_case() {
        let id = RegistrationId::parse("Dev-A").expect("valid");
        assert_eq!((id.as_str(), id.canonical().as_str()), ("Dev-A", "dev-a"));
    }
}
