//! Calls of custom allocation webhooks. A thread of its own makes them, so that no device waits
//! for another's webhook: the service puts calls in a queue, and is told each one's end.

use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Instant;

use bytes::Bytes;
use jiff::Timestamp;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::LocalSet;

use crate::diagnostics::DiagnosticLog;
use crate::diagnostics::record::{Category, Operation};
use crate::error::ServeError;
use crate::service::custom::call::Call;
use crate::service::instances::Instances;
use crate::service::request::ServiceResponse;
use crate::webhook::client::Client;
use crate::webhook::config::WebhookConfig;

/// Starts the thread; it ends when `stop` turns true.
///
/// # Errors
/// The file of trusted CAs can't be used; a thread can't be had.
pub(crate) fn start(
    config: &WebhookConfig,
    mut waiting: mpsc::Receiver<Call>,
    instances: Arc<Instances>,
    log: Option<Arc<DiagnosticLog>>,
    mut stop: watch::Receiver<bool>,
) -> Result<JoinHandle<()>, ServeError> {
    let client = Client::new(config).map_err(|problem| ServeError::Config {
        key: "webhook.trust",
        problem,
    })?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let places = Arc::new(Semaphore::new(config.concurrent));
    let calling = move || {
        let client = Rc::new(client);
        let tasks = LocalSet::new();
        let calls = async {
            while let Ok(place) = Arc::clone(&places).acquire_owned().await
                && let Some(call) = waiting.recv().await
            {
                let (client, instances) = (Rc::clone(&client), Arc::clone(&instances));
                let log = log.clone();
                tokio::task::spawn_local(async move {
                    make(call, &client, &instances, log.as_deref()).await;
                    drop(place);
                });
            }
        };
        tasks.block_on(&runtime, async {
            tokio::select! {
                () = calls => {}
                // The sender's end is a stop as well.
                _ = stop.wait_for(|stopped| *stopped) => {}
            }
        });
    };
    let thread = std::thread::Builder::new().name("webhooks".into());
    Ok(thread.spawn(calling)?)
}

async fn make(mut call: Call, client: &Client, instances: &Instances, log: Option<&DiagnosticLog>) {
    let began = Instant::now();
    let body = Bytes::from(std::mem::take(&mut call.body));
    let reply = client.call(&call.webhook, body).await;
    let Some(service) = instances.by_id_scope(&call.id_scope) else {
        return;
    };
    let now = Timestamp::now();
    let failure = service.decide(&call, reply, now);
    let Some(log) = log else {
        return;
    };
    let answer = match &failure {
        Some(failure) => failure.answer(now),
        None => ServiceResponse {
            status: 200,
            ..ServiceResponse::default()
        },
    };
    let operation = Operation {
        category: Category::DeviceOperations,
        kind: "Registration",
        name: "CustomAllocation",
        instance: service.name(),
        subscription: service.subscription(),
        id: &call.registration_id,
        protocol: "Http",
        api_version: Some(&call.webhook.api_version),
        peer: None,
        took: began.elapsed(),
    };
    log.log(&operation, answer.outcome(), now);
}
