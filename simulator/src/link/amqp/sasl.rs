//! SASL before the dialogue: a SAS token as password, or the TPM nonce challenge.

use fleetstorm_protocol::amqp::sasl::{PLAIN, Plain, SaslFrame, TPM};
use fleetstorm_protocol::amqp::sasl_tpm::{self, TpmChallengePart, TpmInit};
use fleetstorm_protocol::amqp::types::sasl::{SaslCode, SaslInit, SaslResponse};
use fleetstorm_protocol::amqp::{SASL_HEADER, Symbol};
use fleetstorm_reports::{Breach, Fault};

use super::AmqpLink;
use crate::link::error::LinkError;
use crate::link::request::{Registrant, Tpm};

/// Longest activation blob: two segments.
const MAX_BLOB: usize = 1024;

impl AmqpLink {
    /// SASL PLAIN.
    ///
    /// # Errors
    /// The connection broke, or the server does not let the device in.
    pub(super) async fn authenticate(&mut self, plain: &Plain) -> Result<(), LinkError> {
        self.choose(PLAIN, plain.format()).await?;
        self.expect_outcome().await
    }

    /// SASL TPM: proves that the device holds the TPM's keys.
    ///
    /// # Errors
    /// The connection broke, the TPM could not open the blob, or the server does not let the device in.
    pub(super) async fn attest(
        &mut self,
        registrant: Registrant<'_>,
        tpm: &mut dyn Tpm,
    ) -> Result<(), LinkError> {
        let (endorsement_key, storage_root_key) = tpm.begin();
        let init = TpmInit {
            id_scope: registrant.id_scope.to_string(),
            registration_id: registrant.registration_id.to_string(),
            endorsement_key,
        };
        self.choose(TPM, init.format()).await?;
        let mut blob = Vec::with_capacity(MAX_BLOB);
        loop {
            let challenge = match self.sasl_frame().await? {
                SaslFrame::Challenge(challenge) => challenge.challenge,
                SaslFrame::Outcome(_) => return Err(LinkError::Refused { status: 401 }),
                _ => return Err(Fault::Protocol(Breach::Login).into()),
            };
            match TpmChallengePart::parse(&challenge).map_err(|_| Fault::Protocol(Breach::Login))? {
                TpmChallengePart::AskKey => self.respond(sasl_tpm::format(&storage_root_key)),
                TpmChallengePart::Segment(part) => {
                    blob.extend_from_slice(part);
                    self.respond(sasl_tpm::GO_ON.to_vec());
                }
                TpmChallengePart::LastSegment(part) => {
                    blob.extend_from_slice(part);
                    break;
                }
            }
            if blob.len() > MAX_BLOB {
                return Err(Fault::Protocol(Breach::TooLong).into());
            }
        }
        let sas = tpm.solve(&blob)?;
        self.respond(sasl_tpm::format(sas.as_bytes()));
        self.expect_outcome().await?;
        tpm.proven();
        Ok(())
    }

    async fn choose(&mut self, mechanism: &str, response: Vec<u8>) -> Result<(), LinkError> {
        self.output.extend_from_slice(&SASL_HEADER);
        self.expect_header(SASL_HEADER).await?;
        let SaslFrame::Mechanisms(offered) = self.sasl_frame().await? else {
            return Err(Fault::Protocol(Breach::Login).into());
        };
        let mut offered = offered.sasl_server_mechanisms.0.iter();
        if !offered.any(|name| name.as_str() == mechanism) {
            return Err(Fault::Protocol(Breach::Login).into());
        }
        let init = SaslFrame::Init(SaslInit {
            mechanism: Symbol::from(mechanism),
            initial_response: Some(response.into()),
            hostname: None,
        });
        init.write(&mut self.output);
        Ok(())
    }

    fn respond(&mut self, response: Vec<u8>) {
        let response = SaslFrame::Response(SaslResponse {
            response: response.into(),
        });
        response.write(&mut self.output);
    }

    async fn expect_outcome(&mut self) -> Result<(), LinkError> {
        match self.sasl_frame().await? {
            SaslFrame::Outcome(outcome) if outcome.code == SaslCode::Ok => Ok(()),
            SaslFrame::Outcome(outcome) if outcome.code == SaslCode::Auth => {
                Err(LinkError::Refused { status: 401 })
            }
            SaslFrame::Outcome(_) => Err(LinkError::Refused { status: 500 }),
            _ => Err(Fault::Protocol(Breach::Login).into()),
        }
    }

    async fn sasl_frame(&mut self) -> Result<SaslFrame, LinkError> {
        loop {
            match SaslFrame::read(&mut self.input) {
                Ok(Some(frame)) => return Ok(frame),
                Ok(None) => self.read_more().await?,
                Err(_) => return Err(Fault::Protocol(Breach::Login).into()),
            }
        }
    }
}
