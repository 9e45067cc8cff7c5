//! One POST and its answer, in bounded time and space. Connections are kept and used again; a
//! redirect is an answer like any other.

use std::cell::RefCell;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fleetstorm_protocol::http::MAX_BODY;
use fleetstorm_protocol::x509::check_validity;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1::{Builder, SendRequest};
use hyper::header::{ACCEPT, CONTENT_TYPE, HOST};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::AbortHandle;
use tokio_rustls::TlsConnector;

use super::WebhookError;
use super::config::WebhookConfig;
use super::url::{Origin, Webhook};
use crate::provider::provider;

/// Longest head of an answer.
const MAX_HEAD: usize = 32 * 1024;

/// Calls webhooks.
pub(crate) struct Client {
    /// None: no CA is trusted.
    tls: Option<TlsConnector>,
    timeout: Duration,
    /// Connections that nobody uses, the last used last.
    idle: RefCell<Vec<Connection>>,
    most_idle: usize,
}

/// A connection to a webhook; it ends when it is dropped.
struct Connection {
    origin: Arc<Origin>,
    sender: SendRequest<Full<Bytes>>,
    driver: AbortHandle,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Client {
    /// Trusts whom the configuration says.
    ///
    /// # Errors
    /// The file of trusted CAs can't be used.
    pub(crate) fn new(config: &WebhookConfig) -> Result<Self, String> {
        Ok(Self {
            tls: config.trust.as_deref().map(connector).transpose()?,
            timeout: config.timeout,
            idle: RefCell::default(),
            most_idle: config.concurrent,
        })
    }

    /// Posts a body; the status and the body of the answer.
    ///
    /// # Errors
    /// See [`WebhookError`].
    pub(crate) async fn call(
        &self,
        webhook: &Webhook,
        body: Bytes,
    ) -> Result<(u16, Bytes), WebhookError> {
        let exchange = self.exchange(webhook, body);
        match tokio::time::timeout(self.timeout, exchange).await {
            Ok(answered) => answered,
            Err(_) => Err(WebhookError::TooSlow(self.timeout)),
        }
    }

    async fn exchange(&self, webhook: &Webhook, body: Bytes) -> Result<(u16, Bytes), WebhookError> {
        let known = self.known(&webhook.origin);
        let again = match known {
            Some(mut connection) => connection
                .ask(webhook, body.clone())
                .await
                .ok()
                .zip(Some(connection)),
            None => None,
        };
        // One that was kept may have been closed meanwhile: an allocation is asked for again.
        let (response, connection) = match again {
            Some(answered) => answered,
            None => {
                let mut connection = self.dial(&webhook.origin).await?;
                (connection.ask(webhook, body).await?, connection)
            }
        };
        let status = response.status().as_u16();
        let body = Limited::new(response.into_body(), MAX_BODY).collect().await;
        let body = body.map_err(|problem| {
            if problem.is::<LengthLimitError>() {
                WebhookError::TooLong
            } else {
                WebhookError::Broken(problem.to_string())
            }
        })?;
        self.keep(connection);
        Ok((status, body.to_bytes()))
    }

    fn known(&self, origin: &Arc<Origin>) -> Option<Connection> {
        let mut idle = self.idle.borrow_mut();
        idle.retain(|connection| !connection.sender.is_closed());
        let place = idle.iter().rposition(|known| known.origin == *origin)?;
        Some(idle.remove(place))
    }

    fn keep(&self, connection: Connection) {
        let mut idle = self.idle.borrow_mut();
        if idle.len() >= self.most_idle {
            idle.remove(0);
        }
        idle.push(connection);
    }

    async fn dial(&self, origin: &Arc<Origin>) -> Result<Connection, WebhookError> {
        let unreachable = |problem: String| WebhookError::Unreachable(problem);
        let place = (origin.host.as_str(), origin.port);
        let tcp = TcpStream::connect(place)
            .await
            .map_err(|e| unreachable(e.to_string()))?;
        // A body must not wait for the acknowledgement of its head.
        let _ = tcp.set_nodelay(true);
        if !origin.is_secure {
            return Connection::over(tcp, origin).await;
        }
        let tls = self.tls.as_ref().ok_or(WebhookError::NoTrust)?;
        let name =
            ServerName::try_from(origin.host.clone()).map_err(|e| unreachable(e.to_string()))?;
        let secured = tls.connect(name, tcp).await;
        let secured = secured.map_err(|e| unreachable(e.to_string()))?;
        Connection::over(secured, origin).await
    }
}

impl Connection {
    async fn over(
        stream: impl AsyncRead + AsyncWrite + Unpin + 'static,
        origin: &Arc<Origin>,
    ) -> Result<Self, WebhookError> {
        let (sender, connection) = Builder::new()
            .max_buf_size(MAX_HEAD)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|e| WebhookError::Broken(e.to_string()))?;
        let driver = tokio::task::spawn_local(async move {
            // Who waits for an answer is told the same.
            let _ = connection.await;
        });
        Ok(Self {
            origin: Arc::clone(origin),
            sender,
            driver: driver.abort_handle(),
        })
    }

    async fn ask(
        &mut self,
        webhook: &Webhook,
        body: Bytes,
    ) -> Result<Response<Incoming>, WebhookError> {
        let request = Request::post(webhook.target.clone())
            .header(HOST, &self.origin.authority)
            .header(CONTENT_TYPE, "application/json; charset=utf-8")
            .header(ACCEPT, "application/json")
            .body(Full::new(body))
            .map_err(|e| WebhookError::Broken(e.to_string()))?;
        let broken = |e: hyper::Error| WebhookError::Broken(e.to_string());
        self.sender.ready().await.map_err(broken)?;
        self.sender.send_request(request).await.map_err(broken)
    }
}

/// Trusts the certificates in a file, and no others.
fn connector(path: &Path) -> Result<TlsConnector, String> {
    let failed = |problem: String| format!("{}: {problem}", path.display());
    let mut roots = RootCertStore::empty();
    let mut unfit = "has no certificate".to_owned();
    let certificates = CertificateDer::pem_file_iter(path).map_err(|e| failed(e.to_string()))?;
    for certificate in certificates {
        let certificate = certificate.map_err(|e| failed(e.to_string()))?;
        // rustls does not look at when those that it trusts are good.
        if let Err(problem) = check_validity(&certificate, Timestamp::now()) {
            unfit = format!("no certificate in it is good: it {}", problem.problem);
            continue;
        }
        roots.add(certificate).map_err(|e| failed(e.to_string()))?;
    }
    if roots.is_empty() {
        return Err(failed(unfit));
    }
    let config = ClientConfig::builder_with_provider(Arc::new(provider()))
        .with_safe_default_protocol_versions()
        .map_err(|e| failed(e.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}
