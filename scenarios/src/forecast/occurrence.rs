//! What events do in virtual time: rates that change, power cuts, and devices that go back to DPS.

use super::crowd::{Crowd, Stage, micros};
use super::happening::Happening;
use super::world::World;
use crate::cohort::Boot;
use crate::event::{Action, When, Whom};

impl World<'_> {
    /// The first event that is not later than `soonest`, when something else happens; it has happened then.
    pub(super) fn next_happening(&mut self, soonest: u64) -> Option<Happening> {
        if self.happenings.left.is_empty() {
            return None;
        }
        let events = &self.plan.scenario().events;
        let (provisioned, planned) = (self.tally.provisioned(), self.plan.devices());
        let due = self.happenings.left.iter().enumerate();
        let (place, at_us) = due
            .filter_map(|(place, &index)| match events[index].when {
                When::At(at) => Some((place, micros(at))),
                When::Provisioned(share) => share
                    .is_reached_by(provisioned, planned)
                    .then_some((place, self.now_us)),
            })
            .filter(|(_, at_us)| *at_us <= soonest)
            .min_by_key(|(_, at_us)| *at_us)?;
        let index = self.happenings.left.remove(place);
        Some(Happening { index, at_us })
    }

    /// Does what an event does.
    pub(super) fn occur(&mut self, happening: Happening) {
        let Happening { index, at_us } = happening;
        self.now_us = at_us;
        match &self.plan.scenario().events[index].action {
            Action::Throttle { rates, tenant } => {
                let instances = (0_u8..).zip(&mut self.instances);
                instances
                    .filter(|(index, _)| tenant.is_none_or(|tenant| tenant == *index))
                    .for_each(|(_, instance)| instance.gate.set_rates(*rates));
            }
            Action::PowerCut { whom, off } => {
                let boots_us = at_us.saturating_add(micros(*off));
                self.call(
                    whom,
                    at_us,
                    |crowd, boot| {
                        crowd.stage = match boot {
                            Boot::RegisterAlways => Stage::Connect,
                            Boot::HubFirst => Stage::Rejoin,
                        }
                    },
                    boots_us,
                );
            }
            Action::Reprovision(whom) | Action::FactoryReset(whom) => {
                self.call(whom, at_us, |crowd, _| crowd.stage = Stage::Connect, at_us);
            }
            Action::Move { whom, to } => {
                let moved = |crowd: &mut Crowd, _| {
                    crowd.stage = Stage::Connect;
                    crowd.region = Some(*to);
                };
                self.call(whom, at_us, moved, at_us);
            }
            // Those that come later are followed to the seller's instance: what is foreseen of them is wrong
            // where its quotas are other ones.
            Action::ChangeOwner { whom, to, .. } => {
                let sold = |crowd: &mut Crowd, _| {
                    crowd.stage = Stage::Connect;
                    crowd.tenant = *to;
                };
                self.call(whom, at_us, sold, at_us);
            }
            Action::HubDown(_)
            | Action::HubUp(_)
            | Action::RegionDown(_)
            | Action::RegionUp(_)
            | Action::Faults(_)
            | Action::Enrollment { .. }
            | Action::Roll { .. }
            | Action::Retire { .. }
            | Action::Expire { .. }
            | Action::RestartServer { .. }
            | Action::Latency { .. } => {}
        }
    }

    /// Devices that stay with their hubs leave them, and turn elsewhere at `then_us`. Whoever's time with the hub
    /// is over by then does not come back.
    fn call(&mut self, whom: &Whom, now: u64, turn: impl Fn(&mut Crowd, Boot), then_us: u64) {
        let mut called = Vec::new();
        for index in 0..self.crowds.len() {
            let Some(crowd) = &self.crowds[index] else {
                continue;
            };
            let is_meant = whom.cohort.is_none_or(|cohort| cohort == crowd.cohort);
            if crowd.stage != Stage::Held || !is_meant {
                continue;
            }
            let devices = f64::from(crowd.devices);
            let draw = if whom.share < 1.0 { self.draw() } else { 0.0 };
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a part of a number of devices"
            )]
            let part = (devices * whom.share + draw).floor().min(devices) as u32;
            if let Some(crowd) = &mut self.crowds[index]
                && part > 0
            {
                // Those who stay keep their event; it finds nobody where all have left.
                crowd.devices -= part;
                called.push(Crowd {
                    devices: part,
                    ..crowd.clone()
                });
            }
        }
        for mut crowd in called {
            self.tally.leaves(&crowd);
            if crowd.until_us <= then_us {
                continue;
            }
            let boot = self.cohort(&crowd).boot;
            turn(&mut crowd, boot);
            crowd.goes_back(crowd.stage, now, then_us);
            if crowd.stage == Stage::Connect {
                self.tally.goes_back(&crowd, now);
            }
            self.wait(then_us, crowd);
        }
    }
}
