//! Why there is no way up, in words.

use webpki::Error;

pub(super) fn in_words(problem: &Error) -> String {
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
        | Error::MaximumPathDepthExceeded => {
            "there are too many ways up from it to try, by what is shown".into()
        }
        other => format!("it can't be verified: {other}"),
    }
}
