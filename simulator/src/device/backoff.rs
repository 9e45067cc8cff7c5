//! What a device does about a failure: its retry profile, and how often in a row it has failed. Pure.

use std::time::Duration;

use fleetstorm_protocol::attestation::Protocol;
use fleetstorm_reports::Fault;
use fleetstorm_scenarios::RetryProfile;
use fleetstorm_scenarios::retry::{Decision, Setback, Situation, Step};

use crate::link::LinkError;

/// One device's backoff with one peer.
#[derive(Debug)]
pub struct Backoff {
    profile: RetryProfile,
    protocol: Protocol,
    failures: u32,
}

/// When something came instead of a result.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Moment {
    /// Since the first question.
    pub elapsed: Duration,
    /// From 0 up to and without 1, for waits by chance.
    pub chance: f64,
}

impl Backoff {
    /// Nothing has failed yet. `protocol` is what it speaks to the peer.
    pub fn new(profile: RetryProfile, protocol: Protocol) -> Self {
        Self {
            profile,
            protocol,
            failures: 0,
        }
    }

    /// The peer did what it was asked.
    pub fn served(&mut self) {
        self.failures = 0;
    }

    /// Whether what came last was a failure.
    pub fn is_tried(&self) -> bool {
        self.failures > 0
    }

    /// How long to wait before `step` is tried again; `None` is giving up.
    pub fn wait(
        &mut self,
        step: Step,
        setback: Setback,
        retry_after: Option<Duration>,
        now: Moment,
    ) -> Option<Duration> {
        match setback {
            Setback::Unfinished => self.failures = 0,
            Setback::Status(_) | Setback::Disconnected => {
                self.failures = self.failures.saturating_add(1);
            }
        }
        let decision = self.profile.decide(Situation {
            protocol: self.protocol,
            step,
            setback,
            failures: self.failures,
            retry_after,
            elapsed: now.elapsed,
            chance: now.chance,
        });
        match decision {
            Decision::Wait(wait) => Some(wait),
            Decision::GiveUp => None,
        }
    }
}

/// What a link's failure is to a retry profile; `None` where no other try could end better.
pub fn setback_of(error: LinkError) -> Option<Setback> {
    match error {
        LinkError::Refused { status } => Some(Setback::Status(status)),
        LinkError::Broken(
            Fault::ConnectionRefused | Fault::ConnectionLost | Fault::Unresolvable,
        ) => Some(Setback::Disconnected),
        LinkError::Broken(
            Fault::UntrustedServer
            | Fault::Tls
            | Fault::Protocol(_)
            | Fault::Activation
            | Fault::LocalResources,
        ) => None,
    }
}
