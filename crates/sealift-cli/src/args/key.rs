//! Keys as users name them.

use std::path::PathBuf;
use std::str::FromStr;

/// Where the bytes of a key are.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum KeySource {
    /// `env://NAME`: PEM text in an environment variable.
    Environment(String),
    /// A PEM file.
    File(PathBuf),
    /// `-`: standard input.
    StandardInput,
}

impl FromStr for KeySource {
    type Err = KeySourceError;

    fn from_str(text: &str) -> Result<Self, KeySourceError> {
        match text.split_once("://") {
            Some(("env", "")) => Err(KeySourceError::NoVariable),
            Some(("env", name)) => Ok(Self::Environment(name.to_owned())),
            Some(("file", path)) => Ok(Self::File(path.into())),
            Some((scheme, _)) => Err(KeySourceError::Scheme(scheme.chars().take(40).collect())),
            None if text == "-" => Ok(Self::StandardInput),
            None => Ok(Self::File(text.into())),
        }
    }
}

/// Where the passphrase of a private key is
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct PassphraseArgs {
    /// Read the key's passphrase from a file, `-` for standard input; default: the variables
    /// `SEALIFT_PASSWORD` and `COSIGN_PASSWORD`, then a prompt
    #[arg(long, value_name = "FILE")]
    pub(crate) passphrase_file: Option<PathBuf>,
}

/// Says why a text names no key.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum KeySourceError {
    #[error("`env://` needs the name of a variable")]
    NoVariable,
    #[error("unknown scheme `{0}`; known are `env` and `file`")]
    Scheme(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_files_or_variables() {
        assert_eq!("cosign.key".parse::<KeySource>().unwrap(), KeySource::File("cosign.key".into()));
        assert_eq!("env://K".parse::<KeySource>().unwrap(), KeySource::Environment("K".to_owned()));
        assert!("awskms:///alias/x".parse::<KeySource>().is_err());
    }
}
