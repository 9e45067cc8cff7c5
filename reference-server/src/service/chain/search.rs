//! The search for a way from a signing certificate down to a device's.
//!
//! It goes down: only who is signed, in the end, by one that is trusted is ever looked below, so that a
//! stranger's certificates cost one signature each for every trusted key of the name that they give as
//! their issuer's. Each certificate is verified once with each key. Ways are tried by the key identifiers
//! that they have right, and then by their length; what is found first is verified as a whole.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use rustls::pki_types::{
    CertificateDer, SignatureVerificationAlgorithm, SubjectPublicKeyInfoDer, UnixTime,
};
use webpki::{EndEntityCert, Error, KeyUsage};

use super::certificate::{Above, Presented};
use super::signatures::{KnownSignatures, Meter};
use super::words::in_words;
use crate::service::signing_certificate::SigningCertificate;

/// CA certificates between a device's and a signing one, at most; webpki's limit.
const MAX_LENGTH: usize = 6;
/// Steps that are looked at on all ways together: twice a hundred groups of one name above as many
/// certificates as may be shown.
const MAX_STEPS: usize = 8192;

/// Who signed a certificate: a trusted one, or the one that a step led to.
#[derive(Clone, Copy)]
enum Signer {
    Trusted(usize),
    Step(usize),
}

/// From a signer down to a certificate.
struct Step {
    from: Signer,
    /// The place of one above, or none: the device's own.
    to: Option<usize>,
    /// Key identifiers that are missing or wrong on the way until here.
    doubts: usize,
    /// CA certificates between the trusted one and this one.
    length: usize,
}

pub(super) struct Search<'a> {
    shown: &'a Presented<'a>,
    leaf: EndEntityCert<'a>,
    signers: &'a [Arc<SigningCertificate>],
    known: &'a KnownSignatures,
    now: UnixTime,
    steps: Vec<Step>,
    open: BinaryHeap<Reverse<(usize, usize, usize)>>,
}

impl<'a> Search<'a> {
    /// # Errors
    /// The device's certificate is none that can be verified.
    pub(super) fn new(
        shown: &'a Presented<'a>,
        signers: &'a [Arc<SigningCertificate>],
        known: &'a KnownSignatures,
        now: Timestamp,
    ) -> Result<Self, String> {
        let leaf = EndEntityCert::try_from(shown.leaf).map_err(|problem| in_words(&problem))?;
        let seconds = u64::try_from(now.as_second()).unwrap_or(0);
        Ok(Self {
            shown,
            leaf,
            signers,
            known,
            now: UnixTime::since_unix_epoch(Duration::from_secs(seconds)),
            steps: Vec::new(),
            open: BinaryHeap::new(),
        })
    }

    /// The place of the signer that a way leads down from.
    ///
    /// # Errors
    /// There is none. Of several reasons, that of the way that came closest.
    pub(super) fn run(mut self) -> Result<usize, Error> {
        let meter = Meter::new(self.known, self.shown.leaf);
        let metered = meter.algorithms();
        let algorithms: Vec<_> = metered.iter().map(|one| one as _).collect();
        let mut verified = HashMap::new();
        let (mut unsigned, mut unfit) = (None, None);
        for place in 0..self.signers.len() {
            self.go_down_from(Signer::Trusted(place))?;
        }
        while let Some(Reverse((_, _, place))) = self.open.pop() {
            let (from, to) = (self.steps[place].from, self.steps[place].to);
            let key = self.key(from);
            let below = self.certificate(to);
            let signed = verified
                .entry((to, key.as_ref()))
                .or_insert_with(|| below.is_signed_with(key, &algorithms));
            match (signed, to) {
                (Err(_), _) if meter.is_used_up() => {
                    return Err(Error::MaximumSignatureChecksExceeded);
                }
                (Err(problem), _) => unsigned = unsigned.or(Some(problem.clone())),
                (Ok(()), Some(_)) => self.go_down_from(Signer::Step(place))?,
                (Ok(()), None) => {
                    let (signer, between) = self.way(from);
                    match self.holds(signer, &between, &algorithms, &meter) {
                        Ok(()) => {
                            drop(algorithms);
                            drop(metered);
                            meter.learn();
                            return Ok(signer);
                        }
                        Err(_) if meter.is_used_up() => {
                            return Err(Error::MaximumSignatureChecksExceeded);
                        }
                        Err(problem) => unfit = unfit.or(Some(problem)),
                    }
                }
            }
        }
        Err(unfit.or(unsigned).unwrap_or(Error::UnknownIssuer))
    }

    /// Opens the steps to those that name a signer as theirs.
    fn go_down_from(&mut self, from: Signer) -> Result<(), Error> {
        let (subject, key_id, doubts, length) = match from {
            Signer::Trusted(place) => {
                let signer = &self.signers[place];
                (signer.subject(), signer.key_id(), 0, 0)
            }
            Signer::Step(place) => {
                let step = &self.steps[place];
                let signer = self.certificate(step.to);
                (signer.subject, signer.key_id, step.doubts, step.length + 1)
            }
        };
        let above = (0..self.shown.above.len()).map(Some);
        let above = above.filter(|_| length < MAX_LENGTH);
        for to in above.chain([None]) {
            let below = self.certificate(to);
            if below.issuer != subject || (to.is_some() && self.is_passed(from, below)) {
                continue;
            }
            if self.steps.len() == MAX_STEPS {
                return Err(Error::MaximumPathBuildCallsExceeded);
            }
            let doubts = doubts
                + match (below.issuer_key_id, key_id) {
                    (Some(meant), Some(key_id)) if meant == key_id => 0,
                    (Some(_), Some(_)) => 2,
                    _ => 1,
                };
            self.open.push(Reverse((doubts, length, self.steps.len())));
            self.steps.push(Step {
                from,
                to,
                doubts,
                length,
            });
        }
        Ok(())
    }

    /// Whether one of this name and key is on the way already (RFC 4158, 5.2).
    fn is_passed(&self, mut from: Signer, one: &Above<'_>) -> bool {
        loop {
            match from {
                Signer::Trusted(place) => {
                    let signer = &self.signers[place];
                    return signer.subject() == one.subject && *signer.key() == one.key;
                }
                Signer::Step(place) => {
                    let step = &self.steps[place];
                    let passed = self.certificate(step.to);
                    if passed.subject == one.subject && passed.key == one.key {
                        return true;
                    }
                    from = step.from;
                }
            }
        }
    }

    fn certificate(&self, place: Option<usize>) -> &'a Above<'a> {
        place.map_or(&self.shown.device, |place| &self.shown.above[place])
    }

    fn key(&self, signer: Signer) -> &'a SubjectPublicKeyInfoDer<'a> {
        match signer {
            Signer::Trusted(place) => self.signers[place].key(),
            Signer::Step(place) => &self.certificate(self.steps[place].to).key,
        }
    }

    /// The trusted one that a way begins at, and those between, the device's issuer first.
    fn way(&self, mut from: Signer) -> (usize, Vec<CertificateDer<'a>>) {
        let mut between = Vec::new();
        loop {
            match from {
                Signer::Trusted(place) => return (place, between),
                Signer::Step(place) => {
                    let step = &self.steps[place];
                    between.push(self.certificate(step.to).der.into());
                    from = step.from;
                }
            }
        }
    }

    /// Whether a way is one by RFC 5280, looked at as if it were all that is shown.
    fn holds(
        &self,
        signer: usize,
        between: &[CertificateDer<'_>],
        algorithms: &[&dyn SignatureVerificationAlgorithm],
        meter: &Meter<'_>,
    ) -> Result<(), Error> {
        if !meter.takes(1) {
            return Err(Error::MaximumSignatureChecksExceeded);
        }
        let signer = &self.signers[signer];
        let anchors = [signer.trust()];
        let path = self.leaf.verify_for_usage(
            algorithms,
            &anchors,
            between,
            self.now,
            KeyUsage::client_auth(),
            None,
            None,
        )?;
        let length = path.intermediate_certificates().count();
        match signer.path_length() {
            Some(most) if length > most => Err(Error::PathLenConstraintViolated),
            _ => Ok(()),
        }
    }
}
