//! What a burst of connections leaves behind.

use crate::binary::{Served, wait_until};
use crate::service::secured;

/// More than half of them must go before anything is given back.
const CONNECTIONS: usize = 600;

#[test]
fn the_memory_of_a_burst_goes_back_to_the_machine() {
    let served = Served::start(&[]);
    let used = || {
        let status = std::fs::read_to_string(format!("/proc/{}/status", served.pid()));
        let status = status.expect("it lives");
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("RssAnon:"));
        let kilobytes = line.and_then(|line| line.split_whitespace().next());
        let kilobytes = kilobytes.expect("its memory");
        kilobytes.parse::<u64>().expect("a number")
    };
    let before = used();
    let connect = |_| {
        let mut wire = secured(
            served.text("https"),
            served.text("ca_pem"),
            served.text("global_endpoint"),
        );
        while wire.conn.is_handshaking() {
            wire.conn.complete_io(&mut wire.sock).expect("a handshake");
        }
        wire
    };
    let held: Vec<_> = (0..CONNECTIONS).map(connect).collect();
    let taken = used().saturating_sub(before);
    assert!(taken > 5_000, "{taken} kB are too few to see them go");
    drop(held);
    wait_until("it stays", || used().saturating_sub(before) < taken / 2);
}
