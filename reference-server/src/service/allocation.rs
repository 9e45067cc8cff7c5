//! Which hub a device is assigned to (DPS documentation, "How to use allocation policies").

use std::cmp::Reverse;

use aws_lc_rs::digest;
use fleetstorm_protocol::enrollment::AllocationPolicy;

use super::linked_hub::LinkedHub;
use crate::regions::Regions;

/// Chooses among the linked hubs at `candidates`; `None` without any. `region` is where the device
/// is, as far as that is known.
///
/// Rendezvous hashing: each hub scores the device, the highest score wins, so that a hub that
/// comes or goes moves no device but its own, and the same device always gets the same hub.
pub fn choose<'a>(
    policy: AllocationPolicy,
    registration_id: &str,
    candidates: impl Iterator<Item = &'a LinkedHub>,
    regions: &Regions,
    region: Option<usize>,
) -> Option<&'a LinkedHub> {
    let hashed = |link: &&LinkedHub| score(registration_id, link);
    match (policy, region) {
        (AllocationPolicy::GeoLatency, Some(region)) => {
            let latency = |link: &&LinkedHub| regions.latency(region, link.region.as_deref());
            candidates.max_by(|one, other| {
                let by_latency = Reverse(latency(one)).cmp(&Reverse(latency(other)));
                by_latency.then_with(|| hashed(one).total_cmp(&hashed(other)))
            })
        }
        // An address of nowhere is as far from all of them. Of one hub, or of those that a webhook
        // is asked about, there is nothing else to choose by.
        _ => candidates.max_by(|one, other| hashed(one).total_cmp(&hashed(other))),
    }
}

/// `-weight / ln(u)` with `u` even between 0 and 1: the highest is a hub's as often as its
/// share of the weights says (Schindelhauer and Schomaker, "Weighted distributed hash tables").
fn score(registration_id: &str, link: &LinkedHub) -> f64 {
    let mut hash = digest::Context::new(&digest::SHA256);
    hash.update(link.host_name.as_bytes());
    hash.update(&[0]);
    hash.update(registration_id.as_bytes());
    let digest = hash.finish();
    let (first, _) = digest
        .as_ref()
        .split_first_chunk::<8>()
        .expect("SHA-256 has 32 bytes");
    #[expect(clippy::cast_precision_loss, reason = "53 bits fit")]
    let even = ((u64::from_be_bytes(*first) >> 11) as f64 + 0.5) / (1_u64 << 53) as f64;
    -f64::from(link.weight) / even.ln()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::regions::RegionConfig;

    fn links(hubs: &[(&str, u32, Option<&str>)]) -> Vec<LinkedHub> {
        let link =
            |(hub, &(name, weight, region)): (usize, &(&str, u32, Option<&str>))| LinkedHub {
                hub,
                host_name: name.into(),
                region: region.map(Into::into),
                weight,
                applies: true,
            };
        hubs.iter().enumerate().map(link).collect()
    }

    fn placed(links: &[LinkedHub]) -> Vec<usize> {
        let nowhere = Regions::default();
        let place = |device: u32| {
            let id = format!("device-{device}");
            let chosen = choose(AllocationPolicy::Hashed, &id, links.iter(), &nowhere, None);
            chosen.expect("there are hubs").hub
        };
        (0..3_000).map(place).collect()
    }

    #[test]
    fn devices_spread_by_weight() {
        let share = |placed: &[usize], hub| placed.iter().filter(|at| **at == hub).count();
        let even = placed(&links(&[("a", 1, None), ("b", 1, None), ("c", 1, None)]));
        for hub in 0..3 {
            assert!((900..1_100).contains(&share(&even, hub)), "{hub}");
        }
        let uneven = placed(&links(&[("a", 1, None), ("b", 3, None), ("c", 6, None)]));
        for (hub, expected) in [(0, 300), (1, 900), (2, 1_800)] {
            let share = share(&uneven, hub);
            assert!(share.abs_diff(expected) < 100, "{hub}: {share}");
        }
    }

    #[test]
    fn a_new_hub_moves_only_the_devices_it_takes() {
        let before = placed(&links(&[("a", 1, None), ("b", 2, None)]));
        let after = placed(&links(&[("a", 1, None), ("b", 2, None), ("c", 1, None)]));
        assert!(
            before
                .iter()
                .zip(&after)
                .all(|(before, after)| before == after || *after == 2)
        );
    }

    #[test]
    fn the_nearest_hub_wins_and_ties_are_hashed() {
        let region = |name: &str, far: &[(&str, u64)]| RegionConfig {
            name: name.into(),
            prefixes: Vec::new(),
            latency: far
                .iter()
                .map(|(to, ms)| ((*to).to_owned(), Duration::from_millis(*ms)))
                .collect(),
        };
        let regions = Regions::new(&[
            region("weu", &[("eus", 85), ("sea", 160)]),
            region("eus", &[("weu", 85)]),
        ]);
        let all = links(&[
            ("w1", 1, Some("weu")),
            ("w2", 1, Some("weu")),
            ("e", 1, Some("eus")),
            ("s", 1, Some("sea")),
            ("x", 1, None),
        ]);
        let place = |device: u32, among: &[usize], region| {
            let id = format!("device-{device}");
            let among = among.iter().map(|index| &all[*index]);
            choose(AllocationPolicy::GeoLatency, &id, among, &regions, region)
                .map(|link| link.host_name.clone())
        };
        for device in 0..100 {
            assert!(
                place(device, &[0, 1, 2, 3, 4], Some(0)).is_some_and(|hub| hub.starts_with('w'))
            );
            assert_eq!(place(device, &[0, 2, 3, 4], Some(1)).as_deref(), Some("e"));
            assert_eq!(place(device, &[2, 3, 4], Some(0)).as_deref(), Some("e"));
            assert_eq!(place(device, &[3, 4], Some(0)).as_deref(), Some("s"));
        }
        let of_both: std::collections::HashSet<_> = (0..100)
            .map(|device| place(device, &[0, 1], Some(0)))
            .collect();
        assert_eq!(of_both.len(), 2, "ties are hashed");
        let of_nowhere: std::collections::HashSet<_> = (0..200)
            .map(|device| place(device, &[0, 2, 3, 4], None))
            .collect();
        assert_eq!(of_nowhere.len(), 4, "from nowhere, all are as far");
    }

    #[test]
    fn without_hubs_there_is_no_place() {
        let nowhere = Regions::default();
        let chosen = choose(
            AllocationPolicy::Hashed,
            "device",
            [].iter(),
            &nowhere,
            None,
        );
        assert_eq!(chosen, None);
    }
}
