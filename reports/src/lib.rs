//! From one device's record to a verdict and a report.
//!
//! ```text
//! Record -> Recorder -> Aggregator (journal, histograms, timeline, outcomes, cuts)
//!                          |  4 a second: Snapshot  -> terminal UI, progress line
//!                          |  at the end: Summary   -> thresholds, objectives -> Verdict -> renderers
//! ```
//!
//! Memory is bounded, whatever the length of the run and the number of devices, cohorts, regions and hubs:
//! [`memory`] says by what.
//!
//! A leaf: it knows neither transports nor DPS, only names it was given
//! ([`Dimensions`]). No renderer computes a statistic.

pub mod aggregator;
pub mod attempts;
pub mod breach;
pub mod check;
pub mod comparison;
mod conclusion;
pub mod counters;
pub mod cut;
pub mod dimensions;
pub mod distribution;
pub mod event;
mod evidence;
pub mod exact;
mod fold;
mod foremost;
pub mod generator;
pub mod held;
mod histogram;
pub mod journal;
pub mod latency;
pub mod live;
pub mod machine;
pub mod memory;
pub mod oracle;
pub mod outcome;
pub mod outcomes;
pub mod phase;
pub mod rates;
mod readings;
pub mod record;
pub mod recorder;
pub mod render;
pub mod replay;
pub mod reprovisions;
pub mod run;
pub mod series;
mod shortfall;
pub mod slo;
pub mod snapshot;
pub mod summary;
pub mod threshold;
pub mod units;
pub mod validity;
pub mod verdict;

pub use aggregator::Aggregator;
pub use breach::Breach;
pub use dimensions::Dimensions;
pub use foremost::foremost;
pub use journal::Journal;
pub use outcome::{Fault, Outcome};
pub use phase::{Metric, Phase};
pub use record::Record;
pub use recorder::{Recorder, recorder};
pub use snapshot::Snapshot;
pub use summary::Summary;
pub use threshold::Threshold;
pub use verdict::Verdict;
