//! A CA that the server signs with: its own, or that of an operator's files.

use fleetstorm_protocol::x509::check_validity;
use jiff::Timestamp;
use rcgen::{Issuer, KeyPair, PublicKeyData as _};
use rustls::pki_types::CertificateDer;

use crate::service::fitness;

/// Puts a CA's certificate and key together.
///
/// # Errors
/// It can't sign what anybody would trust: it is no CA, has expired, or the key is another's.
pub(crate) fn of(
    der: &CertificateDer<'_>,
    key: KeyPair,
) -> Result<Issuer<'static, KeyPair>, String> {
    let certificate = fitness::read(der)?;
    fitness::of_authority(&certificate)?;
    check_validity(der, Timestamp::now()).map_err(|e| format!("it {}", e.problem))?;
    if certificate.public_key().raw != key.subject_public_key_info() {
        return Err("its key is another than the one beside it".into());
    }
    Issuer::from_ca_cert_der(der, key).map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use rcgen::{BasicConstraints, CertificateParams, IsCa, date_time_ymd};

    use super::*;

    #[test]
    fn what_nobody_would_trust_signs_nothing() {
        let key = || KeyPair::generate().expect("a key");
        let certify = |change: fn(&mut CertificateParams), key: &KeyPair| {
            let mut params = CertificateParams::default();
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            change(&mut params);
            params
                .self_signed(key)
                .expect("a certificate")
                .der()
                .clone()
        };
        let own = key();
        assert!(of(&certify(|_| {}, &own), own).is_ok());
        let own = key();
        let told = |der, key| of(&der, key).map(drop).expect_err("refused");
        assert!(told(certify(|_| {}, &own), key()).contains("another"));
        let no_ca = certify(|params| params.is_ca = IsCa::NoCa, &own);
        assert!(told(no_ca, key()).contains("no CA"));
        let expired = certify(
            |params| {
                params.not_before = date_time_ymd(2019, 1, 1);
                params.not_after = date_time_ymd(2020, 1, 1);
            },
            &own,
        );
        assert!(told(expired, own).contains("expired"));
    }
}
