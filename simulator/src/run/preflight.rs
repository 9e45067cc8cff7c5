//! What the plan needs against what this machine has, before anything starts.

use std::time::Duration;

use fleetstorm_protocol::attestation::{AttestationKind, TransportKind};
use fleetstorm_reports::memory::Extent;
use fleetstorm_scenarios::{LinkShape, Plan};

use crate::failure::Failure;
use crate::machine;
use crate::server::target;

/// Files that a process needs beside its connections.
const OTHER_FILES: u64 = 200;
/// Memory of one device under way: TLS client, task, socket buffers (measured, rounded up).
const BYTES_PER_DEVICE: u64 = 48 * 1024;
/// Memory of one device that stays, on each side (measured, rounded up).
const BYTES_PER_HELD: u64 = 32 * 1024;
/// Memory of a process without devices: code, keys, trust anchors (measured, rounded up).
const BASE_BYTES: u64 = 64 << 20;
/// How long a closed connection keeps its port where the peer is another machine (Linux TIME_WAIT).
const TIME_WAIT: Duration = Duration::from_secs(60);

/// What a plan needs at its peak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Needs {
    /// Devices under way at once, at most.
    pub in_flight: u64,
    /// Devices that stay with their hubs at once, at most.
    pub held: u64,
    /// Open files of the simulator.
    pub files: u64,
    /// Bytes, simulator and bundled server together.
    pub memory: u64,
    /// Of them those that do not depend on how many devices there are at once: two processes, and what the
    /// simulator counts.
    pub fixed_memory: u64,
    /// Local ports towards one address.
    pub ports: u64,
}

/// What this machine has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Has {
    /// Open files that this process may have.
    pub files: u64,
    /// Bytes.
    pub memory: Option<u64>,
    /// Local ports towards one address.
    pub ports: u64,
}

impl Has {
    /// Looks; raises the limit of open files as far as it goes.
    pub fn look() -> Self {
        Self {
            files: machine::raise_file_limit(),
            memory: machine::available_memory(),
            ports: machine::ephemeral_ports(),
        }
    }
}

impl Needs {
    /// What `plan` needs. On loopback each connection can have a source address of its own, so
    /// ports do not run out.
    pub fn of(plan: &Plan) -> Self {
        let target = plan.scenario().target.as_ref();
        let in_flight = peak_in_flight(plan);
        let held = peak_held(plan);
        let processes = if target.is_none() { 2 } else { 1 };
        let ports = if target.is_none_or(target::is_written_as_loopback) {
            0
        } else {
            in_flight + held + lingering(plan)
        };
        let fixed_memory = processes * BASE_BYTES + counting(plan);
        let devices = in_flight * BYTES_PER_DEVICE + held * BYTES_PER_HELD;
        Self {
            in_flight,
            held,
            files: in_flight + in_flight.min(on_the_line(plan)) + held + OTHER_FILES,
            memory: fixed_memory + processes * devices,
            fixed_memory,
            ports,
        }
    }

    /// Compares.
    ///
    /// # Errors
    /// Everything that is short, and what to change, in one failure: exit 2.
    pub fn check(&self, has: &Has) -> Result<(), Failure> {
        let mut short = Vec::new();
        if self.files > has.files {
            let lower = match self.lower(has.files.saturating_sub(OTHER_FILES)) {
                Some(lower) => format!("{lower} or "),
                None => String::new(),
            };
            // What the user may raise it to, it has been raised to already.
            short.push(format!(
                "{} need {} open files, this process may have {}: {lower}raise the hard limit (as root: ulimit -n {})",
                self.devices(), self.files, has.files, self.files,
            ));
        }
        if let Some(memory) = has.memory
            && self.memory > memory
        {
            let room = memory.saturating_sub(self.fixed_memory) / (2 * BYTES_PER_DEVICE);
            let advice = self.lower(room).unwrap_or_else(|| {
                "have fewer cohorts, regions, tenants and thresholds over windows".into()
            });
            short.push(format!(
                "{} need about {} MiB, {} of them however few they are; {} MiB are free: {advice} or free memory",
                self.devices(),
                self.memory >> 20,
                self.fixed_memory >> 20,
                memory >> 20,
            ));
        }
        if self.ports > has.ports {
            short.push(format!(
                "the plan needs {} local ports towards the endpoint, the kernel deals out {}: lower the rate or max-in-flight, or widen net.ipv4.ip_local_port_range",
                self.ports, has.ports,
            ));
        }
        if short.is_empty() {
            return Ok(());
        }
        Err(Failure::usage(format!(
            "this machine is too small for the plan:\n  - {}",
            short.join("\n  - ")
        )))
    }
}

impl Needs {
    fn devices(&self) -> String {
        match self.held {
            0 => format!("{} devices under way at once", self.in_flight),
            held => format!(
                "{} devices under way and {held} that stay at once",
                self.in_flight
            ),
        }
    }

    /// What to write for as many devices as there is `room` for; nothing helps where there is none.
    fn lower(&self, room: u64) -> Option<String> {
        match (self.held, room.checked_sub(self.in_flight)) {
            (0, _) if room > 0 => Some(format!("set max-in-flight = {room}")),
            (held, Some(left)) if held > 0 && left > 0 => Some(format!("set max-held = {left}")),
            (held, _) if held > 0 && room > 1 => Some(format!(
                "set max-in-flight = {} and max-held = {}",
                room / 2,
                room - room / 2
            )),
            _ => None,
        }
    }
}

/// What the simulator takes to count all that the plan tells apart: the fold of its records, and a bit for
/// every device, in a list that may have room for twice as many.
fn counting(plan: &Plan) -> u64 {
    let scenario = plan.scenario();
    let thresholds = scenario.thresholds.iter();
    let windows = thresholds.filter(|it| it.terms.window.is_some()).count();
    // The run's own instance is one beside the tenants.
    let tenants = match scenario.tenants.len() {
        0 => 0,
        tenants => tenants + 1,
    };
    let extent = Extent {
        cohorts: scenario.cohorts.len(),
        transports: TransportKind::ALL.len(),
        attestations: AttestationKind::ALL.len(),
        tenants,
        regions: scenario.regions.len(),
        hubs: match scenario.target {
            None => scenario.server.hubs.len(),
            // Any number can be told on the command line.
            Some(_) => usize::from(u16::MAX),
        },
        windows,
        thresholds: scenario.thresholds.len() - windows,
        slos: scenario.slos.len(),
    };
    extent.most_bytes() + plan.devices() / 4
}

/// At most `max-in-flight`, at most the devices that come within one device's longest life.
fn peak_in_flight(plan: &Plan) -> u64 {
    let scenario = plan.scenario();
    let cohorts = scenario.cohorts.iter();
    let (open, closed): (Vec<_>, Vec<_>) = cohorts.partition(|cohort| cohort.load.open().is_some());
    let closed = closed.into_iter().filter_map(|cohort| {
        let concurrency = cohort.load.closed()?.concurrency();
        Some(cohort.devices.min(u64::from(concurrency)))
    });
    let devices: u64 = open.iter().map(|cohort| cohort.devices).sum();
    let within = open
        .iter()
        .map(|cohort| cohort.load.open()?.peak(scenario.device_timeout))
        .sum::<Option<f64>>()
        .map_or(devices, ceil);
    let open = devices.min(u64::from(scenario.max_in_flight)).min(within);
    (open + closed.sum::<u64>()).max(1)
}

/// At most `max-held`, at most the devices that are to stay.
fn peak_held(plan: &Plan) -> u64 {
    let scenario = plan.scenario();
    let stay = scenario
        .cohorts
        .iter()
        .filter(|cohort| cohort.after.hold.is_some());
    let devices: u64 = stay.map(|cohort| cohort.devices).sum();
    devices.min(u64::from(scenario.max_held))
}

/// Connections that a device has left while its last bytes were on its region's line.
fn on_the_line(plan: &Plan) -> u64 {
    let way = longest_round_trip(plan) / 2;
    if way.is_zero() {
        return 0;
    }
    most_within(plan, way)
}

/// The longest that a region's line ever is, to the farthest hub.
fn longest_round_trip(plan: &Plan) -> Duration {
    let scenario = plan.scenario();
    let regions = (0_u8..).zip(&scenario.regions);
    let trips = regions.map(|(index, region)| {
        let mut shape = region.link;
        let mut longest = trip(shape);
        for properties in scenario.line_changes(index) {
            shape = shape.with(properties);
            longest = longest.max(trip(shape));
        }
        longest + region.latency.values().max().copied().unwrap_or_default()
    });
    trips.max().unwrap_or_default()
}

fn trip(shape: LinkShape) -> Duration {
    shape.round_trip + shape.jitter
}

/// Connections closed and still holding a port: two a device.
fn lingering(plan: &Plan) -> u64 {
    most_within(plan, TIME_WAIT).min(plan.devices())
}

/// Most devices that come within any `window`; all of them when a cohort comes at once.
fn most_within(plan: &Plan, window: Duration) -> u64 {
    let cohorts = plan.scenario().cohorts.iter();
    // Of a closed load nobody can say how many come in a time.
    let most: Option<f64> = cohorts.map(|cohort| cohort.load.open()?.peak(window)).sum();
    most.map_or(plan.devices(), ceil)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "saturates, and rates are positive"
)]
fn ceil(devices: f64) -> u64 {
    devices.ceil() as u64
}

#[cfg(test)]
mod tests {
    use fleetstorm_scenarios::Overrides;

    use super::*;

    const ROOMY: Has = Has {
        files: 20_000,
        memory: Some(8 << 30),
        ports: 28_000,
    };

    fn needs(in_flight: u64, ports: u64) -> Needs {
        Needs {
            in_flight,
            held: 0,
            files: in_flight + OTHER_FILES,
            memory: in_flight * BYTES_PER_DEVICE,
            fixed_memory: 0,
            ports,
        }
    }

    #[test]
    fn a_plan_that_fits_passes() {
        assert_eq!(needs(10_000, 20_000).check(&ROOMY), Ok(()));
    }

    #[test]
    fn ports_run_out_towards_other_machines_alone() {
        for (target, has_limit) in [
            ("", false),
            (
                "[target]\nendpoint = \"127.0.0.1\"\nid-scope = \"0ne00000001\"",
                false,
            ),
            (
                "[target]\nendpoint = \"dps.test\"\nid-scope = \"0ne00000001\"",
                true,
            ),
            (
                "[target]\nendpoint = \"dps.test\"\nid-scope = \"0ne00000001\"\nconnect-to = \"127.0.0.1\"",
                false,
            ),
        ] {
            let text = format!(
                r#"
                name = "one"
                {target}
                [[cohort]]
                name = "a"
                devices = 1
                attestation = "tpm"
                transport = "https"
                arrival = {{ kind = "all-at-once" }}
                "#
            );
            let scenario = fleetstorm_scenarios::parse(&text, "one.toml").expect("valid");
            let plan = Plan::new(scenario, &Overrides::default()).expect("a plan");
            assert_eq!(Needs::of(&plan).ports > 0, has_limit, "{target}");
        }
    }

    #[test]
    fn a_connection_whose_last_bytes_are_on_the_line_is_a_file_still() {
        let at_once = r#"{ kind = "all-at-once" }"#;
        let evenly = r#"{ kind = "constant-rate", rate = "100/s" }"#;
        let detour = "[[event]]\nat = \"1s\"\ndo = \"latency\"\nregion = \"far\"\nrtt = \"2s\"";
        for (line, arrival, event, files) in [
            ("", at_once, "", 1_000),
            ("rtt = \"200ms\"", at_once, "", 2_000),
            ("rtt = \"200ms\"", evenly, "", 1_010),
            (
                "jitter = \"100ms\"\nlatency = { near = \"300ms\" }",
                evenly,
                "",
                1_020,
            ),
            ("rtt = \"200ms\"", evenly, detour, 1_100),
        ] {
            let text = format!(
                r#"
                name = "one"
                [[region]]
                name = "far"
                {line}
                [[region]]
                name = "near"
                [[cohort]]
                name = "a"
                devices = 1_000
                attestation = "tpm"
                transport = "https"
                regions = {{ far = 1 }}
                arrival = {arrival}
                {event}
                "#
            );
            let scenario = fleetstorm_scenarios::parse(&text, "one.toml")
                .unwrap_or_else(|error| panic!("{error}"));
            let plan = Plan::new(scenario, &Overrides::default()).expect("a plan");
            let needed = Needs::of(&plan).files - OTHER_FILES;
            assert_eq!(needed, files, "{line} {arrival} {event}");
        }
    }

    /// So many regions and cohorts, and what the plan needs.
    fn wide(regions: usize, cohorts: usize) -> Needs {
        let list = |what: &str| {
            let tables = (0..regions).map(|index| format!("[[{what}]]\nname = \"r-{index}\"\n"));
            tables.collect::<String>()
        };
        let cohort = |index| {
            format!(
                r#"
                [[cohort]]
                name = "c-{index}"
                devices = 10
                attestation = "tpm"
                transport = "https"
                arrival = {{ kind = "all-at-once" }}
                "#
            )
        };
        let cohorts: String = (0..cohorts).map(cohort).collect();
        let text = format!("name = \"wide\"\n{}{cohorts}", list("region"));
        let scenario = fleetstorm_scenarios::parse(&text, "wide.toml").expect("valid");
        Needs::of(&Plan::new(scenario, &Overrides::default()).expect("a plan"))
    }

    #[test]
    fn what_is_counted_apart_takes_memory_that_has_a_bound() {
        let (one, wide, wider) = (wide(0, 1), wide(200, 50), wide(200, 2_000));
        let fold = |needs: &Needs| (needs.fixed_memory - 2 * BASE_BYTES) >> 20;
        assert!(fold(&one) < 32, "{}", fold(&one));
        assert!((64..112).contains(&fold(&wide)), "{}", fold(&wide));
        assert!(fold(&wider) < 192, "{}", fold(&wider));

        let small = Has {
            memory: Some(128 << 20),
            ..ROOMY
        };
        let failure = wide.check(&small).expect_err("too small");
        for words in ["of them however few", "have fewer cohorts, regions"] {
            assert!(failure.message.contains(words), "{words}: {failure}");
        }
    }

    #[test]
    fn nobody_is_told_to_write_what_no_scenario_may_have() {
        let has = |files| Has { files, ..ROOMY };
        for (held, room, advice) in [
            (0, 0, None),
            (0, 1, Some("set max-in-flight = 1 or raise")),
            (5, 0, None),
            (5, 1, None),
            (
                5,
                2,
                Some("set max-in-flight = 1 and max-held = 1 or raise"),
            ),
        ] {
            let short = Needs {
                held,
                ..needs(10_000, 20_000)
            };
            let failure = short
                .check(&has(OTHER_FILES + room))
                .expect_err("too small");
            assert!(!failure.message.contains("= 0"), "{failure}");
            assert!(
                failure.message.contains("raise the hard limit"),
                "{failure}"
            );
            match advice {
                Some(advice) => assert!(failure.message.contains(advice), "{failure}"),
                None => assert!(!failure.message.contains("set max"), "{failure}"),
            }
        }
    }

    #[test]
    fn everything_short_is_said_at_once_with_what_to_change() {
        let has = Has {
            files: 1_024,
            memory: Some(100 << 20),
            ports: 1_000,
        };
        let failure = needs(10_000, 20_000).check(&has).expect_err("too small");
        assert_eq!(failure.exit_code, 2);
        for words in [
            "max-in-flight = 824",
            "ulimit -n 10200",
            "MiB are free",
            "ip_local_port_range",
        ] {
            assert!(failure.message.contains(words), "{words}: {failure}");
        }
    }
}
