//! When a run begins: as soon as all is ready, or at a moment that was appointed before.

use std::io;
use std::time::Duration;

use fleetstorm_protocol::attestation::AttestationKind;
use fleetstorm_scenarios::Plan;
use fleetstorm_scenarios::event::Action;
use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use crate::stopwatch::RunClock;

/// From the last preparation to the first release.
const HEAD_START: Duration = Duration::from_millis(50);
/// What a server takes to start, on a slow machine.
const SERVER_START: Duration = Duration::from_secs(3);
/// What an enrollment takes to be made and handed to it; a quarter of that was measured.
const ENROLLMENT: Duration = Duration::from_micros(250);
/// Certificates know seconds.
const TOLERANCE: SignedDuration = SignedDuration::from_secs(1);

/// When.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// When all is ready.
    Soon,
    /// Then, on a whole second: certificates are enrolled before the run that expire so long after its start.
    Appointed(Timestamp),
}

impl Start {
    /// Appoints the start of a run that needs it; the fleet is derived, the server does not run yet.
    pub fn of(plan: &Plan, now: Timestamp) -> Self {
        let scenario = plan.scenario();
        let mut actions = scenario.events.iter().map(|event| &event.action);
        if !actions.any(|action| matches!(action, Action::Certificates(_))) {
            return Self::Soon;
        }
        let individual = scenario.cohorts.iter().filter(|cohort| {
            !matches!(
                cohort.attestation,
                AttestationKind::X509Group | AttestationKind::SymmetricKeyGroup
            )
        });
        let enrollments: u64 = individual.map(|cohort| cohort.devices).sum();
        let enrolling = ENROLLMENT.mul_f64(enrollments as f64);
        let ready = now + SERVER_START + enrolling;
        Timestamp::from_second(ready.as_second() + 1).map_or(Self::Soon, Self::Appointed)
    }

    /// The time line of the run whose preparations are over, and when it begins by the wall clock.
    pub fn begin(self) -> (RunClock, Timestamp) {
        let now = Timestamp::now();
        let ahead = match self {
            Self::Soon => HEAD_START,
            // Preparations may have taken longer than was thought.
            Self::Appointed(at) => Duration::try_from(at.duration_since(now))
                .map_or(HEAD_START, |wait| wait.max(HEAD_START)),
        };
        // One moment by both clocks: what others have noted can be laid beside the records.
        (RunClock::starting_at(Instant::now() + ahead), now + ahead)
    }

    /// Whether it is so long after the appointed start, by the wall clock.
    ///
    /// # Errors
    /// It is not: by how much, for people.
    pub fn is_at(self, at: Duration) -> io::Result<()> {
        let Self::Appointed(start) = self else {
            return Ok(());
        };
        let late = Timestamp::now().duration_since(start)
            - SignedDuration::try_from(at).unwrap_or_default();
        if late.abs() <= TOLERANCE {
            return Ok(());
        }
        let seconds = late.as_secs_f64().abs();
        let when = if late.is_positive() {
            "before"
        } else {
            "after"
        };
        Err(io::Error::other(format!(
            "the certificates expire {seconds:.1} s {when} this moment: preparations took longer than was thought, or the wall clock was changed"
        )))
    }
}
