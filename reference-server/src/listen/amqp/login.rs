//! The security layer: a bare AMQP header, or SASL before it.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use fleetstorm_protocol::amqp::dps::DpsAddress;
use fleetstorm_protocol::amqp::hub_user::HubUser;
use fleetstorm_protocol::amqp::sasl::{ANONYMOUS, EXTERNAL, MSSBCBS, PLAIN, Plain, SaslFrame, TPM};
use fleetstorm_protocol::amqp::sasl_tpm::{self, TpmInit};
use fleetstorm_protocol::amqp::types::sasl::{
    SaslChallenge, SaslCode, SaslInit, SaslMechanisms, SaslOutcome,
};
use fleetstorm_protocol::amqp::{AMQP_HEADER, Array, SASL_HEADER, Symbol};
use fleetstorm_protocol::ids::RegistrationId;
use fleetstorm_protocol::registration::TpmAttestation;
use jiff::Timestamp;
use tokio::time::Instant;

use super::wire::{Gone, Wire};
use crate::hub::registry::Hub;
use crate::listen::claim::Claim;
use crate::listen::client::Client;
use crate::listen::server::Server;
use crate::listen::stream::Stream;

/// What is offered, best first.
const MECHANISMS: [&str; 5] = [EXTERNAL, TPM, PLAIN, MSSBCBS, ANONYMOUS];

/// What a client said of itself before it opened the connection.
#[derive(Debug, Clone)]
pub(in crate::listen) enum Login {
    /// Nothing: its certificate speaks, or a token that it puts later.
    None,
    /// Its name and a SAS token. DPS looks at the token with each request, and refuses there.
    Plain {
        /// Who.
        address: DpsAddress,
        /// SAS token.
        sas: String,
    },
    /// It has a TPM, and has answered its challenge. Whether it has solved it is looked at with each
    /// request as well.
    Tpm {
        /// Who.
        address: DpsAddress,
        /// Its keys.
        tpm: TpmAttestation,
        /// The SAS token that it answered with.
        sas: String,
    },
    /// It is let in to a hub.
    AtHub {
        /// Host name of the hub.
        hub: String,
        /// What its token claims.
        claim: Claim,
    },
}

impl Login {
    /// Who it is, if it said so.
    pub(in crate::listen) fn address(&self) -> Option<&DpsAddress> {
        match self {
            Self::None | Self::AtHub { .. } => None,
            Self::Plain { address, .. } | Self::Tpm { address, .. } => Some(address),
        }
    }

    /// Its SAS token.
    pub(in crate::listen) fn sas(&self) -> Option<&str> {
        match self {
            Self::None | Self::AtHub { .. } => None,
            Self::Plain { sas, .. } | Self::Tpm { sas, .. } => Some(sas),
        }
    }

    /// The keys of its TPM.
    pub(in crate::listen) fn tpm(&self) -> Option<&TpmAttestation> {
        match self {
            Self::Tpm { tpm, .. } => Some(tpm),
            Self::None | Self::Plain { .. } | Self::AtHub { .. } => None,
        }
    }
}

/// Goes through the protocol headers up to that of AMQP, which is answered. `None`: it is over.
pub(in crate::listen) async fn log_in<Carrier: Stream>(
    wire: &mut Wire<Carrier>,
    client: &Client,
    server: &Server,
) -> Result<Option<Login>, Gone> {
    let start = Instant::now();
    let mut login = Login::None;
    let mut header = wire
        .protocol_header(start + server.limits.first_request)
        .await?;
    let deadline = start + server.limits.login;
    if header == SASL_HEADER {
        wire.output.extend_from_slice(&SASL_HEADER);
        login = match authenticate(wire, client, server, deadline).await? {
            Some(login) => login,
            None => return Ok(None),
        };
        header = wire.protocol_header(deadline).await?;
    }
    // A header that is not understood is answered with one that would be (part 2, 2.2).
    wire.output.extend_from_slice(&AMQP_HEADER);
    Ok((header == AMQP_HEADER).then_some(login))
}

async fn authenticate<Carrier: Stream>(
    wire: &mut Wire<Carrier>,
    client: &Client,
    server: &Server,
    deadline: Instant,
) -> Result<Option<Login>, Gone> {
    // Always an array, as the C SDK needs it.
    let mechanisms = SaslFrame::Mechanisms(SaslMechanisms {
        sasl_server_mechanisms: Array(MECHANISMS.map(Symbol::from).to_vec()),
    });
    mechanisms.write(&mut wire.output);
    let SaslFrame::Init(init) = wire.sasl_frame(deadline).await? else {
        return Err(Gone::Lost);
    };
    let login = match init.mechanism.as_str() {
        ANONYMOUS | EXTERNAL | MSSBCBS => Some(Login::None),
        PLAIN => plain(&init, client, server),
        TPM => tpm(wire, &init, server, deadline).await?,
        _ => None,
    };
    let code = if login.is_some() {
        SaslCode::Ok
    } else {
        SaslCode::Auth
    };
    let outcome = SaslFrame::Outcome(SaslOutcome {
        code,
        additional_data: None,
    });
    outcome.write(&mut wire.output);
    Ok(login)
}

fn plain(init: &SaslInit, client: &Client, server: &Server) -> Option<Login> {
    let plain = Plain::parse(init.initial_response.as_ref()?).ok()?;
    if let Ok(user) = HubUser::parse(&plain.user) {
        return at_hub(&user, &plain.password, client, server);
    }
    Some(Login::Plain {
        address: DpsAddress::parse(&plain.user).ok()?,
        sas: plain.password,
    })
}

/// Unlike DPS, a hub looks at the token at once: the one asked for by SNI, which the user name must
/// match, or else the one that it names.
fn at_hub(user: &HubUser, token: &str, client: &Client, server: &Server) -> Option<Login> {
    let is_its = |hub: &&Arc<Hub>| user.is_at(hub.host_name());
    let hub = match server.hub_of(client) {
        Some(hub) => Some(hub).filter(is_its),
        None => server.hubs.iter().find(is_its),
    }?;
    let claim = Claim::of_user(hub, user, token, Timestamp::now()).ok()?;
    Some(Login::AtHub {
        hub: hub.host_name().to_owned(),
        claim,
    })
}

/// The nonce challenge, in the steps that [`sasl_tpm`] draws.
async fn tpm<Carrier: Stream>(
    wire: &mut Wire<Carrier>,
    init: &SaslInit,
    server: &Server,
    deadline: Instant,
) -> Result<Option<Login>, Gone> {
    let Some((address, endorsement_key)) = presented(init) else {
        return Ok(None);
    };
    let response = challenge(wire, sasl_tpm::GO_ON.to_vec(), deadline).await?;
    let Ok(storage_root_key) = sasl_tpm::parse(&response) else {
        return Ok(None);
    };
    let tpm = TpmAttestation {
        endorsement_key: STANDARD.encode(endorsement_key),
        storage_root_key: Some(STANDARD.encode(storage_root_key)),
    };
    let (scope, id) = (&address.id_scope, &address.registration_id);
    let challenged = server
        .instances
        .challenge_tpm(scope, id, &tpm, Timestamp::now());
    let Some([first, last]) = challenged.ok().and_then(|blob| sasl_tpm::segments(&blob)) else {
        return Ok(None);
    };
    if sasl_tpm::parse(&challenge(wire, first, deadline).await?).is_err() {
        return Ok(None);
    }
    let response = challenge(wire, last, deadline).await?;
    let sas = sasl_tpm::parse(&response)
        .ok()
        .and_then(|token| std::str::from_utf8(token).ok())
        .map(str::to_owned);
    Ok(sas.map(|sas| Login::Tpm { address, tpm, sas }))
}

fn presented(init: &SaslInit) -> Option<(DpsAddress, Vec<u8>)> {
    let init = TpmInit::parse(init.initial_response.as_ref()?).ok()?;
    let address = DpsAddress {
        id_scope: init.id_scope,
        registration_id: RegistrationId::parse(&init.registration_id).ok()?,
    };
    Some((address, init.endorsement_key))
}

/// Sends a challenge and returns the response.
async fn challenge<Carrier: Stream>(
    wire: &mut Wire<Carrier>,
    challenge: Vec<u8>,
    deadline: Instant,
) -> Result<Vec<u8>, Gone> {
    let challenge = SaslFrame::Challenge(SaslChallenge {
        challenge: challenge.into(),
    });
    challenge.write(&mut wire.output);
    match wire.sasl_frame(deadline).await? {
        SaslFrame::Response(response) => Ok(response.response.into_vec()),
        _ => Err(Gone::Lost),
    }
}
