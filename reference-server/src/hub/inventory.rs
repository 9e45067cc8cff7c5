//! What a hub holds as a whole: its identities, how many there are, and which of them are wanted
//! (IoT Hub REST reference, "Devices - Get Devices", "Statistics", "Query").

use fleetstorm_protocol::ids::DeviceId;
use tokio::task::yield_now;

use super::HubRefusal;
use super::administration::Identity;
use super::registry::HubRegistry;
use super::twin::TwinDocument;
use super::walk::Walk;

/// Devices that a page is looked for among; the next page goes on where that one ended.
const MOST_LOOKED_AT: usize = 20_000;
/// Most bytes of a page that has more than one document.
const MOST_BYTES: usize = 4 << 20;

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

/// A page of what is looked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    /// Rendered.
    pub documents: Vec<Vec<u8>>,
    /// Where to go on, if there may be more.
    pub next: Option<String>,
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

    /// Looks for at most `limit` devices from a place on, from the first one without it; `render`
    /// renders those that are wanted. Devices that are there all the while are looked at once; a page
    /// may be short, or empty, though more follow.
    ///
    /// # Errors
    /// Unknown hub, or a place that is none.
    pub async fn search(
        &self,
        hub: &str,
        from: Option<&str>,
        limit: usize,
        render: impl Fn(&DeviceId, &Identity, &TwinDocument) -> Option<Vec<u8>>,
    ) -> Result<Page, HubRefusal> {
        let (_, hub) = self.hub(hub)?;
        let mut walk = match from {
            None => Walk::through(&hub.devices),
            Some(place) => Walk::from(&hub.devices, place).ok_or_else(|| {
                HubRefusal::Malformed(format!("\"{place}\" continues no query of this hub"))
            })?,
        };
        let (mut page, mut room, mut end) = (Page::default(), MOST_BYTES, String::new());
        for _ in 0..MOST_LOOKED_AT {
            let next = walk.next(|id, known| {
                let (identity, twin) = (Identity::of(known), known.twin.document());
                (id.clone(), identity, twin)
            });
            let Some((id, identity, twin)) = next.await else {
                return Ok(page);
            };
            let Some(document) = render(&id, &identity, &twin) else {
                continue;
            };
            let is_full = page.documents.len() >= limit || document.len() > room;
            if is_full && !page.documents.is_empty() {
                page.next = Some(end);
                return Ok(page);
            }
            room = room.saturating_sub(document.len());
            page.documents.push(document);
            end = walk.place();
        }
        page.next = Some(walk.place());
        Ok(page)
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
