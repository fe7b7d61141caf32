//! Attributes that ACR keeps about manifests and tags, below `/acr/v1`; the quarantine is one of them.
//!
//! A manifest in quarantine is hidden: its tag is answered as if it were not there, its digest with words that stand for
//! several things. The attributes say which, so they are asked where a manifest is refused; for the tags of signatures,
//! too, because an image whose signatures are kept back is not unsigned. Other registries are never asked for them.
//! Reference: <https://github.com/Azure/acr/blob/main/docs/preview/quarantine/readme.md>.

use http::header::CONTENT_TYPE;
use http::{Method, StatusCode};
use sealift_core::oci::{Digest, Selector};
use sealift_core::repository::{RepositoryError, foreign_text};
use serde::Deserialize;
use url::Url;

use super::client::{Body, Endpoint, Request};
use super::error::DISALLOWED;
use super::response::Response;
use crate::auth::{Need, ScopeSet};

/// The largest answer read; one manifest's attributes with a scanner's details have a few KiB.
const MAX_ATTRIBUTES_BYTES: u64 = 256 * 1024;
/// What everybody may pull.
pub(crate) const PASSED: &str = "Passed";

/// What a registry keeps about a manifest besides its bytes.
#[derive(Clone, Debug)]
pub(crate) struct Attributes {
    pub(crate) digest: Digest,
    /// `Passed`, `Failed`, `Quarantined`, or nothing where the registry does not know quarantine.
    pub(crate) quarantine_state: Option<String>,
    pub(crate) quarantine_details: Option<String>,
}

impl Attributes {
    /// Says whether the registry keeps the manifest back.
    pub(crate) fn is_kept_back(&self) -> bool {
        self.quarantine_state.as_deref().is_some_and(|state| !state.eq_ignore_ascii_case(PASSED))
    }
}

impl Endpoint {
    /// Returns the error that the refusal of a manifest stands for.
    pub(super) async fn refused_manifest(
        &self,
        response: Response,
        operation: &'static str,
        selector: &Selector,
    ) -> RepositoryError {
        let (status, body) = response.into_error_body().await;
        let may_be_kept_back = match selector {
            Selector::Tag(_) => status == StatusCode::NOT_FOUND,
            // Without a code it answered `HEAD`.
            Selector::Digest(_) => body.code == DISALLOWED || (body.code.is_empty() && status == StatusCode::FORBIDDEN),
        };
        let error = body.into_error(status, &self.name, operation, format!("manifest {selector}"));
        if !may_be_kept_back || !self.host.auth().is_azure() {
            return error;
        }
        match self.attributes(selector).await {
            Ok(attributes) if attributes.is_kept_back() => RepositoryError::Quarantined {
                repository: self.name.clone(),
                digest: attributes.digest,
                state: foreign_text(&attributes.quarantine_state.unwrap_or_default()),
            },
            Ok(_) => error,
            // Who may pull and no more, or is nobody, is shown no attributes of any registry, and most have no quarantine.
            Err(RepositoryError::Unauthenticated { .. }) => error,
            Err(missing) if missing.is_not_found() => error,
            // Whether it is there could not be told.
            Err(unsure) => unsure,
        }
    }

    /// Returns the attributes of a manifest; a tag leads to its manifest's, also when its manifest is kept back.
    pub(crate) async fn attributes(&self, selector: &Selector) -> Result<Attributes, RepositoryError> {
        let digest = match selector {
            Selector::Digest(digest) => digest.clone(),
            Selector::Tag(tag) => {
                let answer: TagAnswer = self.read_attributes(&format!("_tags/{tag}"), selector).await?;
                answer.tag.digest
            }
        };
        let answer: ManifestAnswer = self.read_attributes(&format!("_manifests/{digest}"), selector).await?;
        if answer.manifest.digest != digest {
            return Err(self.malformed("attributes", format_args!("they are of {}", answer.manifest.digest)));
        }
        let OfManifest { quarantine_state, changeable_attributes: of, .. } = answer.manifest;
        Ok(Attributes {
            digest,
            quarantine_state: of.quarantine_state.or(quarantine_state),
            quarantine_details: of.quarantine_details,
        })
    }

    /// Changes the state of quarantine of a manifest.
    pub(crate) async fn change_quarantine(
        &self,
        digest: &Digest,
        state: &str,
        details: Option<&str>,
    ) -> Result<(), RepositoryError> {
        let need = Need { scopes: ScopeSet::push(&self.path), preferred: ScopeSet::attribute_changes(&self.path) };
        let mut change = serde_json::json!({ "quarantineState": state });
        if let Some(details) = details {
            change["quarantineDetails"] = details.into();
        }
        let url = self.attributes_url(&format!("_manifests/{digest}"));
        let request = Request::new(CHANGE, Method::PATCH, url, need)
            .header(CONTENT_TYPE, "application/json")
            .body(Body::Bytes(change.to_string().into()));
        let response = self.send(request).await?;
        match response.status().is_success() {
            true => Ok(()),
            false => Err(response.into_error(&self.name, CHANGE, format!("manifest {digest}")).await),
        }
    }

    async fn read_attributes<T: serde::de::DeserializeOwned>(
        &self,
        rest: &str,
        selector: &Selector,
    ) -> Result<T, RepositoryError> {
        let need = Need { scopes: ScopeSet::pull(&self.path), preferred: ScopeSet::attributes(&self.path) };
        let response = self.send(Request::new(READ, Method::GET, self.attributes_url(rest), need)).await?;
        if response.status() != StatusCode::OK {
            let (status, body) = response.into_error_body().await;
            if is_no_such_place(status, &body.code) && !self.host.auth().is_azure() {
                return Err(RepositoryError::Unsupported { repository: self.name.clone(), operation: READ });
            }
            return Err(body.into_error(status, &self.name, READ, format!("manifest {selector}")));
        }
        let body = response.read(&self.name, READ, "attributes", MAX_ATTRIBUTES_BYTES).await?;
        serde_json::from_slice(&body).map_err(|error| self.malformed("attributes", error))
    }

    fn attributes_url(&self, rest: &str) -> Url {
        let mut url = self.host.base.clone();
        url.set_path(&format!("/acr/v1/{}/{rest}", self.path));
        url
    }
}

/// Says whether an answer is that of a registry which keeps no attributes: the path itself is missing, not what it leads
/// to.
fn is_no_such_place(status: StatusCode, code: &str) -> bool {
    const UNKNOWN: [&str; 3] = ["MANIFEST_UNKNOWN", "NAME_UNKNOWN", "TAG_UNKNOWN"];
    matches!(status.as_u16(), 404 | 405 | 501) && !UNKNOWN.contains(&code)
}

const READ: &str = "read attributes";
const CHANGE: &str = "change attributes";

#[derive(Deserialize)]
struct ManifestAnswer {
    manifest: OfManifest,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OfManifest {
    digest: Digest,
    quarantine_state: Option<String>,
    #[serde(default)]
    changeable_attributes: Changeable,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Changeable {
    quarantine_state: Option<String>,
    quarantine_details: Option<String>,
}

#[derive(Deserialize)]
struct TagAnswer {
    tag: OfTag,
}

#[derive(Deserialize)]
struct OfTag {
    digest: Digest,
}
