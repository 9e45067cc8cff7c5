//! What a hub holds as a whole: its identities, and how many there are
//! (IoT Hub REST reference, "Devices - Get Devices", "Statistics").

use fleetstorm_protocol::ids::DeviceId;
use tokio::task::yield_now;

use super::HubRefusal;
use super::administration::Identity;
use super::registry::HubRegistry;
use super::walk::Walk;

/// How many identities a hub has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Those that are let in.
    pub enabled: u64,
    /// Those that are not.
    pub disabled: u64,
    /// Those with an open session.
    pub connected: u64,
}

impl HubRegistry {
    /// At most `top` identities, in the order of their names; which ones, where there are more, is
    /// not said.
    ///
    /// # Errors
    /// Unknown hub.
    pub async fn list(
        &self,
        hub: &str,
        top: usize,
    ) -> Result<Vec<(DeviceId, Identity)>, HubRefusal> {
        let (_, hub) = self.hub(hub)?;
        let mut walk = Walk::through(&hub.devices);
        let mut listed = Vec::new();
        while listed.len() < top {
            let next = walk.next(|id, known| (id.clone(), Identity::of(known)));
            match next.await {
                Some(identity) => listed.push(identity),
                None => break,
            }
        }
        listed.sort_unstable_by(|(one, _), (other, _)| one.as_str().cmp(other.as_str()));
        Ok(listed)
    }

    /// Counts the identities.
    ///
    /// # Errors
    /// Unknown hub.
    pub async fn statistics(&self, hub: &str) -> Result<Statistics, HubRefusal> {
        let (_, hub) = self.hub(hub)?;
        let mut counted = Statistics::default();
        for number in 0.. {
            let looked = hub.devices.look_at(number, |devices| {
                for known in devices.values() {
                    counted.enabled += u64::from(known.enabled);
                    counted.disabled += u64::from(!known.enabled);
                    counted.connected += u64::from(known.is_connected());
                }
            });
            if looked.is_none() {
                break;
            }
            yield_now().await;
        }
        Ok(counted)
    }
}
