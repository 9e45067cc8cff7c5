//! Cases that others collected (`vectors/x509-limbo`): each has one verdict, whatever was verified
//! before and however its chain is ordered.

use std::slice;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use serde::Deserialize;

use super::*;

const CASES: &str = include_str!("../../../../vectors/x509-limbo/cases.jsonl");

/// Let in though the collection refuses them: duties of issuers, the profile of the Web PKI and
/// limits of its own, where nobody is trusted who was not.
const LAXER: &[&str] = &[
    "pathlen::max-chain-depth-0-exhausted",
    "pathlen::max-chain-depth-1-exhausted",
    "rfc5280::aki::leaf-missing-aki",
    "rfc5280::aki::intermediate-missing-aki",
    "rfc5280::aki::cross-signed-root-missing-aki",
    "rfc5280::nc::permitted-dns-match-noncritical",
    "rfc5280::nc::invalid-dnsname-leading-period",
    "rfc5280::nc::not-allowed-in-ee-noncritical",
    "rfc5280::nc::not-allowed-in-ee-critical",
    "rfc5280::pc::ica-noncritical-pc",
    "rfc5280::san::noncritical-with-empty-subject",
    "rfc5280::san::underscore-dns",
    "rfc5280::san::ip-in-dns",
    "rfc5280::serial::too-long",
    "rfc5280::serial::zero",
    "rfc5280::ski::root-missing-ski",
    "rfc5280::ski::intermediate-missing-ski",
    "rfc5280::ca-empty-subject",
    "rfc5280::root-non-critical-basic-constraints",
    "rfc5280::leaf-ku-keycertsign",
    "webpki::eku::ee-anyeku",
    "webpki::eku::ee-critical-eku",
    "webpki::eku::ee-without-eku",
    "webpki::eku::root-has-eku",
    "webpki::malformed-aia",
    "webpki::forbidden-rsa-not-divisible-by-8-in-root",
    "webpki::forbidden-rsa-key-not-divisible-by-8-in-leaf",
];

/// Refused though the collection lets them in: a CA's certificate as a device's, self-issued ones that
/// count for the length of a path, and constraints on names that are not evaluated.
const STRICTER: &[&str] = &[
    "pathlen::validation-ignores-pathlen-in-leaf",
    "pathlen::self-issued-certs-pathlen",
    "rfc5280::ca-as-leaf",
    "rfc5280::nc::permitted-dn-match",
    "rfc5280::nc::permitted-self-issued",
    "rfc5280::nc::nc-permits-email-exact",
    "rfc5280::nc::nc-permits-email-domain",
    "rfc5280::nc::nc-permits-email-literal-asterisk-exact-match",
    "rfc5280::nc::nc-permits-email-literal-double-asterisk",
    "rfc5280::nc::nc-permits-email-literal-mid-asterisk",
];

/// One case.
#[derive(Deserialize)]
struct Case {
    id: String,
    expected: String,
    at: Option<String>,
    trusted: Vec<String>,
    untrusted: Vec<String>,
    leaf: String,
}

/// A case, read.
struct Read {
    trusted: Vec<Arc<SigningCertificate>>,
    leaf: CertificateDer<'static>,
    others: Vec<CertificateDer<'static>>,
    now: Timestamp,
}

fn der(text: &str) -> CertificateDer<'static> {
    STANDARD.decode(text).expect("base64").into()
}

impl Case {
    fn read(&self) -> Read {
        let signer = |text: &String| SigningCertificate::new(der(text).to_vec()).ok();
        Read {
            trusted: self
                .trusted
                .iter()
                .filter_map(signer)
                .map(Arc::new)
                .collect(),
            leaf: der(&self.leaf),
            others: self.untrusted.iter().map(|text| der(text)).collect(),
            now: at(self.at.as_deref().unwrap_or("2025-06-01T00:00:00Z")),
        }
    }
}

impl Read {
    /// Whether it is, after others as well as first of all.
    fn is_let_in(&self, known: &KnownSignatures, others: &[CertificateDer<'static>]) -> bool {
        let mut shown = vec![self.leaf.clone()];
        shown.extend_from_slice(others);
        let after = verdict_after(known, &self.trusted, &shown, self.now).is_ok();
        let fresh = verdict(&self.trusted, &shown, self.now).is_ok();
        assert_eq!(after, fresh);
        fresh
    }
}

fn cases() -> Vec<Case> {
    CASES
        .lines()
        .map(|line| serde_json::from_str(line).expect("a case"))
        .collect()
}

#[test]
fn every_case_has_its_verdict() {
    let (mut wrong, known) = (Vec::new(), KnownSignatures::default());
    for case in cases() {
        let read = case.read();
        let is_let_in = read.is_let_in(&known, &read.others);
        let id = case.id.as_str();
        let should = match case.expected.as_str() {
            "SUCCESS" => !STRICTER.contains(&id),
            _ => LAXER.contains(&id),
        };
        if is_let_in != should {
            wrong.push(format!("{id}: {is_let_in}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn no_order_and_no_company_changes_a_verdict() {
    let cases: Vec<_> = cases().iter().map(Case::read).collect();
    let strangers: Vec<_> = cases.iter().map(|case| case.leaf.clone()).collect();
    let known = KnownSignatures::default();
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    for (number, case) in cases.iter().enumerate() {
        let fresh = case.is_let_in(&known, &case.others);
        let roots = case.trusted.iter();
        let roots: Vec<_> = roots
            .map(|root| CertificateDer::from(root.der().to_vec()))
            .collect();
        let stranger = strangers[(number + 7) % strangers.len()].clone();
        let mut companies = vec![
            case.others.clone(),
            [&roots[..], &case.others].concat(),
            [&case.others[..], &roots].concat(),
            [slice::from_ref(&case.leaf), &case.others].concat(),
            [
                slice::from_ref(&stranger),
                &case.others,
                slice::from_ref(&stranger),
            ]
            .concat(),
        ];
        for _ in 0..4 {
            let mut shuffled = [&case.others[..], &roots, &case.others].concat();
            shuffled.shuffle(&mut rng);
            companies.push(shuffled);
        }
        for company in &companies {
            assert_eq!(case.is_let_in(&known, company), fresh, "case {number}");
        }
    }
}
