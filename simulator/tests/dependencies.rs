//! What is built in, held to deny.toml without its tool: licences, one version of each crate, and crates.io
//! alone.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use spdx::{Expression, ParseMode};

/// A crate that is built in, as `cargo tree` tells it.
struct Package {
    name: String,
    version: String,
    /// Where it is, unless that is crates.io.
    source: Option<String>,
    licence: String,
}

fn workspace() -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
    folder.expect("the workspace").to_owned()
}

fn rules() -> toml::Table {
    let text = std::fs::read_to_string(workspace().join("deny.toml"));
    text.expect("deny.toml").parse().expect("TOML")
}

/// All that is built for the first target of the rules. Cargo's metadata would have what optional features
/// of others could bring as well.
fn packages(rules: &toml::Table) -> Vec<Package> {
    let target = rules["graph"]["targets"][0].as_str().expect("a target");
    let tree = Command::new(env!("CARGO"))
        .args(["tree", "--offline", "--workspace", "--no-dedupe"])
        .args(["--edges", "normal,build", "--target", target])
        .args(["--prefix", "none", "--format", "{p}|{l}"])
        .current_dir(workspace())
        .output()
        .expect("cargo tree");
    let said = String::from_utf8(tree.stdout).expect("UTF-8");
    assert!(tree.status.success(), "cargo tree");
    let lines: BTreeSet<_> = said.lines().filter(|line| !line.is_empty()).collect();
    let package = |line: &str| {
        let (package, licence) = line.split_once('|').expect("a licence");
        let package = package.replace(" (proc-macro)", "");
        let mut parts = package.splitn(3, ' ');
        let mut part = || parts.next().map(str::to_owned);
        let name = part().expect("a name");
        let version = part().expect("a version");
        Package {
            name,
            version: version.trim_start_matches('v').to_owned(),
            source: part(),
            licence: licence.to_owned(),
        }
    };
    let packages: Vec<_> = lines.into_iter().map(package).collect();
    assert!(packages.len() > 100, "{} packages", packages.len());
    packages
}

#[test]
fn licences_are_those_that_are_allowed() {
    let rules = rules();
    let allowed = rules["licenses"]["allow"].as_array().expect("licences");
    let allowed: Vec<_> = allowed.iter().filter_map(toml::Value::as_str).collect();
    for package in packages(&rules) {
        let Package { name, licence, .. } = &package;
        let parsed = Expression::parse_mode(licence, ParseMode::LAX);
        let parsed = parsed.unwrap_or_else(|e| panic!("{name}: {licence}: {e}"));
        let may = parsed.evaluate(|one| {
            one.license
                .id()
                .is_some_and(|id| allowed.contains(&id.name))
                && one.addition.is_none()
        });
        assert!(may, "{name}: {licence} is not allowed by deny.toml");
    }
}

#[test]
fn there_is_one_version_of_each_crate_but_for_those_that_are_named() {
    let rules = rules();
    let skipped = rules["bans"]["skip"].as_array().expect("exceptions");
    let mut skipped: BTreeMap<_, _> = skipped
        .iter()
        .map(|skip| (skip["crate"].as_str().expect("a crate"), false))
        .collect();
    let mut versions = BTreeMap::<_, BTreeSet<_>>::new();
    for package in packages(&rules) {
        let version = package.version;
        let is_of = |skip: &str| {
            let (name, of) = skip.split_once('@').expect("a version");
            let rest = version.strip_prefix(of);
            name == package.name.as_str() && rest.is_some_and(|rest| rest.starts_with('.'))
        };
        match skipped.iter_mut().find(|(skip, _)| is_of(skip)) {
            Some((_, met)) => *met = true,
            None => {
                versions.entry(package.name).or_default().insert(version);
            }
        }
    }
    for (name, versions) in versions {
        assert_eq!(versions.len(), 1, "{name}: {versions:?}");
    }
    for (skip, met) in skipped {
        assert!(met, "{skip} is gone: strike it out of deny.toml");
    }
}

#[test]
fn everything_comes_from_crates_io() {
    let ours = workspace().display().to_string();
    for Package { name, source, .. } in packages(&rules()) {
        let is_known = source.as_ref().is_none_or(|source| source.contains(&ours));
        assert!(is_known, "{name}: {source:?}");
    }
}
