//! The text that Prometheus reads (Prometheus documentation, "Exposition formats", text format
//! 0.0.4).

use std::fmt::{Display, Write};

use crate::counters::histogram::{BOUNDS, Histogram};

/// What the page is served as.
pub(crate) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Names and values of a sample's labels.
pub(crate) type Labels<'a> = &'a [(&'a str, &'a str)];

/// Kinds of metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// A page as it is written: a family's head, then its samples.
#[derive(Debug, Default)]
pub(crate) struct Page {
    text: String,
    family: &'static str,
}

impl Page {
    /// Begins a family; its samples follow.
    pub(crate) fn family(&mut self, name: &'static str, kind: Kind, help: &str) {
        self.family = name;
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        self.line(format_args!("# HELP {name} {help}"));
        self.line(format_args!("# TYPE {name} {kind}"));
    }

    /// A sample of the family.
    pub(crate) fn sample(&mut self, labels: Labels, value: impl Display) {
        let name = self.family;
        self.line(format_args!("{name}{} {value}", Shown(labels, None)));
    }

    /// A histogram of the family; one that nothing was added to is left out.
    pub(crate) fn histogram(&mut self, labels: Labels, histogram: &Histogram) {
        let (name, up_to) = (self.family, histogram.up_to());
        let count = up_to[BOUNDS.len()];
        if count == 0 {
            return;
        }
        for (micros, count) in BOUNDS.iter().zip(up_to) {
            let (seconds, rest) = (micros / 1_000_000, micros % 1_000_000);
            let bound = format!("{seconds}.{rest:06}");
            let shown = Shown(labels, Some(&bound));
            self.line(format_args!("{name}_bucket{shown} {count}"));
        }
        let (all, shown) = (Shown(labels, Some("+Inf")), Shown(labels, None));
        self.line(format_args!("{name}_bucket{all} {count}"));
        self.line(format_args!("{name}_sum{shown} {}", histogram.seconds()));
        self.line(format_args!("{name}_count{shown} {count}"));
    }

    /// The whole text.
    pub(crate) fn finish(self) -> String {
        self.text
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        writeln!(self.text, "{line}").expect("a string takes any text");
    }
}

/// Labels as they are written, with a bucket's bound behind them.
struct Shown<'a>(Labels<'a>, Option<&'a str>);

impl Display for Shown<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let bound = self.1.map(|bound| ("le", bound));
        for (index, (name, value)) in self.0.iter().copied().chain(bound).enumerate() {
            f.write_char(if index == 0 { '{' } else { ',' })?;
            write!(f, "{name}=\"")?;
            for char in value.chars() {
                match char {
                    '\\' => f.write_str("\\\\")?,
                    '"' => f.write_str("\\\"")?,
                    '\n' => f.write_str("\\n")?,
                    char => f.write_char(char)?,
                }
            }
            f.write_char('"')?;
        }
        if self.0.is_empty() && self.1.is_none() {
            return Ok(());
        }
        f.write_char('}')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_escaped_as_the_format_asks() {
        let mut page = Page::default();
        page.family("a_total", Kind::Counter, "Of a.");
        page.sample(&[("name", "a\"b\\c\nd"), ("of", "é")], 7);
        page.sample(&[], 0.5);
        let written = "# HELP a_total Of a.\n# TYPE a_total counter\n\
                       a_total{name=\"a\\\"b\\\\c\\nd\",of=\"é\"} 7\na_total 0.5\n";
        assert_eq!(page.finish(), written);
    }

    #[test]
    fn a_histogram_ends_with_all_of_it() {
        let (mut page, histogram) = (Page::default(), Histogram::default());
        page.family("d_seconds", Kind::Histogram, "Of d.");
        page.histogram(&[("of", "nothing")], &histogram);
        histogram.add(std::time::Duration::from_millis(3));
        page.histogram(&[("of", "a")], &histogram);
        let page = page.finish();
        assert!(!page.contains("nothing"), "{page}");
        for line in [
            "d_seconds_bucket{of=\"a\",le=\"0.002500\"} 0",
            "d_seconds_bucket{of=\"a\",le=\"0.005000\"} 1",
            "d_seconds_bucket{of=\"a\",le=\"30.000000\"} 1",
            "d_seconds_bucket{of=\"a\",le=\"+Inf\"} 1",
            "d_seconds_sum{of=\"a\"} 0.003",
            "d_seconds_count{of=\"a\"} 1",
        ] {
            assert!(page.lines().any(|written| written == line), "{page}");
        }
    }
}
