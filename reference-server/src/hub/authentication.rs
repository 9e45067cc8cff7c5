//! How devices prove themselves to their hub.

use fleetstorm_protocol::hub::sas_resource;
use fleetstorm_protocol::ids::ClientId;
use fleetstorm_protocol::sas::SasToken;
use fleetstorm_protocol::symmetric_key::SymmetricKey;
use fleetstorm_protocol::x509::Thumbprint;
use jiff::Timestamp;
use rustls::pki_types::CertificateDer;
use serde::{Deserialize, Serialize};

use super::thumbprint::{CertificateThumbprint, Shown};

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
    ) -> Option<(HubCredential, Option<i64>)> {
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
                Some((HubCredential::Key(key.clone()), Some(until)))
            }
            Self::SelfSigned { .. } => {
                let shown = Shown::of(certificates.first()?);
                let credential = HubCredential::Certificate(Box::new(shown));
                self.holds(&credential).then_some((credential, None))
            }
            Self::CertificateAuthority | Self::None => None,
        }
    }

    /// Whether what proved a device before would do so now.
    pub(super) fn holds(&self, credential: &HubCredential) -> bool {
        match (self, credential) {
            (Self::Sas { primary, secondary }, HubCredential::Key(key)) => {
                key == primary || secondary.as_ref() == Some(key)
            }
            (Self::SelfSigned { primary, secondary }, HubCredential::Certificate(shown)) => {
                shown.is(primary) || secondary.as_ref().is_some_and(|other| shown.is(other))
            }
            (Self::Sas { .. }, HubCredential::Policy) => true,
            _ => false,
        }
    }
}

/// What a device has proven itself by. An identity may change, or be made anew under the same name,
/// after a device was let in: then it is asked whether that still holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum HubCredential {
    /// This key.
    Key(SymmetricKey),
    /// This certificate.
    Certificate(Box<Shown>),
    /// The word of who has a policy of the hub.
    Policy,
}
