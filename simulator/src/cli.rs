//! The command line.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use fleetstorm_scenarios::endpoint::{self, NoHost};
use fleetstorm_scenarios::{Overrides, Ports, Target};

use crate::failure::Failure;
use crate::output::Output;

const EXAMPLES: &str = "\
Examples:
  fleetstorm run scenarios/smoke.toml
  fleetstorm plan scenarios/smoke.toml --devices 10000000
  fleetstorm run scenarios/ramp.toml --devices 20000 --out ./reports/ramp
  fleetstorm run scenarios/smoke.toml --endpoint global.azure-devices-provisioning.net \\
      --id-scope 0ne00111111 --yes-load-test global.azure-devices-provisioning.net
  fleetstorm compare ./reports/monday ./reports/tuesday
  fleetstorm serve --standard-ports --enrollments list.jsonl --ca-out ca.pem

Exit codes:
  0 pass   2 usage or scenario   3 target unreachable or server did not start
  4 nothing provisioned   5 result could not be written   97 worse than the baseline
  98 invalid run   99 thresholds crossed   130 interrupted   1 a bug";

/// Load tester and device-fleet simulator for the Azure IoT Hub Device Provisioning Service.
#[derive(Debug, Parser)]
#[command(name = "fleetstorm", version, after_help = EXAMPLES, max_term_width = 110)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Drive a scenario's fleet through provisioning, and judge the result
    Run(Box<RunArgs>),
    /// Run the reference server: DPS and its hubs
    Serve(ServeArgs),
    /// Check scenario files and say what they would do
    Validate(ValidateArgs),
    /// Say what a run would be like, before a packet is sent
    Plan(Box<PlanArgs>),
    /// Print the JSON Schema of scenario files, for editors
    Schema,
    /// Show the result in a report folder again, and make its files anew
    Report(ReportArgs),
    /// Compare runs with a baseline, and say whether they are worse
    Compare(CompareArgs),
    /// Write a scenario's enrollment list as JSON lines
    Enrollments(EnrollmentsArgs),
    /// Measure what a device costs, beside the bare ceiling
    Bench(BenchArgs),
    /// Write completions for a shell
    Completions {
        /// Which shell.
        shell: Shell,
    },
    /// The other end of the bench's bare exchange
    #[command(hide = true)]
    BareResponder,
    /// One cell of the bench's held connections
    #[command(hide = true)]
    BenchHeld(HeldArgs),
}

/// `fleetstorm run`.
#[derive(Debug, Args)]
#[command(after_help = "Ctrl-C once stops gently and writes the report; twice leaves.")]
pub struct RunArgs {
    /// The scenario file
    pub scenario: PathBuf,
    /// What goes over the scenario file.
    #[command(flatten)]
    pub over: OverrideArgs,
    /// Folder for the report [default: ./fleetstorm-out/SCENARIO-TIME]
    #[arg(long, value_name = "FOLDER")]
    pub out: Option<PathBuf>,
    /// Let the report take the place of another scenario's
    #[arg(long, requires = "out")]
    pub force: bool,
    /// The terminal UI
    #[arg(long, value_enum, default_value_t = TuiMode::Auto, value_name = "WHEN")]
    pub tui: TuiMode,
    /// Keep every device's record in the report folder
    #[arg(long)]
    pub journal: bool,
    /// Write the result for other tools as well, once for each or by commas: junit, markdown, csv, hgrm,
    /// hlog, prometheus; into the report folder, or to PATH. Markdown is shown on the page of a step of GitHub Actions, too
    #[arg(long, value_name = "FORMAT[=PATH]", value_delimiter = ',')]
    pub output: Vec<Output>,
    /// Compare the result with this run, and end with 97 if it is worse; once for each of several
    #[arg(long, value_name = "RUN")]
    pub baseline: Vec<PathBuf>,
    /// With --baseline, the smallest change that counts, of the baseline's figure
    #[arg(long, value_name = "PERCENT", default_value = "5%", value_parser = percent, requires = "baseline")]
    pub tolerance: f64,
    /// Your word that you may load this host, where it is not this machine
    #[arg(long, value_name = "HOST")]
    pub yes_load_test: Option<String>,
    /// Another endpoint than the scenario's.
    #[command(flatten)]
    pub target: TargetArgs,
}

/// What the command line changes in a scenario.
#[derive(Debug, Args)]
pub struct OverrideArgs {
    /// Devices in all, shared out among the cohorts as in the scenario
    #[arg(long, value_name = "N")]
    pub devices: Option<u64>,
    /// What identities and schedule derive from
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Release devices for this long and no longer, like 90s or 5m
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub duration: Option<Duration>,
    /// So many seconds of the scenario pass in one: its arrivals, events, holds, telemetry and windows
    #[arg(long, value_name = "TIMES")]
    pub time_scale: Option<f64>,
    /// Devices a second, instead of the scenario's arrivals
    #[arg(long, value_name = "PER_SECOND", value_parser = rate)]
    pub rate: Option<f64>,
}

impl OverrideArgs {
    /// For the plan.
    pub fn overrides(&self) -> Overrides {
        Overrides {
            devices: self.devices,
            seed: self.seed,
            duration: self.duration,
            time_scale: self.time_scale,
            rate: self.rate,
        }
    }
}

/// When to show the terminal UI.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum TuiMode {
    /// On a terminal
    Auto,
    /// In any case
    Always,
    /// A plain line a second
    Never,
}

/// Flags that name another endpoint.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Target (default: the scenario's, or the bundled server)")]
pub struct TargetArgs {
    /// Host name of the DPS global endpoint
    #[arg(long, value_name = "HOST")]
    pub endpoint: Option<String>,
    /// The instance
    #[arg(long, value_name = "SCOPE")]
    pub id_scope: Option<String>,
    /// Trust the CAs in this PEM file instead of the system's
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,
    /// Connect to this address, whatever names resolve to
    #[arg(long, value_name = "ADDRESS")]
    pub connect_to: Option<IpAddr>,
    /// Port of HTTPS [default: 443]
    #[arg(long, value_name = "PORT")]
    pub https_port: Option<u16>,
    /// Port of MQTT [default: 8883]
    #[arg(long, value_name = "PORT")]
    pub mqtt_port: Option<u16>,
    /// Port of AMQP [default: 5671]
    #[arg(long, value_name = "PORT")]
    pub amqp_port: Option<u16>,
    /// Host name of one of its hubs, once for each, so that journal and report tell them apart
    #[arg(long = "hub", value_name = "HOST")]
    pub hubs: Vec<String>,
}

/// `fleetstorm serve`.
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// Configuration (TOML)
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Enrollment list, JSON lines as the service API takes them; - reads standard input up to an
    /// empty line, and serves until it ends
    #[arg(long, value_name = "FILE")]
    pub enrollments: Option<PathBuf>,
    /// How to say that it listens
    #[arg(long, value_enum, default_value_t = Announce::Text, value_name = "FORM")]
    pub announce: Announce,
    /// Append a diagnostic record for each operation to this file, JSON lines as Azure exports
    /// them; - is standard output
    #[arg(long, value_name = "FILE")]
    pub diagnostic_log: Option<PathBuf>,
    /// Keep enrollments, registrations and the hubs' devices in this folder, so that they outlive the
    /// server; in memory when left out
    #[arg(long, value_name = "FOLDER")]
    pub data_dir: Option<PathBuf>,
    /// Write the CA's certificate here, for clients to trust [default: ./fleetstorm-out/ca.pem, announced
    /// as text]
    #[arg(long, value_name = "FILE")]
    pub ca_out: Option<PathBuf>,
    /// Address to listen on
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Option<IpAddr>,
    /// The ports that Microsoft's SDKs keep to: 443, 8883 and 5671
    #[arg(long, conflicts_with_all = ["https_port", "mqtt_port", "amqp_port"])]
    pub standard_ports: bool,
    /// HTTPS port; 0 takes a free one
    #[arg(long, value_name = "PORT")]
    pub https_port: Option<u16>,
    /// MQTT port; 0 takes a free one
    #[arg(long, value_name = "PORT")]
    pub mqtt_port: Option<u16>,
    /// AMQP port; 0 takes a free one
    #[arg(long, value_name = "PORT")]
    pub amqp_port: Option<u16>,
    /// Write every conversation here, decrypted, tokens and keys included
    #[arg(long, value_name = "FOLDER")]
    pub record: Option<PathBuf>,
}

/// How a server says that it listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Announce {
    /// For people
    Text,
    /// One line of JSON
    Json,
}

/// `fleetstorm validate`.
#[derive(Debug, Args)]
pub struct ValidateArgs {
    /// Scenario files
    #[arg(required = true)]
    pub scenarios: Vec<PathBuf>,
}

/// `fleetstorm plan`.
#[derive(Debug, Args)]
pub struct PlanArgs {
    /// The scenario file
    pub scenario: PathBuf,
    /// What goes over the scenario file.
    #[command(flatten)]
    pub over: OverrideArgs,
    /// Second of a minute at which the run starts: the service counts by the minute of its clock
    #[arg(long, value_name = "SECOND", value_parser = clap::value_parser!(u8).range(0..60))]
    pub starts_at: Option<u8>,
    /// Compare with the run that left this report folder, as if started at the same second of a minute;
    /// a run with --journal tells about storms, too
    #[arg(long, value_name = "FOLDER", conflicts_with = "starts_at")]
    pub compare: Option<PathBuf>,
    /// Measure how fast this machine is, for some seconds, instead of taking the written-down costs
    #[arg(long, conflicts_with = "ideal_machine")]
    pub calibrate: bool,
    /// As if this machine had cores without end: the fleet against the service alone
    #[arg(long)]
    pub ideal_machine: bool,
    /// One JSON object instead of plots and tables
    #[arg(long)]
    pub json: bool,
    /// Another endpoint than the scenario's: it has the documented rates.
    #[command(flatten)]
    pub target: TargetArgs,
}

/// `fleetstorm report`.
#[derive(Debug, Args)]
pub struct ReportArgs {
    /// A folder that a run has written
    pub folder: PathBuf,
    /// Write the result for other tools as well, as run does: junit, markdown, csv, hgrm, hlog,
    /// prometheus
    #[arg(long, value_name = "FORMAT[=PATH]", value_delimiter = ',')]
    pub output: Vec<Output>,
}

/// `fleetstorm compare`.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes: 0 the same or better, 97 worse, 98 not comparable or too few devices to tell."
)]
pub struct CompareArgs {
    /// The run to compare with: a report folder, or its summary.json
    pub baseline: PathBuf,
    /// The runs to compare
    #[arg(required = true, value_name = "RUN")]
    pub candidates: Vec<PathBuf>,
    /// Another run to compare with: what is worse must be worse than each
    #[arg(long = "baseline", value_name = "RUN")]
    pub more_baselines: Vec<PathBuf>,
    /// The smallest change that counts, of the baseline's figure
    #[arg(long, value_name = "PERCENT", default_value = "5%", value_parser = percent)]
    pub tolerance: f64,
    /// How to say it
    #[arg(long, value_enum, default_value_t = CompareFormat::Text, value_name = "FORM")]
    pub format: CompareFormat,
}

/// How a comparison is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CompareFormat {
    /// A table
    Text,
    /// For the page of a pull request
    Markdown,
    /// For programs; reports/comparison.schema.json has its schema
    Json,
}

/// `fleetstorm enrollments`.
#[derive(Debug, Args)]
pub struct EnrollmentsArgs {
    /// The scenario file
    pub scenario: PathBuf,
    /// The list of this tenant, instead of that of the cohorts without one
    #[arg(long, value_name = "NAME")]
    pub tenant: Option<String>,
    /// Devices in all
    #[arg(long, value_name = "N")]
    pub devices: Option<u64>,
    /// What identities derive from
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// File to write [default: standard output]
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// `fleetstorm bench`.
#[derive(Debug, Args)]
pub struct BenchArgs {
    /// Devices for each measurement
    #[arg(long, value_name = "N", default_value_t = 5_000, value_parser = clap::value_parser!(u32).range(100..=10_000))]
    pub devices: u32,
    /// Every attestation over every transport, and what a held connection weighs
    #[arg(long)]
    pub cells: bool,
    /// One JSON object instead of a table
    #[arg(long)]
    pub json: bool,
}

/// `fleetstorm bench-held`.
#[derive(Debug, Args)]
pub struct HeldArgs {
    /// Index of the bench's cohort.
    #[arg(long)]
    pub cohort: u16,
    /// What its devices speak.
    #[arg(long)]
    pub transport: String,
}

impl TargetArgs {
    /// The scenario's target with these flags over it.
    ///
    /// # Errors
    /// Flags that say something of a target that nobody names.
    pub fn over(&self, of_scenario: Option<Target>) -> Result<Option<Target>, Failure> {
        let target = match (&self.endpoint, of_scenario) {
            (Some(endpoint), known) => {
                endpoint::check(endpoint).map_err(|NoHost { problem, advice }| {
                    Failure::usage(format!("--endpoint: {problem}")).hint(advice)
                })?;
                let id_scope = self
                    .id_scope
                    .clone()
                    .or_else(|| Some(known.as_ref()?.id_scope.clone()));
                let id_scope = id_scope.ok_or_else(|| {
                    Failure::usage("--endpoint needs to know the instance")
                        .hint("add --id-scope SCOPE")
                })?;
                // Whom to trust and where to connect belong to the host they were written for.
                Target {
                    endpoint: endpoint.clone(),
                    id_scope,
                    ca: None,
                    connect_to: None,
                    ports: Ports::default(),
                }
            }
            (None, Some(known)) => known,
            (None, None) => return self.without_endpoint().map(|()| None),
        };
        Ok(Some(Target {
            id_scope: self.id_scope.clone().unwrap_or(target.id_scope),
            ca: self.ca.clone().or(target.ca),
            connect_to: self.connect_to.or(target.connect_to),
            ports: Ports {
                https: self.https_port.unwrap_or(target.ports.https),
                mqtt: self.mqtt_port.unwrap_or(target.ports.mqtt),
                amqp: self.amqp_port.unwrap_or(target.ports.amqp),
            },
            endpoint: target.endpoint,
        }))
    }

    fn without_endpoint(&self) -> Result<(), Failure> {
        let given = [
            ("--id-scope", self.id_scope.is_some()),
            ("--ca", self.ca.is_some()),
            ("--connect-to", self.connect_to.is_some()),
            ("--https-port", self.https_port.is_some()),
            ("--mqtt-port", self.mqtt_port.is_some()),
            ("--amqp-port", self.amqp_port.is_some()),
            ("--hub", !self.hubs.is_empty()),
        ];
        match given.into_iter().find(|(_, given)| *given) {
            None => Ok(()),
            Some((flag, _)) => Err(Failure::usage(format!(
                "{flag} says something of a target, and none is named"
            ))
            .hint("add --endpoint HOST, or leave it out to use the bundled server")),
        }
    }
}

/// Like `90s`, `5m`, `1h30m`.
fn duration(text: &str) -> Result<Duration, String> {
    let parsed = text
        .parse::<jiff::SignedDuration>()
        .ok()
        .and_then(|duration| Duration::try_from(duration).ok());
    parsed
        .filter(|duration| !duration.is_zero())
        .ok_or_else(|| "write a time like 90s, 5m or 1h30m".into())
}

/// Like `5%` or `2.5`.
fn percent(text: &str) -> Result<f64, String> {
    let number = text.strip_suffix('%').unwrap_or(text).trim();
    let parsed = number.parse::<f64>().ok();
    parsed
        .filter(|percent| (0.0..=1_000.0).contains(percent))
        .map(|percent| percent / 100.0)
        .ok_or_else(|| "write a percentage like 5%".into())
}

/// Like `200` or `200/s`.
fn rate(text: &str) -> Result<f64, String> {
    let parsed = text.strip_suffix("/s").unwrap_or(text).parse::<f64>().ok();
    parsed
        .filter(|rate| rate.is_finite() && *rate > 0.0)
        .ok_or_else(|| "write devices a second, like 200".into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn times_and_rates_read_as_people_write_them() {
        assert_eq!(duration("1m30s"), Ok(Duration::from_secs(90)));
        assert!(duration("90").is_err() && duration("-5s").is_err() && duration("0s").is_err());
        assert_eq!(rate("200/s"), Ok(200.0));
        assert_eq!(percent("2.5%"), Ok(0.025));
        assert!(percent("-1%").is_err() && percent("NaN").is_err());
        assert!(rate("0").is_err() && rate("NaN").is_err() && rate("fast").is_err());
    }

    #[test]
    fn flags_go_over_the_scenarios_target() {
        let of_scenario = || {
            Some(Target {
                endpoint: "a.test".into(),
                id_scope: "0ne00000001".into(),
                ca: Some("a.pem".into()),
                connect_to: None,
                ports: Ports {
                    https: 8443,
                    ..Ports::default()
                },
            })
        };
        let flags = TargetArgs {
            https_port: Some(9443),
            ..TargetArgs::default()
        };
        let over = flags
            .over(of_scenario())
            .expect("a target")
            .expect("a target");
        assert_eq!((over.endpoint.as_str(), over.ports.https), ("a.test", 9443));
        let flags = TargetArgs {
            endpoint: Some("b.test".into()),
            ..TargetArgs::default()
        };
        let over = flags
            .over(of_scenario())
            .expect("a target")
            .expect("a target");
        assert_eq!(
            (over.ports.https, over.ca, over.id_scope.as_str()),
            (443, None, "0ne00000001")
        );
        assert!(
            flags
                .over(None)
                .is_err_and(|failure| failure.to_string().contains("--id-scope"))
        );
        let flags = TargetArgs {
            endpoint: Some("https://b.test:8443".into()),
            ..TargetArgs::default()
        };
        let refused = flags.over(of_scenario()).expect_err("no host name");
        let advice = "the name alone, \"b.test\"; port 8443 goes to https-port";
        assert!(refused.to_string().contains(advice), "{refused}");
        assert_eq!(refused.exit_code, 2);
        assert!(
            TargetArgs::default()
                .over(None)
                .is_ok_and(|target| target.is_none())
        );
        let flags = TargetArgs {
            ca: Some("a.pem".into()),
            ..TargetArgs::default()
        };
        assert!(
            flags
                .over(None)
                .is_err_and(|failure| failure.to_string().contains("--endpoint"))
        );
    }
}
