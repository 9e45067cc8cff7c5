//! A device's MQTT session with its hub (IoT Hub documentation, "Communicate using MQTT").

use fleetstorm_protocol::hub::{
    DESIRED_FILTER, HubRequest, HubUserName, TWIN_RESPONSE_FILTER, TwinResponse,
};
use jiff::Timestamp;
use rumqttc::mqttbytes::v4::{Connect, ConnectReturnCode};

use super::mqtt::{Asked, Session, password};
use super::{Client, Host, Stream};

/// Serves it to its end. `asked_for` is the hub named by SNI, which the user name must match.
pub(super) async fn serve(
    mut session: Session<impl Stream>,
    user: &HubUserName,
    connect: &Connect,
    client: &Client,
    host: &Host,
    asked_for: Option<&str>,
) {
    let hub = asked_for.unwrap_or(&user.host);
    let named_alike =
        user.host.eq_ignore_ascii_case(hub) && connect.client_id == user.device_id.as_str();
    let admitted = host.hubs.authenticate(
        hub,
        &user.device_id,
        password(connect),
        &client.certificates,
        Timestamp::now(),
    );
    let Some(device) = admitted.ok().filter(|_| named_alike) else {
        return session.refuse(ConnectReturnCode::NotAuthorized).await;
    };
    if !session.accept().await {
        return;
    }
    let may_subscribe = |filter: &str| filter == TWIN_RESPONSE_FILTER || filter == DESIRED_FILTER;
    while let Asked::Published(publish) = session.next(may_subscribe).await {
        let Ok(HubRequest::TwinGet { rid }) = HubRequest::parse(&publish.topic) else {
            break;
        };
        let (status, body) = match device.read_twin() {
            Ok(twin) => (200, twin),
            Err(_) => (404, Vec::new()),
        };
        if !session
            .answer(TwinResponse { status, rid }.topic(), body)
            .await
        {
            return;
        }
    }
    session.close().await;
}
