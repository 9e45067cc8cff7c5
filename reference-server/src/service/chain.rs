//! The way from a device's certificate up to one that an enrollment group trusts (RFC 5280, 6.1).
//!
//! Every chain is verified whole: what one device showed says nothing of the next. Devices
//! show certificates in any order, twice, and others among them; the same certificates have the same
//! verdict. Whoever shows them has proven nothing yet, so that what may be tried is bounded.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use rustls::pki_types::{CertificateDer, TrustAnchor, UnixTime};
use webpki::{EndEntityCert, Error, KeyUsage, VerifiedPath};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::ParsedExtension;

use super::fitness;
use super::signing_certificate::SigningCertificate;
use signatures::Meter;

mod signatures;

pub use signatures::KnownSignatures;

/// CA certificates between a device's and a signing one, at most; webpki's limit.
const MAX_LENGTH: usize = 6;
/// Certificates that may be read on all ways up together. A chain as TLS wants it, leaf to root,
/// takes a dozen; each more of one name multiplies it.
const MAX_READ: usize = 4096;
const TOO_MANY: &str = "there are too many ways up from it to try, by the names that are shown";

/// What a device shows: its certificate, and those above it by name.
#[derive(Debug)]
pub struct Chain<'a> {
    leaf: &'a CertificateDer<'static>,
    issuer: &'a [u8],
    above: Vec<Above<'a>>,
    /// What it and those above it call their issuers' keys (RFC 5280, 4.2.1.1), where they do.
    issuer_keys: Vec<&'a [u8]>,
    /// A certificate that is above by its name alone, and why.
    unfit: Option<String>,
}

/// A CA certificate that a device shows.
#[derive(Debug)]
struct Above<'a> {
    der: &'a [u8],
    subject: &'a [u8],
    issuer: &'a [u8],
    key: &'a [u8],
}

impl<'a> Chain<'a> {
    /// Orders what a device shows, its own certificate first.
    ///
    /// # Errors
    /// That is none, or there are too many ways up from it.
    pub fn of(presented: &'a [CertificateDer<'static>]) -> Result<Self, String> {
        let (leaf, others) = presented.split_first().ok_or("it shows none")?;
        let read = fitness::read(leaf)?;
        fitness::of_device(&read)?;
        let mut chain = Self {
            leaf,
            issuer: read.tbs_certificate.issuer.as_raw(),
            above: Vec::new(),
            issuer_keys: issuer_key(&read).into_iter().collect(),
            unfit: None,
        };
        let mut others: Vec<&[u8]> = others.iter().map(AsRef::as_ref).collect();
        others.sort_unstable();
        others.dedup();
        let mut others: Vec<_> = others
            .into_iter()
            .filter_map(|der| Some((der, fitness::read(der).ok()?)))
            .collect();
        let mut names = vec![chain.issuer];
        while let Some(name) = names.pop() {
            let is_named = |(_, other): &mut (_, X509Certificate<'_>)| {
                other.tbs_certificate.subject.as_raw() == name
            };
            for (der, certificate) in others.extract_if(.., is_named) {
                if let Err(problem) = fitness::of_signer(&certificate) {
                    let subject = certificate.subject();
                    chain.unfit = Some(format!("\"{subject}\" can't be above it: {problem}"));
                    continue;
                }
                names.push(certificate.tbs_certificate.issuer.as_raw());
                chain.issuer_keys.extend(issuer_key(&certificate));
                chain.above.push(Above {
                    der,
                    subject: certificate.tbs_certificate.subject.as_raw(),
                    issuer: certificate.tbs_certificate.issuer.as_raw(),
                    key: certificate.tbs_certificate.subject_pki.raw,
                });
            }
        }
        chain.above.sort_unstable_by_key(|above| above.der);
        let mut left = MAX_READ;
        match chain.ways(chain.issuer, &mut Vec::new(), &mut left) {
            Some(()) => Ok(chain),
            None => Err(TOO_MANY.into()),
        }
    }

    /// Whether a way up may end at `signer`, by its name.
    pub fn names(&self, signer: &SigningCertificate) -> bool {
        self.issuers().any(|issuer| issuer == signer.subject())
    }

    fn issuers(&self) -> impl Iterator<Item = &'a [u8]> {
        let above = self.above.iter().map(|above| above.issuer);
        std::iter::once(self.issuer).chain(above)
    }

    /// Follows every way up by name, as webpki does. None: there are too many.
    fn ways(&self, issuer: &[u8], way: &mut Vec<usize>, left: &mut usize) -> Option<()> {
        *left = left.checked_sub(self.above.len())?;
        if way.len() == MAX_LENGTH {
            return Some(());
        }
        for (place, above) in self.above.iter().enumerate() {
            let is_passed = |passed: &usize| {
                let passed = &self.above[*passed];
                passed.subject == above.subject && passed.key == above.key
            };
            if above.subject == issuer && !way.iter().any(is_passed) {
                way.push(place);
                self.ways(above.issuer, way, left)?;
                way.pop();
            }
        }
        Some(())
    }

    /// The one of these signing certificates that is nearest above the device's, at `now`.
    ///
    /// # Errors
    /// There is none, for this reason.
    pub fn signer(
        &self,
        mut signers: Vec<Arc<SigningCertificate>>,
        known: &KnownSignatures,
        now: Timestamp,
    ) -> Result<Arc<SigningCertificate>, String> {
        let outdated = signers
            .extract_if(.., |signer| !signer.is_valid(now))
            .count();
        // Of two with one name and key, the one that is shown; of many with one name, first the one
        // that is meant, for not all may be tried.
        let is_shown = |signer: &SigningCertificate| {
            let mut above = self.above.iter();
            above.any(|above| above.der == signer.der())
        };
        let is_meant = |signer: &SigningCertificate| {
            let key = signer.key_id();
            key.is_some_and(|key| self.issuer_keys.contains(&key))
        };
        signers.sort_by_cached_key(|signer| (!is_shown(signer), !is_meant(signer)));
        let is_trusted = |der: &[u8]| signers.iter().any(|signer| signer.der() == der);
        let between: Vec<CertificateDer<'_>> = self
            .above
            .iter()
            .filter(|above| !is_trusted(above.der))
            .map(|above| CertificateDer::from(above.der))
            .collect();
        let anchors: Vec<TrustAnchor<'_>> = signers.iter().map(|signer| signer.trust()).collect();
        let place_of = |path: &VerifiedPath<'_>| {
            let mut anchors = anchors.iter();
            anchors.position(|anchor| std::ptr::eq(anchor, path.anchor()))
        };
        let is_short_enough = |path: &VerifiedPath<'_>| {
            let length = path.intermediate_certificates().count();
            let most = place_of(path).and_then(|place| signers[place].path_length());
            if most.is_some_and(|most| length > most) {
                return Err(Error::PathLenConstraintViolated);
            }
            Ok(())
        };
        let seconds = u64::try_from(now.as_second()).unwrap_or(0);
        let meter = Meter::new(known, self.leaf);
        let metered = meter.algorithms();
        let algorithms: Vec<_> = metered.iter().map(|one| one as _).collect();
        let verified = EndEntityCert::try_from(self.leaf).and_then(|leaf| {
            let path = leaf.verify_for_usage(
                &algorithms,
                &anchors,
                &between,
                UnixTime::since_unix_epoch(Duration::from_secs(seconds)),
                KeyUsage::client_auth(),
                None,
                Some(&is_short_enough),
            )?;
            Ok(place_of(&path))
        });
        match verified {
            Err(_) if meter.is_used_up() => Err(TOO_MANY.into()),
            Ok(Some(place)) => {
                meter.learn();
                Ok(signers.swap_remove(place))
            }
            Ok(None) | Err(Error::UnknownIssuer) => Err(self.why_unknown(outdated)),
            Err(problem) => Err(in_words(&problem)),
        }
    }

    fn why_unknown(&self, outdated: usize) -> String {
        match &self.unfit {
            Some(unfit) => unfit.clone(),
            None if outdated > 0 => "the signing certificate above it has expired".into(),
            None => "no enrollment group has a signing certificate above it, or one between was not shown".into(),
        }
    }
}

/// What a certificate calls its issuer's key.
fn issuer_key<'a>(certificate: &X509Certificate<'a>) -> Option<&'a [u8]> {
    certificate.iter_extensions().find_map(|extension| {
        let ParsedExtension::AuthorityKeyIdentifier(issuer) = extension.parsed_extension() else {
            return None;
        };
        issuer.key_identifier.as_ref().map(|key| key.0)
    })
}

fn in_words(problem: &Error) -> String {
    match problem {
        Error::CertExpired { .. } => "it, or one above it, has expired".into(),
        Error::CertNotValidYet { .. } => "it, or one above it, is not good yet".into(),
        Error::InvalidSignatureForPublicKey => {
            "it, or one above it, is not signed with its issuer's key".into()
        }
        Error::NameConstraintViolation => {
            "the nameConstraints of one above it don't permit its names; directoryName and URI are not evaluated here, and permit none".into()
        }
        Error::PathLenConstraintViolated => {
            "the pathLenConstraint of one above it permits fewer between".into()
        }
        Error::RequiredEkuNotFoundContext(_) | Error::EmptyEkuExtension => {
            "its extendedKeyUsage, or that of one above it, lacks clientAuth".into()
        }
        Error::CaUsedAsEndEntity => "it is a CA's, and no device's".into(),
        Error::UnsupportedCertVersion => {
            "it is of X.509 before version 3, which an individual enrollment can name but a group can't verify".into()
        }
        Error::UnsupportedCriticalExtension => "an extension of it is critical and not known here".into(),
        Error::UnsupportedSignatureAlgorithmContext(_)
        | Error::UnsupportedSignatureAlgorithmForPublicKeyContext(_) => {
            "it, or one above it, is signed with an algorithm that is not known here".into()
        }
        Error::MaximumSignatureChecksExceeded
        | Error::MaximumPathBuildCallsExceeded
        | Error::MaximumNameConstraintComparisonsExceeded
        | Error::MaximumPathDepthExceeded => TOO_MANY.into(),
        other => format!("it can't be verified: {other}"),
    }
}

#[cfg(test)]
mod tests;
