//! The bundled server as a child process: the only file that names the server's crate.
//!
//! The child is this same binary as `fleetstorm serve`; devices tell it from a
//! real endpoint by nothing but its address, and its CPU and memory are
//! measured apart. Its standard input carries the enrollment list, an empty
//! line, and then stays open as the life line: the server ends when it closes.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use fleetstorm_protocol::ids::IdScope;
use fleetstorm_reference_server::{
    Announcement, Config, HubConfig, InstanceConfig, LinkedHub, RegionConfig,
};
use fleetstorm_scenarios::{Ports, Scenario, tenant};

use crate::cli::{Announce, ServeArgs};
use crate::control::Control;
use crate::failure::Failure;
use crate::fleet::{self, Fleet};
use crate::link::dial::DialOptions;
use crate::service_side::ServiceSide;
use crate::target::Target;

pub use fleetstorm_reference_server::Counters;

/// How long an idle child may take to announce itself once it has its enrollments.
const START_LIMIT: Duration = Duration::from_secs(60);
/// How long a child may take to end once its life line is cut.
const STOP_LIMIT: Duration = Duration::from_secs(5);
/// Longest line that it announces itself with.
const MAX_ANNOUNCEMENT: u64 = 1 << 20;

/// A bundled server that listens. Dropping it stops it.
#[derive(Debug)]
pub struct BundledServer {
    child: Child,
    life_line: Option<ChildStdin>,
    announcement: Announcement,
    /// By instance.
    id_scopes: Vec<IdScope>,
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
    })
    .map_err(refused)
}

fn refused(error: fleetstorm_reference_server::ServeError) -> Failure {
    use fleetstorm_reference_server::ServeError;
    match error {
        ServeError::Listen { .. } => Failure::unreachable(error.to_string())
            .hint("another process has the port: stop it, or choose another with --https-port, --mqtt-port and --amqp-port (0 takes a free one)"),
        _ => Failure::usage(error.to_string()),
    }
}

/// Starts a bundled server and hands it its enrollments. What it says of
/// trouble goes to `log`.
///
/// # Errors
/// It did not start: with its last words.
pub fn launch(scenario: &Scenario, fleet: &Fleet, log: &Path) -> Result<BundledServer, Failure> {
    let config = config_of(scenario);
    let config_file = write_config(&config)?;
    let program = std::env::current_exe()
        .map_err(|e| no_start(&format!("failed to find this program: {e}")))?;
    let log_file = File::create(log)
        .map_err(|e| no_start(&format!("failed to write {}: {e}", log.display())))?;
    let mut child = Command::new(program)
        .args([
            "serve",
            "--announce",
            "json",
            "--enrollments",
            "-",
            "--config",
        ])
        .arg(&config_file)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(log_file)
        // Ctrl-C is for the run: the server ends with its life line.
        .process_group(0)
        .spawn()
        .map_err(|e| no_start(&format!("failed to start a process: {e}")))?;

    let handed_over = hand_over(child.stdin.take(), &config.instances, fleet);
    let announced = announcement_of(&mut child);
    let _ = std::fs::remove_file(&config_file);
    match (handed_over, announced) {
        (Ok(life_line), Ok(announcement)) => {
            let instances = announcement.instances.iter();
            let id_scopes = instances.map(|instance| IdScope::parse(&instance.id_scope));
            let id_scopes = id_scopes
                .collect::<Result<_, _>>()
                .map_err(|e| no_start(&format!("it announced an unusable id scope: {e}")))?;
            Ok(BundledServer {
                child,
                life_line: Some(life_line),
                announcement,
                id_scopes,
            })
        }
        (handed_over, announced) => {
            let _ = child.kill();
            let status = child.wait().ok();
            let problem = [announced.err(), handed_over.err()]
                .into_iter()
                .flatten()
                .next();
            Err(no_start(&last_words(log, status, problem)))
        }
    }
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

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
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

    /// Whether it has ended by itself.
    pub fn has_died(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Its own counters.
    ///
    /// # Errors
    /// It does not answer, or not with counters.
    pub fn counters(&self) -> Result<Counters, Failure> {
        let body = self.control().get("/counters").map_err(|e| {
            Failure::unreachable(format!(
                "the bundled server's counters could not be read: {e}"
            ))
        })?;
        serde_json::from_slice(&body).map_err(|e| {
            Failure::bug(format!(
                "the bundled server's counters could not be read: {e}"
            ))
        })
    }

    fn stop(&mut self) {
        drop(self.life_line.take());
        let asked = Instant::now();
        while asked.elapsed() < STOP_LIMIT {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for BundledServer {
    fn drop(&mut self) {
        self.stop();
    }
}

fn config_of(scenario: &Scenario) -> Config {
    let settings = &scenario.server;
    Config {
        hubs: settings
            .hubs
            .iter()
            .map(|hub| HubConfig {
                region: hub.region.clone(),
                ..HubConfig::named(fleet::hub_host(&hub.name))
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
    let own = InstanceConfig {
        processing_p50_us: micros(settings.processing.p50),
        processing_p99_us: micros(settings.processing.p99),
        retry_after_seconds: u32::try_from(settings.retry_after.as_secs()).unwrap_or(u32::MAX),
        throttle: settings.throttle,
        ..InstanceConfig::default()
    };
    let tenants = (2..).zip(&scenario.tenants).map(|(number, tenant)| {
        let id_scope = tenant.id_scope.clone();
        InstanceConfig {
            id_scope: id_scope.unwrap_or_else(|| format!("0ne{number:08}")),
            name: format!("{}.dps.fleetstorm.test", tenant.name),
            subscription: format!("00000000-0000-0000-0000-{number:012}"),
            hubs: (tenant.hubs.iter())
                .map(|hub| LinkedHub::named(fleet::hub_host(hub)))
                .collect(),
            throttle: tenant.throttle,
            ..own.clone()
        }
    });
    [own.clone()].into_iter().chain(tenants).collect()
}

fn write_config(config: &Config) -> Result<PathBuf, Failure> {
    let text = toml::to_string(config)
        .map_err(|e| Failure::bug(format!("failed to write the server's configuration: {e}")))?;
    let path =
        std::env::temp_dir().join(format!("fleetstorm-server-{}.toml", uuid::Uuid::new_v4()));
    std::fs::write(&path, text)
        .map_err(|e| no_start(&format!("failed to write {}: {e}", path.display())))?;
    Ok(path)
}

/// Streams the lists, one instance's after the other; the pipe stays open.
fn hand_over(
    pipe: Option<ChildStdin>,
    instances: &[InstanceConfig],
    fleet: &Fleet,
) -> Result<ChildStdin, String> {
    let pipe = pipe.ok_or("it has no standard input")?;
    let mut lines = BufWriter::with_capacity(1 << 16, pipe);
    let failed = |e: std::io::Error| format!("failed to hand over an enrollment: {e}");
    for (tenant, instance) in (tenant::OWN..).zip(instances) {
        if tenant != tenant::OWN {
            fleet::write_heading(&mut lines, &instance.id_scope).map_err(failed)?;
        }
        fleet
            .write_enrollments(&mut lines, tenant)
            .map_err(failed)?;
    }
    lines
        .write_all(b"\n")
        .map_err(|e| format!("failed to end the enrollments: {e}"))?;
    lines
        .into_inner()
        .map_err(|e| format!("failed to end the enrollments: {}", e.error()))
}

fn announcement_of(child: &mut Child) -> Result<Announcement, String> {
    let output = child.stdout.take().ok_or("it has no standard output")?;
    let (sender, line) = channel();
    std::thread::spawn(move || {
        let mut text = String::new();
        let _ = BufReader::new(output.take(MAX_ANNOUNCEMENT)).read_line(&mut text);
        let _ = sender.send(text);
    });
    match line.recv_timeout(START_LIMIT) {
        Ok(text) if text.is_empty() => Err("it ended before it listened".into()),
        Ok(text) => serde_json::from_str(&text)
            .map_err(|e| format!("it announced itself in an unknown form: {e}")),
        Err(RecvTimeoutError::Timeout) => Err(format!(
            "it did not listen within {} s",
            START_LIMIT.as_secs()
        )),
        Err(RecvTimeoutError::Disconnected) => Err("it said nothing".into()),
    }
}

fn last_words(log: &Path, status: Option<ExitStatus>, problem: Option<String>) -> String {
    let said = std::fs::read_to_string(log).unwrap_or_default();
    let said = said.trim().trim_start_matches("error: ");
    if !said.is_empty() {
        return said.to_owned();
    }
    match (problem, status) {
        (Some(problem), _) => problem,
        (None, Some(status)) => format!("it ended with {status}"),
        (None, None) => "it gave no reason".into(),
    }
}

fn no_start(problem: &str) -> Failure {
    Failure::unreachable(format!("the bundled server did not start: {problem}"))
}
