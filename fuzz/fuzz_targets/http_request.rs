//! An HTTP request at every service that answers one: what it asks for, and the documents that it brings.
#![no_main]

use fleetstorm_protocol::custom_allocation::AllocationResponse;
use fleetstorm_protocol::enrollment::Enrollment;
use fleetstorm_protocol::http::DeviceRequest;
use fleetstorm_protocol::hub::route::HubRoute;
use fleetstorm_protocol::registration::DeviceRegistration;
use fleetstorm_protocol::service_api::ServiceRequest;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut headers = [httparse::EMPTY_HEADER; 32];
    let mut request = httparse::Request::new(&mut headers);
    let Ok(httparse::Status::Complete(head)) = request.parse(bytes) else {
        return;
    };
    let (Some(method), Some(target)) = (request.method, request.path) else {
        return;
    };
    let (path, query) = match target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (target, None),
    };
    let _ = DeviceRequest::parse(method, path, query);
    let _ = ServiceRequest::parse(method, path, query);
    let _ = HubRoute::parse(method, path, query);
    let body = &bytes[head..];
    let _ = DeviceRegistration::from_body(body);
    let _ = AllocationResponse::from_body(body);
    if let Ok(text) = str::from_utf8(body) {
        let _ = Enrollment::from_json(text);
    }
});
