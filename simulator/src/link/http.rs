//! DPS over HTTPS: one connection, kept alive from register to the last poll.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::Poll;

use bytes::Bytes;
use fleetstorm_protocol::http::{operation_path, parse_retry_after, register_path};
use fleetstorm_reports::{Breach, Fault};
use http_body_util::{BodyExt, Full, Limited};
use hyper::Method;
use hyper::client::conn::http1::{Connection, SendRequest, handshake};
use hyper::header::{
    ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue, RETRY_AFTER, USER_AGENT,
};
use hyper_util::rt::TokioIo;

use super::client::{CLIENT_VERSION, MAX_ANSWER};
use super::dial::Secured;
use super::error::LinkError;
use super::request::{Registrant, Request, Response};

/// An HTTP/1.1 connection, driven by whoever asks: it needs no task of its own.
pub struct HttpLink {
    host: HeaderValue,
    requests: SendRequest<Full<Bytes>>,
    /// None once it has ended. Kept, it would keep a request that came too late, and nobody would hear
    /// that this has no answer.
    connection: Option<Driven>,
}

type Driven = Pin<Box<Connection<TokioIo<Secured>, Full<Bytes>>>>;

impl HttpLink {
    /// Takes over a secured connection to `host`.
    ///
    /// # Errors
    /// It is closed already.
    pub async fn open(stream: Secured, host: &str) -> Result<Self, LinkError> {
        let host = HeaderValue::try_from(host).map_err(|_| Fault::Protocol(Breach::Request))?;
        let (requests, connection) = handshake(TokioIo::new(stream))
            .await
            .map_err(|_| Fault::ConnectionLost)?;
        Ok(Self {
            host,
            requests,
            connection: Some(Box::pin(connection)),
        })
    }

    /// Sends one request and reads its answer.
    ///
    /// # Errors
    /// The connection broke, or the answer is no HTTP, or too long.
    pub async fn request(
        &mut self,
        registrant: Registrant<'_>,
        request: Request<'_>,
        sas: Option<&str>,
    ) -> Result<Response, LinkError> {
        let message = self.message(registrant, request, sas)?;
        let answering = self.requests.send_request(message);
        let answer = drive(&mut self.connection, answering)
            .await
            .map_err(|error| fault(&error))?;
        let status = answer.status().as_u16();
        let retry_after = answer
            .headers()
            .get(RETRY_AFTER)
            .and_then(|value| value.to_str().ok())
            .and_then(parse_retry_after);
        let reading = Limited::new(answer.into_body(), MAX_ANSWER).collect();
        let body = drive(&mut self.connection, reading)
            .await
            .map_err(|error| {
                error
                    .downcast_ref::<hyper::Error>()
                    .map_or(Fault::Protocol(Breach::TooLong), fault)
            })?;
        Ok(Response {
            status,
            retry_after,
            body: body.to_bytes(),
        })
    }

    /// Whether the server has closed it, as far as was seen.
    pub fn is_closed(&self) -> bool {
        self.connection.is_none() || self.requests.is_closed()
    }

    /// Closes it.
    pub async fn close(self) {
        drop(self.requests);
        if let Some(connection) = self.connection {
            // A server that fails to close makes no difference to the device.
            let _ = connection.await;
        }
    }

    fn message(
        &self,
        registrant: Registrant<'_>,
        request: Request<'_>,
        sas: Option<&str>,
    ) -> Result<hyper::Request<Full<Bytes>>, LinkError> {
        let (method, path, body) = match request {
            Request::Register(body) => (
                Method::PUT,
                register_path(registrant.id_scope, registrant.registration_id),
                Bytes::copy_from_slice(body),
            ),
            Request::OperationStatus(id) => (
                Method::GET,
                operation_path(registrant.id_scope, registrant.registration_id, id),
                Bytes::new(),
            ),
        };
        let mut message = hyper::Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, self.host.clone())
            .header(ACCEPT, HeaderValue::from_static("application/json"))
            .header(
                CONTENT_TYPE,
                HeaderValue::from_static("application/json; charset=utf-8"),
            )
            .header(USER_AGENT, HeaderValue::from_static(CLIENT_VERSION));
        if let Some(sas) = sas {
            message = message.header(AUTHORIZATION, sas);
        }
        Ok(message
            .body(Full::new(body))
            .map_err(|_| Fault::Protocol(Breach::Request))?)
    }
}

/// Lets the connection do its work until `exchange` is done.
async fn drive<Done>(
    connection: &mut Option<Driven>,
    exchange: impl Future<Output = Done>,
) -> Done {
    let mut exchange = pin!(exchange);
    poll_fn(|context| {
        if let Poll::Ready(done) = exchange.as_mut().poll(context) {
            return Poll::Ready(done);
        }
        if let Some(driven) = connection
            && driven.as_mut().poll(context).is_ready()
        {
            *connection = None;
        }
        // What the connection just read may be what the exchange waits for.
        exchange.as_mut().poll(context)
    })
    .await
}

fn fault(error: &hyper::Error) -> Fault {
    if error.is_parse() {
        Fault::Protocol(Breach::Unreadable)
    } else {
        Fault::ConnectionLost
    }
}
