//! The bundled server as a child process: the only file that names the server's crate.
//!
//! The child is this same binary as `fleetstorm serve`; devices tell it from a
//! real endpoint by nothing but its address, and its CPU and memory are
//! measured apart. Its standard input carries the enrollment list, an empty
//! line, and then stays open as the life line: the server ends when it closes.

use std::fs::File;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use fleetstorm_protocol::ids::IdScope;
use fleetstorm_reference_server::{
    Announcement, Config, HubConfig, InstanceConfig, LinkedHubConfig, RegionConfig,
};
use fleetstorm_scenarios::event::{Action, End};
use fleetstorm_scenarios::{Ports, ProcessingTime, Scenario, names, tenant};
use tempfile::TempDir;

pub use self::process::unwritable;
use self::process::{Pipe, Process, no_start};
use crate::cli::{Announce, ServeArgs};
use crate::failure::Failure;
use crate::fleet::{self, Fleet};
use crate::interrupt;
use crate::link::dial::DialOptions;
use crate::server::control::Control;
use crate::server::service_side::{HubSide, ServiceSide};
use crate::server::target::Target;

mod process;

pub use fleetstorm_reference_server::Counters;

/// A bundled server that listens, over as many lives of its process as events give it. Dropping it
/// stops it.
#[derive(Debug)]
pub struct BundledServer {
    config: Config,
    log: PathBuf,
    announcement: Announcement,
    /// By instance.
    id_scopes: Vec<IdScope>,
    life: Mutex<Life>,
    /// Between which moments its first process started.
    born: (Instant, Instant),
    /// Where it keeps what it has to know when it starts again; outlives its process.
    _data: Option<TempDir>,
}

/// What is now; and what was before, as it told.
#[derive(Debug)]
struct Life {
    process: Option<Process>,
    pid: u32,
    before: Counters,
}

/// `fleetstorm serve`.
///
/// # Errors
/// The configuration or the enrollments can't be used (exit 2), or a port can't be had (exit 3).
pub fn serve(args: &ServeArgs) -> Result<(), Failure> {
    use fleetstorm_reference_server::serve::{EnrollmentSource, ServeOptions, run};

    let mut config = match &args.config {
        Some(path) => Config::from_file(path).map_err(refused)?,
        None => Config::default(),
    };
    if let Some(listen) = args.listen {
        config.listen = listen;
    }
    if args.standard_ports {
        (config.https_port, config.mqtt_port, config.amqp_port) = (443, 8883, 5671);
    }
    if let Some(port) = args.https_port {
        config.https_port = port;
    }
    if let Some(port) = args.mqtt_port {
        config.mqtt_port = port;
    }
    if let Some(port) = args.amqp_port {
        config.amqp_port = port;
    }
    if let Some(folder) = &args.record {
        config.record_dir = Some(folder.clone());
    }
    if let Some(path) = &args.diagnostic_log {
        config.diagnostic_log = Some(path.clone());
    }
    if let Some(folder) = &args.data_dir {
        config.data_dir = Some(folder.clone());
    }
    let enrollments = args
        .enrollments
        .as_ref()
        .map(|source| match source.to_str() {
            Some("-") => EnrollmentSource::StandardInput,
            _ => EnrollmentSource::File(source.clone()),
        });
    crate::machine::raise_file_limit();
    run(ServeOptions {
        config,
        enrollments,
        announce_json: args.announce == Announce::Json,
        ca_out: args.ca_out.clone().or_else(|| {
            // Programs have it in the announcement.
            (args.announce == Announce::Text).then(|| PathBuf::from("fleetstorm-out/ca.pem"))
        }),
        hangup_stops: interrupt::is_hangup_heard(),
    })
    .map_err(refused)
}

fn refused(error: fleetstorm_reference_server::ServeError) -> Failure {
    use fleetstorm_reference_server::ServeError;
    match error {
        ServeError::Listen {
            address,
            ref source,
        } => {
            let failure = Failure::unreachable(error.to_string());
            match advice(address, source.kind()) {
                Some(advice) => failure.hint(advice),
                None => failure,
            }
        }
        _ => Failure::usage(error.to_string()),
    }
}

/// What helps against an address that can't be had.
fn advice(address: SocketAddr, why: io::ErrorKind) -> Option<String> {
    const OTHERS: &str = "--https-port, --mqtt-port and --amqp-port (control-port in the configuration; 0 takes a free one)";
    match why {
        io::ErrorKind::AddrInUse => Some(format!(
            "another process has the port: stop it, or choose another with {OTHERS}"
        )),
        io::ErrorKind::PermissionDenied => Some(format!(
            "this user may not listen on port {0}: as root, sysctl net.ipv4.ip_unprivileged_port_start={0} lets everybody; or choose ports from 1024 on with {OTHERS}",
            address.port()
        )),
        io::ErrorKind::AddrNotAvailable => Some(format!(
            "{} is none of this machine's addresses: choose one with --listen, like 127.0.0.1",
            address.ip()
        )),
        _ => None,
    }
}

/// Starts a bundled server and hands it its enrollments. What it says of
/// trouble goes to `log`.
///
/// # Errors
/// It did not start: with its last words.
pub fn launch(scenario: &Scenario, fleet: &Fleet, log: &Path) -> Result<BundledServer, Failure> {
    let mut config = config_of(scenario);
    let data = restarts(scenario).then(data_folder).transpose()?;
    config.data_dir = data.as_ref().map(|folder| folder.path().to_owned());
    File::create(log).map_err(|e| no_start(&format!("failed to write {}: {e}", log.display())))?;
    let launched = Instant::now();
    let started = Process::start(&text_of(&config)?, log, |lines| {
        enroll(&config.instances, fleet, lines)
    })?;
    let (process, announcement): (Process, Announcement) = started;
    let born = (launched, Instant::now());
    let instances = announcement.instances.iter();
    let id_scopes = instances.map(|instance| IdScope::parse(&instance.id_scope));
    let id_scopes = id_scopes
        .collect::<Result<_, _>>()
        .map_err(|e| no_start(&format!("it announced an unusable id scope: {e}")))?;
    // Whenever it starts again, it is where it was.
    config.https_port = announcement.https.port();
    config.mqtt_port = announcement.mqtt.port();
    config.amqp_port = announcement.amqp.port();
    config.control_port = announcement.control.port();
    Ok(BundledServer {
        config,
        log: log.to_owned(),
        born,
        _data: data,
        announcement,
        id_scopes,
        life: Mutex::new(Life {
            pid: process.pid(),
            process: Some(process),
            before: Counters::default(),
        }),
    })
}

fn restarts(scenario: &Scenario) -> bool {
    let mut actions = scenario.events.iter().map(|event| &event.action);
    actions.any(|action| matches!(action, Action::Server(_)))
}

fn data_folder() -> Result<TempDir, Failure> {
    let made = tempfile::Builder::new()
        .prefix("fleetstorm-data-")
        .tempdir();
    made.map_err(|e| unwritable(&format!("no folder for its data: {e}")))
}

impl BundledServer {
    /// Where devices find it.
    pub fn target(&self) -> Target {
        Target {
            label: format!("{} (bundled server)", self.announcement.global_endpoint),
            endpoint: self.announcement.global_endpoint.clone(),
            id_scopes: self.id_scopes.clone(),
            ports: Ports {
                https: self.announcement.https.port(),
                mqtt: self.announcement.mqtt.port(),
                amqp: self.announcement.amqp.port(),
            },
            dial: DialOptions {
                trust_pem: Some(self.announcement.ca_pem.clone()),
                connect_to: Some(self.announcement.https.ip()),
            },
            hubs: self.announcement.hubs.clone(),
        }
    }

    /// Between which moments its first process started to count its time.
    pub fn born(&self) -> (Instant, Instant) {
        self.born
    }

    /// Its process: the last one, while there is none.
    pub fn pid(&self) -> u32 {
        self.life().pid
    }

    /// Its control endpoint.
    pub fn control(&self) -> Control {
        Control::at(self.announcement.control)
    }

    /// Its instances, as operators use them.
    ///
    /// # Errors
    /// It announced what can't be used.
    pub fn service_sides(&self) -> Result<Vec<ServiceSide>, Failure> {
        let announced = &self.announcement;
        let sides = announced.instances.iter().map(|instance| {
            let connection = &instance.connection_string;
            ServiceSide::new(connection, announced.https, &announced.ca_pem)
        });
        sides
            .collect::<Result<_, _>>()
            .map_err(|e| Failure::bug(format!("the bundled server's service API: {e}")))
    }

    /// Its hubs, in the scenario's order, as operators use them.
    ///
    /// # Errors
    /// It announced what can't be used.
    pub fn hub_sides(&self) -> Result<Vec<HubSide>, Failure> {
        let announced = &self.announcement;
        // Each hub's owner comes first, then the other policies.
        let owners = announced.hub_connection_strings.iter();
        let sides = owners
            .take(announced.hubs.len())
            .map(|connection| HubSide::new(connection, announced.https, &announced.ca_pem));
        sides
            .collect::<Result<_, _>>()
            .map_err(|e| Failure::bug(format!("the bundled server's hubs: {e}")))
    }

    /// Whether it has ended by itself.
    pub fn has_died(&self) -> Option<ExitStatus> {
        self.life().process.as_mut()?.has_died()
    }

    /// Whether it was ended, and has not started again.
    pub fn is_off(&self) -> bool {
        self.life().process.is_none()
    }

    /// Its own counters, of all its lives.
    ///
    /// # Errors
    /// It does not answer, or not with counters.
    pub fn counters(&self) -> Result<Counters, Failure> {
        let mut counters = self.life().before.clone();
        counters += self.counters_of_this_life()?;
        Ok(counters)
    }

    fn counters_of_this_life(&self) -> Result<Counters, Failure> {
        let unread = "the bundled server's counters could not be read";
        let body = self.control().get("/counters");
        let body = body.map_err(|e| Failure::unreachable(format!("{unread}: {e}")))?;
        serde_json::from_slice(&body).map_err(|e| Failure::bug(format!("{unread}: {e}")))
    }

    /// Ends its process, which has to be one that can start again. Returns whether its counters are known: those
    /// that it tells at its end, or, as it is killed, those of the moment before.
    ///
    /// # Errors
    /// It does not run.
    pub fn end(&self, how: End) -> io::Result<bool> {
        let read = match how {
            End::Stop => None,
            End::Kill => self.counters_of_this_life().ok(),
        };
        let process = self.life().process.take();
        let process = process.ok_or_else(|| io::Error::other("it does not run"))?;
        let counted = match how {
            End::Stop => {
                let said = process.stop();
                said.and_then(|line| serde_json::from_str(&line).ok())
            }
            End::Kill => {
                process.kill();
                read
            }
        };
        let is_told = counted.is_some();
        self.life().before += counted.unwrap_or_default();
        Ok(is_told)
    }

    /// Starts it where it was, with what it has kept.
    ///
    /// # Errors
    /// It did not start: with its last words.
    pub fn start_again(&self) -> Result<(), Failure> {
        let config = text_of(&self.config)?;
        // It knows its enrollments, and how they have changed.
        let started = Process::start(&config, &self.log, |_| Ok(()))?;
        let (process, announcement): (Process, Announcement) = started;
        if announcement != self.announcement {
            return Err(no_start("it is another one than before"));
        }
        let mut life = self.life();
        life.pid = process.pid();
        life.process = Some(process);
        Ok(())
    }

    fn life(&self) -> MutexGuard<'_, Life> {
        self.life.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a server can be set up as a scenario says. What can be told by its line, its reader has told.
///
/// # Errors
/// The first key of the server's configuration that can't be used.
pub fn check(scenario: &Scenario) -> Result<(), Failure> {
    let checked = config_of(scenario).check();
    checked.map_err(|e| Failure::usage(format!("the bundled server can't be set up so: {e}")))
}

fn config_of(scenario: &Scenario) -> Config {
    let settings = &scenario.server;
    Config {
        global_endpoint: names::GLOBAL_ENDPOINT.into(),
        hubs: settings
            .hubs
            .iter()
            .map(|hub| HubConfig {
                region: hub.region.clone(),
                ..HubConfig::named(names::hub_host(&hub.name))
            })
            .collect(),
        regions: scenario
            .regions
            .iter()
            .map(|region| RegionConfig {
                name: region.name.clone(),
                prefixes: vec![region.prefix.into()],
                latency: region.latency.clone(),
            })
            .collect(),
        instances: instances_of(scenario),
        seed: scenario.seed,
        ..Config::default()
    }
}

/// The scenario's own, then its tenants', each of a subscription of its own.
fn instances_of(scenario: &Scenario) -> Vec<InstanceConfig> {
    let settings = &scenario.server;
    let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    let paced = |processing: ProcessingTime, retry_after: Duration| InstanceConfig {
        processing_p50_us: micros(processing.p50),
        processing_p99_us: micros(processing.p99),
        retry_after_seconds: u32::try_from(retry_after.as_secs()).unwrap_or(u32::MAX),
        ..InstanceConfig::default()
    };
    let mut id_scopes = names::id_scopes(&scenario.tenants).into_iter();
    let own = InstanceConfig {
        id_scope: id_scopes.next().unwrap_or_default(),
        name: names::OWN_INSTANCE.into(),
        throttle: settings.throttle,
        ..paced(settings.processing, settings.retry_after)
    };
    let tenants = (2..).zip(&scenario.tenants).zip(id_scopes);
    let tenants = tenants.map(|((number, tenant), id_scope)| InstanceConfig {
        id_scope,
        name: names::instance_host(tenant),
        subscription: format!("00000000-0000-0000-0000-{number:012}"),
        hubs: (tenant.hubs.iter())
            .map(|hub| LinkedHubConfig::named(names::hub_host(hub)))
            .collect(),
        throttle: tenant.throttle,
        ..paced(tenant.processing, tenant.retry_after)
    });
    [own].into_iter().chain(tenants).collect()
}

fn text_of(config: &Config) -> Result<String, Failure> {
    toml::to_string(config)
        .map_err(|e| Failure::bug(format!("failed to write the server's configuration: {e}")))
}

/// The lists, one instance's after the other.
fn enroll(instances: &[InstanceConfig], fleet: &Fleet, lines: &mut Pipe) -> io::Result<()> {
    for (tenant, instance) in (tenant::OWN..).zip(instances) {
        if tenant != tenant::OWN {
            fleet::write_heading(lines, &instance.id_scope)?;
        }
        fleet.write_enrollments(lines, tenant)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_helps_depends_on_why_a_port_can_not_be_had() {
        let address = "192.0.2.1:443".parse().expect("an address");
        for (why, words) in [
            (io::ErrorKind::AddrInUse, "another process has the port"),
            (
                io::ErrorKind::PermissionDenied,
                "ip_unprivileged_port_start=443",
            ),
            (
                io::ErrorKind::AddrNotAvailable,
                "192.0.2.1 is none of this machine's",
            ),
        ] {
            let advice = advice(address, why).expect("something helps");
            assert!(advice.contains(words), "{advice}");
        }
        assert_eq!(advice(address, io::ErrorKind::OutOfMemory), None);
    }
}
