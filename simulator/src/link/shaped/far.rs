//! A connection at the other end of a line. What its user writes is under way at once, and a task of its own hands
//! it to the network when it has crossed, whatever the user does meanwhile.

use std::cell::RefCell;
use std::io;
use std::mem::{self, MaybeUninit};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;
use std::{fmt, future};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::task::{AbortHandle, spawn_local};
use tokio::time::{Instant, Sleep, sleep_until};

use super::direction::{Direction, Medium};
use crate::generator::delay::{Delay, Incoming};
use crate::link::region_link::RegionLink;

/// Longest piece: what is read from the network, or taken from the user, at once.
const PIECE: usize = 16 * 1024;
/// How long a peer may take to take what was under way when its user was done.
const LINGER: Duration = Duration::from_secs(60);
/// Timers go off up to a millisecond late when they are set, and up to another one when the thread waits; rounded
/// down, they are on time in the mean.
const ROUNDED_DOWN: Duration = Duration::from_micros(999);

/// The near end. To shut it down sends what is under way, then the end; to drop it before cuts the line.
pub struct Far {
    line: Rc<RefCell<BothWays>>,
    alarm: Pin<Box<Sleep>>,
    /// Stops what hands bytes over.
    handover: AbortHandle,
}

/// What is under way, which both ends see.
#[derive(Debug)]
pub(super) struct BothWays {
    medium: Medium,
    there: Direction,
    back: Direction,
    /// How the connection broke at the other end, and when that is known here.
    broken: Option<(io::ErrorKind, Instant)>,
    /// The user has dropped its end: how long the rest may take.
    left_until: Option<Instant>,
    reader: Option<Waker>,
    writer: Option<Waker>,
    handover: Option<Waker>,
    delay: Delay,
    /// When bytes were handed over last.
    handed: Instant,
    /// The peer does not take what has crossed.
    is_stuck: bool,
    incoming: Incoming,
}

impl Far {
    /// Connects: SYN crosses the line as bytes do, and so does what answers it.
    ///
    /// # Errors
    /// Those of `connecting`.
    pub(super) async fn connect<Stream>(
        connecting: impl Future<Output = io::Result<Stream>>,
        mut line: BothWays,
    ) -> io::Result<Self>
    where
        Stream: AsyncRead + AsyncWrite + Unpin + 'static,
    {
        crossed(line.there.crossing(0, &mut line.medium, Instant::now())).await;
        let connected = connecting.await;
        crossed(line.back.crossing(0, &mut line.medium, Instant::now())).await;
        Ok(Self::over(connected?, line))
    }

    /// Hands over from now on.
    fn over<Stream>(stream: Stream, line: BothWays) -> Self
    where
        Stream: AsyncRead + AsyncWrite + Unpin + 'static,
    {
        let line = Rc::new(RefCell::new(line));
        let handover = spawn_local(hand_over(stream, Rc::clone(&line)));
        Self {
            line,
            alarm: Box::pin(sleep_until(Instant::now())),
            handover: handover.abort_handle(),
        }
    }
}

impl Drop for Far {
    fn drop(&mut self) {
        let line = &mut *self.line.borrow_mut();
        if line.there.ends_at().is_none() {
            self.handover.abort();
            return;
        }
        line.left_until = Some(line.there.last_arrival().max(Instant::now()) + LINGER);
        wake(&mut line.handover);
    }
}

impl fmt::Debug for Far {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Far").finish_non_exhaustive()
    }
}

impl AsyncRead for Far {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Self { line, alarm, .. } = self.get_mut();
        let line = &mut *line.borrow_mut();
        let Some(arrival) = line.back.next_arrival() else {
            wait(&mut line.reader, cx);
            return Poll::Pending;
        };
        ready!(poll_crossed(alarm.as_mut(), arrival, cx));
        let bytes = line.back.next();
        if bytes.is_empty() {
            return Poll::Ready(line.broken.map_or(Ok(()), |(kind, _)| Err(kind.into())));
        }
        let count = bytes.len().min(buffer.remaining());
        buffer.put_slice(&bytes[..count]);
        let was_full = !line.back.has_room();
        line.back.take(count);
        if was_full {
            wake(&mut line.handover);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Far {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let line = &mut *self.line.borrow_mut();
        if line.there.ends_at().is_some() {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let now = Instant::now();
        match line.broken {
            Some((kind, known)) if known <= now => return Poll::Ready(Err(kind.into())),
            // Until it is known, what is sent goes nowhere.
            Some(_) => return Poll::Ready(Ok(bytes.len())),
            None if bytes.is_empty() => return Poll::Ready(Ok(0)),
            None => {}
        }
        if !line.there.has_room() {
            wait(&mut line.writer, cx);
            return Poll::Pending;
        }
        let count = bytes.len().min(PIECE);
        line.give(|there, medium| there.send(&bytes[..count], medium, now));
        Poll::Ready(Ok(count))
    }

    /// A socket has nothing to flush: what was written is under way.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        let line = &mut *self.line.borrow_mut();
        line.give(|there, medium| there.end(medium, Instant::now()));
        Poll::Ready(Ok(()))
    }
}

impl BothWays {
    /// A line on which nothing is under way.
    pub(super) fn new(line: RegionLink, seed: u64, delay: Delay) -> Self {
        let now = Instant::now();
        Self {
            medium: Medium::new(line, seed, now),
            there: Direction::new(seed, 0, now),
            back: Direction::new(seed, 1, now),
            broken: None,
            left_until: None,
            reader: None,
            writer: None,
            handover: None,
            incoming: Incoming::new(delay.clone()),
            delay,
            handed: now,
            is_stuck: false,
        }
    }

    /// Puts something on the line; behind something else it needs no attention yet.
    fn give(&mut self, send: impl FnOnce(&mut Direction, &mut Medium)) {
        let was_empty = self.there.next_arrival().is_none();
        send(&mut self.there, &mut self.medium);
        if was_empty {
            wake(&mut self.handover);
        }
    }

    /// Hands over what has crossed, both ways; ready when there is nothing left to do.
    fn poll_hand_over<Stream: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        stream: &mut Stream,
        alarm: Pin<&mut Sleep>,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        wait(&mut self.handover, cx);
        let handed = match self.poll_hand_there(stream, alarm, cx) {
            Poll::Ready(Err(error)) => {
                self.broke(error.kind());
                return Poll::Ready(());
            }
            handed => handed.is_ready(),
        };
        if self.left_until.is_none()
            && let Err(error) = self.take_back(stream, cx)
        {
            self.broke(error.kind());
            return Poll::Ready(());
        }
        let is_over = handed && (self.left_until.is_some() || self.back.ends_at().is_some());
        if is_over {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }

    /// To the network, when it has crossed; ready when the end has.
    fn poll_hand_there<Stream: AsyncWrite + Unpin>(
        &mut self,
        stream: &mut Stream,
        mut alarm: Pin<&mut Sleep>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            let Some(arrival) = self.there.next_arrival() else {
                return Poll::Pending;
            };
            ready!(poll_crossed(alarm.as_mut(), arrival, cx));
            self.count_delay(arrival);
            let stream = Pin::new(&mut *stream);
            let bytes = self.there.next();
            if bytes.is_empty() {
                return stream.poll_shutdown(cx);
            }
            match (stream.poll_write(cx, bytes), self.left_until) {
                (Poll::Ready(Ok(0)), _) => {
                    return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
                }
                (Poll::Ready(count), _) => {
                    self.there.take(count?);
                    wake(&mut self.writer);
                }
                (Poll::Pending, None) => {
                    self.is_stuck = true;
                    return Poll::Pending;
                }
                (Poll::Pending, Some(until)) => {
                    ready!(poll_crossed(alarm.as_mut(), until, cx));
                    return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
                }
            }
        }
    }

    /// What is late because this end is, once for all that is late together. Nobody waits for a good-bye.
    fn count_delay(&mut self, arrival: Instant) {
        let now = Instant::now();
        let since = arrival.max(mem::replace(&mut self.handed, now));
        if !mem::take(&mut self.is_stuck) && self.there.ends_at().is_none() {
            self.delay.late(now.saturating_duration_since(since));
        }
    }

    /// From the network onto the line, as much as is there and fits.
    fn take_back<Stream: AsyncRead + Unpin>(
        &mut self,
        stream: &mut Stream,
        cx: &mut Context<'_>,
    ) -> io::Result<()> {
        let waker = self.incoming.waker(cx.waker());
        let cx = &mut Context::from_waker(&waker);
        let mut piece = [MaybeUninit::uninit(); PIECE];
        while self.back.ends_at().is_none() && self.back.has_room() {
            let mut read = ReadBuf::uninit(&mut piece);
            match Pin::new(&mut *stream).poll_read(cx, &mut read) {
                Poll::Pending => break,
                Poll::Ready(Err(error)) => return Err(error),
                Poll::Ready(Ok(())) => {}
            }
            self.incoming.taken();
            let now = Instant::now();
            match read.filled() {
                [] => self.back.end(&mut self.medium, now),
                bytes => self.back.send(bytes, &mut self.medium, now),
            }
            wake(&mut self.reader);
        }
        Ok(())
    }

    fn broke(&mut self, kind: io::ErrorKind) {
        let now = Instant::now();
        self.broken = Some((kind, self.back.crossing(0, &mut self.medium, now)));
        self.back.end(&mut self.medium, now);
        wake(&mut self.reader);
        wake(&mut self.writer);
    }
}

async fn hand_over<Stream>(mut stream: Stream, line: Rc<RefCell<BothWays>>)
where
    Stream: AsyncRead + AsyncWrite + Unpin,
{
    let mut alarm = pin!(sleep_until(Instant::now()));
    future::poll_fn(|cx| {
        let line = &mut *line.borrow_mut();
        line.poll_hand_over(&mut stream, alarm.as_mut(), cx)
    })
    .await;
}

/// Waits until something has crossed.
async fn crossed(arrival: Instant) {
    let mut alarm = pin!(sleep_until(arrival));
    future::poll_fn(|cx| poll_crossed(alarm.as_mut(), arrival, cx)).await;
}

fn poll_crossed(mut alarm: Pin<&mut Sleep>, arrival: Instant, cx: &mut Context<'_>) -> Poll<()> {
    if arrival <= Instant::now() {
        return Poll::Ready(());
    }
    let until = arrival.checked_sub(ROUNDED_DOWN).unwrap_or(arrival);
    if alarm.deadline() != until {
        alarm.as_mut().reset(until);
    }
    alarm.poll(cx)
}

fn wait(waker: &mut Option<Waker>, cx: &Context<'_>) {
    match waker {
        Some(waker) => waker.clone_from(cx.waker()),
        None => *waker = Some(cx.waker().clone()),
    }
}

fn wake(waker: &mut Option<Waker>) {
    if let Some(waker) = waker.take() {
        waker.wake();
    }
}

#[cfg(test)]
mod tests;
