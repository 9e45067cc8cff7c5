//! The run by cohort, transport, attestation and region, and how its objectives stand.

use fleetstorm_reports::exact::Rounding;
use fleetstorm_reports::snapshot::Snapshot;
use fleetstorm_reports::units::{count, duration, or_dash, percentage_of};
use ratatui::Frame;
use ratatui::layout::{Alignment, Constraint, Rect};
use ratatui::text::Line;
use ratatui::widgets::{Cell, Row, Table};

use super::theme::Theme;

/// Draws it.
pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, snapshot: &Snapshot, theme: Theme) {
    let number = |text: String| Cell::from(Line::from(text).alignment(Alignment::Right));
    let head = ["provisioned", "failed", "p50", "p99", "max"].map(|name| number(name.into()));
    let head = std::iter::once(Cell::from(" cut")).chain(head);
    let mut dimension = "";
    let rows = snapshot.cuts.iter().flat_map(|cut| {
        let heading = (cut.dimension != dimension)
            .then(|| Row::new([Cell::from(format!(" {}", cut.dimension)).style(theme.dim())]));
        dimension = cut.dimension;
        let response = cut.response;
        let failed = number(count(cut.failed)).style(if cut.failed > 0 {
            theme.bad()
        } else {
            theme.dim()
        });
        let cells = [
            Cell::from(format!("   {}", cut.name)),
            number(count(cut.provisioned)),
            failed,
            number(or_dash(response.map(|it| it.p50_us), duration)),
            number(or_dash(response.map(|it| it.p99_us), duration)),
            number(or_dash(response.map(|it| it.max_us), duration)),
        ];
        heading.into_iter().chain([Row::new(cells)])
    });
    let objectives = snapshot.slos.iter().map(|slo| {
        let spent = if slo.budget_left < 0.0 {
            theme.bad()
        } else {
            theme.good()
        };
        let budget = percentage_of(slo.budget_left, 0, Rounding::Down);
        let cells = [
            Cell::from(format!("   {}", slo.name)),
            number(count(slo.good)),
            number(count(slo.total - slo.good)),
            number("budget".into()).style(theme.dim()),
            number("left".into()).style(theme.dim()),
            number(budget).style(spent),
        ];
        Row::new(cells)
    });
    let heading = (!snapshot.slos.is_empty())
        .then(|| Row::new([Cell::from(" objective").style(theme.dim())]));
    let rows = rows.chain(heading).chain(objectives);
    let widths =
        std::iter::once(Constraint::Fill(1)).chain([11, 7, 9, 9, 9].map(Constraint::Length));
    let table = Table::new(rows, widths).header(Row::new(head).style(theme.dim()));
    frame.render_widget(table, area);
}
