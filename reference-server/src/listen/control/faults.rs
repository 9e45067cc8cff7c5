//! Faults and outages, changed while the server runs.
//!
//! `GET /faults` shows the rules in their order, each with its hits; `PUT` replaces them all (a
//! JSON array of rules, with the keys of `[[fault]]`), `POST` appends one, `DELETE` removes all, or
//! with `/faults/{name}` one. `PUT /hubs/{hub}/state` and `/regions/{region}/state` take
//! `{"state":"down"}` or `{"state":"up"}`; `GET /hubs` shows who is down.

use bytes::Bytes;
use hyper::body::Incoming;
use hyper::{Method, Request, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::answer::{Answered, NotOurs, read, wrong};
use crate::listen::host::Host;

/// Up or down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Up,
    Down,
}

/// Body of a change of state.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    state: State,
}

/// Answers what concerns faults; none where the path is another's.
pub(super) async fn respond(request: Request<Incoming>, host: &Host) -> Result<Answered, NotOurs> {
    let (head, body) = request.into_parts();
    let segments: Vec<&str> = head.uri.path().split('/').collect();
    let answered = match (&head.method, segments.as_slice()) {
        (&Method::GET, ["", "faults"]) => Ok(()),
        (&Method::PUT, ["", "faults"]) => {
            let rules = read(body, host).await;
            rules.and_then(|rules| host.faults.replace(rules))
        }
        (&Method::POST, ["", "faults"]) => {
            let rule = read(body, host).await;
            rule.and_then(|rule| host.faults.append(rule))
        }
        (&Method::DELETE, ["", "faults"]) => host.faults.replace(Vec::new()),
        (&Method::DELETE, ["", "faults", name]) => host.faults.remove(name),
        (&Method::GET, ["", "hubs"]) => return Ok((StatusCode::OK, hubs(host))),
        (&Method::PUT, ["", kind @ ("hubs" | "regions"), name, "state"]) => {
            let wanted = read::<Wanted>(body, host).await;
            let set = wanted.and_then(|Wanted { state }| {
                let (outages, down) = (&host.outages, state == State::Down);
                let is_known = if *kind == "hubs" {
                    outages.set_hub(name, down)
                } else {
                    outages.set_region(name, down)
                };
                is_known
                    .then(|| hubs(host))
                    .ok_or_else(|| format!("\"{name}\" has no hub here"))
            });
            return Ok(match set {
                Ok(hubs) => (StatusCode::OK, hubs),
                Err(problem) => wrong(&problem),
            });
        }
        _ => return Err(NotOurs(Request::from_parts(head, body))),
    };
    Ok(match answered {
        Ok(()) => (StatusCode::OK, rules(host)),
        Err(problem) => wrong(&problem),
    })
}

fn rules(host: &Host) -> Bytes {
    json!(host.faults.shown()).to_string().into()
}

fn hubs(host: &Host) -> Bytes {
    let states = host.outages.states().map(|(host_name, down)| {
        let state = if down { "down" } else { "up" };
        json!({"hostName": host_name, "state": state})
    });
    Value::from_iter(states).to_string().into()
}
