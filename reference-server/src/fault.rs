//! Faults on purpose: ordered rules, the first that matches decides. They can change while the
//! server runs; without any, a request costs one look at a flag.

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Instant;

use fleetstorm_protocol::fault::{FaultRule, Occasion, check};
use jiff::Timestamp;
use serde::Serialize;

use crate::counters::count::Count;
use crate::regions::RegionConfig;
use crate::regions::Regions;
use crate::shards::Shards;
use matcher::{FaultHit, Matcher, Moment};

pub(crate) mod answer;
pub(crate) mod kill_switch;
pub(crate) mod matcher;
pub(crate) mod outage;

mod delay;

/// Devices whose occurrences a rule with a share keeps in mind, a shard; later ones have no history.
const MAX_DEVICES: usize = 16_384;

/// The rules of a server.
pub(crate) struct Faults {
    armed: AtomicBool,
    rules: RwLock<Arc<[Arc<Armed>]>>,
    regions: Regions,
    seed: u64,
    started: Instant,
}

/// A rule, and whom it has hit.
struct Armed {
    matcher: Matcher,
    hits: Count,
    occurrences: Shards<Box<str>, u64>,
}

/// A rule and its hits, as the control endpoint shows it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct ShownRule {
    #[serde(flatten)]
    pub(crate) rule: FaultRule,
    pub(crate) hits: u64,
}

impl Faults {
    /// With the rules of the configuration.
    ///
    /// # Errors
    /// The first rule that makes no sense, by its place.
    pub(crate) fn new(
        rules: &[FaultRule],
        regions: &[RegionConfig],
        seed: u64,
    ) -> Result<Self, String> {
        let faults = Self {
            armed: AtomicBool::new(false),
            rules: RwLock::new(Arc::new([])),
            regions: Regions::new(regions),
            seed,
            started: Instant::now(),
        };
        faults.replace(rules.to_vec())?;
        Ok(faults)
    }

    /// Puts these rules in the place of all. A rule that stays the same keeps its hits.
    ///
    /// # Errors
    /// As for [`Faults::new`]; then nothing has changed.
    pub(crate) fn replace(&self, rules: Vec<FaultRule>) -> Result<(), String> {
        self.change(|_| Ok(rules))
    }

    /// Appends a rule: those before it come first.
    ///
    /// # Errors
    /// As for [`Faults::replace`].
    pub(crate) fn append(&self, rule: FaultRule) -> Result<(), String> {
        self.change(|mut rules| {
            rules.push(rule);
            Ok(rules)
        })
    }

    /// Removes a rule.
    ///
    /// # Errors
    /// There is none of that name.
    pub(crate) fn remove(&self, name: &str) -> Result<(), String> {
        self.change(|mut rules| {
            let place = rules.iter().position(|rule| rule.name == name);
            let place = place.ok_or_else(|| format!("\"{name}\" is no rule"))?;
            rules.remove(place);
            Ok(rules)
        })
    }

    fn change(
        &self,
        how: impl FnOnce(Vec<FaultRule>) -> Result<Vec<FaultRule>, String>,
    ) -> Result<(), String> {
        let mut current = self.rules.write().unwrap_or_else(PoisonError::into_inner);
        let rules = current.iter().map(|armed| armed.matcher.rule().clone());
        let mut rules = how(rules.collect())?;
        check(&mut rules).map_err(|(index, flaw)| match rules.get(index) {
            Some(rule) => format!("rule {} (\"{}\"): {flaw}", index + 1, rule.name),
            None => flaw.to_string(),
        })?;
        let arm = |rule: FaultRule| {
            let same = current.iter().find(|armed| *armed.matcher.rule() == rule);
            same.cloned().unwrap_or_else(|| Arc::new(Armed::new(rule)))
        };
        let changed: Arc<[Arc<Armed>]> = rules.into_iter().map(arm).collect();
        self.armed.store(!changed.is_empty(), Ordering::Release);
        *current = changed;
        Ok(())
    }

    /// The rules in their order, and how often each has hit.
    pub(crate) fn shown(&self) -> Vec<ShownRule> {
        let show = |armed: &Arc<Armed>| ShownRule {
            rule: armed.matcher.rule().clone(),
            hits: armed.hits.get(),
        };
        self.current().iter().map(show).collect()
    }

    /// Whether there is any rule.
    pub(crate) fn are_armed(&self) -> bool {
        self.armed.load(Ordering::Acquire)
    }

    /// What happens to a device, by the first rule that hits.
    pub(crate) fn apply(&self, occasion: &Occasion<'_>) -> Option<FaultHit> {
        if !self.are_armed() {
            return None;
        }
        let now = Moment {
            since_start: self.started.elapsed(),
            at: Timestamp::now(),
        };
        self.current().iter().find_map(|armed| {
            if !armed.matcher.matches(occasion, now) {
                return None;
            }
            let occurrence = armed.occurrence(occasion.device);
            let hit = armed
                .matcher
                .apply(self.seed, occasion.device, occurrence)?;
            armed.hits.add();
            Some(hit)
        })
    }

    /// The region of an address.
    pub(crate) fn region_of(&self, peer: Option<IpAddr>) -> Option<&str> {
        self.regions.name(self.regions.of(peer?)?)
    }

    fn current(&self) -> Arc<[Arc<Armed>]> {
        let rules = self.rules.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&rules)
    }
}

impl Armed {
    fn new(rule: FaultRule) -> Self {
        Self {
            matcher: Matcher::new(rule),
            hits: Count::default(),
            occurrences: Shards::new(),
        }
    }

    /// How often a device came by before.
    fn occurrence(&self, device: &str) -> u64 {
        let mut known = self.occurrences.of(device);
        if let Some(count) = known.get_mut(device) {
            *count += 1;
            return *count;
        }
        if known.len() < MAX_DEVICES {
            known.insert(device.into(), 0);
        }
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fleetstorm_protocol::fault::{FaultOperation, FaultProtocol};

    fn rules(toml: &str) -> Vec<FaultRule> {
        #[derive(serde::Deserialize)]
        struct Rules {
            fault: Vec<FaultRule>,
        }
        toml::from_str::<Rules>(toml).expect("rules").fault
    }

    fn register(device: &str) -> Occasion<'_> {
        Occasion {
            operation: FaultOperation::Register,
            protocol: FaultProtocol::Https,
            device,
            instance: None,
            hub: None,
            region: None,
        }
    }

    #[test]
    fn the_first_rule_that_hits_decides_and_is_counted() {
        let toml =
            "[[fault]]\ndo = 'drop'\ndevices = ['pump-*']\n[[fault]]\nname = 'rest'\ndo = 'reset'";
        let faults = Faults::new(&rules(toml), &[], 1).expect("rules");
        assert_eq!(faults.apply(&register("pump-1")), Some(FaultHit::Drop));
        assert_eq!(faults.apply(&register("valve-1")), Some(FaultHit::Reset));
        assert_eq!(faults.apply(&register("valve-2")), Some(FaultHit::Reset));
        let shown = faults.shown();
        let shown: Vec<_> = shown
            .iter()
            .map(|one| (one.rule.name.as_str(), one.hits))
            .collect();
        assert_eq!(shown, [("fault-1", 1), ("rest", 2)]);
        let [extra] = rules("[[fault]]\ndo = 'drop'")
            .try_into()
            .expect("one rule");
        faults.append(extra).expect("a rule");
        assert_eq!(faults.shown()[1].hits, 2, "what stays keeps its hits");
        assert_eq!(faults.shown()[2].rule.name, "fault-3");
        faults.remove("fault-1").expect("it is there");
        assert!(faults.remove("fault-1").is_err());
        assert_eq!(faults.apply(&register("pump-1")), Some(FaultHit::Reset));
        faults.replace(Vec::new()).expect("no rule is fine");
        assert!(!faults.are_armed());
        assert_eq!(faults.apply(&register("pump-1")), None);
    }

    #[test]
    fn rules_that_make_no_sense_change_nothing() {
        let faults = Faults::new(&rules("[[fault]]\ndo = 'drop'"), &[], 1).expect("rules");
        for (toml, words) in [
            ("[[fault]]\ndo = 'delay'", "rule 1 (\"fault-1\"): time"),
            (
                "[[fault]]\ndo = 'drop'\nname = 'a'\n[[fault]]\ndo = 'drop'\nname = 'a'",
                "twice",
            ),
        ] {
            let problem = faults.replace(rules(toml)).expect_err(words);
            assert!(problem.contains(words), "{problem}");
        }
        assert_eq!(faults.shown().len(), 1);
    }
}
