//! HdrHistogram's percentile distribution of one metric, in milliseconds, as its tools
//! [plot](https://hdrhistogram.github.io/HdrHistogram/plotFiles.html) it.

use std::io::{self, Write};

use crate::phase::Metric;
use crate::summary::Summary;

/// How many percentiles are told of each half of what is left up to 100 %, as HdrHistogram has it.
const TICKS: u32 = 5;
const MS: f64 = 1_000.0;

/// Writes it; nothing of a metric without samples.
///
/// # Errors
/// The writer's; the summary holds something else than a distribution.
#[expect(clippy::cast_precision_loss, reason = "at most an hour, microseconds")]
pub fn render(summary: &Summary, metric: Metric, out: &mut dyn Write) -> io::Result<()> {
    let Some(distribution) = summary.distributions.get(metric.name()) else {
        return Ok(());
    };
    let counted = distribution
        .decode()
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
    writeln!(
        out,
        "{:>12} {:>14} {:>10} {:>14}\n",
        "Value", "Percentile", "TotalCount", "1/(1-Percentile)"
    )?;
    let mut below = 0;
    for step in counted.iter_quantiles(TICKS) {
        below += step.count_since_last_iteration();
        let value = step.value_iterated_to() as f64 / MS;
        let share = step.quantile_iterated_to();
        write!(out, "{value:>12.3} {share:>2.12} {below:>10}")?;
        // The last one has none.
        if share < 1.0 {
            write!(out, " {:>14.2}", 1.0 / (1.0 - share))?;
        }
        writeln!(out)?;
    }
    writeln!(
        out,
        "#[Mean    = {:>12.3}, StdDeviation   = {:>12.3}]",
        counted.mean() / MS,
        counted.stdev() / MS
    )?;
    writeln!(
        out,
        "#[Max     = {:>12.3}, Total count    = {:>12}]",
        counted.max() as f64 / MS,
        counted.len()
    )?;
    writeln!(
        out,
        "#[Buckets = {:>12}, SubBuckets     = {:>12}]",
        counted.buckets(),
        // The least power of two that is at least twice ten to the number of digits.
        (2 * 10_u32.pow(counted.sigfig().into())).next_power_of_two()
    )?;
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregator::fixture;
    use crate::distribution::Distribution;
    use crate::histogram::{LatencyHistogram, Precision};

    fn rendered(summary: &Summary, metric: Metric) -> String {
        let mut text = Vec::new();
        render(summary, metric, &mut text).expect("memory");
        String::from_utf8(text).expect("UTF-8")
    }

    #[test]
    fn the_file_looks_like_this() {
        let summary = fixture::summary();
        insta::assert_snapshot!(rendered(&summary, Metric::ProvisioningResponse));
        assert_eq!(
            rendered(&fixture::summary(), Metric::Phase(crate::Phase::Attest)),
            ""
        );
    }

    /// What the file says, read as its format has it, is what HdrHistogram says of the same samples.
    #[test]
    fn each_line_is_what_hdr_histogram_says_of_the_samples() {
        let mut counted = LatencyHistogram::new(Precision::Fine);
        let mut theirs = hdrhistogram::Histogram::<u64>::new(3).expect("digits");
        for sample in 1..=9_973_u64 {
            let us = 900 + sample * sample % 1_013 * 997 + sample;
            counted.record(us);
            theirs.record(us).expect("it grows");
        }
        let mut summary = fixture::summary();
        let distribution = Distribution::of(&counted).expect("samples");
        let metric = Metric::RegistrationService;
        summary
            .distributions
            .insert(metric.name().into(), distribution);
        let text = rendered(&summary, metric);
        let mut lines = 0;
        let rows = text.lines().skip(2).filter(|line| !line.starts_with('#'));
        for line in rows {
            let fields: Vec<f64> = line
                .split_whitespace()
                .map(|field| field.parse().expect("a number"))
                .collect();
            let (value, share, below) = (fields[0] * 1_000.0, fields[1], fields[2]);
            let expected = theirs.value_at_quantile(share) as f64;
            assert!((value - expected).abs() < 0.5, "{line}: {expected}");
            let count = theirs.count_between(0, value.round() as u64) as f64;
            assert!((below - count).abs() < 0.5, "{line}: {count}");
            lines += 1;
        }
        assert!(lines > 40, "{text}");
        let max = format!("#[Max     = {:>12.3}", theirs.max() as f64 / 1_000.0);
        assert!(text.contains(&max), "{text}");
    }
}
