//! Chains that open nothing, whatever was shown before them, and good ones in any order.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::sign::CertifiedKey;

use crate::certificates::{Authority, Validity, showing, signed_by};
use crate::dialect::{self, Dialect};
use crate::instance::{Instance, caller, group, quick};
use crate::questions::register;
use crate::service_api::put_group;

fn answers(instance: &Instance, dialect: &Dialect, name: &str, shows: &Arc<CertifiedKey>) -> u64 {
    let answer = (dialect.ask)(
        instance.server.announcement(),
        &caller(name, shows),
        &register(),
    );
    match answer.status {
        202 => 202,
        _ => answer.body["errorCode"].as_u64().unwrap_or(0),
    }
}

#[test]
fn no_order_of_certificates_lets_a_stranger_in_over_any_transport() {
    let instance = Instance::start(quick());
    let pumps = &instance.pumps;
    let (insider, as_issuer) = pumps.insider("pump-1");
    let leaf = &insider.cert[0];
    let (root, intermediate) = (&pumps.root(), &pumps.intermediate());
    let evil = Authority::new("evil");
    // The names of the good ones, with other keys.
    let forger = Authority::new("pumps");
    let (evil_ca, forged_ca) = (&evil.intermediate(), &forger.intermediate());
    let (evil_root, forged_root) = (&evil.root(), &forger.root());

    let of_insider = signed_by(&as_issuer, "victim");
    let of_evil = evil.device("victim", Validity::Current);
    let of_forger = forger.device("victim", Validity::Current);
    let good = [
        showing(&insider, &[evil_ca, intermediate]),
        showing(&insider, &[forged_ca, intermediate]),
        showing(&insider, &[leaf, intermediate]),
        showing(&insider, &[root, intermediate]),
        showing(&insider, &[evil_root, evil_ca, intermediate, forged_ca]),
        showing(&insider, &[intermediate, leaf, intermediate, root]),
        showing(&insider, &[intermediate]),
    ];
    let bad = [
        showing(&of_insider, &[]),
        showing(&of_insider, &[leaf]),
        showing(&of_insider, &[leaf, leaf]),
        showing(&of_insider, &[leaf, intermediate]),
        showing(&of_insider, &[intermediate, leaf]),
        showing(&of_insider, &[leaf, intermediate, root]),
        showing(&of_insider, &[root, intermediate, leaf]),
        showing(&of_evil, &[]),
        showing(&of_evil, &[evil_ca]),
        showing(&of_evil, &[evil_ca, evil_ca]),
        showing(&of_evil, &[evil_ca, intermediate]),
        showing(&of_evil, &[evil_ca, intermediate, root]),
        showing(&of_evil, &[intermediate, evil_ca]),
        showing(&of_evil, &[evil_ca, evil_root]),
        showing(&of_evil, &[evil_root, evil_ca, root]),
        showing(&of_evil, &[leaf, evil_ca]),
        showing(&of_forger, &[]),
        showing(&of_forger, &[intermediate]),
        showing(&of_forger, &[forged_ca]),
        showing(&of_forger, &[forged_ca, intermediate]),
        showing(&of_forger, &[forged_ca, root]),
        showing(&of_forger, &[forged_ca, forged_root]),
        showing(&of_forger, &[root, forged_ca, forged_root, intermediate]),
    ];
    for dialect in &dialect::ALL {
        let said = dialect.transport;
        for (learnt, first) in good.iter().enumerate() {
            assert_eq!(
                answers(&instance, dialect, "pump-1", first),
                202,
                "{said:?}: {learnt}"
            );
            // Each after one good chain, and all after all.
            let after = bad.iter().enumerate().skip(learnt % 2).step_by(2);
            for (number, chain) in after {
                assert_eq!(
                    answers(&instance, dialect, "victim", chain),
                    401_002,
                    "{said:?}: {number} after {learnt}"
                );
            }
        }
    }
}

#[test]
fn a_chain_of_a_hundred_certificates_is_refused_and_others_are_served() {
    let instance = Instance::start(quick());
    let (insider, _) = instance.pumps.insider("pump-1");
    for number in 2..100 {
        let name = format!("group-{number}");
        let document = group(&name, &Authority::new(&name), "enabled").to_string();
        let entered = put_group(&instance, &name, ("If-None-Match", "*"), &document);
        assert_eq!(entered.status, 200, "{}", entered.body);
    }
    // One name, each with a key of its own.
    let ring: Vec<_> = (0..100).map(|_| Authority::new("evil")).collect();
    let leaf = signed_by(ring[0].root_signer(), "victim");
    let ring: Vec<_> = ring.iter().map(Authority::root).collect();
    let above: Vec<_> = ring.iter().collect();
    let costly = showing(&leaf, &above);
    for dialect in &dialect::ALL {
        let began = Instant::now();
        assert_eq!(answers(&instance, dialect, "victim", &costly), 401_002);
        let took = began.elapsed();
        // What it costs is measured beside `Chain`; here the machine does other things as well.
        assert!(took < Duration::from_secs(2), "{took:?}");
        assert_eq!(answers(&instance, dialect, "pump-1", &insider), 202);
    }
}
