//! Conversations, written down: what each connection said and heard, decrypted, one file each.
//!
//! For looking at what a client really sends, and for comparing clients. The files hold all
//! that went over the wire, SAS tokens and keys of the server's devices included. A file is
//! JSON, a line an event: the first says which connection it is, `device` and `server` carry
//! bytes in base64, `end` is last. One without an end was cut: by its limit, or by a full disk.

use std::fs::{DirBuilder, File};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Instant;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde::Serialize;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Connections recorded; later ones are served and not recorded.
const MAX_CONNECTIONS: u64 = 10_000;
/// Bytes recorded of a connection, both directions together.
const MAX_BYTES: usize = 1 << 20;

/// A folder of recordings.
#[derive(Debug)]
pub(crate) struct Recorder {
    folder: PathBuf,
    begun: AtomicU64,
}

impl Recorder {
    /// Makes the folder, where it is missing. Recordings that it already holds are replaced as
    /// their numbers come up.
    ///
    /// # Errors
    /// It can't be made.
    pub(crate) fn in_folder(folder: &Path) -> io::Result<Self> {
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(0o700).create(folder)?;
        Ok(Self {
            folder: folder.to_owned(),
            begun: AtomicU64::new(0),
        })
    }

    /// `stream`, written down from now on. `port` and `server_name` (SNI) go to the head.
    pub(crate) fn record<Stream>(
        &self,
        stream: Stream,
        port: &str,
        server_name: Option<&str>,
    ) -> Recorded<Stream> {
        let number = self.begun.fetch_add(1, Ordering::Relaxed);
        let pages = (number < MAX_CONNECTIONS)
            .then(|| Pages::begin(&self.folder, number, port, server_name).ok())
            .flatten();
        Recorded { stream, pages }
    }
}

/// A byte stream that is written down as it passes.
#[derive(Debug)]
pub(crate) struct Recorded<Stream> {
    stream: Stream,
    /// None once the recording has ended; the conversation goes on.
    pages: Option<Pages>,
}

/// One connection's file.
#[derive(Debug)]
struct Pages {
    file: BufWriter<File>,
    begun: Instant,
    room: usize,
}

#[derive(Serialize)]
struct Head<'a> {
    connection: u64,
    port: &'a str,
    server_name: Option<&'a str>,
    at: Timestamp,
}

#[derive(Serialize)]
struct Passed {
    /// Microseconds since the head.
    us: u128,
    #[serde(flatten)]
    what: What,
}

#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum What {
    Device(String),
    Server(String),
    End(bool),
}

impl Pages {
    fn begin(
        folder: &Path,
        connection: u64,
        port: &str,
        server_name: Option<&str>,
    ) -> io::Result<Self> {
        let path = folder.join(format!("{connection:05}.jsonl"));
        match std::fs::remove_file(&path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }
        let mut options = File::options();
        let file = options
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)?;
        let mut pages = Self {
            file: BufWriter::new(file),
            begun: Instant::now(),
            room: MAX_BYTES,
        };
        pages.line(&Head {
            connection,
            port,
            server_name,
            at: Timestamp::now(),
        })?;
        Ok(pages)
    }

    fn line(&mut self, line: &impl Serialize) -> io::Result<()> {
        serde_json::to_writer(&mut self.file, line)?;
        self.file.write_all(b"\n")
    }

    fn passed(&mut self, what: What) -> io::Result<()> {
        let us = self.begun.elapsed().as_micros();
        self.line(&Passed { us, what })
    }
}

impl<Stream> Recorded<Stream> {
    fn note(&mut self, bytes: &[u8], what: fn(String) -> What) {
        let Some(pages) = &mut self.pages else { return };
        if bytes.is_empty() {
            return;
        }
        let noted = pages
            .room
            .checked_sub(bytes.len())
            .ok_or(io::ErrorKind::FileTooLarge.into())
            .and_then(|room| {
                pages.room = room;
                pages.passed(what(STANDARD.encode(bytes)))
            });
        if noted.is_err() {
            self.pages = None;
        }
    }
}

impl<Stream> Drop for Recorded<Stream> {
    fn drop(&mut self) {
        if let Some(mut pages) = self.pages.take() {
            // Without its end, a file says itself that it was cut.
            let _ = pages
                .passed(What::End(true))
                .and_then(|()| pages.file.flush());
        }
    }
}

impl<Stream: AsyncRead + Unpin> AsyncRead for Recorded<Stream> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        if matches!(read, Poll::Ready(Ok(()))) {
            self.note(&buffer.filled()[before..], What::Device);
        }
        read
    }
}

impl<Stream: AsyncWrite + Unpin> AsyncWrite for Recorded<Stream> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        if let Poll::Ready(Ok(count)) = &written {
            self.note(&bytes[..*count], What::Server);
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use serde_json::Value;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    fn lines(folder: &Path, connection: u64) -> Vec<Value> {
        let text = std::fs::read_to_string(folder.join(format!("{connection:05}.jsonl")))
            .expect("a recording");
        text.lines()
            .map(|line| serde_json::from_str(line).expect("JSON"))
            .collect()
    }

    #[tokio::test]
    async fn a_conversation_is_written_down_in_both_directions() {
        let folder = tempfile::tempdir().expect("a folder");
        let recorder = Recorder::in_folder(&folder.path().join("new")).expect("made");
        let (mut device, server) = duplex(64);
        let mut server = recorder.record(server, "mqtt", Some("hub.test"));
        device.write_all(b"hello").await.expect("open");
        let mut heard = [0; 5];
        server.read_exact(&mut heard).await.expect("open");
        server.write_all(b"hi").await.expect("open");
        drop(server);

        assert_eq!(&heard, b"hello");
        for (name, mode) in [("new", 0o700), ("new/00000.jsonl", 0o600)] {
            let made = folder.path().join(name).metadata().expect("made");
            assert_eq!(made.permissions().mode() & 0o777, mode, "{name}");
        }
        let lines = lines(&folder.path().join("new"), 0);
        assert_eq!(
            (&lines[0]["port"], &lines[0]["server_name"]),
            (&"mqtt".into(), &"hub.test".into())
        );
        assert_eq!(lines[1]["device"], STANDARD.encode("hello"));
        assert_eq!(lines[2]["server"], STANDARD.encode("hi"));
        assert_eq!(lines[3]["end"], true);
        assert_eq!(lines.len(), 4);
    }

    #[tokio::test]
    async fn a_conversation_goes_on_where_its_recording_is_full() {
        let folder = tempfile::tempdir().expect("a folder");
        let recorder = Recorder::in_folder(folder.path()).expect("made");
        let (mut device, server) = duplex(MAX_BYTES * 2);
        let mut server = recorder.record(server, "https", None);
        for chunk in [MAX_BYTES - 1, 2, 1] {
            server.write_all(&vec![7; chunk]).await.expect("open");
        }
        drop(server);
        let mut heard = Vec::new();
        device.read_to_end(&mut heard).await.expect("ended");

        assert_eq!(heard.len(), MAX_BYTES + 2);
        let lines = lines(folder.path(), 0);
        assert_eq!(lines.len(), 2, "the head and what there was room for");
        assert!(lines[1].get("end").is_none());
    }

    #[tokio::test]
    async fn connections_beyond_the_limit_are_served_all_the_same() {
        let folder = tempfile::tempdir().expect("a folder");
        let recorder = Recorder::in_folder(folder.path()).expect("made");
        recorder.begun.store(MAX_CONNECTIONS, Ordering::Relaxed);
        let (mut device, server) = duplex(64);
        let mut server = recorder.record(server, "mqtt", None);
        server.write_all(b"hi").await.expect("open");
        drop(server);
        let mut heard = Vec::new();
        device.read_to_end(&mut heard).await.expect("ended");
        assert_eq!(heard, b"hi");
        assert_eq!(
            std::fs::read_dir(folder.path()).expect("a folder").count(),
            0
        );
    }
}
