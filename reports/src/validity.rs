//! When a run proves nothing about the service, whatever its figures are.
//!
//! | a run is invalid when | because |
//! |---|---|
//! | the generator added more than half a second, and more than a fifth of the response time, to more than 10 % of the devices | the latencies are the generator's |
//! | more devices than the scenario tolerates (`max-dropped`, by default 1 %) were due and not started, or started more than a second late | the load was not the planned one |
//! | the generator kept every device from its end itself | nobody has met the service |
//! | the simulator ran out of files, ports or memory | devices failed for its sake |
//! | the wall clock jumped by more than half a second | tokens and certificates are judged by it |
//! | an event of the scenario failed | what was measured is not what was planned |
//! | a threshold or an objective comes out otherwise without what the generator added | the failure, or the success, is not the service's |
//! | a threshold is crossed or an objective missed, and the bundled server starved for a core in more than 10 % of the time in which it had work | the failure is the machine's |
//! | nothing failed, and an event of the scenario did not happen | nobody knows what would have come of it |
//!
//! The last three are judged where thresholds and objectives are: they are no doubt of a failure that is one without
//! them.

use crate::event::Happened;
use crate::exact::Decimal;
use crate::generator::Generator;
use crate::units;

/// More devices than this share, in percent, must be distorted before the whole run is.
const DISTORTED_SHARE: u64 = 10;
/// Share of the devices due that may be dropped or late unless the scenario says otherwise.
pub const MAX_DROPPED: Decimal = Decimal::new(1, 2);

/// What is known of the load.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Load {
    /// Devices that were due.
    pub due: u64,
    /// Devices that were due and not started.
    pub dropped: u64,
    /// Devices that started and have ended.
    pub ended: u64,
    /// Share of the devices due that may be dropped or late.
    pub max_dropped: Decimal,
}

/// Why the figures prove nothing; empty when they do.
pub(crate) fn doubts(generator: &Generator, load: Load) -> Vec<String> {
    let doubts = [
        overloaded(generator, load),
        not_offered(generator, load),
        kept_all(generator, load),
        out_of_resources(generator),
    ];
    let jumps = generator.health.clock_jumps.iter().map(|jump| {
        let direction = if jump.by_us < 0 { "back" } else { "ahead" };
        format!(
            "the wall clock was set {direction} by {} at {}: tokens and certificates are judged by it",
            units::duration(jump.by_us.unsigned_abs()),
            units::duration(jump.at_us)
        )
    });
    doubts.into_iter().flatten().chain(jumps).collect()
}

/// The events that were to happen and failed.
pub(crate) fn failed_events(events: &[Happened]) -> Option<String> {
    let failed = events.iter().filter(|event| !event.missed);
    about_events("failed", failed)
}

/// The events that the run was over before.
pub(crate) fn missed_events(events: &[Happened]) -> Option<String> {
    let missed = events.iter().filter(|event| event.missed);
    about_events("did not happen", missed)
        .map(|said| format!("{said}; have it earlier, or let devices stay longer (hold)"))
}

/// Names the first of those that have a problem.
fn about_events<'a>(what: &str, events: impl Iterator<Item = &'a Happened>) -> Option<String> {
    let mut events = events.filter_map(|event| Some((event, event.problem.as_ref()?)));
    let (first, problem) = events.next()?;
    let more = match events.count() {
        0 => String::new(),
        count => format!(", and {count} more"),
    };
    Some(format!(
        "an event of the scenario {what}: {} at {}: {problem}{more}",
        first.what,
        units::duration(first.at_us)
    ))
}

fn overloaded(generator: &Generator, load: Load) -> Option<String> {
    let distorted = generator.distorted;
    (distorted * 100 > load.ended * DISTORTED_SHARE).then(|| {
        let added = generator.added;
        format!(
            "the generator was the bottleneck: it added {} to half of the devices and {} to one of a hundred, more than half a second and a fifth of the response time to {} of {}; lower the rate, or give it more cores",
            units::or_dash(added.map(|it| it.p50_us), units::duration),
            units::or_dash(added.map(|it| it.p99_us), units::duration),
            units::count(distorted),
            units::count(load.ended),
        )
    })
}

fn not_offered(generator: &Generator, load: Load) -> Option<String> {
    let missing = load.dropped + generator.late_starts;
    let is_too_much = missing > 0 && !load.max_dropped.holds(missing, load.due);
    is_too_much.then(|| {
        let mut parts = Vec::new();
        if load.dropped > 0 {
            parts.push(format!("{} not started", units::count(load.dropped)));
        }
        if generator.late_starts > 0 {
            let late = units::count(generator.late_starts);
            parts.push(format!("{late} started more than a second late"));
        }
        format!(
            "the load was not the planned one: of {} devices that were due, {}; lower the rate or raise max-in-flight, or say with max-dropped that this is what is tested",
            units::count(load.due),
            parts.join(" and "),
        )
    })
}

fn kept_all(generator: &Generator, load: Load) -> Option<String> {
    let kept = generator.kept_from_end;
    (kept > 0 && kept == load.ended + load.dropped).then(|| {
        let devices = units::counted(kept, "device");
        format!("the generator kept every device from its end itself: {devices}")
    })
}

fn out_of_resources(generator: &Generator) -> Option<String> {
    let times = generator.health.out_of_resources;
    (times > 0).then(|| {
        format!(
            "the simulator itself was out of files, ports or memory when devices connected ({} times): raise its limits (ulimit -n), or lower the rate",
            units::count(times)
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generator::{ClockJump, GeneratorHealth};

    const LOAD: Load = Load {
        due: 1_000,
        dropped: 0,
        ended: 1_000,
        max_dropped: MAX_DROPPED,
    };

    fn reasons(generator: &Generator, load: Load) -> String {
        doubts(generator, load).join("\n")
    }

    #[test]
    fn a_generator_that_keeps_up_is_not_in_doubt() {
        let generator = Generator {
            distorted: 100,
            late_starts: 10,
            ..Generator::default()
        };
        assert_eq!(reasons(&generator, LOAD), "");
    }

    #[test]
    fn one_that_distorts_more_than_a_tenth_of_the_devices_is() {
        let generator = Generator {
            distorted: 101,
            ..Generator::default()
        };
        assert!(reasons(&generator, LOAD).contains("bottleneck"));
    }

    #[test]
    fn load_that_was_planned_and_not_offered_is_in_doubt() {
        let generator = Generator {
            late_starts: 6,
            ..Generator::default()
        };
        let load = Load {
            dropped: 5,
            ended: 995,
            ..LOAD
        };
        let kept_all = Generator {
            kept_from_end: 1_000,
            ..Generator::default()
        };
        assert!(reasons(&kept_all, LOAD).contains("every device from its end"));
        let said = reasons(&generator, load);
        assert!(said.contains("1,000 devices that were due, 5 not started and 6 started more"));
        let tested = Load {
            max_dropped: Decimal::ONE,
            ..load
        };
        assert_eq!(reasons(&generator, tested), "");
        for (percent, missing, is_told) in [(29, 29, false), (29, 30, true), (0, 0, false)] {
            let load = Load {
                due: 100,
                dropped: missing,
                max_dropped: Decimal::new(percent, 2),
                ..LOAD
            };
            let said = reasons(&Generator::default(), load);
            assert_eq!(!said.is_empty(), is_told, "{missing} of 100 at {percent} %");
        }
    }

    #[test]
    fn own_limits_and_jumping_clocks_are_told() {
        let health = GeneratorHealth {
            out_of_resources: 3,
            clock_jumps: vec![ClockJump {
                at_us: 2_000_000,
                by_us: -60_000_000,
            }],
            ..GeneratorHealth::default()
        };
        let generator = Generator {
            health,
            ..Generator::default()
        };
        let said = reasons(&generator, LOAD);
        assert!(said.contains("(3 times)"), "{said}");
        assert!(
            said.contains("set back by 1m 0s") || said.contains("set back by 1m"),
            "{said}"
        );
    }
}
