//! How many devices are alike.

use fleetstorm_reports::threshold::Cut;

use super::mix::Mix;
use crate::cohort::Cohort;
use crate::scenario::Scenario;

/// Devices of a cut. Where a cohort's are mixed and the cut is of a part of the mix, each is asked what it drew.
pub(super) fn devices_in(scenario: &Scenario, cut: &Cut) -> u64 {
    let cohorts = scenario.cohorts.iter().enumerate();
    let counts = cohorts
        .filter(|(index, cohort)| cohort.may_be_in(cut, *index))
        .map(|(_, cohort)| of_cohort(scenario, cut, cohort));
    counts.sum()
}

fn of_cohort(scenario: &Scenario, cut: &Cut, cohort: &Cohort) -> u64 {
    let over = cut.transport.filter(|_| cohort.transports.len() > 1);
    let within = cut.region.filter(|_| cohort.regions.len() > 1);
    if over.is_none() && within.is_none() {
        return cohort.devices;
    }
    let transports = Mix::of_transports(scenario.seed, cohort);
    let regions = Mix::of_regions(scenario.seed, cohort);
    let is_over = |device| {
        over.is_none_or(|over| transports.of(device).map(|kind| kind as usize) == Some(over))
    };
    let is_within =
        |device| within.is_none_or(|within| regions.of(device).map(usize::from) == Some(within));
    let devices = u32::try_from(cohort.devices).unwrap_or(u32::MAX);
    let those = (0..devices).filter(|device| is_over(*device) && is_within(*device));
    those.count() as u64
}
