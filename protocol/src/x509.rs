//! What DPS reads from certificates (DPS documentation, "X.509 certificate attestation").

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use jiff::Timestamp;
use x509_parser::certificate::X509Certificate;
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::pem::Pem;
use x509_parser::prelude::FromDer as _;

use crate::DecodeError;

/// SHA-256 of a certificate's DER.
pub type Thumbprint = [u8; 32];

const PEM_BEGIN: &[u8] = b"-----BEGIN";

/// Standard base64 whose padding may be missing.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Thumbprint of a certificate in DER.
pub fn thumbprint(der: &[u8]) -> Thumbprint {
    let digest = digest::digest(&digest::SHA256, der);
    digest.as_ref().try_into().expect("SHA-256 has 32 bytes")
}

/// The subject common name of a certificate in DER: the registration id of its device.
///
/// # Errors
/// Not a certificate, or no common name, or not as text.
pub fn common_name(der: &[u8]) -> Result<String, DecodeError> {
    let certificate = parse(der)?;
    let name = certificate.subject().iter_common_name().next();
    let name = name.ok_or_else(|| DecodeError::new("certificate", "has no subject common name"))?;
    match name.as_str() {
        Ok(text) => Ok(text.to_owned()),
        Err(_) => Err(DecodeError::new(
            "certificate",
            "has a subject common name that is no text",
        )),
    }
}

/// What is taken of a request for a certificate (PKCS#10, RFC 2986).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificationRequest {
    /// The subject's common name.
    pub common_name: String,
    /// The key that is to be certified: a SubjectPublicKeyInfo in DER.
    pub public_key_info: Vec<u8>,
}

/// Reads a request in DER. Whether it is signed with its key is not looked at here.
///
/// # Errors
/// Not a request, or without a common name, or with one that is no text.
pub fn certification_request(der: &[u8]) -> Result<CertificationRequest, DecodeError> {
    let wrong = |problem: String| DecodeError::new("certification request", problem);
    let (rest, request) = X509CertificationRequest::from_der(der)
        .map_err(|problem| wrong(format!("is not DER of PKCS#10: {problem}")))?;
    if !rest.is_empty() {
        return Err(wrong(format!("is followed by {} bytes", rest.len())));
    }
    let info = &request.certification_request_info;
    let name = info.subject.iter_common_name().next();
    let name = name.ok_or_else(|| wrong("has no subject common name".into()))?;
    let name = name
        .as_str()
        .map_err(|_| wrong("has a subject common name that is no text".into()))?;
    Ok(CertificationRequest {
        common_name: name.to_owned(),
        public_key_info: info.subject_pki.raw.to_vec(),
    })
}

/// Validity in Unix seconds, both ends included.
///
/// # Errors
/// Not a certificate.
pub fn validity(der: &[u8]) -> Result<(i64, i64), DecodeError> {
    let certificate = parse(der)?;
    let validity = certificate.validity();
    Ok((
        validity.not_before.timestamp(),
        validity.not_after.timestamp(),
    ))
}

/// Whether a certificate is good at a time.
///
/// # Errors
/// It has expired, is not good yet, or is none.
pub fn check_validity(der: &[u8], at: Timestamp) -> Result<(), DecodeError> {
    let (from, to) = validity(der)?;
    let wrong = |what: &str, edge: i64| {
        let edge =
            Timestamp::from_second(edge).map_or_else(|_| edge.to_string(), |at| at.to_string());
        Err(DecodeError::new("certificate", format!("{what} {edge}")))
    };
    match at.as_second() {
        at if at < from => wrong("is not good before", from),
        at if at > to => wrong("has expired: it was good until", to),
        _ => Ok(()),
    }
}

/// Reads a certificate as the service API takes it: base64 of DER, PEM text,
/// or base64 of PEM. Of several PEM blocks the first counts. Returns DER.
///
/// # Errors
/// None of the three.
pub fn certificate_from_text(text: &str) -> Result<Vec<u8>, DecodeError> {
    let text = text.trim();
    let bytes = if text.as_bytes().starts_with(PEM_BEGIN) {
        text.as_bytes().to_vec()
    } else {
        let dense: String = text.split_ascii_whitespace().collect();
        BASE64.decode(dense).map_err(|problem| {
            DecodeError::new(
                "certificate",
                format!("is neither PEM nor base64 of a certificate: {problem}"),
            )
        })?
    };
    let der = if bytes.trim_ascii_start().starts_with(PEM_BEGIN) {
        der_of_pem(&bytes)?
    } else {
        bytes
    };
    parse(&der)?;
    Ok(der)
}

fn der_of_pem(text: &[u8]) -> Result<Vec<u8>, DecodeError> {
    for block in Pem::iter_from_buffer(text) {
        let block = block.map_err(|problem| {
            DecodeError::new("certificate", format!("is broken PEM: {problem}"))
        })?;
        if matches!(
            block.label.as_str(),
            "CERTIFICATE" | "X509 CERTIFICATE" | "TRUSTED CERTIFICATE"
        ) {
            return Ok(block.contents);
        }
    }
    Err(DecodeError::new(
        "certificate",
        "is PEM without a CERTIFICATE block",
    ))
}

fn parse(der: &[u8]) -> Result<X509Certificate<'_>, DecodeError> {
    match X509Certificate::from_der(der) {
        Ok(([], certificate)) => Ok(certificate),
        Ok((rest, _)) => Err(DecodeError::new(
            "certificate",
            format!("is followed by {} bytes", rest.len()),
        )),
        Err(problem) => Err(DecodeError::new(
            "certificate",
            format!("is not DER of an X.509 certificate: {problem}"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::STANDARD;
    use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, date_time_ymd};

    use super::*;

    fn certificate(common_name: Option<&str>) -> rcgen::Certificate {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params
            .distinguished_name
            .push(DnType::OrganizationName, "Contoso");
        if let Some(name) = common_name {
            params.distinguished_name.push(DnType::CommonName, name);
        }
        params.not_before = date_time_ymd(2024, 1, 2);
        params.not_after = date_time_ymd(2034, 1, 2);
        params
            .self_signed(&KeyPair::generate().expect("a P-256 key"))
            .expect("signs")
    }

    #[test]
    fn the_common_name_and_validity_are_read() {
        let certificate = certificate(Some("dev-1"));
        assert_eq!(common_name(certificate.der()).as_deref(), Ok("dev-1"));
        assert_eq!(
            validity(certificate.der()),
            Ok((1_704_153_600, 2_019_772_800))
        );
        for (second, words) in [
            (1_704_153_599, "is not good before 2024-01-02T00:00:00Z"),
            (1_704_153_600, ""),
            (2_019_772_800, ""),
            (
                2_019_772_801,
                "has expired: it was good until 2034-01-02T00:00:00Z",
            ),
        ] {
            let at = Timestamp::from_second(second).expect("a time");
            let told = check_validity(certificate.der(), at).err();
            assert_eq!(told.map_or(String::new(), |told| told.problem), words);
        }
    }

    #[test]
    fn a_certification_request_is_read_or_told_what_it_lacks() {
        let key = KeyPair::generate().expect("a P-256 key");
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        let nameless = params.serialize_request(&key).expect("a request");
        params.distinguished_name.push(DnType::CommonName, "dev-1");
        let request = params.serialize_request(&key).expect("a request");
        let read = certification_request(request.der()).expect("good");
        assert_eq!(read.common_name, "dev-1");
        use rcgen::PublicKeyData as _;
        assert_eq!(read.public_key_info, key.subject_public_key_info());

        let longer = [request.der(), &[0, 0][..]].concat();
        for (der, words) in [
            (nameless.der().to_vec(), "has no subject common name"),
            (longer, "is followed by 2 bytes"),
            (
                certificate(Some("dev-1")).der().to_vec(),
                "is not DER of PKCS#10",
            ),
            (vec![0x30, 0x80], "is not DER of PKCS#10"),
            (Vec::new(), "is not DER of PKCS#10"),
        ] {
            let problem = certification_request(&der).expect_err(words).to_string();
            assert!(problem.contains(words), "{problem}");
        }
    }

    #[test]
    fn a_certificate_without_common_name_is_told_so() {
        let error = common_name(certificate(None).der()).expect_err("no name");
        assert_eq!(error.to_string(), "certificate: has no subject common name");
    }

    #[test]
    fn the_thumbprint_is_sha256() {
        assert_eq!(
            data_encoding::HEXLOWER.encode(&thumbprint(b"abc")),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }

    #[test]
    fn all_three_forms_of_the_service_api_are_read() {
        let certificate = certificate(Some("dev-1"));
        let der = certificate.der().to_vec();
        let pem = certificate.pem();
        let wrapped = STANDARD
            .encode(&der)
            .as_bytes()
            .chunks(64)
            .map(String::from_utf8_lossy)
            .collect::<Vec<_>>()
            .join("\r\n");
        let key_first = format!(
            "{}{pem}",
            KeyPair::generate().expect("a key").serialize_pem()
        );
        for text in [
            STANDARD.encode(&der),
            STANDARD.encode(&der).trim_end_matches('=').to_owned(),
            wrapped,
            pem.clone(),
            pem.replace('\n', "\r\n"),
            format!("\n  {pem}{pem}"),
            STANDARD.encode(&pem),
            key_first,
        ] {
            assert_eq!(certificate_from_text(&text).as_ref(), Ok(&der), "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        let mut long = certificate(Some("dev-1")).der().to_vec();
        long.push(0);
        let key = KeyPair::generate().expect("a key").serialize_pem();
        for text in [
            "",
            "!",
            "AAAA",
            "-----BEGIN",
            "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----",
            &key,
            &STANDARD.encode(&long),
        ] {
            assert!(certificate_from_text(text).is_err(), "{text}");
        }
    }
}
