//! A histogram of log-spaced buckets in columns of block elements.

use fleetstorm_reports::latency::HistogramBucket;
use fleetstorm_reports::snapshot::MetricView;
use fleetstorm_reports::units;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::widgets::Widget;

use super::theme::Theme;

/// Eighths of a cell, from below.
pub(super) const EIGHTHS: [&str; 9] = [" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"];

/// Bars over an axis; what lies beyond the 90th and 99th percentile stands out.
pub(super) struct Histogram<'a> {
    pub(super) view: Option<&'a MetricView>,
    pub(super) theme: Theme,
}

impl Widget for Histogram<'_> {
    fn render(self, area: Rect, buffer: &mut Buffer) {
        let Some(view) = self.view.filter(|view| !view.buckets.is_empty()) else {
            buffer.set_string(area.x + 1, area.y, "no samples yet", self.theme.dim());
            return;
        };
        if area.height < 2 || area.width < 8 {
            return;
        }
        let bars = fit(&view.buckets, usize::from(area.width));
        let columns = (usize::from(area.width) / bars.len()).min(6);
        let greatest = bars.iter().map(|bar| bar.count).max().unwrap_or(1).max(1);
        let height = u64::from(area.height - 1);
        for (index, bar) in bars.iter().enumerate() {
            let style = self.style_of(bar, view);
            let mut eighths = (bar.count * height * 8).div_ceil(greatest);
            for row in (0..area.height - 1).rev() {
                let filled = eighths.min(8);
                eighths -= filled;
                let symbol = EIGHTHS[usize::try_from(filled).unwrap_or(8)];
                for column in 0..columns {
                    let x = area.x + u16::try_from(index * columns + column).unwrap_or(u16::MAX);
                    buffer.set_string(x, area.y + row, symbol, style);
                }
            }
        }
        let width = u16::try_from(bars.len() * columns).unwrap_or(area.width);
        self.axis(
            &bars,
            Rect {
                width: width.max(area.width.min(24)),
                ..area
            },
            buffer,
        );
    }
}

impl Histogram<'_> {
    fn style_of(&self, bar: &HistogramBucket, view: &MetricView) -> Style {
        if bar.from_us >= view.percentiles.p99_us {
            self.theme.bad()
        } else if bar.from_us >= view.percentiles.p90_us {
            self.theme.warning()
        } else {
            self.theme.accent()
        }
    }

    /// Both ends, and the middle where there is room.
    fn axis(&self, bars: &[HistogramBucket], area: Rect, buffer: &mut Buffer) {
        let (Some(first), Some(last)) = (bars.first(), bars.last()) else {
            return;
        };
        let (from, to) = (units::duration(first.from_us), units::duration(last.to_us));
        let y = area.bottom() - 1;
        let right = |text: &str| {
            area.right()
                .saturating_sub(u16::try_from(text.chars().count()).unwrap_or(0))
        };
        buffer.set_string(area.x, y, &from, self.theme.dim());
        buffer.set_string(right(&to), y, &to, self.theme.dim());
        if area.width >= 40
            && let Some(middle) = bars.get(bars.len() / 2)
        {
            let text = units::duration(middle.from_us);
            let half = u16::try_from(text.chars().count() / 2).unwrap_or(0);
            buffer.set_string(area.x + area.width / 2 - half, y, text, self.theme.dim());
        }
    }
}

/// Merges neighbours until there are no more bars than columns.
fn fit(buckets: &[HistogramBucket], columns: usize) -> Vec<HistogramBucket> {
    let merged = buckets.len().div_ceil(columns.max(1)).max(1);
    let groups = buckets.chunks(merged).filter_map(|group| {
        let (first, last) = (group.first()?, group.last()?);
        let count = group.iter().map(|bucket| bucket.count).sum();
        Some(HistogramBucket {
            from_us: first.from_us,
            to_us: last.to_us,
            count,
        })
    });
    groups.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merging_loses_no_sample() {
        let buckets: Vec<_> = (1..=64)
            .map(|at| HistogramBucket {
                from_us: at,
                to_us: at + 1,
                count: at,
            })
            .collect();
        for columns in [1, 7, 30, 63, 64, 100] {
            let bars = fit(&buckets, columns);
            assert!(bars.len() <= columns, "{columns}");
            assert_eq!(bars.iter().map(|bar| bar.count).sum::<u64>(), 64 * 65 / 2);
        }
    }
}
