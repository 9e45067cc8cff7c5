use super::*;

fn ranked(samples: impl IntoIterator<Item = u64>) -> Ranked {
    let mut histogram = Histogram::<u64>::new(3).expect("digits");
    for sample in samples {
        histogram.record(sample).expect("it grows");
    }
    Ranked::new(&histogram)
}

/// As the tables of the binomial distribution have it, at 2.5 % on either side: of 100 samples the 40th and the 61st
/// are about the median (Conover, Practical Nonparametric Statistics).
#[test]
fn a_median_lies_between_ranks_that_the_literature_tells() {
    let counted = ranked(1..=100);
    let Between { low, value, high } = counted.between(0.5, 0.025);
    assert_eq!((low, value, high), (Some(40.0), 50.0, Some(61.0)));
}

#[test]
fn a_percentile_of_few_samples_has_no_upper_end() {
    let error = 0.001;
    let sample = |count| Sample::Ranked {
        counted: ranked(1..=count),
        share: 0.99,
    };
    let needed = sample(100).needs(error).expect("more");
    assert_eq!(needed, 688);
    assert_eq!(sample(needed).needs(error), None);
    for (count, is_bounded) in [(needed - 1, false), (needed, true)] {
        let Sample::Ranked { counted, share } = sample(count) else {
            unreachable!();
        };
        assert_eq!(counted.between(share, error).high.is_some(), is_bounded);
    }
}

/// How often an interval misses what it is about, over many samples of a known distribution.
#[test]
fn ends_are_wrong_as_seldom_as_they_say() {
    let error = 0.05;
    let mut state = 7_u64;
    let mut uniform = || {
        // splitmix64
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) as f64 / u64::MAX as f64
    };
    let mut draw = |scale: f64| {
        let exponential =
            |uniform: f64| (1_000_000.0 * scale * (1.0 - 0.999_999 * uniform).ln().abs()) as u64;
        Sample::Ranked {
            counted: ranked((0..400).map(|_| exponential(uniform()))),
            share: 0.9,
        }
    };
    let rounds = 1_000;
    let (mut above, mut below) = (0, 0);
    for _ in 0..rounds {
        let interval = draw(1.1).beside(&draw(1.0), error);
        above += u32::from(interval.at_least.is_some_and(|least| least > 0.1));
        below += u32::from(interval.at_most.is_some_and(|most| most < 0.1));
    }
    for missed in [above, below] {
        assert!(
            f64::from(missed) < 1.3 * error * f64::from(rounds),
            "{missed}"
        );
    }
    assert!(above + below > 10, "intervals that never miss are too wide");
}

#[test]
fn counts_without_a_baseline_still_have_a_least_change() {
    let counted = |count| Sample::Counted { count, of: 1_000.0 };
    let none = counted(0).beside(&counted(0), 0.01);
    assert_eq!((none.at_least, none.at_most), (Some(-1.0), None));
    let some = counted(100).beside(&counted(0), 0.01);
    assert!(some.at_least.is_some_and(|least| least > 10.0), "{some:?}");
    assert_eq!(some.at_most, None);
    let gone = counted(0).beside(&counted(100), 0.01);
    assert_eq!(gone.at_least, Some(-1.0));
    assert!(gone.at_most.is_some_and(|most| most < -0.9), "{gone:?}");
    let same = counted(100).beside(&counted(100), 0.01);
    let (least, most) = Option::zip(same.at_least, same.at_most).expect("both");
    assert!(
        -0.35 < least && least < -0.2 && 0.25 < most && most < 0.5,
        "{same:?}"
    );
}
