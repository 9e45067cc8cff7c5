//! One record of the diagnostic log, with the columns that DPS fills in table AzureDiagnostics
//! (DPS documentation, "Monitoring data reference").

use std::net::IpAddr;
use std::time::Duration;

use fleetstorm_protocol::service_error::ServiceError;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::json;
use uuid::Uuid;

/// Whose an operation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) enum Category {
    /// A device's.
    DeviceOperations,
    /// Of the service API.
    ServiceOperations,
}

/// What was asked.
#[derive(Debug)]
pub(crate) struct Operation<'a> {
    /// Who asks.
    pub(crate) category: Category,
    /// Like `AttestationAttempt`.
    pub(crate) name: &'static str,
    /// What it is about: `Registration`, `IndividualEnrollment` or `EnrollmentGroup`.
    pub(crate) kind: &'static str,
    /// Host name of the instance's service endpoint.
    pub(crate) instance: &'a str,
    /// The instance's subscription.
    pub(crate) subscription: &'a str,
    /// Registration id or group id; empty where many are asked for.
    pub(crate) id: &'a str,
    /// `Http`, `Mqtt` or `Amqp`.
    pub(crate) protocol: &'static str,
    /// As the client wrote it, where the protocol has a place for it.
    pub(crate) api_version: Option<&'a str>,
    /// Who asked.
    pub(crate) peer: Option<IpAddr>,
    /// How long it took.
    pub(crate) took: Duration,
}

/// What came of it.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Outcome<'a> {
    /// HTTP status of the answer.
    pub(crate) status: u16,
    /// Its JSON.
    pub(crate) body: &'a [u8],
    /// More of why than the body tells.
    pub(crate) detail: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Columns<'a> {
    #[serde(rename = "CallerIPAddress")]
    caller: String,
    category: Category,
    correlation_id: String,
    duration_ms: String,
    level: &'static str,
    operation_name: &'static str,
    operation_version: String,
    resource: &'a str,
    resource_group: &'static str,
    resource_id: String,
    resource_provider: &'static str,
    resource_type: &'static str,
    result_description: String,
    result_signature: String,
    result_type: &'static str,
    source_system: &'static str,
    subscription_id: &'a str,
    tenant_id: String,
    time_generated: Timestamp,
    r#type: &'static str,
    #[serde(rename = "location_s")]
    location: &'static str,
    #[serde(rename = "properties_s")]
    properties: String,
}

/// The line of an operation and its outcome. Of an answer only an error is told: what else is in
/// it may hold a key.
pub(crate) fn line(operation: &Operation<'_>, outcome: Outcome<'_>, now: Timestamp) -> String {
    // The challenge to a TPM is a 401 as well, and no error.
    let error = (outcome.status >= 400)
        .then(|| ServiceError::from_body(outcome.body).ok())
        .flatten();
    let resource = operation.instance.split('.').next().unwrap_or_default();
    let resource = resource.to_ascii_uppercase();
    let resource_id = format!(
        "/SUBSCRIPTIONS/{}/RESOURCEGROUPS/FLEETSTORM/PROVIDERS/MICROSOFT.DEVICES/PROVISIONINGSERVICES/{resource}",
        operation.subscription.to_ascii_uppercase(),
    );
    let properties = json!({
        "id": operation.id,
        "type": operation.kind,
        "protocol": operation.protocol,
    });
    let columns = Columns {
        caller: operation.peer.map_or_else(String::new, masked),
        category: operation.category,
        correlation_id: error.as_ref().map_or_else(
            || Uuid::new_v4().to_string(),
            |error| error.tracking_id.clone(),
        ),
        duration_ms: operation.took.as_millis().to_string(),
        level: if error.is_some() {
            "Error"
        } else {
            "Information"
        },
        operation_name: operation.name,
        operation_version: operation.api_version.map_or_else(String::new, version),
        resource: &resource,
        resource_group: "FLEETSTORM",
        resource_id,
        resource_provider: "MICROSOFT.DEVICES",
        resource_type: "PROVISIONINGSERVICES",
        result_description: error.as_ref().map_or_else(String::new, |error| {
            let described = format!("{}: {}", error.error_code, error.message);
            match outcome.detail {
                Some(detail) => format!("{described}: {detail}"),
                None => described,
            }
        }),
        result_signature: error
            .as_ref()
            .map_or_else(String::new, |error| error.http_status().to_string()),
        result_type: match &error {
            None => "Success",
            Some(error) if error.http_status() < 500 => "ClientError",
            Some(_) => "Failure",
        },
        source_system: "Azure",
        subscription_id: operation.subscription,
        tenant_id: Uuid::nil().to_string(),
        time_generated: now,
        r#type: "AzureDiagnostics",
        location: "",
        properties: properties.to_string(),
    };
    let mut line = serde_json::to_string(&columns).expect("columns of text are JSON");
    line.push('\n');
    line
}

/// An address without its last part.
fn masked(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => {
            let [a, b, c, _] = address.octets();
            format!("{a}.{b}.{c}.XXX")
        }
        IpAddr::V6(address) => {
            let [a, b, c, ..] = address.segments();
            format!("{a:x}:{b:x}:{c:x}:XXX")
        }
    }
}

/// The name of an api-version: `2019-03-31` is `March2019`. What is no date keeps its text.
fn version(api_version: &str) -> String {
    const MONTHS: [&str; 12] = [
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ];
    let mut parts = api_version.splitn(3, '-');
    let year = parts.next().unwrap_or_default();
    let month = parts.next().and_then(|month| month.parse::<usize>().ok());
    let month = month.and_then(|month| MONTHS.get(month.checked_sub(1)?));
    match (month, parts.next()) {
        (Some(month), Some(day)) if day.ends_with("preview") => format!("{month}{year}Preview"),
        (Some(month), Some(_)) => format!("{month}{year}"),
        _ => api_version.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn logged(outcome: Outcome<'_>) -> Value {
        let operation = Operation {
            category: Category::DeviceOperations,
            name: "AttestationAttempt",
            kind: "Registration",
            instance: "myexampledps.test",
            subscription: "747f1067-0000-0000-0000-9deaa894152f",
            id: "my-device-1",
            protocol: "Mqtt",
            api_version: Some("2019-03-31"),
            peer: "24.18.226.7".parse().ok(),
            took: Duration::from_millis(226),
        };
        let line = line(&operation, outcome, Timestamp::UNIX_EPOCH);
        assert_eq!(line.matches('\n').count(), 1);
        serde_json::from_str(&line).expect("JSON")
    }

    #[test]
    fn a_record_has_the_columns_of_the_documented_example() {
        let mut record = logged(Outcome {
            status: 202,
            body: b"{\"key\":\"secret\"}",
            detail: None,
        });
        let correlation = record["CorrelationId"].take();
        assert!(Uuid::try_parse(correlation.as_str().expect("text")).is_ok());
        let expected = json!({
            "CallerIPAddress": "24.18.226.XXX",
            "Category": "DeviceOperations",
            "CorrelationId": null,
            "DurationMs": "226",
            "Level": "Information",
            "OperationName": "AttestationAttempt",
            "OperationVersion": "March2019",
            "Resource": "MYEXAMPLEDPS",
            "ResourceGroup": "FLEETSTORM",
            "ResourceId": "/SUBSCRIPTIONS/747F1067-0000-0000-0000-9DEAA894152F/RESOURCEGROUPS/FLEETSTORM/PROVIDERS/MICROSOFT.DEVICES/PROVISIONINGSERVICES/MYEXAMPLEDPS",
            "ResourceProvider": "MICROSOFT.DEVICES",
            "ResourceType": "PROVISIONINGSERVICES",
            "ResultDescription": "",
            "ResultSignature": "",
            "ResultType": "Success",
            "SourceSystem": "Azure",
            "SubscriptionId": "747f1067-0000-0000-0000-9deaa894152f",
            "TenantId": "00000000-0000-0000-0000-000000000000",
            "TimeGenerated": "1970-01-01T00:00:00Z",
            "Type": "AzureDiagnostics",
            "location_s": "",
            "properties_s": "{\"id\":\"my-device-1\",\"protocol\":\"Mqtt\",\"type\":\"Registration\"}",
        });
        assert_eq!(record, expected);
    }

    #[test]
    fn an_error_is_described_and_a_challenge_is_none() {
        let error = |error_code, message: &str| {
            let error = ServiceError {
                error_code,
                tracking_id: Uuid::nil().to_string(),
                message: message.into(),
                info: std::collections::BTreeMap::new(),
                timestamp_utc: String::new(),
            };
            serde_json::to_vec(&error).expect("JSON")
        };
        let refused = logged(Outcome {
            status: 401,
            body: &error(401_002, "Invalid certificate"),
            detail: Some("it has expired"),
        });
        assert_eq!(refused["ResultType"], "ClientError");
        assert_eq!(refused["ResultSignature"], "401");
        assert_eq!(
            refused["ResultDescription"],
            "401002: Invalid certificate: it has expired"
        );
        assert_eq!(refused["Level"], "Error");
        let failed = logged(Outcome {
            status: 500,
            body: &error(500_000, "Internal server error"),
            detail: None,
        });
        assert_eq!(failed["ResultType"], "Failure");
        let challenge = logged(Outcome {
            status: 401,
            body: b"{\"authenticationKey\":\"AAAA\"}",
            detail: None,
        });
        assert_eq!(challenge["ResultType"], "Success");
        assert!(!challenge.to_string().contains("AAAA"));
    }

    #[test]
    fn versions_and_addresses_are_written_as_documented() {
        for (written, name) in [
            ("2019-03-31", "March2019"),
            ("2021-10-01", "October2021"),
            ("2025-07-01-preview", "July2025Preview"),
            ("2019-13-01", "2019-13-01"),
            ("new", "new"),
            ("", ""),
        ] {
            assert_eq!(version(written), name);
        }
        let six = "2001:db8:1:2::7".parse().expect("an address");
        assert_eq!(masked(six), "2001:db8:1:XXX");
    }
}
