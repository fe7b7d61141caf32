//! Credential helpers: `docker-credential-<name>` programs.
//!
//! A helper runs with a time limit, and no more than a bounded answer is read from it.
//! Protocol: <https://github.com/docker/docker-credential-helpers>.

use std::io;
use std::process::Stdio;
use std::time::Duration;

use sealift_core::repository::foreign_text;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;
use zeroize::Zeroizing;

use super::{Credential, IDENTITY_TOKEN_USER, KeychainError};
use crate::redact::Secret;

/// Longest time given to a helper; it may be asking a person.
const HELPER_TIME_LIMIT: Duration = Duration::from_secs(120);
/// The longest answer read; a helper that writes more is broken.
const MAX_HELPER_BYTES: u64 = 64 * 1024;
/// What every helper says when it knows nothing about a server (`credentials.NewErrCredentialsNotFound`).
const NOT_FOUND: &str = "credentials not found";

/// A credential helper.
#[derive(Clone, Debug)]
pub(super) struct Helper {
    program: String,
}

/// What a helper knows about a server.
#[derive(Debug)]
pub(super) enum HelperAnswer {
    Found(Credential),
    NoProgram,
    NotFound,
}

impl Helper {
    /// Returns the helper called `name` in a configuration.
    pub(super) fn new(name: &str) -> Result<Self, KeychainError> {
        let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if name.is_empty() || !name.chars().all(is_name) {
            // A name with a slash would run another program than the one installed on the path.
            return Err(KeychainError::Malformed {
                origin: format!("helper name `{}`", foreign_text(name)),
                problem: "a helper name has letters, digits, `-`, `_` and `.`".to_owned(),
            });
        }
        Ok(Self { program: format!("docker-credential-{name}") })
    }

    /// Returns the program's name.
    pub(super) fn program(&self) -> &str {
        &self.program
    }

    /// Asks for the credentials of `server`.
    pub(super) async fn find(&self, server: &str) -> Result<HelperAnswer, KeychainError> {
        let answer = match self.run("get", server.as_bytes()).await? {
            Run::NoProgram => return Ok(HelperAnswer::NoProgram),
            Run::Failed(words) if words.to_ascii_lowercase().contains(NOT_FOUND) => return Ok(HelperAnswer::NotFound),
            Run::Failed(words) => return Err(self.failed("get", &words)),
            Run::Done(answer) => answer,
        };
        let pair: Pair = serde_json::from_slice(&answer).map_err(|_| self.failed("get", "the answer is not JSON"))?;
        if pair.secret.expose().is_empty() {
            return Ok(HelperAnswer::NotFound);
        }
        Ok(HelperAnswer::Found(Credential::from_pair(pair.username, pair.secret)))
    }

    /// Hands over credentials to keep.
    pub(super) async fn store(&self, server: &str, credential: &Credential) -> Result<(), KeychainError> {
        let (username, secret) = match credential {
            Credential::Basic { username, password } => (username.as_str(), password),
            Credential::IdentityToken(token) | Credential::RegistryToken(token) => (IDENTITY_TOKEN_USER, token),
            Credential::Anonymous => return self.erase(server).await,
        };
        let pair = Stored { server_url: server, username, secret: secret.expose() };
        let input =
            Zeroizing::new(serde_json::to_vec(&pair).map_err(|error| self.failed("store", &error.to_string()))?);
        match self.run("store", &input).await? {
            Run::Done(_) => Ok(()),
            Run::Failed(words) => Err(self.failed("store", &words)),
            Run::NoProgram => Err(self.failed("store", "the program is not installed")),
        }
    }

    /// Asks to forget the credentials of `server`; not having any is no error.
    pub(super) async fn erase(&self, server: &str) -> Result<(), KeychainError> {
        match self.run("erase", server.as_bytes()).await? {
            Run::Done(_) => Ok(()),
            Run::Failed(words) if words.to_ascii_lowercase().contains(NOT_FOUND) => Ok(()),
            Run::Failed(words) => Err(self.failed("erase", &words)),
            Run::NoProgram => Err(self.failed("erase", "the program is not installed")),
        }
    }

    async fn run(&self, verb: &'static str, input: &[u8]) -> Result<Run, KeychainError> {
        let started = Command::new(&self.program)
            .arg(verb)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn();
        let mut child = match started {
            Ok(child) => child,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Run::NoProgram),
            Err(error) => return Err(self.failed(verb, &error.to_string())),
        };
        let conversation = async {
            if let Some(mut stdin) = child.stdin.take() {
                // A helper may answer without reading its input.
                let _ = stdin.write_all(input).await;
            }
            let mut answer = Zeroizing::new(Vec::new());
            if let Some(stdout) = child.stdout.take() {
                stdout.take(MAX_HELPER_BYTES + 1).read_to_end(&mut answer).await?;
            }
            if answer.len() as u64 > MAX_HELPER_BYTES {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "the answer is too long"));
            }
            let status = child.wait().await?;
            Ok((answer, status))
        };
        let ended = tokio::time::timeout(HELPER_TIME_LIMIT, conversation).await;
        let (answer, status) = ended
            .map_err(|_| KeychainError::HelperTimeout { program: self.program.clone(), limit: HELPER_TIME_LIMIT })?
            .map_err(|error| self.failed(verb, &error.to_string()))?;
        if status.success() {
            return Ok(Run::Done(answer));
        }
        Ok(Run::Failed(foreign_text(&String::from_utf8_lossy(&answer))))
    }

    /// Returns the error that the helper failed.
    pub(super) fn failed(&self, operation: &'static str, problem: &str) -> KeychainError {
        KeychainError::Helper { program: self.program.clone(), operation, problem: foreign_text(problem) }
    }
}

enum Run {
    Done(Zeroizing<Vec<u8>>),
    Failed(String),
    NoProgram,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Pair {
    #[serde(default)]
    username: String,
    #[serde(default)]
    secret: Secret,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Stored<'a> {
    #[serde(rename = "ServerURL")]
    server_url: &'a str,
    username: &'a str,
    secret: &'a str,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_leave_the_path() {
        for name in ["", "../x", "a/b", "a b", "x;rm"] {
            assert!(Helper::new(name).is_err(), "{name}");
        }
        assert_eq!(Helper::new("ecr-login").unwrap().program(), "docker-credential-ecr-login");
    }

    #[tokio::test]
    async fn a_missing_program_is_told_apart() {
        let helper = Helper::new("sealift-is-not-installed").unwrap();
        assert!(matches!(helper.find("a.test").await.unwrap(), HelperAnswer::NoProgram));
        assert!(helper.store("a.test", &Credential::from_pair("u", "p")).await.is_err());
    }
}
