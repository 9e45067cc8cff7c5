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
use crate::listen::server::Server;

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
pub(super) async fn respond(
    request: Request<Incoming>,
    server: &Server,
) -> Result<Answered, NotOurs> {
    let (head, body) = request.into_parts();
    let segments: Vec<&str> = head.uri.path().split('/').collect();
    let answered = match (&head.method, segments.as_slice()) {
        (&Method::GET, ["", "faults"]) => Ok(()),
        (&Method::PUT, ["", "faults"]) => {
            let rules = read(body, server).await;
            rules.and_then(|rules| server.faults.replace(rules))
        }
        (&Method::POST, ["", "faults"]) => {
            let rule = read(body, server).await;
            rule.and_then(|rule| server.faults.append(rule))
        }
        (&Method::DELETE, ["", "faults"]) => server.faults.replace(Vec::new()),
        (&Method::DELETE, ["", "faults", name]) => server.faults.remove(name),
        (&Method::GET, ["", "hubs"]) => return Ok((StatusCode::OK, hubs(server))),
        (&Method::PUT, ["", kind @ ("hubs" | "regions"), name, "state"]) => {
            let wanted = read::<Wanted>(body, server).await;
            let set = wanted.and_then(|Wanted { state }| {
                let (outages, down) = (&server.outages, state == State::Down);
                let is_known = if *kind == "hubs" {
                    outages.set_hub(name, down)
                } else {
                    outages.set_region(name, down)
                };
                is_known
                    .then(|| hubs(server))
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
        Ok(()) => (StatusCode::OK, rules(server)),
        Err(problem) => wrong(&problem),
    })
}

fn rules(server: &Server) -> Bytes {
    json!(server.faults.shown()).to_string().into()
}

fn hubs(server: &Server) -> Bytes {
    let states = server.outages.states().map(|(host_name, down)| {
        let state = if down { "down" } else { "up" };
        json!({"hostName": host_name, "state": state})
    });
    Value::from_iter(states).to_string().into()
}
