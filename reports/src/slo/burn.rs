//! How fast the error budget went, and when an alert on it would have called somebody.
//!
//! The pairs of windows are those that "The Site Reliability Workbook" (chapter 5, "Multiwindow,
//! Multi-Burn-Rate Alerts") recommends for 30 days, scaled to the run:
//!
//! | long window | of 30 days | short window | burn rate | budget spent by then |
//! |---|---|---|---|---|
//! | 1/720 | 1 hour | 1/12 of it | 14.4 | 2 % |
//! | 1/120 | 6 hours | 1/12 of it | 6 | 5 % |
//! | 1/10 | 3 days | 1/12 of it | 1 | 10 % |

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::exact::{Decimal, Ratio};

/// Most intervals; where more are needed, neighbours merge and all get twice as long.
const MAX_STRETCHES: usize = 8_192;
/// What the timeline of one objective takes at most; a vector that grows may have room for twice as many.
pub(crate) const MOST_BYTES: usize = 2 * MAX_STRETCHES * size_of::<BurnInterval>();
/// Parts of the run that long windows are, and burn rates from which they alert.
const PAIRS: [(usize, f64); 3] = [(720, 14.4), (120, 6.0), (10, 1.0)];
/// A short window is this part of the long one.
const SHORT: usize = 12;
/// Where one bad registration alone burns faster than the alert's rate, it must not alert alone.
const LEAST_BAD: u64 = 2;

/// An alert on the burn rate. A pair of windows that the run is too short for is left out.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BurnAlert {
    /// The long window, seconds: says that it matters.
    pub long_s: u64,
    /// The short window, seconds: says that it goes on.
    pub short_s: u64,
    /// From which burn rate over both it alerts.
    pub from: f64,
    /// The highest burn rate that both windows had together.
    pub highest: f64,
    /// When it would have alerted first, seconds since the start; absent if never.
    pub at_s: Option<u64>,
}

/// Good and bad registrations by intervals of time.
#[derive(Debug)]
pub(super) struct BurnTimeline {
    span_s: u64,
    intervals: Vec<BurnInterval>,
}

#[derive(Debug, Clone, Copy, Default)]
struct BurnInterval {
    good: u64,
    bad: u64,
}

/// What some registrations may have gone badly, and what of it is spent: counted, not rounded.
#[derive(Debug, Clone, Copy)]
pub(super) struct Budget {
    spent: Ratio,
}

impl Budget {
    /// Of an objective, which leaves some.
    pub(super) fn new(good: u64, bad: u64, objective: Decimal) -> Self {
        // Of none that went badly nothing is spent, however many there were.
        let spent = Ratio::new(bad, good + bad).over(objective.rest());
        Self { spent }
    }

    /// How many times faster than allowed it goes: the bad ones' share over the share that may be bad.
    pub(super) fn burn_rate(self) -> f64 {
        self.spent.as_f64()
    }

    /// Share of it that is left; below zero when more than all was spent.
    pub(super) fn left(self) -> f64 {
        self.spent.rest()
    }
}

impl Default for BurnTimeline {
    fn default() -> Self {
        Self {
            span_s: 1,
            intervals: Vec::new(),
        }
    }
}

impl BurnTimeline {
    /// Counts a registration that ended in `second`.
    pub(super) fn add(&mut self, second: u64, good: bool) {
        while second / self.span_s >= MAX_STRETCHES as u64 {
            self.halve();
        }
        let index = usize::try_from(second / self.span_s).unwrap_or(MAX_STRETCHES - 1);
        if index >= self.intervals.len() {
            self.intervals.resize(index + 1, BurnInterval::default());
        }
        let interval = &mut self.intervals[index];
        if good {
            interval.good += 1;
        } else {
            interval.bad += 1;
        }
    }

    fn halve(&mut self) {
        self.span_s *= 2;
        let pairs = self.intervals.chunks(2).map(|pair| BurnInterval {
            good: pair.iter().map(|interval| interval.good).sum(),
            bad: pair.iter().map(|interval| interval.bad).sum(),
        });
        self.intervals = pairs.collect();
    }

    /// The alerts over the run so far, the most urgent first.
    pub(super) fn alerts(&self, objective: Decimal) -> Vec<BurnAlert> {
        let mut sums = vec![BurnInterval::default()];
        for interval in &self.intervals {
            let BurnInterval { good, bad } = sums.last().copied().unwrap_or_default();
            sums.push(BurnInterval {
                good: good + interval.good,
                bad: bad + interval.bad,
            });
        }
        let pairs = PAIRS.iter().filter_map(|&(part, from)| {
            let long = self.intervals.len() / part;
            // Both windows must differ.
            (long >= 2).then(|| self.alert(&sums, long, from, objective))
        });
        pairs.collect()
    }

    fn alert(
        &self,
        sums: &[BurnInterval],
        long: usize,
        from: f64,
        objective: Decimal,
    ) -> BurnAlert {
        let short = (long / SHORT).max(1);
        let within = |end: usize, length: usize| {
            let (until, since) = (sums[end], sums[end.saturating_sub(length)]);
            (until.good - since.good, until.bad - since.bad)
        };
        let mut alert = BurnAlert {
            long_s: long as u64 * self.span_s,
            short_s: short as u64 * self.span_s,
            from,
            highest: 0.0,
            at_s: None,
        };
        for end in 1..sums.len() {
            let ((good, bad), (good_now, bad_now)) = (within(end, long), within(end, short));
            if bad < LEAST_BAD {
                continue;
            }
            let rate = |good, bad| Budget::new(good, bad, objective).burn_rate();
            let both = rate(good, bad).min(rate(good_now, bad_now));
            alert.highest = alert.highest.max(both);
            if both >= from && alert.at_s.is_none() {
                alert.at_s = Some(end as u64 * self.span_s);
            }
        }
        alert
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn three_nines() -> Decimal {
        Decimal::parse("0.999").expect("a share")
    }

    /// `seconds` of 100 registrations each, `bad` of them bad in the seconds of `when`.
    fn timeline(seconds: u64, bad: u64, when: std::ops::Range<u64>) -> BurnTimeline {
        let mut timeline = BurnTimeline::default();
        for second in 0..seconds {
            let bad = if when.contains(&second) { bad } else { 0 };
            (0..100).for_each(|index| timeline.add(second, index >= bad));
        }
        timeline
    }

    #[test]
    fn an_outage_alerts_while_it_lasts_and_a_blemish_does_not() {
        // 20 minutes; for one of them a tenth goes badly: 100 times the budget of 99.9 %.
        let outage = timeline(1_200, 10, 300..360).alerts(three_nines());
        let found: Vec<_> = outage
            .iter()
            .map(|alert| (alert.long_s, alert.short_s, alert.at_s))
            .collect();
        // The long windows hold 10 s and 120 s: 6 of 100 · 0.001 · 10 registrations come at once.
        assert_eq!(found, [(10, 1, Some(301)), (120, 10, Some(302))]);
        assert!(outage[0].highest > 99.0 && outage[0].highest < 101.0);

        let blemish = timeline(1_200, 1, 300..301).alerts(three_nines());
        assert!(blemish.iter().all(|alert| alert.at_s.is_none()));
    }

    #[test]
    fn a_run_too_short_for_two_windows_has_no_alert() {
        assert!(timeline(19, 50, 0..19).alerts(three_nines()).is_empty());
        assert_eq!(timeline(20, 50, 0..20).alerts(three_nines()).len(), 1);
    }

    #[test]
    fn a_day_keeps_every_registration_in_a_bounded_number_of_stretches() {
        let mut timeline = BurnTimeline::default();
        (0..86_400).for_each(|second| timeline.add(second, second % 10 != 0));
        assert!(timeline.intervals.len() <= MAX_STRETCHES);
        let bad: u64 = timeline.intervals.iter().map(|interval| interval.bad).sum();
        assert_eq!(bad, 8_640);
    }
}
