//! The TPM arithmetic of this crate on files, so that an independent TPM 2.0
//! can be asked whether it agrees; `.ci/tpm-oracle` does.
//!
//! Public areas are TPM2B_PUBLIC, private keys PKCS#8, credentials and
//! duplicates in the formats of tpm2-tools.

use std::error::Error;
use std::ffi::OsString;
use std::fs::{read, write};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rand;
use aws_lc_rs::rsa::{KeySize, OaepPrivateDecryptingKey, PrivateDecryptingKey};
use fleetstorm_protocol::tpm::credential::activate_credential;
use fleetstorm_protocol::tpm::duplication::import;
use fleetstorm_protocol::tpm::structures::Modulus;
use fleetstorm_protocol::tpm::{
    ActivationBlob, ActivationSecrets, IdentityKey, PublicArea, endorsement_public,
    make_activation_blob, registration_id_of, storage_root_public,
};

const USAGE: &str = "usage:
  activation_blob wrap EK_PUB SRK_PUB MESSAGE OUT_DIR    make a blob for a TPM, with the HMAC it should compute
  activation_blob generate OUT_DIR                       make an endorsement key and a storage root key
  activation_blob open-credential EK SRK_PUB IN OUT      ActivateCredential in software
  activation_blob import SRK INNER PRIVATE SEED PUBLIC MESSAGE OUT
                                                         Import in software, then HMAC of the message";

/// What tpm2-tools put before a credential: magic number and version.
const CREDENTIAL_HEADER: [u8; 8] = [0xba, 0xdc, 0xc0, 0xde, 0, 0, 0, 1];

type Outcome = Result<(), Box<dyn Error>>;

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let (verb, files) = match arguments.split_first() {
        Some((verb, files)) => (
            verb.to_str(),
            files.iter().map(PathBuf::from).collect::<Vec<_>>(),
        ),
        None => (None, Vec::new()),
    };
    let outcome = match (verb, files.as_slice()) {
        (Some("wrap"), [ek, srk, message, out]) => wrap_for(ek, srk, message, out),
        (Some("generate"), [out]) => generate(out),
        (Some("open-credential"), [ek, srk, credential, out]) => {
            open_credential(ek, srk, credential, out)
        }
        (Some("import"), [srk, inner, private, seed, public, message, out]) => {
            import_and_sign(srk, inner, [private, seed, public], message, out)
        }
        _ => Err(USAGE.into()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            let _ = writeln!(std::io::stderr(), "{problem}");
            ExitCode::FAILURE
        }
    }
}

/// Writes our own marshalling of both public areas as well, to be compared.
fn wrap_for(ek: &Path, srk: &Path, message: &Path, out: &Path) -> Outcome {
    let endorsement = endorsement_public(PublicArea::parse(&read(ek)?)?.modulus());
    let storage_root = storage_root_public(PublicArea::parse(&read(srk)?)?.modulus());
    let mut random = Ok(());
    let secrets =
        ActivationSecrets::generate(|secret| random = random.and_then(|()| rand::fill(secret)));
    random?;
    let blob = make_activation_blob(&endorsement, &storage_root, &secrets, b"hub.local/device")?;
    let parts = ActivationBlob::parse(&blob)?;

    write(out.join("ek.pub"), endorsement.as_tpm2b())?;
    write(out.join("srk.pub"), storage_root.as_tpm2b())?;
    write(out.join("srk.name"), storage_root.name().0)?;
    write(
        out.join("registration-id"),
        registration_id_of(&endorsement),
    )?;
    write(
        out.join("credential"),
        [&CREDENTIAL_HEADER, parts.id_object, parts.credential_seed].concat(),
    )?;
    write(out.join("inner.key"), secrets.inner_key)?;
    write(out.join("duplicate.priv"), parts.duplicate)?;
    write(out.join("duplicate.seed"), parts.duplicate_seed)?;
    write(out.join("identity.pub"), parts.identity_public)?;
    write(
        out.join("hmac"),
        IdentityKey::from_bytes(secrets.identity_key).sign(&read(message)?),
    )?;
    Ok(())
}

fn generate(out: &Path) -> Outcome {
    type Template = fn(&Modulus) -> PublicArea;
    let keys: [(&str, Template); 2] = [("ek", endorsement_public), ("srk", storage_root_public)];
    for (name, template) in keys {
        let key = PrivateDecryptingKey::generate(KeySize::Rsa2048)?;
        let pkcs8: Pkcs8V1Der = key.as_der()?;
        let public: PublicKeyX509Der = key.public_key().as_der()?;
        // SubjectPublicKeyInfo of RSA-2048 ends in the modulus and the five bytes of 65537.
        let (_, tail) = public
            .as_ref()
            .split_last_chunk::<261>()
            .ok_or("no RSA-2048 key")?;
        let modulus = tail.first_chunk().ok_or("no RSA-2048 key")?;
        write(out.join(format!("{name}.key")), pkcs8.as_ref())?;
        write(
            out.join(format!("{name}.pub")),
            template(modulus).as_tpm2b(),
        )?;
    }
    Ok(())
}

fn open_credential(ek: &Path, srk_pub: &Path, credential: &Path, out: &Path) -> Outcome {
    let name = PublicArea::parse(&read(srk_pub)?)?.name();
    let credential = read(credential)?;
    let body = credential
        .strip_prefix(&CREDENTIAL_HEADER)
        .ok_or("no credential of tpm2_makecredential")?;
    let size = usize::from(u16::from_be_bytes(
        *body.first_chunk().ok_or("credential cut short")?,
    ));
    let (id_object, encrypted_seed) = body
        .split_at_checked(2 + size)
        .ok_or("credential cut short")?;
    write(
        out,
        activate_credential(&private_key(ek)?, &name, id_object, encrypted_seed)?,
    )?;
    Ok(())
}

fn import_and_sign(
    srk: &Path,
    inner: &Path,
    parts: [&PathBuf; 3],
    message: &Path,
    out: &Path,
) -> Outcome {
    let [private, seed, public] = parts.map(read);
    let inner = read(inner)?
        .try_into()
        .map_err(|_| "the inner key is no AES-128 key")?;
    let identity = import(&private_key(srk)?, &inner, &private?, &seed?, &public?)?;
    write(out, identity.sign(&read(message)?))?;
    Ok(())
}

fn private_key(file: &Path) -> Result<OaepPrivateDecryptingKey, Box<dyn Error>> {
    Ok(OaepPrivateDecryptingKey::new(
        PrivateDecryptingKey::from_pkcs8(&read(file)?)?,
    )?)
}
