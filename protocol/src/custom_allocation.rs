//! What DPS and a custom allocation webhook say to each other (DPS documentation, "Understand custom
//! allocation policies").

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::registration::TpmAttestation;
use crate::twin::InitialTwin;
use crate::{DecodeError, document};

/// Which webhook an enrollment asks.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CustomAllocationDefinition {
    /// Where it is. The query mostly holds the key that opens it: see [`Self::masked_url`].
    pub webhook_url: String,
    /// In whose form of the service API it hears of the enrollment.
    pub api_version: String,
}

impl CustomAllocationDefinition {
    /// The URL with its query struck out, as logs may hold it.
    pub fn masked_url(&self) -> String {
        masked(&self.webhook_url)
    }
}

/// Strikes that query out of an enrollment's document: for webhooks, and for who may not change it.
pub fn mask(enrollment: &mut Value) {
    if let Some(url) = enrollment.pointer_mut("/customAllocationDefinition/webhookUrl")
        && let Some(text) = url.as_str()
    {
        *url = masked(text).into();
    }
}

fn masked(url: &str) -> String {
    match url.split_once('?') {
        Some((place, _)) => format!("{place}?****"),
        None => url.to_owned(),
    }
}

/// Without the key.
impl fmt::Debug for CustomAllocationDefinition {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("CustomAllocationDefinition")
            .field("webhook_url", &self.masked_url())
            .field("api_version", &self.api_version)
            .finish()
    }
}

/// The body of the POST.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AllocationRequest {
    /// The enrollment that let the device in, as the service API shows it; its group's is beside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub individual_enrollment: Option<Value>,
    /// The group that let the device in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enrollment_group: Option<Value>,
    /// The device.
    pub device_runtime_context: DeviceRuntimeContext,
    /// Host names of the hubs that may be chosen.
    pub linked_hubs: Vec<String>,
}

/// What is known of the device.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeviceRuntimeContext {
    /// Its registration id.
    pub registration_id: String,
    /// The hub where it is; absent on its first registration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current_iot_hub_host_name: Option<String>,
    /// Its name there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current_device_id: Option<String>,
    /// What it showed, where that was a certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub x509: Option<PresentedCertificate>,
    /// There, and empty, where it has a key: keys are not told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub symmetric_key: Option<WithheldKey>,
    /// Its TPM's public keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tpm: Option<TpmAttestation>,
    /// What it sent along with its register.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<Value>,
}

/// A device's certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PresentedCertificate {
    /// Standard base64 of DER.
    pub client_certificate: String,
}

/// `{}`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WithheldKey {}

/// What a webhook answers. Members that it does not know are ignored.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AllocationResponse {
    /// Host name of the hub: one of those that it was told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub iot_hub_host_name: Option<String>,
    /// Takes the place of the enrollment's where a new twin is made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub initial_twin: Option<InitialTwin>,
    /// For the device.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payload: Option<Value>,
}

impl AllocationResponse {
    /// Reads the body of a webhook's answer.
    ///
    /// # Errors
    /// Not JSON, or another shape.
    pub fn from_body(body: &[u8]) -> Result<Self, DecodeError> {
        document::read("allocation response", body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From the documentation's page.
    #[test]
    fn the_documented_answer_is_read() {
        let body = br#"{"iotHubHostName":"toasters.azure-devices.net","initialTwin":{"properties":{"desired":{"state":"ready"}},"tags":{"deviceType":"toaster"}},"payload":{"property1":"value1"},"more":1}"#;
        let read = AllocationResponse::from_body(body).expect("documented form");
        assert_eq!(
            read.iot_hub_host_name.as_deref(),
            Some("toasters.azure-devices.net")
        );
        let twin = read.initial_twin.expect("is there");
        assert_eq!(twin.properties.desired["state"], "ready");
        assert_eq!(
            read.payload,
            Some(serde_json::json!({"property1": "value1"}))
        );
        for body in [
            &br#"{"initialTwin":null,"payload":null}"#[..],
            br#"{"IotHubHostName":null,"InitialTwin":null}"#,
            b"{}",
        ] {
            let read = AllocationResponse::from_body(body).expect("all optional");
            assert_eq!(read, AllocationResponse::default());
        }
        for body in [
            &b""[..],
            b"OK",
            b"[1",
            br#"{"iotHubHostName":7}"#,
            br#"{"initialTwin":[]"#,
        ] {
            assert!(AllocationResponse::from_body(body).is_err());
        }
    }

    #[test]
    fn a_devices_context_is_written_as_documented() {
        let request = AllocationRequest {
            device_runtime_context: DeviceRuntimeContext {
                registration_id: "a".into(),
                current_iot_hub_host_name: Some("h".into()),
                current_device_id: Some("a".into()),
                symmetric_key: Some(WithheldKey {}),
                ..DeviceRuntimeContext::default()
            },
            linked_hubs: vec!["h".into()],
            ..AllocationRequest::default()
        };
        assert_eq!(
            serde_json::to_string(&request).expect("serialises"),
            r#"{"deviceRuntimeContext":{"registrationId":"a","currentIotHubHostName":"h","currentDeviceId":"a","symmetricKey":{}},"linkedHubs":["h"]}"#
        );
    }

    #[test]
    fn the_key_of_a_webhook_is_told_to_nobody() {
        let definition = CustomAllocationDefinition {
            webhook_url: "https://f.test/api/x?code=secret".into(),
            api_version: "2021-10-01".into(),
        };
        assert_eq!(definition.masked_url(), "https://f.test/api/x?****");
        assert!(!format!("{definition:?}").contains("secret"));
    }
}
