//! Every attestation over every transport, as a matrix.

use fleetstorm_reports::Snapshot;
use fleetstorm_reports::cut::view::CellView;
use fleetstorm_reports::units::{count, duration};
use ratatui::Frame;
use ratatui::layout::{Alignment, Constraint, Rect};
use ratatui::text::{Line, Text};
use ratatui::widgets::{Cell, Row, Table};

use super::theme::Theme;

/// Lines of a cell: devices, p50, p99.
const HEIGHT: u16 = 3;

/// Draws it.
pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, snapshot: &Snapshot, theme: Theme) {
    let transports = names(snapshot, |cell| &cell.transport);
    let attestations = names(snapshot, |cell| &cell.attestation);
    let right = |line: Line<'static>| line.alignment(Alignment::Right);
    let head = transports
        .iter()
        .map(|name| Cell::from(right(Line::from((*name).to_owned()))));
    let head = Row::new(std::iter::once(Cell::from(" devices, p50, p99")).chain(head));
    let rows = attestations.iter().map(|attestation| {
        let cells = transports.iter().map(|transport| {
            let is_it = |cell: &&CellView| {
                cell.attestation == **attestation && cell.transport == **transport
            };
            let lines = snapshot.cells.iter().find(is_it).map_or_else(
                || vec![Line::styled("–", theme.dim())],
                |cell| figures(cell, theme),
            );
            Cell::from(Text::from(lines.into_iter().map(right).collect::<Vec<_>>()))
        });
        let name = Cell::from(Line::styled(format!(" {attestation}"), theme.title()));
        Row::new(std::iter::once(name).chain(cells))
            .height(HEIGHT)
            .bottom_margin(1)
    });
    let widths = std::iter::once(Constraint::Fill(1))
        .chain(transports.iter().map(|_| Constraint::Length(9)));
    let table = Table::new(rows, widths).header(head.style(theme.dim()));
    frame.render_widget(table, area);
}

/// Devices (and those that failed), median and 99th percentile of the provisioning response.
fn figures(cell: &CellView, theme: Theme) -> Vec<Line<'static>> {
    let devices = if cell.failed > 0 {
        Line::styled(
            format!("{} +{}✗", count(cell.provisioned), count(cell.failed)),
            theme.bad(),
        )
    } else {
        Line::styled(count(cell.provisioned), theme.good())
    };
    let Some(response) = cell.response else {
        return vec![devices];
    };
    vec![
        devices,
        Line::from(duration(response.p50_us)),
        Line::from(duration(response.p99_us)),
    ]
}

/// The values of one side, in the order they come.
fn names(snapshot: &Snapshot, side: fn(&CellView) -> &String) -> Vec<&str> {
    let mut names: Vec<&str> = Vec::new();
    for cell in &snapshot.cells {
        let name = side(cell).as_str();
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}
