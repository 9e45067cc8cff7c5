//! When devices come: a pure function from a device's rank to its intended start.
//!
//! The rate is a broken line over time; the area below it counts the devices that have
//! come. A device starts when that area passes its rank:
//!
//! ```text
//! rate ▲            stage 2
//!      │         ┌────────────      stage 1 ramps from r0 to r1 over T; within it
//!   r1 │       ／│                    area(t) = r0·t + (r1 − r0)/(2T)·t²  =  rank
//!      │     ／  │                  solved for t, free of cancellation:
//!   r0 │   ／    │                    t = 2·rank / (r0 + √(r0² + 2·rank·(r1 − r0)/T))
//!      └───┴─────┴────────────▶ t
//! ```

mod scatter;

use std::time::Duration;

use crate::chance::Chance;
pub use scatter::Scatter;

/// The arrival process of a cohort (k6's words).
#[derive(Debug, Clone, PartialEq)]
pub enum Arrival {
    /// Evenly spaced, so many a second.
    ConstantRate {
        /// Devices a second, above zero.
        rate: f64,
    },
    /// Through stages; after the last one its rate goes on until every device has come.
    RampingRate {
        /// Rate at the start, devices a second.
        start_rate: f64,
        /// The stages, at least one; the last one's rate is above zero.
        stages: Vec<Stage>,
    },
    /// So many together, again and again.
    Bursts {
        /// Devices in a burst, above zero; a share of a burst may be no whole number.
        size: f64,
        /// From one burst to the next, above zero.
        every: Duration,
    },
    /// Every device at the start.
    AllAtOnce,
    /// As many at a time, the next whenever one has ended: a closed model, which a service that slows
    /// down slows down, too.
    Closed {
        /// How many, above zero; a share of it may be no whole number.
        concurrency: f64,
    },
    /// Another arrival, but each device by its own chance: a Poisson process of the same rate.
    ByChance {
        /// Where each device is; evenly, as long as nobody has dealt them out.
        scatter: Option<Scatter>,
        /// What the rate does.
        arrival: Box<Arrival>,
    },
    /// Another arrival that starts later.
    Delayed {
        /// How much later.
        by: Duration,
        /// What comes then.
        arrival: Box<Arrival>,
    },
}

/// A stretch over which the rate changes evenly.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stage {
    /// Rate at its end, devices a second.
    pub to_rate: f64,
    /// How long it takes; zero is a step.
    pub over: Duration,
}

impl Arrival {
    /// Intended start of the device of `rank` (0 is the first), since the run's start.
    /// Never falls as `rank` grows; [`Duration::MAX`] when it is beyond all time.
    pub fn release_at(&self, rank: u64) -> Duration {
        self.at(rank, rank as f64)
    }

    /// The start of the device of `rank` that is at this place in the row.
    fn at(&self, rank: u64, place: f64) -> Duration {
        let seconds = match self {
            Self::ConstantRate { rate } => place / rate,
            Self::RampingRate { start_rate, stages } => ramp_until(place, *start_rate, stages),
            Self::Bursts { size, every } => (place / size).floor() * every.as_secs_f64(),
            // Of a closed model nobody can say beforehand, but that the first come then.
            Self::AllAtOnce | Self::Closed { .. } => 0.0,
            Self::ByChance { scatter, arrival } => {
                let place = scatter
                    .as_ref()
                    .map_or(place, |scatter| scatter.place(rank));
                return arrival.at(rank, place);
            }
            Self::Delayed { by, arrival } => return arrival.at(rank, place).saturating_add(*by),
        };
        Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
    }

    /// When one more would come after so many, by the rate alone: bursts take all of their time, and a share
    /// of one its share of it.
    pub fn until(&self, devices: u64) -> Duration {
        let place = devices as f64;
        match self {
            Self::Bursts { size, every } => {
                let seconds = place / size * every.as_secs_f64();
                Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
            }
            Self::ByChance { arrival, .. } => arrival.until(devices),
            Self::Delayed { by, arrival } => arrival.until(devices).saturating_add(*by),
            Self::ConstantRate { .. }
            | Self::RampingRate { .. }
            | Self::AllAtOnce
            | Self::Closed { .. } => self.at(devices, place),
        }
    }

    /// Deals out so many devices by this chance, where they come by chance.
    pub(crate) fn deal(&mut self, devices: u64, chance: &Chance) {
        match self {
            Self::ByChance { scatter, .. } => {
                *scatter = Some(Scatter::new(devices, chance.clone()));
            }
            Self::Delayed { arrival, .. } => arrival.deal(devices, chance),
            Self::ConstantRate { .. }
            | Self::RampingRate { .. }
            | Self::Bursts { .. }
            | Self::AllAtOnce
            | Self::Closed { .. } => {}
        }
    }

    /// How many devices are under way at a time, where the model is closed: the next comes when one has
    /// ended, not at a time.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "from a whole number of 32 bits, and its shares"
    )]
    pub fn concurrency(&self) -> Option<u32> {
        match self {
            Self::Closed { concurrency } => Some(concurrency.round().max(1.0) as u32),
            Self::Delayed { arrival, .. } => arrival.concurrency(),
            Self::ConstantRate { .. }
            | Self::RampingRate { .. }
            | Self::Bursts { .. }
            | Self::ByChance { .. }
            | Self::AllAtOnce => None,
        }
    }

    /// How many devices are due by `elapsed`, were there any number of them: the inverse of
    /// [`Arrival::release_at`], exactly, for it is found by asking that.
    pub fn due(&self, elapsed: Duration) -> u64 {
        let (mut due, mut not_due) = (0, u64::MAX);
        while due < not_due {
            let rank = due + (not_due - due) / 2;
            if self.release_at(rank) <= elapsed {
                due = rank + 1;
            } else {
                not_due = rank;
            }
        }
        due
    }

    /// The same before a moment: a device whose start it is is not due before it.
    pub fn due_before(&self, moment: Duration) -> u64 {
        let last_moment = moment.checked_sub(Duration::from_nanos(1));
        last_moment.map_or(0, |last_moment| self.due(last_moment))
    }

    /// The same curve with every rate times `share`, above zero: what remains for a cohort
    /// that shares an arrival with others.
    #[must_use]
    pub fn scaled(&self, share: f64) -> Self {
        match self {
            Self::ConstantRate { rate } => Self::ConstantRate { rate: rate * share },
            Self::RampingRate { start_rate, stages } => Self::RampingRate {
                start_rate: start_rate * share,
                stages: stages
                    .iter()
                    .map(|stage| Stage {
                        to_rate: stage.to_rate * share,
                        over: stage.over,
                    })
                    .collect(),
            },
            Self::Bursts { size, every } => Self::Bursts {
                size: size * share,
                every: *every,
            },
            Self::AllAtOnce => Self::AllAtOnce,
            Self::Closed { concurrency } => Self::Closed {
                concurrency: concurrency * share,
            },
            Self::ByChance { scatter, arrival } => Self::ByChance {
                scatter: scatter.clone(),
                arrival: Box::new(arrival.scaled(share)),
            },
            Self::Delayed { by, arrival } => Self::Delayed {
                by: *by,
                arrival: Box::new(arrival.scaled(share)),
            },
        }
    }
}

/// Seconds until the area below the stages passes `rank`.
fn ramp_until(rank: f64, start_rate: f64, stages: &[Stage]) -> f64 {
    let (mut rate, mut missing, mut elapsed) = (start_rate, rank, 0.0);
    for stage in stages {
        let over = stage.over.as_secs_f64();
        let area = (rate + stage.to_rate) / 2.0 * over;
        if missing < area {
            return elapsed + stage_until(missing, rate, stage.to_rate, over);
        }
        missing -= area;
        elapsed += over;
        rate = stage.to_rate;
    }
    elapsed + missing / rate
}

/// Seconds into one stage until the area below it is `area`, which it reaches.
fn stage_until(area: f64, from: f64, to: f64, over: f64) -> f64 {
    if area == 0.0 {
        return 0.0;
    }
    // Rounding may leave the root's argument a hair below zero at the end of a ramp to zero.
    let squared = (from * from + 2.0 * area * (to - from) / over).max(0.0);
    (2.0 * area / (from + squared.sqrt())).min(over)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ramp(start_rate: f64, stages: &[(f64, u64)]) -> Arrival {
        Arrival::RampingRate {
            start_rate,
            stages: stages
                .iter()
                .map(|&(to_rate, millis)| Stage {
                    to_rate,
                    over: Duration::from_millis(millis),
                })
                .collect(),
        }
    }

    #[test]
    fn the_timetable_is_the_area_below_the_rate() {
        let millis = Duration::from_millis;
        let constant = Arrival::ConstantRate { rate: 200.0 };
        // 0 to 10/s over 10 s brings 50 devices; the 8th area unit is at √(2·8·1) = 4 s.
        let from_zero = ramp(0.0, &[(10.0, 10_000)]);
        // 10/s held for 2 s (20 devices), a step to 100/s, which goes on.
        let step = ramp(10.0, &[(10.0, 2_000), (100.0, 0)]);
        // Down from 20/s to 0 over 2 s (20 devices), silence for 3 s, then 5/s.
        let pause = ramp(20.0, &[(0.0, 2_000), (0.0, 3_000), (5.0, 0)]);
        let bursts = Arrival::Bursts {
            size: 10.0,
            every: millis(3_000),
        };
        let delayed = Arrival::Delayed {
            by: millis(500),
            arrival: Box::new(constant.clone()),
        };
        let rows = [
            (&bursts, 0, millis(0)),
            (&bursts, 9, millis(0)),
            (&bursts, 10, millis(3_000)),
            (&bursts, 29, millis(6_000)),
            (&delayed, 0, millis(500)),
            (&delayed, 1, millis(505)),
            (&constant, 0, millis(0)),
            (&constant, 1, millis(5)),
            (&constant, 1_000_000, millis(5_000_000)),
            (&from_zero, 0, millis(0)),
            (&from_zero, 8, millis(4_000)),
            (&from_zero, 50, millis(10_000)),
            (&from_zero, 51, millis(10_100)),
            (&step, 19, millis(1_900)),
            (&step, 20, millis(2_000)),
            (&step, 21, millis(2_010)),
            (&pause, 15, millis(1_000)),
            (&pause, 20, millis(5_000)),
            (&pause, 21, millis(5_200)),
            (&Arrival::AllAtOnce, u64::MAX, millis(0)),
        ];
        for (arrival, rank, expected) in rows {
            assert_eq!(arrival.release_at(rank), expected, "{arrival:?} {rank}");
        }
    }

    #[test]
    fn as_many_as_come_in_a_time_make_the_rate() {
        let millis = Duration::from_millis;
        let constant = Arrival::ConstantRate { rate: 200.0 };
        let bursts = Arrival::Bursts {
            size: 100.0,
            every: millis(10_000),
        };
        let by_chance = Arrival::ByChance {
            scatter: None,
            arrival: Box::new(constant.clone()),
        };
        let delayed = Arrival::Delayed {
            by: millis(500),
            arrival: Box::new(by_chance.clone()),
        };
        for (arrival, devices, until) in [
            (&constant, 1_000, millis(5_000)),
            (&constant, 1, millis(5)),
            (&bursts, 300, millis(30_000)),
            (&bursts, 150, millis(15_000)),
            (&by_chance, 1_000, millis(5_000)),
            (&delayed, 1_000, millis(5_500)),
            (&Arrival::AllAtOnce, 1_000, millis(0)),
        ] {
            assert_eq!(arrival.until(devices), until, "{arrival:?}");
        }
    }

    #[test]
    fn a_silent_start_holds_back_the_first_device() {
        let arrival = ramp(0.0, &[(0.0, 3_000), (1.0, 0)]);
        assert_eq!(arrival.due(Duration::from_millis(2_999)), 0);
        assert_eq!(arrival.due(Duration::from_secs(3)), 1);
    }

    #[test]
    fn nobody_is_due_before_a_delayed_arrival_starts() {
        let arrival = Arrival::Delayed {
            by: Duration::from_secs(5),
            arrival: Box::new(Arrival::AllAtOnce),
        };
        assert_eq!(arrival.due(Duration::from_millis(4_999)), 0);
        assert_eq!(arrival.due_before(Duration::from_secs(5)), 0);
        assert_eq!(arrival.due(Duration::from_secs(5)), u64::MAX);
    }

    #[test]
    fn all_at_once_is_due_at_once() {
        assert_eq!(Arrival::AllAtOnce.due(Duration::ZERO), u64::MAX);
    }

    #[test]
    fn a_rate_too_slow_for_any_clock_saturates() {
        let arrival = Arrival::ConstantRate { rate: 1e-300 };
        assert_eq!(arrival.release_at(1), Duration::MAX);
    }

    fn any_arrival() -> impl Strategy<Value = Arrival> {
        let stages = prop::collection::vec((0.0..2_000.0, 0_u64..600_000), 1..6);
        let at_once = prop_oneof![
            (0.01..100_000.0).prop_map(|rate| Arrival::ConstantRate { rate }),
            (0.0..1_000.0, stages, 0.01..5_000.0).prop_map(|(start, mut stages, last)| {
                stages.push((last, 1_000));
                ramp(start, &stages)
            }),
            (0.5..1_000.0, 1_u64..600_000).prop_map(|(size, millis)| Arrival::Bursts {
                size,
                every: Duration::from_millis(millis),
            }),
        ];
        let later = (at_once, 0_u64..600_000).prop_map(|(arrival, millis)| Arrival::Delayed {
            by: Duration::from_millis(millis),
            arrival: Box::new(arrival),
        });
        (later, prop::option::of(1_u64..20_000_000)).prop_map(|(arrival, by_chance)| {
            let Some(devices) = by_chance else {
                return arrival;
            };
            let mut by_chance = Arrival::ByChance {
                scatter: None,
                arrival: Box::new(arrival),
            };
            by_chance.deal(devices, &Chance::new(devices, "arrival", "a"));
            by_chance
        })
    }

    proptest! {
        #[test]
        fn due_and_release_at_agree(arrival in any_arrival(), rank in 0_u64..10_000_000) {
            let at = arrival.release_at(rank);
            let due = arrival.due(at);
            prop_assert!(due > rank);
            prop_assert!(arrival.release_at(due - 1) <= at);
            prop_assert!(arrival.release_at(due) > at);
            let before = arrival.due_before(at);
            prop_assert!(before <= rank);
            prop_assert!(before.checked_sub(1).is_none_or(|last| arrival.release_at(last) < at));
        }

        #[test]
        fn later_ranks_never_come_earlier(arrival in any_arrival(), rank in 0_u64..10_000_000, more in 0_u64..1_000) {
            prop_assert!(arrival.release_at(rank) <= arrival.release_at(rank + more));
        }

        #[test]
        fn shares_of_an_arrival_add_up_to_it(arrival in any_arrival(), seconds in 1_u64..1_000, share in 0.05..0.95) {
            prop_assume!(!matches!(arrival, Arrival::ByChance { .. }));
            let elapsed = Duration::from_secs(seconds);
            let parts = arrival.scaled(share).due(elapsed) + arrival.scaled(1.0 - share).due(elapsed);
            // Each part counts the device at its own start, hence one more; rounding moves one.
            prop_assert!(parts.abs_diff(arrival.due(elapsed)) <= 2, "{parts}");
        }
    }
}
