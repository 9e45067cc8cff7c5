//! Hubs that go down and come back. A hub that is down resets whoever connects, and whoever is
//! connected. DPS still reaches its registry: devices are assigned to it as before, and find it
//! closed, as with the real service, which links hubs by name and does not watch them.

use tokio::sync::watch;

/// Which hubs are down.
pub(crate) struct Outages {
    hubs: Vec<Hub>,
}

struct Hub {
    host_name: String,
    region: Option<String>,
    down: watch::Sender<bool>,
}

impl Outages {
    /// All up. Hubs are given by host name and region.
    pub(crate) fn new(hubs: impl Iterator<Item = (String, Option<String>)>) -> Self {
        let hub = |(host_name, region)| Hub {
            host_name,
            region,
            down: watch::Sender::new(false),
        };
        Self {
            hubs: hubs.map(hub).collect(),
        }
    }

    /// Takes a hub down, or up again. Returns whether there is such a hub.
    pub(crate) fn set_hub(&self, host_name: &str, down: bool) -> bool {
        self.set(down, |hub| hub.host_name.eq_ignore_ascii_case(host_name))
    }

    /// The same for every hub of a region.
    pub(crate) fn set_region(&self, region: &str, down: bool) -> bool {
        self.set(down, |hub| hub.region.as_deref() == Some(region))
    }

    fn set(&self, down: bool, is_meant: impl Fn(&Hub) -> bool) -> bool {
        let meant = self.hubs.iter().filter(|hub| is_meant(hub));
        let sets = meant.map(|hub| hub.down.send_replace(down));
        sets.count() > 0
    }

    /// Whether each hub is down, by host name.
    pub(crate) fn states(&self) -> impl Iterator<Item = (&str, bool)> {
        let hubs = self.hubs.iter();
        hubs.map(|hub| (hub.host_name.as_str(), *hub.down.borrow()))
    }

    /// Whether a hub is down; no, where there is none of that name.
    pub(crate) fn is_down(&self, host_name: Option<&str>) -> bool {
        host_name.is_some_and(|name| self.hub(name).is_some_and(|hub| *hub.down.borrow()))
    }

    /// Waits until a hub is down; for ever, where there is none of that name.
    pub(crate) async fn of(&self, host_name: Option<&str>) {
        let Some(hub) = host_name.and_then(|name| self.hub(name)) else {
            return std::future::pending().await;
        };
        // Senders live as long as the server.
        let _ = hub.down.subscribe().wait_for(|down| *down).await;
    }

    fn hub(&self, host_name: &str) -> Option<&Hub> {
        let mut hubs = self.hubs.iter();
        hubs.find(|hub| hub.host_name.eq_ignore_ascii_case(host_name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hub_or_a_region_goes_down_and_comes_back() {
        let hubs = [("a.test", "eu"), ("b.test", "eu"), ("c.test", "us")];
        let hubs = hubs.map(|(name, region)| (name.to_owned(), Some(region.to_owned())));
        let outages = Outages::new(hubs.into_iter());
        let down = || {
            let down = outages.states().filter(|(_, down)| *down);
            down.map(|(name, _)| name.to_owned()).collect::<Vec<_>>()
        };
        assert!(outages.set_region("eu", true));
        assert_eq!(down(), ["a.test", "b.test"]);
        assert!(outages.set_hub("A.test", false));
        assert_eq!(down(), ["b.test"]);
        assert!(!outages.set_hub("d.test", true) && !outages.set_region("ap", true));
    }
}
