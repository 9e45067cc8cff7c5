//! What is said to the person: answers on standard output, remarks on standard error.
//!
//! Whoever listens may leave at any time: the reader of a pipe, the terminal. What is left to say is
//! then said to nobody; that is never a reason to fail, and no word of this tool can panic.

use std::fmt::Display;
use std::fs::File;
use std::io::{self, BufWriter, ErrorKind, IsTerminal, StdoutLock, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::FileTypeExt;
use std::time::Duration;

use fleetstorm_reports::render::style::Style;

use crate::failure::Failure;

/// How often a descriptor is asked again that somebody else made non-blocking.
const FULL_PIPE_WAIT: Duration = Duration::from_millis(5);

/// Writes an answer to standard output; ends early, and well, once its reader is gone.
///
/// # Errors
/// Whatever else keeps it from being written, like a full disk; also the content's own.
pub fn answer(content: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), Failure> {
    let mut out = BufWriter::new(BlockingWriter(stdout().lock()));
    let written = content(&mut out).and_then(|()| out.flush());
    let (BlockingWriter(stdout), _unsaid) = out.into_parts();
    match written {
        Err(error) if !is_listener_gone(&error, &stdout) => Err(Failure::unwritten(format!(
            "standard output can't be written: {error}"
        ))),
        _ => Ok(()),
    }
}

/// Writes a line to standard error, if anybody is there to read it.
pub fn remark(line: impl Display) {
    let _ = remarks().write_all(format!("{line}\n").as_bytes());
}

/// Standard error, for a listener who is told more than a line and whose leaving matters.
pub fn remarks() -> impl Write {
    BlockingWriter(io::stderr())
}

/// How an answer is to look.
pub fn style() -> Style {
    Style::for_terminal(is_screen())
}

/// Whether standard output is a terminal.
pub fn is_screen() -> bool {
    stdout().is_terminal()
}

#[expect(clippy::disallowed_methods, reason = "all answers are written here")]
fn stdout() -> io::Stdout {
    io::stdout()
}

/// The reader of a pipe or a socket has closed it; a terminal that was closed fails with EIO, as a bad
/// disk does.
fn is_listener_gone(error: &io::Error, stdout: &StdoutLock<'_>) -> bool {
    match error.kind() {
        ErrorKind::BrokenPipe | ErrorKind::ConnectionReset => true,
        _ => error.raw_os_error() == Some(libc::EIO) && is_character_device(stdout),
    }
}

/// `is_terminal` says no more of a terminal that was closed.
fn is_character_device(descriptor: &impl AsFd) -> bool {
    let metadata = descriptor
        .as_fd()
        .try_clone_to_owned()
        .and_then(|descriptor| File::from(descriptor).metadata());
    metadata.is_ok_and(|metadata| metadata.file_type().is_char_device())
}

/// Waits where a pipe is full, also when whoever shares it made it non-blocking.
struct BlockingWriter<W>(W);

impl<W: Write> Write for BlockingWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        until_it_can(|| self.0.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        until_it_can(|| self.0.flush())
    }
}

fn until_it_can<T>(mut write: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match write() {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                std::thread::sleep(FULL_PIPE_WAIT);
            }
            written => return written,
        }
    }
}
