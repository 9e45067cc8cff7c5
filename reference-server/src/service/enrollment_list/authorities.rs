//! The CA certificates of an instance: a group may name one, once its owner has proven to hold its key
//! (DPS documentation, "Verified certificates"; the form is that of the ARM resource
//! `Microsoft.Devices/provisioningServices/certificates`).

use std::sync::{Arc, PoisonError, RwLock};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use fleetstorm_protocol::timestamp;
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimePrinter;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::certificate_info::info;
use super::condition::{Condition, WriteError};
use super::stamp::Stamp;
use crate::service::signing_certificate::SigningCertificate;
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::kind::Kind;

/// CA certificates that an instance may have (DPS documentation, "Quotas and limits").
const MAX_AUTHORITIES: usize = 25;
/// Longest name (ARM resource, `certificateName`).
const MAX_NAME: usize = 256;

/// By name, in the order they came.
#[derive(Debug, Default)]
pub struct Authorities {
    known: RwLock<Vec<Authority>>,
    store: Store,
    id_scope: String,
}

/// One of them.
#[derive(Debug, Clone)]
struct Authority {
    name: String,
    signer: Arc<SigningCertificate>,
    is_verified: bool,
    code: Option<String>,
    stamp: Stamp,
}

/// As the store keeps it; removed when there is none.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    name: String,
    certificate: String,
    is_verified: bool,
    code: Option<String>,
    revision: u64,
    created: Timestamp,
    updated: Timestamp,
}

impl Authorities {
    /// With those that a store knows of an instance, and from now on kept there.
    ///
    /// # Errors
    /// The store can't be read, or what it holds is no certificate.
    pub(super) fn kept_in(store: &Store, id_scope: &str) -> Result<Self, StoreError> {
        let mut known = Vec::new();
        store.each(Kind::Authority, id_scope, |_, kept| {
            let kept: Option<Kept> = kept;
            let Some(kept) = kept else { return Ok(()) };
            let der = STANDARD
                .decode(&kept.certificate)
                .map_err(|e| e.to_string())?;
            known.push(Authority {
                name: kept.name,
                signer: Arc::new(SigningCertificate::new(der)?),
                is_verified: kept.is_verified,
                code: kept.code,
                stamp: Stamp {
                    revision: kept.revision,
                    created: kept.created,
                    updated: kept.updated,
                },
            });
            Ok(())
        })?;
        known.sort_by_key(|one| (one.stamp.created, one.stamp.revision));
        Ok(Self {
            known: RwLock::new(known),
            store: store.clone(),
            id_scope: id_scope.to_owned(),
        })
    }

    /// The certificate of a name, if its owner has proven to hold the key.
    pub(crate) fn verified(&self, name: &str) -> Option<Arc<SigningCertificate>> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let one = known.iter().find(|one| one.is_called(name))?;
        one.is_verified.then(|| Arc::clone(&one.signer))
    }

    /// Every one in its ARM form.
    pub(crate) fn list(&self) -> Value {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        json!({"value": known.iter().map(Authority::document).collect::<Vec<_>>()})
    }

    /// One in its ARM form.
    ///
    /// # Errors
    /// There is none.
    pub(crate) fn get(&self, name: &str) -> Result<Value, WriteError> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let one = known.iter().find(|one| one.is_called(name));
        one.map(Authority::document).ok_or(WriteError::NotFound)
    }

    /// Enters a certificate, or another one under a known name. It is verified where its owner says
    /// so (ARM, `isVerified`), and else has to be.
    ///
    /// # Errors
    /// It can sign nobody, or the condition does not hold; nothing has changed then.
    pub(crate) fn put(
        &self,
        name: &str,
        der: Vec<u8>,
        is_verified: bool,
        condition: Condition<'_>,
        now: Timestamp,
    ) -> Result<Value, WriteError> {
        if name.is_empty() || name.len() > MAX_NAME {
            let problem = format!("a name has from 1 to {MAX_NAME} characters");
            return Err(WriteError::Invalid(problem));
        }
        let signer = SigningCertificate::new(der)
            .map_err(|problem| WriteError::Invalid(format!("certificate: {problem}")))?;
        self.change(name, condition, now, |known, stamp| {
            let (others, before) = match known {
                Ok(known) => (0, Some(known)),
                Err(count) => (count, None),
            };
            if before.is_none() && others >= MAX_AUTHORITIES {
                let problem = format!("there are {MAX_AUTHORITIES} already, which is the quota");
                return Err(WriteError::Full(problem));
            }
            Ok(Authority {
                name: before.map_or_else(|| name.to_owned(), |before| before.name.clone()),
                signer: Arc::new(signer),
                is_verified,
                code: None,
                stamp,
            })
        })
    }

    /// A new code, for a certificate with it as common name that only the owner of the key can sign.
    ///
    /// # Errors
    /// There is no such certificate, or the condition does not hold.
    pub(crate) fn generate_code(
        &self,
        name: &str,
        condition: Condition<'_>,
        now: Timestamp,
    ) -> Result<Value, WriteError> {
        let code = format!("{:X}", Uuid::new_v4().simple());
        let mut document = self.change(name, condition, now, |known, stamp| {
            let known = known.map_err(|_| WriteError::NotFound)?;
            Ok(Authority {
                code: Some(code.clone()),
                stamp,
                ..known.clone()
            })
        })?;
        document["properties"]["verificationCode"] = code.into();
        Ok(document)
    }

    /// Proof of possession: `proof` is signed by the certificate, and its common name is the code.
    ///
    /// # Errors
    /// It is not, there was no code, or the condition does not hold.
    pub(crate) fn verify(
        &self,
        name: &str,
        proof: &[u8],
        condition: Condition<'_>,
        now: Timestamp,
    ) -> Result<Value, WriteError> {
        self.change(name, condition, now, |known, stamp| {
            let known = known.map_err(|_| WriteError::NotFound)?;
            let invalid = |problem: &str| WriteError::Invalid(format!("certificate: {problem}"));
            let code = known.code.as_deref();
            let code = code.ok_or_else(|| invalid("generate a verification code first"))?;
            let attested = known.signer.is_proven_by(proof, code, now);
            attested.map_err(|problem| invalid(&problem))?;
            Ok(Authority {
                is_verified: true,
                code: None,
                stamp,
                ..known.clone()
            })
        })
    }

    /// Forgets one. Groups that name it let nobody in any more.
    ///
    /// # Errors
    /// There is none, or the condition does not hold.
    pub(crate) fn remove(&self, name: &str, condition: Condition<'_>) -> Result<(), WriteError> {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let place = known.iter().position(|one| one.is_called(name));
        let place = place.ok_or(WriteError::NotFound)?;
        condition.holds(name, Some(known[place].stamp))?;
        self.keep(name, None);
        known.remove(place);
        Ok(())
    }

    /// Replaces one by what `make` makes of it, or of how many there are.
    fn change(
        &self,
        name: &str,
        condition: Condition<'_>,
        now: Timestamp,
        make: impl FnOnce(Result<&Authority, usize>, Stamp) -> Result<Authority, WriteError>,
    ) -> Result<Value, WriteError> {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let place = known.iter().position(|one| one.is_called(name));
        let before = place.and_then(|place| known.get(place));
        condition.holds(name, before.map(|before| before.stamp))?;
        let revisions = known.iter().map(|one| one.stamp.revision);
        let stamp = Stamp {
            revision: revisions.max().unwrap_or(0) + 1,
            created: before.map_or(now, |before| before.stamp.created),
            updated: now,
        };
        let made = make(before.ok_or(known.len()), stamp)?;
        self.keep(name, Some(&made));
        let document = made.document();
        match place {
            Some(place) => known[place] = made,
            None => known.push(made),
        }
        Ok(document)
    }

    fn keep(&self, name: &str, one: Option<&Authority>) {
        self.store.write(|writes| {
            let kept = one.map(|one| Kept {
                name: one.name.clone(),
                certificate: STANDARD.encode(one.signer.der()),
                is_verified: one.is_verified,
                code: one.code.clone(),
                revision: one.stamp.revision,
                created: one.stamp.created,
                updated: one.stamp.updated,
            });
            let key = name.to_ascii_lowercase();
            writes.put(Kind::Authority, &self.id_scope, &key, &kept);
        });
    }
}

impl Authority {
    fn is_called(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }

    fn document(&self) -> Value {
        let der = self.signer.der();
        let info = info(der);
        let expiry = Timestamp::from_second(self.signer.not_after()).ok();
        let expiry =
            expiry.and_then(|at| DateTimePrinter::new().timestamp_to_rfc9110_string(&at).ok());
        json!({
            "name": self.name,
            "type": "Microsoft.Devices/ProvisioningServices/Certificates",
            "etag": self.stamp.tag(),
            "properties": {
                "subject": info["subjectName"],
                "expiry": expiry,
                "thumbprint": info["sha1Thumbprint"],
                "isVerified": self.is_verified,
                "created": timestamp::format(self.stamp.created),
                "updated": timestamp::format(self.stamp.updated),
                "certificate": STANDARD.encode(der),
            },
        })
    }
}
