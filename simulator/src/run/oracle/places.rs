//! Where hubs are, and which of them are near.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use fleetstorm_scenarios::Scenario;
use fleetstorm_scenarios::names::hub_host;

/// By region, the hubs that are nearest to it, by their index in records.
pub type Near = Arc<[Vec<u16>]>;

/// The hubs of a run. What is near is looked up once for all cohorts that may be at the same hubs.
pub struct Places<'s> {
    /// The scenario.
    pub scenario: &'s Scenario,
    /// Host names of the hubs, by their index in records.
    pub hubs: &'s [String],
    /// The region that each of them stands in.
    regions: Vec<Option<&'s str>>,
    near: BTreeMap<Vec<u16>, Near>,
}

impl<'s> Places<'s> {
    /// Of a scenario; `hubs` are the host names behind a record's index.
    pub fn of(scenario: &'s Scenario, hubs: &'s [String]) -> Self {
        let placed = scenario.server.hubs.iter();
        let placed = placed.filter_map(|hub| Some((hub_host(&hub.name), hub.region.as_deref()?)));
        let placed: BTreeMap<String, &str> = placed.collect();
        Self {
            scenario,
            hubs,
            regions: hubs.iter().map(|host| placed.get(host).copied()).collect(),
            near: BTreeMap::new(),
        }
    }

    /// Those of `all` that are nearest to each region by the scenario's table. A hub of no region, or of one that
    /// the table leaves out, is farther than all others, as it is to the server.
    pub fn nearest(&mut self, all: &[u16]) -> Near {
        if let Some(known) = self.near.get(all) {
            return Arc::clone(known);
        }
        let regions = self.scenario.regions.iter();
        let near: Near = regions
            .map(|from| {
                let distance = |index: u16| {
                    let there = self.regions.get(usize::from(index)).copied().flatten();
                    match there {
                        Some(there) if there == from.name => Duration::ZERO,
                        Some(there) => from.latency.get(there).copied().unwrap_or(Duration::MAX),
                        None => Duration::MAX,
                    }
                };
                let distances: Vec<_> = all.iter().map(|&index| (distance(index), index)).collect();
                let least = distances.iter().map(|(distance, _)| *distance).min();
                let near = distances
                    .into_iter()
                    .filter(|(distance, _)| Some(*distance) == least);
                near.map(|(_, index)| index).collect()
            })
            .collect();
        self.near.insert(all.to_vec(), Arc::clone(&near));
        near
    }
}
