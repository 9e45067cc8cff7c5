//! Folds records into fixed memory; the only place where statistics are made.

use std::io;
use std::sync::Arc;

use live_seconds::{LiveSeconds, Totals};

use crate::conclusion;
use crate::cut::Cuts;
use crate::fold::{Detail, Fold};
use crate::generator::{Generator, GeneratorFold, GeneratorHealth};
use crate::histogram::Precision;
use crate::journal::{Entry, Journal};
use crate::live::Live;
use crate::outcomes::Outcomes;
use crate::phase::Metric;
use crate::rates::{Rates, Starts, per_second};
use crate::record::Record;
use crate::reprovisions::ReprovisionsFold;
use crate::run::{Ending, Finished, RunInfo};
use crate::series::{HeatMap, IntervalView, Series, Totals as SecondTotals};
use crate::shortfall::Shortfall;
use crate::slo::SloFold;
use crate::snapshot::{MetricView, Progress, RunState, Snapshot};
use crate::summary::{Devices, SCHEMA_VERSION, Summary};
use crate::threshold::stop::Aborted;
use crate::threshold::{Judge, Threshold};
use crate::validity::{self, Load};
use crate::verdict::{self, Verdict};

/// Folds records.
pub struct Aggregator {
    info: RunInfo,
    judges: Vec<Judge>,
    aborted: Option<Aborted>,
    slos: Vec<SloFold>,
    journal: Option<Journal>,
    total: Fold,
    shortfall: Shortfall,
    cuts: Cuts,
    outcomes: Outcomes,
    hubs: Vec<u64>,
    series: Series,
    reprovisions: ReprovisionsFold,
    generator: GeneratorFold,
    starts: Starts,
    live: LiveSeconds,
    shown: Shown,
    /// Devices of closed loads that were due when somebody looked last.
    closed_due: u64,
}

/// What the picture shows of the whole run: made once a second.
#[derive(Default)]
struct Shown {
    timeline: Arc<[IntervalView]>,
    heat_map: Option<Arc<HeatMap>>,
}

impl Aggregator {
    /// Starts with nothing counted.
    ///
    /// # Errors
    /// A threshold can't be read.
    pub fn new(info: RunInfo, journal: Option<Journal>) -> io::Result<Self> {
        let judges = info.thresholds.iter().map(|written| {
            let (name, condition) = (&written.name, &written.condition);
            let read = Threshold::parse(name, condition, written.terms, &info.dimensions);
            let threshold = read.map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))?;
            Ok(Judge::new(threshold, written.planned))
        });
        let judges = judges.collect::<io::Result<_>>()?;
        let slos = info.slos.iter().cloned();
        let mut aggregator = Self {
            judges,
            aborted: None,
            slos: slos
                .map(|slo| SloFold::new(slo, &info.dimensions))
                .collect(),
            journal,
            total: Fold::new(Precision::Fine, Detail::All),
            shortfall: Shortfall::default(),
            cuts: Cuts::new(&info.dimensions),
            outcomes: Outcomes::default(),
            hubs: vec![0; info.dimensions.hubs.len()],
            series: Series::default(),
            reprovisions: ReprovisionsFold::default(),
            generator: GeneratorFold::default(),
            starts: Starts::default(),
            live: LiveSeconds::default(),
            shown: Shown::default(),
            closed_due: 0,
            info,
        };
        let start = Entry::Run(Box::new(aggregator.info.clone()));
        aggregator.write(&start);
        aggregator.flush();
        Ok(aggregator)
    }

    /// Counts one device, also one that was not started.
    pub fn add(&mut self, record: &Record) {
        let without_generator = self.info.without_generator(record);
        let without_generator = without_generator.as_ref();
        for slo in &mut self.slos {
            slo.add(record, without_generator);
        }
        if record.reprovision {
            self.reprovisions.add(record);
            self.series.add_reprovision(record);
            self.write(&Entry::Record(*record));
            return;
        }
        self.total.add(record);
        self.shortfall.add(record);
        self.generator.add(record, without_generator.is_none());
        self.cuts.add(record);
        for judge in &mut self.judges {
            judge.add(record, without_generator);
        }
        self.outcomes.add(record.outcome);
        let hub = record
            .hub
            .and_then(|hub| self.hubs.get_mut(usize::from(hub)));
        if let Some(hub) = hub.filter(|_| record.outcome.is_provisioned()) {
            *hub += 1;
        }
        if record.outcome.is_started() {
            self.series.add(record);
            self.starts.add(record.start_us);
        } else {
            self.series.add_dropped(record);
        }
        self.write(&Entry::Record(*record));
    }

    /// Why the journal ends before the run does, once it can't be written.
    pub fn journal_failure(&self) -> Option<&io::Error> {
        self.journal.as_ref().and_then(Journal::failure)
    }

    /// Devices by the plan.
    pub(crate) fn planned(&self) -> u64 {
        self.info.planned
    }

    /// Devices that have ended.
    pub fn ended(&self) -> u64 {
        self.total.ended
    }

    /// The threshold that is crossed and has the run stopped, once there is one.
    pub fn aborted(&self) -> Option<&Aborted> {
        self.aborted.as_ref()
    }

    /// The expression of a threshold, as it is written.
    pub fn threshold(&self, index: usize) -> &str {
        let written = self.info.thresholds.get(index);
        written.map_or("", |written| &written.name)
    }

    /// Hears what is known by the end of `second`, and whether there were devices to come, or under way. What the
    /// journal knows by then outlives this process.
    pub(crate) fn close_second(&mut self, second: u64, totals: SecondTotals, busy: bool) {
        self.series.close(second, &totals);
        if busy {
            let now_us = second.saturating_add(1).saturating_mul(1_000_000);
            for judge in &mut self.judges {
                judge.goes_on(now_us);
            }
        }
        self.write(&Entry::Second {
            second,
            totals,
            busy,
        });
    }

    /// Closes the seconds that have passed, and the one under way when the run is over; says whether there were
    /// any.
    fn close(&mut self, live: &Live, due_before: impl Fn(u64) -> u64) -> bool {
        let totals = Totals {
            released: live.released,
            provisioned: self.total.provisioned,
            failed: self.total.failed(),
        };
        let known = |due, looked: bool| SecondTotals {
            due,
            held: looked.then_some(live.held.now),
            attempts: looked.then_some(live.attempts),
        };
        let busy = matches!(live.state, RunState::Running | RunState::Draining);
        let (first, end) = (self.live.closed, live.elapsed_us / 1_000_000);
        for second in first..end {
            let looked = second + 1 == end;
            let closed_due = if looked {
                live.closed_due
            } else {
                self.closed_due
            };
            let due = due_before(second + 1) + closed_due;
            self.close_second(second, known(due, looked), busy);
            self.live.close(due, looked.then_some(totals));
        }
        self.closed_due = live.closed_due;
        let is_over = live.state == RunState::Finished;
        if is_over {
            self.close_second(end, known(live.due, true), busy);
            self.live.close(live.due, Some(totals));
        }
        self.live.closed > first
    }

    /// Whether a threshold stops the run now.
    fn look(&mut self, live: &Live) {
        let is_over = matches!(live.state, RunState::Stopping | RunState::Finished);
        if is_over || self.aborted.is_some() {
            return;
        }
        let reprovisions = self.reprovisions.counts();
        let mut judges = self.judges.iter().enumerate();
        self.aborted = judges.find_map(|(threshold, judge)| {
            Some(Aborted {
                threshold,
                at_us: live.elapsed_us,
                stop: judge.stops(live, reprovisions)?,
            })
        });
    }

    /// The live picture; also closes the seconds that have passed. `due_before` says how many devices are due before
    /// so many seconds have passed since the start, of those that come at their time.
    pub fn snapshot(&mut self, live: &Live, due_before: impl Fn(u64) -> u64) -> Snapshot {
        if self.close(live, due_before) {
            self.flush();
            self.look(live);
            self.shown = Shown {
                timeline: self.series.views().into(),
                heat_map: self.series.heat_map().map(Arc::new),
            };
        }
        let last = self.live.last();
        let seen = last.seen.unwrap_or_default();
        let generator = self.generator(live.generator.clone());
        let mut warnings = live.warnings.clone();
        warnings.extend(self.doubts(&generator, live.due));
        Snapshot {
            scenario: self.info.scenario.clone(),
            target: self.info.target.clone(),
            elapsed_us: live.elapsed_us,
            schedule_us: self.info.arrivals.map_or(0, |it| it.last_us),
            state: live.state,
            progress: Progress {
                planned: self.info.planned,
                released: live.released,
                dropped: self.total.dropped,
                in_flight: live.released.saturating_sub(self.total.ended),
                registered: self.total.registered,
                provisioned: self.total.provisioned,
                failed: self.total.failed(),
                throttled: self.total.attempts.throttled,
                retried: self.total.attempts.retried,
            },
            target_rate: last.target,
            achieved_rate: seen.released,
            provisioned_rate: seen.provisioned,
            metrics: self.metrics(live.elapsed_us),
            timeline: Arc::clone(&self.shown.timeline),
            heat_map: self.shown.heat_map.clone(),
            outcomes: self.outcomes.told(&[]),
            cuts: self.cuts.views(),
            cells: self.cuts.cells(),
            slos: self.slos.iter().map(SloFold::view).collect(),
            seconds: self.live.seconds.iter().copied().collect(),
            held: live.held,
            reprovisions: self.reprovisions.registrations(),
            events: live.events.clone(),
            generator,
            simulator: live.simulator,
            server: live.server,
            warnings,
        }
    }

    /// The final result: verdict and exit code included.
    pub fn finish(mut self, ending: Ending) -> Finished {
        self.write(&Entry::Ending(Box::new(ending.clone())));
        let journal = self.journal.take().map_or(Ok(()), Journal::close);
        Finished {
            summary: self.conclude(ending),
            journal,
        }
    }

    /// The result of what is known of a run whose journal has gaps: they prove it invalid.
    pub(crate) fn finish_with_gaps(self, ending: Ending, gaps: Vec<String>) -> Summary {
        let mut summary = self.conclude(ending);
        if !gaps.is_empty() {
            summary.doubt(gaps);
        }
        summary
    }

    fn conclude(mut self, ending: Ending) -> Summary {
        let mut summary = self.summary(ending.clone());
        let aborted = ending.aborted.as_ref();
        let judges = self.judges.iter_mut().enumerate();
        summary.thresholds = judges
            .map(|(index, judge)| {
                judge.result(&summary, aborted.filter(|it| it.threshold == index))
            })
            .collect();
        summary.slos = self.slos.iter().map(SloFold::result).collect();
        (summary.verdict, summary.exit_code) = conclusion::verdict(&summary, ending.interrupted);
        if summary.verdict == Verdict::Invalid {
            let unproven = conclusion::unproven(&summary);
            summary.invalid_reasons.extend(unproven);
        }
        if ending.interrupted {
            summary
                .invalid_reasons
                .insert(0, "the run was interrupted".into());
        }
        summary
    }

    fn generator(&self, health: GeneratorHealth) -> Generator {
        let added = self.total.percentiles(Metric::Generator);
        self.generator.generator(added, health)
    }

    /// Why the figures prove nothing.
    fn doubts(&self, generator: &Generator, due: u64) -> Vec<String> {
        let load = Load {
            due,
            dropped: self.total.dropped,
            ended: self.total.ended,
            max_dropped: self.info.max_dropped,
        };
        validity::doubts(generator, load)
    }

    fn summary(&self, ending: Ending) -> Summary {
        let generator = self.generator(ending.generator);
        let due = ending.released + self.total.dropped;
        let mut invalid_reasons = ending.invalid_reasons;
        invalid_reasons.extend(self.doubts(&generator, due));
        invalid_reasons.extend(validity::failed_events(&ending.events));
        let histograms = Metric::all().filter_map(|metric| {
            Some((
                metric.name().to_owned(),
                self.total.histogram(metric)?.buckets(),
            ))
        });
        Summary {
            schema_version: SCHEMA_VERSION,
            scenario: self.info.scenario.clone(),
            target: self.info.target.clone(),
            fleetstorm_version: self.info.fleetstorm_version.clone(),
            machine: self.info.machine.clone(),
            started_at: self.info.started_at.clone(),
            duration_us: ending.elapsed_us,
            seed: self.info.seed,
            time_scale: self.info.time_scale,
            verdict: Verdict::Pass,
            exit_code: verdict::exit_code::PASS,
            invalid_reasons,
            generator,
            devices: Devices {
                planned: self.info.planned,
                released: ending.released,
                dropped: self.total.dropped,
                registered: self.total.registered,
                provisioned: self.total.provisioned,
                failed: self.total.failed(),
            },
            attempts: self.total.attempts,
            held: ending.held,
            reprovisions: self.reprovisions.reprovisions(&self.info.dimensions),
            events: ending.events,
            registration: self.total.registration(),
            provisioning: self.total.provisioning(),
            failure: self.total.failure(),
            phases: self.total.phases(),
            not_reached: self.shortfall.by_name(),
            outcomes: self.outcomes.told(&ending.examples),
            cuts: self.cuts.rows(),
            left_out: self.cuts.left_out(),
            hubs: self
                .info
                .dimensions
                .hubs
                .iter()
                .cloned()
                .zip(self.hubs.iter().copied())
                .collect(),
            rates: Rates {
                provisioned_per_second: per_second(self.total.provisioned, ending.elapsed_us),
                released_per_second: self.starts.released(ending.released, self.info.arrivals),
                planned_per_second: (self.info.arrivals)
                    .and_then(|arrivals| arrivals.planned(self.info.planned)),
            },
            thresholds: Vec::new(),
            slos: Vec::new(),
            oracle: ending.oracle,
            server_counters: ending.server_counters,
            resources: ending.resources,
            timeline: self.series.points(),
            heat_map: self.series.heat_map(),
            distributions: self.total.distributions(Metric::all()),
            histograms: histograms.collect(),
        }
    }

    fn metrics(&self, now_us: u64) -> Vec<MetricView> {
        let views = Metric::all().filter_map(|metric| {
            let histogram = self.total.histogram(metric)?;
            Some(MetricView {
                metric,
                percentiles: histogram.percentiles()?,
                recent: self.series.recent(metric, now_us),
                buckets: histogram.buckets(),
            })
        });
        views.collect()
    }

    fn write(&mut self, entry: &Entry) {
        if let Some(journal) = &mut self.journal {
            journal.write(entry);
        }
    }

    fn flush(&mut self) {
        if let Some(journal) = &mut self.journal {
            journal.flush();
        }
    }
}

mod live_seconds;

#[cfg(test)]
pub(crate) mod fixture;
#[cfg(test)]
mod tests;
