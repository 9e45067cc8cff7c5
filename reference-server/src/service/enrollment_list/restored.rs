//! A list with what the store knows.

use std::sync::RwLock;

use fleetstorm_protocol::enrollment::{Enrollment, EnrollmentGroup, IndividualEnrollment};

use super::EnrollmentList;
use super::authorities::Authorities;
use super::kept::{Keeping, Kept};
use super::kind::Kind;
use crate::store::Store;
use crate::store::error::StoreError;

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
                let entry = self.compiler.individual(entry, None, kept.stamp())?;
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
                groups.push(self.compiler.group(entry, None, kept.stamp())?);
            }
            Ok(())
        })?;
        groups.sort_by_key(|group| (group.stamp.created, group.stamp.revision));
        self.groups = RwLock::new(groups.into_iter().map(Into::into).collect());
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

#[cfg(test)]
mod tests {
    use fleetstorm_protocol::enrollment::AllocationPolicy;
    use jiff::Timestamp;
    use serde_json::{Value, json};

    use super::*;
    use crate::service::enrollment_list::condition::Condition;
    use crate::service::linked_hub::LinkedHub;
    use crate::store::durability::Durability;

    fn links(host_name: &str) -> Vec<LinkedHub> {
        vec![LinkedHub {
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
