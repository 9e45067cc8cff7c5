//! The AMQP port: security layer, open, then DPS or a hub, told apart by SNI and by the host name
//! in the open.

use std::future::Future;
use std::rc::Rc;
use std::sync::Arc;

use fleetstorm_protocol::amqp::types::performatives::{Open, Performative};
use tokio::time::Instant;

use super::amqp::login::{self, Login};
use super::amqp::wire::{Gone, Wire};
use super::amqp::{Conversation, MAX_FRAME};
use super::client::Client;
use super::server::Server;
use super::stream::Stream;
use super::{dps_amqp, hub_amqp};
use crate::hub::registry::Hub;

/// Serves one connection to its end.
pub(crate) async fn serve(
    stream: impl Stream,
    client: Rc<Client>,
    server: Arc<Server>,
    stop: impl Future<Output = ()>,
) {
    let conversation = async {
        let mut wire = Wire::new(stream);
        let opened = open(&mut wire, &client, &server).await;
        match opened {
            Ok(Some((login, open))) => talk(wire, login, &open, &client, &server).await,
            Ok(None) => wire.close().await,
            Err(Gone::Lost | Gone::Silent) => {}
        }
    };
    tokio::select! {
        () = conversation => {}
        () = stop => {}
    }
}

/// Up to the peer's open. `None`: it is over.
async fn open(
    wire: &mut Wire<impl Stream>,
    client: &Client,
    server: &Server,
) -> Result<Option<(Login, Open)>, Gone> {
    let Some(login) = login::log_in(wire, client, server).await? else {
        return Ok(None);
    };
    let deadline = Instant::now() + server.limits.first_request;
    loop {
        match wire.waiting_frame(MAX_FRAME) {
            Ok(Some(frame)) => match frame.performative {
                Some(Performative::Open(open)) => return Ok(Some((login, open))),
                None => {}
                // Nothing was opened, so that nothing can be closed either.
                Some(_) => return Ok(None),
            },
            Ok(None) => wire.exchange(deadline).await?,
            Err(_) => return Ok(None),
        }
    }
}

async fn talk(
    wire: Wire<impl Stream>,
    login: Login,
    open: &Open,
    client: &Client,
    server: &Server,
) {
    let hub = hub_of(open, client, server);
    let (name, allowance) = match hub {
        Some(hub) => (hub.host_name(), hub_amqp::ALLOWANCE),
        None => (server.global_endpoint.as_str(), dps_amqp::ALLOWANCE),
    };
    let mut conversation = Conversation::new(wire, name, allowance, open, &server.limits);
    match hub {
        Some(hub) => {
            let served = hub_amqp::serve(&mut conversation, login, hub, client, server);
            server.while_up(hub.host_name(), client, served).await;
        }
        None => dps_amqp::serve(&mut conversation, &login, client, server).await,
    }
    conversation.close().await;
}

/// The hub that a client asked for, by SNI, or by the host name of its open.
fn hub_of<'a>(open: &Open, client: &Client, server: &'a Server) -> Option<&'a Arc<Hub>> {
    server.hub_of(client).or_else(|| {
        let asked = open.hostname.as_deref()?;
        let name = asked.split_once(':').map_or(asked, |(name, _port)| name);
        server.hubs.named(name)
    })
}
