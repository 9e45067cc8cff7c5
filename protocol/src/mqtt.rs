//! MQTT 3.1.1 binding of the device API: user name and `$dps` topics
//! (DPS documentation, "Communicate with your DPS using the MQTT protocol").

use crate::http::API_VERSION;
use crate::ids::{IdScope, OperationId, RegistrationId};
use crate::{DecodeError, query};

/// The one filter a device may subscribe to.
pub const RESPONSE_FILTER: &str = "$dps/registrations/res/#";

const REGISTER: &str = "$dps/registrations/PUT/iotdps-register/?";
const OPERATION_STATUS: &str = "$dps/registrations/GET/iotdps-get-operationstatus/?";
const RESPONSE: &str = "$dps/registrations/res/";

/// User name of a CONNECT to DPS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DpsUserName {
    /// The instance; still text, because it may name none.
    pub id_scope: String,
    /// The device.
    pub registration_id: RegistrationId,
    /// `api-version`, when given.
    pub api_version: Option<String>,
}

impl DpsUserName {
    /// Reads `{idScope}/registrations/{registrationId}/api-version=…[&ClientVersion=…]`.
    ///
    /// # Errors
    /// The part that is missing or malformed.
    pub fn parse(text: &str) -> Result<Self, DecodeError> {
        let mut parts = text.splitn(4, '/');
        let (Some(id_scope), Some("registrations"), Some(id)) =
            (parts.next(), parts.next(), parts.next())
        else {
            return Err(DecodeError::new(
                "MQTT user name",
                format!(
                    "\"{text}\" is not {{idScope}}/registrations/{{registrationId}}/api-version=…"
                ),
            ));
        };
        // The SDKs write no `?` before the query; whoever does is understood too.
        let query = parts.next().unwrap_or_default().trim_start_matches('?');
        Ok(Self {
            id_scope: id_scope.to_owned(),
            registration_id: RegistrationId::parse(id)?,
            api_version: match query::value(query, "api-version") {
                None | Some("") => None,
                Some(version) => Some(query::decode("api-version", version)?),
            },
        })
    }

    /// Writes it as the SDKs do.
    pub fn format(scope: &IdScope, id: &RegistrationId, client_version: &str) -> String {
        let client_version = query::encode(client_version);
        format!(
            "{scope}/registrations/{id}/api-version={API_VERSION}&ClientVersion={client_version}"
        )
    }
}

/// A PUBLISH from a device: what it asks, and the id to answer to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DpsRequest {
    /// Echoed verbatim.
    pub rid: String,
    /// What it asks.
    pub operation: DpsOperation,
}

/// What a device may ask over MQTT.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DpsOperation {
    /// `$dps/registrations/PUT/iotdps-register/?$rid=…`
    Register,
    /// `$dps/registrations/GET/iotdps-get-operationstatus/?$rid=…&operationId=…`
    OperationStatus(OperationId),
}

impl DpsRequest {
    /// Reads a request topic; values may be percent-encoded.
    ///
    /// # Errors
    /// The part that is missing or malformed.
    pub fn parse(topic: &str) -> Result<Self, DecodeError> {
        if let Some(query) = topic.strip_prefix(REGISTER) {
            return Ok(Self {
                rid: query::request_id(query)?,
                operation: DpsOperation::Register,
            });
        }
        let Some(query) = topic.strip_prefix(OPERATION_STATUS) else {
            return Err(DecodeError::new(
                "topic",
                format!("\"{topic}\" is none a device may publish to"),
            ));
        };
        let id = query::value(query, "operationId")
            .ok_or_else(|| DecodeError::new("operation id", "is missing from the topic"))?;
        let id = OperationId::parse(&query::decode("operation id", id)?)?;
        Ok(Self {
            rid: query::request_id(query)?,
            operation: DpsOperation::OperationStatus(id),
        })
    }

    /// Writes the topic.
    pub fn topic(&self) -> String {
        let rid = &self.rid;
        match &self.operation {
            DpsOperation::Register => format!("{REGISTER}$rid={rid}"),
            DpsOperation::OperationStatus(id) => {
                format!("{OPERATION_STATUS}$rid={rid}&operationId={id}")
            }
        }
    }
}

/// Topic of an answer: `$dps/registrations/res/{status}/?$rid={rid}[&retry-after={seconds}]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DpsResponse {
    /// HTTP status.
    pub status: u16,
    /// Of the request.
    pub rid: String,
    /// Seconds to wait before the next poll.
    pub retry_after: Option<u32>,
}

impl DpsResponse {
    /// Reads a response topic.
    ///
    /// # Errors
    /// The part that is missing or malformed.
    pub fn parse(topic: &str) -> Result<Self, DecodeError> {
        let (status, query) = query::answer(topic, RESPONSE)?;
        Ok(Self {
            status,
            rid: query::request_id(query)?,
            retry_after: query::value(query, "retry-after").and_then(query::seconds),
        })
    }

    /// Writes the topic; `$rid` first, nothing else with a `$` (every SDK's parser needs it so).
    pub fn topic(&self) -> String {
        let mut topic = format!("{RESPONSE}{}/?$rid={}", self.status, self.rid);
        if let Some(seconds) = self.retry_after {
            topic.push_str(&format!("&retry-after={seconds}"));
        }
        topic
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_names_of_all_sdks_are_read() {
        let cases = [
            (
                "0ne/registrations/d:1/api-version=2019-03-31&ClientVersion=azure%2Fnode%201.0",
                Some("2019-03-31"),
            ),
            (
                "0ne/registrations/d:1/api-version=2021-06-01&ClientVersion=1.15.0",
                Some("2021-06-01"),
            ),
            (
                "0ne/registrations/d:1/ClientVersion=a/b&api-version=x",
                Some("x"),
            ),
            (
                "0ne/registrations/d:1/?api-version=2019-03-31",
                Some("2019-03-31"),
            ),
            (
                "0ne/registrations/d:1/api-version=2019-03-31",
                Some("2019-03-31"),
            ),
            ("0ne/registrations/d:1", None),
        ];
        for (text, version) in cases {
            let name = DpsUserName::parse(text).expect(text);
            assert_eq!(
                (name.id_scope.as_str(), name.registration_id.as_str()),
                ("0ne", "d:1")
            );
            assert_eq!(name.api_version.as_deref(), version, "{text}");
        }
        for text in [
            "",
            "0ne",
            "0ne/registrations",
            "hub/device/?api-version=1",
            "0ne/registrations/a b",
        ] {
            assert!(DpsUserName::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_user_name_is_written_without_a_question_mark() {
        let scope = IdScope::parse("0ne").expect("valid");
        let id = RegistrationId::parse("dev").expect("valid");
        assert_eq!(
            DpsUserName::format(&scope, &id, "fleetstorm/0.1"),
            "0ne/registrations/dev/api-version=2019-03-31&ClientVersion=fleetstorm%2F0.1"
        );
    }

    #[test]
    fn request_topics_are_exact_and_read_back() {
        let operation = OperationId::parse("5.3-b").expect("valid");
        let cases = [
            (
                DpsOperation::Register,
                "$dps/registrations/PUT/iotdps-register/?$rid=7",
            ),
            (
                DpsOperation::OperationStatus(operation),
                "$dps/registrations/GET/iotdps-get-operationstatus/?$rid=7&operationId=5.3-b",
            ),
        ];
        for (operation, topic) in cases {
            let request = DpsRequest {
                rid: "7".into(),
                operation,
            };
            assert_eq!(request.topic(), topic);
            assert_eq!(DpsRequest::parse(topic), Ok(request));
        }
    }

    #[test]
    fn the_operation_id_is_decoded_and_the_request_id_is_not() {
        let topic =
            "$dps/registrations/GET/iotdps-get-operationstatus/?operationId=5%2E3&$rid=a%2Fb";
        let request = DpsRequest::parse(topic).expect("order does not matter in requests");
        assert_eq!(request.rid, "a%2Fb");
        assert_eq!(
            request.operation,
            DpsOperation::OperationStatus(OperationId::parse("5.3").expect("valid"))
        );
    }

    #[test]
    fn other_topics_are_refused() {
        for topic in [
            "",
            "$dps/registrations/PUT/iotdps-register",
            "$dps/registrations/PUT/iotdps-register/?rid=1",
            "$dps/registrations/PUT/iotdps-register/?$rid=",
            "$dps/registrations/GET/iotdps-get-operationstatus/?$rid=1",
            "$dps/registrations/GET/iotdps-get-operationstatus/?$rid=1&operationId=a%20b",
            "devices/a/messages/events/",
        ] {
            assert!(DpsRequest::parse(topic).is_err(), "{topic}");
        }
    }

    #[test]
    fn response_topics_are_exact_and_read_back() {
        let cases = [
            (
                202,
                Some(3),
                "$dps/registrations/res/202/?$rid=a-1&retry-after=3",
            ),
            (200, None, "$dps/registrations/res/200/?$rid=a-1"),
        ];
        for (status, retry_after, topic) in cases {
            let response = DpsResponse {
                status,
                rid: "a-1".into(),
                retry_after,
            };
            assert_eq!(response.topic(), topic);
            assert_eq!(DpsResponse::parse(topic), Ok(response));
        }
        for topic in [
            "$dps/registrations/res/99/?$rid=1",
            "$dps/registrations/res/abc/?$rid=1",
            "$dps/registrations/res/200/",
            "$dps/registrations/res/200/?retry-after=1",
        ] {
            assert!(DpsResponse::parse(topic).is_err(), "{topic}");
        }
    }
}
