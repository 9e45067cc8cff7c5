//! The instances and their rates, changed while the server runs.
//!
//! `GET /instances` shows each with its rates; `PUT /instances/{id-scope}/throttle` takes others, as
//! key `throttle` of the configuration has them: `"azure"`, `"none"` or an object of rates.

use bytes::Bytes;
use fleetstorm_protocol::quota::Rates;
use hyper::body::Incoming;
use hyper::{Method, Request, StatusCode};
use serde_json::{Value, json};

use super::answer::{Answered, NotOurs, read, wrong};
use crate::listen::server::Server;

/// Answers what concerns instances; none where the path is another's.
pub(super) async fn respond(
    request: Request<Incoming>,
    server: &Server,
) -> Result<Answered, NotOurs> {
    let (head, body) = request.into_parts();
    let segments: Vec<&str> = head.uri.path().split('/').collect();
    let set = match (&head.method, segments.as_slice()) {
        (&Method::GET, ["", "instances"]) => Ok(()),
        (&Method::PUT, ["", "instances", id_scope, "throttle"]) => {
            match server.instances.by_id_scope(id_scope) {
                None => Err(format!("\"{id_scope}\" is no id scope here")),
                Some(instance) => read::<Rates>(body, server)
                    .await
                    .map(|rates| instance.throttle().set_rates(rates)),
            }
        }
        _ => return Err(NotOurs(Request::from_parts(head, body))),
    };
    Ok(match set {
        Ok(()) => (StatusCode::OK, shown(server)),
        Err(problem) => wrong(&problem),
    })
}

fn shown(server: &Server) -> Bytes {
    let instances = server.instances.all().map(|instance| {
        json!({
            "idScope": instance.id_scope(),
            "name": instance.name(),
            "throttle": instance.throttle().rates(),
        })
    });
    Value::from_iter(instances).to_string().into()
}
