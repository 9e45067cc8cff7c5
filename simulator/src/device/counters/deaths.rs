//! What devices heard while the bundled server was being killed: it may have counted that, and not told.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Everything that devices have heard, counter by counter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Confirmed {
    /// Registrations.
    pub registered: u64,
    /// By index of the hub.
    pub hubs: Vec<ConfirmedByHub>,
}

/// Of one hub.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ConfirmedByHub {
    /// Assignments to it.
    pub assigned: u64,
    /// Twins read.
    pub twins: u64,
    /// Properties reported.
    pub reports: u64,
    /// Messages acknowledged.
    pub messages: u64,
    /// Changes of desired properties.
    pub desired: u64,
    /// Methods.
    pub methods: u64,
}

impl ConfirmedByHub {
    /// The same of both, combined counter by counter.
    fn with(self, other: Self, how: fn(u64, u64) -> u64) -> Self {
        Self {
            assigned: how(self.assigned, other.assigned),
            twins: how(self.twins, other.twins),
            reports: how(self.reports, other.reports),
            messages: how(self.messages, other.messages),
            desired: how(self.desired, other.desired),
            methods: how(self.methods, other.methods),
        }
    }
}

impl Confirmed {
    fn with(&self, other: &Self, how: fn(u64, u64) -> u64) -> Self {
        let hubs = (0..self.hubs.len().max(other.hubs.len())).map(|index| {
            let of = |heard: &Self| heard.hubs.get(index).copied().unwrap_or_default();
            of(self).with(of(other), how)
        });
        Self {
            registered: how(self.registered, other.registered),
            hubs: hubs.collect(),
        }
    }
}

/// The moments in which the server was being killed.
#[derive(Debug, Default)]
pub struct Deaths(Mutex<Windows>);

#[derive(Debug, Default)]
struct Windows {
    /// Confirmed within those that are over.
    over: Confirmed,
    /// What had been heard when the one that is not over began.
    began: Option<Confirmed>,
    /// Deaths that have begun and not ended: it may die again before the last time is over.
    open: u32,
}

impl Deaths {
    /// The server's counters were last read when so much had been heard; now it dies.
    pub fn begin(&self, heard: Confirmed) {
        let mut windows = self.windows();
        windows.open += 1;
        windows.began.get_or_insert(heard);
    }

    /// Nothing is under way any more of what it did before a death that has begun.
    pub fn end(&self, heard: &Confirmed) {
        let mut windows = self.windows();
        windows.open = windows.open.saturating_sub(1);
        if windows.open == 0
            && let Some(began) = windows.began.take()
        {
            let within = heard.with(&began, u64::saturating_sub);
            windows.over = windows.over.with(&within, u64::saturating_add);
        }
    }

    /// Confirmed within all of them, until now.
    pub fn within(&self, heard: &Confirmed) -> Confirmed {
        let windows = self.windows();
        match &windows.began {
            Some(began) => {
                let within = heard.with(began, u64::saturating_sub);
                windows.over.with(&within, u64::saturating_add)
            }
            None => windows.over.clone(),
        }
    }

    fn windows(&self) -> MutexGuard<'_, Windows> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(count: u64) -> Confirmed {
        Confirmed {
            registered: count,
            hubs: vec![ConfirmedByHub {
                assigned: count,
                twins: 2 * count,
                ..ConfirmedByHub::default()
            }],
        }
    }

    #[test]
    fn what_is_heard_between_the_last_reading_and_the_next_life_is_uncertain() {
        let deaths = Deaths::default();
        assert_eq!(deaths.within(&heard(5)), Confirmed::default());
        deaths.begin(heard(5));
        assert_eq!(deaths.within(&heard(8)), heard(3), "it is not over");
        deaths.end(&heard(7));
        assert_eq!(deaths.within(&heard(20)), heard(2));
        deaths.begin(heard(20));
        deaths.begin(heard(21));
        deaths.end(&heard(22));
        assert_eq!(deaths.within(&heard(23)), heard(5), "it died twice");
        deaths.end(&heard(24));
        assert_eq!(deaths.within(&heard(40)), heard(6));
    }
}
