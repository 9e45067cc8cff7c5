//! Any certificates in any order against what they were made of: who signed whom, and what each may.
//! Nothing here reads a certificate, checks a signature or remembers, while the server does.

use std::collections::BTreeSet;

use rand::RngExt;
use rand::seq::{IndexedRandom, SliceRandom};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use rcgen::{ExtendedKeyUsagePurpose, SanType};

use super::*;

/// Chains that are tried; `FLEETSTORM_CHAINS` in the environment tries more.
const CHAINS: usize = 4000;
const NAMES: [&str; 4] = ["root", "plant", "hall", "line"];
const KEYS: usize = 8;
const AUTHORITIES: usize = 60;
const DEVICES: usize = 24;

/// Whoever has a key, under a name that others may have as well.
type Holder = (usize, usize);

/// What a certificate was made of.
#[derive(Debug, Clone)]
struct Made {
    subject: Holder,
    issuer: Holder,
    is_ca: bool,
    may_sign: bool,
    is_current: bool,
    is_for_clients: bool,
    path_length: Option<u8>,
    /// The one domain that is permitted below.
    permits: Option<&'static str>,
    /// Its own domain.
    domain: Option<&'static str>,
}

struct World {
    made: Vec<Made>,
    ders: Vec<CertificateDer<'static>>,
    /// Places of those that groups trust, with what the server makes of them.
    trusted: Vec<(usize, Arc<SigningCertificate>)>,
}

impl World {
    fn new(rng: &mut ChaCha8Rng) -> Self {
        let keys: Vec<_> = (0..KEYS).map(|_| new_key()).collect();
        let holder =
            |rng: &mut ChaCha8Rng| (rng.random_range(0..NAMES.len()), rng.random_range(0..KEYS));
        let holders: Vec<Holder> = (0..KEYS).map(|_| holder(rng)).collect();
        let (mut made, mut ders) = (Vec::new(), Vec::new());
        for number in 0..AUTHORITIES + DEVICES {
            let is_device = number >= AUTHORITIES;
            let domains = ["a.test", "b.test"];
            let one = Made {
                subject: *holders.choose(rng).expect("some"),
                issuer: *holders.choose(rng).expect("some"),
                is_ca: rng.random_bool(0.9) != is_device,
                may_sign: rng.random_bool(0.9),
                is_current: rng.random_bool(0.9),
                is_for_clients: rng.random_bool(0.9),
                path_length: rng.random_bool(0.3).then(|| rng.random_range(0..3)),
                permits: rng
                    .random_bool(0.2)
                    .then(|| domains[rng.random_range(0..2)]),
                domain: (is_device && rng.random_bool(0.6))
                    .then(|| domains[rng.random_range(0..2)]),
            };
            ders.push(one.certificate(&keys));
            made.push(one);
        }
        let trusted = (0..AUTHORITIES).filter_map(|place| {
            let signer = SigningCertificate::new(ders[place].to_vec());
            assert_eq!(signer.is_ok(), made[place].is_signer(), "{:?}", made[place]);
            Some((place, Arc::new(signer.ok()?)))
        });
        let trusted = trusted.take(6).collect();
        Self {
            made,
            ders,
            trusted,
        }
    }

    /// Places of the trusted ones that a way up leads to.
    fn ends(&self, shown: &[usize]) -> BTreeSet<usize> {
        let mut ends = BTreeSet::new();
        self.climb(shown, &mut vec![shown[0]], &mut ends);
        ends
    }

    fn climb(&self, shown: &[usize], way: &mut Vec<usize>, ends: &mut BTreeSet<usize>) {
        let issuer = self.made[way[way.len() - 1]].issuer;
        for (place, _) in &self.trusted {
            if self.made[*place].subject == issuer && self.holds(way, *place) {
                ends.insert(*place);
            }
        }
        for next in &shown[1..] {
            let is_passed = |passed: &usize| self.made[*passed].subject == self.made[*next].subject;
            if self.made[*next].subject == issuer && !way.iter().any(is_passed) {
                way.push(*next);
                self.climb(shown, way, ends);
                way.pop();
            }
        }
    }

    /// Whether a way from a device up to a trusted certificate is one by RFC 5280.
    fn holds(&self, way: &[usize], end: usize) -> bool {
        let device = &self.made[way[0]];
        let above: Vec<_> = way[1..]
            .iter()
            .chain([&end])
            .map(|place| &self.made[*place])
            .collect();
        let fits = |(below, one): (usize, &&Made)| {
            let mut domains = way[..=below]
                .iter()
                .filter_map(|place| self.made[*place].domain);
            let names = one
                .permits
                .is_none_or(|only| domains.all(|domain| domain == only));
            let length = one
                .path_length
                .is_none_or(|most| below <= usize::from(most));
            one.is_signer() && one.is_current && names && length
        };
        !device.is_ca
            && device.is_current
            && device.is_for_clients
            && above.iter().enumerate().all(fits)
    }
}

impl Made {
    fn is_signer(&self) -> bool {
        self.is_ca && self.may_sign && self.is_for_clients
    }

    fn certificate(&self, keys: &[Arc<KeyPair>]) -> CertificateDer<'static> {
        let mut params = device(NAMES[self.subject.0]);
        if self.is_ca {
            let constraint = self.path_length.map(BasicConstraints::Constrained);
            params.is_ca = IsCa::Ca(constraint.unwrap_or(BasicConstraints::Unconstrained));
        }
        if self.is_ca {
            params.key_usages = vec![match self.may_sign {
                true => KeyUsagePurpose::KeyCertSign,
                false => KeyUsagePurpose::CrlSign,
            }];
            params.name_constraints = self.permits.map(|domain| NameConstraints {
                permitted_subtrees: vec![GeneralSubtree::DnsName(domain.into())],
                excluded_subtrees: Vec::new(),
            });
        }
        if !self.is_current {
            params.not_after = rcgen::date_time_ymd(2026, 2, 1);
        }
        if !self.is_for_clients {
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        }
        let domain = self.domain.map(|domain| domain.try_into().expect("a name"));
        params.subject_alt_names = domain.map(SanType::DnsName).into_iter().collect();
        let issuer = device(NAMES[self.issuer.0]);
        let issuer = Issuer::from_params(&issuer, &*keys[self.issuer.1]);
        let signed = params.signed_by(&*keys[self.subject.1], &issuer);
        signed.expect("a certificate").der().clone()
    }
}

#[test]
fn any_certificates_in_any_order_come_to_what_they_were_made_of() {
    let chains = std::env::var("FLEETSTORM_CHAINS").map(|count| count.parse().expect("a count"));
    let chains = chains.unwrap_or(CHAINS);
    let mut rng = ChaCha8Rng::seed_from_u64(5280);
    let (mut let_in, mut too_many, mut tried) = (0, 0, 0);
    while tried < chains {
        let world = World::new(&mut rng);
        let known = KnownSignatures::default();
        for _ in 0..chains.min(2000) {
            tried += 1;
            let mut shown = vec![rng.random_range(AUTHORITIES..AUTHORITIES + DEVICES)];
            // Mostly the way up, as far as it goes, and sometimes anybody.
            for _ in 0..rng.random_range(0..5) {
                let last = world.made[shown[shown.len() - 1]].issuer;
                let issuers = (0..AUTHORITIES).filter(|place| world.made[*place].subject == last);
                let issuers: Vec<_> = issuers.collect();
                let next = issuers.choose(&mut rng).copied();
                let anybody = rng.random_range(0..world.made.len());
                shown.push(next.filter(|_| rng.random_bool(0.8)).unwrap_or(anybody));
            }
            shown[1..].shuffle(&mut rng);
            let ders: Vec<_> = shown
                .iter()
                .map(|place| world.ders[*place].clone())
                .collect();
            let signers: Vec<_> = world
                .trusted
                .iter()
                .map(|(_, signer)| Arc::clone(signer))
                .collect();
            let found = verdict_after(&known, &signers, &ders, now());
            let ends = world.ends(&shown);
            match found {
                Ok(signer) => {
                    let_in += 1;
                    let mut trusted = world.trusted.iter();
                    let end = trusted.find(|(_, one)| Arc::ptr_eq(one, &signer));
                    let (end, _) = end.expect("one of them");
                    assert!(ends.contains(end), "{shown:?} in {:?}", world.made);
                }
                // More keys of one name than a chain may be tried with.
                Err(problem) if problem.contains("too many") => too_many += 1,
                Err(problem) => {
                    assert!(ends.is_empty(), "{problem}: {shown:?} in {:?}", world.made);
                }
            }
        }
    }
    println!("{let_in} of {tried} were let in, {too_many} were too many ways");
    assert!(let_in > tried / 20 && let_in < tried / 2 && too_many < tried / 1000);
}
