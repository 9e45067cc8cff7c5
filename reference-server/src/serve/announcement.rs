//! What a server says of itself once it listens: to programs as JSON, to people as what they have
//! to type.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::Path;

use serde::{Deserialize, Serialize};

/// Ports that Microsoft's SDKs keep to: HTTPS and WebSockets, MQTT, AMQP.
const STANDARD_PORTS: [u16; 3] = [443, 8883, 5671];

/// What a server says of itself once it listens; one JSON line on standard
/// output of `fleetstorm serve --announce json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Announcement {
    /// Host name of the global endpoint.
    pub global_endpoint: String,
    /// The instances, at least one.
    pub instances: Vec<AnnouncedInstance>,
    /// Where HTTPS listens, for DPS, its service API and hubs.
    pub https: SocketAddr,
    /// Where MQTT listens, for DPS and hubs.
    pub mqtt: SocketAddr,
    /// Where AMQP listens, for DPS and hubs.
    pub amqp: SocketAddr,
    /// Where the control endpoint listens: `GET /counters`, `GET /health`.
    pub control: SocketAddr,
    /// Hub host names.
    pub hubs: Vec<String>,
    /// What service SDKs connect to each hub with: `iothubowner`'s in the order of the hubs, then those
    /// of other policies.
    pub hub_connection_strings: Vec<String>,
    /// PEM of the CA to trust.
    pub ca_pem: String,
}

/// What a server says of an instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnnouncedInstance {
    /// What devices name it by.
    pub id_scope: String,
    /// Host name of its service endpoint.
    pub service_endpoint: String,
    /// What service SDKs connect to it with.
    pub connection_string: String,
}

impl Announcement {
    /// One line, for programs.
    ///
    /// # Errors
    /// Nobody reads it.
    pub(super) fn write_json(&self, out: &mut impl Write) -> io::Result<()> {
        serde_json::to_writer(&mut *out, self)?;
        writeln!(out)
    }

    /// For people: where devices, service SDKs and operators go, and what they need for it.
    ///
    /// # Errors
    /// Nobody reads it.
    pub(super) fn write_text(
        &self,
        out: &mut impl Write,
        ca_file: Option<&Path>,
        is_anybody_enrolled: bool,
    ) -> io::Result<()> {
        writeln!(out, "devices")?;
        writeln!(out, "  global endpoint  {}", self.global_endpoint)?;
        for instance in &self.instances {
            writeln!(out, "  id scope         {}", instance.id_scope)?;
        }
        writeln!(out, "  https            {}", self.https)?;
        writeln!(out, "  mqtt             {}", self.mqtt)?;
        writeln!(out, "  amqp             {}", self.amqp)?;
        if let Some(file) = ca_file {
            writeln!(out, "  CA to trust      {}", file.display())?;
        }
        if !is_anybody_enrolled {
            let hint = "nobody by the command line: use the service API, or --enrollments FILE";
            writeln!(out, "  enrolled         {hint}")?;
        }
        writeln!(out, "service SDKs and the Azure CLI")?;
        for instance in &self.instances {
            writeln!(out, "  DPS  {}", instance.connection_string)?;
        }
        for hub in &self.hub_connection_strings {
            writeln!(out, "  hub  {hub}")?;
        }
        writeln!(out, "operators")?;
        writeln!(out, "  control  http://{}", self.control)?;
        writeln!(out, "hosts file, for SDKs, which look names up")?;
        writeln!(out, "  {}", self.hosts_line())?;
        if [self.https.port(), self.mqtt.port(), self.amqp.port()] != STANDARD_PORTS {
            let [https, mqtt, amqp] = STANDARD_PORTS;
            writeln!(
                out,
                "  and --standard-ports: SDKs keep to {https}, {mqtt} and {amqp}"
            )?;
        }
        Ok(())
    }

    /// What `/etc/hosts` needs: every name of the server at its address.
    fn hosts_line(&self) -> String {
        let address = if self.https.ip().is_unspecified() {
            std::net::Ipv4Addr::LOCALHOST.into()
        } else {
            self.https.ip()
        };
        let mut line = format!("{address} {}", self.global_endpoint);
        let services = self.instances.iter();
        let services = services.map(|instance| &instance.service_endpoint);
        for name in services.chain(&self.hubs) {
            line.push(' ');
            line.push_str(name);
        }
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn announcement(ports: [u16; 3]) -> Announcement {
        let [https, mqtt, amqp] = ports.map(|port| SocketAddr::from(([0, 0, 0, 0], port)));
        Announcement {
            global_endpoint: "global.test".into(),
            instances: vec![AnnouncedInstance {
                id_scope: "0ne00000001".into(),
                service_endpoint: "dps-1.test".into(),
                connection_string:
                    "HostName=dps-1.test;SharedAccessKeyName=owner;SharedAccessKey=a2V5".into(),
            }],
            https,
            mqtt,
            amqp,
            control: SocketAddr::from(([127, 0, 0, 1], 9000)),
            hubs: vec!["hub-1.test".into(), "hub-2.test".into()],
            hub_connection_strings: vec![
                "HostName=hub-1.test;SharedAccessKeyName=o;SharedAccessKey=a2V5".into(),
            ],
            ca_pem: String::new(),
        }
    }

    fn text(announcement: &Announcement, is_anybody_enrolled: bool) -> String {
        let mut out = Vec::new();
        let ca_file = Some(Path::new("out/ca.pem"));
        announcement
            .write_text(&mut out, ca_file, is_anybody_enrolled)
            .expect("memory takes it");
        String::from_utf8(out).expect("UTF-8")
    }

    #[test]
    fn people_are_told_all_that_a_client_needs() {
        insta::assert_snapshot!(text(&announcement([443, 8883, 5671]), true));
        let others = text(&announcement([443, 8883, 5672]), false);
        assert!(others.contains("--standard-ports"), "{others}");
        assert!(others.contains("--enrollments FILE"), "{others}");
    }
}
