//! The MQTT port: log in, then DPS or a hub, told apart by SNI and user name.

use std::future::Future;
use std::rc::Rc;
use std::sync::Arc;

use fleetstorm_protocol::hub::HubUserName;
use fleetstorm_protocol::mqtt::DpsUserName;
use futures_util::{SinkExt, StreamExt};
use rumqttc::mqttbytes::v4::{Codec, ConnAck, ConnectReturnCode, Packet};
use rumqttc::mqttbytes::{Error, Protocol};
use tokio_util::codec::Framed;

use super::client::Client;
use super::mqtt::Session;
use super::server::Server;
use super::stream::Stream;
use super::{dps_mqtt, hub_mqtt};

/// Longest packet: 96 KB of message, its topic and header.
const MAX_PACKET: usize = 100 * 1024;
/// Buffers start small: most packets are.
const BUFFER: usize = 1024;

/// Serves one connection to its end.
pub(crate) async fn serve(
    stream: impl Stream,
    client: Rc<Client>,
    server: Arc<Server>,
    stop: impl Future<Output = ()>,
) {
    let codec = Codec {
        max_incoming_size: MAX_PACKET,
        max_outgoing_size: MAX_PACKET,
    };
    let mut packets = Framed::with_capacity(stream, codec, BUFFER);
    let session = async {
        let first = tokio::time::timeout(server.limits.first_request, packets.next()).await;
        let connect = match first {
            Ok(Some(Ok(Packet::Connect(connect)))) if connect.protocol == Protocol::V4 => connect,
            Ok(Some(Ok(Packet::Connect(_)) | Err(Error::InvalidProtocolLevel(_)))) => {
                // MQTT 3.1.1, 3.1.2.2: say so, then close.
                let refusal = ConnAck::new(ConnectReturnCode::RefusedProtocolVersion, false);
                if packets.send(Packet::ConnAck(refusal)).await.is_ok() {
                    let _ = packets.close().await;
                }
                return;
            }
            _ => return,
        };
        let session = Session::new(packets, &connect, server.limits);
        let user_name = connect
            .login
            .as_ref()
            .map_or("", |login| login.username.as_str());
        let hub = server.hub_of(&client);
        if hub.is_none()
            && let Ok(user) = DpsUserName::parse(user_name)
        {
            dps_mqtt::serve(session, &user, &connect, &client, &server).await;
        } else if let Ok(user) = HubUserName::parse(user_name) {
            let name = hub.map_or(user.host.as_str(), |hub| hub.host_name());
            let served = hub_mqtt::serve(session, &user, connect, &client, &server, hub);
            server.while_up(name, &client, served).await;
        } else {
            session.refuse(ConnectReturnCode::BadUserNamePassword).await;
        }
    };
    tokio::select! {
        () = session => {}
        () = stop => {}
    }
}
