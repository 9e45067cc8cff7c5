//! Link addresses, as the SDKs variously write them.

/// The path of an address: without scheme and authority (`amqps://host:5671`), without the `/` that it may start with.
pub(super) fn path(address: &str) -> &str {
    let path = match address.split_once("://") {
        Some((_, rest)) => rest.split_once('/').map_or("", |(_, path)| path),
        None => address,
    };
    path.strip_prefix('/').unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scheme_host_port_and_slash_are_taken_off() {
        for address in ["a/b", "/a/b", "amqps://h/a/b", "amqps://h:5671/a/b"] {
            assert_eq!(path(address), "a/b", "{address}");
        }
        for address in ["", "/", "amqps://h", "amqps://h/"] {
            assert_eq!(path(address), "", "{address}");
        }
    }
}
