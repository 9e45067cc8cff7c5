//! No room knows one on a floor above it.

use architecture::floors::table;
use architecture::imports::Imports;
use architecture::sources::Sources;
use architecture::{CRATES, folder_of};

#[test]
fn no_arrow_goes_upwards() {
    let table = table().expect("floors.toml");
    for name in CRATES {
        let sources = Sources::read(&folder_of(name), "lib.rs").expect("sources");
        let floors = table.get(name).expect(name);
        let problems = floors.problems(&Imports::of(&sources));
        assert!(
            problems.is_empty(),
            "{name}: {problems:?}: see `architecture/floors.toml`"
        );
    }
    assert_eq!(table.len(), CRATES.len(), "crates that are not there");
}
