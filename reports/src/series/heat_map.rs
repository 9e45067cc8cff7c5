//! Time against latency: how many devices took how long, in each interval.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::histogram::{LatencyHistogram, edges};

/// Most rows.
const MAX_ROWS: usize = 48;

/// Provisioning response times over the run, a column an interval of the timeline.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HeatMap {
    /// Bounds of the rows, microseconds, ascending and log-spaced: a row counts what is not below its own and below the
    /// next one's, which there is one more of than of rows.
    pub bounds_us: Vec<u64>,
    /// A column for each interval: its rows that have devices, with how many.
    pub columns: Vec<Vec<HeatCell>>,
}

/// One field of a heat map.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HeatCell {
    /// Row, from 0.
    pub row: usize,
    /// Devices.
    pub count: u64,
}

impl HeatMap {
    /// Of the latencies of each interval; none without a sample.
    pub(super) fn new<'a>(
        intervals: impl Iterator<Item = Option<&'a LatencyHistogram>>,
    ) -> Option<Self> {
        let intervals: Vec<_> = intervals.collect();
        let ranges = || intervals.iter().flatten().filter_map(|it| it.range_us());
        let least = ranges().map(|(least, _)| least).min()?;
        let greatest = ranges().map(|(_, greatest)| greatest).max()?;
        let bounds_us = edges(least, greatest, MAX_ROWS);
        let columns = intervals.iter().map(|latencies| {
            let mut column: Vec<HeatCell> = Vec::new();
            for (us, devices) in latencies.iter().flat_map(|it| it.values()) {
                let row = bounds_us
                    .partition_point(|bound| *bound <= us)
                    .saturating_sub(1);
                match column.last_mut() {
                    Some(cell) if cell.row == row => cell.count += u64::from(devices),
                    _ => column.push(HeatCell {
                        row,
                        count: u64::from(devices),
                    }),
                }
            }
            column
        });
        let columns = columns.collect();
        Some(Self { bounds_us, columns })
    }

    /// The most devices in one field.
    pub fn most(&self) -> u64 {
        let cells = self.columns.iter().flatten();
        cells.map(|cell| cell.count).max().unwrap_or(0)
    }
}
