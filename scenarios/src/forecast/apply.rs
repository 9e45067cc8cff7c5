//! What events do in virtual time: rates that change, power cuts, and devices that go back to DPS.

use super::batch::{Batch, BatchState, micros};
use super::pending_events::PendingEvent;
use super::world::World;
use crate::cohort::Boot;
use crate::event::effects::{Foreseen, Leave};
use crate::event::{Selector, When};

impl World<'_> {
    /// The first event that is not later than `soonest`, when something else happens; it has happened then.
    pub(super) fn next_pending(&mut self, soonest: u64) -> Option<PendingEvent> {
        if self.pending.left.is_empty() {
            return None;
        }
        let events = &self.plan.scenario().events;
        let (provisioned, planned) = (self.tally.provisioned(), self.plan.devices());
        let due = self.pending.left.iter().enumerate();
        let (place, at_us) = due
            .filter_map(|(place, &index)| match events[index].when {
                When::At(at) => Some((place, micros(at))),
                When::Provisioned(share) => share
                    .is_reached_by(provisioned, planned)
                    .then_some((place, self.now_us)),
            })
            .filter(|(_, at_us)| *at_us <= soonest)
            .min_by_key(|(_, at_us)| *at_us)?;
        let index = self.pending.left.remove(place);
        Some(PendingEvent { index, at_us })
    }

    /// Does what an event does.
    pub(super) fn apply(&mut self, event: PendingEvent) {
        let PendingEvent { index, at_us } = event;
        self.now_us = at_us;
        match self.plan.scenario().events[index].action.effects().foreseen {
            None => {}
            Some(Foreseen::Rates { rates, tenant }) => {
                let instances = (0_u8..).zip(&mut self.instances);
                instances
                    .filter(|(index, _)| tenant.is_none_or(|tenant| tenant == *index))
                    .for_each(|(_, instance)| instance.limiter.set_rates(rates));
            }
            Some(Foreseen::Leave(selector, leave)) => self.call(selector, leave, at_us),
        }
    }

    /// Devices that stay with their hubs leave them, and turn elsewhere. Whoever's time with the hub is over by
    /// then does not come back.
    fn call(&mut self, selector: Selector, leave: Leave, now: u64) {
        let then_us = match leave {
            Leave::Boot(off) => now.saturating_add(micros(off)),
            Leave::Reprovision | Leave::Move(_) | Leave::ChangeOwner(_) => now,
        };
        let mut called = Vec::new();
        for index in 0..self.batches.len() {
            let Some(batch) = &self.batches[index] else {
                continue;
            };
            if batch.stage != BatchState::Held || !selector.may_select(batch.cohort) {
                continue;
            }
            let devices = f64::from(batch.devices);
            let draw = if selector.share < 1.0 {
                self.draw()
            } else {
                0.0
            };
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a part of a number of devices"
            )]
            let part = (devices * selector.share + draw).floor().min(devices) as u32;
            if let Some(batch) = &mut self.batches[index]
                && part > 0
            {
                // Those who stay keep their event; it finds nobody where all have left.
                batch.devices -= part;
                called.push(Batch {
                    devices: part,
                    ..batch.clone()
                });
            }
        }
        for mut batch in called {
            self.tally.leaves(&batch);
            if batch.until_us <= then_us {
                continue;
            }
            let turns_to = match (leave, self.cohort(&batch).boot) {
                (Leave::Boot(_), Boot::HubFirst) => BatchState::Rejoin,
                _ => BatchState::Connect,
            };
            match leave {
                Leave::Boot(_) | Leave::Reprovision => {}
                Leave::Move(region) => batch.region = Some(region),
                // Those that come later are followed to the seller's instance: what is foreseen of them is
                // wrong where its quotas are other ones.
                Leave::ChangeOwner(tenant) => batch.tenant = tenant,
            }
            batch.goes_back(turns_to, now, then_us);
            if batch.stage == BatchState::Connect {
                self.tally.goes_back(&batch, now);
            }
            self.wait(then_us, batch);
        }
    }
}
