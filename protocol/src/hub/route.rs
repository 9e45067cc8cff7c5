//! The hub's HTTPS paths: a device's own and the service's
//! (IoT Hub REST reference, "Device", "Devices", "Modules", "Twin", "Query", "Statistics").

use crate::ids::{ClientId, DeviceId, ModuleId};
use crate::path_error::PathError;
use crate::{DecodeError, query};

/// Most identities that one list holds; as many when nothing else is said.
pub const MAX_LISTED: usize = 1_000;

/// What is asked of a hub over HTTPS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HubRoute {
    /// About one device, or one module.
    Client(ClientId, HubOperation),
    /// About all of them, with a shared access policy.
    Registry(RegistryOperation),
}

/// What the service side asks about all devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RegistryOperation {
    /// `GET /devices`
    List {
        /// At most so many: `top`, from 1 to [`MAX_LISTED`].
        top: usize,
    },
    /// `POST /devices`
    Bulk,
    /// `POST /devices/query`
    Query,
    /// `GET /statistics/devices`
    CountDevices,
    /// `GET /statistics/service`
    CountConnected,
}

/// The operations, by who may ask them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HubOperation {
    /// Asked by the device itself.
    Device(DeviceOperation),
    /// Asked with a shared access policy.
    Service(ServiceOperation),
}

/// What a device asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeviceOperation {
    /// `POST /devices/{id}/messages/events`
    Send,
    /// `GET /devices/{id}/messages/devicebound`
    Receive,
    /// `DELETE /devices/{id}/messages/devicebound/{lock}`
    Complete(String),
    /// The same with `reject` in the query.
    Reject(String),
    /// `POST /devices/{id}/messages/devicebound/{lock}/abandon`
    Abandon(String),
}

/// What the service side asks. What is asked about `/devices/{id}` and `/twins/{id}` is asked about
/// modules at `/devices/{id}/modules/{id}` and `/twins/{id}/modules/{id}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServiceOperation {
    /// `GET /devices/{id}`
    ReadIdentity,
    /// `PUT /devices/{id}`
    PutIdentity,
    /// `DELETE /devices/{id}`
    RemoveIdentity,
    /// `GET /devices/{id}/modules`
    ListModules,
    /// `DELETE /devices/{id}/commands`
    PurgeMessages,
    /// `GET /twins/{id}`
    ReadTwin,
    /// `PATCH /twins/{id}`
    PatchTwin,
    /// `PUT /twins/{id}`
    ReplaceTwin,
    /// `POST /twins/{id}/methods`
    CallMethod,
}

impl HubRoute {
    /// Reads method, path and query. Percent-encoded segments are decoded; a missing
    /// `api-version` is malformed.
    ///
    /// # Errors
    /// See [`PathError`].
    pub fn parse(method: &str, path: &str, query: Option<&str>) -> Result<Self, PathError> {
        let segments: Vec<&str> = path.split('/').collect();
        let ["", collection, rest @ ..] = segments.as_slice() else {
            return Err(PathError::NotFound);
        };
        let query = query.unwrap_or_default();
        let collection = collection.to_ascii_lowercase();
        if let Some(operation) = of_all(method, &collection, rest, query)? {
            has_version(query)?;
            return Ok(Self::Registry(operation));
        }
        let [device, rest @ ..] = rest else {
            return Err(PathError::NotFound);
        };
        let (module, rest) = match rest {
            [modules, module, rest @ ..] if modules.eq_ignore_ascii_case("modules") => {
                (Some(module), rest)
            }
            rest => (None, rest),
        };
        let operation = match collection.as_str() {
            "devices" => of_device(method, rest, query)?,
            "twins" => HubOperation::Service(of_twin(method, rest)?),
            _ => return Err(PathError::NotFound),
        };
        if module.is_some() && !operation.is_modules_too() {
            return Err(PathError::NotFound);
        }
        has_version(query)?;
        let device = DeviceId::parse(&query::decode("device id", device)?)?;
        let client = match module {
            None => device.into(),
            Some(module) => {
                let module = ModuleId::parse(&query::decode("module id", module)?)?;
                ClientId::of_module(device.as_str(), &module)
            }
        };
        Ok(Self::Client(client, operation))
    }
}

impl HubOperation {
    /// Whether modules have it: messages wait for devices alone, and modules have no modules.
    fn is_modules_too(&self) -> bool {
        match self {
            Self::Device(operation) => *operation == DeviceOperation::Send,
            Self::Service(operation) => !matches!(
                operation,
                ServiceOperation::ListModules | ServiceOperation::PurgeMessages
            ),
        }
    }
}

fn has_version(query: &str) -> Result<(), PathError> {
    match query::value(query, "api-version") {
        None | Some("") => Err(DecodeError::new("api-version", "is missing from the query").into()),
        Some(_) => Ok(()),
    }
}

/// None for what is about one device, or about nothing that there is.
fn of_all(
    method: &str,
    collection: &str,
    rest: &[&str],
    query: &str,
) -> Result<Option<RegistryOperation>, PathError> {
    let is = |segment: &str, word: &str| segment.eq_ignore_ascii_case(word);
    // The Node SDK asks for a list with a slash behind.
    let rest = if rest == [""] { &[] } else { rest };
    let operation = match (collection, rest, method) {
        ("devices", [], "GET") => RegistryOperation::List { top: top(query)? },
        ("devices", [], "POST") => RegistryOperation::Bulk,
        ("devices", [word], "POST") if is(word, "query") => RegistryOperation::Query,
        ("statistics", [of], "GET") if is(of, "devices") => RegistryOperation::CountDevices,
        ("statistics", [of], "GET") if is(of, "service") => RegistryOperation::CountConnected,
        ("devices", [], _) => return Err(PathError::MethodNotAllowed),
        ("statistics", [of], _) if is(of, "devices") || is(of, "service") => {
            return Err(PathError::MethodNotAllowed);
        }
        _ => return Ok(None),
    };
    Ok(Some(operation))
}

/// A number outside the range counts as the largest (REST reference, "Devices - Get Devices").
fn top(query: &str) -> Result<usize, PathError> {
    let Some(written) = query::value(query, "top") else {
        return Ok(MAX_LISTED);
    };
    let top: i64 = written
        .parse()
        .map_err(|_| DecodeError::new("top", format!("\"{written}\" is not a number")))?;
    let top = usize::try_from(top).unwrap_or(MAX_LISTED);
    Ok(if (1..=MAX_LISTED).contains(&top) {
        top
    } else {
        MAX_LISTED
    })
}

fn of_device(method: &str, rest: &[&str], query: &str) -> Result<HubOperation, PathError> {
    use DeviceOperation::{Abandon, Complete, Receive, Reject, Send};
    let is = |segment: &str, word: &str| segment.eq_ignore_ascii_case(word);
    let device = match (rest, method) {
        ([], "GET") => return Ok(HubOperation::Service(ServiceOperation::ReadIdentity)),
        ([], "PUT") => return Ok(HubOperation::Service(ServiceOperation::PutIdentity)),
        ([], "DELETE") => return Ok(HubOperation::Service(ServiceOperation::RemoveIdentity)),
        ([modules], "GET") if is(modules, "modules") => {
            return Ok(HubOperation::Service(ServiceOperation::ListModules));
        }
        ([commands], "DELETE") if is(commands, "commands") => {
            return Ok(HubOperation::Service(ServiceOperation::PurgeMessages));
        }
        ([messages, events], "POST") if is(messages, "messages") && is(events, "events") => Send,
        ([messages, bound, lock @ ..], method)
            if is(messages, "messages") && is(bound, "devicebound") =>
        {
            match (lock, method) {
                ([], "GET") => Receive,
                ([lock], "DELETE") if has_reject(query) => Reject(decoded(lock)?),
                ([lock], "DELETE") => Complete(decoded(lock)?),
                ([lock, abandon], "POST") if is(abandon, "abandon") => Abandon(decoded(lock)?),
                ([] | [_], _) => return Err(PathError::MethodNotAllowed),
                ([_, abandon], _) if is(abandon, "abandon") => {
                    return Err(PathError::MethodNotAllowed);
                }
                _ => return Err(PathError::NotFound),
            }
        }
        ([] | [_], _)
            if rest
                .first()
                .is_none_or(|word| is(word, "commands") || is(word, "modules")) =>
        {
            return Err(PathError::MethodNotAllowed);
        }
        ([messages, events], _) if is(messages, "messages") && is(events, "events") => {
            return Err(PathError::MethodNotAllowed);
        }
        _ => return Err(PathError::NotFound),
    };
    Ok(HubOperation::Device(device))
}

fn of_twin(method: &str, rest: &[&str]) -> Result<ServiceOperation, PathError> {
    match (rest, method) {
        ([], "GET") => Ok(ServiceOperation::ReadTwin),
        ([], "PATCH") => Ok(ServiceOperation::PatchTwin),
        ([], "PUT") => Ok(ServiceOperation::ReplaceTwin),
        ([methods], "POST") if methods.eq_ignore_ascii_case("methods") => {
            Ok(ServiceOperation::CallMethod)
        }
        ([], _) => Err(PathError::MethodNotAllowed),
        ([methods], _) if methods.eq_ignore_ascii_case("methods") => {
            Err(PathError::MethodNotAllowed)
        }
        _ => Err(PathError::NotFound),
    }
}

/// `reject` stands alone, or with any value.
fn has_reject(query: &str) -> bool {
    query.split('&').any(|pair| {
        let name = pair.split_once('=').map_or(pair, |(name, _)| name);
        name.eq_ignore_ascii_case("reject")
    })
}

fn decoded(lock: &str) -> Result<String, PathError> {
    Ok(query::decode("lock token", lock)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const V: Option<&str> = Some("api-version=2021-04-12");

    #[test]
    fn every_path_is_read() {
        use DeviceOperation::{Abandon, Complete, Receive, Reject, Send};
        use HubOperation::{Device, Service};
        use ServiceOperation as Asked;
        let cases = [
            ("POST", "/devices/d/messages/events", V, Device(Send)),
            ("GET", "/devices/d/messages/deviceBound", V, Device(Receive)),
            (
                "DELETE",
                "/devices/d/messages/devicebound/l-1",
                V,
                Device(Complete("l-1".into())),
            ),
            (
                "DELETE",
                "/devices/d/messages/devicebound/l%2D1",
                Some("api-version=2020-03-13&reject"),
                Device(Reject("l-1".into())),
            ),
            (
                "POST",
                "/devices/d/messages/devicebound/l/abandon",
                V,
                Device(Abandon("l".into())),
            ),
            ("GET", "/devices/d", V, Service(Asked::ReadIdentity)),
            ("PUT", "/devices/d", V, Service(Asked::PutIdentity)),
            ("DELETE", "/devices/d", V, Service(Asked::RemoveIdentity)),
            (
                "DELETE",
                "/devices/d/commands",
                V,
                Service(Asked::PurgeMessages),
            ),
            ("GET", "/devices/d/modules", V, Service(Asked::ListModules)),
            ("GET", "/twins/d", V, Service(Asked::ReadTwin)),
            ("PATCH", "/twins/d", V, Service(Asked::PatchTwin)),
            ("PUT", "/twins/d", V, Service(Asked::ReplaceTwin)),
            ("POST", "/twins/d/methods", V, Service(Asked::CallMethod)),
        ];
        for (method, path, query, operation) in cases {
            let device = ClientId::parse("d").expect("valid");
            assert_eq!(
                HubRoute::parse(method, path, query),
                Ok(HubRoute::Client(device, operation)),
                "{method} {path}"
            );
        }
        for (method, path, operation) in [
            (
                "GET",
                "/devices/d/modules/$edgeHub",
                Service(Asked::ReadIdentity),
            ),
            (
                "PUT",
                "/devices/d/Modules/%24edgeHub",
                Service(Asked::PutIdentity),
            ),
            (
                "DELETE",
                "/devices/d/modules/$edgeHub",
                Service(Asked::RemoveIdentity),
            ),
            ("GET", "/twins/d/modules/$edgeHub", Service(Asked::ReadTwin)),
            (
                "PATCH",
                "/twins/d/modules/$edgeHub",
                Service(Asked::PatchTwin),
            ),
            (
                "PUT",
                "/twins/d/modules/$edgeHub",
                Service(Asked::ReplaceTwin),
            ),
            (
                "POST",
                "/twins/d/modules/$edgeHub/methods",
                Service(Asked::CallMethod),
            ),
            (
                "POST",
                "/devices/d/modules/$edgeHub/messages/events",
                Device(Send),
            ),
        ] {
            let module = ClientId::parse("d/$edgeHub").expect("valid");
            assert_eq!(
                HubRoute::parse(method, path, V),
                Ok(HubRoute::Client(module, operation)),
                "{method} {path}"
            );
        }
        let encoded = HubRoute::parse("GET", "/twins/a%3Ab%20", V);
        assert!(
            matches!(encoded, Err(PathError::Malformed(_))),
            "a blank is no part of an id"
        );
    }

    #[test]
    fn what_is_about_all_devices_is_read() {
        use RegistryOperation::{Bulk, CountConnected, CountDevices, List, Query};
        for (method, path, more, operation) in [
            ("GET", "/devices", "", List { top: 1_000 }),
            ("GET", "/Devices", "&top=3", List { top: 3 }),
            ("GET", "/devices/", "", List { top: 1_000 }),
            ("GET", "/devices", "&top=0", List { top: 1_000 }),
            ("GET", "/devices", "&top=-1", List { top: 1_000 }),
            ("GET", "/devices", "&top=1001", List { top: 1_000 }),
            ("POST", "/devices", "", Bulk),
            ("POST", "/devices/query", "", Query),
            ("GET", "/statistics/devices", "", CountDevices),
            ("GET", "/statistics/Service", "", CountConnected),
        ] {
            let query = format!("api-version=2021-04-12{more}");
            let route = HubRoute::parse(method, path, Some(&query));
            assert_eq!(route, Ok(HubRoute::Registry(operation)), "{path}{more}");
        }
    }

    #[test]
    fn refusals_tell_404_405_and_400_apart() {
        use PathError::{MethodNotAllowed, NotFound};
        for (method, path) in [
            ("GET", "/"),
            ("GET", "/twins"),
            ("GET", "/statistics"),
            ("GET", "/statistics/hubs"),
            ("GET", "/devices/d/files"),
            ("GET", "/devices/d/modules/m/modules"),
            ("GET", "/devices/d/modules/m/messages/devicebound"),
            ("DELETE", "/devices/d/modules/m/commands"),
            ("POST", "/devices/d/messages/devicebound/l/renew"),
            ("GET", "/twins/d/modules"),
            ("GET", "/jobs/v2"),
        ] {
            assert_eq!(HubRoute::parse(method, path, V), Err(NotFound), "{path}");
        }
        for (method, path) in [
            ("PUT", "/devices"),
            ("POST", "/statistics/devices"),
            ("POST", "/devices/d"),
            ("POST", "/devices/d/modules"),
            ("POST", "/devices/d/modules/m"),
            ("GET", "/devices/d/commands"),
            ("GET", "/devices/d/messages/events"),
            ("POST", "/devices/d/messages/devicebound"),
            ("GET", "/devices/d/messages/devicebound/l"),
            ("GET", "/devices/d/messages/devicebound/l/abandon"),
            ("DELETE", "/twins/d"),
            ("GET", "/twins/d/methods"),
        ] {
            assert_eq!(
                HubRoute::parse(method, path, V),
                Err(MethodNotAllowed),
                "{path}"
            );
        }
        for (path, query) in [
            ("/devices/d", None),
            ("/devices/d", Some("api-version=")),
            ("/twins/", V),
            ("/devices/%ff", V),
            ("/devices", None),
            ("/devices", Some("api-version=2021-04-12&top=all")),
            ("/statistics/service", Some("top=1")),
        ] {
            let refused = HubRoute::parse("GET", path, query);
            assert!(matches!(refused, Err(PathError::Malformed(_))), "{path}");
        }
    }

    proptest! {
        #[test]
        fn any_path_is_read_or_refused(
            method in "GET|PUT|POST|DELETE|PATCH|[A-Z]{1,4}",
            segments in proptest::collection::vec(
                prop_oneof![
                    Just("devices".to_owned()), Just("twins".to_owned()), Just("messages".to_owned()),
                    Just("events".to_owned()), Just("devicebound".to_owned()), ".{0,8}",
                ],
                0..6,
            ),
            query in proptest::option::of(".{0,20}"),
        ) {
            // It must only not panic.
            let _ = HubRoute::parse(&method, &format!("/{}", segments.join("/")), query.as_deref());
        }
    }
}
