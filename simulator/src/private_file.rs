//! Files with keys: their owner's alone, and whole or as they were before.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

/// One that is being written. Dropped before its end, it leaves nothing.
pub struct PrivateFile(BufWriter<Target>);

enum Target {
    Draft {
        draft: NamedTempFile,
        path: PathBuf,
    },
    /// A pipe or a device, which nothing can take the place of.
    There(File),
}

impl PrivateFile {
    /// Begins one that is to stand at `path`, in a folder that is there.
    ///
    /// # Errors
    /// There can be no file.
    pub fn create(path: &Path) -> io::Result<Self> {
        // A link goes on to lead to it.
        let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let target = if path.exists() && !path.is_file() {
            Target::There(File::options().write(true).open(path)?)
        } else {
            let folder = path.parent().filter(|folder| *folder != Path::new(""));
            // For its owner's eyes, as all of them.
            let draft = NamedTempFile::new_in(folder.unwrap_or(Path::new(".")))?;
            Target::Draft { draft, path }
        };
        Ok(Self(BufWriter::new(target)))
    }

    /// Puts it in its place.
    ///
    /// # Errors
    /// It could not be written to its end.
    pub fn finish(self) -> io::Result<()> {
        let target = self
            .0
            .into_inner()
            .map_err(io::IntoInnerError::into_error)?;
        if let Target::Draft { draft, path } = target {
            draft.as_file().sync_all()?;
            draft.persist(path)?;
        }
        Ok(())
    }
}

impl Write for PrivateFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl Write for Target {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Draft { draft, .. } => draft.write(bytes),
            Self::There(file) => file.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Draft { draft, .. } => draft.flush(),
            Self::There(file) => file.flush(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn a_file_with_keys_is_its_owners_and_whole() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("keys");
        std::fs::write(&path, "old and long").expect("writable");
        let link = folder.path().join("link");
        symlink(&path, &link).expect("writable");

        let mut broken_off = PrivateFile::create(&path).expect("a file");
        broken_off.write_all(b"new").expect("room");
        drop(broken_off);
        let text = || std::fs::read_to_string(&path).expect("there");
        assert_eq!(text(), "old and long");

        let mut whole = PrivateFile::create(&link).expect("a file");
        whole.write_all(b"new").expect("room");
        whole.finish().expect("room");
        assert_eq!(text(), "new");
        let mode = path.metadata().expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(link.is_symlink());
        assert_eq!(std::fs::read_dir(folder.path()).expect("there").count(), 2);
    }

    #[test]
    fn what_is_no_file_is_written_to() {
        let mut null = PrivateFile::create(Path::new("/dev/null")).expect("it opens");
        null.write_all(b"new").expect("it takes all");
        null.finish().expect("it takes all");
        assert!(!Path::new("/dev/null").is_file());
    }
}
