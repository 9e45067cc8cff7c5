//! What a million individual TPM enrollments cost, beside a thousand, in one run: time to read and enter
//! them, memory, and how long it takes to find one.
//!
//!     cargo bench -p fleetstorm-reference-server

#![expect(clippy::print_stdout, reason = "a bench for whoever sits before it")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use fleetstorm_protocol::enrollment::{AllocationPolicy, Enrollment};
use fleetstorm_protocol::ids::RegistrationId;
use fleetstorm_protocol::tpm::{endorsement_public, registration_id_of};
use fleetstorm_reference_server::service::enrollment_list::EnrollmentList;
use fleetstorm_reference_server::service::enrollment_list::condition::Condition;
use fleetstorm_reference_server::service::linked_hub::LinkedHub;
use fleetstorm_reference_server::{Config, InstanceConfig};
use jiff::Timestamp;
use rand::rngs::SmallRng;
use rand::{Rng, RngExt, SeedableRng};

/// Lookups of a round.
const LOOKUPS: usize = 200_000;
/// Rounds with each list, in turn; the median counts.
const ROUNDS: usize = 11;

struct Loaded {
    list: EnrollmentList,
    ids: Vec<RegistrationId>,
}

fn main() {
    let mut lists = [1_000, 1_000_000].map(load);
    let mut rounds = [const { Vec::new() }; 2];
    let mut draw = SmallRng::seed_from_u64(1);
    for _ in 0..ROUNDS {
        for (loaded, rounds) in lists.iter_mut().zip(&mut rounds) {
            rounds.push(look_up(loaded, &mut draw));
        }
    }
    let [few, many] = rounds.map(|mut times| {
        times.sort_unstable();
        times[ROUNDS / 2]
    });
    for (loaded, time) in lists.iter().zip([few, many]) {
        println!("{:>11}  a lookup {time:?}", loaded.ids.len());
    }
    println!(
        "a lookup among a million takes {:.2} times one among a thousand: {:?} more",
        many.as_secs_f64() / few.as_secs_f64(),
        many.saturating_sub(few),
    );
}

/// A list of TPMs, each with a key of its own, entered line by line as a server enters them.
fn load(count: usize) -> Loaded {
    let config = Config::default();
    let links = LinkedHub::all(config.settings(), &InstanceConfig::default());
    let list = EnrollmentList::new(&links, AllocationPolicy::Hashed);
    let mut draw = SmallRng::seed_from_u64(7);
    let mut ids = Vec::with_capacity(count);
    let (before, mut took) = (resident(), Duration::ZERO);
    for _ in 0..count {
        let mut modulus = [0; 256];
        draw.fill_bytes(&mut modulus);
        // As a product of two primes of half its size is.
        modulus[0] |= 0x80;
        modulus[255] |= 1;
        let key = endorsement_public(&modulus);
        let id = registration_id_of(&key);
        let line = format!(
            r#"{{"registrationId":"{id}","attestation":{{"type":"tpm","tpm":{{"endorsementKey":"{}"}}}}}}"#,
            STANDARD.encode(key.as_tpm2b())
        );
        let began = Instant::now();
        let enrollment = Enrollment::from_json(&line).expect("an enrollment");
        list.put(&enrollment, Condition::Absent, Timestamp::now())
            .expect("there is room");
        took += began.elapsed();
        ids.push(RegistrationId::parse(&id).expect("an id"));
    }
    let grown = resident().saturating_sub(before) / count as u64;
    println!("{count:>11}  {took:>8.2?}  {grown} bytes each, ids of this bench included");
    Loaded { list, ids }
}

/// The time of one lookup of one that is there, on average.
fn look_up(Loaded { list, ids }: &Loaded, draw: &mut SmallRng) -> Duration {
    let sought: Vec<_> = (0..LOOKUPS)
        .map(|_| &ids[draw.random_range(0..ids.len())])
        .collect();
    let began = Instant::now();
    for id in sought {
        black_box(list.individual(black_box(id))).expect("it is there");
    }
    began.elapsed() / u32::try_from(LOOKUPS).expect("few")
}

/// Resident memory of this process, bytes.
fn resident() -> u64 {
    let process = procfs::process::Process::myself().and_then(|process| process.statm());
    process.map_or(0, |pages| pages.resident * procfs::page_size())
}
