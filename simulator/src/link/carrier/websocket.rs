//! How a device asks for a WebSocket.

use fleetstorm_protocol::websocket::{PATH, SubProtocol};
use fleetstorm_reports::{Breach, Fault};
use fleetstorm_websocket::{ByteStream, ConnectError, Handshake, Limits};

use super::duplex::Duplex;
use crate::link::client::{CLIENT_VERSION, MAX_ANSWER};
use crate::link::dial::fault_of;
use crate::link::error::LinkError;

/// An answer fits into the first read buffer.
const LIMITS: Limits = Limits {
    message: MAX_ANSWER,
    buffer: 2048,
};

/// Asks `host` for a WebSocket that carries `sub_protocol`.
///
/// # Errors
/// The connection broke, or the server refused it.
pub(super) async fn open(
    stream: impl Duplex + 'static,
    host: &str,
    sub_protocol: SubProtocol,
) -> Result<Box<dyn Duplex>, LinkError> {
    let handshake = Handshake {
        host,
        path: PATH,
        sub_protocol: sub_protocol.name(),
        user_agent: CLIENT_VERSION,
    };
    match ByteStream::connect(stream, handshake, LIMITS).await {
        Ok(bytes) => Ok(Box::new(bytes)),
        Err(ConnectError::Request) => Err(Fault::Protocol(Breach::Request).into()),
        Err(ConnectError::Refused { status }) => Err(LinkError::Refused { status }),
        Err(ConnectError::Broken(error)) => Err(match fault_of(&error) {
            Fault::Protocol(_) => Fault::Protocol(Breach::Upgrade),
            fault => fault,
        }
        .into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
    use tokio::time::timeout;
    use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

    /// What becomes of a request that a server answers with `answer`, its key's proof filled in.
    async fn answered(answer: &str) -> (Result<Box<dyn Duplex>, LinkError>, String, DuplexStream) {
        let (ours, mut theirs) = duplex(4096);
        let server = async {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(theirs.read_u8().await.expect("a head"));
            }
            let head = String::from_utf8(head).expect("UTF-8");
            let key = head
                .lines()
                .filter_map(|line| line.split_once(": "))
                .find(|(name, _)| name.eq_ignore_ascii_case("sec-websocket-key"));
            let (_, key) = key.expect("a key");
            let answer = answer.replace("{proof}", &derive_accept_key(key.as_bytes()));
            theirs
                .write_all(answer.as_bytes())
                .await
                .expect("it is read");
            if answer.is_empty() {
                theirs.shutdown().await.expect("an end");
            }
            (head, theirs)
        };
        let (opened, (head, theirs)) =
            tokio::join!(open(ours, "hub.test", SubProtocol::Mqtt), server);
        (opened, head, theirs)
    }

    const GOOD: &str = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n\
        Upgrade: websocket\r\nSec-WebSocket-Accept: {proof}\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n";

    #[tokio::test]
    async fn bytes_go_both_ways_as_they_came() {
        let (opened, head, mut theirs) = answered(GOOD).await;
        assert!(
            head.starts_with("GET /$iothub/websocket HTTP/1.1\r\n"),
            "{head}"
        );
        let mut carrier = opened.expect("a WebSocket");
        // Two messages from the server, a ping between them (RFC 6455, 5.2).
        let messages = [0x82, 2, b'a', b'b', 0x89, 0, 0x82, 1, b'c'];
        theirs.write_all(&messages).await.expect("it is read");
        let mut heard = [0; 3];
        carrier.read_exact(&mut heard).await.expect("the bytes");
        assert_eq!(&heard, b"abc");
        carrier.write_all(b"hello").await.expect("it is read");
        carrier.flush().await.expect("it is read");
        let mut pong_or_message = [0; 2];
        theirs
            .read_exact(&mut pong_or_message)
            .await
            .expect("a frame");
        assert_eq!(pong_or_message, [0x8a, 0x80], "the ping is answered first");
        let mut rest = [0; 4 + 2 + 4 + 5];
        theirs.read_exact(&mut rest).await.expect("a frame");
        assert_eq!(rest[4..6], [0x82, 0x85], "masked, and whole");
        theirs.write_all(&[0x88, 0]).await.expect("it is read");
        assert_eq!(carrier.read(&mut heard).await.expect("an end"), 0);
    }

    #[tokio::test]
    async fn a_server_that_refuses_is_told_from_one_that_breaks() {
        let refused = |status| LinkError::Refused { status };
        for (answer, error) in [
            (
                "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
                refused(400),
            ),
            (
                "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
                refused(404),
            ),
            (
                &GOOD.replace("{proof}", "AAAA"),
                Fault::Protocol(Breach::Upgrade).into(),
            ),
            (
                &GOOD.replace("mqtt", "soap"),
                Fault::Protocol(Breach::Upgrade).into(),
            ),
            (
                "SSH-2.0-OpenSSH\r\n\r\n",
                Fault::Protocol(Breach::Upgrade).into(),
            ),
            ("", Fault::ConnectionLost.into()),
        ] {
            let (opened, _, _) = answered(answer).await;
            assert_eq!(opened.err(), Some(error), "{answer}");
        }
    }

    #[tokio::test]
    async fn a_good_bye_closes_what_is_below() {
        let (opened, _, mut theirs) = answered(GOOD).await;
        let mut carrier = opened.expect("a WebSocket");
        carrier.write_all(b"bye").await.expect("it is read");
        carrier.shutdown().await.expect("it is read");
        let mut heard = Vec::new();
        let ends = timeout(Duration::from_secs(5), theirs.read_to_end(&mut heard));
        ends.await.expect("in time").expect("an end");
        // A message and a good-bye, both masked (RFC 6455, 5.2 and 5.5.1).
        assert_eq!(heard[..2], [0x82, 0x83]);
        assert_eq!(heard[2 + 4 + 3..][..2], [0x88, 0x80]);
        carrier.shutdown().await.expect("it was said");
    }

    #[tokio::test]
    async fn a_server_that_goes_without_a_good_bye_is_gone_and_says_nothing_wrong() {
        let (opened, _, theirs) = answered(GOOD).await;
        let mut carrier = opened.expect("a WebSocket");
        drop(theirs);
        let error = carrier.read_u8().await.expect_err("no byte");
        assert_eq!(fault_of(&error), Fault::ConnectionLost);
    }

    #[tokio::test]
    async fn text_and_oversize_messages_are_no_packets() {
        let oversize = u64::try_from(MAX_ANSWER).expect("64 bits") + 1;
        let oversize = [[0x82, 127].as_slice(), &oversize.to_be_bytes()].concat();
        for frame in [[0x81, 1, b'a'].as_slice(), &oversize] {
            let (opened, _, mut theirs) = answered(GOOD).await;
            let mut carrier = opened.expect("a WebSocket");
            theirs.write_all(frame).await.expect("it is read");
            let error = carrier.read_u8().await.expect_err("no byte");
            assert_eq!(fault_of(&error), Fault::Protocol(Breach::Unreadable));
        }
    }
}
