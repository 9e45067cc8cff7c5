//! The server's own counters beside the devices'.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::foremost::foremost;

/// The server's own counters beside the devices'.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ServerCounters {
    /// One row a counter: the 1,024 that matter most, those that do not agree before others.
    pub rows: Vec<CounterRow>,
    /// Whether every row agrees, also of those that are left out.
    pub agree: bool,
    /// Rows that are left out.
    pub left_out: u64,
}

/// Most counters that are told one by one.
const MAX_ROWS: usize = 1_024;

impl ServerCounters {
    /// Of these rows, whose `agrees` follows from the rest of them.
    pub fn of(mut rows: Vec<CounterRow>) -> Self {
        for row in &mut rows {
            row.agrees = row.can_be_right();
        }
        let all = rows.len();
        let agree = rows.iter().all(|row| row.agrees);
        let rows = foremost(rows, MAX_ROWS, |row| {
            let difference = row.server.abs_diff(row.simulator);
            (!row.agrees, difference, row.server)
        });
        Self {
            left_out: (all - rows.len()) as u64,
            rows,
            agree,
        }
    }
}

impl CounterRow {
    /// Whether both ends can be right: the server may have done what no device heard of, as often
    /// as answers got lost, and no more. Where devices displace their doubles, one may have heard what was
    /// done for the other; and a server that was killed may have done what it did not tell.
    fn can_be_right(&self) -> bool {
        match self.server.checked_sub(self.simulator) {
            Some(surplus) => surplus <= self.unheard,
            None => self.simulator - self.server <= self.displaced + self.uncounted,
        }
    }
}

/// One counter, seen from both ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CounterRow {
    /// Like `registrations assigned` or `assigned to hub-1.fleetstorm.test`.
    pub name: String,
    /// The server's.
    pub server: u64,
    /// The devices'.
    pub simulator: u64,
    /// Answers to what this row counts that may have been on their way when a device lost its connection
    /// or its patience.
    pub unheard: u64,
    /// Devices that failed because another one has the same name.
    pub displaced: u64,
    /// What devices heard of between the last reading of a server that was killed and its next life: it may
    /// have counted that, and not told it.
    pub uncounted: u64,
    /// Whether both can be right.
    pub agrees: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_counters_those_that_differ_are_told() {
        let row = |index: u64| CounterRow {
            name: format!("counter {index}"),
            server: if index == 7 { 6 } else { index },
            simulator: index,
            unheard: 0,
            displaced: 0,
            uncounted: 0,
            agrees: false,
        };
        let told = ServerCounters::of((0..5_000).map(row).collect());
        assert_eq!((told.rows.len(), told.left_out), (MAX_ROWS, 5_000 - 1_024));
        assert_eq!(told.rows[0].name, "counter 7");
        assert_eq!(told.rows[1].server, 5_000 - 1_023);
        assert!(!told.agree);
        assert!(ServerCounters::of(vec![row(1)]).agree);
    }
}
