//! Which room of a crate lies above which.
//!
//! A room is a file at the top of `src` and the folder of its name. `floors.toml` says on which floor it lies;
//! it knows rooms of its own floor and of those below.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use crate::imports::Imports;

/// The table of all crates.
const TABLE: &str = include_str!("../floors.toml");

/// The floors of a crate.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Floors {
    /// From the lowest on.
    pub floors: Vec<Floor>,
    /// Arrows that go upwards still, `room -> room` each.
    #[serde(default)]
    pub exceptions: BTreeSet<String>,
}

/// One of them.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Floor {
    /// What is on it.
    pub name: String,
    /// Its rooms.
    pub rooms: Vec<String>,
}

/// The floors of every crate, by its folder.
///
/// # Errors
/// The table is not as it should be.
pub fn table() -> Result<BTreeMap<String, Floors>, toml::de::Error> {
    toml::from_str(TABLE)
}

impl Floors {
    /// What of a crate does not fit: rooms that have no floor, or are not there; arrows that go upwards, and
    /// exceptions that are none any more.
    pub fn problems(&self, imports: &Imports) -> Vec<String> {
        let mut height = BTreeMap::new();
        for (number, floor) in self.floors.iter().enumerate() {
            for room in &floor.rooms {
                height.insert(room.as_str(), number);
            }
        }
        let there: BTreeSet<&str> = imports.names.iter().map(|name| room_of(name)).collect();
        let mut problems = Vec::new();
        for room in &there {
            if !height.contains_key(room) {
                problems.push(format!("\"{room}\" has no floor"));
            }
        }
        for room in height.keys() {
            if !there.contains(room) {
                problems.push(format!("\"{room}\" is not there"));
            }
        }
        let mut upwards = BTreeMap::new();
        for (name, known) in imports.names.iter().zip(&imports.known) {
            for other in known.iter().map(|index| &imports.names[*index]) {
                let (from, to) = (room_of(name), room_of(other));
                if height.contains_key(from) && height.get(from) < height.get(to) {
                    let arrow = format!("{from} -> {to}");
                    upwards.entry(arrow).or_insert((name, other));
                }
            }
        }
        for (arrow, (name, other)) in &upwards {
            if !self.exceptions.contains(arrow) {
                problems.push(format!("{arrow} goes upwards: {name} knows {other}"));
            }
        }
        for exception in &self.exceptions {
            if !upwards.contains_key(exception) {
                problems.push(format!("{exception} is no exception any more"));
            }
        }
        problems
    }
}

fn room_of(file: &str) -> &str {
    file.split_once('/').map_or(file, |(room, _)| room)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrows_upwards_and_rooms_without_a_floor_are_told() {
        let imports = Imports {
            names: ["low/a", "low/b", "high", "lost"].map(Into::into).to_vec(),
            known: vec![
                BTreeSet::from([1, 2]),
                BTreeSet::new(),
                BTreeSet::from([1]),
                BTreeSet::new(),
            ],
        };
        let floor = |name: &str, rooms: &[&str]| Floor {
            name: name.into(),
            rooms: rooms.iter().map(|room| (*room).to_owned()).collect(),
        };
        let mut floors = Floors {
            floors: vec![floor("ground", &["low", "gone"]), floor("roof", &["high"])],
            exceptions: BTreeSet::new(),
        };
        let told = [
            "\"lost\" has no floor",
            "\"gone\" is not there",
            "low -> high goes upwards: low/a knows high",
        ];
        assert_eq!(floors.problems(&imports), told);
        floors.exceptions = BTreeSet::from(["low -> high".into(), "high -> low".into()]);
        let told = floors.problems(&imports);
        assert_eq!(told.len(), 3);
        assert_eq!(told[2], "high -> low is no exception any more");
    }
}
