//! Messages between device and cloud, whatever carries them
//! (IoT Hub documentation, "Create and read IoT Hub messages").

/// Largest message of a device, properties included, in bytes
/// (IoT Hub documentation, "Quotas and throttling").
pub const MAX_DEVICE_TO_CLOUD: usize = 256 * 1024;
/// Largest message to a device, properties included, in bytes.
pub const MAX_CLOUD_TO_DEVICE: usize = 64 * 1024;

/// A device-to-cloud or cloud-to-device message.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Message {
    /// What IoT Hub itself knows by name.
    pub system: SystemProperties,
    /// The application's own properties, in the order in which they were written.
    pub properties: Vec<(String, String)>,
    /// The application's bytes.
    pub body: Vec<u8>,
}

/// Properties that IoT Hub knows by name; all text, as they travel.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SystemProperties {
    /// The sender's own id of the message.
    pub message_id: Option<String>,
    /// The message that this one answers.
    pub correlation_id: Option<String>,
    /// Who sent it.
    pub user_id: Option<String>,
    /// Where it goes: `/devices/{id}/messages/devicebound`.
    pub to: Option<String>,
    /// Media type of the body.
    pub content_type: Option<String>,
    /// Encoding of the body, like `utf-8`.
    pub content_encoding: Option<String>,
    /// When it ceases to matter, RFC 3339.
    pub expiry: Option<String>,
    /// When the application made it, RFC 3339.
    pub creation_time: Option<String>,
    /// What feedback the sender of a cloud-to-device message asks for:
    /// `none`, `positive`, `negative` or `full`.
    pub acknowledgement: Option<String>,
    /// Others, by their short name (`ifid`, `sub`, `diagid` …).
    pub others: Vec<(String, String)>,
}

impl SystemProperties {
    /// Of a JSON body, said so that message routing can look into it
    /// (IoT Hub documentation, "Message routing query syntax").
    pub fn of_json() -> Self {
        Self {
            content_type: Some("application/json".into()),
            content_encoding: Some("utf-8".into()),
            ..Self::default()
        }
    }
}

impl Message {
    /// Bytes that count against the limits: body and application properties.
    pub fn size(&self) -> usize {
        let properties = self
            .properties
            .iter()
            .map(|(name, value)| name.len() + value.len());
        self.body.len() + properties.sum::<usize>()
    }
}
