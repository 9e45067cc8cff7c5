//! What a hub holds as a whole: its identities, how many there are, and which of them are wanted
//! (IoT Hub REST reference, "Devices - Get Devices", "Statistics", "Query").

use fleetstorm_protocol::ids::ClientId;
use tokio::task::yield_now;

use super::HubRefusal;
use super::identity::Identity;
use super::registry::Hub;
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

impl Hub {
    /// At most `top` identities, in the order of their names; which ones, where there are more, is
    /// not said.
    pub async fn list(&self, top: usize) -> Vec<(ClientId, Identity)> {
        let mut walk = Walk::through(&self.devices);
        let mut listed = Vec::new();
        while listed.len() < top {
            let next = walk.next(|id, known| (id.clone(), Identity::of(known)));
            match next.await {
                Some(identity) => listed.push(identity),
                None => break,
            }
        }
        listed.sort_unstable_by(|(one, _), (other, _)| one.as_str().cmp(other.as_str()));
        listed
    }

    /// Looks for at most `limit` devices from a place on, from the first one without it; `render`
    /// renders those that are wanted. Devices that are there all the while are looked at once; a page
    /// may be short, or empty, though more follow.
    ///
    /// # Errors
    /// The place is none.
    pub async fn search(
        &self,
        from: Option<&str>,
        limit: usize,
        render: impl Fn(&ClientId, &Identity, &TwinDocument) -> Option<Vec<u8>>,
    ) -> Result<Page, HubRefusal> {
        let mut walk = match from {
            None => Walk::through(&self.devices),
            Some(place) => Walk::from(&self.devices, place).ok_or_else(|| {
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
    pub async fn statistics(&self) -> Statistics {
        let mut counted = Statistics::default();
        for number in 0.. {
            let looked = self.devices.look_at(number, |devices| {
                let devices = devices.iter().filter(|(id, _)| !id.is_module());
                for (_, known) in devices {
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
        counted
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use fleetstorm_protocol::symmetric_key::SymmetricKey;
    use jiff::Timestamp;
    use tokio::runtime::{Builder, Runtime};

    use super::*;
    use crate::hub::authentication::Authentication;
    use crate::hub::identity::{Condition, WantedIdentity};
    use crate::store::Store;

    fn hub(devices: std::ops::Range<usize>) -> Hub {
        let hub = Hub::alone("hub.test", 0, &Store::default());
        add(&hub, devices);
        hub
    }

    fn id(number: usize) -> ClientId {
        ClientId::parse(&format!("d-{number}")).expect("an id")
    }

    fn add(hub: &Hub, devices: std::ops::Range<usize>) {
        let key = SymmetricKey::from_bytes([7; 32]).expect("a key");
        for number in devices {
            let wanted = WantedIdentity {
                authentication: Authentication::key(key.clone()),
                enabled: true,
                status_reason: None,
                iot_edge: None,
                managed_by: None,
            };
            let (condition, now) = (Condition::Unnamed, Timestamp::UNIX_EPOCH);
            hub.put_identity(&id(number), wanted, condition, now)
                .expect("a new one");
        }
    }

    fn runtime() -> Runtime {
        Builder::new_current_thread().build().expect("a runtime")
    }

    #[test]
    fn devices_that_are_there_all_the_while_are_found_once() {
        let hub = hub(0..500);
        let mut found = BTreeMap::<Vec<u8>, usize>::new();
        let mut from: Option<String> = None;
        let mut round = 0;
        loop {
            let name = |id: &ClientId, _: &Identity, _: &TwinDocument| Some(id.as_str().into());
            let page = runtime().block_on(hub.search(from.as_deref(), 7, name));
            let page = page.expect("a page");
            for document in page.documents {
                *found.entry(document).or_default() += 1;
            }
            // Every fifth of the first devices goes, and others come.
            if round < 100 {
                hub.remove_identity(&id(5 * round), Condition::Exists)
                    .expect("there");
                add(&hub, 500 + round..501 + round);
            }
            round += 1;
            from = page.next;
            if from.is_none() {
                break;
            }
        }
        assert!(found.values().all(|times| *times == 1));
        for number in (0..500).filter(|number| number % 5 != 0) {
            assert!(
                found.contains_key(id(number).as_str().as_bytes()),
                "{number}"
            );
        }
    }

    #[test]
    fn a_page_ends_though_it_has_found_nothing() {
        let hub = hub(0..MOST_LOOKED_AT + 1);
        let none = |_: &ClientId, _: &Identity, _: &TwinDocument| None;
        let search = |from: Option<&str>| {
            let page = runtime().block_on(hub.search(from, 10, none));
            page.expect("a page")
        };
        let first = search(None);
        assert_eq!(first.documents.len(), 0);
        let last = search(first.next.as_deref());
        assert_eq!((last.documents.len(), last.next), (0, None));
    }

    #[test]
    fn a_page_of_large_twins_is_short() {
        let hub = hub(0..20);
        let large = |_: &ClientId, _: &Identity, _: &TwinDocument| Some(vec![0; MOST_BYTES / 3]);
        let page = runtime().block_on(hub.search(None, 10, large));
        let page = page.expect("a page");
        assert_eq!(page.documents.len(), 3);
        assert!(page.next.is_some());
    }

    #[test]
    fn others_have_their_turn_while_devices_are_looked_at() {
        let hub = hub(0..6_400);
        let turns = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&turns);
        runtime().block_on(async {
            let other = tokio::spawn(async move {
                loop {
                    counted.fetch_add(1, Ordering::Relaxed);
                    yield_now().await;
                }
            });
            let none = |_: &ClientId, _: &Identity, _: &TwinDocument| None;
            let looked = hub.search(None, 10, none).await;
            assert!(looked.is_ok());
            other.abort();
        });
        assert!(turns.load(Ordering::Relaxed) >= 100, "{turns:?}");
    }
}
