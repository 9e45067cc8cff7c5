//! Where a webhook is, taken apart once, when its enrollment is written.

use std::fmt;
use std::sync::Arc;

use fleetstorm_protocol::custom_allocation::CustomAllocationDefinition;
use hyper::Uri;
use hyper::http::uri::Scheme;

/// A webhook that can be called.
#[derive(Clone, PartialEq, Eq)]
pub struct Webhook {
    /// What connects to it.
    pub(crate) origin: Arc<Origin>,
    /// Path and query.
    pub(crate) target: Uri,
    /// As the enrollment says.
    pub(crate) api_version: String,
}

/// What webhooks on one connection have in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Origin {
    /// Whether it is asked over TLS.
    pub(crate) is_secure: bool,
    /// Host name or address, without brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
    /// For the Host header.
    pub(crate) authority: String,
}

impl Webhook {
    /// Reads an enrollment's definition.
    ///
    /// # Errors
    /// Names the member that can't be used. The text tells nothing of the URL, which holds a key.
    pub(crate) fn of(definition: &CustomAllocationDefinition) -> Result<Self, String> {
        let wrong = |problem: &str| format!("customAllocationDefinition.webhookUrl: {problem}");
        let url: Uri = definition
            .webhook_url
            .parse()
            .map_err(|_| wrong("is no URL"))?;
        let is_secure = match url.scheme() {
            Some(scheme) if *scheme == Scheme::HTTPS => true,
            Some(scheme) if *scheme == Scheme::HTTP => false,
            _ => return Err(wrong("must begin with https:// or http://")),
        };
        let parts = url
            .authority()
            .filter(|authority| !authority.host().is_empty());
        let authority = parts.ok_or_else(|| wrong("names no host"))?;
        if authority.as_str().contains('@') {
            return Err(wrong("has a user name: put the webhook's key in the query"));
        }
        let host = authority.host();
        let target = url.path_and_query().map_or("/", |target| target.as_str());
        Ok(Self {
            origin: Arc::new(Origin {
                is_secure,
                host: host.trim_matches(['[', ']']).to_owned(),
                port: authority
                    .port_u16()
                    .unwrap_or(if is_secure { 443 } else { 80 }),
                authority: authority.to_string(),
            }),
            target: target.parse().map_err(|_| wrong("is no URL"))?,
            api_version: definition.api_version.clone(),
        })
    }
}

/// Without the key.
impl fmt::Debug for Webhook {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Webhook")
            .field("origin", &self.origin)
            .field("path", &self.target.path())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(url: &str) -> Result<Webhook, String> {
        Webhook::of(&CustomAllocationDefinition {
            webhook_url: url.into(),
            api_version: "2021-10-01".into(),
        })
    }

    #[test]
    fn urls_are_taken_apart() {
        for (url, is_secure, host, port, target) in [
            (
                "https://f.test/api/x?code=a",
                true,
                "f.test",
                443,
                "/api/x?code=a",
            ),
            ("http://127.0.0.1:8080", false, "127.0.0.1", 8080, "/"),
            ("http://[::1]/x", false, "::1", 80, "/x"),
        ] {
            let webhook = read(url).expect(url);
            let origin = &webhook.origin;
            let found = (origin.is_secure, &*origin.host, origin.port);
            assert_eq!(found, (is_secure, host, port), "{url}");
            assert_eq!(webhook.target.to_string(), target);
        }
    }

    #[test]
    fn what_can_not_be_called_is_refused_and_not_repeated() {
        for (url, words) in [
            ("", "is no URL"),
            ("/api?code=secret", "must begin with"),
            ("f.test:443", "must begin with"),
            ("ftp://f.test/?code=secret", "must begin with"),
            ("https://a:secret@f.test/", "user name"),
            ("https:// /?code=secret", "is no URL"),
        ] {
            let problem = read(url).expect_err(url);
            assert!(problem.contains(words), "{url}: {problem}");
            assert!(!problem.contains("secret"), "{problem}");
        }
        let webhook = read("https://f.test/x?code=secret").expect("a URL");
        assert!(!format!("{webhook:?}").contains("secret"));
    }
}
