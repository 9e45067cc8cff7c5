//! Plots as inline SVG: a frame with two scales, and lines or bars in it.
//!
//! Colours come from the page's style sheet by class, so that light and dark both work;
//! every mark has a `<title>` to hover over.

mod frame;
mod heat;
mod scale;

pub(super) use frame::{Mark, number, whole};
pub(super) use heat::heat;
pub(super) use scale::Scale;

use frame::{draw, open, write, x_at, y_at};

use crate::latency::HistogramBucket;
use crate::units;

/// A line.
pub(super) struct Line<'a> {
    /// For the legend and the style sheet.
    pub(super) name: &'a str,
    /// (x, y), by ascending x; a gap where there is no y.
    pub(super) points: Vec<(f64, Option<f64>)>,
}

impl Line<'_> {
    /// What lies between the gaps.
    fn parts(&self) -> Vec<Vec<(f64, f64)>> {
        let parts = self.points.split(|(_, value)| value.is_none());
        let filled = parts.filter(|part| !part.is_empty());
        filled
            .map(|part| {
                let points = part.iter();
                points
                    .filter_map(|(at, value)| Some((*at, (*value)?)))
                    .collect()
            })
            .collect()
    }
}

/// Lines over a common pair of scales; `x_name` and `y_name` write a tick.
pub(super) fn lines(
    title: &str,
    (x, x_name): (Scale, &dyn Fn(f64) -> String),
    (y, y_name): (Scale, &dyn Fn(f64) -> String),
    lines: &[Line<'_>],
    marks: &[Mark],
) -> String {
    let mut svg = open(title, (x, x_name), (y, y_name));
    draw(&mut svg, x, marks);
    for line in lines {
        for part in line.parts() {
            let at = |(at, value): &(f64, f64)| {
                format!("{:.1},{:.1}", x_at(x.share(*at)), y_at(y.share(*value)))
            };
            let mut points: Vec<String> = part.iter().map(at).collect();
            // A point between two gaps is a line to itself: a dot.
            if part.len() == 1 {
                points.extend_from_within(..);
            }
            write(
                &mut svg,
                format_args!(
                    r#"<polyline class="line {}" points="{}"/>"#,
                    line.name,
                    points.join(" ")
                ),
            );
        }
        let spots = line.parts().into_iter().flatten();
        for (at, value) in spots.filter(|_| line.points.len() <= 600) {
            let (left, top) = (x_at(x.share(at)), y_at(y.share(value)));
            write(
                &mut svg,
                format_args!(
                    r#"<circle class="spot {}" cx="{left:.1}" cy="{top:.1}" r="4"><title>{}: {} at {}</title></circle>"#,
                    line.name,
                    line.name,
                    y_name(value),
                    x_name(at)
                ),
            );
        }
    }
    svg.push_str("</svg>");
    svg
}

/// A histogram over a logarithmic scale of time.
pub(super) fn histogram(title: &str, buckets: &[HistogramBucket]) -> String {
    let time = |us: f64| units::duration(whole(us));
    let bounds = buckets
        .iter()
        .flat_map(|bucket| [number(bucket.from_us), number(bucket.to_us)]);
    let x = Scale::log(bounds);
    let greatest = buckets.iter().map(|bucket| bucket.count).max().unwrap_or(0);
    let y = Scale::linear(number(greatest));
    let mut svg = open(title, (x, &time), (y, &|count| units::count(whole(count))));
    for bucket in buckets.iter().filter(|bucket| bucket.count > 0) {
        let (from, to) = (
            x_at(x.share(number(bucket.from_us))),
            x_at(x.share(number(bucket.to_us))),
        );
        let top = y_at(y.share(number(bucket.count)));
        write(
            &mut svg,
            format_args!(
                r#"<rect class="bar" x="{from:.1}" y="{top:.1}" width="{:.1}" height="{:.1}"><title>{} to {}: {}</title></rect>"#,
                (to - from - 1.0).max(1.0),
                y_at(0.0) - top,
                units::duration(bucket.from_us),
                units::duration(bucket.to_us),
                units::count(bucket.count)
            ),
        );
    }
    svg.push_str("</svg>");
    svg
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_a_gap_where_there_is_no_value() {
        let line = Line {
            name: "p50",
            points: [Some(1.0), Some(2.0), None, Some(4.0), None, None]
                .into_iter()
                .enumerate()
                .map(|(at, value)| (at as f64, value))
                .collect(),
        };
        let parts = line.parts();
        assert_eq!(parts, [vec![(0.0, 1.0), (1.0, 2.0)], vec![(3.0, 4.0)]]);
        let text = |value: f64| value.to_string();
        let scale = || Scale::linear(8.0);
        let svg = lines("times", (scale(), &text), (scale(), &text), &[line], &[]);
        assert_eq!(svg.matches("<polyline").count(), 2);
        assert_eq!(svg.matches("<circle").count(), 3);
    }
}
