//! The bundled server as a child process: the only file that names the server's crate.
