//! The overview where there is room: frames, and the course of the rate.

use fleetstorm_reports::snapshot::{SecondView, Snapshot};
use fleetstorm_reports::units;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::Style;
use ratatui::symbols::Marker;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Axis, Block, BorderType, Chart, Dataset, GraphType, Paragraph};

use super::histogram::Histogram;
use super::panels;
use super::state::State;
use super::theme::Theme;

/// Draws it.
pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, state: &State, theme: Theme) {
    let snapshot = state.snapshot();
    let table = u16::try_from(state.metrics().len() + 3).unwrap_or(u16::MAX);
    let progress = [
        Some(panels::counts(snapshot, theme)),
        panels::held(snapshot, theme),
        Some(panels::rates(snapshot, theme)),
        Some(panels::resources(snapshot, theme)),
    ];
    let progress: Vec<_> = progress.into_iter().flatten().collect();
    // The bar and the frame come to them.
    let height = u16::try_from(progress.len() + 3).unwrap_or(u16::MAX);
    let [top, middle, bottom] = Layout::vertical([
        Constraint::Length(height),
        Constraint::Length(table),
        Constraint::Fill(1),
    ])
    .areas(area);

    let inside = framed(frame, top, "progress", theme);
    let bar = panels::progress(snapshot, inside.width, theme);
    let lines: Vec<_> = [bar].into_iter().chain(progress).collect();
    frame.render_widget(Paragraph::new(lines), inside);

    let split = [Constraint::Length(82), Constraint::Fill(1)];
    let [left, right] = Layout::horizontal(split).areas(middle);
    let inside = framed(frame, left, "latencies", theme);
    panels::latencies(frame, inside, state, theme);
    let inside = framed(frame, right, "devices a second", theme);
    rates(frame, inside, snapshot, theme);

    let [left, right] = Layout::horizontal(split).areas(bottom);
    let metric = state.metric();
    let inside = framed(frame, left, &metric.name().replace('.', " "), theme);
    frame.render_widget(
        Histogram {
            view: panels::view_of(snapshot, metric),
            theme,
        },
        inside,
    );
    let inside = framed(frame, right, "outcomes", theme);
    panels::outcomes(frame, inside, snapshot, theme);
}

/// Draws a frame; what is inside is returned.
fn framed(frame: &mut Frame<'_>, area: Rect, name: &str, theme: Theme) -> Rect {
    let block = Block::bordered()
        .border_type(BorderType::Rounded)
        .border_style(theme.dim())
        .title(Span::styled(format!(" {name} "), theme.title()));
    let inside = block.inner(area);
    frame.render_widget(block, area);
    inside
}

/// Target against released against provisioned, as many seconds as there are columns.
fn rates(frame: &mut Frame<'_>, area: Rect, snapshot: &Snapshot, theme: Theme) {
    let [chart, legend] =
        Layout::vertical([Constraint::Fill(1), Constraint::Length(1)]).areas(area);
    let columns = usize::from(area.width).max(20);
    let seconds = &snapshot.seconds[snapshot.seconds.len().saturating_sub(columns)..];
    let series = |value: fn(&SecondView) -> Option<f64>, style| {
        let parts = between_gaps(seconds.iter().map(value));
        parts.into_iter().map(move |points| (points, style))
    };
    let drawn: Vec<(Vec<(f64, f64)>, Style)> = series(|second| Some(second.target), theme.dim())
        .chain(series(|second| Some(second.seen?.released), theme.accent()))
        .chain(series(
            |second| Some(second.seen?.provisioned),
            theme.good(),
        ))
        .collect();
    let greatest = drawn
        .iter()
        .flat_map(|(points, _)| points)
        .map(|(_, value)| *value)
        .fold(1.0, f64::max);
    let sets = drawn.iter().map(|(points, style)| {
        Dataset::default()
            .data(points)
            .style(*style)
            .marker(Marker::Braille)
            .graph_type(GraphType::Line)
    });
    #[expect(clippy::cast_precision_loss, reason = "seconds on a screen")]
    let end = seconds.len().saturating_sub(1).max(1) as f64;
    let x = Axis::default().bounds([0.0, end]).style(theme.dim());
    let y = Axis::default()
        .bounds([0.0, greatest * 1.05])
        .labels(["0".to_owned(), units::rate(greatest)])
        .style(theme.dim());
    frame.render_widget(
        Chart::new(sets.collect())
            .x_axis(x)
            .y_axis(y)
            .legend_position(None),
        chart,
    );
    let names = Line::from(vec![
        Span::styled(" ─ target", theme.dim()),
        Span::styled(" ─ released", theme.accent()),
        Span::styled(" ─ provisioned", theme.good()),
    ]);
    frame.render_widget(names, legend);
}

/// The stretches of a course that has gaps, with the place of each value.
fn between_gaps(course: impl Iterator<Item = Option<f64>>) -> Vec<Vec<(f64, f64)>> {
    let mut parts = vec![Vec::new()];
    for (at, value) in (0_u32..).zip(course) {
        match (value, parts.last_mut()) {
            (Some(value), Some(part)) => part.push((f64::from(at), value)),
            _ => parts.push(Vec::new()),
        }
    }
    parts.retain(|part| !part.is_empty());
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_saw_is_a_gap() {
        let course = [None, Some(1.0), Some(2.0), None, None, Some(5.0)];
        let parts = between_gaps(course.into_iter());
        assert_eq!(parts, [vec![(1.0, 1.0), (2.0, 2.0)], vec![(5.0, 5.0)]]);
        assert!(between_gaps(std::iter::empty()).is_empty());
    }
}
