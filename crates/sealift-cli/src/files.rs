//! Files on this machine: read with a bound, written whole or not at all.

use std::io::{self, Read, Write as _};
use std::path::Path;

use crate::config::Origin;
use crate::error::{CliError, UsageError};

/// Whether an existing file may be replaced.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Overwrite {
    Allowed,
    Refused,
}

/// Who may read a new file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Readers {
    Everyone,
    Owner,
}

/// Reads a file of at most `limit` bytes; `-` is standard input.
///
/// The limit stops a device or a disk image given by mistake from filling memory.
pub(crate) fn read(path: &Path, limit: u64) -> Result<Vec<u8>, CliError> {
    if path == Path::new("-") {
        return read_bounded(io::stdin().lock(), Origin::StandardInput, limit);
    }
    let origin = Origin::File(path.to_owned());
    let file = std::fs::File::open(path).map_err(|source| CliError::Read { origin: origin.clone(), source })?;
    read_bounded(file, origin, limit)
}

fn read_bounded(reader: impl Read, origin: Origin, limit: u64) -> Result<Vec<u8>, CliError> {
    let mut bytes = Vec::new();
    match reader.take(limit + 1).read_to_end(&mut bytes) {
        Err(source) => Err(CliError::Read { origin, source }),
        Ok(_) if bytes.len() as u64 > limit => Err(CliError::TooLarge { origin, limit }),
        Ok(_) => Ok(bytes),
    }
}

/// Writes a file beside its place and renames it, so that a full disk or a crash leaves no half of it.
pub(crate) fn write(path: &Path, bytes: &[u8], readers: Readers, overwrite: Overwrite) -> Result<(), CliError> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let failed = |source| CliError::Write { path: path.to_owned(), source };
    let mut file = temporary(directory, readers).map_err(failed)?;
    file.write_all(bytes).map_err(failed)?;
    file.as_file().sync_all().map_err(failed)?;
    let persisted = match overwrite {
        Overwrite::Allowed => file.persist(path),
        Overwrite::Refused => file.persist_noclobber(path),
    };
    match persisted {
        Ok(_) => Ok(()),
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => {
            Err(UsageError::FileExists { path: path.to_owned() }.into())
        }
        Err(error) => Err(failed(error.error)),
    }
}

/// Makes a temporary file, which only its owner can read unless it is opened up.
fn temporary(directory: &Path, readers: Readers) -> io::Result<tempfile::NamedTempFile> {
    let file = tempfile::NamedTempFile::new_in(directory)?;
    #[cfg(unix)]
    if readers == Readers::Everyone {
        use std::os::unix::fs::PermissionsExt as _;
        file.as_file().set_permissions(std::fs::Permissions::from_mode(0o644))?;
    }
    #[cfg(not(unix))]
    let _ = readers;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secret_files_are_private_and_nothing_is_overwritten_unasked() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.key");
        write(&path, b"one", Readers::Owner, Overwrite::Refused).unwrap();
        assert!(matches!(
            write(&path, b"two", Readers::Owner, Overwrite::Refused),
            Err(CliError::Usage(UsageError::FileExists { .. }))
        ));
        assert_eq!(read(&path, 10).unwrap(), b"one");
        write(&path, b"two", Readers::Owner, Overwrite::Allowed).unwrap();
        assert_eq!(read(&path, 10).unwrap(), b"two");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }

    #[test]
    fn endless_files_are_refused() {
        assert!(matches!(
            read_bounded(io::repeat(b'x'), Origin::StandardInput, 100),
            Err(CliError::TooLarge { limit: 100, .. })
        ));
    }
}
