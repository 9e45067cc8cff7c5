//! A device over HTTPS, and the service API.

use serde_json::json;

use super::http::{as_anybody, as_device, as_service, policy_token, to_control};
use super::{HUB, provisioned, yard};
use crate::instance::stranger;

const V: &str = "api-version=2021-04-12";
const EVENTS: &str = "POST /devices/pump-1/messages/events?api-version=2021-04-12";
const BOUND: &str = "/devices/pump-1/messages/devicebound";

#[test]
fn a_device_sends_over_https() {
    let yard = yard();
    let pump = provisioned(&yard, "pump-1");
    let properties = [("iothub-app-level", "high"), ("IoTHub-MessageId", "7")];
    assert_eq!(
        as_device(&yard, &pump, EVENTS, &properties, b"{}").status,
        204
    );
    let batch = br#"[{"body":"aGk=","properties":{"iothub-app-a":"1"}},{"body":"aGk="}]"#;
    let batched = [("Content-Type", "application/vnd.microsoft.iothub.json")];
    assert_eq!(as_device(&yard, &pump, EVENTS, &batched, batch).status, 204);
    assert_eq!(
        as_device(&yard, &pump, EVENTS, &batched, b"[{}]").status,
        400
    );
    let large = vec![b'x'; 256 * 1024 + 1];
    let refused = as_device(&yard, &pump, EVENTS, &[], &large);
    assert_eq!(
        (refused.status, refused.header("iothub-errorcode")),
        (413, "MessageTooLarge")
    );
    for (stranger, status) in [(stranger("pump-1"), 401), (yard.pump("pump-1"), 401)] {
        assert_eq!(as_device(&yard, &stranger, EVENTS, &[], b"").status, status);
    }
    let unknown = "POST /devices/pump-9/messages/events?api-version=2021-04-12";
    let refused = as_device(&yard, &pump, unknown, &[], b"");
    assert_eq!(
        (refused.status, refused.header("iothub-errorcode")),
        (404, "DeviceNotFound")
    );
    assert_eq!(yard.server.counters().device_to_cloud_messages[HUB], 3);
}

#[test]
fn a_device_receives_over_https_and_settles() {
    let yard = yard();
    let pump = provisioned(&yard, "pump-1");
    let ask = |line: &str| as_device(&yard, &pump, line, &[], b"");
    assert_eq!(ask(&format!("GET {BOUND}?{V}")).status, 204);
    let post = format!("POST /hubs/{HUB}{BOUND}");
    let properties = [("iothub-app-level", "high"), ("iothub-messageid", "m-1")];
    assert_eq!(to_control(&yard, &post, &properties, "one").status, 200);
    assert_eq!(
        to_control(&yard, &post, &[], "two").json(),
        json!({"sequenceNumber": 2})
    );

    let first = ask(&format!("GET {BOUND}?{V}"));
    assert_eq!((first.status, first.body.as_str()), (200, "one"));
    assert_eq!(first.header("iothub-messageid"), "m-1");
    assert_eq!(first.header("iothub-app-level"), "high");
    assert_eq!(first.header("iothub-deliverycount"), "0");
    let lock = first.header("etag").trim_matches('"').to_owned();
    assert_eq!(ask(&format!("POST {BOUND}/{lock}/abandon?{V}")).status, 204);
    let lost = ask(&format!("DELETE {BOUND}/{lock}?{V}"));
    assert_eq!(
        (lost.status, lost.header("iothub-errorcode")),
        (412, "DeviceMessageLockLost")
    );

    for (body, count, query) in [("one", "1", ""), ("two", "0", "&reject")] {
        let next = ask(&format!("GET {BOUND}?{V}"));
        assert_eq!(
            (next.body.as_str(), next.header("iothub-deliverycount")),
            (body, count)
        );
        let lock = next.header("etag").trim_matches('"').to_owned();
        assert_eq!(
            ask(&format!("DELETE {BOUND}/{lock}?{V}{query}")).status,
            204
        );
    }
    assert_eq!(ask(&format!("GET {BOUND}?{V}")).status, 204);
    let counted = yard.server.counters();
    assert_eq!(counted.cloud_to_device_messages[HUB], 2);
    assert_eq!(counted.cloud_to_device_completed[HUB], 1);
    for path in [
        format!("POST /hubs/{HUB}/devices/pump-9/messages/devicebound"),
        "POST /hubs/other.test/devices/pump-1/messages/devicebound".into(),
        "POST /hubs".into(),
    ] {
        assert!(to_control(&yard, &path, &[], "x").status >= 400, "{path}");
    }
}

#[test]
fn nobody_uses_the_service_api_without_the_policys_signature() {
    let yard = yard();
    provisioned(&yard, "pump-1");
    let (wrong_key, wrong_policy) = (policy_token(9, "iothubowner"), policy_token(7, "device"));
    for line in [
        format!("GET /devices/pump-1?{V}"),
        format!("PUT /devices/pump-1?{V}"),
        format!("DELETE /devices/pump-1?{V}"),
        format!("DELETE /devices/pump-1/commands?{V}"),
        format!("GET /twins/pump-1?{V}"),
        format!("PATCH /twins/pump-1?{V}"),
        format!("POST /twins/pump-1/methods?{V}"),
        format!("GET /twins/pump-9?{V}"),
    ] {
        for token in ["", "SharedAccessSignature", &wrong_key, &wrong_policy] {
            let refused = as_anybody(&yard, &line, &[("Authorization", token)], "{}");
            assert_eq!(
                (refused.status, refused.header("iothub-errorcode")),
                (401, "IotHubUnauthorizedAccess"),
                "{line} with \"{token}\""
            );
            let message = refused.json()["Message"]
                .as_str()
                .unwrap_or_default()
                .to_owned();
            assert!(
                message.starts_with("ErrorCode:IotHubUnauthorizedAccess;"),
                "{message}"
            );
        }
    }
    let unversioned = as_service(&yard, "GET /devices/pump-1", &[], "");
    assert_eq!(
        (unversioned.status, unversioned.header("iothub-errorcode")),
        (400, "ArgumentInvalid")
    );
    assert_eq!(
        as_service(&yard, &format!("GET /jobs/v2?{V}"), &[], "").status,
        404
    );
    assert_eq!(
        as_service(&yard, &format!("POST /devices/pump-1?{V}"), &[], "").status,
        405
    );
}

#[test]
fn an_api_version_that_nobody_has_published_is_refused() {
    let yard = yard();
    let pump = provisioned(&yard, "pump-1");
    for (version, known) in [
        ("2017-11-08-preview", true),
        ("2020-06-30-preview", true),
        ("2025-08-01-Preview", true),
        ("garbage", false),
        ("2099-01-01", false),
    ] {
        let read = format!("GET /devices/pump-1?api-version={version}");
        let send = format!("POST /devices/pump-1/messages/events?api-version={version}");
        for (answer, status) in [
            (as_service(&yard, &read, &[], ""), 200),
            (as_device(&yard, &pump, &send, &[], b"{}"), 204),
        ] {
            let expected = if known { status } else { 400 };
            assert_eq!(answer.status, expected, "{version}: {}", answer.body);
            if !known {
                assert_eq!(answer.header("iothub-errorcode"), "InvalidProtocolVersion");
                let message = &answer.json()["Message"];
                assert_eq!(message, "ErrorCode:InvalidProtocolVersion;BadRequest");
            }
        }
    }
}

#[test]
fn identities_are_created_changed_and_removed() {
    let yard = yard();
    let ask = |line: &str, condition: &str, body: &str| {
        let condition = [("If-Match", condition)];
        let headers = if condition[0].1.is_empty() {
            &[][..]
        } else {
            &condition
        };
        as_service(&yard, &format!("{line}?{V}"), headers, body)
    };
    let put = |condition: &str, body: &str| ask("PUT /devices/valve-7", condition, body);
    let created = put("", r#"{"deviceId":"valve-7"}"#);
    assert_eq!(created.status, 200);
    let identity = created.json();
    assert_eq!(identity["authentication"]["type"], "sas");
    assert_eq!(identity["status"], "enabled");
    assert_eq!(identity["connectionState"], "Disconnected");
    let key = identity["authentication"]["symmetricKey"]["primaryKey"].as_str();
    assert_eq!(key.map(str::len), Some(44));
    assert_eq!(ask("GET /devices/valve-7", "", "").json(), identity);

    let again = put("", r#"{"deviceId":"valve-7"}"#);
    assert_eq!(
        (again.status, again.header("iothub-errorcode")),
        (409, "DeviceAlreadyExists")
    );
    let stale = put("\"AAAAAAAAAAk=\"", "{}");
    assert_eq!(
        (stale.status, stale.header("iothub-errorcode")),
        (412, "PreconditionFailed")
    );
    let thumbprint = "AB".repeat(32);
    let changed = json!({
        "status": "disabled",
        "statusReason": "stolen",
        "authentication": {
            "type": "selfSigned",
            "x509Thumbprint": {"primaryThumbprint": thumbprint},
        },
    });
    let changed = put("\"AAAAAAAAAAE=\"", &changed.to_string()).json();
    assert_eq!(changed["etag"], "AAAAAAAAAAI=");
    assert_eq!(
        (&changed["status"], &changed["statusReason"]),
        (&json!("disabled"), &json!("stolen"))
    );
    assert_eq!(
        changed["authentication"]["x509Thumbprint"]["primaryThumbprint"],
        thumbprint
    );
    assert_eq!(changed["generationId"], identity["generationId"]);
    for bad in ["", "7", r#"{"deviceId":"valve-8"}"#] {
        assert_eq!(put("*", bad).status, 400, "{bad}");
    }

    assert_eq!(ask("DELETE /devices/valve-7", "\"*\"", "").status, 204);
    let gone = ask("GET /devices/valve-7", "", "");
    assert_eq!(
        (gone.status, gone.header("iothub-errorcode")),
        (404, "DeviceNotFound")
    );
}
