//! The service's rates in virtual time: the windows that the server counts in, of `protocol`.

use fleetstorm_protocol::quota::{Rates, Window};

/// An instance's windows.
#[derive(Debug)]
pub(super) struct RateLimiter {
    rates: Rates,
    operations: Window,
    registrations: Window,
}

impl RateLimiter {
    /// Nothing counted.
    pub(super) fn new(rates: Rates) -> Self {
        Self {
            rates,
            operations: Window::default(),
            registrations: Window::default(),
        }
    }

    /// Other rates from now on; what the running spans have counted stays.
    pub(super) fn set_rates(&mut self, rates: Rates) {
        self.rates = rates;
    }

    /// How many of `devices` that register at once are let in; and what the others are told to wait,
    /// in seconds. A register counts in both windows or in none, as in the server.
    pub(super) fn register(&mut self, devices: u32, second: i64) -> (u32, u32) {
        let unlimited =
            self.rates.registrations_per_minute == 0 && self.rates.operations_per_minute == 0;
        if unlimited {
            return (devices, 0);
        }
        for let_in in 0..devices {
            let mut registrations = self.registrations;
            let counted = self
                .rates
                .registration(&mut registrations, second)
                .and_then(|()| self.rates.operation(&mut self.operations, second));
            match counted {
                Ok(()) => self.registrations = registrations,
                Err(told) => return (let_in, told),
            }
        }
        (devices, 0)
    }

    /// Counts a poll among its device's.
    ///
    /// # Errors
    /// It is one too many; the seconds to wait.
    pub(super) fn poll(&self, polls: &mut Window, second: i64) -> Result<(), u32> {
        self.rates.poll(polls, second)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crowd_is_let_in_as_far_as_both_rates_go() {
        let mut limiter = RateLimiter::new(Rates {
            operations_per_minute: 5,
            registrations_per_minute: 4,
            polls_per_ten_seconds: 0,
        });
        assert_eq!(limiter.register(3, 10), (3, 0));
        assert_eq!(limiter.register(3, 15), (1, 45));
        assert_eq!(limiter.register(9, 60), (4, 60));
        assert_eq!(RateLimiter::new(Rates::NONE).register(9, 0), (9, 0));
    }
}
