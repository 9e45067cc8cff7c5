//! The service API of an instance over HTTPS (DPS REST API).

use std::time::Instant;

use bytes::Bytes;
use fleetstorm_protocol::custom_allocation::mask;
use fleetstorm_protocol::document;
use fleetstorm_protocol::enrollment::Enrollment;
use fleetstorm_protocol::service_api::{
    BulkOperation, Collection, QuerySpecification, ServiceOperation, ServiceRequest,
};
use http_body_util::Full;
use hyper::header::{AUTHORIZATION, ETAG, HeaderMap, HeaderName, HeaderValue, IF_MATCH};
use hyper::{Request, Response};
use jiff::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::body::Body;
use super::client::Client;
use super::http_answer::{no_body, refusal, response};
use super::server::Server;
use crate::diagnostics::record::{Category, Operation};
use crate::service::Service;
use crate::service::config::Permission;
use crate::service::enrollment_list::condition::Condition;
use crate::service::enrollment_list::kind::Kind;
use crate::service::enrollment_list::page::Page;
use crate::service::refusal::Refusal;
use crate::service::request::ServiceResponse;

/// Largest body: ten enrollments with certificates.
const MAX_BODY: usize = 512 * 1024;
/// Items of a page, where the client does not say; and the most it may ask for.
const PAGE: usize = 100;
const MAX_PAGE: usize = 1000;

const MAX_ITEMS: HeaderName = HeaderName::from_static("x-ms-max-item-count");
const CONTINUATION: HeaderName = HeaderName::from_static("x-ms-continuation");
const ITEM_TYPE: HeaderName = HeaderName::from_static("x-ms-item-type");

/// Whether a request to an instance's name is the service side's; else it is a device's.
pub(super) fn is_asked(path: &str) -> bool {
    Collection::of_path(path).is_some()
}

/// Answers a request to an instance's service endpoint. Who asks is looked at before the body is.
pub(super) async fn respond(
    service: &Service,
    request: Request<Body>,
    client: &Client,
    server: &Server,
) -> Response<Full<Bytes>> {
    let (began, now) = (Instant::now(), Timestamp::now());
    let (head, body) = request.into_parts();
    let refuse = |refusal: Refusal| server.instances.refuse(&refusal, now);
    let (method, path) = (head.method.as_str(), head.uri.path());
    let asked = match ServiceRequest::parse(method, path, head.uri.query()) {
        Ok(asked) => asked,
        Err(problem) => return response(refuse(refusal(problem)), None),
    };
    let answered = async {
        service.knows(&asked.api_version)?;
        let token = text(&head.headers, &AUTHORIZATION);
        service.access().admit(token, permission(&asked), now)?;
        service.throttle().operation(now)?;
        let body = body.read(MAX_BODY, server.limits.body);
        let body = body.await.map_err(no_body)?;
        let answer = answer(service, &asked, &head.headers, &body, now)?;
        let settled = server.store.settled().await;
        settled.map(|()| answer).map_err(|_| Refusal::Internal)
    };
    let answered = answered.await.map_err(refuse);
    if let Some(log) = &server.diagnostics {
        let operation = Operation {
            category: Category::ServiceOperations,
            name: name(&asked.operation),
            kind: match asked.collection {
                Collection::Enrollments => "IndividualEnrollment",
                Collection::EnrollmentGroups => "EnrollmentGroup",
                Collection::Registrations => "Registration",
            },
            instance: service.name(),
            subscription: service.subscription(),
            id: subject(&asked.operation),
            protocol: "Http",
            api_version: Some(&asked.api_version),
            peer: client.peer,
            took: began.elapsed(),
        };
        // Of what went well nothing but that is told.
        let well = ServiceResponse {
            status: 200,
            ..ServiceResponse::default()
        };
        log.log(
            &operation,
            answered.as_ref().err().unwrap_or(&well).outcome(),
            now,
        );
    }
    answered.unwrap_or_else(|answer| response(answer, None))
}

/// As the diagnostic log calls it.
fn name(operation: &ServiceOperation) -> &'static str {
    match operation {
        ServiceOperation::Get(_) => "Get",
        ServiceOperation::Put(_) => "Upsert",
        ServiceOperation::Delete(_) => "Delete",
        ServiceOperation::Bulk => "BulkOperation",
        ServiceOperation::Query | ServiceOperation::QueryGroup(_) => "Query",
        ServiceOperation::AttestationMechanism(_) => "GetAttestationMechanism",
    }
}

/// What it is about, if that is one.
fn subject(operation: &ServiceOperation) -> &str {
    use ServiceOperation::{AttestationMechanism, Bulk, Delete, Get, Put, Query, QueryGroup};
    match operation {
        Get(id) | Put(id) | Delete(id) | QueryGroup(id) | AttestationMechanism(id) => id,
        Bulk | Query => "",
    }
}

fn permission(asked: &ServiceRequest) -> Permission {
    use ServiceOperation::{AttestationMechanism, Bulk, Delete, Get, Put, Query, QueryGroup};
    match (asked.collection, &asked.operation) {
        (Collection::Registrations, Delete(_)) => Permission::RegistrationStatusWrite,
        (Collection::Registrations, _) => Permission::RegistrationStatusRead,
        // Keys are told to those alone who may change them.
        (_, Put(_) | Delete(_) | Bulk | AttestationMechanism(_)) => Permission::EnrollmentWrite,
        (_, Get(_) | Query | QueryGroup(_)) => Permission::EnrollmentRead,
    }
}

fn answer(
    service: &Service,
    asked: &ServiceRequest,
    headers: &HeaderMap,
    body: &[u8],
    now: Timestamp,
) -> Result<Response<Full<Bytes>>, Refusal> {
    let list = service.enrollments();
    let kind = match asked.collection {
        Collection::Registrations => return registrations(service, asked, headers, body, now),
        Collection::Enrollments => Kind::Individual,
        Collection::EnrollmentGroups => Kind::Group,
    };
    let condition = condition(headers);
    let token = text(headers, &AUTHORIZATION);
    let may_write = service
        .access()
        .admit(token, Permission::EnrollmentWrite, now);
    // The key that opens a webhook is a key.
    let shown = |mut enrollment: Value| {
        if may_write.is_err() {
            mask(&mut enrollment);
        }
        enrollment
    };
    match &asked.operation {
        ServiceOperation::Get(id) => {
            let known = service.enrollment(kind, id, now);
            found(shown(known.ok_or(Refusal::EnrollmentNotFound)?))
        }
        ServiceOperation::AttestationMechanism(id) => found(
            list.attestation(kind, id)
                .ok_or(Refusal::EnrollmentNotFound)?,
        ),
        ServiceOperation::Put(id) => {
            let enrollment: Enrollment = read(body)?;
            let is_kind =
                matches!(enrollment, Enrollment::Individual(_)) == (kind == Kind::Individual);
            if !is_kind || !enrollment.id().eq_ignore_ascii_case(id) {
                return Err(Refusal::BadRequest(format!(
                    "the body is about \"{}\", the path about \"{id}\"",
                    enrollment.id()
                )));
            }
            // Who names no version of it means to create it.
            let condition = match condition {
                Condition::None => Condition::Absent,
                named => named,
            };
            found(list.put(&enrollment, condition, now)?)
        }
        ServiceOperation::Delete(id) => {
            list.remove(kind, id, condition)?;
            Ok(nothing())
        }
        ServiceOperation::Bulk => {
            let bulk: BulkOperation = read(body)?;
            json(&service.bulk(kind, &bulk, now)?)
        }
        ServiceOperation::Query | ServiceOperation::QueryGroup(_) => {
            query(body)?;
            let Page { items, next } =
                list.page(kind, text(headers, &CONTINUATION), limit(headers)?);
            let items = items.into_iter().map(shown).collect();
            paged(Page { items, next }, asked.collection)
        }
    }
}

fn registrations(
    service: &Service,
    asked: &ServiceRequest,
    headers: &HeaderMap,
    body: &[u8],
    now: Timestamp,
) -> Result<Response<Full<Bytes>>, Refusal> {
    match &asked.operation {
        ServiceOperation::Get(id) => found(service.registration(id, now)?),
        ServiceOperation::Delete(id) => {
            service.remove_registration(id, condition(headers))?;
            Ok(nothing())
        }
        ServiceOperation::QueryGroup(group) => {
            query(body)?;
            let from = text(headers, &CONTINUATION);
            let page = service.registrations_of(group, from, limit(headers)?);
            paged(page, asked.collection)
        }
        _ => Err(Refusal::MethodNotAllowed),
    }
}

fn condition(headers: &HeaderMap) -> Condition<'_> {
    Condition::of_header(text(headers, &IF_MATCH))
}

fn read<Document: DeserializeOwned>(body: &[u8]) -> Result<Document, Refusal> {
    document::read("body", body).map_err(|e| Refusal::BadRequest(e.to_string()))
}

/// What it asks for is not read; but it must be a query.
fn query(body: &[u8]) -> Result<(), Refusal> {
    if body.trim_ascii().is_empty() {
        return Ok(());
    }
    read::<QuerySpecification>(body).map(drop)
}

fn limit(headers: &HeaderMap) -> Result<usize, Refusal> {
    let Some(asked) = text(headers, &MAX_ITEMS) else {
        return Ok(PAGE);
    };
    let number = asked.parse::<usize>().ok();
    let number = number.filter(|number| (1..=MAX_PAGE).contains(number));
    number.ok_or_else(|| {
        Refusal::BadRequest(format!(
            "{MAX_ITEMS}: \"{asked}\" is no number from 1 to {MAX_PAGE}"
        ))
    })
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn found(document: Value) -> Result<Response<Full<Bytes>>, Refusal> {
    let mut response = json(&document)?;
    let tag = document["etag"].as_str().map(HeaderValue::try_from);
    if let Some(Ok(tag)) = tag {
        response.headers_mut().insert(ETAG, tag);
    }
    Ok(response)
}

fn paged(page: Page, collection: Collection) -> Result<Response<Full<Bytes>>, Refusal> {
    let mut response = json(&page.items)?;
    let headers = response.headers_mut();
    headers.insert(MAX_ITEMS, page.items.len().into());
    headers.insert(ITEM_TYPE, HeaderValue::from_static(collection.item_type()));
    if let Some(Ok(next)) = page.next.map(HeaderValue::try_from) {
        headers.insert(CONTINUATION, next);
    }
    Ok(response)
}

fn json(document: &impl Serialize) -> Result<Response<Full<Bytes>>, Refusal> {
    let body = serde_json::to_vec(document).map_err(|_| Refusal::Internal)?;
    let answer = ServiceResponse {
        status: 200,
        body,
        ..ServiceResponse::default()
    };
    Ok(response(answer, None))
}

fn nothing() -> Response<Full<Bytes>> {
    let answer = ServiceResponse {
        status: 204,
        ..ServiceResponse::default()
    };
    response(answer, None)
}
