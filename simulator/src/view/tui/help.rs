//! The keys, and what the numbers mean.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::theme::Theme;

const KEYS: [(&str, &str); 7] = [
    ("↑ ↓  j k", "choose the latency whose histogram is shown"),
    (
        "tab  1 2 3 4",
        "overview; over time; by cohort, transport, …; every cell",
    ),
    ("space  f", "freeze the picture; the run goes on"),
    (
        "s  q",
        "stop gently: those under way end, the report is written",
    ),
    ("s s", "leave now; the report is still written"),
    ("ctrl-c", "the same as s"),
    ("?  esc", "this page, and back"),
];

const MEANINGS: [(&str, &str); 6] = [
    ("10s", "of devices that ended in the last ten whole seconds"),
    ("response", "from the moment a device was due to its end"),
    ("service", "from its actual start to its end"),
    ("registration", "until the assigned hub is in hand"),
    ("provisioning", "until the twin is read from that hub"),
    (
        "dropped",
        "due, and not started: as many as allowed were under way",
    ),
];

/// Draws it.
pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, theme: Theme) {
    let table = |name: &'static str, rows: &'static [(&str, &str)]| {
        let title = [
            Line::default(),
            Line::styled(format!(" {name}"), theme.title()),
        ];
        let rows = rows.iter().map(move |(word, meaning)| {
            Line::from(vec![
                Span::styled(format!("   {word:<14}"), theme.accent()),
                Span::raw(*meaning),
            ])
        });
        title.into_iter().chain(rows)
    };
    let lines: Vec<_> = table("Keys", &KEYS)
        .chain(table("Words", &MEANINGS))
        .collect();
    frame.render_widget(Paragraph::new(lines), area);
}
