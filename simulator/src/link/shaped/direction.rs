//! What is under way on a line in one direction, and when it arrives. The time is an argument.

use std::collections::VecDeque;
use std::time::Duration;

use fleetstorm_scenarios::LinkShape;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tokio::time::Instant;

use crate::link::region_link::RegionLink;

/// Bytes under way; beyond it a sender waits, as with a full window of TCP (without scaling).
const WINDOW: usize = 64 * 1024;
/// What a piece weighs beside its bytes.
const OVERHEAD: usize = 64;

/// The line itself, which both directions share.
#[derive(Debug)]
pub(super) struct Medium {
    line: RegionLink,
    shape: LinkShape,
    began: Instant,
    /// Where in the rhythm of stalls the connection began, 0 to 1.
    phase: f64,
}

/// One direction.
#[derive(Debug)]
pub(super) struct Direction {
    random: ChaCha8Rng,
    under_way: VecDeque<Piece>,
    /// What is under way weighs so much.
    weight: usize,
    /// Bytes of the first piece that have been taken.
    taken: usize,
    /// When the line has sent all that was given to it.
    free_at: Instant,
    last_arrival: Instant,
    /// When the sender's end arrives, behind all that it has sent.
    end: Option<Instant>,
}

#[derive(Debug)]
struct Piece {
    arrival: Instant,
    bytes: Vec<u8>,
}

impl Medium {
    /// A line that a connection begins to use.
    pub(super) fn new(mut line: RegionLink, seed: u64, now: Instant) -> Self {
        Self {
            shape: line.shape(),
            line,
            began: now,
            phase: ChaCha8Rng::seed_from_u64(seed).random(),
        }
    }

    /// What it is like now.
    fn shape(&mut self) -> LinkShape {
        if let Some(shape) = self.line.changed() {
            self.shape = shape;
        }
        self.shape
    }

    /// A moment, or the end of the stall that it falls into: both directions stand still together.
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
}

impl Direction {
    /// Nothing under way; `stream` makes its jitter another than the other direction's.
    pub(super) fn new(seed: u64, stream: u64, now: Instant) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        random.set_stream(stream);
        Self {
            random,
            under_way: VecDeque::new(),
            weight: 0,
            taken: 0,
            free_at: now,
            last_arrival: now,
            end: None,
        }
    }

    /// Whether more may be sent.
    pub(super) fn has_room(&self) -> bool {
        self.weight < WINDOW
    }

    /// When so many bytes arrive that are sent now: after all before them.
    pub(super) fn crossing(&mut self, bytes: usize, medium: &mut Medium, now: Instant) -> Instant {
        let shape = medium.shape();
        let sending = shape.bandwidth.map_or(Duration::ZERO, |bandwidth| {
            Duration::from_secs_f64(bytes as f64 / bandwidth as f64)
        });
        self.free_at = self.free_at.max(now) + sending;
        let jitter = shape.jitter.mul_f64(self.random.random());
        let way = (shape.round_trip + jitter) / 2;
        let arrival = medium.moving(self.free_at + way).max(self.last_arrival);
        self.last_arrival = arrival;
        arrival
    }

    /// Sends a piece.
    pub(super) fn send(&mut self, bytes: &[u8], medium: &mut Medium, now: Instant) {
        let arrival = self.crossing(bytes.len(), medium, now);
        self.weight += bytes.len() + OVERHEAD;
        let bytes = bytes.to_vec();
        self.under_way.push_back(Piece { arrival, bytes });
    }

    /// Sends nothing more.
    pub(super) fn end(&mut self, medium: &mut Medium, now: Instant) {
        if self.end.is_none() {
            self.end = Some(self.crossing(0, medium, now));
        }
    }

    /// When the end arrives, if it is under way, or has.
    pub(super) fn ends_at(&self) -> Option<Instant> {
        self.end
    }

    /// When the last that was sent arrives.
    pub(super) fn last_arrival(&self) -> Instant {
        self.last_arrival
    }

    /// When the next arrives of what is under way: a piece, or the end.
    pub(super) fn next_arrival(&self) -> Option<Instant> {
        let piece = self.under_way.front().map(|piece| piece.arrival);
        piece.or(self.end)
    }

    /// What is left of the next piece; nothing if the end is next.
    pub(super) fn next(&self) -> &[u8] {
        let piece = self.under_way.front();
        piece.map_or(&[], |piece| &piece.bytes[self.taken..])
    }

    /// So many bytes of the next piece have been taken.
    pub(super) fn take(&mut self, count: usize) {
        self.taken += count;
        let Some(piece) = self.under_way.front() else {
            return;
        };
        if piece.bytes.len() == self.taken {
            self.weight -= piece.bytes.len() + OVERHEAD;
            self.taken = 0;
            self.under_way.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use fleetstorm_scenarios::Stall;
    use fleetstorm_scenarios::region::LinkProperty;

    use super::*;
    use crate::link::region_link::RegionLinks;

    fn ms(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    /// A line of this shape, and a direction of it.
    fn way(shape: LinkShape, now: Instant) -> (Medium, Direction) {
        let line = RegionLinks::shaped(shape).here();
        (Medium::new(line, 7, now), Direction::new(7, 0, now))
    }

    #[test]
    fn a_narrow_line_sends_one_after_another() {
        let now = Instant::now();
        let narrow = LinkShape {
            round_trip: ms(200),
            bandwidth: Some(1_000),
            ..LinkShape::default()
        };
        let (mut medium, mut there) = way(narrow, now);
        let arrivals = [100, 0, 50].map(|bytes| there.crossing(bytes, &mut medium, now));
        assert_eq!(arrivals, [200, 200, 250].map(|at| now + ms(at)));
        // What it could have sent meanwhile is not made up for.
        let later = now + ms(1_000);
        let arrivals = [0, 10, 10].map(|bytes| there.crossing(bytes, &mut medium, later));
        assert_eq!(arrivals, [1_100, 1_110, 1_120].map(|at| now + ms(at)));
    }

    #[test]
    fn jitter_is_spread_over_what_it_may_be_and_changes_no_order() {
        let now = Instant::now();
        let shaky = LinkShape {
            round_trip: ms(200),
            jitter: ms(100),
            ..LinkShape::default()
        };
        let (mut medium, mut there) = way(shaky, now);
        let ways: Vec<_> = (0..1_000)
            .map(|second| now + ms(1_000 * second))
            .map(|sent| there.crossing(1, &mut medium, sent) - sent)
            .collect();
        assert!(ways.iter().all(|way| (ms(100)..=ms(150)).contains(way)));
        let mean = ways.iter().sum::<Duration>() / 1_000;
        assert!((ms(123)..ms(127)).contains(&mean), "{mean:?}");
        let at_once: Vec<_> = (0..100)
            .map(|_| there.crossing(1, &mut medium, now + ms(2_000_000)))
            .collect();
        assert!(at_once.is_sorted());
    }

    #[test]
    fn a_stall_is_waited_for() {
        let now = Instant::now();
        let stalling = LinkShape {
            stall: Some(Stall {
                every: ms(10_000),
                lasts: ms(4_000),
            }),
            ..LinkShape::default()
        };
        let (medium, _) = way(stalling, now);
        let stands = (0..10_000).filter(|tick| medium.moving(now + ms(*tick)) > now + ms(*tick));
        assert_eq!(stands.count(), 4_000, "four seconds of each ten");
    }

    #[test]
    fn a_line_that_gets_shorter_brings_nothing_before_what_is_under_way() {
        let now = Instant::now();
        let lines = RegionLinks::shaped(LinkShape::default());
        let line = lines.line(0, ms(40)).expect("the region");
        let mut medium = Medium::new(line, 7, now);
        let mut there = Direction::new(7, 0, now);
        let mut sent = |at, round_trip| {
            lines.change(0, &[LinkProperty::RoundTrip(ms(round_trip))]);
            there.crossing(1, &mut medium, now + ms(at)) - now
        };
        let arrivals = [(0, 200), (10, 0), (110, 0), (200, 160)].map(|(at, trip)| sent(at, trip));
        assert_eq!(arrivals, [120, 120, 130, 300].map(ms));
    }

    #[test]
    fn a_window_of_small_pieces_takes_no_more_memory_than_one_of_large_ones() {
        let now = Instant::now();
        let (mut medium, mut there) = way(LinkShape::default(), now);
        let mut pieces = 0;
        while there.has_room() {
            there.send(b"x", &mut medium, now);
            pieces += 1;
        }
        assert!(pieces <= WINDOW / OVERHEAD, "{pieces}");
        while there.next_arrival().is_some() {
            there.take(1);
        }
        assert_eq!(there.weight, 0);
    }
}
