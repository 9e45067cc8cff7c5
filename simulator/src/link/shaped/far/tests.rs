//! Over a duplex in memory, in virtual time.

use std::sync::Arc;

use fleetstorm_scenarios::LinkShape;
use fleetstorm_scenarios::region::LinkProperty;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex, split};
use tokio::task::LocalSet;
use tokio::time::{advance, sleep, timeout};

use super::*;
use crate::generator::event_loop::EventLoop;
use crate::link::region_link::RegionLinks;
use crate::stopwatch::RunClock;

/// What the network takes before its peer has read it.
const SOCKET: usize = 8 * 1024;

fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

fn lines(round_trip: u64) -> RegionLinks {
    RegionLinks::shaped(LinkShape {
        round_trip: ms(round_trip),
        ..LinkShape::default()
    })
}

/// A device's end, and the peer's.
fn over(lines: &RegionLinks) -> (Far, DuplexStream) {
    let (ours, theirs) = duplex(SOCKET);
    let line = BothWays::new(lines.here(), 7, Delay::default());
    (Far::over(ours, line), theirs)
}

/// Runs a test where tasks can be spawned.
async fn locally(test: impl Future<Output = ()>) {
    LocalSet::new().run_until(test).await;
}

async fn echo(theirs: DuplexStream) {
    let (mut read, mut write) = split(theirs);
    tokio::io::copy(&mut read, &mut write)
        .await
        .expect("an echo");
    write.shutdown().await.expect("an end");
}

async fn ask(far: &mut Far, question: &[u8]) {
    far.write_all(question).await.expect("room");
    far.flush().await.expect("nothing to wait for");
    let mut answer = vec![0; question.len()];
    far.read_exact(&mut answer).await.expect("an answer");
    assert_eq!(answer, question);
}

fn pattern(length: u32) -> Vec<u8> {
    (0..length).map(|n| (n % 251) as u8).collect()
}

#[tokio::test(start_paused = true)]
async fn a_connection_takes_a_round_trip_and_so_does_one_that_is_refused() {
    locally(async {
        let line = || BothWays::new(lines(200).here(), 7, Delay::default());
        let began = Instant::now();
        let (ours, _theirs) = duplex(SOCKET);
        let connecting = async {
            assert_eq!(began.elapsed(), ms(100), "when SYN has crossed");
            Ok(ours)
        };
        let connected = Far::connect(connecting, line()).await;
        connected.expect("a connection");
        assert_eq!(began.elapsed(), ms(200));
        let refusing = async { Err::<DuplexStream, _>(io::ErrorKind::ConnectionRefused.into()) };
        let refused = Far::connect(refusing, line()).await;
        let error = refused.expect_err("nobody is there");
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        assert_eq!(began.elapsed(), ms(400));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn each_question_and_its_answer_take_one_round_trip() {
    locally(async {
        let (mut far, theirs) = over(&lines(200));
        spawn_local(echo(theirs));
        let began = Instant::now();
        for trips in 1..=11 {
            ask(&mut far, b"hello").await;
            assert_eq!(began.elapsed(), ms(200) * trips);
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_flush_waits_for_nothing_and_a_burst_arrives_half_a_round_trip_later() {
    locally(async {
        let (mut far, mut theirs) = over(&lines(200));
        let began = Instant::now();
        for piece in [b"one ", b"two ", b"six "] {
            far.write_all(piece).await.expect("room");
            far.flush().await.expect("nothing to wait for");
        }
        assert_eq!(began.elapsed(), Duration::ZERO);
        let mut heard = [0; 12];
        theirs.read_exact(&mut heard).await.expect("the burst");
        assert_eq!(&heard, b"one two six ");
        assert_eq!(began.elapsed(), ms(100));
    })
    .await;
}

/// A device that waits for its next poll looks after nothing.
#[tokio::test(start_paused = true)]
async fn bytes_go_on_while_nobody_looks() {
    locally(async {
        let (mut far, theirs) = over(&lines(200));
        spawn_local(echo(theirs));
        far.write_all(b"hello").await.expect("room");
        sleep(ms(1_000)).await;
        let began = Instant::now();
        let mut heard = [0; 5];
        far.read_exact(&mut heard).await.expect("it has come back");
        assert_eq!(began.elapsed(), Duration::ZERO);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_full_window_is_waited_for_and_all_arrives_whole_and_in_order() {
    locally(async {
        let (mut far, mut theirs) = over(&lines(200));
        let sent = pattern(1_000_000);
        let mut taken = 0;
        let filling = async {
            loop {
                taken += far.write(&sent[taken..]).await.expect("room");
            }
        };
        // Nothing has crossed by then.
        let filled = timeout(ms(99), filling).await;
        assert!(filled.is_err());
        assert!((60_000..100_000).contains(&taken), "{taken} under way");
        let rest = async {
            far.write_all(&sent[taken..]).await.expect("room");
            far.shutdown().await.expect("an end");
        };
        let mut heard = Vec::new();
        let (_, all) = tokio::join!(rest, theirs.read_to_end(&mut heard));
        all.expect("an end");
        assert!(heard == sent);
    })
    .await;
}

/// What a peer sends to a device that does not read waits at the peer, but for a window.
#[tokio::test(start_paused = true)]
async fn a_reader_that_takes_its_time_holds_the_sender_up() {
    locally(async {
        let (mut far, mut theirs) = over(&lines(200));
        let sent = pattern(1_000_000);
        let mut taken = 0;
        let filling = async {
            loop {
                taken += theirs.write(&sent[taken..]).await.expect("room");
            }
        };
        let filled = timeout(ms(60_000), filling).await;
        assert!(filled.is_err());
        assert!((60_000..120_000).contains(&taken), "{taken} taken");
        let rest = async {
            theirs.write_all(&sent[taken..]).await.expect("room");
            theirs.shutdown().await.expect("an end");
        };
        let mut heard = Vec::new();
        let (_, all) = tokio::join!(rest, far.read_to_end(&mut heard));
        all.expect("an end");
        assert!(heard == sent);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn to_shut_down_and_leave_loses_nothing_and_takes_no_time() {
    locally(async {
        let (mut far, mut theirs) = over(&lines(200));
        let began = Instant::now();
        far.write_all(b"good-bye").await.expect("room");
        far.shutdown().await.expect("an end");
        let late = far.write_all(b"!").await.expect_err("it has ended");
        assert_eq!(late.kind(), io::ErrorKind::BrokenPipe);
        drop(far);
        assert_eq!(began.elapsed(), Duration::ZERO);
        let mut heard = Vec::new();
        theirs.read_to_end(&mut heard).await.expect("an end");
        assert_eq!(heard, b"good-bye");
        assert_eq!(began.elapsed(), ms(100));
        let unheard = theirs.write_all(b"?").await.expect_err("nobody is left");
        assert_eq!(unheard.kind(), io::ErrorKind::BrokenPipe);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_is_dropped_is_cut_at_once() {
    locally(async {
        let (mut far, mut theirs) = over(&lines(200));
        far.write_all(b"hello").await.expect("room");
        sleep(ms(50)).await;
        let began = Instant::now();
        drop(far);
        let mut heard = Vec::new();
        theirs.read_to_end(&mut heard).await.expect("an end");
        assert!(heard.is_empty(), "it was half way");
        assert_eq!(began.elapsed(), Duration::ZERO);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn who_has_ended_still_hears_and_the_peers_end_comes_behind_its_last_word() {
    locally(async {
        let (mut far, theirs) = over(&lines(200));
        spawn_local(echo(theirs));
        let began = Instant::now();
        far.write_all(b"hello").await.expect("room");
        far.shutdown().await.expect("an end");
        let mut heard = Vec::new();
        far.read_to_end(&mut heard).await.expect("an end");
        assert_eq!(heard, b"hello");
        assert_eq!(began.elapsed(), ms(200));
    })
    .await;
}

/// Its peer is gone: that is known when the news has come back, and until then bytes go nowhere.
#[tokio::test(start_paused = true)]
async fn a_connection_that_breaks_at_the_other_end_is_broken_here_half_a_round_trip_later() {
    locally(async {
        let (mut far, theirs) = over(&lines(200));
        drop(theirs);
        let mut heard = Vec::new();
        let began = Instant::now();
        far.read_to_end(&mut heard).await.expect("an end");
        assert_eq!(began.elapsed(), ms(100));
        far.write_all(b"hello").await.expect("room");
        sleep(ms(150)).await;
        far.write_all(b"hello").await.expect("not known yet");
        sleep(ms(50)).await;
        let broken = far.write_all(b"hello").await.expect_err("known");
        assert_eq!(broken.kind(), io::ErrorKind::BrokenPipe);
        let broken = far.read_u8().await.expect_err("known");
        assert_eq!(broken.kind(), io::ErrorKind::BrokenPipe);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_takes_nothing_more_does_not_keep_a_connection_for_ever() {
    locally(async {
        let (mut far, theirs) = over(&lines(200));
        let line = Rc::downgrade(&far.line);
        far.write_all(&pattern(50_000)).await.expect("room");
        far.shutdown().await.expect("an end");
        drop(far);
        sleep(LINGER).await;
        assert!(line.upgrade().is_some(), "it has its time");
        sleep(ms(200)).await;
        assert!(line.upgrade().is_none(), "it is over");
        drop(theirs);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_connection_in_use_follows_a_change_of_its_line() {
    locally(async {
        let lines = lines(0);
        let (ours, theirs) = duplex(SOCKET);
        let line = lines.line(0, ms(40)).expect("the region");
        let mut far = Far::over(ours, BothWays::new(line, 7, Delay::default()));
        spawn_local(echo(theirs));
        for (round_trip, takes) in [(0, 40), (160, 200), (0, 40)] {
            lines.change(0, &[LinkProperty::RoundTrip(ms(round_trip))]);
            let began = Instant::now();
            ask(&mut far, b"hello").await;
            assert_eq!(began.elapsed(), ms(takes));
        }
    })
    .await;
}

/// A region whose line differs later only is as near as any until then.
#[tokio::test(start_paused = true)]
async fn a_line_without_length_takes_no_time() {
    locally(async {
        let (mut far, theirs) = over(&lines(0));
        spawn_local(echo(theirs));
        let began = Instant::now();
        for _ in 0..100 {
            ask(&mut far, b"hello").await;
        }
        assert_eq!(began.elapsed(), Duration::ZERO);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_narrow_line_takes_its_time_each_way() {
    locally(async {
        let narrow = RegionLinks::shaped(LinkShape {
            round_trip: ms(200),
            bandwidth: Some(1_000_000),
            ..LinkShape::default()
        });
        let (far, theirs) = over(&narrow);
        spawn_local(echo(theirs));
        let sent = pattern(400_000);
        let began = Instant::now();
        let (mut read, mut write) = split(far);
        let mut heard = vec![0; sent.len()];
        let (written, all) = tokio::join!(write.write_all(&sent), read.read_exact(&mut heard));
        written.expect("room");
        all.expect("all of it");
        assert!(heard == sent);
        let took = began.elapsed();
        // Both ways at once, but for a piece; a window a half round trip is less than the line bears.
        assert!((ms(600)..ms(1_000)).contains(&took), "{took:?}");
    })
    .await;
}

/// A core that was stopped, or busy: all that was due meanwhile is late once.
#[tokio::test(start_paused = true)]
async fn bytes_that_are_handed_over_late_are_the_generators_delay() {
    locally(async {
        let delay = Delay::default();
        let (ours, mut theirs) = duplex(SOCKET);
        let mut far = Far::over(ours, BothWays::new(lines(200).here(), 7, delay.clone()));
        for _ in 0..3 {
            far.write_all(b"hello").await.expect("room");
            sleep(ms(10)).await;
        }
        advance(ms(1_000)).await;
        let mut heard = [0; 15];
        theirs.read_exact(&mut heard).await.expect("all of it");
        let grain = ms(2);
        // Sent 1,030 ms ago, and due 100 ms later.
        assert_eq!(Duration::from_micros(delay.us()), ms(930) - grain);
    })
    .await;
}

#[tokio::test]
async fn bytes_that_come_and_wait_for_the_core_are_the_generators_delay() {
    locally(async {
        let clock = RunClock::starting_at(Instant::now());
        let event_loop = Rc::new(EventLoop::new(clock, Arc::default()));
        let delay = Delay::on(event_loop);
        let (ours, mut theirs) = duplex(SOCKET);
        let mut far = Far::over(ours, BothWays::new(lines(0).here(), 7, delay.clone()));
        sleep(ms(5)).await;
        theirs.write_all(b"hello").await.expect("room");
        std::thread::sleep(ms(60));
        let mut heard = [0; 5];
        far.read_exact(&mut heard).await.expect("all of it");
        assert!(delay.us() >= 50_000, "{}", delay.us());
    })
    .await;
}

/// What a far connection weighs that is held, beside what is under way.
#[test]
fn a_line_weighs_little() {
    let line = BothWays::new(
        RegionLinks::shaped(LinkShape::default()).here(),
        7,
        Delay::default(),
    );
    let task = hand_over(tokio::io::empty(), Rc::new(RefCell::new(line)));
    let alarm = size_of::<Sleep>();
    let weight = size_of::<BothWays>() + size_of_val(&task) + alarm;
    assert!(weight < 2_048, "{weight}");
}
