//! Keys as users name them, read into memory that is wiped.

use zeroize::Zeroizing;

use crate::args::key::KeySource;
use crate::config::{Origin, environment};
use crate::error::{CliError, UsageError};
use crate::files;

/// The largest key or passphrase read; an RSA-4096 key has 4 KiB.
pub(crate) const MAX_KEY_BYTES: u64 = 64 * 1024;

/// Returns where the key is, for errors.
pub(crate) fn origin(source: &KeySource) -> Origin {
    match source {
        KeySource::Environment(name) => Origin::Environment(name.clone()),
        KeySource::File(path) => Origin::File(path.clone()),
        KeySource::StandardInput => Origin::StandardInput,
    }
}

/// Reads the bytes of a key.
pub(crate) fn read(source: &KeySource) -> Result<Zeroizing<Vec<u8>>, CliError> {
    let bytes = match source {
        KeySource::Environment(name) => environment::named(name)
            .map(std::ffi::OsString::into_encoded_bytes)
            .ok_or_else(|| UsageError::UnsetVariable { name: name.clone() })?,
        KeySource::File(path) => files::read(path, MAX_KEY_BYTES)?,
        KeySource::StandardInput => files::read(std::path::Path::new("-"), MAX_KEY_BYTES)?,
    };
    Ok(Zeroizing::new(bytes))
}
