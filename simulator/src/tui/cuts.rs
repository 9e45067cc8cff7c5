//! The run by cohort, transport and attestation.

use fleetstorm_reports::snapshot::Snapshot;
use fleetstorm_reports::units::{count, duration};
use ratatui::Frame;
use ratatui::layout::{Alignment, Constraint, Rect};
use ratatui::text::Line;
use ratatui::widgets::{Cell, Row, Table};

use super::theme::Theme;

/// Draws it.
pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, snapshot: &Snapshot, theme: Theme) {
    let number = |text: String| Cell::from(Line::from(text).alignment(Alignment::Right));
    let head = ["provisioned", "failed", "p50", "p99", "max"].map(|name| number(name.into()));
    let head = [Cell::from(" cut"), Cell::from("")].into_iter().chain(head);
    let mut dimension = "";
    let rows = snapshot.cuts.iter().map(|cut| {
        let first = cut.dimension != dimension;
        dimension = cut.dimension;
        let label = if first {
            format!(" {}", cut.dimension)
        } else {
            String::new()
        };
        let response = cut.response;
        let time = |us| {
            if response.count > 0 {
                duration(us)
            } else {
                "–".into()
            }
        };
        let failed = number(count(cut.failed)).style(if cut.failed > 0 {
            theme.bad()
        } else {
            theme.dim()
        });
        let cells = [
            Cell::from(label).style(theme.dim()),
            Cell::from(cut.name.clone()),
            number(count(cut.provisioned)),
            failed,
            number(time(response.p50_us)),
            number(time(response.p99_us)),
            number(time(response.max_us)),
        ];
        Row::new(cells).top_margin(u16::from(first))
    });
    let widths = [Constraint::Length(12), Constraint::Fill(1)]
        .into_iter()
        .chain([Constraint::Length(11); 5]);
    let table = Table::new(rows, widths).header(Row::new(head).style(theme.dim()));
    frame.render_widget(table, area);
}
