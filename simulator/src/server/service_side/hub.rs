//! A hub's registry, as far as its operator takes devices out of it.

use std::io;
use std::net::SocketAddr;

use serde_json::{Value, json};

use super::signed_api::{Request, Response, SignedApi};

/// The version of the API that this speaks.
const API_VERSION: &str = "2021-04-12";
/// Most identities in one request (IoT Hub REST reference, "Bulk Registry - Update Registry").
const MAX_BULK: usize = 100;

/// One hub's.
#[derive(Debug, Clone)]
pub struct HubSide {
    api: SignedApi,
}

impl HubSide {
    /// By the hub's connection string; connects to `address` and trusts `ca_pem`.
    ///
    /// # Errors
    /// One of them can't be used.
    pub fn new(connection_string: &str, address: SocketAddr, ca_pem: &str) -> Result<Self, String> {
        let api = SignedApi::new(connection_string, address, ca_pem, API_VERSION)?;
        Ok(Self { api })
    }

    /// Takes devices out of the registry, with their twins; those that are not in it are at another hub.
    ///
    /// # Errors
    /// The hub does not answer, or refuses one: with its reason. Those before it are out.
    pub fn deregister(&self, device_ids: &[String]) -> io::Result<()> {
        for batch in device_ids.chunks(MAX_BULK) {
            let items = batch
                .iter()
                .map(|id| json!({"id": id, "importMode": "delete"}));
            let request = Request {
                method: "POST",
                path: "/devices",
                if_there: false,
                body: &items.collect::<Value>().to_string(),
            };
            let response = self.api.request(request)?;
            if !is_done(&response) {
                response.well()?;
            }
        }
        Ok(())
    }
}

/// A request of which a part failed is answered 400, with a reason for each.
fn is_done(response: &Response) -> bool {
    let errors = response.body["errors"].as_array();
    errors.is_some_and(|errors| {
        let mut codes = errors.iter().map(|error| &error["errorCode"]);
        codes.all(|code| code == "DeviceNotFound")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_that_is_elsewhere_is_no_failure_and_one_that_stays_is() {
        let response = |status, body| Response { status, body };
        let gone = json!({"deviceId": "a", "errorCode": "DeviceNotFound"});
        let kept = json!({"deviceId": "b", "errorCode": "PreconditionFailed"});
        assert!(is_done(&response(200, json!({"errors": []}))));
        assert!(is_done(&response(400, json!({"errors": [gone]}))));
        assert!(!is_done(&response(400, json!({"errors": [gone, kept]}))));
        assert!(!is_done(&response(401, json!({"message": "no"}))));
    }
}
