//! What a certificate must be to be a device's, or to sign those of devices (RFC 5280, 4.2 and 6.1.4).

use x509_parser::certificate::X509Certificate;
use x509_parser::der_parser::oid;
use x509_parser::extensions::GeneralName;
use x509_parser::oid_registry::Oid;
use x509_parser::prelude::FromDer;
use x509_parser::x509::X509Version;

use crate::possession::is_verifiable;

/// Extensions that are understood: key usage, alternative name, basic constraints, name constraints,
/// distribution points and extended key usage.
const KNOWN: [Oid<'static>; 6] = [
    oid!(2.5.29.15),
    oid!(2.5.29.17),
    oid!(2.5.29.19),
    oid!(2.5.29.30),
    oid!(2.5.29.31),
    oid!(2.5.29.37),
];

/// Whether it may be a device's own.
///
/// # Errors
/// It may not, for this reason.
pub(super) fn of_device(certificate: &X509Certificate<'_>) -> Result<(), String> {
    is_verifiable(certificate.public_key())?;
    understood(certificate)
}

/// Whether it may sign certificates.
///
/// # Errors
/// It may not, for this reason.
pub(crate) fn of_authority(certificate: &X509Certificate<'_>) -> Result<(), String> {
    if certificate.version() != X509Version::V3 {
        return Err(
            "it is no CA certificate: X.509 before version 3 can't say that it is (basicConstraints)".into(),
        );
    }
    match certificate.basic_constraints().map_err(broken)? {
        Some(constraints) if constraints.value.ca => {}
        Some(_) => return Err("it is no CA certificate: its basicConstraints say CA:FALSE".into()),
        None => return Err("it is no CA certificate: it has no basicConstraints".into()),
    }
    if let Some(usage) = certificate.key_usage().map_err(broken)?
        && !usage.value.key_cert_sign()
    {
        return Err("it may not sign certificates: its keyUsage lacks keyCertSign".into());
    }
    is_verifiable(certificate.public_key())?;
    understood(certificate)
}

/// Whether it may sign the certificates of devices, or of others that do.
///
/// # Errors
/// It may not, for this reason.
pub(super) fn of_signer(certificate: &X509Certificate<'_>) -> Result<(), String> {
    of_authority(certificate)?;
    if let Some(usage) = certificate.extended_key_usage().map_err(broken)?
        && !(usage.value.client_auth || usage.value.any)
    {
        return Err("it may not sign for clients: its extendedKeyUsage lacks clientAuth".into());
    }
    Ok(())
}

/// Whether what an operator enters as a signing certificate may be one: a signer, and one with name
/// constraints that let any device in.
///
/// # Errors
/// It may not, for this reason.
pub(super) fn of_enrolled_signer(certificate: &X509Certificate<'_>) -> Result<(), String> {
    of_signer(certificate)?;
    let constraints = certificate.name_constraints().ok().flatten();
    let subtrees = constraints.iter().flat_map(|constraints| {
        let value = &constraints.value;
        let both = [&value.permitted_subtrees, &value.excluded_subtrees];
        both.into_iter().flatten().flatten()
    });
    let mut bases = subtrees.map(|subtree| &subtree.base);
    if bases.any(|base| matches!(base, GeneralName::DirectoryName(_))) {
        return Err("its nameConstraints name directories (directoryName), which are not evaluated here: no device below it could register".into());
    }
    Ok(())
}

/// The certificate in `der`.
///
/// # Errors
/// There is none.
pub(crate) fn read(der: &[u8]) -> Result<X509Certificate<'_>, String> {
    match X509Certificate::from_der(der) {
        Ok(([], certificate)) => Ok(certificate),
        Ok(_) => Err("it is followed by other bytes".into()),
        Err(problem) => Err(format!("it is no certificate: {problem}")),
    }
}

fn broken(problem: impl std::fmt::Display) -> String {
    format!("an extension of it is broken: {problem}")
}

fn understood(certificate: &X509Certificate<'_>) -> Result<(), String> {
    let mut unknown = certificate.iter_extensions();
    match unknown.find(|extension| extension.critical && !KNOWN.contains(&extension.oid)) {
        None => Ok(()),
        Some(extension) => Err(format!(
            "its extension {} is critical and not known here",
            extension.oid
        )),
    }
}
