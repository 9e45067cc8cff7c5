//! The overview where room is scarce: 80 by 24.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::Line;

use super::histogram::Histogram;
use super::panels;
use super::state::State;
use super::theme::Theme;

/// Draws it.
pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, state: &State, theme: Theme) {
    let snapshot = state.snapshot();
    let table = u16::try_from(state.metrics().len() + 1).unwrap_or(u16::MAX);
    let held = panels::held(snapshot, theme);
    let [bar, counts, lived, rates, latencies, titles, bottom] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Length(u16::from(held.is_some())),
        Constraint::Length(1),
        Constraint::Length(table),
        Constraint::Length(1),
        Constraint::Fill(1),
    ])
    .areas(area);
    frame.render_widget(panels::progress(snapshot, bar.width, theme), bar);
    frame.render_widget(panels::counts(snapshot, theme), counts);
    frame.render_widget(held.unwrap_or_default(), lived);
    let [rates, resources] =
        Layout::horizontal([Constraint::Fill(1), Constraint::Length(45)]).areas(rates);
    frame.render_widget(panels::rates(snapshot, theme), rates);
    frame.render_widget(panels::resources(snapshot, theme), resources);
    panels::latencies(frame, latencies, state, theme);

    let split = [
        Constraint::Fill(3),
        Constraint::Length(1),
        Constraint::Fill(2),
    ];
    let [left_title, _, right_title] = Layout::horizontal(split).areas(titles);
    let [left, _, right] = Layout::horizontal(split).areas(bottom);
    frame.render_widget(
        title(&state.metric().name().replace('.', " "), theme),
        left_title,
    );
    frame.render_widget(title("outcomes", theme), right_title);
    let histogram = Histogram {
        view: panels::view_of(snapshot, state.metric()),
        theme,
    };
    frame.render_widget(
        histogram,
        Rect {
            x: left.x + 1,
            width: left.width.saturating_sub(1),
            ..left
        },
    );
    panels::outcomes(frame, right, snapshot, theme);
}

fn title(name: &str, theme: Theme) -> Line<'static> {
    Line::styled(format!(" {name}"), theme.title())
}
