//! A device as its hub's identity registry knows it.

use std::collections::BTreeSet;

use fleetstorm_protocol::twin::InitialTwin;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::authentication::{Authentication, HubCredential};
use super::inbox::{Downstream, SessionEnd};
use super::subscriptions::Subscriptions;
use super::traffic::Traffic;
use super::twin::kept::KeptTwin;
use super::twin::{SharedViews, Twin};

/// One device of a hub.
#[derive(Debug)]
pub(super) struct Device {
    pub(super) authentication: Authentication,
    /// A disabled device is not let in.
    pub(super) enabled: bool,
    /// An IoT Edge device.
    pub(super) iot_edge: bool,
    /// Why, in the service's words.
    pub(super) status_reason: Option<Box<str>>,
    /// Changes of the identity, from 1.
    pub(super) revision: u32,
    /// When it last connected, sent or reported: microseconds of Unix time; 0 for never.
    seen_us: i64,
    pub(super) twin: Twin,
    /// Modules of a device, and what only modules have.
    pub(super) kin: Option<Box<Kin>>,
    /// Kept for its next connection, where its last one asked for that.
    pub(super) subscriptions: Option<Subscriptions>,
    /// What is under way; most devices, most of the time, have nothing.
    traffic: Option<Box<Traffic>>,
}

/// What a device has of modules, or a module besides.
#[derive(Debug, Clone, Default)]
pub(super) struct Kin {
    /// A device's modules, by their ids.
    pub(super) modules: BTreeSet<Box<str>>,
    /// Who looks after a module, in the service's words.
    pub(super) managed_by: Option<Box<str>>,
}

/// A device as the store keeps it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct KeptDevice {
    authentication: Authentication,
    enabled: bool,
    #[serde(default)]
    iot_edge: bool,
    status_reason: Option<Box<str>>,
    revision: u32,
    seen_us: i64,
    twin: KeptTwin,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    managed_by: Option<Box<str>>,
}

impl Device {
    /// For the store: what is under way ends with the process.
    pub(super) fn kept(&self) -> KeptDevice {
        let Self {
            authentication,
            enabled,
            iot_edge,
            status_reason,
            revision,
            seen_us,
            twin,
            // Modules are kept each for itself, and bring their device back here.
            kin,
            subscriptions: _,
            traffic: _,
        } = self;
        KeptDevice {
            authentication: authentication.clone(),
            enabled: *enabled,
            iot_edge: *iot_edge,
            status_reason: status_reason.clone(),
            revision: *revision,
            seen_us: *seen_us,
            twin: twin.kept(),
            managed_by: kin.as_ref().and_then(|kin| kin.managed_by.clone()),
        }
    }

    /// From the store.
    ///
    /// # Errors
    /// Its twin is none.
    pub(super) fn from_kept(kept: KeptDevice, views: &SharedViews) -> Result<Self, String> {
        Ok(Self {
            authentication: kept.authentication,
            enabled: kept.enabled,
            iot_edge: kept.iot_edge,
            status_reason: kept.status_reason,
            revision: kept.revision,
            seen_us: kept.seen_us,
            twin: Twin::from_kept(kept.twin, views)?,
            kin: kept.managed_by.map(|managed_by| {
                Box::new(Kin {
                    managed_by: Some(managed_by),
                    ..Kin::default()
                })
            }),
            subscriptions: None,
            traffic: None,
        })
    }

    /// A new one.
    pub(super) fn new(
        authentication: Authentication,
        initial_twin: Option<&InitialTwin>,
        views: &SharedViews,
        now: Timestamp,
    ) -> Self {
        Self::with(authentication, Twin::new(initial_twin, views, now))
    }

    /// With a twin that is there.
    pub(super) fn with(authentication: Authentication, twin: Twin) -> Self {
        Self {
            authentication,
            enabled: true,
            iot_edge: false,
            status_reason: None,
            revision: 1,
            seen_us: 0,
            twin,
            kin: None,
            subscriptions: None,
            traffic: None,
        }
    }

    /// The device is at it now.
    pub(super) fn seen(&mut self, now: Timestamp) {
        self.seen_us = now.as_microsecond();
    }

    /// When it last was.
    pub(super) fn last_seen(&self) -> Option<Timestamp> {
        match self.seen_us {
            0 => None,
            microseconds => Timestamp::from_microsecond(microseconds).ok(),
        }
    }

    /// What is under way, if anything.
    pub(super) fn traffic(&mut self) -> Option<&mut Traffic> {
        self.traffic.as_deref_mut()
    }

    /// What is under way, to add to it.
    pub(super) fn traffic_or_new(&mut self) -> &mut Traffic {
        self.traffic.get_or_insert_default()
    }

    /// Forgets the traffic if nothing is under way.
    pub(super) fn tidy(&mut self) {
        if self
            .traffic
            .as_ref()
            .is_some_and(|traffic| traffic.is_over())
        {
            self.traffic = None;
        }
    }

    /// Whether a session is open.
    pub(super) fn is_connected(&self) -> bool {
        self.traffic
            .as_ref()
            .is_some_and(|traffic| traffic.is_connected())
    }

    /// Messages that wait for it.
    pub(super) fn waiting_messages(&self) -> usize {
        self.traffic
            .as_ref()
            .map_or(0, |traffic| traffic.messages.len())
    }

    /// Whether who has proven itself by that is let in.
    pub(super) fn admits(&self, credential: &HubCredential) -> bool {
        self.enabled && self.authentication.holds(credential)
    }

    /// Ends its session, if what opened that does not let it in any more.
    pub(super) fn revoke_unless_proven(&mut self) {
        let credential = self
            .traffic
            .as_ref()
            .and_then(|traffic| traffic.credential());
        if credential.is_some_and(|credential| !self.admits(credential)) {
            self.revoke();
        }
    }

    /// Ends its session: it may not be connected any more.
    pub(super) fn revoke(&mut self) {
        if let Some(traffic) = self.traffic() {
            traffic.tell(Downstream::Ended(SessionEnd::Revoked));
        }
    }
}

impl Device {
    /// The ids of its modules.
    pub(super) fn modules(&self) -> impl Iterator<Item = &str> {
        self.kin
            .iter()
            .flat_map(|kin| kin.modules.iter().map(AsRef::as_ref))
    }

    /// It has a module more.
    pub(super) fn add_module(&mut self, module: &str) {
        let kin = self.kin.get_or_insert_default();
        kin.modules.insert(module.into());
    }
}
