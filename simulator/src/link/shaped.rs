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

use super::line::Line;

/// Bytes on their way in one direction; beyond it a sender waits, as with a full window.
const WINDOW: usize = 256 * 1024;
/// Bytes read from the connection at once.
const CHUNK: usize = 16 * 1024;

/// The connection.
#[derive(Debug)]
pub struct Shaped {
    stream: TcpStream,
    line: Option<Box<BothWays>>,
}

#[derive(Debug)]
struct BothWays {
    there: Direction,
    back: Direction,
    /// The peer has closed; told once all before it has arrived.
    ended: bool,
}

/// What is under way in one direction.
#[derive(Debug)]
struct Direction {
    line: Line,
    shape: LinkShape,
    began: Instant,
    /// Where in the rhythm of stalls the connection began, 0 to 1.
    phase: f64,
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
    pub fn new(stream: TcpStream, line: Option<Line>, seed: u64) -> Self {
        let line = line.map(|line| {
            let direction = |stream| Direction::new(line.clone(), seed, stream);
            Box::new(BothWays {
                there: direction(0),
                back: direction(1),
                ended: false,
            })
        });
        Self { stream, line }
    }
}

impl Direction {
    fn new(mut line: Line, seed: u64, stream: u64) -> Self {
        let shape = line.shape();
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        // Both directions stand still together.
        let phase = random.random();
        random.set_stream(stream);
        let now = Instant::now();
        Self {
            line,
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
        if let Some(shape) = self.line.changed() {
            self.shape = shape;
        }
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
        let phase = stall.every.mul_f64(self.phase);
        let since = at.saturating_duration_since(self.began) + phase;
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

impl BothWays {
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
    use std::collections::BTreeMap;

    use fleetstorm_scenarios::region::LinkProperty;
    use fleetstorm_scenarios::{Region, Stall};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::super::line::Lines;
    use super::*;

    /// Sends `question` over a line of this shape to a peer that echoes, and reads it back: how long
    /// that took.
    async fn echo(line: Option<Line>, question: &[u8]) -> Duration {
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
        let mut shaped = Shaped::new(stream, line, 7);
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

    fn lines(link: LinkShape) -> Lines {
        Lines::of(&[Region {
            name: "somewhere".into(),
            prefix: "127.16.0.0/16".parse().expect("a network"),
            link,
            utc_offset: None,
            latency: BTreeMap::new(),
        }])
    }

    fn line(link: LinkShape) -> Option<Line> {
        lines(link).line(0, Duration::ZERO)
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
        let far = echo(line(shape(200)), b"hello").await;
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
        let took = echo(line(narrow), &question).await;
        assert!((400..700).contains(&took.as_millis()), "{took:?}");
    }

    #[tokio::test]
    async fn jitter_comes_on_top_and_a_stall_is_waited_for() {
        let shaky = LinkShape {
            jitter: Duration::from_millis(100),
            ..shape(50)
        };
        let took = echo(line(shaky), b"hello").await;
        assert!((50..200).contains(&took.as_millis()), "{took:?}");
        let stalling = LinkShape {
            stall: Some(Stall {
                every: Duration::from_secs(10),
                lasts: Duration::from_secs(4),
            }),
            ..shape(0)
        };
        let direction = Direction::new(line(stalling).expect("a line"), 7, 0);
        let stands = (0..10_000).filter(|tick| {
            let at = direction.began + Duration::from_millis(*tick);
            direction.moving(at) > at
        });
        assert_eq!(stands.count(), 4_000, "four seconds of each ten");
    }

    #[tokio::test]
    async fn a_connection_in_use_follows_a_change_of_its_line() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let peer = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("a caller");
            let (mut read, mut write) = stream.split();
            let echoed = tokio::io::copy(&mut read, &mut write);
            echoed.await.expect("an echo");
        });
        let stream = TcpStream::connect(address).await.expect("a connection");
        let lines = lines(shape(0));
        let line = lines.line(0, Duration::from_millis(40));
        let mut shaped = Shaped::new(stream, line, 7);
        let mut took = Vec::new();
        for round_trip in [0, 160, 0] {
            let round_trip = Duration::from_millis(round_trip);
            lines.change(0, &[LinkProperty::RoundTrip(round_trip)]);
            let asked = Instant::now();
            shaped.write_all(b"hello").await.expect("room");
            shaped.flush().await.expect("a line");
            let mut answer = [0; 5];
            shaped.read_exact(&mut answer).await.expect("an answer");
            took.push(asked.elapsed().as_millis());
        }
        for (took, least) in took.iter().zip([40, 200, 40]) {
            assert!(
                (least..least + 100).contains(took),
                "{took} ms, not {least}"
            );
        }
        shaped.shutdown().await.expect("a line");
        peer.await.expect("the peer ended");
    }
}
