//! The run by cohort, transport and all else that it is cut by, on a console.

use std::io::{self, Write};

use crate::foremost::foremost;
use crate::render::style::{DIM, MAX_LINES, Style};
use crate::summary::Summary;
use crate::units::{count, duration, or_dash};

/// Writes them.
pub(super) fn render(summary: &Summary, style: Style, out: &mut dyn Write) -> io::Result<()> {
    let with_dropped = summary.devices.dropped > 0;
    let dropped = |text: &str| match with_dropped {
        true => format!("{text:>9}"),
        false => String::new(),
    };
    let head = format!(
        "  {:<12}{:<37}{:>12}{:>8}{}{:>10}{:>10}{:>10}",
        "cut",
        "",
        "provisioned",
        "failed",
        dropped("dropped"),
        "p50",
        "p99",
        "max"
    );
    writeln!(out, "{}", style.paint(DIM, &head))?;
    for cuts in summary
        .cuts
        .chunk_by(|one, next| one.dimension == next.dimension)
    {
        let told = foremost(cuts, MAX_LINES, |cut| {
            (cut.failed + cut.dropped, cut.released)
        });
        let dimension = told.first().map_or("", |cut| cut.dimension.as_str());
        let labels = [dimension].into_iter().chain(std::iter::repeat(""));
        for (label, cut) in labels.zip(&told) {
            let response = cut.provisioning.response;
            writeln!(
                out,
                "  {label:<12}{:<37}{:>12}{:>8}{}{:>10}{:>10}{:>10}",
                cut.name,
                count(cut.provisioned),
                count(cut.failed),
                dropped(&count(cut.dropped)),
                or_dash(response.map(|it| it.p50_us), duration),
                or_dash(response.map(|it| it.p99_us), duration),
                or_dash(response.map(|it| it.max_us), duration)
            )?;
        }
        if let Some(more) = more(summary, dimension, cuts.len() - told.len()) {
            writeln!(out, "              {}", style.paint(DIM, &more))?;
        }
    }
    writeln!(out)
}

/// What is not shown, of those that the summary has and of those that it leaves out.
fn more(summary: &Summary, dimension: &str, hidden: usize) -> Option<String> {
    let mut left_out = summary.left_out.iter();
    let left_out = left_out.find(|left_out| left_out.dimension == dimension);
    let hidden = hidden as u64;
    match left_out {
        None if hidden == 0 => None,
        None => Some(format!("… {} more in summary.json", count(hidden))),
        Some(left_out) => {
            let more = left_out
                .rows
                .map_or("many".into(), |rows| count(rows + hidden));
            Some(format!(
                "… {more} more, {} of them in summary.json",
                count(hidden)
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregator::fixture;
    use crate::cut::view::LeftOut;

    #[test]
    fn of_many_rows_some_are_shown() {
        let mut summary = fixture::summary();
        let mut row = summary.cuts.swap_remove(0);
        row.dimension = "region".into();
        let rows = (0..100).map(|index| {
            let mut row = row.clone();
            row.name = format!("region-{index}");
            row.failed = u64::from(index == 77);
            row
        });
        summary.cuts = rows.collect();
        let shown = |summary: &Summary| {
            let mut text = Vec::new();
            render(summary, Style::Plain, &mut text).expect("memory");
            String::from_utf8(text).expect("UTF-8")
        };
        let text = shown(&summary);
        assert_eq!(text.lines().count(), 1 + MAX_LINES + 1 + 1, "{text}");
        assert!(text.contains("region-77 "), "{text}");
        assert!(text.contains("… 76 more in summary.json"), "{text}");

        summary.left_out = vec![LeftOut {
            dimension: "region".into(),
            rows: Some(1_000),
            released: 5_000,
            provisioned: 5_000,
            failed: 0,
            dropped: 0,
        }];
        let text = shown(&summary);
        assert!(
            text.contains("… 1,076 more, 76 of them in summary.json"),
            "{text}"
        );
    }
}
