//! The hubs that are linked to an instance.

use super::config::InstanceConfig;
use super::server::ServerSettings;

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkedHub {
    /// Its place among the hubs of the server.
    pub hub: usize,
    /// Its host name.
    pub host_name: String,
    /// Where it stands.
    pub region: Option<String>,
    /// Its share with hashed allocation.
    pub weight: u32,
    /// Whether devices are assigned to it where an enrollment does not name it.
    pub applies: bool,
}

impl LinkedHub {
    /// Those of an instance, in the order that it names them.
    pub fn all(server: ServerSettings<'_>, instance: &InstanceConfig) -> Vec<Self> {
        let links = instance.linked(server.hubs).into_iter();
        links
            .filter_map(|link| {
                let is_it = |name: &str| name.eq_ignore_ascii_case(&link.host_name);
                let mut hubs = server.hubs.iter().enumerate();
                let (hub, known) = hubs.find(|(_, known)| is_it(&known.host_name))?;
                Some(Self {
                    hub,
                    host_name: known.host_name.clone(),
                    region: known.region.clone(),
                    weight: link.allocation_weight,
                    applies: link.apply_allocation_policy,
                })
            })
            .collect()
    }
}
