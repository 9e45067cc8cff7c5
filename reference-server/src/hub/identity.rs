//! A device as its hub's identity registry knows it.

use fleetstorm_protocol::hub::sas_resource;
use fleetstorm_protocol::ids::ClientId;
use fleetstorm_protocol::sas::SasToken;
use fleetstorm_protocol::symmetric_key::SymmetricKey;
use fleetstorm_protocol::twin::InitialTwin;
use fleetstorm_protocol::x509::Thumbprint;
use jiff::Timestamp;
use rustls::pki_types::CertificateDer;
use serde::{Deserialize, Serialize};

use super::inbox::{Downstream, SessionEnd};
use super::modules::Kin;
use super::session::Traffic;
use super::subscriptions::Subscriptions;
use super::thumbprint::{CertificateThumbprint, Shown};
use super::twin::{KeptTwin, SharedViews, Twin};

/// How a device proves itself to its hub. Either of two proofs holds, so that they can be
/// rolled one after the other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Authentication {
    /// By a shared key: SAS tokens.
    Sas {
        /// The key.
        primary: SymmetricKey,
        /// Another.
        secondary: Option<SymmetricKey>,
    },
    /// By this very certificate, as DPS enters it for X.509 devices of either kind of
    /// enrollment (DPS documentation, "Roll X.509 device certificates").
    SelfSigned {
        /// Its thumbprint.
        primary: CertificateThumbprint,
        /// Another's.
        secondary: Option<Box<CertificateThumbprint>>,
    },
    /// By a certificate below a CA that the hub trusts. Hubs of this server trust none: the registry
    /// has such identities, and lets nobody in by them.
    CertificateAuthority,
    /// By nothing yet: nobody is let in. So begin the modules of IoT Edge.
    None,
}

impl Authentication {
    /// By one key.
    pub fn key(key: SymmetricKey) -> Self {
        Self::Sas {
            primary: key,
            secondary: None,
        }
    }

    /// By one certificate.
    pub fn certificate(thumbprint: Thumbprint) -> Self {
        Self::SelfSigned {
            primary: CertificateThumbprint::Sha256(thumbprint),
            secondary: None,
        }
    }

    /// Whether it is by key.
    pub(super) fn is_by_key(&self) -> bool {
        matches!(self, Self::Sas { .. })
    }

    /// Whether a device shows that it is the one; if so, what proves it, and until when (Unix
    /// seconds) where that runs out.
    pub(super) fn is_shown_by(
        &self,
        host_name: &str,
        device: &ClientId,
        password: Option<&str>,
        certificates: &[CertificateDer<'static>],
        now: Timestamp,
    ) -> Option<(Proof, Option<i64>)> {
        match self {
            Self::Sas { primary, secondary } => {
                let token = SasToken::parse(password?).ok()?;
                let resource = sas_resource(host_name, device);
                let signed = |key: &&SymmetricKey| {
                    let verified = token.verify(&resource, key.as_bytes(), now.as_second());
                    verified.is_ok()
                };
                let key = [Some(primary), secondary.as_ref()]
                    .into_iter()
                    .flatten()
                    .find(signed)?;
                let until = token.holds_until(now.as_second());
                Some((Proof::Key(key.clone()), Some(until)))
            }
            Self::SelfSigned { .. } => {
                let shown = Shown::of(certificates.first()?);
                let proof = Proof::Certificate(Box::new(shown));
                self.holds(&proof).then_some((proof, None))
            }
            Self::CertificateAuthority | Self::None => None,
        }
    }

    /// Whether what proved a device before would do so now.
    fn holds(&self, proof: &Proof) -> bool {
        match (self, proof) {
            (Self::Sas { primary, secondary }, Proof::Key(key)) => {
                key == primary || secondary.as_ref() == Some(key)
            }
            (Self::SelfSigned { primary, secondary }, Proof::Certificate(shown)) => {
                shown.is(primary) || secondary.as_ref().is_some_and(|other| shown.is(other))
            }
            (Self::Sas { .. }, Proof::Policy) => true,
            _ => false,
        }
    }
}

/// What a device has proven itself by. An identity may change, or be made anew under the same name,
/// after a device was let in: then it is asked whether that still holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Proof {
    /// This key.
    Key(SymmetricKey),
    /// This certificate.
    Certificate(Box<Shown>),
    /// The word of who has a policy of the hub.
    Policy,
}

/// One device of a hub.
#[derive(Debug)]
pub(super) struct Device {
    pub(super) authentication: Authentication,
    /// A disabled device is not let in.
    pub(super) enabled: bool,
    /// An IoT Edge device.
    pub(super) iot_edge: bool,
    /// Why, in the service's words.
    pub(super) status_reason: Option<Box<str>>,
    /// Changes of the identity, from 1.
    pub(super) revision: u32,
    /// When it last connected, sent or reported: microseconds of Unix time; 0 for never.
    seen_us: i64,
    pub(super) twin: Twin,
    /// Modules of a device, and what only modules have.
    pub(super) kin: Option<Box<Kin>>,
    /// Kept for its next connection, where its last one asked for that.
    pub(super) subscriptions: Option<Subscriptions>,
    /// What is under way; most devices, most of the time, have nothing.
    traffic: Option<Box<Traffic>>,
}

/// A device as the store keeps it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct KeptDevice {
    authentication: Authentication,
    enabled: bool,
    #[serde(default)]
    iot_edge: bool,
    status_reason: Option<Box<str>>,
    revision: u32,
    seen_us: i64,
    twin: KeptTwin,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    managed_by: Option<Box<str>>,
}

impl Device {
    /// For the store: what is under way ends with the process.
    pub(super) fn kept(&self) -> KeptDevice {
        let Self {
            authentication,
            enabled,
            iot_edge,
            status_reason,
            revision,
            seen_us,
            twin,
            // Modules are kept each for itself, and bring their device back here.
            kin,
            subscriptions: _,
            traffic: _,
        } = self;
        KeptDevice {
            authentication: authentication.clone(),
            enabled: *enabled,
            iot_edge: *iot_edge,
            status_reason: status_reason.clone(),
            revision: *revision,
            seen_us: *seen_us,
            twin: twin.kept(),
            managed_by: kin.as_ref().and_then(|kin| kin.managed_by.clone()),
        }
    }

    /// From the store.
    ///
    /// # Errors
    /// Its twin is none.
    pub(super) fn from_kept(kept: KeptDevice, views: &SharedViews) -> Result<Self, String> {
        Ok(Self {
            authentication: kept.authentication,
            enabled: kept.enabled,
            iot_edge: kept.iot_edge,
            status_reason: kept.status_reason,
            revision: kept.revision,
            seen_us: kept.seen_us,
            twin: Twin::from_kept(kept.twin, views)?,
            kin: kept.managed_by.map(|managed_by| {
                Box::new(Kin {
                    managed_by: Some(managed_by),
                    ..Kin::default()
                })
            }),
            subscriptions: None,
            traffic: None,
        })
    }

    /// A new one.
    pub(super) fn new(
        authentication: Authentication,
        initial_twin: Option<&InitialTwin>,
        views: &SharedViews,
        now: Timestamp,
    ) -> Self {
        Self::with(authentication, Twin::new(initial_twin, views, now))
    }

    /// With a twin that is there.
    pub(super) fn with(authentication: Authentication, twin: Twin) -> Self {
        Self {
            authentication,
            enabled: true,
            iot_edge: false,
            status_reason: None,
            revision: 1,
            seen_us: 0,
            twin,
            kin: None,
            subscriptions: None,
            traffic: None,
        }
    }

    /// The device is at it now.
    pub(super) fn seen(&mut self, now: Timestamp) {
        self.seen_us = now.as_microsecond();
    }

    /// When it last was.
    pub(super) fn last_seen(&self) -> Option<Timestamp> {
        match self.seen_us {
            0 => None,
            microseconds => Timestamp::from_microsecond(microseconds).ok(),
        }
    }

    /// What is under way, if anything.
    pub(super) fn traffic(&mut self) -> Option<&mut Traffic> {
        self.traffic.as_deref_mut()
    }

    /// What is under way, to add to it.
    pub(super) fn traffic_or_new(&mut self) -> &mut Traffic {
        self.traffic.get_or_insert_default()
    }

    /// Forgets the traffic if nothing is under way.
    pub(super) fn tidy(&mut self) {
        if self
            .traffic
            .as_ref()
            .is_some_and(|traffic| traffic.is_over())
        {
            self.traffic = None;
        }
    }

    /// Whether a session is open.
    pub(super) fn is_connected(&self) -> bool {
        self.traffic
            .as_ref()
            .is_some_and(|traffic| traffic.is_connected())
    }

    /// Messages that wait for it.
    pub(super) fn waiting_messages(&self) -> usize {
        self.traffic
            .as_ref()
            .map_or(0, |traffic| traffic.messages.len())
    }

    /// Whether who has proven itself by that is let in.
    pub(super) fn admits(&self, proof: &Proof) -> bool {
        self.enabled && self.authentication.holds(proof)
    }

    /// Ends its session, if what opened that does not let it in any more.
    pub(super) fn revoke_unless_proven(&mut self) {
        let proof = self.traffic.as_ref().and_then(|traffic| traffic.proof());
        if proof.is_some_and(|proof| !self.admits(proof)) {
            self.revoke();
        }
    }

    /// Ends its session: it may not be connected any more.
    pub(super) fn revoke(&mut self) {
        if let Some(traffic) = self.traffic() {
            traffic.tell(Downstream::Ended(SessionEnd::Revoked));
        }
    }
}
