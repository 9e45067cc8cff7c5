//! What the generator added, on a console.

use std::io::{self, Write};

use crate::generator::{GeneratorHealth, Stall};
use crate::summary::Summary;
use crate::units::{count, duration, or_dash};

/// Most stalls that get a line together.
const MAX_STALLS: usize = 4;

/// Writes it.
pub(super) fn render(summary: &Summary, out: &mut dyn Write) -> io::Result<()> {
    let generator = &summary.generator;
    let Some(added) = generator.added else {
        return Ok(());
    };
    let lag = generator.health.loop_lag;
    write!(
        out,
        "  generator  loop lag {} p99, {} max",
        or_dash(lag.map(|it| it.p99_us), duration),
        or_dash(lag.map(|it| it.max_us), duration),
    )?;
    writeln!(out, "{}", waited(&generator.health))?;
    if generator.distorted > 0 {
        writeln!(
            out,
            "             it added more than half a second and a fifth of the response time to {} of {} devices",
            count(generator.distorted),
            count(added.count)
        )?;
    }
    let stalls = &generator.health.stalls;
    if !stalls.is_empty() {
        writeln!(out, "             stalled {}", stalled(stalls))?;
    }
    writeln!(out)
}

/// Who waited for a core.
fn waited(health: &GeneratorHealth) -> String {
    let mut who = Vec::new();
    if let Some(share) = health.simulator_waited {
        who.push(format!("simulator {:.0} % of its work", share * 100.0));
    }
    if let Some(share) = health.server_waited {
        let starved = health.server_starved.filter(|share| *share > 0.0);
        let starved = starved.map(|share| format!(", starved for {:.0} %", share * 100.0));
        who.push(format!(
            "server {:.0} %{}",
            share * 100.0,
            starved.unwrap_or_default()
        ));
    }
    match who.is_empty() {
        true => String::new(),
        false => format!("; waited for a core: {}", who.join(", ")),
    }
}

fn stalled(stalls: &[Stall]) -> String {
    let mut longest: Vec<_> = stalls.iter().collect();
    longest.sort_by_key(|stall| std::cmp::Reverse(stall.us()));
    longest.truncate(MAX_STALLS);
    longest.sort_by_key(|stall| stall.from_us);
    let told = longest
        .iter()
        .map(|stall| format!("{} at {}", duration(stall.us()), duration(stall.from_us)));
    let told = told.collect::<Vec<_>>().join(", ");
    match stalls.len() - longest.len() {
        0 => told,
        more => format!("{told}, and {more} times shorter"),
    }
}
