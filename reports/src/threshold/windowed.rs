//! A threshold over windows: the worst of them in each reading, and the first that stops the run.

use super::expression::Threshold;
use super::figures::Figures;
use super::reading::{Read, stretch, without_generator};
use super::result::TimeSpan;
use super::stop::Stop;
use super::value::Value;
use super::windows::{Window, Windows, micros};
use crate::readings::{GeneratorShare, Reading, Readings};

/// Every window so far.
#[derive(Debug)]
pub(super) struct Windowed {
    /// Those to come.
    pub windows: Windows,
    seen: Readings<Seen>,
    crossed: Option<Stop>,
    /// What the generator had to do with the worst as measured.
    share: GeneratorShare,
}

/// In one reading.
#[derive(Debug, Default)]
struct Seen {
    worst: Option<Judged>,
    /// Whether there were windows with too few samples to judge.
    few: bool,
}

/// A value in a window.
#[derive(Debug, Clone, Copy)]
struct Judged {
    value: Value,
    figures: Figures,
    over: TimeSpan,
}

impl Windowed {
    /// None has been judged.
    pub(super) fn new(windows: Windows) -> Self {
        Self {
            windows,
            seen: Readings::default(),
            crossed: None,
            share: GeneratorShare::default(),
        }
    }

    /// Time has come so far while devices were under way.
    pub(super) fn goes_on(&mut self, threshold: &Threshold, now_us: u64) {
        while let Some(window) = self.windows.complete(now_us) {
            self.judge(threshold, &window);
        }
    }

    /// The first that is crossed late enough to stop the run.
    pub(super) fn crossed(&self) -> Option<&Stop> {
        self.crossed.as_ref()
    }

    fn judge(&mut self, threshold: &Threshold, window: &Window) {
        let Threshold {
            subject,
            condition,
            terms,
            ..
        } = threshold;
        let over = window.over;
        let see = |seen: &mut Seen, figures: &Figures| {
            let samples = subject.samples(figures);
            if terms.samples.is_some_and(|least| samples < least) {
                seen.few = true;
                return false;
            }
            let Some(value) = subject.observe(figures) else {
                return false;
            };
            let is_worst = seen
                .worst
                .is_none_or(|worst| condition.is_worse(value, worst.value));
            if is_worst {
                seen.worst = Some(Judged {
                    value,
                    figures: *figures,
                    over,
                });
            }
            is_worst
        };
        if see(&mut self.seen.measured, &window.figures.measured) {
            self.share = window.share;
        }
        see(
            &mut self.seen.without_generator,
            &window.figures.without_generator,
        );
        let is_late_enough = terms.after.is_none_or(|after| over.to_us >= micros(after));
        if terms.abort && self.crossed.is_none() && is_late_enough {
            let reads = threshold.read_both(&window.figures);
            let reads = reads.map(|read| told(read, over));
            let fails = |read: &Read| read.reading == Reading::Fails;
            self.crossed = fails(&reads.measured).then(|| Stop {
                observed: reads.measured.observed.clone(),
                without_generator: (!fails(&reads.without_generator))
                    .then(|| without_generator(&reads, window.share)),
            });
        }
    }

    /// Both readings of a run that is over, and the worst window as measured.
    pub(super) fn at_the_end(
        &mut self,
        threshold: &Threshold,
        end_us: u64,
    ) -> (Readings<Read>, GeneratorShare, Option<TimeSpan>) {
        while let Some(window) = self.windows.rest(end_us) {
            self.judge(threshold, &window);
        }
        if let Some(window) = self.windows.whole(end_us) {
            self.judge(threshold, &window);
        }
        let reads = self.seen.as_ref().map(|seen| read(threshold, seen));
        let reads = if threshold.subject.is_read_once() {
            Readings::both(reads.measured)
        } else {
            reads
        };
        let over = self.seen.measured.worst.map(|worst| worst.over);
        (reads, self.share, over)
    }
}

fn read(threshold: &Threshold, seen: &Seen) -> Read {
    let Threshold {
        subject, condition, ..
    } = threshold;
    match &seen.worst {
        Some(Judged {
            value,
            figures,
            over,
        }) => {
            let reading = if condition.holds(*value) {
                Reading::Holds
            } else {
                Reading::Fails
            };
            let observed = subject.shown(*value, figures, condition.limit);
            told(Read { reading, observed }, *over)
        }
        None if seen.few => Read::too_little(),
        None => Read::nothing(),
    }
}

/// With the window in which it was.
fn told(read: Read, over: TimeSpan) -> Read {
    match read.reading {
        Reading::Holds | Reading::Fails => Read {
            observed: format!("{} {}", read.observed, stretch(over)),
            ..read
        },
        Reading::TooLittle | Reading::Nothing => read,
    }
}
