//! HdrHistogram's layout of buckets: even steps within each power of two, so narrow that a value is known to so
//! many significant digits.

/// How finely a histogram tells values apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precision {
    /// Three significant digits. For the run's totals.
    Fine,
    /// Two significant digits. For cuts and stretches of time.
    Coarse,
}

/// Where a precision's buckets lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Layout {
    digits: u8,
    /// Values below two to this power have a bucket each; every octave above has half as many.
    magnitude: u32,
}

impl Layout {
    pub(super) const fn new(precision: Precision) -> Self {
        // The least power of two that is at least twice ten to the number of digits.
        let (digits, magnitude) = match precision {
            Precision::Fine => (3, 11),
            Precision::Coarse => (2, 8),
        };
        Self { digits, magnitude }
    }

    /// Significant digits.
    pub(super) const fn digits(self) -> u8 {
        self.digits
    }

    /// The bucket of a value.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "shifted until few bits are left"
    )]
    pub(super) const fn index(self, value: u64) -> usize {
        let octave = self.octave(value);
        octave as usize * self.half() + (value >> octave) as usize
    }

    /// The greatest value of a bucket.
    pub(super) fn greatest(self, index: usize) -> u64 {
        let octave = (index / self.half()).saturating_sub(1);
        let within = (index - octave * self.half()) as u64;
        ((within + 1) << octave) - 1
    }

    /// How many times the buckets around a value are twice as wide as one.
    const fn octave(self, value: u64) -> u32 {
        (u64::BITS - value.leading_zeros()).saturating_sub(self.magnitude)
    }

    const fn half(self) -> usize {
        1 << (self.magnitude - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_bucket_is_as_wide_as_its_digits_allow(value in 0_u64..1 << 40) {
            for (precision, digits) in [(Precision::Fine, 1_000), (Precision::Coarse, 100)] {
                let layout = Layout::new(precision);
                let index = layout.index(value);
                let greatest = layout.greatest(index);
                let least = index.checked_sub(1).map_or(0, |before| layout.greatest(before) + 1);
                prop_assert!((least..=greatest).contains(&value));
                prop_assert!((greatest - least) * digits <= value);
                prop_assert_eq!(layout.index(greatest), index);
                prop_assert_eq!(layout.index(greatest + 1), index + 1);
            }
        }
    }
}
