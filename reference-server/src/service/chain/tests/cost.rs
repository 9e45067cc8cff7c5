//! What it costs to turn somebody away who proves nothing.

use std::time::{Duration, Instant};

use super::*;

/// What a chain that was made to cost may cost, with as many groups as there may be, in chains of a good device.
const MOST: u32 = 200;
const GROUPS: usize = 100;

/// Groups that trust roots of these names.
fn groups(key: &dyn Fn() -> Arc<KeyPair>, name: &dyn Fn(usize) -> String) -> Vec<Certified> {
    (0..GROUPS)
        .map(|number| Certified::over(key(), authority(&name(number)), None))
        .collect()
}

/// As many of one name with keys of their own, each signed by the one before.
fn ring(name: &str, length: usize) -> Vec<Certified> {
    (0..length).fold(Vec::new(), |mut ring: Vec<Certified>, _| {
        ring.push(Certified::new(authority(name), ring.last()));
        ring
    })
}

/// As many of each of six names in a row, up to `top`, with keys of their own.
fn layers(top: &str, width: usize) -> Vec<Certified> {
    let name = |layer| match layer {
        0 => top.to_owned(),
        layer => format!("layer {layer}"),
    };
    let layers = (1..=6).flat_map(|layer| {
        (0..width).map(move |_| {
            Certified::new(
                authority(&name(layer)),
                Some(&Certified::new(authority(&name(layer - 1)), None)),
            )
        })
    });
    layers.collect()
}

/// What it takes to turn a chain away, in chains of a good device: both by the best of some tries taken in turns, for
/// the machine does other things as well, and is quick or slow.
fn costs(
    trusted: &[Arc<SigningCertificate>],
    shown: &[CertificateDer<'static>],
    (group, good): (&[Arc<SigningCertificate>], &[CertificateDer<'static>]),
) -> f64 {
    let (mut worst, mut usual) = (Duration::MAX, Duration::MAX);
    for _ in 0..50 {
        let began = Instant::now();
        assert!(verdict(group, good, now()).is_ok());
        usual = usual.min(began.elapsed());
        let began = Instant::now();
        assert!(verdict(trusted, shown, now()).is_err());
        worst = worst.min(began.elapsed());
        if worst < usual * MOST / 2 {
            break;
        }
    }
    worst.as_secs_f64() / usual.as_secs_f64()
}

#[test]
fn no_chain_costs_much_whatever_was_made_of_it() {
    let on = |curve| move || Arc::new(KeyPair::generate_for(curve).expect("a key"));
    let (p256, p384) = (
        on(&rcgen::PKCS_ECDSA_P256_SHA256),
        on(&rcgen::PKCS_ECDSA_P384_SHA384),
    );
    let p521 = on(&rcgen::PKCS_ECDSA_P521_SHA512);
    let different = groups(&p256, &|number| format!("root {number}"));
    let alike = groups(&p256, &|_| "root".into());
    let long = groups(&p384, &|number| format!("root {number}"));
    let longest = groups(&p521, &|_| "root".into());
    // One key, as many names, and as many certificates as go into the 64 KiB of a handshake.
    let key = new_key();
    let line = (0..400).fold(Vec::new(), |mut line: Vec<Certified>, number| {
        let params = authority(&format!("link {number}"));
        line.push(Certified::over(Arc::clone(&key), params, line.last()));
        line
    });
    let mut attacks = vec![("four hundred links".to_owned(), line)];
    for name in ["evil", "root", "root 0"] {
        for length in [4, 5, 6, 7, 20, MAX_ABOVE - 1, 100] {
            attacks.push((format!("{length} called {name}"), ring(name, length)));
        }
        for width in [1, 2, 3] {
            attacks.push((
                format!("layers of {width} below {name}"),
                layers(name, width),
            ));
        }
    }
    let root = Certified::over(p256(), authority("root"), None);
    let intermediate = Certified::new(authority("intermediate"), Some(&root));
    let pump = Certified::new(device("pump"), Some(&intermediate));
    let good = (
        &[trusted(&root)][..],
        &[pump.der.clone(), intermediate.der.clone()][..],
    );
    let mut dearest = 0.0_f64;
    for (roots, trusting) in [
        ("different", &different),
        ("alike", &alike),
        ("different, P-384", &long),
        ("alike, P-521", &longest),
    ] {
        let trusted: Vec<_> = trusting.iter().map(trusted).collect();
        // What anybody has seen who saw one device.
        let intermediate = Certified::new(authority("evil"), trusting.first());
        for (what, above) in &attacks {
            let leaf = Certified::new(device("victim"), above.last());
            let above = above.iter().rev().chain([&intermediate]);
            let shown: Vec<_> = [&leaf]
                .into_iter()
                .chain(above)
                .map(|one| one.der.clone())
                .collect();
            let costs = costs(&trusted, &shown, good);
            println!("{what}, roots {roots}: {costs:.1}");
            assert!(costs < f64::from(MOST), "{what}, roots {roots}: {costs:.1}");
            dearest = dearest.max(costs);
        }
    }
    println!("the dearest: {dearest:.1}");
}
