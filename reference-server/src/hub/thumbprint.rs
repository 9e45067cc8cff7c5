//! Certificates by their thumbprints, as identities hold them: SHA-256, or SHA-1, which is what many
//! tools show and IoT Hub takes as well.

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use fleetstorm_protocol::x509::{self, Thumbprint};
use serde::{Deserialize, Serialize};

/// One certificate's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum CertificateThumbprint {
    /// SHA-256.
    Sha256(Thumbprint),
    /// SHA-1.
    Sha1([u8; 20]),
}

impl CertificateThumbprint {
    /// Reads hexadecimal digits.
    ///
    /// # Errors
    /// They are neither.
    pub fn parse(written: &str) -> Result<Self, &'static str> {
        let neither = "is neither a SHA-256 in 64 hexadecimal digits nor a SHA-1 in 40";
        let digits: Option<Vec<u8>> = written
            .chars()
            .map(|digit| {
                digit
                    .to_digit(16)
                    .and_then(|value| u8::try_from(value).ok())
            })
            .collect();
        let digits = digits.ok_or(neither)?;
        let bytes: Vec<u8> = digits
            .chunks(2)
            .map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit))
            .collect();
        match digits.len() {
            64 => bytes.try_into().map(Self::Sha256).map_err(|_| neither),
            40 => bytes.try_into().map(Self::Sha1).map_err(|_| neither),
            _ => Err(neither),
        }
    }

    /// Upper-case hexadecimal digits, as IoT Hub shows it.
    pub fn format(&self) -> String {
        let bytes: &[u8] = match self {
            Self::Sha256(bytes) => bytes,
            Self::Sha1(bytes) => bytes,
        };
        bytes.iter().map(|byte| format!("{byte:02X}")).collect()
    }
}

/// Both thumbprints of a certificate that a device has shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shown {
    sha256: Thumbprint,
    sha1: [u8; 20],
}

impl Shown {
    /// Of a certificate in DER.
    pub(super) fn of(der: &[u8]) -> Self {
        let sha1 = digest(&SHA1_FOR_LEGACY_USE_ONLY, der);
        Self {
            sha256: x509::thumbprint(der),
            sha1: sha1.as_ref().try_into().expect("SHA-1 has 20 bytes"),
        }
    }

    /// Whether it is the certificate that is meant.
    pub(super) fn is(&self, meant: &CertificateThumbprint) -> bool {
        match meant {
            CertificateThumbprint::Sha256(thumbprint) => self.sha256 == *thumbprint,
            CertificateThumbprint::Sha1(thumbprint) => self.sha1 == *thumbprint,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_lengths_are_read_and_written_and_kept_apart() {
        for digits in ["0123456789ABCDEF".repeat(4), "0123456789".repeat(4)] {
            let read = CertificateThumbprint::parse(&digits.to_lowercase()).expect("digits");
            assert_eq!(read.format(), digits);
            let kept = serde_json::to_string(&read).expect("JSON");
            assert_eq!(
                serde_json::from_str::<CertificateThumbprint>(&kept).expect("kept"),
                read
            );
        }
        for none in ["", "AB", &"0".repeat(63), &"x".repeat(40), &"é".repeat(20)] {
            assert!(CertificateThumbprint::parse(none).is_err(), "{none}");
        }
    }

    #[test]
    fn a_certificate_is_known_by_either() {
        let shown = Shown::of(b"abc");
        for (digits, is_it) in [
            ("A9993E364706816ABA3E25717850C26C9CD0D89D", true),
            (
                "BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD",
                true,
            ),
            ("A9993E364706816ABA3E25717850C26C9CD0D89C", false),
        ] {
            let meant = CertificateThumbprint::parse(digits).expect("digits");
            assert_eq!(shown.is(&meant), is_it, "{digits}");
        }
    }
}
