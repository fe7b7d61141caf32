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
        let scheme = text.split_once(':').map(|(scheme, _)| scheme);
        if let Some((_, place, export)) = ELSEWHERE.into_iter().find(|(known, ..)| Some(*known) == scheme) {
            return Err(KeySourceError::Elsewhere { place, export });
        }
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

/// Where other tools know keys to be: the scheme, whose it is, and what writes the public key to a file.
const ELSEWHERE: [(&str, &str, &str); 9] = [
    ("awskms", "AWS KMS", EXPORT),
    ("gcpkms", "Google Cloud KMS", EXPORT),
    ("azurekms", "Azure Key Vault", EXPORT),
    ("hashivault", "HashiCorp Vault", EXPORT),
    ("k8s", "Kubernetes", EXPORT),
    ("gitlab", "GitLab", EXPORT),
    ("pkcs11", "hardware tokens", EXPORT),
    ("https", "the web", "curl --fail --output key.pub https://..."),
    ("http", "the web", "curl --fail --output key.pub https://..."),
];

/// cosign reads all of its own.
const EXPORT: &str = "cosign public-key --key ... > key.pub";

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
    #[error(
        "keys of {place} are not supported; to verify, give the public key as a file, as `{export}` writes it; to sign, \
         give a key in a file or as `env://VARIABLE`, or none and sign with an identity"
    )]
    Elsewhere {
        place: &'static str,
        /// What writes the public key to a file.
        export: &'static str,
    },
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
        for elsewhere in ["awskms:///alias/x", "pkcs11:token=t", "https://example.com/cosign.pub"] {
            let error = elsewhere.parse::<KeySource>().unwrap_err();
            assert!(matches!(error, KeySourceError::Elsewhere { .. }), "{elsewhere}");
        }
        assert!(matches!("ssh://x".parse::<KeySource>(), Err(KeySourceError::Scheme(_))));
        // A Windows path has a colon too.
        assert!(matches!(r"C:\keys\cosign.pub".parse(), Ok(KeySource::File(_))));
    }
}
