//! Certificates of one name beside those that a device means: CAs that several signed, and CAs that
//! were made anew. Whatever their order, a good device is let in.

use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use super::*;

const TWINS: usize = 9;
const ORDERS: usize = 100;

/// Whose key a twin has, and who signed it.
#[derive(Debug, Clone, Copy)]
enum Kind {
    /// The same key, signed by a stranger's root.
    CrossSigned,
    /// A key of its own, signed by the same root.
    Renewed,
    /// A key of its own, signed by a stranger's root of the same name.
    Namesake,
}

struct Makings {
    curve: &'static rcgen::SignatureAlgorithm,
    has_key_ids: bool,
}

impl Makings {
    fn authority(&self, key: &Arc<KeyPair>, name: &str, by: Option<&Certified>) -> Certified {
        let mut params = authority(name);
        params.use_authority_key_identifier_extension = self.has_key_ids;
        Certified::over(Arc::clone(key), params, by)
    }

    fn key(&self) -> Arc<KeyPair> {
        Arc::new(KeyPair::generate_for(self.curve).expect("a key"))
    }

    /// One below `by`, and its twins.
    fn level(&self, name: &str, by: &Certified, kind: Kind) -> (Certified, Vec<Certified>) {
        let key = self.key();
        let one = self.authority(&key, name, Some(by));
        let twins = (0..TWINS).flat_map(|number| match kind {
            Kind::Renewed => vec![self.authority(&self.key(), name, Some(by))],
            Kind::CrossSigned => {
                let root = self.authority(&self.key(), &format!("stranger {number}"), None);
                vec![self.authority(&key, name, Some(&root)), root]
            }
            Kind::Namesake => {
                let namesake = self.authority(&self.key(), "root", None);
                vec![self.authority(&self.key(), name, Some(&namesake))]
            }
        });
        (one, twins.collect())
    }
}

#[test]
fn a_good_device_is_let_in_among_twins_in_any_order() {
    let mut rng = ChaCha8Rng::seed_from_u64(4158);
    let p256 = &rcgen::PKCS_ECDSA_P256_SHA256;
    for (curve, has_key_ids) in [
        (p256, false),
        (p256, true),
        (&rcgen::PKCS_ECDSA_P384_SHA384, false),
        (&rcgen::PKCS_ECDSA_P384_SHA384, true),
    ] {
        let makings = Makings { curve, has_key_ids };
        for kind in [Kind::CrossSigned, Kind::Renewed, Kind::Namesake] {
            let root = makings.authority(&makings.key(), "root", None);
            let (intermediate, twins) = makings.level("intermediate", &root, kind);
            let mut params = device("pump");
            params.use_authority_key_identifier_extension = has_key_ids;
            let leaf = Certified::new(params, Some(&intermediate)).der;
            let mut others: Vec<_> = [&intermediate, &root]
                .into_iter()
                .chain(&twins)
                .map(|one| one.der.clone())
                .collect();
            let signers = [trusted(&root)];
            for order in 0..ORDERS {
                others.shuffle(&mut rng);
                let shown = [std::slice::from_ref(&leaf), &others].concat();
                let verdict = verdict(&signers, &shown, now());
                assert!(
                    verdict.is_ok(),
                    "{kind:?}, {curve:?}, {has_key_ids}: {verdict:?} in order {order}"
                );
            }
        }
    }
}

#[test]
fn a_good_device_is_let_in_among_twins_on_two_levels() {
    for (curve, has_key_ids) in [
        (&rcgen::PKCS_ECDSA_P256_SHA256, false),
        (&rcgen::PKCS_ECDSA_P384_SHA384, true),
    ] {
        let makings = Makings { curve, has_key_ids };
        for _ in 0..20 {
            let root = makings.authority(&makings.key(), "root", None);
            let (upper, uppers) = makings.level("upper", &root, Kind::Renewed);
            let (lower, lowers) = makings.level("lower", &upper, Kind::Renewed);
            let mut params = device("pump");
            params.use_authority_key_identifier_extension = has_key_ids;
            let leaf = Certified::new(params, Some(&lower));
            let all = [&leaf, &upper, &lower]
                .into_iter()
                .chain(&uppers)
                .chain(&lowers);
            let shown: Vec<_> = all.map(|one| one.der.clone()).collect();
            let verdict = verdict(&[trusted(&root)], &shown, now());
            assert!(verdict.is_ok(), "{curve:?}, {has_key_ids}: {verdict:?}");
        }
    }
}

#[test]
fn more_than_may_be_above_is_refused() {
    let plant = Plant::new();
    let others: Vec<_> = (0..=MAX_ABOVE)
        .map(|_| Certified::new(authority("intermediate"), Some(&plant.root)))
        .collect();
    let shown: Vec<_> = [&plant.pump, &plant.intermediate]
        .into_iter()
        .chain(&others)
        .collect();
    assert!(plant.lets_in(&shown[..=MAX_ABOVE]));
    assert!(plant.why_not(&shown).contains("more than 32"));
    // Those that are not above it count for nothing.
    let strangers: Vec<_> = (0..100)
        .map(|number| Certified::new(authority(&format!("stranger {number}")), None))
        .collect();
    let shown: Vec<_> = [&plant.pump, &plant.intermediate]
        .into_iter()
        .chain(&strangers)
        .collect();
    assert!(plant.lets_in(&shown));
}
