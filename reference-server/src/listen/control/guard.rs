//! Who may use the control endpoint. It asks for no credential: its place on loopback is all that protects
//! it, and a web page in a browser of the same machine reaches that as well.

use std::net::IpAddr;

use hyper::body::{Body, Incoming};
use hyper::header::{CONTENT_TYPE, HOST, ORIGIN};
use hyper::http::uri::Authority;
use hyper::{Request, StatusCode};

use super::answer::{Answered, refused_because};

/// Turns away what a web page sends: it has an origin, comes under the name of its own server or, where it
/// asks nobody before, can't say that it sends JSON.
///
/// # Errors
/// The answer to such a request.
pub(super) fn check(request: &Request<Incoming>) -> Result<(), Answered> {
    let forbidden = |problem: &str| Err(refused_because(StatusCode::FORBIDDEN, problem));
    if request.headers().contains_key(ORIGIN) {
        return forbidden("Origin: no web page may use the control endpoint");
    }
    let mut hosts = request.headers().get_all(HOST).iter();
    let named = match (hosts.next(), hosts.next()) {
        (Some(host), None) => host.to_str().ok().and_then(|host| host.parse().ok()),
        _ => None,
    };
    let is_ours = |name: &Authority| is_loopback(name.host());
    if !named.as_ref().is_some_and(is_ours) || !request.uri().authority().is_none_or(is_ours) {
        return forbidden("Host: ask for localhost or a loopback address");
    }
    if !request.body().is_end_stream() && !is_message(request) && !is_json(request) {
        let problem = "Content-Type: send application/json";
        return Err(refused_because(StatusCode::UNSUPPORTED_MEDIA_TYPE, problem));
    }
    Ok(())
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    let address = address.parse::<IpAddr>();
    host.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback())
}

/// A message to a device has any body: that is the message.
fn is_message(request: &Request<Incoming>) -> bool {
    request.uri().path().ends_with("/messages/devicebound")
}

fn is_json(request: &Request<Incoming>) -> bool {
    let kind = request.headers().get(CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default();
    kind.trim().eq_ignore_ascii_case("application/json")
}
