//! How often DPS may be asked (DPS documentation, "Quotas and limits", rates).

use serde::de::{MapAccess, Visitor, value::MapAccessDeserializer};
use serde::{Deserialize, Deserializer, Serialize};

/// Seconds over which what an instance is asked is counted.
const MINUTE: i64 = 60;
/// Seconds over which a device's polls are counted.
const POLLS_SPAN: i64 = 10;

/// The rates of one DPS instance; 0 is no limit. Written as the word `azure` or `none`, or as a
/// table in which what is left out has no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Rates {
    /// Operations of the instance a minute: every call of the service API, and every register of
    /// a device. Polls are none.
    pub operations_per_minute: u32,
    /// Registers of the instance a minute, by devices that have proven themselves.
    pub registrations_per_minute: u32,
    /// Polls of one device in ten seconds.
    pub polls_per_ten_seconds: u32,
}

impl Rates {
    /// The documented ones.
    pub const AZURE: Self = Self {
        operations_per_minute: 1_000,
        registrations_per_minute: 1_000,
        polls_per_ten_seconds: 5,
    };
    /// As often as anybody likes.
    pub const NONE: Self = Self {
        operations_per_minute: 0,
        registrations_per_minute: 0,
        polls_per_ten_seconds: 0,
    };
    /// Rates that have a name.
    pub const NAMED: [(&'static str, Self); 2] = [("azure", Self::AZURE), ("none", Self::NONE)];

    /// Counts an operation of the instance at `second`.
    ///
    /// # Errors
    /// It is one too many; the seconds to wait.
    pub fn operation(&self, window: &mut Window, second: i64) -> Result<(), u32> {
        window.count(self.operations_per_minute, MINUTE, second)
    }

    /// Counts a register of the instance at `second`.
    ///
    /// # Errors
    /// It is one too many; the seconds to wait.
    pub fn registration(&self, window: &mut Window, second: i64) -> Result<(), u32> {
        window.count(self.registrations_per_minute, MINUTE, second)
    }

    /// Counts a poll among its device's at `second`.
    ///
    /// # Errors
    /// It is one too many; the seconds to wait.
    pub fn poll(&self, window: &mut Window, second: i64) -> Result<(), u32> {
        window.count(self.polls_per_ten_seconds, POLLS_SPAN, second)
    }
}

impl<'de> Deserialize<'de> for Rates {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NameOrTable)
    }
}

struct NameOrTable;

impl<'de> Visitor<'de> for NameOrTable {
    type Value = Rates;

    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("\"azure\", \"none\" or a table of rates")
    }

    fn visit_str<E: serde::de::Error>(self, word: &str) -> Result<Rates, E> {
        Rates::NAMED
            .iter()
            .find(|(name, _)| *name == word)
            .map(|(_, rates)| *rates)
            .ok_or_else(|| E::invalid_value(serde::de::Unexpected::Str(word), &self))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Rates, A::Error> {
        #[derive(Default, Deserialize)]
        #[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
        struct Table {
            operations_per_minute: u32,
            registrations_per_minute: u32,
            polls_per_ten_seconds: u32,
        }
        let table = Table::deserialize(MapAccessDeserializer::new(map))?;
        Ok(Rates {
            operations_per_minute: table.operations_per_minute,
            registrations_per_minute: table.registrations_per_minute,
            polls_per_ten_seconds: table.polls_per_ten_seconds,
        })
    }
}

/// What was counted in the running span of time. Spans follow one another, so that what is refused
/// knows when the next begins.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Window {
    span: i64,
    count: u32,
}

impl Window {
    /// One more, of `limit` in `seconds`. What is refused does not count.
    fn count(&mut self, limit: u32, seconds: i64, second: i64) -> Result<(), u32> {
        if limit == 0 {
            return Ok(());
        }
        let span = second.div_euclid(seconds);
        if self.span != span {
            *self = Self { span, count: 0 };
        }
        if self.count >= limit {
            let left = seconds - second.rem_euclid(seconds);
            return Err(u32::try_from(left).unwrap_or(1));
        }
        self.count += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_counts_up_to_its_limit_and_says_when_the_next_begins() {
        let rates = Rates {
            operations_per_minute: 3,
            registrations_per_minute: 2,
            polls_per_ten_seconds: 1,
        };
        let mut windows = [Window::default(); 3];
        for (second, operation, registration, poll) in [
            (0, Ok(()), Ok(()), Ok(())),
            (1, Ok(()), Ok(()), Err(9)),
            (9, Ok(()), Err(51), Err(1)),
            (10, Err(50), Err(50), Ok(())),
            (59, Err(1), Err(1), Ok(())),
            (60, Ok(()), Ok(()), Ok(())),
            (61, Ok(()), Ok(()), Err(9)),
            (62, Ok(()), Err(58), Err(8)),
        ] {
            let [operations, registrations, polls] = &mut windows;
            assert_eq!(rates.operation(operations, second), operation, "{second}");
            let registered = rates.registration(registrations, second);
            assert_eq!(registered, registration, "{second}");
            assert_eq!(rates.poll(polls, second), poll, "{second}");
        }
    }

    #[test]
    fn without_a_limit_nothing_is_counted() {
        let mut window = Window::default();
        for _ in 0..10_000 {
            assert_eq!(Rates::NONE.registration(&mut window, 0), Ok(()));
        }
        assert_eq!(window, Window::default());
    }

    #[test]
    fn rates_are_named_or_written_out() {
        let read = |text: &str| {
            toml::from_str::<std::collections::BTreeMap<String, Rates>>(text)
                .map(|table| table["throttle"])
                .map_err(|error| error.message().to_owned())
        };
        assert_eq!(read("throttle = 'azure'"), Ok(Rates::AZURE));
        assert_eq!(read("throttle = 'none'"), Ok(Rates::NONE));
        let written = Rates {
            registrations_per_minute: 200,
            ..Rates::NONE
        };
        assert_eq!(
            read("throttle = { registrations-per-minute = 200 }"),
            Ok(written)
        );
        let expected = "expected \"azure\", \"none\" or a table of rates";
        for wrong in ["'aws'", "7"] {
            let problem = read(&format!("throttle = {wrong}")).expect_err("no rates");
            assert!(problem.contains(expected), "{problem}");
        }
        let problem = read("throttle = { registrations = 200 }").expect_err("no such rate");
        assert!(problem.contains("`registrations-per-minute`"), "{problem}");
        let shown = serde_json::to_string(&written).expect("rates are JSON");
        assert_eq!(serde_json::from_str::<Rates>(&shown).ok(), Some(written));
    }
}
