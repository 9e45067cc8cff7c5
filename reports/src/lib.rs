//! From one device's record to a verdict and a report.
//!
//! ```text
//! Record -> Recorder -> Aggregator (journal, histograms, series, outcomes, cuts)
//!                          |  4 a second: Snapshot  -> terminal UI, progress line
//!                          |  at the end: Summary   -> thresholds, objectives -> Verdict -> renderers
//! ```
//!
//! Memory is bounded, whatever the length of the run and the number of devices, cohorts, regions and hubs:
//! [`memory`] says by what.
//!
//! A leaf: it knows neither transports nor DPS, only names it was given
//! ([`Dimensions`]). No renderer computes a statistic.
//!
//! A hundred devices in a second, one of them refused, and what is told of that second:
//!
//! ```
//! use fleetstorm_reports::record::RecordedDevice;
//! use fleetstorm_reports::series::Series;
//! use fleetstorm_reports::{Outcome, Phase, Record};
//!
//! let mut series = Series::default();
//! for device in 0..100 {
//!     let of = RecordedDevice { device, ..RecordedDevice::default() };
//!     let due_us = u64::from(device) * 9_000;
//!     let record = match device {
//!         7 => Record::new(of, due_us, due_us, Outcome::TimedOut { phase: Phase::Tls }),
//!         _ => Record {
//!             registered_us: Some(due_us + 2_000),
//!             end_us: due_us + 5_000,
//!             // It was started a millisecond late: that is no excuse.
//!             ..Record::new(of, due_us, due_us + 1_000, Outcome::Provisioned)
//!         },
//!     };
//!     series.add(&record);
//! }
//! let points = series.points();
//! assert_eq!((points[0].provisioned, points[0].failed), (99, 1));
//! assert_eq!(points[0].failed_by_kind["timed-out"], 1);
//! assert_eq!(points[0].latency["provisioning.response"].p99_us, 5_000);
//! assert_eq!(points[0].latency["provisioning.service"].p99_us, 4_000);
//! ```

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
