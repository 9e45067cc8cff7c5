//! The planned run for people.

use std::fmt::{self, Write};
use std::time::Duration;

use fleetstorm_protocol::quota::Rates;
use fleetstorm_reports::exact::Rounding;
use fleetstorm_reports::units;

use super::comparison::Unit;
use super::knife_edge::CHANGE;
use super::planned_run::PlannedRun;
use super::plot::{self, Merge};

/// The whole screen.
pub(super) fn of(planned: &PlannedRun<'_>) -> String {
    let mut text = String::new();
    // Writing to a string can't fail.
    let _ = write(planned, &mut text);
    text
}

fn write(planned: &PlannedRun<'_>, text: &mut String) -> fmt::Result {
    let plan = planned.plan;
    let scenario = plan.scenario();
    let target = match &scenario.target {
        Some(target) => target.endpoint.as_str(),
        None => "the bundled server",
    };
    let mut loads = scenario.cohorts.iter().map(|cohort| &cohort.load);
    // When a device of a closed load comes, only a forecast tells.
    let last = if loads.any(|load| load.closed().is_some()) {
        planned.forecast.last_start
    } else {
        plan.last_release()
    };
    writeln!(
        text,
        "plan of {}: {} devices, the last one due after {}, towards {target}\n",
        scenario.name,
        units::count(plan.devices()),
        time(last),
    )?;
    if plan.time_scale() != 1.0 {
        let times = plan.time_scale();
        writeln!(text, "  time passes {times} times as fast as in the file\n")?;
    }
    plots(planned, text)?;
    cohorts(planned, text)?;
    on_this_machine(planned, text)?;
    served(planned, text)?;
    comparison(planned, text)
}

fn plots(planned: &PlannedRun<'_>, text: &mut String) -> fmt::Result {
    let timeline = &planned.forecast.timeline;
    let windows = timeline.windows();
    let seconds = timeline.width().as_secs_f64();
    let until = time(timeline.width() * u32::try_from(windows.len()).unwrap_or(u32::MAX));
    let rate = |count: fn(&fleetstorm_scenarios::forecast::Window) -> u64| -> Vec<f64> {
        windows
            .iter()
            .map(|window| count(window) as f64 / seconds)
            .collect()
    };
    let per_second = |value: f64| units::rate(value);
    writeln!(text, "  devices due")?;
    text.push_str(&plot::draw(
        &rate(|window| window.due),
        Merge::Mean,
        &until,
        per_second,
    ));
    writeln!(text, "\n  provisioned")?;
    text.push_str(&plot::draw(
        &rate(|window| window.provisioned),
        Merge::Mean,
        &until,
        per_second,
    ));
    if planned.forecast.turned_away > 0 {
        writeln!(text, "\n  answered 429")?;
        text.push_str(&plot::draw(
            &rate(|window| window.throttled),
            Merge::Mean,
            &until,
            per_second,
        ));
    }
    writeln!(
        text,
        "\n  under way at the end of each stretch of {}",
        time(timeline.width())
    )?;
    let mut under_way = 0_u64;
    let levels: Vec<f64> = windows
        .iter()
        .map(|window| {
            under_way += window.due;
            under_way = under_way.saturating_sub(window.provisioned + window.failed);
            under_way as f64
        })
        .collect();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a number of devices"
    )]
    let whole = |value: f64| units::count(value as u64);
    text.push_str(&plot::draw(&levels, Merge::Most, &until, whole));
    text.push('\n');
    Ok(())
}

fn cohorts(planned: &PlannedRun<'_>, text: &mut String) -> fmt::Result {
    writeln!(
        text,
        "  {:<16} {:>12} {:>12} {:>9}  attestation, transports, retry profile",
        "cohort", "devices", "provisioned", "throttled"
    )?;
    let cohorts = planned.plan.scenario().cohorts.iter();
    for (cohort, foreseen) in cohorts.zip(&planned.forecast.cohorts) {
        let all: u64 = cohort
            .transports
            .iter()
            .map(|(_, weight)| u64::from(*weight))
            .sum();
        let transports: Vec<String> = cohort
            .transports
            .iter()
            .map(|(transport, weight)| {
                let share = f64::from(*weight) * 100.0 / all.max(1) as f64;
                format!("{transport} {share:.0} %")
            })
            .collect();
        writeln!(
            text,
            "  {:<16} {:>12} {:>12} {:>9}  {}, {}, {}",
            cohort.name,
            units::count(cohort.devices),
            units::count(foreseen.provisioned),
            bad(foreseen.throttled, cohort.devices),
            cohort.attestation,
            transports.join(" + "),
            cohort.retry.name(),
        )?;
    }
    let transports = planned.forecast.transports.iter();
    let transports: Vec<String> = transports
        .map(|(transport, devices)| format!("{transport} {}", units::count(*devices)))
        .collect();
    writeln!(text, "  devices by transport: {}", transports.join(", "))?;
    let names = planned.plan.scenario().regions.iter();
    for (region, foreseen) in names.zip(&planned.forecast.regions) {
        writeln!(
            text,
            "  region {:<16} {:>5} devices, response {}{} half of them, {} 99 of 100",
            region.name,
            units::count(foreseen.started),
            of_the_provisioned(foreseen.provisioned, foreseen.started),
            units::or_dash(foreseen.response_p50, time),
            units::or_dash(foreseen.response_p99, time),
        )?;
    }
    text.push('\n');
    Ok(())
}

fn on_this_machine(planned: &PlannedRun<'_>, text: &mut String) -> fmt::Result {
    let (needs, has, forecast) = (&planned.needs, &planned.has, &planned.forecast);
    writeln!(text, "  on this machine")?;
    let mut line = |name: &str, value: String, fits: bool| {
        let verdict = if fits { "" } else { "   TOO SMALL" };
        writeln!(text, "    {name:<13} {value}{verdict}")
    };
    let (expected, bound) = (forecast.peak_connections, needs.in_flight + needs.held);
    let mut connections = format!(
        "{} at once, reckoned with at most {}",
        units::count(expected),
        units::count(bound)
    );
    if forecast.peak_held > 0 {
        let held = units::count(forecast.peak_held);
        // Writing to a string can't fail.
        let _ = write!(connections, "; {held} of devices that stay with their hubs");
    }
    line("connections", connections, true)?;
    let (files, limit) = (units::count(needs.files), units::count(has.files));
    line(
        "files",
        format!("{files} of {limit}"),
        needs.files <= has.files,
    )?;
    let ports = match needs.ports {
        0 => "no limit on loopback, where each connection may have an address of its own".into(),
        ports => format!("{} of {}", units::count(ports), units::count(has.ports)),
    };
    line("local ports", ports, needs.ports <= has.ports)?;
    let memory = units::bytes(needs.memory);
    match has.memory {
        Some(free) => line(
            "memory",
            format!("about {memory} of {} that are free", units::bytes(free)),
            needs.memory <= free,
        )?,
        None => line("memory", format!("about {memory}"), true)?,
    }
    let mut cpu = format!(
        "simulator {}, server {}",
        time(forecast.simulator_cpu),
        time(forecast.server_cpu),
    );
    if let (Some(busiest), Some(machine)) = (planned.busiest(), planned.options.machine) {
        let percent = units::percentage_of(busiest.min(1.0), 0, Rounding::Down);
        let window = time(forecast.timeline.width());
        let queue = if busiest >= 1.0 {
            ": devices wait for them"
        } else {
            ""
        };
        // Writing to a string can't fail.
        let _ = write!(
            cpu,
            "; {} cores are busy to {percent} in the busiest {window}{queue}",
            machine.cores
        );
    }
    line("CPU", cpu, true)?;
    line("", cost_source(planned), true)?;
    text.push('\n');
    Ok(())
}

fn cost_source(planned: &PlannedRun<'_>) -> String {
    match planned.options.machine {
        Some(machine) if machine.slowness != 1.0 => format!(
            "(by the costs in the README, times {:.2} as just measured here)",
            machine.slowness
        ),
        _ => {
            "(by the costs in the README, measured on two cores; --calibrate measures here)".into()
        }
    }
}

fn served(planned: &PlannedRun<'_>, text: &mut String) -> fmt::Result {
    let (forecast, total) = (&planned.forecast, planned.total());
    writeln!(
        text,
        "  as the service goes ({})",
        rates(planned.options.rates)
    )?;
    let mut line = |name: &str, value: String| writeln!(text, "    {name:<13} {value}");
    let devices = planned.plan.devices();
    let mut ends = format!(
        "{} of {} devices ({})",
        units::count(total.provisioned),
        units::count(devices),
        good(total.provisioned, devices)
    );
    for (count, what) in [
        (total.failed, "give up or are refused"),
        (total.timed_out, "run out of time (device-timeout)"),
        (total.dropped, "are dropped (max-in-flight)"),
    ] {
        if count > 0 {
            // Writing to a string can't fail.
            let _ = write!(ends, ", {} {what}", units::count(count));
        }
    }
    line("provisioned", ends)?;
    let reprovisions = forecast.reprovisions;
    if reprovisions.started > 0 {
        line(
            "once more",
            format!(
                "{} go back to DPS after an event, {} are provisioned again, {} are throttled",
                units::count(reprovisions.started),
                units::count(reprovisions.provisioned),
                bad(reprovisions.throttled, reprovisions.started),
            ),
        )?;
    }
    line(
        "throttled",
        format!(
            "{} of devices ({}); {} of {} requests are answered 429 ({})",
            bad(total.throttled, devices),
            units::count(total.throttled),
            units::count(forecast.turned_away),
            units::count(forecast.registers + forecast.polls),
            bad(forecast.turned_away, forecast.registers + forecast.polls),
        ),
    )?;
    let mut end = format!(
        "{} until the last device has ended",
        time(forecast.last_end)
    );
    if let Some((least, most)) = planned.ends.filter(|(least, most)| least != most) {
        // Writing to a string can't fail.
        let _ = write!(
            end,
            "; {} to {} by the second of a minute at which it starts",
            time(least),
            time(most)
        );
    }
    line("time", end)?;
    line(
        "response",
        format!(
            "{}{} half of the devices, {} 99 of 100, {} all; {} where nobody is in the way",
            of_the_provisioned(total.provisioned, devices),
            units::or_dash(forecast.response_p50, time),
            units::or_dash(forecast.response_p99, time),
            units::or_dash(forecast.response_max, time),
            time(forecast.unhindered),
        ),
    )?;
    if let Some(edge) = planned.knife_edge {
        let change = CHANGE * 100.0;
        line(
            "knife edge",
            format!(
                "half of the devices in {} with {change:.0} % less time to process them, in {} with {change:.0} % more: a poll sooner or later",
                time(edge.with_less),
                time(edge.with_more),
            ),
        )?;
    }
    line(
        "backlog",
        format!("{} devices at most", units::count(forecast.peak_in_flight)),
    )?;
    line("storms", storms(planned))?;
    let events = &planned.plan.scenario().events;
    for &index in &forecast.unforeseen {
        let name = events.get(index).map_or("", |event| event.action.name());
        line("not foreseen", format!("what event[{index}] ({name}) does"))?;
    }
    for threshold in planned.plan.scenario().thresholds.iter() {
        if threshold.terms.abort {
            let name = threshold.name();
            line("not foreseen", format!("whether {name} stops the run"))?;
        }
    }
    if forecast.batch > 1 {
        line(
            "looked at",
            format!("in crowds of up to {}", units::count(forecast.batch)),
        )?;
    }
    Ok(())
}

/// Nothing where no run was named.
fn comparison(planned: &PlannedRun<'_>, text: &mut String) -> fmt::Result {
    if planned.comparison.is_empty() {
        return Ok(());
    }
    writeln!(
        text,
        "\n  {:<40} {:>12} {:>12} {:>8}",
        "compared with the run", "forecast", "measured", "error"
    )?;
    for row in &planned.comparison {
        let shown = |value: f64| match row.unit {
            Unit::Share(rounding) => units::percentage_of(value, 1, rounding),
            Unit::Count => format!("{value:.0}"),
            Unit::Seconds => time(Duration::try_from_secs_f64(value).unwrap_or_default()),
        };
        let error = units::or_dash(row.error(), |error| format!("{:+.1} %", error * 100.0));
        writeln!(
            text,
            "    {:<38} {:>12} {:>12} {error:>8}",
            row.what,
            units::or_dash(row.forecast, shown),
            units::or_dash(row.measured, shown),
        )?;
    }
    Ok(())
}

fn storms(planned: &PlannedRun<'_>) -> String {
    let forecast = &planned.forecast;
    match forecast.longest_storm {
        None => format!(
            "none: never more than {} devices are under way",
            units::count(forecast.storm_level.devices)
        ),
        Some(storm) => format!(
            "{}; the longest breaks out at {} and is over {} later, with {} under way at most",
            units::count(forecast.storms as u64),
            units::duration(storm.from_us),
            time(storm.recovery()),
            units::count(storm.peak),
        ),
    }
}

fn rates(rates: Rates) -> String {
    if let Some((name, _)) = Rates::NAMED.iter().find(|(_, named)| *named == rates) {
        return format!("throttle \"{name}\"");
    }
    let parts = [
        (rates.registrations_per_minute, "registrations a minute"),
        (rates.operations_per_minute, "operations a minute"),
        (
            rates.polls_per_ten_seconds,
            "polls of a device in ten seconds",
        ),
    ];
    let parts = parts.into_iter().filter(|(rate, _)| *rate > 0);
    let words: Vec<String> = parts
        .map(|(rate, of)| format!("{} {of}", units::count(rate.into())))
        .collect();
    words.join(", ")
}

/// Whose response times are told, where they are not everybody's.
fn of_the_provisioned(provisioned: u64, devices: u64) -> String {
    if provisioned == devices {
        return String::new();
    }
    format!(
        "of the {} that are provisioned: ",
        good(provisioned, devices)
    )
}

/// Of what is good.
fn good(part: u64, whole: u64) -> String {
    units::percentage(part, whole, 1, Rounding::Down)
}

/// Of what is bad.
fn bad(part: u64, whole: u64) -> String {
    units::percentage(part, whole, 1, Rounding::Up)
}

fn time(duration: Duration) -> String {
    units::duration(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX))
}
