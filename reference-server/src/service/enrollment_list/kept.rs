//! Entries as the store keeps them: in the form of the service API, with their keys and certificates.
//! What was removed leaves its name, so that a list which the server starts with does not bring it
//! back.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use fleetstorm_protocol::enrollment::{
    AttestationMechanism, Enrollment, EnrollmentGroup, IndividualEnrollment,
    SymmetricKeyAttestation, X509Attestation, X509CertificateWithInfo, X509Certificates,
};
use fleetstorm_protocol::registration::TpmAttestation;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::authorities::Authorities;
use super::entry::{Group, GroupProof, Individual, IndividualProof, Stamp};
use super::{EnrollmentList, Kind};
use crate::service::device_keys::KeyPair;
use crate::store::{self, Store, StoreError};

/// Where a list is kept.
#[derive(Debug, Default)]
pub(super) struct Keeping {
    store: Store,
    id_scope: String,
}

/// One entry; removed when there is none.
#[derive(Debug, Serialize, Deserialize)]
struct Kept<Entry> {
    revision: u64,
    created: Timestamp,
    updated: Timestamp,
    entry: Option<Entry>,
}

impl Keeping {
    /// Keeps an individual enrollment, or that it was removed; under the lock of its shard.
    pub(super) fn individual(&self, key: &str, known: Option<&Individual>, stamp: Stamp) {
        let entry = || known.map(|known| written(key, known));
        self.keep(Kind::Individual, key, entry, stamp);
    }

    /// Keeps a group, or that it was removed; under the lock of the groups.
    pub(super) fn group(&self, id: &str, known: Option<&Group>, stamp: Stamp) {
        let entry = || known.map(written_group);
        self.keep(Kind::Group, &id.to_ascii_lowercase(), entry, stamp);
    }

    fn keep<Entry: Serialize>(
        &self,
        kind: Kind,
        key: &str,
        entry: impl FnOnce() -> Option<Entry>,
        stamp: Stamp,
    ) {
        self.store.write(|writes| {
            let kept = Kept {
                revision: stamp.revision,
                created: stamp.created,
                updated: stamp.updated,
                entry: entry(),
            };
            writes.put(kind.kept(), &self.id_scope, key, &kept);
        });
    }
}

impl EnrollmentList {
    /// With the entries that a store knows of this instance, and from now on kept there.
    ///
    /// # Errors
    /// The store can't be read, or an entry does not fit the configuration.
    pub(crate) fn kept_in(mut self, store: &Store, id_scope: &str) -> Result<Self, StoreError> {
        let mut last = 0;
        let mut count = 0;
        store.each(Kind::Individual.kept(), id_scope, |key, kept| {
            let kept: Kept<IndividualEnrollment> = kept;
            last = last.max(kept.revision);
            if let Some(entry) = &kept.entry {
                let entry = self.checker.individual(entry, None, kept.stamp())?;
                let claimed = self.claims.claim(key, &entry.proof, None);
                claimed.map_err(|other| format!("its certificate is that of \"{other}\""))?;
                self.individuals.of(key).insert(key.into(), entry.into());
                count += 1;
            }
            Ok(())
        })?;
        let mut groups = Vec::new();
        store.each(Kind::Group.kept(), id_scope, |_, kept| {
            let kept: Kept<EnrollmentGroup> = kept;
            last = last.max(kept.revision);
            if let Some(entry) = &kept.entry {
                groups.push(self.checker.group(entry, None, kept.stamp())?);
            }
            Ok(())
        })?;
        groups.sort_by_key(|group| (group.stamp.created, group.stamp.revision));
        self.groups = std::sync::RwLock::new(groups.into_iter().map(Into::into).collect());
        self.authorities = Authorities::kept_in(store, id_scope)?;
        self.count = count.into();
        self.revisions = last.into();
        self.keeping = Keeping {
            store: store.clone(),
            id_scope: id_scope.to_owned(),
        };
        Ok(self)
    }

    /// Whether an enrollment is in the store, or was: then a list that the server starts with has
    /// nothing new to say of it.
    ///
    /// # Errors
    /// The store can't be read.
    pub(crate) fn has_heard_of(&self, enrollment: &Enrollment) -> Result<bool, StoreError> {
        let kind = match enrollment {
            Enrollment::Individual(_) => Kind::Individual,
            Enrollment::Group(_) => Kind::Group,
        };
        let Keeping { store, id_scope } = &self.keeping;
        let id = enrollment.id().to_ascii_lowercase();
        store.knows(kind.kept(), id_scope, &id)
    }
}

impl<Entry> Kept<Entry> {
    fn stamp(&self) -> Stamp {
        Stamp {
            revision: self.revision,
            created: self.created,
            updated: self.updated,
        }
    }
}

impl Kind {
    fn kept(self) -> store::Kind {
        match self {
            Self::Individual => store::Kind::Individual,
            Self::Group => store::Kind::Group,
        }
    }
}

/// As an operator would write it who knows all of it.
fn written(key: &str, known: &Individual) -> IndividualEnrollment {
    let attestation = match &known.proof {
        IndividualProof::Tpm { endorsement_key } => AttestationMechanism::Tpm {
            tpm: TpmAttestation {
                endorsement_key: STANDARD.encode(endorsement_key),
                storage_root_key: None,
            },
        },
        IndividualProof::SymmetricKey(keys) => by_key(keys),
        IndividualProof::Certificate { certificates } => AttestationMechanism::X509 {
            x509: X509Attestation {
                client_certificates: both(certificates.iter().map(|one| &*one.der)),
                ..X509Attestation::default()
            },
        },
    };
    IndividualEnrollment {
        registration_id: key.to_owned(),
        device_id: known.device_id.as_ref().map(ToString::to_string),
        attestation,
        settings: known.settings.written.clone(),
    }
}

fn written_group(known: &Group) -> EnrollmentGroup {
    let attestation = match &known.proof {
        GroupProof::SymmetricKey(keys) => by_key(keys),
        GroupProof::Certificates(signers) => AttestationMechanism::X509 {
            x509: X509Attestation {
                signing_certificates: both(signers.iter().map(|signer| signer.der())),
                ..X509Attestation::default()
            },
        },
        GroupProof::CaReferences(names) => AttestationMechanism::X509 {
            x509: X509Attestation {
                ca_references: Some(names.clone()),
                ..X509Attestation::default()
            },
        },
    };
    EnrollmentGroup {
        enrollment_group_id: known.id.clone(),
        attestation,
        settings: known.settings.written.clone(),
    }
}

fn by_key(keys: &KeyPair) -> AttestationMechanism {
    AttestationMechanism::SymmetricKey {
        symmetric_key: SymmetricKeyAttestation {
            primary_key: Some(keys.primary().clone()),
            secondary_key: Some(keys.secondary().clone()),
        },
    }
}

/// Primary and secondary.
fn both<'a>(ders: impl Iterator<Item = &'a [u8]>) -> Option<X509Certificates> {
    let mut texts = ders.map(|der| X509CertificateWithInfo {
        certificate: STANDARD.encode(der),
    });
    Some(X509Certificates {
        primary: texts.next(),
        secondary: texts.next(),
    })
}

#[cfg(test)]
mod tests {
    use fleetstorm_protocol::enrollment::AllocationPolicy;
    use serde_json::{Value, json};

    use super::super::Condition;
    use super::*;
    use crate::service::link::Link;
    use crate::store::Durability;

    fn links(host_name: &str) -> Vec<Link> {
        vec![Link {
            hub: 0,
            host_name: host_name.into(),
            region: None,
            weight: 1,
            applies: true,
        }]
    }

    fn certificate(is_ca: bool) -> String {
        let mut made = rcgen::CertificateParams::default();
        if is_ca {
            made.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        }
        let key = rcgen::KeyPair::generate().expect("a key");
        made.self_signed(&key).expect("a certificate").pem()
    }

    /// All that the service side can read of a list.
    fn all(list: &EnrollmentList) -> Vec<Value> {
        let mut all = Vec::new();
        for kind in [Kind::Individual, Kind::Group] {
            for item in list.page(kind, None, 100).items {
                let id = item["registrationId"].as_str();
                let id = id.or(item["enrollmentGroupId"].as_str()).expect("an id");
                all.push(json!([item, list.attestation(kind, id)]));
            }
        }
        all.push(list.authorities().list());
        all.sort_by_key(ToString::to_string);
        all
    }

    #[test]
    fn enrollments_outlive_the_server_and_removed_ones_do_not_come_back() {
        let folder = tempfile::tempdir().expect("a folder");
        let open = || {
            let store = Store::in_folder(folder.path(), Durability::Process).expect("free");
            let list = EnrollmentList::new(&links("hub-1.test"), AllocationPolicy::Hashed);
            let list = list.kept_in(&store, "0ne00000001").expect("readable");
            (list, store)
        };
        let twin = json!({"tags": {"floor": 1}, "properties": {"desired": {"rate": 5}}});
        let both = |are_cas| {
            json!({
                "primary": {"certificate": certificate(are_cas)},
                "secondary": {"certificate": certificate(are_cas)},
            })
        };
        let documents = [
            json!({"registrationId": "Key", "deviceId": "Pump-1",
                "attestation": {"type": "symmetricKey"}, "initialTwin": twin,
                "reprovisionPolicy": {"updateHubAssignment": true, "migrateDeviceData": false}}),
            json!({"registrationId": "leaf", "provisioningStatus": "disabled",
                "attestation": {"type": "x509", "x509": {"clientCertificates": both(false)}}}),
            json!({"registrationId": "gone", "attestation": {"type": "symmetricKey"}}),
            json!({"enrollmentGroupId": "Keys", "attestation": {"type": "symmetricKey"},
                "iotHubs": ["hub-1.test"], "allocationPolicy": "static"}),
            json!({"enrollmentGroupId": "Chains",
                "attestation": {"type": "x509", "x509": {"signingCertificates": both(true)}}}),
        ];
        let documents = documents
            .map(|document| Enrollment::from_json(&document.to_string()).expect("an enrollment"));
        let named = json!({"enrollmentGroupId": "Named", "attestation":
            {"type": "x509", "x509": {"caReferences": {"primary": "factory"}}}});
        let named = Enrollment::from_json(&named.to_string()).expect("an enrollment");
        let before = {
            let (list, _) = open();
            let ca = fleetstorm_protocol::x509::certificate_from_text(&certificate(true));
            let (ca, now) = (ca.expect("PEM"), Timestamp::now());
            let authorities = list.authorities();
            for name in ["factory", "closed"] {
                let entered = authorities.put(name, ca.clone(), true, Condition::None, now);
                entered.expect("room");
            }
            let removed = authorities.remove("closed", Condition::None);
            removed.expect("it is there");
            list.put(&named, Condition::Absent, now).expect("room");
            for document in &documents {
                list.put(document, Condition::Absent, Timestamp::now())
                    .expect("room");
            }
            let key = &documents[0];
            list.put(key, Condition::Exists, Timestamp::now())
                .expect("it is there");
            list.remove(Kind::Individual, "GONE", Condition::None)
                .expect("it is there");
            all(&list)
        };
        assert_eq!(before.len(), 6);
        let (list, store) = open();
        assert_eq!(all(&list), before);
        assert!(list.authorities().verified("Factory").is_some());
        for document in &documents {
            assert!(list.has_heard_of(document).expect("readable"));
        }
        let changed = list.put(&documents[0], Condition::Exists, Timestamp::now());
        let changed = changed.expect("it is there");
        assert!(
            before
                .iter()
                .all(|known| known[0]["etag"] != changed["etag"])
        );

        let other = EnrollmentList::new(&links("hub-2.test"), AllocationPolicy::Hashed);
        let refusal = other.kept_in(&store, "0ne00000001").expect_err("refused");
        let refusal = refusal.to_string();
        assert!(
            refusal.contains("\"hub-1.test\" is not linked"),
            "{refusal}"
        );
        assert!(!refusal.contains("damaged"), "{refusal}");
    }
}
