//! Whether what is past its end of life is denied, and by whose markers.

use std::num::NonZeroUsize;
use std::str::FromStr;

use sealift_core::identity::{CertificateIdentity, IdentityMatcher};
use sealift_core::pattern::Pattern;
use sealift_policy::check::EndOfLife;
use sealift_policy::{Duration, Quorum, Signer};

use super::key::{KeySource, KeySourceError};
use super::marker;
use crate::context::Context;
use crate::error::CliError;
use crate::trust::CertificateUse;

/// Whether what is past its end of life is denied
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct EndOfLifeArgs {
    /// Deny what a lifecycle marker says is past its end of life, or past it for longer than this, such as `7d`. Who may
    /// push may mark: `--eol-signed-by` says whose markers count
    #[arg(long, num_args = 0..=1, require_equals = true, value_name = "GRACE")]
    fail_on_eol: Option<Option<Duration>>,

    /// Count only lifecycle markers that this key or identity signed: a public key as `--key` takes it, or
    /// `identity=NAME,ISSUER`, in which `*` stands for any text without `/`, `**` for any text; repeat for several, any
    /// of which counts
    #[arg(long, requires = "fail_on_eol", value_name = "SIGNER")]
    eol_signed_by: Vec<SignerArg>,

    /// Artifact type of lifecycle markers that count, besides Microsoft's
    #[arg(long, value_name = "TYPE", requires = "fail_on_eol")]
    eol_type: Option<String>,

    /// Annotation of those markers that has the date, where it is not Microsoft's
    #[arg(long, value_name = "KEY", requires = "fail_on_eol")]
    eol_annotation: Option<String>,
}

impl EndOfLifeArgs {
    /// Returns what is demanded, by the time it is now; `None` for nothing.
    ///
    /// # Errors
    /// Fails when a key cannot be read.
    pub(crate) fn check(&self, context: &Context) -> Result<Option<EndOfLife>, CliError> {
        let Some(grace) = self.fail_on_eol else { return Ok(None) };
        let signers = self.eol_signed_by.iter().map(|signer| signer.read(context)).collect::<Result<Vec<_>, _>>()?;
        let quorum = match signers.is_empty() {
            true => None,
            false => Some(Quorum::at_least(NonZeroUsize::MIN, signers).map_err(CliError::Identity)?),
        };
        let own = marker::kind(self.eol_type.as_deref(), self.eol_annotation.as_deref());
        Ok(Some(EndOfLife::new(grace, Some(Context::clock())).marked_as(own).marked_by(quorum)))
    }

    /// Says that certificates are accepted where they are.
    pub(crate) fn certificates(&self) -> Option<CertificateUse> {
        let is_identity = |signer: &SignerArg| matches!(signer, SignerArg::Identity { .. });
        self.eol_signed_by.iter().any(is_identity).then_some(CertificateUse::Accepted)
    }
}

/// Whose markers count, as typed.
#[derive(Clone, Debug)]
enum SignerArg {
    /// `identity=NAME,ISSUER`
    Identity { name: Pattern, issuer: Pattern },
    /// `KEY`, or `key=KEY`
    Key(KeySource),
}

impl SignerArg {
    fn read(&self, context: &Context) -> Result<Signer, CliError> {
        match self {
            Self::Identity { name, issuer } => {
                let identity = CertificateIdentity::new(name.clone(), issuer.clone());
                let identities = IdentityMatcher::certificates(vec![identity]).map_err(CliError::Identity)?;
                Ok(Signer { name: format!("{name} (by {issuer})"), identities })
            }
            Self::Key(source) => {
                let key = context.public_key(source)?;
                let name = format!("key sha256:{}", key.fingerprint());
                Ok(Signer { name, identities: IdentityMatcher::keys(vec![key]).map_err(CliError::Identity)? })
            }
        }
    }
}

impl FromStr for SignerArg {
    type Err = SignerArgError;

    fn from_str(text: &str) -> Result<Self, SignerArgError> {
        match text.strip_prefix("identity=") {
            Some(identity) => match identity.rsplit_once(',') {
                Some((name, issuer)) if !name.is_empty() && !issuer.is_empty() => {
                    Ok(Self::Identity { name: Pattern::glob(name), issuer: Pattern::glob(issuer) })
                }
                _ => Err(SignerArgError::HalfIdentity),
            },
            None => {
                let key = text.strip_prefix("key=").unwrap_or(text).parse();
                key.map(Self::Key).map_err(SignerArgError::Key)
            }
        }
    }
}

/// Says why a text names no signer.
#[derive(Clone, Debug, thiserror::Error)]
enum SignerArgError {
    #[error("an identity is a name and the issuer that vouches for it: `identity=NAME,ISSUER`")]
    HalfIdentity,
    #[error(transparent)]
    Key(KeySourceError),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signers_are_keys_or_names_with_an_issuer() {
        let parse = |text: &str| text.parse::<SignerArg>();
        assert!(matches!(parse("release.pub"), Ok(SignerArg::Key(KeySource::File(_)))));
        assert!(matches!(parse("key=env://KEY"), Ok(SignerArg::Key(KeySource::Environment(_)))));
        let Ok(SignerArg::Identity { name, issuer }) = parse("identity=*@example.com,https://a.example") else {
            panic!("it is an identity")
        };
        assert!(name.matches("ci@example.com") && issuer.matches("https://a.example"));
        for wrong in ["identity=", "identity=ci@example.com", "identity=,https://a.example", "identity=a,", "kms://x"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
