//! What a device has subscribed to, as far as it is kept from one of its connections to the next
//! (MQTT 3.1.1, 3.1.2.4, "Clean Session"). Messages wait in their queue in any case.

/// One device's, and with which quality each is delivered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Subscriptions {
    /// Answers about its twin.
    pub twin: Option<Quality>,
    /// Changes of desired properties.
    pub desired: Option<Quality>,
    /// Direct methods.
    pub methods: Option<Quality>,
    /// Cloud-to-device messages.
    pub messages: Option<Quality>,
}

/// Quality of service: a hub has no other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quality {
    /// 0
    AtMostOnce,
    /// 1
    AtLeastOnce,
}
