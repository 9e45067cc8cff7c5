//! The verdict on a summary.

use crate::exact::Rounding;
use crate::slo::{SloOutcome, SloResult};
use crate::summary::Summary;
use crate::threshold::result::ThresholdResult;
use crate::verdict::{Verdict, exit_code};
use crate::{units, validity};

/// A bundled server that starved for more than this share of the time in which it had work fails for the machine's
/// sake.
const STARVED: f64 = 0.1;

/// The verdict on what was measured, and the exit code that says it, by the first of these that is so:
///
/// | | |
/// |---|---|
/// | the user stopped the run | INVALID, 130 |
/// | nothing was provisioned, and not because the generator kept every device from its end | FAIL, 4 |
/// | the whole run is in doubt ([`crate::validity`]) | INVALID, 98 |
/// | a count differs, or the oracle is contradicted | FAIL, 99 |
/// | a threshold was crossed, or an objective missed, and the bundled server did not starve | FAIL, 99 |
/// | there is something [`unproven`]: a threshold or an objective depends on the generator ([`crate::readings`]) or has too little evidence, or an event did not happen | INVALID, 98 |
/// | none of it | PASS, 0 |
pub(crate) fn verdict(summary: &Summary, interrupted: bool) -> (Verdict, u8) {
    let disagree = summary
        .server_counters
        .as_ref()
        .is_some_and(|counters| !counters.agree);
    let contradicted = summary
        .oracle
        .as_ref()
        .is_some_and(|oracle| !oracle.agrees());
    let devices = summary.devices;
    let kept = summary.generator.kept_from_end;
    let is_generators = kept > 0 && kept >= devices.failed + devices.dropped;
    if interrupted {
        (Verdict::Invalid, exit_code::INTERRUPTED)
    } else if devices.provisioned == 0 && !is_generators {
        (Verdict::Fail, exit_code::NOTHING_PROVISIONED)
    } else if !summary.invalid_reasons.is_empty() {
        (Verdict::Invalid, exit_code::INVALID)
    } else if disagree || contradicted || (fell_short(summary) && starved(summary).is_none()) {
        (Verdict::Fail, exit_code::THRESHOLDS_CROSSED)
    } else if !unproven(summary).is_empty() {
        (Verdict::Invalid, exit_code::INVALID)
    } else {
        (Verdict::Pass, exit_code::PASS)
    }
}

/// What keeps a run from its verdict, without making its figures doubtful: one sentence each.
pub(crate) fn unproven(summary: &Summary) -> Vec<String> {
    let thresholds = summary.thresholds.iter();
    let thresholds = thresholds.filter_map(ThresholdResult::why_unproven);
    let objectives = summary.slos.iter().filter_map(SloResult::why_unproven);
    let starved = starved(summary).filter(|_| fell_short(summary));
    let events = validity::missed_events(&summary.events);
    (thresholds.chain(objectives).chain(starved).chain(events)).collect()
}

/// Whether a threshold was crossed or an objective missed.
fn fell_short(summary: &Summary) -> bool {
    summary.thresholds.iter().any(ThresholdResult::is_crossed)
        || (summary.slos.iter()).any(|slo| slo.outcome == SloOutcome::Missed)
}

/// Why the bundled server could not do better, if the machine kept it from its work.
pub(crate) fn starved(summary: &Summary) -> Option<String> {
    let starved = summary.generator.health.server_starved?;
    (starved > STARVED).then(|| {
        format!(
            "the bundled server starved for a core in {} of the time in which it had work; leave it more cores, or lower the rate",
            units::percentage_of(starved, 0, Rounding::Down)
        )
    })
}
