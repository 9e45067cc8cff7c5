//! The WebSocket that carries MQTT and AMQP through port 443: its path and its sub-protocols
//! (the SDKs' sources; DPS documentation, "MQTT support: over WebSockets").

/// The path that most SDKs ask for.
pub const PATH: &str = "/$iothub/websocket";

/// What runs in the messages of a WebSocket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SubProtocol {
    /// MQTT 3.1.1.
    Mqtt,
    /// AMQP 1.0.
    Amqp,
}

/// Whether a WebSocket may be asked for at `path`: the C# SDK uses `/`, Java's MQTT client `/mqtt`.
pub fn is_path(path: &str) -> bool {
    matches!(path, "/" | "/mqtt" | PATH)
}

impl SubProtocol {
    /// Every sub-protocol.
    pub const ALL: [Self; 2] = [Self::Mqtt, Self::Amqp];

    /// Its name in `Sec-WebSocket-Protocol`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mqtt => "mqtt",
            Self::Amqp => "AMQPWSB10",
        }
    }

    /// The first known one of a `Sec-WebSocket-Protocol`, and its name as the client spells it:
    /// the C SDK writes `MQTT`, and wants to read it so.
    pub fn choose(offered: &str) -> Option<(Self, &str)> {
        offered.split(',').map(str::trim).find_map(|name| {
            let known = |known: &Self| known.name().eq_ignore_ascii_case(name);
            Some((Self::ALL.into_iter().find(known)?, name))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_paths_of_all_sdks_are_known() {
        for path in ["/", "/mqtt", "/$iothub/websocket"] {
            assert!(is_path(path), "{path}");
        }
        for path in ["", "/mqtt/", "/$iothub", "/0ne00000001/registrations/a"] {
            assert!(!is_path(path), "{path}");
        }
    }

    #[test]
    fn the_first_known_sub_protocol_is_chosen_in_the_clients_spelling() {
        for (offered, chosen) in [
            ("mqtt", Some((SubProtocol::Mqtt, "mqtt"))),
            ("MQTT", Some((SubProtocol::Mqtt, "MQTT"))),
            ("mqttv5, Mqtt , mqtt", Some((SubProtocol::Mqtt, "Mqtt"))),
            ("AMQPWSB10", Some((SubProtocol::Amqp, "AMQPWSB10"))),
            ("amqpwsb10", Some((SubProtocol::Amqp, "amqpwsb10"))),
            ("", None),
            ("mqttv5", None),
            ("soap", None),
        ] {
            assert_eq!(SubProtocol::choose(offered), chosen, "{offered:?}");
        }
    }
}
