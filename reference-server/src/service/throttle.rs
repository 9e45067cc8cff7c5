//! What an instance has been asked of late, against its rates. They change while it runs.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use fleetstorm_protocol::quota::{Rates, Window};
use jiff::Timestamp;

use super::refusal::Refusal;

/// An instance's.
#[derive(Debug)]
pub struct Throttle {
    // Read for every request, changed by hand: no lock, and none is taken where there is no limit.
    operations_per_minute: AtomicU32,
    registrations_per_minute: AtomicU32,
    polls_per_ten_seconds: AtomicU32,
    counted: Mutex<Counted>,
}

#[derive(Debug, Default)]
struct Counted {
    operations: Window,
    registrations: Window,
}

impl Throttle {
    /// Nothing counted.
    pub fn new(rates: Rates) -> Self {
        Self {
            operations_per_minute: rates.operations_per_minute.into(),
            registrations_per_minute: rates.registrations_per_minute.into(),
            polls_per_ten_seconds: rates.polls_per_ten_seconds.into(),
            counted: Mutex::default(),
        }
    }

    /// How often it may be asked.
    pub fn rates(&self) -> Rates {
        Rates {
            operations_per_minute: self.operations_per_minute.load(Ordering::Relaxed),
            registrations_per_minute: self.registrations_per_minute.load(Ordering::Relaxed),
            polls_per_ten_seconds: self.polls_per_ten_seconds.load(Ordering::Relaxed),
        }
    }

    /// Other rates from now on; what the running spans have counted stays.
    pub fn set_rates(&self, rates: Rates) {
        let set = |rate: &AtomicU32, value| rate.store(value, Ordering::Relaxed);
        set(&self.operations_per_minute, rates.operations_per_minute);
        set(
            &self.registrations_per_minute,
            rates.registrations_per_minute,
        );
        set(&self.polls_per_ten_seconds, rates.polls_per_ten_seconds);
    }

    /// Counts a call of the service API.
    ///
    /// # Errors
    /// It is one too many.
    pub fn operation(&self, now: Timestamp) -> Result<(), Refusal> {
        let rates = self.rates();
        if rates.operations_per_minute == 0 {
            return Ok(());
        }
        rates
            .operation(&mut self.counted().operations, now.as_second())
            .map_err(throttled)
    }

    /// Counts a register of a device, which is an operation too.
    ///
    /// # Errors
    /// It is one too many.
    pub fn registration(&self, now: Timestamp) -> Result<(), Refusal> {
        let rates = self.rates();
        if rates.operations_per_minute == 0 && rates.registrations_per_minute == 0 {
            return Ok(());
        }
        let mut counted = self.counted();
        // What one of both refuses counts in neither.
        let mut registrations = counted.registrations;
        rates
            .registration(&mut registrations, now.as_second())
            .and_then(|()| rates.operation(&mut counted.operations, now.as_second()))
            .map_err(throttled)?;
        counted.registrations = registrations;
        Ok(())
    }

    /// Counts a poll among its device's.
    ///
    /// # Errors
    /// It is one too many.
    pub fn poll(&self, polls: &mut Window, now: Timestamp) -> Result<(), Refusal> {
        self.rates().poll(polls, now.as_second()).map_err(throttled)
    }

    fn counted(&self) -> MutexGuard<'_, Counted> {
        self.counted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn throttled(retry_after: u32) -> Refusal {
    Refusal::Throttled { retry_after }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_register_is_an_operation_and_what_is_refused_counts_in_neither() {
        let throttle = Throttle::new(Rates {
            operations_per_minute: 3,
            registrations_per_minute: 1,
            polls_per_ten_seconds: 0,
        });
        let at = |second| Timestamp::from_second(second).expect("a time");
        assert_eq!(throttle.registration(at(0)), Ok(()));
        assert_eq!(throttle.registration(at(1)), Err(throttled(59)));
        assert_eq!(throttle.operation(at(2)), Ok(()));
        assert_eq!(throttle.operation(at(3)), Ok(()));
        assert_eq!(throttle.operation(at(4)), Err(throttled(56)));
        throttle.set_rates(Rates {
            operations_per_minute: 3,
            ..Rates::NONE
        });
        assert_eq!(throttle.registration(at(5)), Err(throttled(55)));
        throttle.set_rates(Rates::NONE);
        assert_eq!(throttle.registration(at(6)), Ok(()));
    }
}
