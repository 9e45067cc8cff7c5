//! How values become positions in a plot.

/// How values become positions.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Scale {
    /// By even steps.
    Linear {
        /// Least value shown.
        min: f64,
        /// Greatest value shown.
        max: f64,
    },
    /// By powers of ten.
    Log {
        /// Least value shown, above zero.
        min: f64,
        /// Greatest value shown.
        max: f64,
    },
}

impl Scale {
    /// From zero to a round number at or above `greatest`.
    pub(crate) fn linear(greatest: f64) -> Self {
        let greatest = greatest.max(1.0);
        Self::around(0.0, greatest)
    }

    /// Round numbers around both ends.
    fn around(least: f64, greatest: f64) -> Self {
        let step = nice_step((greatest - least) / 4.0);
        Self::Linear {
            min: (least / step).floor() * step,
            max: (greatest / step).ceil() * step,
        }
    }

    /// Whole powers of ten around all of `values`; even steps where they lie within one power of ten,
    /// and would be a needle in it.
    pub(crate) fn log(values: impl Iterator<Item = f64>) -> Self {
        let positive = values.filter(|value| *value > 0.0);
        let (least, greatest) = positive.fold((f64::MAX, 0.0_f64), |(least, greatest), value| {
            (least.min(value), greatest.max(value))
        });
        if greatest == 0.0 {
            return Self::Log {
                min: 1.0,
                max: 10.0,
            };
        }
        if least < greatest && greatest < least * 10.0 {
            return Self::around(least, greatest);
        }
        let min = 10_f64.powf(least.log10().floor());
        let max = 10_f64.powf(greatest.log10().ceil());
        Self::Log {
            min,
            max: if max > min { max } else { min * 10.0 },
        }
    }

    /// 0 at the least, 1 at the greatest.
    pub(super) fn share(self, value: f64) -> f64 {
        let share = match self {
            Self::Linear { min, max } => (value - min) / (max - min),
            Self::Log { min, max } => (value.max(min) / min).log10() / (max / min).log10(),
        };
        share.clamp(0.0, 1.0)
    }

    pub(super) fn ticks(self) -> Vec<f64> {
        match self {
            Self::Linear { min, max } => {
                let step = nice_step((max - min) / 4.0);
                std::iter::successors(Some(min), |tick| Some(tick + step))
                    .take_while(|tick| *tick <= max * 1.001)
                    .collect()
            }
            Self::Log { min, max } => std::iter::successors(Some(min), |tick| Some(tick * 10.0))
                .take_while(|tick| *tick <= max * 1.001)
                .collect(),
        }
    }
}

/// 1, 2 or 5 times a power of ten, at or above `rough`.
fn nice_step(rough: f64) -> f64 {
    let power = 10_f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0]
        .into_iter()
        .map(|digit| digit * power)
        .find(|step| *step >= rough * 0.999);
    step.unwrap_or(10.0 * power)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_end_at_round_numbers() {
        let zero_to_200 = Scale::Linear {
            min: 0.0,
            max: 200.0,
        };
        assert_eq!(Scale::linear(193.0), zero_to_200);
        let within_a_power = Scale::Linear {
            min: 1_000.0,
            max: 1_040.0,
        };
        let narrow = [1_004.0, 1_033.0];
        assert_eq!(Scale::log(narrow.into_iter()), within_a_power);
        assert_eq!(
            Scale::linear(193.0).ticks(),
            [0.0, 50.0, 100.0, 150.0, 200.0]
        );
        assert_eq!(Scale::linear(0.0).ticks().len(), 3);
        let log = Scale::log([250.0, 4_200.0, 0.0].into_iter());
        assert_eq!(log.ticks(), [100.0, 1_000.0, 10_000.0]);
        assert_eq!(Scale::log(std::iter::empty()).ticks(), [1.0, 10.0]);
        assert_eq!(log.share(100.0), 0.0);
        assert_eq!(log.share(1_000.0), 0.5);
        assert_eq!(log.share(1e9), 1.0);
    }
}
