//! A running server: enrollments in, ports open, threads up; and down again.

use std::fs::Permissions;
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use fleetstorm_protocol::x509::{certificate_from_text, check_validity};
use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot, watch};

use crate::accept::{self, Listening, Port, Shared};
use crate::api_versions::ApiVersions;
use crate::config::Config;
use crate::connection_limit::ConnectionLimit;
use crate::counters::{Counters, LiveCounters};
use crate::diagnostics::DiagnosticLog;
use crate::error::{ServeError, file_error};
use crate::fault::Faults;
use crate::fault::outage::Outages;
use crate::hub::access_policy::HubPolicies;
use crate::hub::assignment::LinkedRegistry;
use crate::hub::hubs::Hubs;
use crate::listen::server::Server;
use crate::recording::Recorder;
use crate::service::Service;
use crate::service::access::AccessPolicies;
use crate::service::config::{CaCertificateConfig, InstanceConfig};
use crate::service::enrollment_list::EnrollmentList;
use crate::service::enrollment_list::condition::Condition;
use crate::service::instances::Instances;
use crate::service::issuing::CredentialPolicies;
use crate::service::linked_hub::LinkedHub;
use crate::store::Store;
use crate::{completions, tls, webhook_calls};

mod announcement;
mod enrollment_lines;
mod signals;

pub use announcement::{AnnouncedInstance, Announcement};
use enrollment_lines::Lines;
pub use enrollment_lines::{EnrollmentSource, ListLine};
use signals::Signals;

/// A server that listens. Dropping it stops it.
pub struct Running {
    announcement: Announcement,
    server: Arc<Server>,
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
        self.server.tally.read()
    }

    /// Stops it; what it has counted in its life.
    pub fn stop(self) -> Counters {
        let server = Arc::clone(&self.server);
        drop(self);
        server.tally.read()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.server.ready.store(false, Ordering::Release);
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
    enrollments: impl Iterator<Item = Result<ListLine, String>>,
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
    let tally = Arc::new(LiveCounters::new(&hub_names).of_instances(names));
    let hubs = config.hubs.iter().map(|hub| {
        let policies = HubPolicies::of(hub, &store)?;
        Ok((hub.host_name.clone(), policies))
    });
    let hubs = hubs.collect::<Result<Vec<_>, ServeError>>()?;
    let hub_connection_strings = connection_strings(&hubs);
    let hubs = Hubs::new(hubs, config.kept_messages, &tally, &store)?;
    let (calls, waiting_calls) = mpsc::channel(config.webhook.waiting);
    let mut services = Vec::with_capacity(config.instances.len());
    let mut announced = Vec::with_capacity(config.instances.len());
    let mut lists = Vec::with_capacity(config.instances.len());
    for instance in &config.instances {
        let list = EnrollmentList::new(
            &LinkedHub::all(config.settings(), instance),
            instance.allocation_policy,
        )
        .with_credential_policies(credential_policies(instance))
        .with_api_versions(ApiVersions::of_dps(&config.api_versions))
        .kept_in(&store, &instance.id_scope)?;
        enter_authorities(instance, &list)?;
        lists.push((instance.id_scope.as_str(), list));
    }
    enrollment_lines::enter_files(&config.instances, &lists)?;
    enrollment_lines::enter(enrollments, &lists)?;
    for (instance, (_, list)) in config.instances.iter().zip(lists) {
        let access = AccessPolicies::of(instance, &store)?;
        announced.push(AnnouncedInstance {
            id_scope: instance.id_scope.clone(),
            service_endpoint: instance.name.clone(),
            connection_string: access.connection_string().unwrap_or_default(),
        });
        let linked = hubs
            .iter()
            .map(|hub| Arc::clone(hub) as Arc<dyn LinkedRegistry>);
        let (linked, tally) = (linked.collect(), Arc::clone(&tally));
        let lists = (list, access);
        let service = Service::new(
            config.settings(),
            instance,
            lists,
            linked,
            calls.clone(),
            tally,
        );
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
        .transpose()?
        .map(Arc::new);
    let faults = Faults::new(&config.faults, &config.regions, config.seed);
    let faults = faults.map_err(|problem| ServeError::Config {
        key: "fault",
        problem,
    })?;
    let places = config.hubs.iter();
    let places = places.map(|hub| (hub.host_name.clone(), hub.region.clone()));
    let devices = ConnectionLimit::for_devices(&config, threads)?;
    let shared = Arc::new(Shared {
        server: Arc::new(Server {
            instances: Arc::new(Instances::new(services, Arc::clone(&tally))),
            hub_versions: ApiVersions::of_hubs(&config.api_versions),
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
        devices,
    });
    let (stop, stopped) = watch::channel(false);
    let webhooks = webhook_calls::start(
        &config.webhook,
        waiting_calls,
        Arc::clone(&shared.server.instances),
        shared.server.diagnostics.clone(),
        stopped.clone(),
    )?;
    let completions = completions::start(&shared.server.instances, stopped.clone())?;
    let ports = vec![https, mqtt, amqp, control];
    let mut threads = accept::start(&shared, ports, threads, &stopped)?;
    threads.extend([webhooks, completions]);
    shared.server.ready.store(true, Ordering::Release);
    Ok(Running {
        announcement,
        server: Arc::clone(&shared.server),
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
        check_validity(&der, now).map_err(|e| failed(e.to_string()))?;
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

/// What [`run`] is told.
#[derive(Debug, Clone)]
pub struct ServeOptions {
    /// The server.
    pub config: Config,
    /// Who may register; nobody when absent.
    pub enrollments: Option<EnrollmentSource>,
    /// Whether to announce itself as one JSON line, for programs; one that is ended by its life line says
    /// in another one what it has counted.
    pub announce_json: bool,
    /// Where to write the CA's certificate, for clients.
    pub ca_out: Option<PathBuf>,
    /// Whether SIGHUP ends it, as SIGTERM does: not where it was started to outlive its terminal.
    pub hangup_stops: bool,
}

/// How long the last words of a server may take.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Serves until it is told to stop: by a signal, also while it starts, or by the end of its life line.
///
/// # Errors
/// See [`ServeError`].
pub fn run(options: ServeOptions) -> Result<(), ServeError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(serve(options))
}

async fn serve(options: ServeOptions) -> Result<(), ServeError> {
    // Before anything is said: whoever hears that it listens may tell it to stop.
    let mut signals = Signals::listen(options.hangup_stops)?;
    let given = options.clone();
    let running = tokio::select! {
        running = aside("start", move || started(given)) => running??,
        () = signals.told_to_stop() => return Ok(()),
    };
    let (announcement, given) = (running.announcement().clone(), options.clone());
    let hangs_on = options.enrollments == Some(EnrollmentSource::StandardInput);
    let until_told = async {
        aside("announce", move || tell(&announcement, &given)).await??;
        if !hangs_on {
            std::future::pending::<()>().await;
        }
        // However it ends.
        let end = || io::copy(&mut io::stdin().lock(), &mut io::sink());
        aside("life-line", end).await?.ok();
        Ok::<_, ServeError>(())
    };
    tokio::select! {
        ended = until_told => ended?,
        () = signals.told_to_stop() => {}
    }
    let counters = running.stop();
    if hangs_on && options.announce_json {
        // Whoever had it announced may be gone with the life line, or read no more.
        let say = move || writeln!(standard_output(), "{}", serde_json::json!(counters));
        let _ = tokio::time::timeout(LAST_WORDS, aside("counters", say)).await;
    }
    Ok(())
}

/// Does what may last for ever on a thread of its own, which is left alone where it is not waited for.
async fn aside<Done: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> Done + Send + 'static,
) -> io::Result<Done> {
    let (tell, told) = oneshot::channel();
    let thread = std::thread::Builder::new().name(name.into());
    thread.spawn(move || {
        // Nobody may wait for it any more.
        let _ = tell.send(work());
    })?;
    told.await
        .map_err(|_| io::Error::other("a thread panicked"))
}

/// Starts with the enrollments that are given.
fn started(options: ServeOptions) -> Result<Running, ServeError> {
    match &options.enrollments {
        Some(EnrollmentSource::File(path)) => start(options.config, Lines::of_file(path)?),
        Some(EnrollmentSource::StandardInput) => {
            let lines = Lines::up_to_an_empty_one(io::stdin().lock());
            start(options.config, lines)
        }
        None => start(options.config, std::iter::empty()),
    }
}

/// Tells the world of one that listens.
fn tell(announcement: &Announcement, options: &ServeOptions) -> Result<(), ServeError> {
    if let Some(path) = &options.ca_out {
        write_ca(path, &announcement.ca_pem).map_err(|e| file_error(path, &e))?;
    }
    Ok(announce(announcement, options)?)
}

/// Says where it listens. A program that can't be told is none that would use it; people have other ways
/// to know.
fn announce(announcement: &Announcement, options: &ServeOptions) -> io::Result<()> {
    let mut out = standard_output().lock();
    if options.announce_json {
        announcement.write_json(&mut out)?;
        return out.flush();
    }
    let ca_file = options.ca_out.as_deref();
    let told = announcement
        .write_text(&mut out, ca_file, options.enrollments.is_some())
        .and_then(|()| out.flush());
    if let Err(problem) = told {
        let _ = writeln!(
            io::stderr(),
            "the server listens, which can't be said on standard output: {problem}"
        );
    }
    Ok(())
}

#[expect(
    clippy::disallowed_methods,
    reason = "failed writes are handled where they are made"
)]
fn standard_output() -> io::Stdout {
    io::stdout()
}

/// The CA's certificate, in a folder that is made if need be: for everybody to read, and whole or as it was.
fn write_ca(path: &Path, pem: &str) -> io::Result<()> {
    let folder = path.parent().filter(|folder| *folder != Path::new(""));
    let folder = folder.unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)?;
    if path.exists() && !path.is_file() {
        return std::fs::write(path, pem);
    }
    let mut draft = tempfile::Builder::new()
        .permissions(Permissions::from_mode(0o644))
        .tempfile_in(folder)?;
    draft.write_all(pem.as_bytes())?;
    draft.persist(path)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn a_certificate_is_replaced_whole_and_for_everybody_to_read() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("new").join("ca.pem");
        write_ca(&path, "an older one").expect("a new folder");
        let mut reading = std::fs::File::open(&path).expect("there");
        write_ca(&path, "another").expect("in its place");
        let mut read = String::new();
        reading.read_to_string(&mut read).expect("UTF-8");
        assert_eq!(read, "an older one", "who reads has one of them");
        assert_eq!(std::fs::read_to_string(&path).expect("there"), "another");
        let mode = path.metadata().expect("there").permissions().mode();
        assert_eq!(mode & 0o044, 0o044, "{mode:o}");
        let left = std::fs::read_dir(path.parent().expect("a folder"));
        assert_eq!(left.expect("there").count(), 1);
    }
}
