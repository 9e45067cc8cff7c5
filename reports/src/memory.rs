//! What the fold of a run takes at most, whatever its devices do.
//!
//! | what | most | each at most |
//! |---|---|---|
//! | cuts with all latencies | 256 of each dimension | a histogram of two digits for every metric, 15 KiB each |
//! | placements (region × hub) with one latency | 1,024 | a histogram of two digits |
//! | cuts that count devices alone | 16,384 of each dimension | some 500 bytes |
//! | the run's totals | | a histogram of three digits for every metric, 105 KiB each |
//! | devices that went back to DPS | | a histogram of two digits for every metric, 16,384 placements |
//! | the series | 512 intervals | 17 MiB together: a histogram of two digits for every metric |
//! | thresholds | 128, of them 32 over windows | a histogram of three digits and one of two, or 126 of two for windows |
//! | objectives | 32 | 8,192 stretches of 16 bytes |
//!
//! A histogram takes that much only where latencies are everywhere between a microsecond and an hour; a tenth
//! of it is common.

use crate::cut::{By, MAX_COUNTED, most_detailed};
use crate::fold::Fold;
use crate::histogram::{LatencyHistogram, Precision};
use crate::phase::Metric;
use crate::{series, slo, threshold};

const FINE: usize = LatencyHistogram::most_bytes(Precision::Fine);
const COARSE: usize = LatencyHistogram::most_bytes(Precision::Coarse);
/// A row of counts: with its key, in a tree whose nodes may be half empty.
const ROW: usize = 2 * (size_of::<Fold>() + 2 * size_of::<usize>());
/// A count of a placement with its key, in such a tree.
const PLACEMENT: usize = 2 * 2 * size_of::<u64>();

/// How many there are of everything that a fold's memory depends on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Extent {
    /// Cohorts.
    pub cohorts: usize,
    /// Transports.
    pub transports: usize,
    /// Attestations.
    pub attestations: usize,
    /// Tenants, where there is more than the run's own instance.
    pub tenants: usize,
    /// Regions.
    pub regions: usize,
    /// Hubs.
    pub hubs: usize,
    /// Thresholds over windows.
    pub windows: usize,
    /// Other thresholds.
    pub thresholds: usize,
    /// Service level objectives.
    pub slos: usize,
}

impl Extent {
    /// What a fold of it takes at most.
    pub fn most_bytes(&self) -> u64 {
        let cuts: usize = By::ALL.into_iter().map(|by| self.cut(by)).sum();
        let totals = Metric::COUNT * FINE;
        let reprovisions = Metric::COUNT * COARSE + MAX_COUNTED * PLACEMENT;
        let thresholds =
            self.windows * threshold::WINDOWS_BYTES + self.thresholds * (FINE + COARSE);
        let slos = self.slos * slo::BURN_BYTES;
        (cuts + totals + reprovisions + series::MOST_BYTES + thresholds + slos) as u64
    }

    fn cut(&self, by: By) -> usize {
        let rows = self.rows(by).min(MAX_COUNTED);
        rows * ROW + rows.min(most_detailed(by.detail())) * by.detail().histograms() * COARSE
    }

    fn rows(&self, by: By) -> usize {
        match by {
            By::Cohort => self.cohorts,
            By::Transport => self.transports,
            By::Attestation => self.attestations,
            By::Cell => self.attestations.saturating_mul(self.transports),
            By::Tenant => self.tenants,
            By::Region => self.regions,
            By::Placement => self.regions.saturating_mul(self.hubs),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_a_bound_whatever_there_is_to_count() {
        let wide = Extent {
            cohorts: 50,
            transports: 5,
            attestations: 5,
            regions: 200,
            hubs: 50,
            ..Extent::default()
        };
        assert!(wide.most_bytes() < 112 << 20, "{}", wide.most_bytes());
        let endless = Extent {
            cohorts: usize::MAX,
            tenants: 101,
            hubs: usize::MAX,
            ..wide
        };
        assert!(endless.most_bytes() < 208 << 20, "{}", endless.most_bytes());
        let small = Extent {
            cohorts: 2,
            regions: 0,
            hubs: 2,
            ..wide
        };
        assert!(small.most_bytes() < 36 << 20, "{}", small.most_bytes());
    }
}
