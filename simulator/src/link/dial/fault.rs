//! What an I/O error means for a device, and whether the service or this machine is to blame for it.

use std::io;

use fleetstorm_reports::{Breach, Fault};
use socket2::{Domain, Socket, Type};

/// What an I/O error means for a device.
pub fn fault_of(error: &io::Error) -> Fault {
    if let Some(tls) = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<rustls::Error>())
    {
        return match tls {
            rustls::Error::InvalidCertificate(_) => Fault::UntrustedServer,
            _ => Fault::Tls,
        };
    }
    if is_local_shortage(error) {
        return Fault::LocalResources;
    }
    match error.kind() {
        io::ErrorKind::ConnectionRefused => Fault::ConnectionRefused,
        io::ErrorKind::InvalidData => Fault::Protocol(Breach::Unreadable),
        _ => Fault::ConnectionLost,
    }
}

/// Why a name has no address. A resolver that has no file to ask with mostly says that the name does not
/// exist; so a file is asked for here, too.
pub(super) fn why_unresolved(error: &io::Error) -> Fault {
    let asked = Socket::new(Domain::IPV4, Type::DGRAM, None);
    if is_local_shortage(error) || asked.is_err_and(|error| is_local_shortage(&error)) {
        Fault::LocalResources
    } else {
        Fault::Unresolvable
    }
}

/// Whether this machine had no file, port, buffer or memory. Of no socket that devices use can EADDRINUSE
/// mean anything else, and EAGAIN of none that has to wait: they leave their port to the kernel (bind(2),
/// connect(2)). ENOSPC is no place in the list of what is waited for (epoll_ctl(2)).
fn is_local_shortage(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(
            libc::EMFILE
                | libc::ENFILE
                | libc::EADDRNOTAVAIL
                | libc::EADDRINUSE
                | libc::EAGAIN
                | libc::ENOBUFS
                | libc::ENOMEM
                | libc::ENOSPC
        )
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_this_machine_lacks_is_not_the_services_fault() {
        for (code, fault) in [
            (libc::EMFILE, Fault::LocalResources),
            (libc::ENFILE, Fault::LocalResources),
            (libc::EADDRNOTAVAIL, Fault::LocalResources),
            (libc::EADDRINUSE, Fault::LocalResources),
            (libc::EAGAIN, Fault::LocalResources),
            (libc::ENOBUFS, Fault::LocalResources),
            (libc::ENOMEM, Fault::LocalResources),
            (libc::ENOSPC, Fault::LocalResources),
            (libc::ECONNREFUSED, Fault::ConnectionRefused),
            (libc::ECONNRESET, Fault::ConnectionLost),
            (libc::ETIMEDOUT, Fault::ConnectionLost),
            (libc::EHOSTUNREACH, Fault::ConnectionLost),
        ] {
            let error = io::Error::from_raw_os_error(code);
            assert_eq!(fault_of(&error), fault, "{error}");
        }
    }

    #[test]
    fn a_resolver_without_a_file_is_not_a_name_without_an_address() {
        let no_file = io::Error::from_raw_os_error(libc::EMFILE);
        assert_eq!(why_unresolved(&no_file), Fault::LocalResources);
        let no_name = io::Error::other("Name or service not known");
        assert_eq!(why_unresolved(&no_name), Fault::Unresolvable);
    }
}
