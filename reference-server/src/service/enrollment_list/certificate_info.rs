//! What the service API tells of certificates.

use fleetstorm_protocol::timestamp;
use serde_json::{Value, json};
use x509_parser::prelude::{FromDer, X509Certificate};

/// X509CertificateInfo.
pub(super) fn info(der: &[u8]) -> Value {
    use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
    let hex = |bytes: &[u8]| {
        bytes
            .iter()
            .map(|byte| format!("{byte:02X}"))
            .collect::<String>()
    };
    // It was read when it was entered.
    let Ok((_, certificate)) = X509Certificate::from_der(der) else {
        return Value::Null;
    };
    let time = |seconds: i64| {
        jiff::Timestamp::from_second(seconds)
            .map(timestamp::format)
            .unwrap_or_default()
    };
    json!({
        "subjectName": certificate.subject().to_string(),
        "issuerName": certificate.issuer().to_string(),
        "sha1Thumbprint": hex(digest(&SHA1_FOR_LEGACY_USE_ONLY, der).as_ref()),
        "sha256Thumbprint": hex(digest(&SHA256, der).as_ref()),
        "notBeforeUtc": time(certificate.validity().not_before.timestamp()),
        "notAfterUtc": time(certificate.validity().not_after.timestamp()),
        "serialNumber": hex(certificate.raw_serial()),
        "version": certificate.version().0.saturating_add(1),
    })
}
