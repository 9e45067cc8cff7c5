//! One threshold, judged while the run goes on and at its end.

use super::figures::Figures;
use super::measure::Measure;
use super::value::Value;
use super::windows::{Window, Windows, micros};
use super::{Aborted, Threshold};
use crate::aggregator::Live;
use crate::histogram::Precision;
use crate::record::Record;
use crate::summary::{Stretch, Summary, ThresholdResult};
use crate::units;

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
    Part(Box<Measure>),
    /// Every window.
    Windows(Box<Windowed>),
}

#[derive(Debug)]
struct Windowed {
    windows: Windows,
    worst: Option<Judged>,
    /// The first that is crossed late enough to stop the run.
    crossed: Option<Judged>,
    /// Whether there were windows with too few samples to judge.
    few: bool,
}

/// A value in a window.
#[derive(Debug, Clone, Copy)]
struct Judged {
    value: Value,
    window: Window,
}

impl Judge {
    /// Of a threshold that is about so many devices of the plan.
    pub(crate) fn new(threshold: Threshold, planned: u64) -> Self {
        let terms = threshold.terms;
        let measure = |precision| {
            let Threshold {
                subject,
                among,
                condition,
                ..
            } = threshold;
            Measure::new(subject, among, condition, precision)
        };
        let seen = match terms.window {
            Some(window) => Seen::Windows(Box::new(Windowed {
                windows: Windows::new(window, terms.between, measure(Precision::Coarse)),
                worst: None,
                crossed: None,
                few: false,
            })),
            None => Seen::Part(Box::new(measure(Precision::Fine))),
        };
        Self {
            threshold,
            planned,
            seen,
        }
    }

    /// Counts one device.
    pub(crate) fn add(&mut self, record: &Record) {
        self.goes_on(record.end_us);
        if !self.threshold.cut.takes(record) {
            return;
        }
        match &mut self.seen {
            Seen::Part(measure) => {
                let between = self.threshold.terms.between;
                let is_in = between
                    .is_none_or(|(from, to)| (micros(from)..micros(to)).contains(&record.end_us));
                if is_in {
                    measure.add(record);
                }
            }
            Seen::Windows(seen) => {
                if let Some(slot) = seen.windows.slot(record.end_us) {
                    slot.add(record);
                }
            }
        }
    }

    /// Time has come so far while devices were under way.
    pub(crate) fn goes_on(&mut self, now_us: u64) {
        while let Seen::Windows(seen) = &mut self.seen
            && let Some(window) = seen.windows.complete(now_us)
        {
            self.judge(window);
        }
    }

    fn judge(&mut self, window: Window) {
        let Threshold {
            subject,
            condition,
            terms,
            ..
        } = self.threshold;
        let Seen::Windows(seen) = &mut self.seen else {
            return;
        };
        let is_enough = terms
            .samples
            .is_none_or(|least| subject.samples(&window.figures) >= least);
        seen.few |= !is_enough;
        let value = subject.observe(&window.figures).filter(|_| is_enough);
        let Some(value) = value else { return };
        let judged = Judged { value, window };
        let worst = seen.worst;
        if worst.is_none_or(|worst| condition.is_worse(value, worst.value)) {
            seen.worst = Some(judged);
        }
        let is_late_enough = terms
            .after
            .is_none_or(|after| window.to_us >= micros(after));
        if seen.crossed.is_none() && is_late_enough && !condition.holds(value) {
            seen.crossed = Some(judged);
        }
    }

    /// What stops the run now, if it is to stop: what was measured, for people. `again` is of devices that
    /// went back to DPS.
    pub(crate) fn stops(&self, live: &Live, again: (u64, u64)) -> Option<String> {
        let terms = self.threshold.terms;
        let is_early = terms
            .after
            .is_some_and(|after| live.elapsed_us < micros(after));
        if !terms.abort || is_early {
            return None;
        }
        match &self.seen {
            Seen::Windows(seen) => seen.crossed.map(|judged| self.shown(judged)),
            Seen::Part(measure) => {
                let since = terms.between.map_or(0, |(from, _)| micros(from));
                let mut figures = Figures {
                    life: live.life,
                    again: again.0,
                    again_failed: again.1,
                    ..measure.figures(live.elapsed_us.saturating_sub(since))
                };
                // Of all that are due: those under way are no loss yet.
                if self.threshold.subject.is_of_dropped() && self.is_of_all() {
                    figures.base = live.due;
                }
                let result = self.result_of(&figures);
                // What only grows crosses "== 5" by the sixth, not by the first.
                let subject = self.threshold.subject;
                let limit = Value::Of(self.threshold.condition.limit.into());
                let may_come = subject.only_grows()
                    && subject.observe(&figures).is_none_or(|value| value < limit);
                let is_crossed = !result.passed
                    && result.enough_samples
                    && result.observed != NO_SAMPLES
                    && !may_come;
                is_crossed.then_some(result.observed)
            }
        }
    }

    /// What it came to, with the summary of the whole run; `aborted` if it has stopped it.
    pub(crate) fn result(
        &mut self,
        summary: &Summary,
        aborted: Option<&Aborted>,
    ) -> ThresholdResult {
        let mut result = self.at_the_end(summary);
        if let Some(aborted) = aborted {
            result.observed.clone_from(&aborted.observed);
            result.passed = false;
            result.enough_samples = true;
            result.stopped_the_run_us = Some(aborted.at_us);
        }
        result
    }

    fn at_the_end(&mut self, summary: &Summary) -> ThresholdResult {
        let end_us = summary.duration_us;
        while let Seen::Windows(seen) = &mut self.seen
            && let Some(window) = seen.windows.rest(end_us)
        {
            self.judge(window);
        }
        let whole = match &self.seen {
            Seen::Windows(seen) => seen.windows.whole(end_us),
            Seen::Part(_) => None,
        };
        if let Some(window) = whole {
            self.judge(window);
        }
        let terms = self.threshold.terms;
        match &self.seen {
            Seen::Part(measure) => {
                let (from, to) = terms
                    .between
                    .map_or((0, u64::MAX), |(from, to)| (micros(from), micros(to)));
                let mut figures = measure.figures(end_us.min(to).saturating_sub(from));
                figures.life = summary.life;
                figures.again = summary.again.provisioned;
                figures.again_failed = summary.again.failed;
                if terms.between.is_none() {
                    figures.base = self.planned;
                }
                self.result_of(&figures)
            }
            Seen::Windows(seen) => match &seen.worst {
                Some(worst) => ThresholdResult {
                    over: Some(Stretch {
                        from_us: worst.window.from_us,
                        to_us: worst.window.to_us,
                    }),
                    passed: self.threshold.condition.holds(worst.value),
                    ..self.told(self.shown(*worst))
                },
                None if seen.few => self.too_few(),
                None => self.told(NO_SAMPLES.into()),
            },
        }
    }

    /// Whether it is about all devices and the whole run.
    fn is_of_all(&self) -> bool {
        self.threshold.cut.is_whole() && self.threshold.terms.between.is_none()
    }

    fn result_of(&self, figures: &Figures) -> ThresholdResult {
        let Threshold {
            subject,
            condition,
            terms,
            ..
        } = self.threshold;
        let samples = subject.samples(figures);
        if terms.samples.is_some_and(|least| samples < least) {
            return self.too_few();
        }
        let Some(value) = subject.observe(figures) else {
            return self.told(NO_SAMPLES.into());
        };
        ThresholdResult {
            passed: condition.holds(value),
            ..self.told(subject.shown(value, figures, condition.limit))
        }
    }

    fn shown(&self, Judged { value, window }: Judged) -> String {
        let Threshold {
            subject, condition, ..
        } = self.threshold;
        format!(
            "{} from {} to {}",
            subject.shown(value, &window.figures, condition.limit),
            moment(window.from_us),
            moment(window.to_us)
        )
    }

    fn too_few(&self) -> ThresholdResult {
        ThresholdResult {
            enough_samples: false,
            ..self.told("not enough samples".into())
        }
    }

    fn told(&self, observed: String) -> ThresholdResult {
        ThresholdResult {
            expression: self.threshold.expression(),
            observed,
            passed: false,
            enough_samples: true,
            over: None,
            stopped_the_run_us: None,
        }
    }
}

const NO_SAMPLES: &str = "no samples";

/// Since the start.
fn moment(us: u64) -> String {
    if us == 0 {
        "0 s".into()
    } else {
        units::duration(us)
    }
}

#[cfg(test)]
mod tests;
