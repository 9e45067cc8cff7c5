//! What the run tells devices that stay with their hubs: to stop, or what has happened to them.

use std::sync::Arc;
use std::time::Duration;

use fleetstorm_scenarios::event::{Action, DeviceAction};
use fleetstorm_scenarios::{Chance, Event};
use tokio::sync::watch;

use crate::operator_command::OperatorCommand;

/// An event that has happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Order {
    /// Its index in the scenario.
    pub event: u16,
    /// When, since the run's start.
    pub at: Duration,
}

/// All that have, in their order.
pub type Orders = Arc<Vec<Order>>;

/// What a device is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interruption {
    /// The run ends.
    Stop,
    /// It has no power for so long; then it boots.
    PowerCut {
        /// When that began, since the run's start.
        at: Duration,
        /// How long there is none.
        off: Duration,
    },
    /// It goes back to DPS.
    Reprovision {
        /// When it was told.
        at: Duration,
        /// Index of the region that it is in from now on, if it has moved.
        region: Option<u8>,
    },
    /// It goes to DPS as it left the factory.
    FactoryReset {
        /// When it was told.
        at: Duration,
    },
    /// It goes to DPS for another owner.
    ChangeOwner {
        /// When it was told.
        at: Duration,
    },
}

/// What one device is told.
#[derive(Debug, Clone)]
pub struct DeviceInbox {
    events: Arc<[Event]>,
    commands: watch::Receiver<Option<OperatorCommand>>,
    orders: watch::Receiver<Orders>,
    cohort: u16,
    device: u32,
    chance: Chance,
    /// Orders that it has heard.
    heard: usize,
}

impl DeviceInbox {
    /// Hears what is said from now on. `chance` is its cohort's, for events.
    pub fn new(
        events: Arc<[Event]>,
        commands: watch::Receiver<Option<OperatorCommand>>,
        orders: watch::Receiver<Orders>,
        (cohort, device): (u16, u32),
        chance: Chance,
    ) -> Self {
        let heard = orders.borrow().len();
        Self {
            events,
            commands,
            orders,
            cohort,
            device,
            chance,
            heard,
        }
    }

    /// Waits until it is told something. Giving up the wait loses nothing.
    pub async fn interruption(&mut self) -> Interruption {
        loop {
            if self.commands.borrow().is_some() {
                return Interruption::Stop;
            }
            while let Some(order) = self.next() {
                if let Some(interruption) = self.what(order) {
                    return interruption;
                }
            }
            tokio::select! {
                changed = self.commands.changed() => {
                    // Whoever gave commands is gone: so is the run.
                    if changed.is_err() {
                        return Interruption::Stop;
                    }
                }
                changed = self.orders.changed() => {
                    if changed.is_err() {
                        return Interruption::Stop;
                    }
                }
            }
        }
    }

    fn next(&mut self) -> Option<Order> {
        let order = self.orders.borrow_and_update().get(self.heard).copied()?;
        self.heard += 1;
        Some(order)
    }

    /// What an order is to this device, if anything.
    fn what(&self, order: Order) -> Option<Interruption> {
        let event = self.events.get(usize::from(order.event))?;
        let at = order.at;
        let Action::Devices(selector, action) = &event.action else {
            return None;
        };
        let interruption = match action {
            DeviceAction::PowerCut { off } => Interruption::PowerCut { at, off: *off },
            DeviceAction::Reprovision => Interruption::Reprovision { at, region: None },
            DeviceAction::Move { to } => {
                let region = Some(*to);
                Interruption::Reprovision { at, region }
            }
            DeviceAction::FactoryReset => Interruption::FactoryReset { at },
            DeviceAction::ChangeOwner { .. } => Interruption::ChangeOwner { at },
        };
        let this = (self.cohort, self.device);
        let is_meant = selector.selects(this, order.event, &self.chance);
        is_meant.then_some(interruption)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fleetstorm_scenarios::event::{Selector, When};

    const AT: Duration = Duration::from_secs(5);

    fn reprovision(cohort: Option<u16>, share: f64) -> Event {
        Event {
            when: When::At(AT),
            action: Action::Devices(Selector { cohort, share }, DeviceAction::Reprovision),
        }
    }

    fn is_told(events: &[Event], device: u32) -> Vec<usize> {
        let (_commands, asked) = watch::channel(None);
        let (_orders, ordered) = watch::channel(Orders::default());
        let chance = Chance::new(1, "event", "meters");
        let inbox = DeviceInbox::new(events.into(), asked, ordered, (1, device), chance);
        let told = (0_u16..).zip(events).filter(|(event, _)| {
            let order = Order {
                event: *event,
                at: AT,
            };
            inbox.what(order)
                == Some(Interruption::Reprovision {
                    at: AT,
                    region: None,
                })
        });
        told.map(|(event, _)| usize::from(event)).collect()
    }

    #[test]
    fn an_event_takes_its_share_of_its_cohort_and_each_event_another_one() {
        let events = [
            reprovision(None, 1.0),
            reprovision(Some(1), 0.25),
            reprovision(Some(1), 0.25),
            reprovision(Some(0), 1.0),
        ];
        let told: Vec<_> = (0..1_000).map(|device| is_told(&events, device)).collect();
        let how_many = |event| told.iter().filter(|told| told.contains(&event)).count();
        assert_eq!(how_many(0), 1_000);
        assert!((200..300).contains(&how_many(1)), "{}", how_many(1));
        assert!((200..300).contains(&how_many(2)), "{}", how_many(2));
        assert_eq!(how_many(3), 0, "another cohort");
        let both = told
            .iter()
            .filter(|told| told.contains(&1) && told.contains(&2));
        assert!((30..100).contains(&both.count()), "independent choices");
    }

    #[tokio::test]
    async fn orders_are_heard_once_each_and_commands_before_them() {
        let events = [reprovision(None, 1.0), reprovision(None, 1.0)];
        let (commands, asked) = watch::channel(None);
        let (orders, ordered) = watch::channel(Orders::default());
        let chance = Chance::new(1, "event", "meters");
        let mut inbox = DeviceInbox::new(events.into(), asked, ordered, (0, 7), chance);
        let order = |event, seconds| Order {
            event,
            at: Duration::from_secs(seconds),
        };
        orders.send_replace(Arc::new(vec![order(0, 1), order(1, 2)]));
        for seconds in [1, 2] {
            let at = Duration::from_secs(seconds);
            let region = None;
            assert_eq!(
                inbox.interruption().await,
                Interruption::Reprovision { at, region }
            );
        }
        let patience = Duration::from_millis(20);
        let more = tokio::time::timeout(patience, inbox.interruption()).await;
        assert!(more.is_err(), "nothing is left to be told");
        orders.send_replace(Arc::new(vec![order(0, 1), order(1, 2), order(0, 3)]));
        commands.send_replace(Some(OperatorCommand::Stop));
        assert_eq!(inbox.interruption().await, Interruption::Stop);
    }
}
