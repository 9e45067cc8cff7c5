use super::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::time::Instant;

const LIMITS: Limits = Limits {
    message: 1024,
    buffer: 64,
};
const LIMIT: Duration = Duration::from_secs(20);

async fn client(stream: DuplexStream) -> ByteStream<DuplexStream> {
    let stream = Watched::new(stream);
    let config = Some(LIMITS.config());
    ByteStream::of_client(WebSocketStream::from_raw_socket(stream, Role::Client, config).await)
}

async fn server(stream: DuplexStream) -> ByteStream<DuplexStream> {
    ByteStream::accept(stream, LIMITS, LIMIT).await
}

#[tokio::test]
async fn who_writes_to_a_broken_socket_fails_as_often_as_it_tries() {
    for is_client in [true, false] {
        let (ours, theirs) = duplex(64);
        drop(theirs);
        let mut bytes = if is_client {
            client(ours).await
        } else {
            server(ours).await
        };
        for _ in 0..3 {
            let written = bytes.write_all(b"bytes").await;
            assert!(written.is_err() || bytes.flush().await.is_err());
        }
        assert!(bytes.shutdown().await.is_err());
    }
}

/// Sends more than one buffer takes.
async fn exchange(
    from: &mut ByteStream<DuplexStream>,
    to: &mut ByteStream<DuplexStream>,
) -> io::Result<()> {
    let sent: Vec<u8> = (0..=255).cycle().take(1000).collect();
    let mut received = vec![0; sent.len()];
    let sending = async {
        from.write_all(&sent).await?;
        from.flush().await
    };
    tokio::try_join!(sending, to.read_exact(&mut received))?;
    assert_eq!(received, sent);
    Ok(())
}

#[tokio::test]
async fn both_sides_understand_each_other_until_one_says_good_bye() {
    let (ours, theirs) = duplex(64);
    let (mut ours, mut theirs) = (client(ours).await, server(theirs).await);
    exchange(&mut ours, &mut theirs).await.expect("it is read");
    exchange(&mut theirs, &mut ours).await.expect("it is read");
    theirs.shutdown().await.expect("it is said");
    assert_eq!(ours.read(&mut [0]).await.expect("an end"), 0);
}

#[tokio::test(start_paused = true)]
async fn a_server_waits_for_the_rest_of_a_message_and_for_the_next_one_as_long_as_it_takes() {
    let (mut ours, theirs) = duplex(64);
    let mut theirs = server(theirs).await;
    let start = Instant::now();
    let (sent, read) = tokio::join!(
        async {
            tokio::time::sleep(10 * LIMIT).await;
            // Masked with zeros, two bytes to come, of which one comes (RFC 6455, 5.2).
            ours.write_all(&[0x82, 0x82, 0, 0, 0, 0, b'a']).await
        },
        theirs.read_u8()
    );
    sent.expect("it is read");
    let error = read.expect_err("half a message is none");
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    assert_eq!(start.elapsed().as_secs(), 11 * LIMIT.as_secs());
}

#[tokio::test]
async fn a_server_says_why_it_ends() {
    let oversize = [0x82, 0x80 | 126, 0x40, 0, 0, 0, 0, 0];
    for (frame, code) in [
        ([0x81, 0x81, 0, 0, 0, 0, b'a'].as_slice(), 1003_u16),
        (&oversize, 1009),
        (&[0x82, 1, b'a'], 1002),
    ] {
        let (mut ours, theirs) = duplex(64);
        let mut theirs = server(theirs).await;
        ours.write_all(frame).await.expect("it is read");
        theirs.read_u8().await.expect_err("no byte");
        theirs.shutdown().await.expect("it is said");
        let mut close = [0; 4];
        ours.read_exact(&mut close).await.expect("a good-bye");
        assert_eq!(close[..2], [0x88, 2]);
        assert_eq!(close[2..], code.to_be_bytes());
    }
}
