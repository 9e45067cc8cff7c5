//! Ways in for `fuzz/`, which are there while it is built: what no other crate has to reach.

use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use rustls::pki_types::CertificateDer;

use crate::service::chain::{Chain, KnownSignatures};
use crate::service::signing_certificate::SigningCertificate;
use crate::store;

/// Whether a device that shows these certificates is let in by a group of the one that is `trusted`. What
/// was verified before makes no difference.
pub fn is_let_in(trusted: &[u8], shown: &[CertificateDer<'static>], at: Timestamp) -> bool {
    let Ok(signer) = SigningCertificate::new(trusted.to_vec()) else {
        return false;
    };
    let signer = Arc::new(signer);
    let known = KnownSignatures::default();
    let verdict = || {
        let chain = Chain::of(shown)?;
        chain.signer(vec![Arc::clone(&signer)], &known, at)
    };
    let fresh = verdict().is_ok();
    assert_eq!(verdict().is_ok(), fresh, "a second look says otherwise");
    fresh
}

/// Reads the journals of a store; what is torn of the last is kept in `aside`.
///
/// # Errors
/// One is damaged.
pub fn read_journals(store: &Path, aside: &Path) -> Result<(), String> {
    store::read_journals(store, aside).map_err(|e| e.to_string())
}
