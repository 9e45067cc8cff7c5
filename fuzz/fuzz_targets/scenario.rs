//! A scenario file: refused in words, or planned.
#![no_main]

use fleetstorm_scenarios::{Overrides, Plan, parse};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    match parse(text, "any.toml") {
        Err(error) => assert!(!error.to_string().is_empty()),
        Ok(scenario) => drop(Plan::new(scenario, &Overrides::default())),
    }
});
