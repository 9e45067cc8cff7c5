//! One threshold, judged while the run goes on and at its end, in both readings.

use super::counters::ThresholdCounters;
use super::expression::Threshold;
use super::figures::Figures;
use super::measure::Measure;
use super::reading::{Read, without_generator};
use super::result::{ThresholdOutcome, ThresholdResult, TimeSpan};
use super::stop::{Aborted, Stop};
use super::value::Value;
use super::windowed::Windowed;
use super::windows::{Windows, micros};
use crate::histogram::Precision;
use crate::live::Live;
use crate::readings::{GeneratorShare, Judgement, Reading, Readings};
use crate::record::Record;
use crate::summary::Summary;

/// A threshold and what it has seen.
#[derive(Debug)]
pub(crate) struct Judge {
    threshold: Threshold,
    /// Devices that it is about, by the plan.
    planned: u64,
    seen: Seen,
}

/// What it has to see.
#[derive(Debug)]
enum Seen {
    /// Its devices, in its part of the run.
    Part(Box<ThresholdCounters>),
    /// Every window.
    Windows(Box<Windowed>),
}

impl Judge {
    /// Of a threshold that is about so many devices of the plan.
    pub(crate) fn new(threshold: Threshold, planned: u64) -> Self {
        let terms = threshold.terms;
        let tally = |precision| {
            let Threshold {
                subject,
                among,
                condition,
                ..
            } = threshold;
            ThresholdCounters::new(Readings {
                measured: Measure::new(subject, among, condition, precision),
                // Two digits are enough to tell how far off it is: counts decide.
                without_generator: Measure::new(subject, among, condition, Precision::Coarse),
            })
        };
        let seen = match terms.window {
            Some(window) => {
                let windows = Windows::new(window, terms.between, tally(Precision::Coarse));
                Seen::Windows(Box::new(Windowed::new(windows)))
            }
            None => Seen::Part(Box::new(tally(Precision::Fine))),
        };
        Self {
            threshold,
            planned,
            seen,
        }
    }

    /// Counts one device; `without_generator` is the same without what the generator added, if that says anything.
    pub(crate) fn add(&mut self, record: &Record, without_generator: Option<&Record>) {
        self.goes_on(record.end_us);
        if !self.threshold.cut.takes(record) {
            return;
        }
        match &mut self.seen {
            Seen::Part(tally) => {
                let between = self.threshold.terms.between;
                let is_in = between
                    .is_none_or(|(from, to)| (micros(from)..micros(to)).contains(&record.end_us));
                if is_in {
                    tally.add(record, without_generator);
                }
            }
            Seen::Windows(windowed) => {
                if let Some(slot) = windowed.windows.slot(record.end_us) {
                    slot.add(record, without_generator);
                }
            }
        }
    }

    /// Time has come so far while devices were under way.
    pub(crate) fn goes_on(&mut self, now_us: u64) {
        if let Seen::Windows(windowed) = &mut self.seen {
            windowed.goes_on(&self.threshold, now_us);
        }
    }

    /// What stops the run now, if it is to stop. `reprovisions` is of devices that went back to DPS.
    pub(crate) fn stops(&self, live: &Live, reprovisions: (u64, u64)) -> Option<Stop> {
        let terms = self.threshold.terms;
        let is_early = terms
            .after
            .is_some_and(|after| live.elapsed_us < micros(after));
        if !terms.abort || is_early {
            return None;
        }
        match &self.seen {
            Seen::Windows(windowed) => windowed.crossed().cloned(),
            Seen::Part(tally) => {
                let since = terms.between.map_or(0, |(from, _)| micros(from));
                let figures = tally.figures(live.elapsed_us.saturating_sub(since));
                let figures = figures.map(|figures| Figures {
                    // Of all that are due: those under way are no loss yet.
                    base: if self.threshold.subject.is_of_dropped() && self.is_of_all() {
                        live.due
                    } else {
                        figures.base
                    },
                    held: live.held,
                    reprovisioned: reprovisions.0,
                    reprovisions_failed: reprovisions.1,
                    ..figures
                });
                let reads = self.threshold.read_both(&figures);
                let is_crossed = |figures: &Figures, read: &Read| {
                    read.reading == Reading::Fails && !self.may_still_hold(figures)
                };
                is_crossed(&figures.measured, &reads.measured).then(|| {
                    let other = (&figures.without_generator, &reads.without_generator);
                    Stop {
                        observed: reads.measured.observed.clone(),
                        without_generator: (!is_crossed(other.0, other.1))
                            .then(|| without_generator(&reads, tally.share())),
                    }
                })
            }
        }
    }

    /// What only grows crosses "== 5" by the sixth, not by the first.
    fn may_still_hold(&self, figures: &Figures) -> bool {
        let Threshold {
            subject, condition, ..
        } = self.threshold;
        let limit = Value::Of(condition.limit.into());
        subject.only_grows() && subject.observe(figures).is_none_or(|value| value < limit)
    }

    /// Whether it is about all devices and the whole run.
    fn is_of_all(&self) -> bool {
        self.threshold.cut.is_whole() && self.threshold.terms.between.is_none()
    }

    /// What it came to, with the summary of the whole run; `aborted` if it has stopped it.
    pub(crate) fn result(
        &mut self,
        summary: &Summary,
        aborted: Option<&Aborted>,
    ) -> ThresholdResult {
        let mut result = self.at_the_end(summary);
        if let Some(aborted) = aborted {
            let stop = &aborted.stop;
            result.observed.clone_from(&stop.observed);
            result.outcome = match stop.without_generator {
                Some(_) => ThresholdOutcome::DependsOnGenerator,
                None => ThresholdOutcome::Crossed,
            };
            result.without_generator = stop.without_generator.clone();
            result.stopped_the_run_us = Some(aborted.at_us);
        }
        result
    }

    fn at_the_end(&mut self, summary: &Summary) -> ThresholdResult {
        let end_us = summary.duration_us;
        let terms = self.threshold.terms;
        let (reads, share, over) = match &mut self.seen {
            Seen::Part(tally) => {
                let (from, to) = terms
                    .between
                    .map_or((0, u64::MAX), |(from, to)| (micros(from), micros(to)));
                let mut figures = tally.figures(end_us.min(to).saturating_sub(from));
                if terms.between.is_none() {
                    figures.measured.base = self.planned;
                    figures.without_generator.base = self.planned.saturating_sub(tally.left_out());
                }
                let figures = figures.map(|figures| Figures {
                    held: summary.held,
                    reprovisioned: summary.reprovisions.provisioned,
                    reprovisions_failed: summary.reprovisions.failed,
                    ..figures
                });
                (self.threshold.read_both(&figures), tally.share(), None)
            }
            Seen::Windows(windowed) => windowed.at_the_end(&self.threshold, end_us),
        };
        self.told(&reads, share, over)
    }

    fn told(
        &self,
        reads: &Readings<Read>,
        share: GeneratorShare,
        over: Option<TimeSpan>,
    ) -> ThresholdResult {
        let has_both = !self.threshold.subject.is_read_once();
        ThresholdResult {
            expression: self.threshold.expression(),
            observed: reads.measured.observed.clone(),
            without_generator: has_both.then(|| without_generator(reads, share)),
            outcome: match reads.as_ref().map(|read| read.reading).settle() {
                Judgement::Holds => ThresholdOutcome::Held,
                Judgement::Fails => ThresholdOutcome::Crossed,
                Judgement::TooLittle => ThresholdOutcome::NotEnoughSamples,
                Judgement::DependsOnGenerator => ThresholdOutcome::DependsOnGenerator,
            },
            over,
            stopped_the_run_us: None,
        }
    }
}

#[cfg(test)]
mod tests;
