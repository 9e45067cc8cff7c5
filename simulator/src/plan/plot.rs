//! A curve over time in columns of block elements.

use std::fmt::Write;

/// Eighths of a cell, from below.
const EIGHTHS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/// Rows of a plot.
const ROWS: u64 = 6;
/// Most columns.
const COLUMNS: usize = 72;
/// Columns of the scale at the left.
const SCALE: usize = 12;

/// How columns come together when there are too many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Merge {
    /// The mean, of rates.
    Mean,
    /// The greatest, of levels.
    Most,
}

/// Draws `values`, which cover the time from 0 to `until`; `scale` writes a value.
pub(super) fn draw(
    values: &[f64],
    merge: Merge,
    until: &str,
    scale: impl Fn(f64) -> String,
) -> String {
    let group = values.len().div_ceil(COLUMNS).max(1);
    let columns: Vec<f64> = values
        .chunks(group)
        .map(|chunk| match merge {
            Merge::Mean => chunk.iter().sum::<f64>() / group as f64,
            Merge::Most => chunk.iter().copied().fold(0.0, f64::max),
        })
        .collect();
    let wide = (COLUMNS / columns.len().max(1)).clamp(1, 6);
    let greatest = columns.iter().copied().fold(0.0, f64::max);
    let mut text = String::new();
    for row in (0..ROWS).rev() {
        let label = match row {
            _ if row == ROWS - 1 => scale(greatest),
            0 => "0".into(),
            _ => String::new(),
        };
        let mut line = format!("{label:>SCALE$} ┤");
        for value in &columns {
            let symbol = EIGHTHS[eighths(*value, greatest, row)];
            line.extend(std::iter::repeat_n(symbol, wide));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    let width = (columns.len() * wide).saturating_sub(1);
    // Writing to a string can't fail.
    let _ = writeln!(
        text,
        "{:>SCALE$}  0 s{until:>rest$}",
        "",
        rest = width.saturating_sub(2)
    );
    text
}

/// How many eighths of a row's cell a column fills; whatever is above zero shows.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a part of a few rows, never below zero"
)]
fn eighths(value: f64, greatest: f64, row: u64) -> usize {
    if value <= 0.0 || greatest <= 0.0 {
        return 0;
    }
    let all = ((value / greatest * (ROWS * 8) as f64).round() as u64).max(1);
    all.saturating_sub(row * 8).min(8) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_greatest_fills_its_column_and_the_least_still_shows() {
        assert_eq!(eighths(10.0, 10.0, ROWS - 1), 8);
        assert_eq!(eighths(5.0, 10.0, 3), 0);
        assert_eq!(eighths(5.0, 10.0, 2), 8);
        assert_eq!(eighths(0.001, 10.0, 0), 1);
        assert_eq!(eighths(0.0, 10.0, 0), 0);
        assert_eq!(eighths(0.0, 0.0, 0), 0);
    }

    #[test]
    fn no_plot_is_wider_than_its_columns() {
        for length in [0, 1, 12, 71, 72, 73, 240] {
            let values = vec![1.0; length];
            let text = draw(&values, Merge::Mean, "9 s", |_| "1".into());
            let widest = text.lines().map(|line| line.chars().count()).max();
            assert!(widest <= Some(SCALE + 2 + COLUMNS), "{length}: {widest:?}");
        }
    }
}
