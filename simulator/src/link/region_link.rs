//! What regions' lines are like, and what becomes of them while the run goes on.

use std::sync::Arc;
use std::time::Duration;

use fleetstorm_scenarios::region::LinkProperty;
use fleetstorm_scenarios::{LinkShape, Region};
use tokio::sync::watch;

/// The lines of all regions, by their index.
#[derive(Debug, Clone)]
pub struct RegionLinks(Arc<[watch::Sender<LinkShape>]>);

/// A line to somewhere, now and later.
#[derive(Debug, Clone)]
pub struct RegionLink {
    region: watch::Receiver<LinkShape>,
    /// How much longer its round trip is than the region's own.
    farther: Duration,
}

impl RegionLinks {
    /// As they are at the start.
    pub fn of(regions: &[Region]) -> Self {
        let lines = regions.iter().map(|region| watch::Sender::new(region.link));
        Self(lines.collect())
    }

    /// From now on a region's lines have these properties, too; those that are in use follow.
    pub fn change(&self, region: u8, properties: &[LinkProperty]) {
        if let Some(line) = self.0.get(usize::from(region)) {
            line.send_modify(|shape| *shape = shape.with(properties));
        }
    }

    /// One that begins in the region of this index.
    pub fn line(&self, region: usize, farther: Duration) -> Option<RegionLink> {
        let region = self.0.get(region)?.subscribe();
        Some(RegionLink { region, farther })
    }
}

impl RegionLink {
    /// What it is like now.
    pub fn shape(&mut self) -> LinkShape {
        self.region.borrow_and_update().farther(self.farther)
    }

    /// The same if it has changed since that was asked last.
    pub fn changed(&mut self) -> Option<LinkShape> {
        // Links whose run is over change no more.
        let has_changed = self.region.has_changed().unwrap_or(false);
        has_changed.then(|| self.shape())
    }
}

#[cfg(test)]
impl RegionLinks {
    /// Those of one region.
    pub(super) fn shaped(link: LinkShape) -> Self {
        Self::of(&[Region {
            name: "somewhere".into(),
            prefix: "127.16.0.0/16".parse().expect("a network"),
            link,
            utc_offset: None,
            latency: std::collections::BTreeMap::new(),
        }])
    }

    /// That which begins there.
    pub(super) fn here(&self) -> RegionLink {
        self.line(0, Duration::ZERO).expect("the region")
    }
}
