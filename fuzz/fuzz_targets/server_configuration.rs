//! A reference server's configuration: refused in words, or one that a server can be made of.
#![no_main]

use fleetstorm_reference_server::Config;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(config) = toml::from_str::<Config>(text) else {
        return;
    };
    if let Err(error) = config.check() {
        assert!(!error.to_string().is_empty());
    }
});
