//! Which versions of DPS's APIs are served.

use std::sync::Arc;

use fleetstorm_protocol::api_version::KNOWN;

use super::Refusal;

/// Those that are known, and those that the configuration adds.
#[derive(Debug, Clone, Default)]
pub struct ApiVersions {
    added: Arc<[String]>,
}

impl ApiVersions {
    /// With these beside those that are known.
    pub fn with(added: &[String]) -> Self {
        Self {
            added: added.into(),
        }
    }

    /// Whether a version is served. Over MQTT and AMQP a client need not name one.
    ///
    /// # Errors
    /// It is not.
    pub fn check(&self, named: Option<&str>) -> Result<(), Refusal> {
        let Some(named) = named else {
            return Ok(());
        };
        let added = self.added.iter().map(String::as_str);
        let mut served = KNOWN.into_iter().chain(added);
        if served.any(|version| version.eq_ignore_ascii_case(named)) {
            return Ok(());
        }
        // As the real service says it.
        let problem = format!("Unsupported API version {named:.40}.");
        Err(Refusal::BadRequest(problem))
    }
}
