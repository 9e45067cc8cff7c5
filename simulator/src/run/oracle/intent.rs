//! What must become of the devices of a cohort.

use fleetstorm_protocol::attestation::AttestationKind;
use fleetstorm_protocol::service_error::code;
use fleetstorm_reports::{Fault, Outcome, Record};
use fleetstorm_scenarios::{Cohort, Flaw};

use super::changes::{Enabled, Expired, Owner, Times};
use super::hubs::AllowedHubs;
use super::places::Places;

/// One cohort's.
#[derive(Debug)]
pub struct Intent {
    refusal: Option<Refusal>,
    /// Whether another device has the same name, and takes its place at the service.
    has_double: bool,
    enabled: bool,
    /// As long as they are not sold.
    seller: Owned,
    /// Once they are, if they ever are.
    buyer: Option<Owned>,
}

/// What must become of devices of one owner.
#[derive(Debug)]
struct Owned {
    /// Index of its instance.
    tenant: u8,
    hubs: AllowedHubs,
    /// Where, for people.
    place: String,
}

/// How devices with a flaw must be refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refusal {
    /// By DPS, with 401 and this error code (`dps-wire`, captured bodies: 401002 for certificates,
    /// 401000 for keys); a target that gives no code is not held to it.
    Unauthorized(u32),
    /// As unknown: 404, or as somebody who can't prove itself. SASL says no more than that.
    Unknown(u32),
    /// By themselves: they can't open what DPS sends them.
    CannotActivate,
}

/// What a record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finding {
    /// As it had to come.
    AsIntended,
    /// Load, not logic.
    FellShort,
    /// Something happened that makes either right.
    EitherWay,
    /// Wrong.
    Contradiction(Wrong),
}

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wrong {
    /// Assigned to a hub, and must not be.
    LetIn,
    /// Assigned to a hub that is not allowed.
    Hub,
    /// It went to the instance of somebody whose it is not.
    Owner,
    /// It ended as it must not.
    Outcome,
    /// It had left a record before.
    Twice,
    /// No device of the plan.
    Unplanned,
}

impl Intent {
    /// Of the cohort of this index.
    pub fn of(index: u16, cohort: &Cohort, places: &mut Places<'_>) -> Self {
        let hubs = places.hubs;
        let owned = |tenant, hubs_of: AllowedHubs| Owned {
            tenant,
            place: hubs_of.in_words(hubs),
            hubs: hubs_of,
        };
        let buyer = places.scenario.sale_of(index).map(|sale| sale.buyer);
        Self {
            refusal: cohort
                .flaw
                .and_then(|flaw| refusal(flaw, cohort.attestation)),
            has_double: cohort.flaw == Some(Flaw::DuplicateEk),
            enabled: cohort.enabled,
            seller: owned(cohort.tenant, AllowedHubs::of(cohort, places)),
            buyer: buyer.map(|to| owned(to, AllowedHubs::of_buyer(cohort, to, places))),
        }
    }

    /// Lays a registration beside it.
    pub fn judge(&self, record: &Record, times: Times) -> Finding {
        let enabled = self.enabled(times);
        let Some(owned) = self.owned(record, times) else {
            return Finding::Contradiction(Wrong::Owner);
        };
        let finding = match (self.refusal(times), enabled) {
            (Some(refusal), _) => judge_refused(record, |outcome| {
                // Which of two reasons is told is the service's choice.
                refusal.fits(outcome) || enabled != Some(true) && outcome == Outcome::Disabled
            }),
            (None, Some(false)) => judge_refused(record, |outcome| outcome == Outcome::Disabled),
            (None, Some(true)) => judge_let_in(record, &owned.hubs),
            (None, None) if record.outcome == Outcome::Disabled => Finding::EitherWay,
            (None, None) => judge_let_in(record, &owned.hubs).or_not(),
        };
        let finding = match times.expired {
            Expired::Perhaps if EXPIRED.fits(record.outcome) => Finding::EitherWay,
            Expired::Perhaps => finding.or_not(),
            Expired::No | Expired::Surely => finding,
        };
        match finding {
            Finding::Contradiction(Wrong::Outcome)
                if self.has_double && is_displaced(record.outcome) =>
            {
                Finding::EitherWay
            }
            // The seller had let go of it, and it did not know yet.
            Finding::Contradiction(Wrong::Outcome)
                if times.owner == Owner::Changing && is_turned_away(record.outcome) =>
            {
                Finding::EitherWay
            }
            Finding::Contradiction(Wrong::Outcome)
                if times.proof_may_be_old && is_unauthorized(record.outcome) =>
            {
                Finding::EitherWay
            }
            other => other,
        }
    }

    /// Whether the device must be refused, for whatever reason.
    pub fn must_be_refused(&self, times: Times) -> bool {
        self.refusal(times).is_some() || self.enabled(times) == Some(false)
    }

    /// How the device must be refused, if it must.
    fn refusal(&self, times: Times) -> Option<Refusal> {
        let expired = (times.expired == Expired::Surely).then_some(EXPIRED);
        self.refusal.or(expired)
    }

    /// Whether the enrollment was enabled, if that can be said.
    fn enabled(&self, times: Times) -> Option<bool> {
        match times.enabled {
            Enabled::AsWritten => Some(self.enabled),
            Enabled::Certainly(enabled) => Some(enabled),
            Enabled::Changing => None,
        }
    }

    /// Whose the device is, if that is whom it went to.
    fn owned(&self, record: &Record, times: Times) -> Option<&Owned> {
        let both = [Some(&self.seller), self.buyer.as_ref()];
        let mut both = both.into_iter().flatten();
        let gone_to = both.find(|owned| owned.tenant == record.tenant)?;
        let right = match times.owner {
            Owner::AsWritten => gone_to.tenant == self.seller.tenant,
            Owner::Buyer(tenant) => gone_to.tenant == tenant,
            Owner::Changing => true,
        };
        right.then_some(gone_to)
    }

    /// For people, as long as nothing happens.
    pub fn in_general(&self) -> String {
        let unsold = self.in_words(Times::default());
        match &self.buyer {
            Some(buyer) => format!("{unsold}, once sold{}", buyer.place),
            None => unsold,
        }
    }

    /// For people, for a device that was under way then.
    pub fn in_words(&self, times: Times) -> String {
        let place = match (times.owner, &self.buyer) {
            (Owner::Buyer(_), Some(buyer)) => buyer.place.as_str(),
            _ => self.seller.place.as_str(),
        };
        match (self.refusal(times), self.enabled(times)) {
            (Some(refusal), _) => refusal.in_words(),
            (None, Some(false)) => "refused: enrollment disabled".into(),
            (None, Some(true)) if self.has_double => {
                format!("provisioned{place}, or displaced by its double")
            }
            (None, Some(true)) => format!("provisioned{place}"),
            (None, None) => format!("provisioned{place}, or refused as disabled"),
        }
    }
}

fn judge_let_in(record: &Record, hubs: &AllowedHubs) -> Finding {
    if record.registered_us.is_some() && !hubs.allow(record) {
        return Finding::Contradiction(Wrong::Hub);
    }
    match record.outcome {
        Outcome::Provisioned | Outcome::Registered => Finding::AsIntended,
        outcome if is_load(outcome) => Finding::FellShort,
        _ => Finding::Contradiction(Wrong::Outcome),
    }
}

fn judge_refused(record: &Record, fits: impl Fn(Outcome) -> bool) -> Finding {
    if record.registered_us.is_some() {
        return Finding::Contradiction(Wrong::LetIn);
    }
    match record.outcome {
        outcome if fits(outcome) => Finding::AsIntended,
        outcome if is_load(outcome) => Finding::FellShort,
        _ => Finding::Contradiction(Wrong::Outcome),
    }
}

impl Finding {
    /// The same, where to be refused would have been as right.
    fn or_not(self) -> Self {
        match self {
            Self::AsIntended => Self::EitherWay,
            other => other,
        }
    }
}

impl Refusal {
    fn fits(self, outcome: Outcome) -> bool {
        match (self, outcome) {
            (Self::Unauthorized(right), Outcome::Refused { status, code, .. }) => {
                status == 401 && [0, right].contains(&code)
            }
            // Another server may look at certificates in the handshake already.
            (
                Self::Unauthorized(code::INVALID_CERTIFICATE)
                | Self::Unknown(code::INVALID_CERTIFICATE),
                Outcome::Broken { fault, .. },
            ) => fault == Fault::Tls,
            (Self::Unknown(right), Outcome::Refused { status, code, .. }) => match status {
                401 => [0, right].contains(&code),
                404 => [0, code::ENROLLMENT_NOT_FOUND].contains(&code),
                _ => false,
            },
            (Self::CannotActivate, Outcome::Broken { fault, .. }) => fault == Fault::Activation,
            _ => false,
        }
    }

    fn in_words(self) -> String {
        match self {
            Self::Unauthorized(code) => format!("refused: 401 ({code})"),
            Self::Unknown(_) => "refused as unknown: 404 or 401".into(),
            Self::CannotActivate => "TPM activation fails".into(),
        }
    }
}

/// Of a certificate whose time is over.
const EXPIRED: Refusal = Refusal::Unauthorized(code::INVALID_CERTIFICATE);

/// Whether it is for thresholds to judge: the service, the line or the run had not enough to give.
fn is_load(outcome: Outcome) -> bool {
    match outcome {
        Outcome::TimedOut { .. } | Outcome::Cancelled | Outcome::NotStarted => true,
        Outcome::Broken { fault, .. } => match fault {
            Fault::Unresolvable
            | Fault::ConnectionRefused
            | Fault::ConnectionLost
            | Fault::LocalResources => true,
            // Nobody answers garbage, fails at TLS or shows another certificate for want of time.
            Fault::UntrustedServer | Fault::Tls | Fault::Protocol(_) | Fault::Activation => false,
        },
        Outcome::Refused { status, .. } => status == 408 || status == 429 || status >= 500,
        Outcome::Provisioned
        | Outcome::Registered
        | Outcome::TwinMismatch
        | Outcome::DataMismatch
        | Outcome::AssignmentFailed { .. }
        | Outcome::Disabled => false,
    }
}

/// Whether another device has got in between: the challenge, the hub's key or the twin were its own.
fn is_displaced(outcome: Outcome) -> bool {
    let is_not_its = matches!(
        outcome,
        Outcome::DataMismatch
            | Outcome::Broken {
                fault: Fault::Activation,
                ..
            }
    );
    is_not_its || is_unknown(outcome) || is_unauthorized(outcome)
}

fn is_turned_away(outcome: Outcome) -> bool {
    is_unknown(outcome) || is_unauthorized(outcome) || outcome == Outcome::Disabled
}

fn is_unknown(outcome: Outcome) -> bool {
    matches!(outcome, Outcome::Refused { status: 404, .. })
}

fn is_unauthorized(outcome: Outcome) -> bool {
    matches!(outcome, Outcome::Refused { status: 401, .. })
}

/// None where they are let in.
fn refusal(flaw: Flaw, attestation: AttestationKind) -> Option<Refusal> {
    let refusal = match flaw {
        Flaw::DuplicateEk => return None,
        Flaw::ExpiredCertificate => EXPIRED,
        Flaw::WrongRoot | Flaw::MissingIntermediate => {
            Refusal::Unauthorized(code::INVALID_CERTIFICATE)
        }
        Flaw::WrongKey => Refusal::Unauthorized(code::UNAUTHORIZED),
        Flaw::WrongTpmKey => Refusal::CannotActivate,
        Flaw::Unenrolled => match attestation {
            AttestationKind::X509Group | AttestationKind::X509Individual => {
                Refusal::Unknown(code::INVALID_CERTIFICATE)
            }
            AttestationKind::SymmetricKeyGroup
            | AttestationKind::SymmetricKeyIndividual
            | AttestationKind::Tpm => Refusal::Unknown(code::UNAUTHORIZED),
        },
    };
    Some(refusal)
}

impl Wrong {
    /// What came, for people; `hubs` are the host names behind a record's index.
    pub fn in_words(self, record: &Record, hubs: &[String]) -> String {
        let hub = record.hub.and_then(|hub| hubs.get(usize::from(hub)));
        let hub = hub.map_or("a hub that is none of the run's", String::as_str);
        match self {
            Self::LetIn => format!("assigned to {hub}"),
            Self::Hub => format!("assigned to {hub}, which is not allowed"),
            Self::Owner => format!("{} at another owner's instance", record.outcome),
            Self::Outcome => record.outcome.to_string(),
            Self::Twice => format!("a second record of it: {}", record.outcome),
            Self::Unplanned => format!("a device that is not in the plan: {}", record.outcome),
        }
    }
}
