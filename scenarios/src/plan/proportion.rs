//! Sharing out a total in proportion, in whole devices.

/// Shares `total` out in proportion to `weights`, by the largest remainder (Hamilton's
/// method). Nobody goes empty while there is a device for each. The sum is `total` if any
/// weight is above zero.
pub(super) fn scale(weights: &[u64], total: u64) -> Vec<u64> {
    let sum: u128 = weights.iter().copied().map(u128::from).sum();
    if sum == 0 {
        return weights.to_vec();
    }
    let quota = |weight: u64| u128::from(weight) * u128::from(total);
    let mut shares: Vec<u64> = weights
        .iter()
        .map(|&weight| (quota(weight) / sum) as u64)
        .collect();
    let mut by_remainder: Vec<usize> = (0..weights.len()).collect();
    by_remainder.sort_by_key(|&index| std::cmp::Reverse(quota(weights[index]) % sum));
    let left_over = total - shares.iter().sum::<u64>();
    for &index in by_remainder.iter().take(left_over as usize) {
        shares[index] += 1;
    }
    if total >= weights.len() as u64 {
        feed_the_empty(&mut shares);
    }
    shares
}

/// Each empty share gets one device of the largest.
fn feed_the_empty(shares: &mut [u64]) {
    while let Some(empty) = shares.iter().position(|&share| share == 0) {
        let Some(largest) = (0..shares.len()).max_by_key(|&index| shares[index]) else {
            return;
        };
        shares[largest] -= 1;
        shares[empty] += 1;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_largest_remainders_get_what_is_left() {
        let rows = [
            (vec![600, 200, 200], 20_000, vec![12_000, 4_000, 4_000]),
            (vec![1, 1, 1], 10, vec![4, 3, 3]),
            (vec![5, 3, 2], 7, vec![4, 2, 1]),
            (vec![1_000_000, 1, 1], 3, vec![1, 1, 1]),
            (vec![1_000_000, 1, 1], 2, vec![2, 0, 0]),
        ];
        for (weights, total, expected) in rows {
            assert_eq!(scale(&weights, total), expected, "{weights:?} to {total}");
        }
    }

    proptest! {
        #[test]
        fn shares_add_up_and_nobody_goes_empty(
            weights in prop::collection::vec(1..=u64::from(u32::MAX), 1..20),
            total in 1..1_000_000_u64,
        ) {
            let shares = scale(&weights, total);
            prop_assert_eq!(shares.iter().sum::<u64>(), total);
            if total >= weights.len() as u64 {
                prop_assert!(shares.iter().all(|&share| share > 0));
            }
        }
    }
}
