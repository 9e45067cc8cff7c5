//! The whole screen: header, one view, footer.

use fleetstorm_reports::snapshot::{RunState, Snapshot};
use fleetstorm_reports::units;
use ratatui::Frame;
use ratatui::layout::{Alignment, Constraint, Layout, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::state::{State, View};
use super::theme::Theme;
use super::{cells, cuts, help, large, overview, timeline};

/// Least size that shows anything of use.
const LEAST: (u16, u16) = (72, 20);
/// From here on there is room for frames and the rate's course.
const LARGE: (u16, u16) = (110, 34);
/// How long an event is news.
const EVENT_SHOWN_US: u64 = 10_000_000;

/// Draws everything.
pub(super) fn draw(frame: &mut Frame<'_>, state: &State, theme: Theme) {
    let area = frame.area();
    if area.width < LEAST.0 || area.height < LEAST.1 {
        let text = format!(
            "this terminal has {}x{}, {}x{} is needed",
            area.width, area.height, LEAST.0, LEAST.1
        );
        return frame.render_widget(Paragraph::new(text), area);
    }
    let [top, middle, bottom] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Fill(1),
        Constraint::Length(1),
    ])
    .areas(area);
    header(frame, top, state, theme);
    match state.view {
        View::Overview if area.width >= LARGE.0 && area.height >= LARGE.1 => {
            large::draw(frame, middle, state, theme);
        }
        View::Overview => overview::draw(frame, middle, state, theme),
        View::Timeline => timeline::draw(frame, middle, state.snapshot(), theme),
        View::Cuts => cuts::draw(frame, middle, state.snapshot(), theme),
        View::Cells => cells::draw(frame, middle, state.snapshot(), theme),
        View::Help => help::draw(frame, middle, theme),
    }
    footer(frame, bottom, state, theme);
}

fn header(frame: &mut Frame<'_>, area: Rect, state: &State, theme: Theme) {
    let snapshot = state.snapshot();
    let (word, style) = match snapshot.state {
        RunState::Preparing => ("preparing", theme.dim()),
        RunState::Running => ("running", theme.good()),
        RunState::Draining => ("draining", theme.good()),
        RunState::Holding => ("holding", theme.good()),
        RunState::Stopping => ("stopping", theme.warning()),
        RunState::Finished => ("finished", theme.good()),
    };
    let mut left = vec![
        Span::styled(" fleetstorm ", theme.accent()),
        Span::styled(snapshot.scenario.clone(), theme.title()),
        Span::raw("  "),
        Span::styled(word, style),
        Span::raw(format!(" {}", clock(snapshot))),
    ];
    if state.frozen {
        left.push(Span::styled("  FROZEN", theme.warning()));
    }
    let left = Line::from(left);
    let taken = u16::try_from(left.width() + 2).unwrap_or(u16::MAX);
    frame.render_widget(left, area);
    let room = area.width.saturating_sub(taken);
    // Where it came from is the first to go where room is scarce.
    let name = [&snapshot.target, host(&snapshot.target)]
        .into_iter()
        .find(|name| name.chars().count() < usize::from(room));
    let target = Span::styled(format!("{} ", name.map_or("", |name| name)), theme.dim());
    let right = Rect {
        x: area.x + area.width - room,
        width: room,
        ..area
    };
    frame.render_widget(Paragraph::new(target).alignment(Alignment::Right), right);
}

/// The target's host name alone.
fn host(target: &str) -> &str {
    target.split(' ').next().unwrap_or(target)
}

/// `0:08 of 0:10`, while the schedule runs.
fn clock(snapshot: &Snapshot) -> String {
    let time = |us: u64| format!("{}:{:02}", us / 60_000_000, us / 1_000_000 % 60);
    // Closed loads have no schedule.
    if snapshot.state == RunState::Running && snapshot.schedule_us > 0 {
        format!(
            "{} of {}",
            time(snapshot.elapsed_us),
            time(snapshot.schedule_us)
        )
    } else {
        time(snapshot.elapsed_us)
    }
}

fn footer(frame: &mut Frame<'_>, area: Rect, state: &State, theme: Theme) {
    let snapshot = state.snapshot();
    if let Some(warning) = snapshot.warnings.first() {
        return frame.render_widget(Line::styled(format!(" ! {warning}"), theme.warning()), area);
    }
    let newest = snapshot.events.last();
    let fresh = newest.filter(|event| snapshot.elapsed_us < event.at_us + EVENT_SHOWN_US);
    if let Some(event) = fresh {
        let at = units::duration(event.at_us);
        let text = match &event.problem {
            Some(problem) => format!(" event at {at}: {} failed: {problem}", event.what),
            None => format!(" event at {at}: {}", event.what),
        };
        return frame.render_widget(Line::styled(text, theme.accent()), area);
    }
    let stop = if snapshot.state == RunState::Stopping {
        "leave now"
    } else {
        "stop"
    };
    let keys = [
        ("↑↓", "select"),
        ("tab", "views"),
        ("space", "freeze"),
        ("s", stop),
        ("?", "help"),
    ];
    let mut spans = vec![Span::raw(" ")];
    for (key, meaning) in keys {
        spans.push(Span::styled(key, theme.accent()));
        spans.push(Span::styled(format!(" {meaning}   "), theme.dim()));
    }
    frame.render_widget(Line::from(spans), area);
}
