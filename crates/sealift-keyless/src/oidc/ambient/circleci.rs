//! CircleCI.
//!
//! The token in its environment is for another audience; its program makes others. The issuer is the organisation's, as
//! in signatures that other clients make there.
//! Specification: <https://circleci.com/docs/oidc-tokens-with-custom-claims/>.

use std::io;
use std::process::Stdio;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::json;
use tokio::io::AsyncReadExt as _;
use tokio::process::Command;

use super::Environment;
use crate::oidc::{IdentityError, IdentityProvider, IdentityToken, MAX_ANSWER_BYTES, token_for};
use crate::secret::Secret;

/// Runs the program that every job of CircleCI has.
#[derive(Debug)]
pub(super) struct CircleCi {
    command: Vec<String>,
}

impl CircleCi {
    pub(super) fn new(environment: &Environment) -> Option<Self> {
        environment.is_true("CIRCLECI").then(|| Self { command: environment.circleci().to_vec() })
    }

    async fn run(&self, audience: &str) -> io::Result<Secret> {
        let [program, arguments @ ..] = &self.command[..] else { return Err(io::ErrorKind::InvalidInput.into()) };
        let mut child = Command::new(program)
            .args(arguments)
            .args(["run", "oidc", "get", "--claims", &json!({ "aud": audience }).to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            // It may say why in words, but also repeat what it was given.
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        let limit = u64::try_from(MAX_ANSWER_BYTES).unwrap_or(u64::MAX);
        let mut text = String::new();
        if let Some(stdout) = child.stdout.take() {
            stdout.take(limit).read_to_string(&mut text).await?;
        }
        let status = child.wait().await?;
        if status.success() { Ok(Secret::from(text)) } else { Err(io::Error::other(status.to_string())) }
    }
}

#[async_trait]
impl IdentityProvider for CircleCi {
    fn name(&self) -> &'static str {
        "CircleCI"
    }

    async fn token(&self, audience: &str) -> Result<IdentityToken, IdentityError> {
        let program = || self.command.first().cloned().unwrap_or_default();
        let ran = tokio::time::timeout(TIMEOUT, self.run(audience)).await;
        let ran = ran.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        let text = ran.map_err(|source| IdentityError::Program { program: program(), source })?;
        token_for(audience, text.expose())
    }
}

/// The longest time the program may take; it asks a service.
const TIMEOUT: Duration = Duration::from_secs(60);
