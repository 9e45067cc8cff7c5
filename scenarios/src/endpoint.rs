//! The host name of a global endpoint.

/// Longest host name and label (RFC 1035, section 2.3.4).
const MAX_HOST_LENGTH: usize = 253;
const MAX_LABEL_LENGTH: usize = 63;

/// What is no host name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoHost {
    /// What is wrong.
    pub problem: String,
    /// What to write.
    pub advice: String,
}

/// Whether it is a host name, alone.
///
/// # Errors
/// It is not: with what to write, where it has a scheme, a port or a path beside.
pub fn check(text: &str) -> Result<(), NoHost> {
    if is_host(text) {
        return Ok(());
    }
    let bare = text.split_once("://").map_or(text, |(_, bare)| bare);
    let bare = bare.split(['/', '?']).next().unwrap_or_default();
    let (name, port) = match bare.rsplit_once(':') {
        Some((name, port)) => (name, Some(port)),
        None => (bare, None),
    };
    let ports = match port {
        Some(port) if port.parse::<u16>().is_ok() => {
            format!("; port {port} goes to https-port, mqtt-port or amqp-port")
        }
        _ => String::new(),
    };
    let advice = if is_host(name) {
        format!("the name alone, \"{name}\"{ports}")
    } else {
        "the name alone, like \"global.azure-devices-provisioning.net\"; ports go to https-port, mqtt-port and amqp-port".into()
    };
    Err(NoHost {
        problem: format!("\"{text}\" is not a host name"),
        advice,
    })
}

fn is_host(text: &str) -> bool {
    let label = |label: &str| {
        (1..=MAX_LABEL_LENGTH).contains(&label.len())
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    text.len() <= MAX_HOST_LENGTH && text.split('.').all(label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_beside_a_name_is_told_from_it() {
        let name = "global.example.net";
        for good in [name, "localhost", "127.0.0.1"] {
            assert_eq!(check(good), Ok(()));
        }
        let port = "; port 8443 goes to https-port, mqtt-port or amqp-port";
        for (text, ports) in [
            ("https://global.example.net", ""),
            ("HTTPS://global.example.net/", ""),
            ("global.example.net:8443", port),
            ("mqtts://global.example.net:8443/0ne00000001?x", port),
        ] {
            let refused = check(text).expect_err(text);
            assert_eq!(refused.problem, format!("\"{text}\" is not a host name"));
            assert_eq!(refused.advice, format!("the name alone, \"{name}\"{ports}"));
        }
        for text in [
            "",
            "https://",
            "a b",
            "-a.net",
            "a..net",
            ":443",
            "[::1]:443",
            "ü.net",
        ] {
            let refused = check(text).expect_err(text);
            assert!(
                refused.advice.contains("like \"global.azure"),
                "{refused:?}"
            );
        }
    }
}
