//! A heat map: time from left to right, latency upwards, and how many by how dark it is.

use super::frame::{Mark, draw, number, open, whole, write, x_at, y_at};
use super::scale::Scale;
use crate::series::{HeatMap, TimelinePoint};
use crate::units;

/// Columns that stand at their intervals, over a logarithmic scale of time.
pub(in super::super) fn heat(
    title: &str,
    (x, x_name): (Scale, &dyn Fn(f64) -> String),
    map: &HeatMap,
    intervals: &[TimelinePoint],
    marks: &[Mark],
) -> String {
    let bounds = map.bounds_us.iter().map(|us| number((*us).max(1)));
    let y = Scale::log(bounds);
    let time = |us: f64| units::duration(whole(us));
    let mut svg = open(title, (x, x_name), (y, &time));
    // Counts of devices differ by powers of ten: one device must still be seen beside a thousand.
    let darkest = number(map.most() + 1).ln();
    for (column, interval) in map.columns.iter().zip(intervals) {
        let left = x_at(x.share(number(interval.at_s)));
        let right = x_at(x.share(number(interval.at_s + interval.span_s)));
        for cell in column {
            let [Some(from_us), Some(to_us)] =
                [cell.row, cell.row + 1].map(|row| map.bounds_us.get(row).copied())
            else {
                continue;
            };
            let bottom = y_at(y.share(number(from_us.max(1))));
            let top = y_at(y.share(number(to_us)));
            let shade = 0.15 + 0.85 * number(cell.count + 1).ln() / darkest;
            write(
                &mut svg,
                format_args!(
                    r#"<rect class="heat" x="{left:.1}" y="{top:.1}" width="{:.1}" height="{:.1}" fill-opacity="{shade:.2}"><title>{}: {} of {} to {}</title></rect>"#,
                    (right - left).max(0.8),
                    (bottom - top).max(0.8),
                    x_name(number(interval.at_s)),
                    units::count(cell.count),
                    units::duration(from_us),
                    units::duration(to_us)
                ),
            );
        }
    }
    draw(&mut svg, x, marks);
    svg.push_str("</svg>");
    svg
}
