//! The oracle: what became of every device, against what plan, flaws, enrollments, events and
//! placement say had to become of it. Pure: records and events in, findings out.

use fleetstorm_reports::oracle::{
    Contradiction, MAX_EXAMPLES, MAX_ROWS, Oracle as Findings, OracleRow,
};
use fleetstorm_reports::{Record, foremost};
use fleetstorm_scenarios::Plan;

use self::attendance::Attendance;
use self::changes::Changes;
use self::faults::{Case, Faults};
use self::intent::{Finding, Intent, Wrong};
use self::places::Places;
use crate::run::director::EventTimes;

mod attendance;
mod changes;
mod faults;
mod hubs;
mod intent;
mod places;
mod setting;

pub use setting::Setting;

/// Judges every record; holds a bit for each device of the plan, and counts.
pub struct Oracle {
    changes: Changes,
    faults: Faults,
    cohorts: Vec<Cohort>,
    /// Host names of the hubs, as records know them.
    hubs: Vec<String>,
    contradictions: u64,
    examples: Vec<Example>,
}

struct Cohort {
    name: String,
    planned: u64,
    intent: Intent,
    attendance: Attendance,
    /// Of those that came: were due, and not started.
    dropped: u64,
    as_intended: u64,
    fell_short: u64,
    either_way: u64,
    contradictions: u64,
}

/// A contradiction, before anybody needs it in words.
struct Example {
    record: Record,
    intended: String,
    wrong: Wrong,
}

impl Oracle {
    /// Of a run that takes place there.
    pub fn new(plan: &Plan, setting: Setting) -> Self {
        let scenario = plan.scenario();
        let mut places = Places::of(scenario, &setting.hubs);
        let cohorts = (0..).zip(&scenario.cohorts);
        let cohorts = cohorts.map(|(index, cohort)| Cohort {
            name: cohort.name.clone(),
            planned: cohort.devices,
            intent: Intent::of(index, cohort, &mut places),
            attendance: Attendance::default(),
            dropped: 0,
            as_intended: 0,
            fell_short: 0,
            either_way: 0,
            contradictions: 0,
        });
        let cohorts = cohorts.collect();
        Self {
            cohorts,
            changes: Changes::of(scenario),
            faults: Faults::of(scenario, &setting),
            hubs: setting.hubs,
            contradictions: 0,
            examples: Vec::new(),
        }
    }

    /// Judges one registration by what has happened until now: no event may have begun of which
    /// `events` does not know. `name` gives the registration id of a planned device.
    pub fn count(
        &mut self,
        record: &Record,
        events: &[EventTimes],
        name: impl Fn(u16, u32) -> String,
    ) {
        let Some(cohort) = self.cohorts.get_mut(usize::from(record.cohort)) else {
            return;
        };
        let times = self.changes.during(record, events);
        let finding = if u64::from(record.device) >= cohort.planned {
            Finding::Contradiction(Wrong::Unplanned)
        } else if !record.reprovision && !cohort.attendance.arrives(record.device) {
            Finding::Contradiction(Wrong::Twice)
        } else if !record.outcome.is_started() {
            cohort.dropped += 1;
            return;
        } else {
            cohort.intent.judge(record, times)
        };
        let finding = match finding {
            Finding::Contradiction(wrong) => {
                let case = Case {
                    record,
                    wrong,
                    must_be_refused: cohort.intent.must_be_refused(times),
                };
                let name = || name(record.cohort, record.device);
                if self.faults.explain(case, events, name) {
                    Finding::EitherWay
                } else {
                    finding
                }
            }
            finding => finding,
        };
        match finding {
            Finding::AsIntended => cohort.as_intended += 1,
            Finding::FellShort => cohort.fell_short += 1,
            Finding::EitherWay => cohort.either_way += 1,
            Finding::Contradiction(wrong) => {
                cohort.contradictions += 1;
                self.contradictions += 1;
                if self.examples.len() < MAX_EXAMPLES {
                    self.examples.push(Example {
                        record: *record,
                        intended: cohort.intent.in_words(times),
                        wrong,
                    });
                }
            }
        }
    }

    /// Whether something has contradicted the intent so far.
    pub fn is_contradicted(&self) -> bool {
        self.contradictions > 0
    }

    /// All of it, at the end of a run that has released so many devices. `name` gives the registration
    /// id of a planned device.
    pub fn close(&self, released: u64, name: impl Fn(u16, u32) -> String) -> Findings {
        let started = self.cohorts.iter().map(Cohort::started);
        let cohorts = self.cohorts.iter().map(|cohort| OracleRow {
            cohort: cohort.name.clone(),
            intended: cohort.intent.in_general(),
            planned: cohort.planned,
            not_started: cohort.planned.saturating_sub(cohort.started()),
            as_intended: cohort.as_intended,
            fell_short: cohort.fell_short,
            either_way: cohort.either_way,
            contradictions: cohort.contradictions,
        });
        let told = foremost(cohorts, MAX_ROWS, OracleRow::weight);
        let examples = self.examples.iter().map(|example| {
            let record = &example.record;
            let device = match (self.cohorts.get(usize::from(record.cohort)), example.wrong) {
                (Some(cohort), Wrong::Unplanned) => format!("{} {}", cohort.name, record.device),
                _ => name(record.cohort, record.device),
            };
            Contradiction {
                device,
                at_us: record.end_us,
                intended: example.intended.clone(),
                came: example.wrong.in_words(record, &self.hubs),
            }
        });
        Findings {
            contradictions: self.contradictions,
            examples: examples.collect(),
            unrecorded: released.saturating_sub(started.sum()),
            left_out: (self.cohorts.len() - told.len()) as u64,
            cohorts: told,
        }
    }
}

impl Cohort {
    /// Devices that have left a record of more than that they were not started.
    fn started(&self) -> u64 {
        self.attendance.count().saturating_sub(self.dropped)
    }
}

#[cfg(test)]
mod tests;
