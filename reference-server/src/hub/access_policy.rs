//! Who may use the service API: the shared access policy that every hub has
//! (IoT Hub documentation, "Control access with shared access signatures").

use fleetstorm_protocol::sas::SasToken;
use fleetstorm_protocol::symmetric_key::SymmetricKey;
use jiff::Timestamp;

use crate::randomness;
use crate::store::{Store, StoreError};

/// The policy that may do everything.
const OWNER: &str = "iothubowner";

/// `iothubowner`.
#[derive(Clone)]
pub struct AccessPolicy {
    key: SymmetricKey,
}

impl AccessPolicy {
    /// With a key of its own.
    pub fn generate() -> Self {
        let key = SymmetricKey::generate::<32>(randomness::fill);
        Self { key }
    }

    /// With a key of its own: the one that the store has by this name, else a new one.
    ///
    /// # Errors
    /// The store can't be read or written.
    pub(crate) fn kept_in(store: &Store, name: &str) -> Result<Self, StoreError> {
        let key = store.secret(name, || Self::generate().key)?;
        Ok(Self { key })
    }

    /// With a given key, in base64.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn from_base64(key: &str) -> Result<Self, String> {
        let key = SymmetricKey::parse(key).map_err(|error| error.problem)?;
        Ok(Self { key })
    }

    /// Whether a token opens `resource` of the hub: it is signed with the policy's key for that,
    /// or for something that it lies in. If so, until when, in Unix seconds.
    pub fn admits(&self, token: &str, resource: &str, now: Timestamp) -> Option<i64> {
        let token = SasToken::parse(token).ok()?;
        let opens = token.key_name() == Some(OWNER)
            && lies_in(resource, token.resource())
            && token
                .verify(token.resource(), self.key.as_bytes(), now.as_second())
                .is_ok();
        opens.then_some(token.expiry())
    }

    /// What service SDKs connect with.
    pub fn connection_string(&self, host_name: &str) -> String {
        let key = String::from(self.key.clone());
        format!("HostName={host_name};SharedAccessKeyName={OWNER};SharedAccessKey={key}")
    }
}

/// Whether a path is another or below it.
pub(crate) fn lies_in(path: &str, other: &str) -> bool {
    let other = other.trim_end_matches('/');
    let (Some(start), Some(rest)) = (path.get(..other.len()), path.get(other.len()..)) else {
        return false;
    };
    !other.is_empty()
        && start.eq_ignore_ascii_case(other)
        && (rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_800_000_000;

    fn key(byte: u8) -> SymmetricKey {
        SymmetricKey::from_bytes([byte; 32]).expect("a key")
    }

    #[test]
    fn a_policy_opens_its_hub_and_what_lies_in_it() {
        let policy = AccessPolicy::from_base64(&String::from(key(7))).expect("a key");
        let now = Timestamp::from_second(NOW).expect("in range");
        let token = |resource: &str, name: Option<&str>, key: u8, expiry: i64| {
            SasToken::format(resource, expiry, name, |text| self::key(key).sign(text))
        };
        let opens = |token: &str, resource: &str| policy.admits(token, resource, now).is_some();
        let good = token("hub.test", Some(OWNER), 7, NOW + 60);
        assert!(opens(&good, "hub.test"));
        assert!(opens(&good, "hub.test/devices/d"));
        assert!(!opens(&good, "hub.test.evil/devices/d"));
        assert!(!opens(&good, "other.test"));
        let narrow = token("hub.test/devices/d", Some(OWNER), 7, NOW + 60);
        assert!(opens(&narrow, "hub.test/devices/d"));
        assert!(!opens(&narrow, "hub.test"));
        for bad in [
            token("hub.test", Some(OWNER), 8, NOW + 60),
            token("hub.test", Some("device"), 7, NOW + 60),
            token("hub.test", None, 7, NOW + 60),
            token("hub.test", Some(OWNER), 7, NOW - 3600),
            String::new(),
        ] {
            assert!(!opens(&bad, "hub.test"), "{bad}");
        }
        assert_eq!(
            policy.connection_string("hub.test"),
            "HostName=hub.test;SharedAccessKeyName=iothubowner;\
             SharedAccessKey=BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc="
        );
    }

    #[test]
    fn keys_are_base64_of_sixteen_to_sixty_four_bytes() {
        for (key, words) in [("?", "is not base64"), ("AAAA", "has 3 bytes")] {
            let problem = AccessPolicy::from_base64(key).err().expect(words);
            assert!(problem.contains(words), "{problem}");
        }
        assert!(AccessPolicy::generate().connection_string("h").len() > 60);
    }
}
