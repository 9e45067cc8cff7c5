//! Packets off a stream, each whole in time.

use std::future::{Future, poll_fn};
use std::task::Poll;
use std::time::Duration;

use futures_util::StreamExt;
use tokio::time::{Instant, sleep_until};
use tokio_util::codec::{Decoder, Framed};

use super::stream::Stream;

/// The next packet; none when the peer is gone, breaks the protocol, or began a packet and does
/// not end it within `limit`. Giving up waiting loses nothing: `began` remembers.
pub(super) async fn next<Packets: Decoder>(
    framed: &mut Framed<impl Stream, Packets>,
    began: &mut Option<Instant>,
    limit: Duration,
) -> Option<Packets::Item> {
    let mut over = None;
    poll_fn(|cx| {
        if let Poll::Ready(packet) = framed.poll_next_unpin(cx) {
            *began = None;
            return Poll::Ready(packet.and_then(Result::ok));
        }
        if framed.read_buffer().is_empty() {
            return Poll::Pending;
        }
        let end = *began.get_or_insert_with(Instant::now) + limit;
        over.get_or_insert_with(|| Box::pin(sleep_until(end)))
            .as_mut()
            .poll(cx)
            .map(|()| None)
    })
    .await
}
