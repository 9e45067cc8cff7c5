//! Where a run goes to: the bundled server or another endpoint, told apart by nothing but the address.

use std::net::{IpAddr, ToSocketAddrs};

use fleetstorm_protocol::ids::IdScope;
use fleetstorm_scenarios::{self as scenarios, Ports};

use crate::failure::Failure;
use crate::link::dial::{DialOptions, Dialer};

mod probe;

/// A global endpoint and the instances behind it, as devices see them.
#[derive(Debug, Clone)]
pub struct Target {
    /// For people.
    pub label: String,
    /// Host name of the global endpoint.
    pub endpoint: String,
    /// Its instances, by tenant: the scenario's own is the first.
    pub id_scopes: Vec<IdScope>,
    /// Where the endpoint and the hubs listen.
    pub ports: Ports,
    /// Whom to trust, where to connect.
    pub dial: DialOptions,
    /// Hubs, where they are known beforehand.
    pub hubs: Vec<String>,
}

impl Target {
    /// The endpoint that a scenario or the command line names.
    ///
    /// # Errors
    /// An id scope or its CA file can't be used.
    pub fn of_scenario(
        target: &scenarios::Target,
        tenants: &[scenarios::tenant::Tenant],
    ) -> Result<Self, Failure> {
        const WHERE: &str =
            "the id scope stands on the overview page of the DPS instance, like 0ne00111111";
        let of_tenants = tenants.iter().map(|tenant| {
            let missing = || {
                let (name, endpoint) = (&tenant.name, &target.endpoint);
                Failure::usage(format!("tenant \"{name}\" has no id-scope at {endpoint}"))
                    .hint("give it the one of its instance there, like id-scope = \"0ne00111111\"")
            };
            tenant.id_scope.as_ref().ok_or_else(missing)
        });
        let id_scopes = [Ok(&target.id_scope)]
            .into_iter()
            .chain(of_tenants)
            .map(|id_scope| {
                IdScope::parse(id_scope?).map_err(|e| Failure::usage(e.to_string()).hint(WHERE))
            })
            .collect::<Result<_, _>>()?;
        let trust_pem = target.ca.as_deref().map(Dialer::read_trust).transpose()?;
        Ok(Self {
            label: target.endpoint.clone(),
            endpoint: target.endpoint.clone(),
            id_scopes,
            ports: target.ports,
            dial: DialOptions {
                trust_pem,
                connect_to: target.connect_to,
            },
            hubs: Vec::new(),
        })
    }
}

/// Refuses to load anything but this machine without the user's word for that very host.
///
/// # Errors
/// The word is missing, or names another host: exit 2.
pub fn consent(target: &scenarios::Target, yes_load_test: Option<&str>) -> Result<(), Failure> {
    let host = target.endpoint.as_str();
    if yes_load_test == Some(host) || is_loopback(target) {
        return Ok(());
    }
    let message = match yes_load_test {
        Some(other) => format!("--yes-load-test names {other}, but the target is {host}"),
        None => format!(
            "{host} is not this machine, and a load test of a service that is not yours does harm"
        ),
    };
    Err(Failure::usage(message).hint(format!(
        "if you may load {host}, and know its quotas, add --yes-load-test {host}"
    )))
}

/// Whether the target says of itself that it is on this machine, without asking a name server.
pub fn is_written_as_loopback(target: &scenarios::Target) -> bool {
    let written = target.connect_to.or_else(|| target.endpoint.parse().ok());
    written.is_some_and(|address| address.is_loopback())
}

/// Whether every address of the target is on this machine.
fn is_loopback(target: &scenarios::Target) -> bool {
    if target.connect_to.is_some() || target.endpoint.parse::<IpAddr>().is_ok() {
        return is_written_as_loopback(target);
    }
    (target.endpoint.as_str(), target.ports.https)
        .to_socket_addrs()
        .is_ok_and(|mut found| {
            let first = found.next();
            first.is_some_and(|a| a.ip().is_loopback()) && found.all(|a| a.ip().is_loopback())
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(endpoint: &str, connect_to: Option<&str>) -> scenarios::Target {
        scenarios::Target {
            endpoint: endpoint.into(),
            id_scope: "0ne00000001".into(),
            ca: None,
            connect_to: connect_to.map(|a| a.parse().expect("an address")),
            ports: Ports::default(),
        }
    }

    #[test]
    fn only_this_machine_goes_without_a_word() {
        for (endpoint, connect_to, word, allowed) in [
            ("localhost", None, None, true),
            ("127.0.0.1", None, None, true),
            ("127.8.9.10", None, None, true),
            ("global.example.test", Some("127.0.0.1"), None, true),
            ("global.example.test", Some("192.0.2.1"), None, false),
            ("192.0.2.1", None, None, false),
            ("192.0.2.1", None, Some("192.0.2.1"), true),
            ("192.0.2.1", None, Some("192.0.2.2"), false),
            ("no-such-host.invalid", None, None, false),
            ("localhost", Some("192.0.2.1"), None, false),
        ] {
            let verdict = consent(&target(endpoint, connect_to), word);
            assert_eq!(
                verdict.is_ok(),
                allowed,
                "{endpoint} {connect_to:?} {word:?}"
            );
        }
    }

    #[test]
    fn refusal_is_a_usage_error_that_says_what_to_add() {
        let refusal = consent(&target("192.0.2.1", None), None).expect_err("not this machine");
        assert_eq!(refusal.exit_code, 2);
        assert!(
            refusal.to_string().contains("--yes-load-test 192.0.2.1"),
            "{refusal}"
        );
    }
}
