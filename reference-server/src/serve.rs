//! A running server: enrollments in, ports open, threads up; and down again.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use fleetstorm_protocol::enrollment::Enrollment;
use fleetstorm_protocol::x509::certificate_from_text;
use jiff::Timestamp;
use tokio::sync::{mpsc, watch};

use crate::accept::{self, CONTROL_PLACES, Listening, Port, Room, Shared};
use crate::config::{CaCertificateConfig, Config, InstanceConfig};
use crate::counters::{Counters, Tally};
use crate::diagnostics::DiagnosticLog;
use crate::fault::Faults;
use crate::fault::outage::Outages;
use crate::hub::access_policy::HubPolicies;
use crate::hub::registry::HubRegistry;
use crate::listen::Host;
use crate::recording::Recorder;
use crate::service::Service;
use crate::service::access::AccessPolicies;
use crate::service::enrollment_list::{Condition, EnrollmentList};
use crate::service::instances::Instances;
use crate::service::issuing::CredentialPolicies;
use crate::service::link::Link;
use crate::store::{Store, StoreError};
use crate::{tls, webhook};

mod announcement;

pub use announcement::{AnnouncedInstance, Announcement};

/// Longest line of an enrollment stream.
const MAX_LINE: u64 = 1 << 20;

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// A port is taken, or the address is not this machine's.
    #[error("failed to listen on {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The configuration can't be used.
    #[error("{key}: {problem}")]
    Config {
        /// The key.
        key: &'static str,
        /// What is wrong, and what to do.
        problem: String,
    },
    /// A file can't be read or written.
    #[error("{}: {problem}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        problem: String,
    },
    /// An enrollment can't be used; later lines were not read.
    #[error("enrollment {line}: {problem}")]
    Enrollment {
        /// Line of the stream, from 1.
        line: u64,
        /// What is wrong.
        problem: String,
    },
    /// A thread or a signal handler can't be had, or nobody reads the announcement.
    #[error("the server could not start: {0}")]
    Start(#[from] io::Error),
}

impl From<StoreError> for ServeError {
    fn from(StoreError { path, problem }: StoreError) -> Self {
        Self::File { path, problem }
    }
}

/// A server that listens. Dropping it stops it.
pub struct Running {
    announcement: Announcement,
    host: Arc<Host>,
    stop: watch::Sender<bool>,
    threads: Vec<JoinHandle<()>>,
}

impl Running {
    /// What it says of itself.
    pub fn announcement(&self) -> &Announcement {
        &self.announcement
    }

    /// What it has counted until now.
    pub fn counters(&self) -> Counters {
        self.host.tally.read()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.host.ready.store(false, Ordering::Release);
        self.stop.send_replace(true);
        for thread in self.threads.drain(..) {
            // A thread that panicked has nothing left to stop.
            let _ = thread.join();
        }
    }
}

/// Starts a server with its enrollments; returns once it listens.
///
/// # Errors
/// See [`ServeError`].
pub fn start(
    config: Config,
    enrollments: impl Iterator<Item = Result<Enrollment, String>>,
) -> Result<Running, ServeError> {
    config.check()?;
    let threads = match config.threads {
        0 => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        threads => threads,
    };
    let https = Listening::on(Port::Https, config.listen, config.https_port, threads)?;
    let mqtt = Listening::on(Port::Mqtt, config.listen, config.mqtt_port, threads)?;
    let amqp = Listening::on(Port::Amqp, config.listen, config.amqp_port, threads)?;
    let control = Listening::on(Port::Control, config.listen, config.control_port, threads)?;
    let store = match &config.data_dir {
        None => Store::default(),
        Some(folder) => Store::in_folder(folder, config.durability)?,
    };
    let tls = tls::prepare(&config, &store)?;
    let recorder = config
        .record_dir
        .as_deref()
        .map(|folder| Recorder::in_folder(folder).map_err(|e| file_error(folder, &e)))
        .transpose()?;
    let hub_names: Vec<_> = config
        .hubs
        .iter()
        .map(|hub| hub.host_name.clone())
        .collect();
    let names = config.instances.iter();
    let names = names.map(|instance| instance.name.as_str());
    let tally = Arc::new(Tally::new(&hub_names).of_instances(names));
    let hubs = config.hubs.iter().map(|hub| {
        let policies = HubPolicies::of(hub, &store)?;
        Ok((hub.host_name.clone(), policies))
    });
    let hubs = hubs.collect::<Result<Vec<_>, ServeError>>()?;
    let hub_connection_strings = connection_strings(&hubs);
    let hubs = HubRegistry::new(hubs, config.kept_messages, Arc::clone(&tally)).kept_in(&store)?;
    let hubs = Arc::new(hubs);
    let (calls, waiting_calls) = mpsc::channel(config.webhook.waiting);
    let mut services = Vec::with_capacity(config.instances.len());
    let mut announced = Vec::with_capacity(config.instances.len());
    let mut stream = Some(enrollments);
    for instance in &config.instances {
        let list = EnrollmentList::new(&Link::all(&config, instance), instance.allocation_policy)
            .with_credential_policies(credential_policies(instance))
            .kept_in(&store, &instance.id_scope)?;
        enter_authorities(instance, &list)?;
        if let Some(path) = &instance.enrollments {
            let file = File::open(path).map_err(|e| file_error(path, &e))?;
            let lines = Lines {
                input: BufReader::new(file),
                until_empty: false,
            };
            enter(lines, &list)?;
        }
        // The stream is the first instance's.
        if let Some(stream) = stream.take() {
            enter(stream, &list)?;
        }
        let access = AccessPolicies::of(instance, &store)?;
        announced.push(AnnouncedInstance {
            id_scope: instance.id_scope.clone(),
            service_endpoint: instance.name.clone(),
            connection_string: access.connection_string().unwrap_or_default(),
        });
        let (hubs, tally) = (Arc::clone(&hubs), Arc::clone(&tally));
        let lists = (list, access);
        let service = Service::new(&config, instance, lists, hubs, calls.clone(), tally);
        let service = service.issuing(CredentialPolicies::of(instance, &store)?);
        services.push(Arc::new(service.kept_in(&store)?));
    }
    store.check()?;
    let announcement = Announcement {
        global_endpoint: config.global_endpoint.clone(),
        instances: announced,
        https: https.address,
        mqtt: mqtt.address,
        amqp: amqp.address,
        control: control.address,
        hubs: hub_names,
        hub_connection_strings,
        ca_pem: tls.ca_pem,
    };
    let diagnostics = config
        .diagnostic_log
        .as_deref()
        .map(|path| DiagnosticLog::to(path).map_err(|e| file_error(path, &e)))
        .transpose()?;
    let faults = Faults::new(&config.faults, &config.regions, config.seed);
    let faults = faults.map_err(|problem| ServeError::Config {
        key: "fault",
        problem,
    })?;
    let places = config.hubs.iter();
    let places = places.map(|hub| (hub.host_name.clone(), hub.region.clone()));
    let shared = Arc::new(Shared {
        host: Arc::new(Host {
            instances: Instances::new(services, Arc::clone(&tally)),
            global_endpoint: config.global_endpoint,
            hubs,
            tally: Arc::clone(&tally),
            limits: config.limits,
            diagnostics,
            faults,
            outages: Outages::new(places),
            store,
            ready: AtomicBool::new(false),
        }),
        tls: tls.config,
        recorder,
        devices: Room::with(config.max_connections),
        control: Room::with(CONTROL_PLACES),
    });
    let (stop, stopped) = watch::channel(false);
    let webhooks = webhook::start(
        &config.webhook,
        waiting_calls,
        Arc::clone(&shared.host),
        stopped.clone(),
    )?;
    let ports = vec![https, mqtt, amqp, control];
    let mut threads = accept::start(&shared, ports, threads, &stopped)?;
    threads.push(webhooks);
    shared.host.ready.store(true, Ordering::Release);
    Ok(Running {
        announcement,
        host: Arc::clone(&shared.host),
        stop,
        threads,
    })
}

/// Names of an instance's credential policies.
fn credential_policies(instance: &InstanceConfig) -> Vec<String> {
    let policies = instance.credential_policies.iter();
    policies.map(|policy| policy.name.clone()).collect()
}

/// Enters the CA certificates of the configuration.
fn enter_authorities(instance: &InstanceConfig, list: &EnrollmentList) -> Result<(), ServeError> {
    for CaCertificateConfig { name, file } in &instance.ca_certificates {
        let failed = |problem: String| ServeError::File {
            path: file.clone(),
            problem,
        };
        let text = std::fs::read_to_string(file).map_err(|e| file_error(file, &e))?;
        let der = certificate_from_text(&text).map_err(|e| failed(e.to_string()))?;
        let (is_verified, now) = (true, Timestamp::now());
        let entered = list
            .authorities()
            .put(name, der, is_verified, Condition::None, now);
        entered.map_err(|e| failed(e.to_string()))?;
    }
    Ok(())
}

/// The owner's of each hub in turn, then all others.
fn connection_strings(hubs: &[(String, HubPolicies)]) -> Vec<String> {
    let of = |(name, policies): &(String, HubPolicies)| {
        policies.connection_strings(name).collect::<Vec<_>>()
    };
    let all: Vec<_> = hubs.iter().map(of).collect();
    let owners = all.iter().flat_map(|strings| strings.first());
    let others = all.iter().flat_map(|strings| strings.iter().skip(1));
    owners.chain(others).cloned().collect()
}

/// Enters enrollments one by one; none that a data folder has heard of.
fn enter(
    enrollments: impl Iterator<Item = Result<Enrollment, String>>,
    list: &EnrollmentList,
) -> Result<(), ServeError> {
    for (line, enrollment) in (1..).zip(enrollments) {
        let wrong = |problem| ServeError::Enrollment { line, problem };
        let enrollment = enrollment.map_err(wrong)?;
        if list.has_heard_of(&enrollment)? {
            continue;
        }
        let put = list.put(&enrollment, Condition::Absent, Timestamp::now());
        put.map_err(|e| wrong(e.to_string()))?;
    }
    Ok(())
}

/// Where enrollments come from: JSON lines, in the form of the service API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EnrollmentSource {
    /// Standard input, up to an empty line. It stays open as a life line: the server ends when it does.
    StandardInput,
    /// A file.
    File(PathBuf),
}

/// What [`run`] is told.
#[derive(Debug, Clone)]
pub struct ServeOptions {
    /// The server.
    pub config: Config,
    /// Who may register; nobody when absent.
    pub enrollments: Option<EnrollmentSource>,
    /// Whether to announce itself as one JSON line, for programs.
    pub announce_json: bool,
    /// Where to write the CA's certificate, for clients.
    pub ca_out: Option<PathBuf>,
}

/// Serves until it is told to stop: by a signal, or by the end of its life line.
///
/// # Errors
/// See [`ServeError`].
pub fn run(options: ServeOptions) -> Result<(), ServeError> {
    let running = match &options.enrollments {
        None => start(options.config, std::iter::empty())?,
        Some(EnrollmentSource::StandardInput) => {
            let lines = Lines {
                input: io::stdin().lock(),
                until_empty: true,
            };
            start(options.config, lines)?
        }
        Some(EnrollmentSource::File(path)) => {
            let file = File::open(path).map_err(|e| file_error(path, &e))?;
            start(
                options.config,
                Lines {
                    input: BufReader::new(file),
                    until_empty: false,
                },
            )?
        }
    };
    let announcement = running.announcement();
    if let Some(path) = &options.ca_out {
        write_ca(path, &announcement.ca_pem).map_err(|e| file_error(path, &e))?;
    }
    let mut out = io::stdout().lock();
    if options.announce_json {
        announcement.write_json(&mut out)?;
    } else {
        let ca_file = options.ca_out.as_deref();
        announcement.write_text(&mut out, ca_file, options.enrollments.is_some())?;
    }
    out.flush()?;
    drop(out);
    if options.enrollments == Some(EnrollmentSource::StandardInput) {
        io::copy(&mut io::stdin().lock(), &mut io::sink())?;
        return Ok(());
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut terminated =
            tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
        tokio::select! {
            interrupted = tokio::signal::ctrl_c() => interrupted,
            _ = terminated.recv() => Ok(()),
        }
    })?;
    Ok(())
}

/// The CA's certificate, in a folder that is made if need be.
fn write_ca(path: &Path, pem: &str) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::write(path, pem)
}

fn file_error(path: &Path, problem: &io::Error) -> ServeError {
    ServeError::File {
        path: path.to_owned(),
        problem: problem.to_string(),
    }
}

/// Enrollments line by line.
struct Lines<Input> {
    input: Input,
    until_empty: bool,
}

impl<Input: BufRead> Iterator for Lines<Input> {
    type Item = Result<Enrollment, String>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let mut line = Vec::new();
            match (&mut self.input)
                .take(MAX_LINE)
                .read_until(b'\n', &mut line)
            {
                Ok(0) => return None,
                Ok(_) if line.trim_ascii().is_empty() && self.until_empty => return None,
                Ok(_) if line.trim_ascii().is_empty() => {}
                Ok(_) => {
                    let text = String::from_utf8(line).map_err(|_| "is not UTF-8".to_owned());
                    return Some(
                        text.and_then(|text| {
                            Enrollment::from_json(&text).map_err(|e| e.to_string())
                        }),
                    );
                }
                Err(error) => return Some(Err(error.to_string())),
            }
        }
    }
}
