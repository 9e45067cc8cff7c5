//! Who is let in by what, in which order, and what it costs to turn somebody away.

use std::sync::Arc;

use jiff::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, GeneralSubtree, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, NameConstraints,
};
use rustls::pki_types::CertificateDer;

use super::*;

mod any_chain;
mod cost;
mod foreign;
mod twins;

/// A certificate and its key.
struct Certified {
    der: CertificateDer<'static>,
    params: CertificateParams,
    key: Arc<KeyPair>,
}

impl Certified {
    fn new(params: CertificateParams, by: Option<&Self>) -> Self {
        Self::over(new_key(), params, by)
    }

    /// With a key that others may have as well.
    fn over(key: Arc<KeyPair>, params: CertificateParams, by: Option<&Self>) -> Self {
        let certificate = match by {
            Some(by) => params.signed_by(&*key, &Issuer::from_params(&by.params, &*by.key)),
            None => params.self_signed(&*key),
        };
        let der = certificate.expect("a certificate").der().clone();
        Self { der, params, key }
    }
}

fn new_key() -> Arc<KeyPair> {
    Arc::new(KeyPair::generate().expect("a key"))
}

fn device(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = rcgen::date_time_ymd(2026, 1, 1);
    params.not_after = rcgen::date_time_ymd(2027, 1, 1);
    params
}

fn authority(name: &str) -> CertificateParams {
    let mut params = device(name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params
}

fn at(text: &str) -> Timestamp {
    text.parse().expect("a time")
}

fn now() -> Timestamp {
    at("2026-06-01T00:00:00Z")
}

fn trusted(certificate: &Certified) -> Arc<SigningCertificate> {
    let der = certificate.der.to_vec();
    Arc::new(SigningCertificate::new(der).expect("a CA"))
}

/// The one of `trusted` that a chain leads to, where nothing was verified before.
fn verdict(
    trusted: &[Arc<SigningCertificate>],
    shown: &[CertificateDer<'static>],
    now: Timestamp,
) -> Result<Arc<SigningCertificate>, String> {
    verdict_after(&KnownSignatures::default(), trusted, shown, now)
}

/// The same, after others.
fn verdict_after(
    known: &KnownSignatures,
    trusted: &[Arc<SigningCertificate>],
    shown: &[CertificateDer<'static>],
    now: Timestamp,
) -> Result<Arc<SigningCertificate>, String> {
    let chain = Chain::of(shown)?;
    let named = trusted.iter().filter(|signer| chain.names(signer));
    chain.signer(named.cloned().collect(), known, now)
}

/// A root, an intermediate and devices, with everybody else that would like to be one.
struct Plant {
    root: Certified,
    intermediate: Certified,
    pump: Certified,
    trusted: Vec<Arc<SigningCertificate>>,
    known: KnownSignatures,
}

impl Plant {
    fn new() -> Self {
        let root = Certified::new(authority("root"), None);
        let intermediate = Certified::new(authority("intermediate"), Some(&root));
        let pump = Certified::new(device("pump"), Some(&intermediate));
        let trusted = vec![trusted(&root)];
        Self {
            root,
            intermediate,
            pump,
            trusted,
            known: KnownSignatures::default(),
        }
    }

    fn lets_in(&self, shown: &[&Certified]) -> bool {
        self.lets_in_at(shown, now())
    }

    fn lets_in_at(&self, shown: &[&Certified], now: Timestamp) -> bool {
        let shown: Vec<_> = shown.iter().map(|one| one.der.clone()).collect();
        verdict_after(&self.known, &self.trusted, &shown, now).is_ok()
    }

    fn why_not(&self, shown: &[&Certified]) -> String {
        let shown: Vec<_> = shown.iter().map(|one| one.der.clone()).collect();
        verdict_after(&self.known, &self.trusted, &shown, now()).expect_err("refused")
    }
}

#[test]
fn a_good_device_is_let_in_in_any_order_and_company() {
    let plant = Plant::new();
    let Plant {
        root,
        intermediate,
        pump,
        ..
    } = &plant;
    let stranger = Certified::new(authority("stranger"), None);
    let namesake = Certified::new(authority("intermediate"), Some(&stranger));
    for shown in [
        &[pump, intermediate][..],
        &[pump, intermediate, root],
        &[pump, root, intermediate],
        &[pump, pump, intermediate],
        &[pump, &stranger, intermediate, intermediate],
        &[pump, &namesake, intermediate],
        &[pump, intermediate, &namesake, &stranger],
    ] {
        for _ in 0..2 {
            assert!(plant.lets_in(shown));
        }
    }
    assert!(!plant.lets_in_at(&[pump, intermediate], at("2027-06-01T00:00:00Z")));
    assert!(!plant.lets_in_at(&[pump, intermediate], at("2025-06-01T00:00:00Z")));
    assert!(!plant.lets_in(&[pump]), "the intermediate is missing");
    assert!(!plant.lets_in(&[]));
}

#[test]
fn what_one_device_showed_opens_nothing_for_the_next() {
    let plant = Plant::new();
    let Plant {
        root,
        intermediate,
        pump: insider,
        ..
    } = &plant;
    let evil = Certified::new(authority("evil"), None);
    let of_evil = Certified::new(device("victim"), Some(&evil));
    let of_insider = Certified::new(device("victim"), Some(insider));
    let forged = Certified::new(authority("intermediate"), None);
    let of_forged = Certified::new(device("victim"), Some(&forged));
    for learnt in [
        &[insider, &evil, intermediate][..],
        &[insider, &forged, intermediate],
        &[insider, insider, intermediate],
        &[insider, root, intermediate],
        &[insider, intermediate, &evil, &forged],
    ] {
        assert!(plant.lets_in(learnt));
        for victim in [
            &[&of_evil, &evil][..],
            &[&of_evil, &evil, intermediate],
            &[&of_evil, intermediate, &evil],
            &[&of_insider, insider],
            &[&of_insider, insider, intermediate],
            &[&of_insider, insider, intermediate, root],
            &[&of_forged, &forged],
            &[&of_forged, &forged, root],
            &[&of_forged, intermediate],
        ] {
            assert!(!plant.lets_in(victim));
        }
        assert!(plant.lets_in(learnt));
    }
    assert!(plant.why_not(&[&of_insider, insider]).contains("no CA"));
}

#[test]
fn no_bit_of_a_known_chain_may_change() {
    let plant = Plant::new();
    let good = [plant.pump.der.clone(), plant.intermediate.der.clone()];
    let is_let_in = |shown: &[CertificateDer<'static>]| {
        verdict_after(&plant.known, &plant.trusted, shown, now()).is_ok()
    };
    assert!(is_let_in(&good));
    for place in 0..good.len() {
        for at in 0..good[place].len() {
            let mut changed = good.clone();
            let mut der = changed[place].to_vec();
            der[at] ^= 1 << (at % 8);
            changed[place] = der.into();
            assert!(!is_let_in(&changed), "byte {at} of {place}");
        }
    }
    assert!(is_let_in(&good));
}

#[test]
fn a_good_chain_lets_no_other_way_down_from_its_intermediate() {
    let mut named = authority("named");
    named.name_constraints = Some(NameConstraints {
        permitted_subtrees: vec![GeneralSubtree::DnsName("plant.test".into())],
        excluded_subtrees: Vec::new(),
    });
    let mut short = authority("short");
    short.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    let mut brief = authority("brief");
    brief.not_after = rcgen::date_time_ymd(2026, 5, 1);
    let mut serving = authority("serving");
    serving.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
    let mut no_signing = authority("no signing");
    no_signing.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    for (upper, good_name, bad_name, good_time, words) in [
        (
            named,
            "a.plant.test",
            "elsewhere.test",
            now(),
            "nameConstraints",
        ),
        (short, "", "", now(), "pathLen"),
        (brief, "", "", at("2026-03-01T00:00:00Z"), "expired"),
        (serving, "", "", now(), "clientAuth"),
        (no_signing, "", "", now(), "keyCertSign"),
    ] {
        let root = Certified::new(authority("root"), None);
        let upper = Certified::new(upper, Some(&root));
        let key = new_key();
        let lower = Certified::over(Arc::clone(&key), authority("lower"), Some(&upper));
        // The same intermediate, straight below the root as well.
        let crossed = Certified::over(key, authority("lower"), Some(&root));
        let named = |name: &str| {
            let mut params = device("pump");
            if !name.is_empty() {
                let name = name.try_into().expect("a name");
                params.subject_alt_names = vec![rcgen::SanType::DnsName(name)];
            }
            Certified::new(params, Some(&lower))
        };
        let (good, bad) = (named(good_name), named(bad_name));
        let plant = Plant {
            trusted: vec![trusted(&root)],
            ..Plant::new()
        };
        for _ in 0..2 {
            assert!(plant.lets_in(&[&good, &crossed]), "{words}");
            assert!(plant.lets_in(&[&good, &lower, &crossed, &upper]), "{words}");
            plant.lets_in_at(&[&good, &lower, &upper], good_time);
            assert!(!plant.lets_in(&[&bad, &lower, &upper]), "{words}");
            assert!(!plant.lets_in(&[&bad, &upper, &lower]), "{words}");
            assert!(!plant.lets_in(&[&bad, &lower]), "{words}: no longer shown");
        }
        let told = plant.why_not(&[&bad, &lower, &upper]);
        assert!(told.contains(words), "{told}");
    }
}

#[test]
fn the_signing_certificate_nearest_to_the_device_decides() {
    let plant = Plant::new();
    let Plant {
        root,
        intermediate,
        pump,
        trusted: above,
        ..
    } = &plant;
    let both = [Arc::clone(&above[0]), trusted(intermediate)];
    let ders =
        |shown: &[&Certified]| -> Vec<_> { shown.iter().map(|one| one.der.clone()).collect() };
    for shown in [
        ders(&[pump]),
        ders(&[pump, intermediate]),
        ders(&[pump, root, intermediate]),
    ] {
        let signer = verdict(&both, &shown, now()).expect("good");
        assert_eq!(signer.der(), intermediate.der.as_ref());
    }
    // Of one name and key, the one that is shown.
    let renewed = Certified::over(Arc::clone(&root.key), authority("root"), None);
    let both = [Arc::clone(&above[0]), trusted(&renewed)];
    for (top, is) in [(root, 0), (&renewed, 1)] {
        let signer = verdict(&both, &ders(&[pump, top, intermediate]), now()).expect("good");
        assert!(Arc::ptr_eq(&signer, &both[is]));
    }
}

#[test]
fn of_many_signing_certificates_of_one_name_the_one_that_is_meant_is_found() {
    let on_p384 = || {
        let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384);
        Arc::new(key.expect("a key"))
    };
    let roots: Vec<_> = (0..150)
        .map(|_| Certified::over(on_p384(), authority("root"), None))
        .collect();
    let all: Vec<_> = roots.iter().map(trusted).collect();
    let last = roots.last().expect("many");
    let named = |mut params: CertificateParams| {
        params.use_authority_key_identifier_extension = true;
        params
    };
    let intermediate = Certified::new(named(authority("intermediate")), Some(last));
    let below = Certified::new(named(device("pump")), Some(&intermediate));
    let direct = Certified::new(named(device("pump")), Some(last));
    for shown in [vec![direct.der], vec![below.der, intermediate.der.clone()]] {
        let signer = verdict(&all, &shown, now()).expect("good");
        assert_eq!(signer.der(), last.der.as_ref());
    }
}

#[test]
fn a_signing_certificates_own_limits_hold() {
    let mut params = authority("root");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    let root = Certified::new(params, None);
    let intermediate = Certified::new(authority("intermediate"), Some(&root));
    let plant = Plant {
        trusted: vec![trusted(&root)],
        ..Plant::new()
    };
    let direct = Certified::new(device("pump"), Some(&root));
    let below = Certified::new(device("pump"), Some(&intermediate));
    assert!(plant.lets_in(&[&direct]));
    assert!(plant.why_not(&[&below, &intermediate]).contains("pathLen"));
    let late = at("2027-06-01T00:00:00Z");
    let shown = [direct.der];
    let told = verdict(&plant.trusted, &shown, late).expect_err("expired");
    assert!(told.contains("expired"), "{told}");
}

#[test]
fn what_may_not_sign_is_not_entered_as_a_signer() {
    let refused = |params: CertificateParams| {
        let der = Certified::new(params, None).der.to_vec();
        SigningCertificate::new(der).expect_err("refused")
    };
    let but = |change: &dyn Fn(&mut CertificateParams)| {
        let mut params = authority("root");
        change(&mut params);
        params
    };
    let critical = |oid: &[u64]| {
        let mut extension = rcgen::CustomExtension::from_oid_content(oid, vec![5, 0]);
        extension.set_criticality(true);
        extension
    };
    let directory = || {
        let mut name = DistinguishedName::new();
        name.push(DnType::OrganizationName, "Contoso");
        NameConstraints {
            permitted_subtrees: vec![GeneralSubtree::DirectoryName(name)],
            excluded_subtrees: Vec::new(),
        }
    };
    for (params, words) in [
        (but(&|root| root.is_ca = IsCa::NoCa), "no basicConstraints"),
        (but(&|root| root.is_ca = IsCa::ExplicitNoCa), "CA:FALSE"),
        (
            but(&|root| root.key_usages = vec![KeyUsagePurpose::DigitalSignature]),
            "keyCertSign",
        ),
        (
            but(&|root| {
                root.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
            }),
            "clientAuth",
        ),
        (
            but(&|root| root.custom_extensions = vec![critical(&[1, 2, 3])]),
            "1.2.3",
        ),
        (
            but(&|root| root.name_constraints = Some(directory())),
            "directoryName",
        ),
    ] {
        let told = refused(params);
        assert!(told.contains(words), "{told}");
    }
    assert!(SigningCertificate::new(vec![1, 2, 3]).is_err());
}
