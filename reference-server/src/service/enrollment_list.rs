//! The enrollment list: who may register. It changes while devices register; whoever looks sees an
//! entry as it was before a change or after it, and nothing in between.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use fleetstorm_protocol::enrollment::{
    AllocationPolicy, Enrollment, EnrollmentGroup, EnrollmentSettings, IndividualEnrollment,
};
use fleetstorm_protocol::ids::RegistrationId;
use jiff::Timestamp;
use serde_json::Value;

use super::chain::KnownSignatures;
use super::linked_hub::LinkedHub;
use crate::api_versions::ApiVersions;
use crate::shards::Shards;
use authorities::Authorities;
use claims::Claims;
use compiled::{EnrollmentCompiler, Group, GroupMechanism, Individual, Settings};
use condition::{Condition, WriteError};
use kept::Keeping;
use kind::Kind;
use page::Page;
use stamp::Stamp;

pub mod authorities;
pub mod compiled;
pub mod condition;
pub mod kind;
pub mod page;
pub mod stamp;

mod certificate_info;
mod claims;
mod document;
mod kept;
mod restored;

#[cfg(test)]
mod tests;

/// Individual enrollments that an instance may have (DPS documentation, "Quotas and limits").
const MAX_INDIVIDUALS: usize = 1_000_000;
/// Groups with symmetric keys, and groups with certificates, that an instance may have (same place).
const MAX_GROUPS: usize = 100;

/// The first version whose form of enrollments webhooks may be told (DPS REST API,
/// "CustomAllocationDefinition").
const FIRST_WITH_WEBHOOKS: &str = "2018-09-01-preview";

/// Individual enrollments by registration id, and groups in the order they were entered.
#[derive(Debug)]
pub struct EnrollmentList {
    compiler: EnrollmentCompiler,
    api_versions: ApiVersions,
    individuals: Shards<Box<str>, Arc<Individual>>,
    count: AtomicUsize,
    claims: Claims,
    authorities: Authorities,
    signatures: KnownSignatures,
    groups: RwLock<Arc<[Arc<Group>]>>,
    revisions: AtomicU64,
    keeping: Keeping,
}

impl EnrollmentList {
    /// Empty; enrollments may name linked hubs, and those that name no allocation policy have
    /// this one.
    pub fn new(links: &[LinkedHub], default_policy: AllocationPolicy) -> Self {
        Self {
            compiler: EnrollmentCompiler::new(links, default_policy),
            api_versions: ApiVersions::of_dps(&[]),
            individuals: Shards::new(),
            count: AtomicUsize::new(0),
            claims: Claims::new(),
            authorities: Authorities::default(),
            signatures: KnownSignatures::default(),
            groups: RwLock::new(Arc::new([])),
            revisions: AtomicU64::new(0),
            keeping: Keeping::default(),
        }
    }

    /// The same, with enrollments that may name these credential policies.
    pub fn with_credential_policies(mut self, names: Vec<String>) -> Self {
        self.compiler.credential_policies = names;
        self
    }

    /// The same, with webhooks that are told of enrollments in these versions of their form.
    pub fn with_api_versions(mut self, api_versions: ApiVersions) -> Self {
        self.api_versions = api_versions;
        self
    }

    /// The device's own enrollment.
    pub fn individual(&self, id: &RegistrationId) -> Option<Arc<Individual>> {
        let key = id.canonical();
        self.individuals.of(key.as_str()).get(key.as_str()).cloned()
    }

    /// What settings come to; the same for all that have the same.
    pub(super) fn settings(&self, written: &EnrollmentSettings) -> Result<Arc<Settings>, String> {
        self.compiler.settings(written)
    }

    /// The CA certificates that groups may name.
    pub fn authorities(&self) -> &Authorities {
        &self.authorities
    }

    /// What was verified of the chains of its groups' devices.
    pub fn signatures(&self) -> &KnownSignatures {
        &self.signatures
    }

    /// Groups in the order they were entered.
    pub fn groups(&self) -> Arc<[Arc<Group>]> {
        let groups = self.groups.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&groups)
    }

    /// Writes an enrollment, new or over what is there; returns it in the form of the service API.
    ///
    /// # Errors
    /// See [`WriteError`]; nothing has changed then.
    pub fn put(
        &self,
        enrollment: &Enrollment,
        condition: Condition<'_>,
        now: Timestamp,
    ) -> Result<Value, WriteError> {
        self.check(enrollment.settings())
            .map_err(WriteError::Invalid)?;
        match enrollment {
            Enrollment::Individual(individual) => self.put_individual(individual, condition, now),
            Enrollment::Group(group) => self.put_group(group, condition, now),
        }
    }

    /// What is asked of those that are written, and was not of those that are kept.
    fn check(&self, settings: &EnrollmentSettings) -> Result<(), String> {
        if let Some(twin) = &settings.initial_twin {
            let checked = twin.check();
            checked.map_err(|problem| format!("initialTwin: {problem}"))?;
        }
        let Some(definition) = &settings.custom_allocation_definition else {
            return Ok(());
        };
        let version = definition.api_version.as_str();
        let problem = if version < FIRST_WITH_WEBHOOKS {
            format!("is older than {FIRST_WITH_WEBHOOKS}, which has webhooks first")
        } else if self.api_versions.serve(version) {
            return Ok(());
        } else {
            "is no version of DPS".into()
        };
        Err(format!(
            "customAllocationDefinition.apiVersion: \"{version:.40}\" {problem}"
        ))
    }

    /// Removes an enrollment.
    ///
    /// # Errors
    /// It is not there, or not as the condition wants it.
    pub fn remove(&self, kind: Kind, id: &str, condition: Condition<'_>) -> Result<(), WriteError> {
        let key = id.to_ascii_lowercase();
        match kind {
            Kind::Individual => {
                let mut shard = self.individuals.of(key.as_str());
                let known = shard.get(key.as_str()).ok_or(WriteError::NotFound)?;
                condition.holds(&key, Some(known.stamp))?;
                self.keeping.individual(&key, None, known.stamp);
                self.claims.give_up(&known.proof);
                shard.remove(key.as_str());
                self.count.fetch_sub(1, Ordering::Relaxed);
            }
            Kind::Group => {
                let mut groups = self.groups.write().unwrap_or_else(PoisonError::into_inner);
                let known = groups
                    .iter()
                    .find(|group| group.id.eq_ignore_ascii_case(id));
                let known = known.ok_or(WriteError::NotFound)?;
                condition.holds(id, Some(known.stamp))?;
                self.keeping.group(id, None, known.stamp);
                let others = groups.iter().filter(|group| !Arc::ptr_eq(group, known));
                let others: Arc<[_]> = others.cloned().collect();
                *groups = others;
            }
        }
        Ok(())
    }

    /// An enrollment in the form of the service API, without its keys.
    pub fn get(&self, kind: Kind, id: &str) -> Option<Value> {
        match kind {
            Kind::Individual => self
                .known(id)
                .map(|known| document::individual(&id.to_ascii_lowercase(), &known)),
            Kind::Group => self.group(id).map(|known| document::group(&known)),
        }
    }

    /// An enrollment's attestation mechanism, with its keys.
    pub fn attestation(&self, kind: Kind, id: &str) -> Option<Value> {
        match kind {
            Kind::Individual => self
                .known(id)
                .map(|known| document::secret_of(&known.proof)),
            Kind::Group => self
                .group(id)
                .map(|known| document::secret_of_group(&known.proof)),
        }
    }

    /// At most `limit` enrollments from a place on; from the start without one. What is there
    /// all the while is listed once, whatever changes around it.
    pub fn page(&self, kind: Kind, from: Option<&str>, limit: usize) -> Page {
        match kind {
            Kind::Individual => {
                let show =
                    |id: &str, known: &Arc<Individual>| Some(document::individual(id, known));
                let (items, next) = self.individuals.page(from, limit, show);
                Page { items, next }
            }
            Kind::Group => {
                let mut groups = self.groups().to_vec();
                groups.sort_by(|one, other| one.id.cmp(&other.id));
                groups.retain(|group| from.is_none_or(|from| group.id.as_str() > from));
                let more = groups.len() > limit;
                groups.truncate(limit);
                Page {
                    items: groups.iter().map(|group| document::group(group)).collect(),
                    next: groups.last().filter(|_| more).map(|group| group.id.clone()),
                }
            }
        }
    }

    fn known(&self, id: &str) -> Option<Arc<Individual>> {
        let key = id.to_ascii_lowercase();
        self.individuals.of(key.as_str()).get(key.as_str()).cloned()
    }

    fn group(&self, id: &str) -> Option<Arc<Group>> {
        let groups = self.groups();
        groups
            .iter()
            .find(|group| group.id.eq_ignore_ascii_case(id))
            .cloned()
    }

    fn put_individual(
        &self,
        individual: &IndividualEnrollment,
        condition: Condition<'_>,
        now: Timestamp,
    ) -> Result<Value, WriteError> {
        let id = RegistrationId::parse(&individual.registration_id)
            .map_err(|e| WriteError::Invalid(e.to_string()))?;
        let key = id.canonical();
        let mut shard = self.individuals.of(key.as_str());
        let known = shard.get(key.as_str());
        condition.holds(&key, known.map(|known| known.stamp))?;
        if known.is_none() && self.count.load(Ordering::Relaxed) >= MAX_INDIVIDUALS {
            return Err(WriteError::Full(format!(
                "there are {MAX_INDIVIDUALS} individual enrollments already, which is the quota"
            )));
        }
        let stamp = self.stamp(known.map(|known| known.stamp), now);
        let entry = self
            .compiler
            .individual(individual, known.map(|known| &**known), stamp)
            .map_err(WriteError::Invalid)?;
        self.claims
            .claim(&key, &entry.proof, known.map(|known| &known.proof))
            .map_err(|other| {
                WriteError::Exists(format!("a certificate of \"{key}\", in \"{other}\","))
            })?;
        let written = document::individual(&key, &entry);
        self.keeping.individual(&key, Some(&entry), stamp);
        if shard.insert(key.into(), Arc::new(entry)).is_none() {
            self.count.fetch_add(1, Ordering::Relaxed);
        }
        Ok(written)
    }

    fn put_group(
        &self,
        group: &EnrollmentGroup,
        condition: Condition<'_>,
        now: Timestamp,
    ) -> Result<Value, WriteError> {
        let id = &group.enrollment_group_id;
        RegistrationId::parse(id)
            .map_err(|e| WriteError::Invalid(format!("enrollmentGroupId: {}", e.problem)))?;
        let mut groups = self.groups.write().unwrap_or_else(PoisonError::into_inner);
        let place = groups
            .iter()
            .position(|known| known.id.eq_ignore_ascii_case(id));
        let known = place.and_then(|place| groups.get(place));
        condition.holds(id, known.map(|known| known.stamp))?;
        let stamp = self.stamp(known.map(|known| known.stamp), now);
        let entry = self
            .compiler
            .group(group, known.map(|known| &**known), stamp)
            .map_err(WriteError::Invalid)?;
        room_for(&entry, &groups, place)?;
        signs_nowhere_else(&entry, &groups, place)?;
        if let GroupMechanism::CaReferences(names) = &entry.proof
            && let Some(name) = names
                .names()
                .find(|name| self.authorities.verified(name).is_none())
        {
            return Err(WriteError::Invalid(format!(
                "attestation.x509.caReferences: \"{name}\" is no verified CA certificate of this instance"
            )));
        }
        let written = document::group(&entry);
        self.keeping.group(id, Some(&entry), stamp);
        let mut changed = groups.to_vec();
        match place {
            Some(place) => changed[place] = Arc::new(entry),
            None => changed.push(Arc::new(entry)),
        }
        *groups = changed.into();
        Ok(written)
    }

    fn stamp(&self, known: Option<Stamp>, now: Timestamp) -> Stamp {
        Stamp {
            revision: self.revisions.fetch_add(1, Ordering::Relaxed) + 1,
            created: known.map_or(now, |known| known.created),
            updated: now,
        }
    }
}

/// A signing certificate may stand in one group.
fn signs_nowhere_else(
    entry: &Group,
    groups: &[Arc<Group>],
    place: Option<usize>,
) -> Result<(), WriteError> {
    let signs = |group: &Group, der: &[u8]| match &group.proof {
        GroupMechanism::Certificates(signers) => signers.iter().any(|signer| signer.der() == der),
        GroupMechanism::SymmetricKey(_) | GroupMechanism::CaReferences(_) => false,
    };
    let GroupMechanism::Certificates(signers) = &entry.proof else {
        return Ok(());
    };
    let mut others = groups.iter().enumerate();
    let other = others.find(|(index, group)| {
        Some(*index) != place && signers.iter().any(|signer| signs(group, signer.der()))
    });
    match other {
        None => Ok(()),
        Some((_, group)) => Err(WriteError::Exists(format!(
            "a certificate of \"{}\", in \"{}\",",
            entry.id, group.id
        ))),
    }
}

/// A device's token does not name its group, nor does its chain: each group more costs
/// registrations that look for theirs.
fn room_for(entry: &Group, groups: &[Arc<Group>], place: Option<usize>) -> Result<(), WriteError> {
    let is_by_key = |group: &Group| matches!(group.proof, GroupMechanism::SymmetricKey(_));
    let same = groups
        .iter()
        .enumerate()
        .filter(|(index, group)| Some(*index) != place && is_by_key(group) == is_by_key(entry));
    if same.count() < MAX_GROUPS {
        return Ok(());
    }
    let what = if is_by_key(entry) {
        "symmetric keys"
    } else {
        "certificates"
    };
    Err(WriteError::Full(format!(
        "attestation.type: there are {MAX_GROUPS} groups with {what} already, which is the limit: use individual enrollments"
    )))
}
