//! A TCP connection over a longer, narrower or worse line than the real one: what is sent and received
//! comes later, in order. Without a shape it is the connection itself.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use fleetstorm_scenarios::LinkShape;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep_until};

/// Bytes on their way in one direction; beyond it a sender waits, as with a full window.
const WINDOW: usize = 256 * 1024;
/// Bytes read from the connection at once.
const CHUNK: usize = 16 * 1024;

/// The connection.
#[derive(Debug)]
pub struct Shaped {
    stream: TcpStream,
    line: Option<Box<Line>>,
}

#[derive(Debug)]
struct Line {
    there: Direction,
    back: Direction,
    /// The peer has closed; told once all before it has arrived.
    ended: bool,
}

/// What is under way in one direction.
#[derive(Debug)]
struct Direction {
    shape: LinkShape,
    began: Instant,
    /// Where in the rhythm of stalls the connection began.
    phase: Duration,
    random: ChaCha8Rng,
    under_way: VecDeque<(Instant, Vec<u8>)>,
    size: usize,
    /// Bytes of the first piece that have gone on.
    taken: usize,
    /// When the line has sent all that was given to it.
    free_at: Instant,
    last_arrival: Instant,
    alarm: Pin<Box<Sleep>>,
}

impl Shaped {
    /// Shapes a connection; `seed` decides its jitter and when it stands still.
    pub fn new(stream: TcpStream, shape: Option<LinkShape>, seed: u64) -> Self {
        let line = shape.map(|shape| {
            let direction = |stream| Direction::new(shape, seed, stream);
            Box::new(Line {
                there: direction(0),
                back: direction(1),
                ended: false,
            })
        });
        Self { stream, line }
    }
}

impl Direction {
    fn new(shape: LinkShape, seed: u64, stream: u64) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let every = shape.stall.map_or(Duration::ZERO, |stall| stall.every);
        // Both directions stand still together.
        let phase = every.mul_f64(random.random());
        random.set_stream(stream);
        let now = Instant::now();
        Self {
            shape,
            began: now,
            phase,
            random,
            under_way: VecDeque::new(),
            size: 0,
            taken: 0,
            free_at: now,
            last_arrival: now,
            alarm: Box::pin(sleep_until(now)),
        }
    }

    fn has_room(&self) -> bool {
        self.size < WINDOW
    }

    /// Sends a piece: it arrives later, and after all before it.
    fn send(&mut self, bytes: &[u8]) {
        let sending = self.shape.bandwidth.map_or(Duration::ZERO, |bandwidth| {
            Duration::from_secs_f64(bytes.len() as f64 / bandwidth as f64)
        });
        self.free_at = self.free_at.max(Instant::now()) + sending;
        let jitter = self.shape.jitter.mul_f64(self.random.random());
        let way = (self.shape.round_trip + jitter) / 2;
        let arrival = self.moving(self.free_at + way).max(self.last_arrival);
        self.last_arrival = arrival;
        self.size += bytes.len();
        self.under_way.push_back((arrival, bytes.to_vec()));
    }

    /// A moment, or the end of the stall that it falls into.
    fn moving(&self, at: Instant) -> Instant {
        let Some(stall) = self.shape.stall else {
            return at;
        };
        let since = at.saturating_duration_since(self.began) + self.phase;
        let into = Duration::from_nanos(
            u64::try_from(since.as_nanos() % stall.every.as_nanos()).unwrap_or(0),
        );
        let stands_from = stall.every - stall.lasts;
        if into < stands_from {
            at
        } else {
            at + (stall.every - into)
        }
    }

    /// The next bytes that have arrived; waits for them, and has none if nothing is under way.
    fn poll_arrived(&mut self, cx: &mut Context<'_>) -> Poll<Option<&[u8]>> {
        let Some((arrival, _)) = self.under_way.front() else {
            return Poll::Ready(None);
        };
        if *arrival > Instant::now() {
            self.alarm.as_mut().reset(*arrival);
            ready!(self.alarm.as_mut().poll(cx));
        }
        let piece = self.under_way.front();
        Poll::Ready(piece.map(|(_, bytes)| &bytes[self.taken..]))
    }

    /// So many of the arrived bytes have gone on.
    fn take(&mut self, count: usize) {
        self.taken += count;
        self.size -= count;
        if self
            .under_way
            .front()
            .is_some_and(|(_, bytes)| bytes.len() == self.taken)
        {
            self.under_way.pop_front();
            self.taken = 0;
        }
    }
}

impl Line {
    /// Hands on what has crossed the line; ready once nothing is under way there.
    fn poll_deliver(
        &mut self,
        stream: &mut TcpStream,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        while let Some(bytes) = ready!(self.there.poll_arrived(cx)) {
            let count = ready!(Pin::new(&mut *stream).poll_write(cx, bytes))?;
            self.there.take(count);
        }
        Poll::Ready(Ok(()))
    }

    /// Takes what the peer has sent onto the line, as much as is there and fits.
    fn poll_collect(&mut self, stream: &mut TcpStream, cx: &mut Context<'_>) -> io::Result<()> {
        let mut chunk = [0; CHUNK];
        while !self.ended && self.back.has_room() {
            let mut read = ReadBuf::new(&mut chunk);
            match Pin::new(&mut *stream).poll_read(cx, &mut read) {
                Poll::Pending => break,
                Poll::Ready(Err(error)) => return Err(error),
                Poll::Ready(Ok(())) if read.filled().is_empty() => self.ended = true,
                Poll::Ready(Ok(())) => self.back.send(read.filled()),
            }
        }
        Ok(())
    }
}

impl AsyncRead for Shaped {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Self { stream, line } = self.get_mut();
        let Some(line) = line else {
            return Pin::new(stream).poll_read(cx, buffer);
        };
        // Who waits for an answer may not have waited until the question was gone.
        if let Poll::Ready(Err(error)) = line.poll_deliver(stream, cx) {
            return Poll::Ready(Err(error));
        }
        let collected = line.poll_collect(stream, cx);
        if line.back.under_way.is_empty() {
            collected?;
            return if line.ended {
                Poll::Ready(Ok(()))
            } else {
                Poll::Pending
            };
        }
        let bytes = ready!(line.back.poll_arrived(cx)).unwrap_or_default();
        let count = bytes.len().min(buffer.remaining());
        buffer.put_slice(&bytes[..count]);
        line.back.take(count);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Shaped {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let Self { stream, line } = self.get_mut();
        let Some(line) = line else {
            return Pin::new(stream).poll_write(cx, bytes);
        };
        if let Poll::Ready(Err(error)) = line.poll_deliver(stream, cx) {
            return Poll::Ready(Err(error));
        }
        if !line.there.has_room() {
            return Poll::Pending;
        }
        let count = bytes.len().min(CHUNK);
        line.there.send(&bytes[..count]);
        Poll::Ready(Ok(count))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self { stream, line } = self.get_mut();
        if let Some(line) = line {
            ready!(line.poll_deliver(stream, cx))?;
        }
        Pin::new(stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self { stream, line } = self.get_mut();
        if let Some(line) = line {
            ready!(line.poll_deliver(stream, cx))?;
        }
        Pin::new(stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use fleetstorm_scenarios::Stall;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    /// Sends `question` over a line of this shape to a peer that echoes, and reads it back: how long
    /// that took.
    async fn echo(shape: Option<LinkShape>, question: &[u8]) -> Duration {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let peer = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("a caller");
            let (mut read, mut write) = stream.split();
            tokio::io::copy(&mut read, &mut write)
                .await
                .expect("an echo");
        });
        let stream = TcpStream::connect(address).await.expect("a connection");
        let mut shaped = Shaped::new(stream, shape, 7);
        let began = Instant::now();
        let mut answer = vec![0; question.len()];
        let (mut read, mut write) = tokio::io::split(&mut shaped);
        let ask = async {
            write.write_all(question).await.expect("room");
            write.flush().await.expect("a line");
        };
        let (_, heard) = tokio::join!(ask, read.read_exact(&mut answer));
        heard.expect("all of it");
        let took = began.elapsed();
        assert!(answer == question, "whole and in order");
        shaped.shutdown().await.expect("a line");
        let mut rest = Vec::new();
        shaped.read_to_end(&mut rest).await.expect("an end");
        assert!(rest.is_empty());
        peer.await.expect("the peer ended");
        took
    }

    fn shape(round_trip: u64) -> LinkShape {
        LinkShape {
            round_trip: Duration::from_millis(round_trip),
            ..LinkShape::default()
        }
    }

    #[tokio::test]
    async fn a_question_and_its_answer_take_a_round_trip() {
        let direct = echo(None, b"hello").await;
        assert!(direct < Duration::from_millis(50), "{direct:?}");
        let far = echo(Some(shape(200)), b"hello").await;
        assert!((200..300).contains(&far.as_millis()), "{far:?}");
    }

    #[tokio::test]
    async fn a_narrow_line_takes_its_time_each_way_and_more_than_a_window_passes() {
        let narrow = LinkShape {
            bandwidth: Some(1_000_000),
            ..shape(0)
        };
        let question: Vec<u8> = (0..400_000_u32).map(|n| (n % 251) as u8).collect();
        // Both ways at once but for the first piece.
        let took = echo(Some(narrow), &question).await;
        assert!((400..700).contains(&took.as_millis()), "{took:?}");
    }

    #[tokio::test]
    async fn jitter_comes_on_top_and_a_stall_is_waited_for() {
        let shaky = LinkShape {
            jitter: Duration::from_millis(100),
            ..shape(50)
        };
        let took = echo(Some(shaky), b"hello").await;
        assert!((50..200).contains(&took.as_millis()), "{took:?}");
        let direction = Direction::new(
            LinkShape {
                stall: Some(Stall {
                    every: Duration::from_secs(10),
                    lasts: Duration::from_secs(4),
                }),
                ..shape(0)
            },
            7,
            0,
        );
        let stands = (0..10_000).filter(|tick| {
            let at = direction.began + Duration::from_millis(*tick);
            direction.moving(at) > at
        });
        assert_eq!(stands.count(), 4_000, "four seconds of each ten");
    }
}
