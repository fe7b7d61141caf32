//! Identities that a machine has from where it runs.
//!
//! Reads no environment variable: [`Environment`] is an argument. [`Source::ALL`] is the order in which [`detect`]
//! looks: what somebody set for signing first, then what the place of the job offers, and last what any program on the
//! machine may have.

mod buildkite;
mod circleci;
mod environment;
mod github;
mod google;
mod not_permitted;
#[cfg(unix)]
mod spiffe;

use std::fmt;
use std::str::FromStr;

use super::{GivenToken, IdentityProvider};
use crate::transport::Transport;

pub use environment::Environment;

use buildkite::Buildkite;
use circleci::CircleCi;
use github::GitHub;
use google::{Google, GoogleImpersonation};
use not_permitted::NotPermitted;
#[cfg(unix)]
use spiffe::Spiffe;

/// A place that identities come from.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Source {
    /// A token in the variable `SIGSTORE_ID_TOKEN`: GitLab's `id_tokens`, or any other system's.
    Variable,
    /// GitHub Actions.
    GitHub,
    /// The agent of Buildkite.
    Buildkite,
    /// CircleCI.
    CircleCi,
    /// A service account of Google Cloud that the machine's own account may act as.
    GoogleImpersonation,
    /// The service account of a machine of Google Cloud.
    Google,
    /// The agent of SPIFFE that knows the workload by its process.
    Spiffe,
    /// A token that Kubernetes, or a helper, keeps fresh in a file.
    File,
}

impl Source {
    /// Every source, in the order of detection.
    pub const ALL: [Self; 8] = [
        Self::Variable,
        Self::GitHub,
        Self::Buildkite,
        Self::CircleCi,
        Self::GoogleImpersonation,
        Self::Google,
        Self::Spiffe,
        Self::File,
    ];

    /// Returns the name that users type, such as `github`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Variable => "env",
            Self::GitHub => "github",
            Self::Buildkite => "buildkite",
            Self::CircleCi => "circleci",
            Self::GoogleImpersonation => "google-impersonation",
            Self::Google => "google",
            Self::Spiffe => "spiffe",
            Self::File => "file",
        }
    }

    /// Returns the provider of this source; `None` where the environment has nothing of it.
    pub fn provider(self, environment: &Environment, transport: &Transport) -> Option<Box<dyn IdentityProvider>> {
        let transport = || transport.clone();
        match self {
            Self::Variable => {
                let token = environment.variable("SIGSTORE_ID_TOKEN")?;
                Some(Box::new(GivenToken::from_text(token)))
            }
            Self::GitHub => Some(Box::new(GitHub::new(environment, transport())?)),
            Self::Buildkite => Some(Box::new(Buildkite::new(environment, transport())?)),
            Self::CircleCi => Some(Box::new(CircleCi::new(environment)?)),
            Self::GoogleImpersonation => Some(Box::new(GoogleImpersonation::new(environment, transport())?)),
            Self::Google => Some(Box::new(Google::new(environment, transport())?)),
            #[cfg(unix)]
            Self::Spiffe => Some(Box::new(Spiffe::new(environment, transport())?)),
            #[cfg(not(unix))]
            Self::Spiffe => None,
            Self::File => {
                let path = environment.token_file();
                path.is_file().then(|| Box::new(GivenToken::from_file(path)) as Box<dyn IdentityProvider>)
            }
        }
    }
}

/// Returns the first source that the environment has, in the order of [`Source::ALL`].
///
/// Where a job could have an identity if its definition asked for one, and there is no other source, the provider
/// returned says so when it is asked for a token: a job that was to sign as itself must not ask a person.
pub fn detect(environment: &Environment, transport: &Transport) -> Option<Box<dyn IdentityProvider>> {
    let found = Source::ALL.into_iter().find_map(|source| source.provider(environment, transport));
    found.or_else(|| Some(Box::new(NotPermitted::new(environment)?)))
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Source {
    type Err = UnknownSource;

    fn from_str(text: &str) -> Result<Self, UnknownSource> {
        // GitLab's token comes in the variable.
        let text = if text == "gitlab" { "env" } else { text };
        Self::ALL.into_iter().find(|source| source.as_str() == text).ok_or(UnknownSource)
    }
}

/// The text is no name of a source of identities.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "unknown source of identities; known are env, gitlab, github, buildkite, circleci, google-impersonation, google, \
     spiffe and file"
)]
pub struct UnknownSource;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_parse_back_and_are_all_in_the_error() {
        for source in Source::ALL {
            assert_eq!(source.to_string().parse(), Ok(source));
            assert!(UnknownSource.to_string().contains(source.as_str()));
        }
        assert_eq!("gitlab".parse(), Ok(Source::Variable));
        assert_eq!("GitHub".parse::<Source>(), Err(UnknownSource));
    }
}
