//! A device's TPM, as a link asks for it; stamps when the challenge begins and ends.

use fleetstorm_protocol::tpm::IdentityKey;
use fleetstorm_reports::{Fault, Phase};

use super::phase_clock::PhaseClock;
use crate::fleet::tpm::VirtualTpm;
use crate::link::{LinkError, Tpm};

/// One device's.
pub struct Prover<'a> {
    /// The TPM.
    pub tpm: &'a VirtualTpm,
    /// Signs a SAS token for DPS.
    pub sign: &'a dyn Fn(&IdentityKey) -> String,
    /// Where the time is stamped; nowhere for a second connection.
    pub clock: Option<&'a mut PhaseClock>,
}

impl Prover<'_> {
    fn enter(&mut self, phase: Phase) {
        if let Some(clock) = &mut self.clock {
            clock.enter(phase);
        }
    }
}

impl Tpm for Prover<'_> {
    fn begin(&mut self) -> (Vec<u8>, Vec<u8>) {
        self.enter(Phase::Attest);
        let endorsement_key = self.tpm.endorsement_public().as_tpm2b().to_vec();
        (
            endorsement_key,
            self.tpm.storage_root_public().as_tpm2b().to_vec(),
        )
    }

    fn solve(&mut self, blob: &[u8]) -> Result<String, LinkError> {
        let key = self.tpm.activate(blob).map_err(|_| Fault::Activation)?;
        Ok((self.sign)(&key))
    }

    fn proven(&mut self) {
        self.enter(Phase::Open);
    }
}
