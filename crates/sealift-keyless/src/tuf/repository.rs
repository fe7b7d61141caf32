//! Where metadata and files are fetched from.

use bytes::Bytes;
use sealift_core::repository::foreign_text;
use url::Url;

use super::TufError;
use super::cache::quote;
use crate::transport::{Request, Transport, TransportError, endpoint};

/// A repository of TUF behind HTTP.
#[derive(Clone, Debug)]
pub struct Repository {
    metadata: Url,
    targets: Url,
    transport: Transport,
}

impl Repository {
    /// Uses the repository at `url`, with its files below `targets/`, as Sigstore's are.
    pub fn new(url: &Url, transport: Transport) -> Self {
        Self { metadata: url.clone(), targets: endpoint(url, "targets"), transport }
    }

    /// Uses metadata and files that lie at different places.
    pub fn at(metadata: Url, targets: Url, transport: Transport) -> Self {
        Self { metadata, targets, transport }
    }

    /// Returns where the metadata is.
    pub fn url(&self) -> &Url {
        &self.metadata
    }

    /// Fetches a metadata file; `None` when the repository has none of that name.
    pub(super) async fn metadata(&self, name: &str, limit: usize) -> Result<Option<Bytes>, TufError> {
        self.fetch(endpoint(&self.metadata, &quote(name)), name, limit).await
    }

    /// Fetches a file by its path.
    pub(super) async fn target(&self, path: &str, limit: usize) -> Result<Option<Bytes>, TufError> {
        let quoted: Vec<String> = path.split('/').map(quote).collect();
        self.fetch(endpoint(&self.targets, &quoted.join("/")), path, limit).await
    }

    async fn fetch(&self, url: Url, name: &str, limit: usize) -> Result<Option<Bytes>, TufError> {
        let file = || foreign_text(name);
        let answer = match self.transport.send(&Request::get(url).limit(limit)).await {
            Ok(answer) => answer,
            Err(TransportError::TooLarge { limit, .. }) => return Err(TufError::TooLarge { file: file(), limit }),
            Err(source) => return Err(TufError::Transport { file: file(), source }),
        };
        // Buckets answer 403 for what is not there.
        if matches!(answer.status().as_u16(), 403 | 404) {
            return Ok(None);
        }
        answer.into_body().map(Some).map_err(|source| TufError::Refused { file: file(), source })
    }
}
