//! A walk through all devices of a hub that holds nobody up: a lock for each device, and the core
//! is left to others every so often.

use fleetstorm_protocol::ids::ClientId;
use tokio::task::yield_now;

use super::device::Device;
use crate::shards::Shards;

/// Devices looked at before others have their turn.
const STRIDE: usize = 64;

/// Shard by shard, each in the order of its names. Devices that are there all the while are met
/// once.
pub(super) struct Walk<'a> {
    devices: &'a Shards<ClientId, Device>,
    shard: usize,
    /// Names of the shard that are still to come; none before they were read.
    names: Option<std::vec::IntoIter<ClientId>>,
    /// The one met last in the shard.
    last: String,
    steps: usize,
}

impl<'a> Walk<'a> {
    /// From the first device on.
    pub(super) fn through(devices: &'a Shards<ClientId, Device>) -> Self {
        Self {
            devices,
            shard: 0,
            names: None,
            last: String::new(),
            steps: 0,
        }
    }

    /// From the device on that follows a [`Walk::place`]; none where that is no such place.
    pub(super) fn from(devices: &'a Shards<ClientId, Device>, place: &str) -> Option<Self> {
        let (shard, last) = place.split_once(':')?;
        Some(Self {
            shard: shard.parse().ok()?,
            last: last.to_owned(),
            ..Self::through(devices)
        })
    }

    /// Where it has got to.
    pub(super) fn place(&self) -> String {
        format!("{}:{}", self.shard, self.last)
    }

    /// Shows the next device; none when all have been met.
    pub(super) async fn next<Shown>(
        &mut self,
        mut show: impl FnMut(&ClientId, &Device) -> Shown,
    ) -> Option<Shown> {
        loop {
            let Some(names) = &mut self.names else {
                self.names = Some(self.names_to_come()?.into_iter());
                continue;
            };
            let Some(name) = names.next() else {
                self.shard += 1;
                self.names = None;
                self.last.clear();
                yield_now().await;
                continue;
            };
            self.last.clear();
            self.last.push_str(name.as_str());
            self.steps += 1;
            if self.steps.is_multiple_of(STRIDE) {
                yield_now().await;
            }
            let devices = self.devices.of(&name);
            if let Some(known) = devices.get(&name) {
                return Some(show(&name, known));
            }
        }
    }

    /// The lock is held no longer than it takes to copy the names.
    fn names_to_come(&self) -> Option<Vec<ClientId>> {
        let mut names: Vec<ClientId> = self.devices.look_at(self.shard, |devices| {
            // Modules are met with their device.
            let to_come =
                |name: &&ClientId| !name.is_module() && name.as_str() > self.last.as_str();
            devices.keys().filter(to_come).cloned().collect()
        })?;
        names.sort_unstable_by(|one, other| one.as_str().cmp(other.as_str()));
        Some(names)
    }
}
