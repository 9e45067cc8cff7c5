//! Why a hub says no, in its own numbers and names (IoT Hub documentation,
//! "Troubleshoot: error codes"; the service SDKs' error code enumerations).

use std::collections::BTreeMap;

use fleetstorm_protocol::ids::ClientId;
use fleetstorm_protocol::service_error::ServiceError;
use fleetstorm_protocol::timestamp;
use jiff::Timestamp;
use uuid::Uuid;

/// What is not done, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HubRefusal {
    /// No such hub.
    #[error("no such hub")]
    UnknownHub,
    /// No such device.
    #[error("no such device")]
    UnknownDevice,
    /// No such module of a device.
    #[error("no such module")]
    UnknownModule,
    /// The proof does not hold, or the identity is disabled.
    #[error("not authorised")]
    Unauthorized,
    /// What was asked can't be understood, or breaks a rule of twins or messages.
    #[error("{0}")]
    Malformed(String),
    /// A version of the API that is not served.
    #[error("BadRequest")]
    UnknownVersion,
    /// There is a device of that name.
    #[error("a device with the same id exists")]
    AlreadyExists,
    /// The device has a module of that name.
    #[error("the device has a module with the same id")]
    ModuleAlreadyExists,
    /// The device has as many modules as it may have.
    #[error("the device has {0} modules, which is the limit")]
    TooManyModules(usize),
    /// The entity tag that the caller holds is not the current one.
    #[error("the entity tag does not match")]
    PreconditionFailed,
    /// The message was settled by somebody else, or its lock has run out.
    #[error("the lock on the message is lost")]
    LockLost,
    /// Message or document over its limit.
    #[error("{0}")]
    TooLarge(String),
    /// More devices at once than a bulk operation may have.
    #[error("{0} devices, the limit is {1}")]
    TooManyDevices(usize, usize),
    /// Fifty messages wait already.
    #[error("too many messages wait for the device")]
    QueueFull,
    /// The rest of a request did not come in time.
    #[error("the request took too long to come")]
    TooSlow,
    /// Too much at once.
    #[error("too many requests are under way")]
    Throttled,
    /// The device is not connected, or does not listen for calls.
    #[error("Timed out waiting for device to connect.")]
    NotOnline,
    /// The device did not answer a call in time.
    #[error("Timed out waiting for the response from device.")]
    NoAnswer,
    /// The server's data folder can't be written any more; standard error says why.
    #[error("what was asked can't be kept")]
    NotKept,
}

impl HubRefusal {
    /// There is no such device, or no such module.
    pub(super) fn unknown(client: &ClientId) -> Self {
        if client.is_module() {
            Self::UnknownModule
        } else {
            Self::UnknownDevice
        }
    }

    /// Six digits; the first three are the HTTP status.
    pub fn code(&self) -> u32 {
        match self {
            Self::UnknownVersion => 400_001,
            Self::Malformed(_) => 400_004,
            Self::UnknownHub => 401_001,
            Self::Unauthorized => 401_002,
            Self::QueueFull => 403_004,
            Self::UnknownDevice => 404_001,
            Self::UnknownModule => 404_010,
            Self::NotOnline => 404_103,
            Self::TooSlow => 408_000,
            Self::AlreadyExists => 409_001,
            Self::ModuleAlreadyExists => 409_301,
            Self::TooManyModules(_) => 413_003,
            Self::PreconditionFailed => 412_001,
            Self::LockLost => 412_002,
            Self::TooLarge(_) => 413_001,
            Self::TooManyDevices(..) => 413_002,
            Self::Throttled => 429_001,
            Self::NotKept => 500_001,
            Self::NoAnswer => 504_101,
        }
    }

    /// What says it to a device that can read JSON: the error body that DPS has, too.
    pub fn body(&self, now: Timestamp) -> Vec<u8> {
        let error = ServiceError {
            error_code: self.code(),
            tracking_id: Uuid::new_v4().to_string(),
            message: self.to_string(),
            info: BTreeMap::new(),
            timestamp_utc: timestamp::format(now),
        };
        serde_json::to_vec(&error).expect("text and numbers are JSON")
    }

    /// HTTP status.
    pub fn status(&self) -> u16 {
        u16::try_from(self.code() / 1000).unwrap_or(500)
    }

    /// What the header `iothub-errorcode` holds.
    pub fn name(&self) -> &'static str {
        match self {
            Self::UnknownVersion => "InvalidProtocolVersion",
            Self::Malformed(_) => "ArgumentInvalid",
            Self::UnknownHub => "IotHubNotFound",
            Self::Unauthorized => "IotHubUnauthorizedAccess",
            Self::QueueFull => "DeviceMaximumQueueDepthExceeded",
            Self::UnknownDevice => "DeviceNotFound",
            Self::UnknownModule => "ModuleNotFound",
            Self::NotOnline => "DeviceNotOnline",
            Self::TooSlow => "RequestTimeout",
            Self::AlreadyExists => "DeviceAlreadyExists",
            Self::ModuleAlreadyExists => "ModuleAlreadyExistsOnDevice",
            Self::TooManyModules(_) => "TooManyModulesOnDevice",
            Self::PreconditionFailed => "PreconditionFailed",
            Self::LockLost => "DeviceMessageLockLost",
            Self::TooLarge(_) => "MessageTooLarge",
            Self::TooManyDevices(..) => "TooManyDevices",
            Self::Throttled => "ThrottlingException",
            Self::NotKept => "ServerError",
            Self::NoAnswer => "GatewayTimeout",
        }
    }
}
