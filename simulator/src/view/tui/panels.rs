//! The parts that both layouts of the overview are put together from.

use fleetstorm_reports::Metric;
use fleetstorm_reports::snapshot::{MetricView, ProcessUsage, Snapshot};
use fleetstorm_reports::units::{bytes, count, duration, or_dash, rate};
use ratatui::Frame;
use ratatui::layout::{Alignment, Constraint, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Cell, Row, Table};

use super::state::State;
use super::theme::Theme;

/// Released against planned, as a bar with figures.
pub(super) fn progress(snapshot: &Snapshot, width: u16, theme: Theme) -> Line<'static> {
    let progress = snapshot.progress;
    let figures = format!(
        " {} of {} released",
        count(progress.released),
        count(progress.planned)
    );
    let room = usize::from(width).saturating_sub(figures.chars().count() + 8);
    let due = progress.released + progress.dropped;
    let per_mille = (due * 1000)
        .checked_div(progress.planned)
        .unwrap_or(0)
        .min(1000);
    let filled = room * usize::try_from(per_mille).unwrap_or(0) / 1000;
    Line::from(vec![
        Span::raw(" "),
        Span::styled("█".repeat(filled), theme.accent()),
        Span::styled("░".repeat(room - filled), theme.dim()),
        Span::raw(format!(" {:>3} %", per_mille / 10)),
        Span::styled(figures, theme.dim()),
    ])
}

/// How devices stand.
pub(super) fn counts(snapshot: &Snapshot, theme: Theme) -> Line<'static> {
    let progress = snapshot.progress;
    let alarming = |number: u64| if number > 0 { theme.bad() } else { theme.dim() };
    let warning = |number: u64| {
        if number > 0 {
            theme.warning()
        } else {
            theme.dim()
        }
    };
    let parts = [
        ("in flight", progress.in_flight, theme.title()),
        ("registered", progress.registered, theme.title()),
        ("provisioned", progress.provisioned, theme.good()),
        ("failed", progress.failed, alarming(progress.failed)),
        ("dropped", progress.dropped, alarming(progress.dropped)),
        ("throttled", progress.throttled, warning(progress.throttled)),
        ("retried", progress.retried, warning(progress.retried)),
    ];
    // Most runs know neither: their places are needed.
    let eventful = progress.throttled + progress.retried > 0;
    let shown = if eventful {
        parts.len()
    } else {
        parts.len() - 2
    };
    let spans = parts
        .into_iter()
        .take(shown)
        .flat_map(|(name, number, style)| {
            [
                Span::styled(format!(" {name} "), theme.dim()),
                Span::styled(count(number), style),
                Span::raw(" "),
            ]
        });
    spans.collect::<Vec<_>>().into()
}

/// Asked for, achieved, finished.
pub(super) fn rates(snapshot: &Snapshot, theme: Theme) -> Line<'static> {
    let behind = snapshot.achieved_rate < 0.95 * snapshot.target_rate;
    let achieved = if behind {
        theme.warning()
    } else {
        theme.good()
    };
    let spans = vec![
        Span::styled(" rate ", theme.dim()),
        Span::styled(rate(snapshot.achieved_rate), achieved),
        Span::styled(
            format!(" of {}  done ", rate(snapshot.target_rate)),
            theme.dim(),
        ),
        Span::styled(rate(snapshot.provisioned_rate), theme.title()),
    ];
    spans.into()
}

/// Devices that stay with their hubs; none where nobody does.
pub(super) fn held(snapshot: &Snapshot, theme: Theme) -> Option<Line<'static>> {
    let held = snapshot.held;
    let alarming = |number: u64| {
        if number > 0 {
            theme.warning()
        } else {
            theme.dim()
        }
    };
    let parts = [
        ("held", held.now, theme.title()),
        ("lost", held.dropped, alarming(held.dropped)),
        ("back", held.reconnected, theme.good()),
        ("gone", held.given_up, alarming(held.given_up)),
        ("sent", held.messages, theme.title()),
        ("reprovisions", snapshot.reprovisions, theme.title()),
    ];
    let spans = parts.into_iter().flat_map(|(name, number, style)| {
        [
            Span::styled(format!(" {name} "), theme.dim()),
            Span::styled(count(number), style),
            Span::raw(" "),
        ]
    });
    held.any().then(|| spans.collect::<Vec<_>>().into())
}

/// Both sides' CPU (cores in use) and memory.
pub(super) fn resources(snapshot: &Snapshot, theme: Theme) -> Line<'static> {
    let of = |name: &'static str, usage: ProcessUsage| {
        [
            Span::styled(format!(" {name} "), theme.dim()),
            Span::raw(format!(
                "{:.1} cpu {} ",
                usage.cores,
                bytes(usage.rss_bytes)
            )),
        ]
    };
    let mut spans = of("sim", snapshot.simulator).to_vec();
    if let Some(server) = snapshot.server {
        spans.extend(of("srv", server));
    }
    spans.into()
}

/// The view of a metric, once it has samples.
pub(super) fn view_of(snapshot: &Snapshot, metric: Metric) -> Option<&MetricView> {
    snapshot.metrics.iter().find(|view| view.metric == metric)
}

/// Every metric with its percentiles, of the run and of the last ten seconds; the selected one marked.
pub(super) fn latencies(frame: &mut Frame<'_>, area: Rect, state: &State, theme: Theme) {
    let number = |text: String| Cell::from(Line::from(text).alignment(Alignment::Right));
    let names = ["count", "p50", "p99", "p99.9", "max", "10s p50", "10s p99"];
    let head = names.map(|name| number(name.into()));
    let head = std::iter::once(Cell::from("  latency")).chain(head);
    let rows = (0..).zip(state.metrics()).map(|(index, metric)| {
        let mark = if index == state.selected { "▸" } else { " " };
        let indent = if matches!(metric, Metric::Phase(_)) {
            "  "
        } else {
            ""
        };
        let name = Cell::from(format!(
            "{mark} {indent}{}",
            metric.name().replace('.', " ")
        ));
        let cells = match view_of(state.snapshot(), metric) {
            Some(MetricView {
                percentiles: p,
                recent,
                ..
            }) => [
                count(p.count),
                duration(p.p50_us),
                duration(p.p99_us),
                duration(p.p999_us),
                duration(p.max_us),
                or_dash(recent.map(|p| p.p50_us), duration),
                or_dash(recent.map(|p| p.p99_us), duration),
            ],
            None => ["–", "", "", "", "", "", ""].map(ToOwned::to_owned),
        };
        let row = Row::new(std::iter::once(name).chain(cells.map(number)));
        if index == state.selected {
            row.style(theme.selected())
        } else {
            row
        }
    });
    let widths = std::iter::once(Constraint::Length(24)).chain([Constraint::Fill(1); 7]);
    let table = Table::new(rows, widths)
        .header(Row::new(head).style(theme.dim()))
        .column_spacing(1);
    frame.render_widget(table, area);
}

/// How devices ended, as many kinds as there is room for.
pub(super) fn outcomes(frame: &mut Frame<'_>, area: Rect, snapshot: &Snapshot, theme: Theme) {
    let room = usize::from(area.height);
    let hidden = snapshot.outcomes.len().saturating_sub(room);
    let shown = if hidden > 0 {
        room.saturating_sub(1)
    } else {
        room
    };
    let mut lines: Vec<Line<'_>> = snapshot
        .outcomes
        .iter()
        .take(shown)
        .map(|outcome| {
            let style = if outcome.outcome.is_provisioned() {
                theme.good()
            } else {
                theme.bad()
            };
            Line::from(vec![
                Span::raw(format!("{:>9} ", count(outcome.count))),
                Span::styled(outcome.text.as_str(), style),
            ])
        })
        .collect();
    if hidden > 0 {
        let rest = snapshot.outcomes.iter().skip(shown);
        let devices = rest.map(|outcome| outcome.count).sum();
        lines.push(Line::styled(
            format!("{:>9} in {} other ways", count(devices), hidden + 1),
            theme.dim(),
        ));
    }
    frame.render_widget(ratatui::widgets::Paragraph::new(lines), area);
}
