//! Which hub a device is assigned to.

use aws_lc_rs::digest;

/// The `hashed` policy: evenly weighted, the same device always to the same hub.
///
/// Rendezvous hashing: each hub scores the device, the highest score wins, so that a hub
/// that comes or goes moves no device but its own. `hubs` are (index, host name); `None` without any.
pub fn hashed<'a>(
    registration_id: &str,
    hubs: impl Iterator<Item = (usize, &'a str)>,
) -> Option<usize> {
    let best = hubs.max_by_key(|(_, host_name)| score(registration_id, host_name));
    best.map(|(index, _)| index)
}

fn score(registration_id: &str, host_name: &str) -> [u8; 32] {
    let mut hash = digest::Context::new(&digest::SHA256);
    hash.update(host_name.as_bytes());
    hash.update(&[0]);
    hash.update(registration_id.as_bytes());
    hash.finish()
        .as_ref()
        .try_into()
        .expect("SHA-256 has 32 bytes")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn placed(hubs: &[&str]) -> Vec<usize> {
        let place = |device: u32| {
            hashed(
                &format!("device-{device}"),
                hubs.iter().copied().enumerate(),
            )
        };
        (0..3_000)
            .map(|device| place(device).expect("there are hubs"))
            .collect()
    }

    #[test]
    fn devices_spread_evenly() {
        let placed = placed(&["a", "b", "c"]);
        for hub in 0..3 {
            let share = placed.iter().filter(|at| **at == hub).count();
            assert!((900..1_100).contains(&share), "{share}");
        }
    }

    #[test]
    fn a_new_hub_moves_only_the_devices_it_takes() {
        let (before, after) = (placed(&["a", "b"]), placed(&["a", "b", "c"]));
        assert!(
            before
                .iter()
                .zip(&after)
                .all(|(before, after)| before == after || *after == 2)
        );
    }

    #[test]
    fn without_hubs_there_is_no_place() {
        assert_eq!(hashed("device", std::iter::empty()), None);
    }
}
