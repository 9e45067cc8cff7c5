//! The way from a device's certificate up to one that an enrollment group trusts (RFC 5280, 6.1).
//!
//! Every chain is verified whole: what one device showed says nothing of the next. Devices
//! show certificates in any order, twice, and others among them; the same certificates have the same
//! verdict. Whoever shows them has proven nothing yet, so that what may be tried is bounded.

use std::sync::Arc;

use jiff::Timestamp;
use rustls::pki_types::CertificateDer;
use webpki::Error;
use x509_parser::certificate::X509Certificate;

use super::fitness;
use super::signing_certificate::SigningCertificate;
use certificate::{Above, Presented};
use search::Search;
use words::in_words;

mod certificate;
mod search;
mod signatures;
mod words;

pub use signatures::KnownSignatures;

/// CA certificates that may be above a device's by their names. Real chains have one to four, and
/// some more where CAs are signed by several.
const MAX_ABOVE: usize = 32;

/// What a device shows: its certificate, and those above it by name.
#[derive(Debug)]
pub struct Chain<'a> {
    shown: Presented<'a>,
    /// A certificate that is above by its name alone, and why.
    unfit: Option<String>,
}

impl<'a> Chain<'a> {
    /// Orders what a device shows, its own certificate first.
    ///
    /// # Errors
    /// That is none, or there are too many above it.
    pub fn of(presented: &'a [CertificateDer<'static>]) -> Result<Self, String> {
        let (leaf, others) = presented.split_first().ok_or("it shows none")?;
        let read = fitness::read(leaf)?;
        fitness::of_device(&read)?;
        let mut unfit = None;
        let mut shown = Presented {
            leaf,
            device: Above::read(leaf, &read)?,
            above: Vec::new(),
        };
        let mut others: Vec<&[u8]> = others.iter().map(AsRef::as_ref).collect();
        others.sort_unstable();
        others.dedup();
        let mut others: Vec<_> = others
            .into_iter()
            .filter_map(|der| Some((der, fitness::read(der).ok()?)))
            .collect();
        let mut names = vec![shown.device.issuer];
        while let Some(name) = names.pop() {
            let is_named = |(_, other): &mut (_, X509Certificate<'_>)| {
                other.tbs_certificate.subject.as_raw() == name
            };
            for (der, certificate) in others.extract_if(.., is_named) {
                if let Err(problem) = fitness::of_signer(&certificate) {
                    let subject = certificate.subject();
                    unfit = Some(format!("\"{subject}\" can't be above it: {problem}"));
                    continue;
                }
                if shown.above.len() == MAX_ABOVE {
                    return Err(format!(
                        "it shows more than {MAX_ABOVE} CA certificates above it"
                    ));
                }
                let above = Above::read(der, &certificate)?;
                names.push(above.issuer);
                shown.above.push(above);
            }
        }
        shown.above.sort_unstable_by_key(|above| above.der);
        Ok(Self { shown, unfit })
    }

    /// Whether a way up may end at `signer`, by its name.
    pub fn names(&self, signer: &SigningCertificate) -> bool {
        let mut issuers = self.shown.above.iter().chain([&self.shown.device]);
        issuers.any(|below| below.issuer == signer.subject())
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
        // Of two with one name and key, the one that is shown.
        let is_shown = |signer: &SigningCertificate| {
            let mut above = self.shown.above.iter();
            above.any(|above| above.der == signer.der())
        };
        signers.sort_by_cached_key(|signer| !is_shown(signer));
        match Search::new(&self.shown, &signers, known, now)?.run() {
            Ok(place) => Ok(signers.swap_remove(place)),
            Err(Error::UnknownIssuer) => Err(self.why_unknown(outdated)),
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

#[cfg(test)]
mod tests;
