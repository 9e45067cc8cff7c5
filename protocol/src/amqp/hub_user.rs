//! Who logs in to a hub by SASL `PLAIN`; the password is a SAS token
//! (IoT Hub documentation, "Control access by using shared access signatures").

use crate::DecodeError;
use crate::ids::{ClientId, DeviceId};

/// Stands between who it is and where.
const AT: &str = "@sas.";
/// Stands behind that where it is a policy.
const ROOT: &str = "root.";

/// A user name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HubUser {
    /// Who.
    pub who: Who,
    /// The hub's name, as a rule without its domain.
    hub: String,
}

/// Whose token it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Who {
    /// `{deviceId}@sas.{hub}`
    Device(ClientId),
    /// `{policy}@sas.root.{hub}`
    Policy(String),
}

impl HubUser {
    /// Reads it; `@sas.` and `root.` in any case.
    ///
    /// # Errors
    /// The part that is missing or malformed.
    pub fn parse(text: &str) -> Result<Self, DecodeError> {
        let malformed = |problem: &str| DecodeError::new("SASL user name", problem);
        // ASCII alone changes: places stay the same. A device id may hold an `@` itself.
        let place = text.to_ascii_lowercase().rfind(AT);
        let (who, hub) = place
            .map(|place| (&text[..place], &text[place + AT.len()..]))
            .ok_or_else(|| malformed("is not {deviceId}@sas.{hub} or {policy}@sas.root.{hub}"))?;
        let (who, hub) = match hub.split_at_checked(ROOT.len()) {
            Some((root, hub)) if root.eq_ignore_ascii_case(ROOT) && !who.is_empty() => {
                (Who::Policy(who.to_owned()), hub)
            }
            _ => (Who::Device(DeviceId::parse(who)?.into()), hub),
        };
        if hub.is_empty() {
            return Err(malformed("names no hub"));
        }
        Ok(Self {
            who,
            hub: hub.to_owned(),
        })
    }

    /// Whether it names the hub with a host name: by that, or by the first part of it.
    pub fn is_at(&self, host_name: &str) -> bool {
        let (label, _domain) = host_name.split_once('.').unwrap_or((host_name, ""));
        [host_name, label]
            .iter()
            .any(|name| name.eq_ignore_ascii_case(&self.hub))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_and_policies_are_told_apart() {
        let device = |id: &str| Who::Device(ClientId::parse(id).expect("valid"));
        for (text, who) in [
            ("pump-1@sas.yard", device("pump-1")),
            ("a@sas.b@SAS.yard", device("a@sas.b")),
            ("pump-1@sas.yard.azure-devices.net", device("pump-1")),
            ("service@sas.root.yard", Who::Policy("service".into())),
            (
                "iothubowner@SAS.root.Yard",
                Who::Policy("iothubowner".into()),
            ),
        ] {
            let user = HubUser::parse(text).expect(text);
            assert_eq!(user.who, who, "{text}");
            assert!(user.is_at("yard.azure-devices.net"), "{text}");
            assert!(!user.is_at("yard-2.azure-devices.net"), "{text}");
        }
        for text in [
            "",
            "pump-1",
            "pump-1@yard",
            "@sas.yard",
            "@sas.root.yard",
            "pump-1@sas.",
            "service@sas.root.",
            "a b@sas.yard",
            "0ne/registrations/pump-1",
        ] {
            assert!(HubUser::parse(text).is_err(), "{text}");
        }
    }
}
