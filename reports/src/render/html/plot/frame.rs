//! What all plots share: the frame with its scales, marks of events, and numbers as pixels.

use std::fmt::Write;

use super::scale::Scale;

const WIDTH: f64 = 480.0;
const HEIGHT: f64 = 200.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 12.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 28.0;

/// Something that happened at a moment of a plot over time.
pub(crate) struct Mark {
    /// When, in the units of the horizontal scale.
    pub(crate) at: f64,
    /// What.
    pub(crate) what: String,
    /// Whether it went wrong.
    pub(crate) is_failed: bool,
}

pub(crate) fn x_at(share: f64) -> f64 {
    LEFT + share * (WIDTH - LEFT - RIGHT)
}

pub(crate) fn y_at(share: f64) -> f64 {
    HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)
}

/// The frame: title for screen readers, grid, ticks.
pub(crate) fn open(
    title: &str,
    (x, x_name): (Scale, &dyn Fn(f64) -> String),
    (y, y_name): (Scale, &dyn Fn(f64) -> String),
) -> String {
    let mut svg = format!(
        r#"<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{title}" xmlns="http://www.w3.org/2000/svg">"#
    );
    for tick in y.ticks() {
        let top = y_at(y.share(tick));
        write(
            &mut svg,
            format_args!(
                r#"<line class="grid" x1="{LEFT}" x2="{}" y1="{top:.1}" y2="{top:.1}"/>"#,
                WIDTH - RIGHT
            ),
        );
        write(
            &mut svg,
            format_args!(
                r#"<text class="tick" x="{}" y="{:.1}" text-anchor="end">{}</text>"#,
                LEFT - 6.0,
                top + 4.0,
                y_name(tick)
            ),
        );
    }
    for tick in x.ticks() {
        let share = x.share(tick);
        // The first and the last stay inside the frame.
        let anchor = match share {
            0.0 => "start",
            0.97.. => "end",
            _ => "middle",
        };
        write(
            &mut svg,
            format_args!(
                r#"<text class="tick" x="{:.1}" y="{}" text-anchor="{anchor}">{}</text>"#,
                x_at(share),
                HEIGHT - 8.0,
                x_name(tick)
            ),
        );
    }
    svg
}

/// Marks as upright lines, with what happened to hover over.
pub(crate) fn draw(svg: &mut String, x: Scale, marks: &[Mark]) {
    for mark in marks {
        let left = x_at(x.share(mark.at));
        let class = if mark.is_failed { "mark bad" } else { "mark" };
        write(
            svg,
            format_args!(
                r#"<line class="{class}" x1="{left:.1}" x2="{left:.1}" y1="{TOP}" y2="{:.1}"><title>{}</title></line>"#,
                y_at(0.0),
                escaped(&mark.what)
            ),
        );
    }
}

/// Text as it may stand in a page.
pub(crate) fn escaped(text: &str) -> String {
    minijinja::HtmlEscape(text).to_string()
}

pub(crate) fn write(svg: &mut String, text: std::fmt::Arguments<'_>) {
    svg.write_fmt(text).expect("a string takes any text");
}

#[expect(clippy::cast_precision_loss, reason = "pixels")]
pub(crate) fn number(value: u64) -> f64 {
    value as f64
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "ticks are not negative"
)]
pub(crate) fn whole(value: f64) -> u64 {
    value.round() as u64
}
