//! Devices that went back to DPS: registrations of devices that had been provisioned before.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::attempts::Attempts;
use crate::cut::{MAX_COUNTED, MAX_ROWS};
use crate::dimensions::Dimensions;
use crate::fold::{Detail, Fold};
use crate::foremost::foremost;
use crate::histogram::Precision;
use crate::latency::Latency;
use crate::outcomes::{OutcomeCount, Outcomes};
use crate::record::Record;

/// How they fared.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Reprovisions {
    /// Times that a device went back.
    pub registrations: u64,
    /// Of them provisioned once more.
    pub provisioned: u64,
    /// Ended otherwise.
    pub failed: u64,
    /// How often they tried.
    pub attempts: Attempts,
    /// Until the assigned hub was in hand; response time counts from what made them go back.
    pub registration: Latency,
    /// Until the twin was read.
    pub provisioning: Latency,
    /// How those ended that were not provisioned, most frequent first.
    pub failures: Vec<OutcomeCount>,
    /// Where those were assigned that were provisioned, by region or else by tenant, like `eastus to hub-eus`;
    /// of devices that have either. The 256 with most of them.
    pub placements: BTreeMap<String, u64>,
    /// Those of other placements.
    pub placed_elsewhere: u64,
}

impl Reprovisions {
    /// Those of all placements.
    pub fn placed(&self) -> u64 {
        self.placements.values().sum::<u64>() + self.placed_elsewhere
    }
}

/// The fold of it.
#[derive(Debug)]
pub(crate) struct ReprovisionsFold {
    fold: Fold,
    failures: Outcomes,
    /// By indices of region, tenant and hub: at most [`MAX_COUNTED`].
    placements: BTreeMap<(Option<u8>, u8, u16), u64>,
    /// Those beyond.
    placed_elsewhere: u64,
}

impl Default for ReprovisionsFold {
    fn default() -> Self {
        Self {
            fold: Fold::new(Precision::Coarse, Detail::All),
            failures: Outcomes::default(),
            placements: BTreeMap::new(),
            placed_elsewhere: 0,
        }
    }
}

impl ReprovisionsFold {
    /// Counts one device that went back.
    pub(crate) fn add(&mut self, record: &Record) {
        self.fold.add(record);
        if record.outcome.is_provisioned() {
            if let Some(hub) = record.hub {
                let place = (record.region, record.tenant, hub);
                let known = self.placements.len();
                *match self.placements.entry(place) {
                    Entry::Vacant(_) if known >= MAX_COUNTED => &mut self.placed_elsewhere,
                    entry => entry.or_default(),
                } += 1;
            }
            return;
        }
        self.failures.add(record.outcome);
    }

    /// How many were provisioned once more so far, and how many ended otherwise.
    pub(crate) fn counts(&self) -> (u64, u64) {
        (self.fold.provisioned, self.fold.failed())
    }

    /// How many went back so far.
    pub(crate) fn registrations(&self) -> u64 {
        self.fold.ended
    }

    /// All of it, with the names of a run.
    pub(crate) fn reprovisions(&self, dimensions: &Dimensions) -> Reprovisions {
        let mut placements = BTreeMap::new();
        for (&(region, tenant, hub), &count) in &self.placements {
            if let Some(named) = dimensions.placement_of(region, tenant, hub) {
                *placements.entry(named).or_default() += count;
            }
        }
        let all: u64 = placements.values().sum();
        let placements = foremost(placements, MAX_ROWS, |(_, devices)| *devices);
        let told: u64 = placements.iter().map(|(_, devices)| devices).sum();
        Reprovisions {
            registrations: self.fold.ended,
            provisioned: self.fold.provisioned,
            failed: self.fold.failed(),
            attempts: self.fold.attempts,
            registration: self.fold.registration(),
            provisioning: self.fold.provisioning(),
            failures: self.failures.told(&[]),
            placements: placements.into_iter().collect(),
            placed_elsewhere: self.placed_elsewhere + all - told,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::sample;

    #[test]
    fn placements_are_bounded() {
        let mut fold = ReprovisionsFold::default();
        let devices = MAX_COUNTED as u64 + 10;
        for index in 0..devices {
            fold.add(&Record {
                region: u8::try_from(index % 200).ok(),
                hub: u16::try_from(index / 200).ok(),
                ..sample()
            });
        }
        assert_eq!(fold.placements.len(), MAX_COUNTED);
        let names = |what: &str| (0..200).map(|index| format!("{what}-{index}")).collect();
        let reprovisions = fold.reprovisions(&Dimensions {
            regions: names("region"),
            hubs: names("hub"),
            ..Dimensions::default()
        });
        assert_eq!(reprovisions.placements.len(), MAX_ROWS);
        assert_eq!(reprovisions.placed_elsewhere, devices - MAX_ROWS as u64);
        assert_eq!(reprovisions.placed(), devices);
    }
}
