//! The whole run on one axis of time: what was asked for and done, how long it took, and what went wrong when.

use std::ops::Range;

use fleetstorm_reports::event::Happened;
use fleetstorm_reports::series::{HeatMap, IntervalView};
use fleetstorm_reports::snapshot::Snapshot;
use fleetstorm_reports::units::{count, duration, rate};
use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::Style;
use ratatui::text::Line;
use ratatui::widgets::Paragraph;

use super::histogram::EIGHTHS;
use super::theme::Theme;

/// For the names of lanes and the figures beside them.
const LABELS: u16 = 24;
/// From few to many: shapes, not colours.
const SHADES: [&str; 4] = ["░", "▒", "▓", "█"];
/// Least height of the heat map.
const LEAST_HEAT: u16 = 4;

/// Draws it.
pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, snapshot: &Snapshot, theme: Theme) {
    let lanes = lanes(snapshot, theme);
    let rows = u16::try_from(lanes.len()).unwrap_or(u16::MAX);
    let is_tall = area.height > 2 * rows + 3 * LEAST_HEAT;
    let events = if is_tall { 4 } else { 1 };
    let heights = [
        Constraint::Length(rows * if is_tall { 2 } else { 1 }),
        Constraint::Length(1),
        Constraint::Min(LEAST_HEAT),
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Length(events),
    ];
    let [top, title, heat, marks, axis, news] = Layout::vertical(heights).areas(area);
    let time = TimeAxis::new(snapshot, area.width.saturating_sub(LABELS + 1));
    let buffer = frame.buffer_mut();
    let height = if is_tall { 2 } else { 1 };
    for (lane, y) in lanes
        .iter()
        .zip((top.y..top.bottom()).step_by(height.into()))
    {
        lane.draw(Rect { y, height, ..top }, &time, snapshot, buffer);
    }
    buffer.set_string(
        title.x,
        title.y,
        " provisioning response, darker where more devices were",
        theme.title(),
    );
    match &snapshot.heat_map {
        Some(map) => draw_heat(map, heat, &time, &snapshot.timeline, theme, buffer),
        None => {
            buffer.set_string(
                heat.x + LABELS,
                heat.y,
                "nobody was provisioned yet",
                theme.dim(),
            );
        }
    }
    time.draw(axis, theme, buffer);
    draw_marks(&snapshot.events, marks, &time, theme, buffer);
    let shown = snapshot.events.len().saturating_sub(usize::from(events));
    let lines = snapshot.events[shown..].iter().map(|event| {
        let style = event
            .problem
            .as_ref()
            .map_or(theme.accent(), |_| theme.bad());
        let at = clock(event.at_us / 1_000_000);
        Line::styled(format!(" ▼ {at:>8}  {}", event.what), style)
    });
    frame.render_widget(Paragraph::new(lines.collect::<Vec<_>>()), news);
}

/// Which columns show which time.
struct TimeAxis {
    columns: u16,
    end_s: u64,
    /// What lies behind it has not happened yet.
    now_s: u64,
}

impl TimeAxis {
    fn new(snapshot: &Snapshot, columns: u16) -> Self {
        let now_s = snapshot.elapsed_us.div_ceil(1_000_000);
        Self {
            columns,
            end_s: now_s.max(snapshot.schedule_us.div_ceil(1_000_000)).max(1),
            now_s,
        }
    }

    fn column(&self, second: u64) -> u16 {
        let column = (second * u64::from(self.columns)).div_ceil(self.end_s);
        u16::try_from(column)
            .unwrap_or(u16::MAX)
            .min(self.columns.saturating_sub(1))
    }

    /// The intervals that a column shows: those that begin in it, or the one that it is a part of; none behind now.
    fn intervals(&self, column: u16, timeline: &[IntervalView]) -> Range<usize> {
        let start = |column: u16| u64::from(column) * self.end_s / u64::from(self.columns.max(1));
        let (from_s, to_s) = (start(column), start(column + 1));
        if from_s >= self.now_s {
            return 0..0;
        }
        let first = timeline.partition_point(|interval| interval.at_s < from_s);
        let end = timeline.partition_point(|interval| interval.at_s < to_s);
        if first < end {
            first..end
        } else {
            let begun = timeline.partition_point(|interval| interval.at_s <= from_s);
            begun.saturating_sub(1)..begun
        }
    }

    /// The begin, the middle and the end.
    fn draw(&self, area: Rect, theme: Theme, buffer: &mut Buffer) {
        let left = area.x + LABELS;
        for (share, second) in [(0, 0), (1, self.end_s / 2), (2, self.end_s)] {
            let text = clock(second);
            let width = u16::try_from(text.len()).unwrap_or(0);
            let at = self.columns * share / 2;
            let x = left + at.saturating_sub(width * share / 2);
            buffer.set_string(x, area.y, text, theme.dim());
        }
    }
}

/// A value over time, as bars.
struct Lane {
    name: &'static str,
    style: Style,
    /// Of some intervals together; none where nobody looked.
    value: fn(&[IntervalView]) -> Option<f64>,
    words: fn(f64) -> String,
}

impl Lane {
    fn draw(&self, area: Rect, time: &TimeAxis, snapshot: &Snapshot, buffer: &mut Buffer) {
        let timeline = &snapshot.timeline;
        let values: Vec<_> = (0..time.columns)
            .map(|column| {
                let intervals = time.intervals(column, timeline);
                (!intervals.is_empty()).then(|| (self.value)(&timeline[intervals]))?
            })
            .collect();
        let most = values.iter().flatten().copied().fold(0.0, f64::max);
        let label = format!(" {:<12}{:>10}", self.name, (self.words)(most));
        buffer.set_string(area.x, area.bottom() - 1, label, self.style);
        for (column, value) in (0..).zip(values) {
            let share = value
                .filter(|_| most > 0.0)
                .map_or(0.0, |value| value / most);
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a few rows of eighths"
            )]
            let mut eighths = (share * f64::from(area.height * 8)).ceil() as usize;
            for y in (area.y..area.bottom()).rev() {
                let filled = eighths.min(8);
                eighths -= filled;
                buffer.set_string(area.x + LABELS + column, y, EIGHTHS[filled], self.style);
            }
        }
    }
}

/// Those that say something of this run.
fn lanes(snapshot: &Snapshot, theme: Theme) -> Vec<Lane> {
    let a_second = |name, style, value| Lane {
        name,
        style,
        value,
        words: rate,
    };
    let all = [
        (
            a_second("due", theme.dim(), |of| per_second(of, |it| it.due)),
            true,
        ),
        (
            a_second("released", theme.accent(), |of| {
                per_second(of, |it| it.released)
            }),
            true,
        ),
        (
            a_second("provisioned", theme.good(), |of| {
                per_second(of, |it| it.provisioned)
            }),
            true,
        ),
        (
            a_second("failed", theme.bad(), |of| per_second(of, |it| it.failed)),
            true,
        ),
        (
            a_second("throttled", theme.warning(), |of| {
                per_second(of, |it| it.throttled)
            }),
            snapshot.timeline.iter().any(|it| it.throttled > 0),
        ),
        (
            a_second("retries", theme.warning(), |of| {
                per_second(of, |it| it.retries)
            }),
            snapshot.timeline.iter().any(|it| it.retries > 0),
        ),
        (
            a_second("lost", theme.bad(), |of| {
                per_second(of, |it| it.lost_connections)
            }),
            snapshot.timeline.iter().any(|it| it.lost_connections > 0),
        ),
        (
            Lane {
                name: "held",
                style: theme.title(),
                value: |of| of.iter().rev().find_map(|it| it.held).map(number),
                words: |devices| count(devices.round() as u64),
            },
            snapshot.held.any(),
        ),
    ];
    let shown = all.into_iter().filter(|(_, is_shown)| *is_shown);
    shown.map(|(lane, _)| lane).collect()
}

fn per_second(intervals: &[IntervalView], of: fn(&IntervalView) -> u64) -> Option<f64> {
    let (count, seconds) = intervals.iter().fold((0, 0), |(count, seconds), it| {
        (count + of(it), seconds + it.span_s)
    });
    (seconds > 0).then(|| number(count) / number(seconds))
}

/// A column of shades for each of the axis's; longer times further up.
fn draw_heat(
    map: &HeatMap,
    area: Rect,
    time: &TimeAxis,
    timeline: &[IntervalView],
    theme: Theme,
    buffer: &mut Buffer,
) {
    let rows = map.bounds_us.len().saturating_sub(1).max(1);
    let height = usize::from(area.height).min(rows);
    let line = |row: usize| row * height / rows;
    let columns: Vec<Vec<u64>> = (0..time.columns)
        .map(|column| {
            let mut devices = vec![0; height];
            let intervals = time.intervals(column, timeline);
            for cell in map.columns.get(intervals).into_iter().flatten().flatten() {
                devices[line(cell.row)] += cell.count;
            }
            devices
        })
        .collect();
    let most = number(columns.iter().flatten().copied().max().unwrap_or(0) + 1).ln();
    let y_of = |line: usize| area.bottom() - 1 - u16::try_from(line).unwrap_or(0);
    for (column, devices) in (0..).zip(&columns) {
        for (line, devices) in devices
            .iter()
            .enumerate()
            .filter(|(_, devices)| **devices > 0)
        {
            // Counts differ by powers of ten, and one device must be seen, too.
            let share = number(devices + 1).ln() / most;
            let shade = SHADES
                .iter()
                .zip([0.34, 0.6, 0.85])
                .find(|(_, up_to)| share < *up_to);
            let symbol = shade.map_or(SHADES[3], |(symbol, _)| symbol);
            buffer.set_string(area.x + LABELS + column, y_of(line), symbol, theme.accent());
        }
    }
    // The upper bound of the highest line, the one in the middle, and the lower one of the lowest.
    for line_at in [0, height / 2, height.saturating_sub(1)] {
        let row = (0..rows).find(|row| line(*row) == line_at).unwrap_or(0);
        let bound = match line_at + 1 == height {
            true => map.bounds_us.last(),
            false => map.bounds_us.get(row),
        };
        let label = bound.map_or(String::new(), |us| duration(*us));
        buffer.set_string(area.x, y_of(line_at), format!("{label:>23}"), theme.dim());
    }
}

/// Where events were.
fn draw_marks(events: &[Happened], area: Rect, time: &TimeAxis, theme: Theme, buffer: &mut Buffer) {
    for event in events {
        let column = time.column(event.at_us / 1_000_000);
        let style = event
            .problem
            .as_ref()
            .map_or(theme.accent(), |_| theme.bad());
        buffer.set_string(area.x + LABELS + column, area.y, "▼", style);
    }
}

/// Like `1:02:03` or `2:03`.
fn clock(second: u64) -> String {
    let (hours, minutes, seconds) = (second / 3_600, second / 60 % 60, second % 60);
    match hours {
        0 => format!("{minutes}:{seconds:02}"),
        _ => format!("{hours}:{minutes:02}:{seconds:02}"),
    }
}

#[expect(clippy::cast_precision_loss, reason = "devices on a screen")]
fn number(devices: u64) -> f64 {
    devices as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn axis(columns: u16, end_s: u64, now_s: u64) -> TimeAxis {
        TimeAxis {
            columns,
            end_s,
            now_s,
        }
    }

    fn every(span_s: u64, intervals: u64) -> Vec<IntervalView> {
        let at = |index| IntervalView {
            at_s: index * span_s,
            span_s,
            released: 1,
            ..IntervalView::default()
        };
        (0..intervals).map(at).collect()
    }

    #[test]
    fn every_interval_is_shown_once_where_there_are_fewer_columns() {
        for (columns, intervals) in [(10_u16, 10), (7, 60), (55, 512), (1, 3)] {
            let timeline = every(1, intervals);
            let time = axis(columns, intervals, intervals);
            let shown = (0..columns).flat_map(|column| time.intervals(column, &timeline));
            let expected: Vec<_> = (0..timeline.len()).collect();
            assert_eq!(shown.collect::<Vec<_>>(), expected, "{columns} {intervals}");
        }
    }

    #[test]
    fn an_interval_lasts_over_several_columns_and_the_future_is_empty() {
        let timeline = every(4, 3);
        let time = axis(24, 24, 12);
        let shown: Vec<_> = (0..24)
            .map(|column| time.intervals(column, &timeline))
            .collect();
        assert!(shown[..4].iter().all(|range| *range == (0..1)), "{shown:?}");
        assert!(
            shown[8..12].iter().all(|range| *range == (2..3)),
            "{shown:?}"
        );
        assert!(shown[12..].iter().all(Range::is_empty), "{shown:?}");
        assert_eq!(time.column(24), 23);
    }
}
