//! What a summary can be written as, beside the report: for other people's tools.

use std::borrow::Cow;
use std::io::{self, Write};

use super::{csv, hgrm, hlog, junit, markdown, prometheus};
use crate::phase::Metric;
use crate::summary::Summary;

/// A form of the result that is made where it is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// JUnit's XML: a case for everything that had to be so.
    Junit,
    /// Markdown, for the page of a pull request or of a step in CI.
    Markdown,
    /// The course of the run, a row a second.
    Csv,
    /// HdrHistogram's percentile distributions.
    Hgrm,
    /// HdrHistogram's interval log.
    Hlog,
    /// Prometheus's text format.
    Prometheus,
}

/// One file of a format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FormatFile {
    /// `junit.xml`.
    Junit,
    /// `summary.md`.
    Markdown,
    /// `timeline.csv`.
    Csv,
    /// Like `registration.response.hgrm`: one of each metric that has samples.
    Hgrm(Metric),
    /// `response.hlog`.
    Hlog,
    /// `fleetstorm.prom`: the textfile collector asks for that ending.
    Prometheus,
}

impl Format {
    /// Every one, in the order messages list them.
    pub const ALL: [Self; 6] = [
        Self::Junit,
        Self::Markdown,
        Self::Csv,
        Self::Hgrm,
        Self::Hlog,
        Self::Prometheus,
    ];

    /// The word of the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Junit => "junit",
            Self::Markdown => "markdown",
            Self::Csv => "csv",
            Self::Hgrm => "hgrm",
            Self::Hlog => "hlog",
            Self::Prometheus => "prometheus",
        }
    }

    /// All files that it may have.
    pub fn files(self) -> Vec<FormatFile> {
        match self {
            Self::Junit => vec![FormatFile::Junit],
            Self::Markdown => vec![FormatFile::Markdown],
            Self::Csv => vec![FormatFile::Csv],
            Self::Hgrm => Metric::all().map(FormatFile::Hgrm).collect(),
            Self::Hlog => vec![FormatFile::Hlog],
            Self::Prometheus => vec![FormatFile::Prometheus],
        }
    }

    /// Whether it is a folder of files, not one.
    pub fn is_folder(self) -> bool {
        self == Self::Hgrm
    }
}

impl FormatFile {
    /// Its name in a report folder.
    pub fn name(self) -> Cow<'static, str> {
        match self {
            Self::Junit => "junit.xml".into(),
            Self::Markdown => "summary.md".into(),
            Self::Csv => "timeline.csv".into(),
            Self::Hgrm(metric) => format!("{}.hgrm", metric.name()).into(),
            Self::Hlog => "response.hlog".into(),
            Self::Prometheus => "fleetstorm.prom".into(),
        }
    }

    /// Whether a result has anything to say in it.
    pub fn is_of(self, summary: &Summary) -> bool {
        match self {
            Self::Junit | Self::Markdown | Self::Csv | Self::Hlog | Self::Prometheus => true,
            Self::Hgrm(metric) => summary.distributions.contains_key(metric.name()),
        }
    }

    /// Writes it.
    ///
    /// # Errors
    /// The writer's.
    pub fn render(self, summary: &Summary, out: &mut dyn Write) -> io::Result<()> {
        match self {
            Self::Junit => junit::render(summary, out),
            Self::Markdown => markdown::render(summary, out),
            Self::Csv => csv::render(summary, out),
            Self::Hgrm(metric) => hgrm::render(summary, metric, out),
            Self::Hlog => hlog::render(summary, out),
            Self::Prometheus => prometheus::render(summary, out),
        }
    }
}
