//! Certificate chains below a group's signing certificate.
//!
//! Each leaf's signature is checked for every registration. The intermediates above it
//! are the same for a whole fleet: once a chain has held, its lowest intermediate is
//! remembered as an anchor of its own until it expires, which saves one verification a device.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fleetstorm_protocol::x509::validity;
use jiff::Timestamp;
use rustls::pki_types::{CertificateDer, SignatureVerificationAlgorithm, TrustAnchor, UnixTime};
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert};

/// Intermediates remembered at once, for each signing certificate.
const REMEMBERED: usize = 64;

/// What leaves and intermediates may be signed with.
static ALGORITHMS: &[&dyn SignatureVerificationAlgorithm] = webpki::ALL_VERIFICATION_ALGS;

/// A root or intermediate that an enrollment group trusts.
#[derive(Debug)]
pub struct SigningCertificate {
    der: Box<[u8]>,
    anchor: Anchor,
    proven: Mutex<HashMap<Vec<u8>, Arc<Anchor>>>,
}

/// A certificate that leaves may hang below, and when it is good for it.
#[derive(Debug)]
struct Anchor {
    trust: TrustAnchor<'static>,
    not_before: i64,
    not_after: i64,
}

impl Anchor {
    fn new(der: &[u8]) -> Result<Self, String> {
        let certificate = CertificateDer::from(der);
        let trust = anchor_from_trusted_cert(&certificate)
            .map_err(|e| format!("can't sign devices: {e}"))?
            .to_owned();
        let (not_before, not_after) = validity(der).map_err(|e| e.to_string())?;
        Ok(Self {
            trust,
            not_before,
            not_after,
        })
    }

    fn is_valid(&self, now: Timestamp) -> bool {
        (self.not_before..=self.not_after).contains(&now.as_second())
    }

    fn signed(
        &self,
        leaf: &CertificateDer<'_>,
        above: &[CertificateDer<'_>],
        now: Timestamp,
    ) -> bool {
        let Ok(leaf) = EndEntityCert::try_from(leaf) else {
            return false;
        };
        let seconds = u64::try_from(now.as_second()).unwrap_or(0);
        let time = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        let anchors = std::slice::from_ref(&self.trust);
        self.is_valid(now)
            && leaf
                .verify_for_usage(
                    ALGORITHMS,
                    anchors,
                    above,
                    time,
                    KeyUsage::client_auth(),
                    None,
                    None,
                )
                .is_ok()
    }
}

impl SigningCertificate {
    /// Trusts the certificate in `der`.
    ///
    /// # Errors
    /// It is none that could sign others.
    pub fn new(der: Vec<u8>) -> Result<Self, String> {
        Ok(Self {
            anchor: Anchor::new(&der)?,
            der: der.into(),
            proven: Mutex::default(),
        })
    }

    /// In DER.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The last second that it is good for, Unix time.
    pub fn not_after(&self) -> i64 {
        self.anchor.not_after
    }

    /// Whether `chain` (leaf first) leads here at `now`.
    pub fn signed(&self, chain: &[CertificateDer<'static>], now: Timestamp) -> bool {
        let Some((leaf, above)) = chain.split_first() else {
            return false;
        };
        let Some(issuer) = above.first() else {
            return self.anchor.signed(leaf, &[], now);
        };
        if let Some(held) = self.by_proven(issuer, leaf, now) {
            return held;
        }
        let held = self.anchor.signed(leaf, above, now);
        if held {
            self.remember(issuer);
        }
        held
    }

    fn by_proven(
        &self,
        issuer: &CertificateDer<'_>,
        leaf: &CertificateDer<'_>,
        now: Timestamp,
    ) -> Option<bool> {
        let proven = self
            .proven
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(issuer.as_ref())
            .cloned()?;
        Some(self.anchor.is_valid(now) && proven.signed(leaf, &[], now))
    }

    fn remember(&self, issuer: &CertificateDer<'_>) {
        // What constrains names above would be lost on the short way.
        if self.anchor.trust.name_constraints.is_some() {
            return;
        }
        let Ok(anchor) = Anchor::new(issuer) else {
            return;
        };
        let mut proven = self.proven.lock().unwrap_or_else(PoisonError::into_inner);
        if proven.len() == REMEMBERED {
            proven.clear();
        }
        proven.insert(issuer.to_vec(), Arc::new(anchor));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

    struct Authority {
        der: CertificateDer<'static>,
        params: CertificateParams,
        key: KeyPair,
    }

    fn params(name: &str, ca: bool) -> CertificateParams {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = if ca {
            IsCa::Ca(BasicConstraints::Unconstrained)
        } else {
            IsCa::NoCa
        };
        params.not_before = rcgen::date_time_ymd(2026, 1, 1);
        params.not_after = rcgen::date_time_ymd(2027, 1, 1);
        params
    }

    fn signed(params: CertificateParams, by: Option<&Authority>) -> Authority {
        let key = KeyPair::generate().expect("a key");
        let certificate = match by {
            Some(by) => params.signed_by(&key, &Issuer::from_params(&by.params, &by.key)),
            None => params.self_signed(&key),
        };
        Authority {
            der: certificate.expect("a certificate").der().clone(),
            params,
            key,
        }
    }

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a time")
    }

    #[test]
    fn chains_hold_with_and_without_what_was_learnt() {
        let now = at("2026-06-01T00:00:00Z");
        let root = signed(params("root", true), None);
        let intermediate = signed(params("intermediate", true), Some(&root));
        let leaf = signed(params("leaf", false), Some(&intermediate)).der;
        let trusted = SigningCertificate::new(root.der.to_vec()).expect("a CA");
        let chain = [leaf.clone(), intermediate.der.clone()];
        assert!(
            !trusted.signed(std::slice::from_ref(&leaf), now),
            "the intermediate is missing"
        );
        assert!(trusted.signed(&chain, now));
        assert!(trusted.proven.lock().expect("no panic").len() == 1);
        assert!(trusted.signed(&chain, now), "by what was learnt");
        assert!(
            !trusted.signed(&chain, at("2027-06-01T00:00:00Z")),
            "expired"
        );
        assert!(
            !trusted.signed(std::slice::from_ref(&leaf), now),
            "what was learnt opens no shorter way"
        );

        let stranger = signed(params("root", true), None);
        let forged = signed(params("leaf", false), Some(&stranger)).der;
        assert!(
            !trusted.signed(&[forged.clone(), intermediate.der.clone()], now),
            "signed by another key"
        );
        assert!(!trusted.signed(&[forged, stranger.der], now));
        assert!(!trusted.signed(&[], now));
        assert!(!trusted.signed(
            &[CertificateDer::from(vec![0x30, 0]), intermediate.der],
            now
        ));
    }

    #[test]
    fn what_is_no_ca_signs_nobody() {
        let root = signed(params("root", true), None);
        let plain = signed(params("plain", false), Some(&root));
        let leaf = signed(params("leaf", false), Some(&plain)).der;
        let trusted = SigningCertificate::new(root.der.to_vec()).expect("a CA");
        assert!(!trusted.signed(&[leaf, plain.der], at("2026-06-01T00:00:00Z")));
        assert!(SigningCertificate::new(vec![1, 2, 3]).is_err());
    }
}
