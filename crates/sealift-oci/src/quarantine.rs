//! The quarantine that ACR keeps images in until somebody passes them: looked at and changed.
//!
//! Never decides anything: whether an image may leave is the caller's to know.
//! Reference: <https://github.com/Azure/acr/blob/main/docs/preview/quarantine/readme.md>.

use std::fmt;

use sealift_core::oci::{Digest, RepositoryName, Selector};
use sealift_core::repository::{RepositoryError, foreign_text};
use serde::{Deserialize, Serialize};

use crate::Client;
use crate::layout::Mode;
use crate::registry::attributes::{Attributes, PASSED};
use crate::registry::client::Endpoint;

/// A state to put a manifest into.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum State {
    /// Looked at, and kept back.
    Failed,
    /// Everybody may pull it.
    Passed,
    /// Kept back until somebody looks at it.
    Quarantined,
}

impl State {
    /// Returns the registry's word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Failed => "Failed",
            Self::Passed => PASSED,
            Self::Quarantined => "Quarantined",
        }
    }
}

/// What a registry says about the quarantine of one manifest.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Quarantine {
    /// The manifest.
    pub digest: Digest,
    /// Its state in the registry's words, bounded; nothing where the registry keeps no image back.
    pub state: Option<String>,
    /// What a scanner said; longer than any [`ScanDetails`] it is cut, and says so.
    pub details: Option<String>,
    /// Whether it may not be pulled by who has no special role.
    pub is_kept_back: bool,
}

impl From<Attributes> for Quarantine {
    fn from(attributes: Attributes) -> Self {
        let is_kept_back = attributes.is_kept_back();
        let Attributes { digest, quarantine_state, quarantine_details } = attributes;
        let state = quarantine_state.map(|state| foreign_text(&state));
        Self { digest, state, details: quarantine_details.map(|details| shown_details(&details)), is_kept_back }
    }
}

/// Reads a scanner's words for people: without control characters, and no more than it may have said.
fn shown_details(details: &str) -> String {
    let most = usize::try_from(ScanDetails::MAX_BYTES).unwrap_or(usize::MAX);
    let mut chars = details.chars().filter(|c| !c.is_control());
    let shown: String = chars.by_ref().take(most).collect();
    if chars.next().is_none() { shown } else { format!("{shown} (cut after {most} characters)") }
}

/// What a scanner says, in the only shape that ACR takes.
///
/// Schema: <https://github.com/Azure/acr/blob/main/docs/preview/quarantine/quarantine-details/schema.json>; registries
/// have a `scanner` besides.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ScanDetails {
    #[serde(skip_serializing_if = "Option::is_none")]
    scanner: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<ScanResult>,
    #[serde(skip_serializing_if = "Option::is_none")]
    link: Option<String>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct ScanResult {
    version: String,
    summary: Vec<ScanCount>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct ScanCount {
    severity: Severity,
    count: u64,
}

#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
enum Severity {
    Critical,
    High,
    Medium,
    Low,
    None,
}

impl ScanDetails {
    /// The most that is taken: the registry keeps it beside every manifest.
    pub const MAX_BYTES: u64 = 16 * 1024;

    /// Reads details as JSON.
    ///
    /// # Errors
    /// [`ScanDetailsError`] when it has another shape.
    pub fn parse(bytes: &[u8]) -> Result<Self, ScanDetailsError> {
        serde_json::from_slice(bytes).map_err(ScanDetailsError)
    }

    fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// Says why details are not what ACR takes.
#[derive(Debug, thiserror::Error)]
#[error("expected an object of `scanner`, `state`, `result` and `link`")]
pub struct ScanDetailsError(#[source] serde_json::Error);

/// Says why the quarantine of a manifest was not read or not changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QuarantineError {
    /// The registry took the change, and has another state all the same.
    #[error("the registry took the state `{asked}` for {digest} and has {}", state(.found))]
    NotKept {
        /// The manifest.
        digest: Digest,
        /// The state asked for.
        asked: &'static str,
        /// The state it has.
        found: Option<String>,
    },
    /// The repository did not do it.
    #[error("the record of the registry is out of reach")]
    Repository(#[source] RepositoryError),
    /// The account lacks a role.
    #[error("{repository} lets only accounts with the role `{role}` do this: {message}")]
    RoleMissing {
        /// The repository.
        repository: RepositoryName,
        /// The role that allows it.
        role: &'static str,
        /// The registry's words, bounded.
        message: String,
    },
}

fn state(found: &Option<String>) -> impl fmt::Display + use<> {
    found.as_ref().map_or_else(|| "none".to_owned(), |state| format!("`{state}`"))
}

/// Lets a manifest's attributes be read.
const READER: &str = "AcrQuarantineReader";
/// Lets the state of quarantine be changed.
const WRITER: &str = "AcrQuarantineWriter";

impl Client {
    /// Returns the state of quarantine of a manifest, from the registry's own record.
    ///
    /// # Errors
    /// [`QuarantineError`] when the registry has no such record, or does not show it.
    pub async fn quarantine(&self, name: &RepositoryName, selector: &Selector) -> Result<Quarantine, QuarantineError> {
        let endpoint = self.quarantine_endpoint(name, Mode::Read)?;
        endpoint.quarantine(selector).await
    }

    /// Changes the state of quarantine of a manifest in the registry's own record, and reads it again.
    ///
    /// # Errors
    /// [`QuarantineError`] when the registry has no such record, or does not let it be changed.
    pub async fn set_quarantine(
        &self,
        name: &RepositoryName,
        selector: &Selector,
        state: State,
        details: Option<&ScanDetails>,
    ) -> Result<Quarantine, QuarantineError> {
        let endpoint = self.quarantine_endpoint(name, Mode::Write)?;
        let digest = endpoint.quarantine(selector).await?.digest;
        let details = details.map(ScanDetails::to_json);
        let changed = endpoint.change_quarantine(&digest, state.as_str(), details.as_deref()).await;
        changed.map_err(|error| lacking(error, WRITER))?;
        let found = endpoint.quarantine(&digest.clone().into()).await?;
        match found.state.as_deref() {
            Some(kept) if kept.eq_ignore_ascii_case(state.as_str()) => Ok(found),
            _ => Err(QuarantineError::NotKept { digest, asked: state.as_str(), found: found.state }),
        }
    }

    fn quarantine_endpoint(&self, name: &RepositoryName, mode: Mode) -> Result<Endpoint, QuarantineError> {
        let RepositoryName::Registry { host, path } = name else { return Err(no_quarantine(name)) };
        self.endpoint(name, host, path, mode).map_err(QuarantineError::Repository)
    }
}

impl Endpoint {
    async fn quarantine(&self, selector: &Selector) -> Result<Quarantine, QuarantineError> {
        match self.attributes(selector).await {
            Ok(attributes) => Ok(attributes.into()),
            Err(RepositoryError::Unsupported { .. }) => Err(no_quarantine(&self.name)),
            Err(error) if self.host.auth().is_azure() => Err(lacking(error, READER)),
            Err(error) => Err(QuarantineError::Repository(error)),
        }
    }
}

fn no_quarantine(name: &RepositoryName) -> QuarantineError {
    let operation = "quarantine of its own, which only Azure Container Registry has";
    QuarantineError::Repository(RepositoryError::Unsupported { repository: name.clone(), operation })
}

fn lacking(error: RepositoryError, role: &'static str) -> QuarantineError {
    match error {
        RepositoryError::Denied { repository, message, .. } => {
            QuarantineError::RoleMissing { repository, role, message }
        }
        error => QuarantineError::Repository(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn details_have_one_shape() {
        for (text, is_taken) in [
            (r#"{"state":"scan passed","link":"https://scanner.test/1"}"#, true),
            (r#"{"scanner":"s","result":{"version":"1","summary":[{"severity":"High","count":2}]}}"#, true),
            ("{}", true),
            (r#"{"state":"x","verdict":"good"}"#, false),
            (r#"{"result":{"version":"1","summary":[{"severity":"Awful","count":2}]}}"#, false),
            (r#"{"result":{"summary":[]}}"#, false),
            (r#"{"result":{"version":"1","summary":[],"summry":[]}}"#, false),
            (r#"{"result":{"version":"1","summary":[{"severity":"High","count":2,"fixed":2}]}}"#, false),
            ("[]", false),
            ("", false),
        ] {
            assert_eq!(ScanDetails::parse(text.as_bytes()).is_ok(), is_taken, "{text}");
        }
    }

    #[test]
    fn details_are_shown_whole_or_say_that_they_are_cut() {
        let most = usize::try_from(ScanDetails::MAX_BYTES).unwrap();
        let whole = "x".repeat(most);
        assert_eq!(shown_details(&whole), whole);
        let cut = shown_details(&format!("\u{1b}{whole}y"));
        assert!(cut.starts_with(&whole) && cut.ends_with("x (cut after 16384 characters)"), "{}", &cut[most..]);
    }
}
