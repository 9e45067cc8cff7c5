//! How much memory the fold of a wide run takes, and how large its report is. Alone in its process, whose memory
//! it reads.

use std::fs;

use fleetstorm_reports::Aggregator;
use fleetstorm_reports::machine::Machine;
use fleetstorm_reports::memory::Extent;
use fleetstorm_reports::record::NOT_REACHED;
use fleetstorm_reports::run::{Ending, RunInfo};
use fleetstorm_reports::{Dimensions, Outcome, Phase, Record, render};

const REGIONS: u64 = 200;
const HUBS: u64 = 50;
const COHORTS: u64 = 50;
const DEVICES: u64 = 100_000;

/// Most that the process has had in memory, bytes.
fn peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("a status");
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let kib = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
    kib.expect("a peak") * 1024
}

fn names(what: &str, how_many: u64) -> Vec<String> {
    (0..how_many)
        .map(|index| format!("{what}-{index:03}"))
        .collect()
}

/// Chance enough, and the same in every run (SplitMix64).
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }

    /// Anything from 64 microseconds to a minute, small and large alike.
    fn latency_us(&mut self) -> u64 {
        let octave = 6 + self.below(20);
        (1 << octave) + self.below(1 << octave)
    }
}

/// Anybody, anywhere, at any hub; each of eight phases takes anything.
fn record(device: u64, chance: &mut Chance) -> Record {
    let intended_start_us = device * 1_000;
    let mut phases_us = [NOT_REACHED; Phase::ALL.len()];
    for phase in phases_us.iter_mut().take(8) {
        *phase = u32::try_from(chance.latency_us()).expect("a minute");
    }
    let start_us = intended_start_us + chance.latency_us();
    let registered_us = start_us + chance.latency_us();
    let short = |index: u64| u8::try_from(index).expect("few");
    Record {
        intended_start_us,
        start_us,
        registered_us: Some(registered_us),
        end_us: registered_us + 2 * chance.latency_us(),
        phases_us,
        added_to_registration_us: 0,
        added_us: 0,
        device: u32::try_from(device).expect("few"),
        cohort: u16::try_from(chance.below(COHORTS)).expect("few"),
        transport: short(chance.below(5)),
        attestation: short(chance.below(5)),
        region: Some(short(chance.below(REGIONS))),
        tenant: 0,
        polls: 1,
        messages: 0,
        attempts: 1,
        throttled: 0,
        lost: 0,
        reprovision: chance.below(10) == 0,
        hub: u16::try_from(chance.below(HUBS)).ok(),
        outcome: Outcome::Provisioned,
    }
}

#[test]
fn a_wide_run_fits_into_its_memory_and_its_report_into_a_mail() {
    let info = RunInfo {
        schema_version: fleetstorm_reports::journal::SCHEMA_VERSION,
        scenario: "wide".into(),
        target: "nowhere".into(),
        seed: 1,
        time_scale: 1.0,
        fleetstorm_version: "0".into(),
        started_at: "2026-01-01T00:00:00Z".into(),
        machine: Machine::default(),
        planned: DEVICES,
        max_dropped: fleetstorm_reports::validity::MAX_DROPPED,
        arrivals: None,
        dimensions: Dimensions {
            cohorts: names("cohort", COHORTS),
            transports: names("transport", 5),
            attestations: names("attestation", 5),
            regions: names("region", REGIONS),
            tenants: Vec::new(),
            hubs: names("hub", HUBS),
        },
        thresholds: Vec::new(),
        slos: Vec::new(),
    };
    let extent = Extent {
        cohorts: 50,
        transports: 5,
        attestations: 5,
        regions: 200,
        hubs: 50,
        ..Extent::default()
    };
    let before = peak();
    let mut aggregator = Aggregator::new(info, None).expect("no journal");
    let mut chance = Chance(1);
    for device in 0..DEVICES {
        aggregator.add(&record(device, &mut chance));
    }
    let fold = peak() - before;
    assert!(
        fold <= extent.most_bytes(),
        "{fold} of {}",
        extent.most_bytes()
    );
    assert!(fold < 80 << 20, "{} MiB", fold >> 20);

    let summary = aggregator.finish(Ending::default()).summary;
    let counted = |dimension: &str| {
        let cuts = summary.cuts.iter().filter(|cut| cut.dimension == dimension);
        let told: u64 = cuts.map(|cut| cut.released).sum();
        let left_out = summary
            .left_out
            .iter()
            .filter(|out| out.dimension == dimension);
        told + left_out.map(|out| out.released).sum::<u64>()
    };
    for dimension in [
        "cohort",
        "transport",
        "attestation",
        "cell",
        "region",
        "placement",
    ] {
        assert_eq!(
            counted(dimension),
            summary.devices.provisioned,
            "{dimension}"
        );
    }
    let (mut json, mut html) = (Vec::new(), Vec::new());
    render::json::render(&summary, &mut json).expect("memory");
    render::html::render(&summary, &mut html).expect("memory");
    assert!(
        json.len() < 3 << 20,
        "summary.json has {} bytes",
        json.len()
    );
    assert!(html.len() < 2 << 20, "report.html has {} bytes", html.len());
}
