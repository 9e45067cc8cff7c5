//! Of many things those that matter most, so that a list stays bounded.

use std::cmp::Reverse;

/// At most so many of `items`: those of the greatest weight, in their order. Of equals the first.
pub fn foremost<T, W: Ord>(
    items: impl IntoIterator<Item = T>,
    most: usize,
    weight: impl Fn(&T) -> W,
) -> Vec<T> {
    let mut placed: Vec<(usize, T)> = items.into_iter().enumerate().collect();
    if placed.len() > most {
        placed.sort_by_key(|(_, item)| Reverse(weight(item)));
        placed.truncate(most);
        placed.sort_by_key(|(place, _)| *place);
    }
    placed.into_iter().map(|(_, item)| item).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_greatest_stay_in_their_order() {
        let weight = |item: &i32| *item;
        assert_eq!(foremost([5, 1, 9, 5, 5], 3, weight), [5, 9, 5]);
        assert_eq!(foremost([5, 1], 3, weight), [5, 1]);
        assert!(foremost([5, 1], 0, weight).is_empty());
    }
}
