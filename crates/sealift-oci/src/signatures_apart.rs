//! A repository whose signatures are kept in another one, as cosign does by `COSIGN_REPOSITORY`.
//!
//! What is attached is read from there and written to there: referrers, fallback tags and cosign's tags. Nothing is
//! written to the repository of the artifacts, so no right to push there is needed.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use sealift_core::locked;
use sealift_core::oci::{Descriptor, Digest, RawManifest, RepositoryName, Selector, Tag};
use sealift_core::repository::{
    Arrival, Content, Pushed, ReadRepository, ReferrersListing, Repository, RepositoryError, Revision, TagMove,
};

/// The most digests remembered to be kept apart; stops a registry that lists without end.
const MAX_REMEMBERED: usize = 100_000;

/// Artifacts in one place, what is attached to them in another; read only.
#[derive(Debug)]
pub(crate) struct SignaturesApart {
    artifacts: Arc<dyn ReadRepository>,
    signatures: Arc<dyn ReadRepository>,
    /// What listings and manifests there named: it is asked for there first.
    apart: Mutex<HashSet<Digest>>,
}

impl SignaturesApart {
    pub(crate) fn new(artifacts: Arc<dyn ReadRepository>, signatures: Arc<dyn ReadRepository>) -> Self {
        Self { artifacts, signatures, apart: Mutex::default() }
    }

    /// Returns both places, the one that should have the content first.
    fn places(&self, digest: &Digest) -> [&dyn ReadRepository; 2] {
        let apart = locked(&self.apart);
        match apart.contains(digest) {
            true => [&*self.signatures, &*self.artifacts],
            false => [&*self.artifacts, &*self.signatures],
        }
    }

    fn note<'a>(&self, digests: impl Iterator<Item = &'a Digest>) {
        let mut apart = locked(&self.apart);
        for digest in digests {
            if apart.len() < MAX_REMEMBERED {
                apart.insert(digest.clone());
            }
        }
    }

    fn note_manifest(&self, manifest: &RawManifest) {
        self.note([&manifest.descriptor().digest].into_iter());
        if let Ok(parsed) = manifest.parse() {
            self.note(parsed.children().map(|child| &child.digest));
        }
    }

    fn is_apart(&self, digest: &Digest) -> bool {
        locked(&self.apart).contains(digest)
    }
}

/// Says whether a tag is one that lists or holds what is attached: `sha256-<hex>`, with a suffix or without.
pub(crate) fn is_of_attachments(tag: &Tag) -> bool {
    let Some((algorithm, rest)) = tag.as_str().split_once('-') else { return false };
    let hex = rest.split('.').next().unwrap_or_default();
    matches!(algorithm, "sha256" | "sha512") && hex.len() >= 64 && hex.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Returns the error of content that neither place gave: not there by the word of both, or that one could not tell.
fn nowhere(first: RepositoryError, second: RepositoryError) -> RepositoryError {
    if second.is_not_found() { first } else { second }
}

#[async_trait]
impl ReadRepository for SignaturesApart {
    fn name(&self) -> &RepositoryName {
        self.artifacts.name()
    }

    async fn resolve(&self, selector: &Selector) -> Result<Descriptor, RepositoryError> {
        match selector {
            Selector::Tag(tag) if is_of_attachments(tag) => {
                let found = self.signatures.resolve(selector).await?;
                self.note([&found.digest].into_iter());
                Ok(found)
            }
            Selector::Tag(_) => self.artifacts.resolve(selector).await,
            Selector::Digest(digest) => {
                let [first, second] = self.places(digest);
                match first.resolve(selector).await {
                    Err(error) if error.is_not_found() => {
                        second.resolve(selector).await.map_err(|other| nowhere(error, other))
                    }
                    found => found,
                }
            }
        }
    }

    async fn manifest(&self, selector: &Selector) -> Result<RawManifest, RepositoryError> {
        let digest = match selector {
            Selector::Tag(tag) if is_of_attachments(tag) => {
                let found = self.signatures.manifest(selector).await?;
                self.note_manifest(&found);
                return Ok(found);
            }
            Selector::Tag(_) => return self.artifacts.manifest(selector).await,
            Selector::Digest(digest) => digest,
        };
        let [first, second] = self.places(digest);
        let is_apart = self.is_apart(digest);
        let (found, is_apart) = match first.manifest(selector).await {
            Err(error) if error.is_not_found() => {
                (second.manifest(selector).await.map_err(|other| nowhere(error, other))?, !is_apart)
            }
            found => (found?, is_apart),
        };
        if is_apart {
            self.note_manifest(&found);
        }
        Ok(found)
    }

    async fn exists(&self, descriptor: &Descriptor) -> Result<bool, RepositoryError> {
        let [first, second] = self.places(&descriptor.digest);
        Ok(first.exists(descriptor).await? || second.exists(descriptor).await?)
    }

    async fn fetch(&self, descriptor: &Descriptor) -> Result<Content, RepositoryError> {
        let [first, second] = self.places(&descriptor.digest);
        match first.fetch(descriptor).await {
            Err(error) if error.is_not_found() => second.fetch(descriptor).await.map_err(|other| nowhere(error, other)),
            found => found,
        }
    }

    async fn referrers(
        &self,
        subject: &Digest,
        listing: ReferrersListing,
    ) -> Result<Option<Vec<Descriptor>>, RepositoryError> {
        let listed = self.signatures.referrers(subject, listing).await?;
        self.note(listed.iter().flatten().map(|entry| &entry.digest));
        Ok(listed)
    }

    async fn tags(&self) -> Result<Vec<Tag>, RepositoryError> {
        let apart = match self.signatures.tags().await {
            // It comes into being with the first signature.
            Err(error) if error.is_not_found() => Vec::new(),
            tags => tags?,
        };
        let artifacts = self.artifacts.tags().await?.into_iter().filter(|tag| !is_of_attachments(tag));
        Ok(artifacts.chain(apart.into_iter().filter(is_of_attachments)).collect())
    }
}

/// The same, with the right to write what is attached.
#[derive(Debug)]
pub(crate) struct WritableSignaturesApart {
    reader: SignaturesApart,
    signatures: Arc<dyn Repository>,
}

impl WritableSignaturesApart {
    pub(crate) fn new(artifacts: Arc<dyn ReadRepository>, signatures: Arc<dyn Repository>) -> Self {
        let reader = SignaturesApart::new(artifacts, Arc::clone(&signatures) as Arc<dyn ReadRepository>);
        Self { reader, signatures }
    }
}

#[async_trait]
impl ReadRepository for WritableSignaturesApart {
    fn name(&self) -> &RepositoryName {
        self.reader.name()
    }

    async fn resolve(&self, selector: &Selector) -> Result<Descriptor, RepositoryError> {
        self.reader.resolve(selector).await
    }

    async fn manifest(&self, selector: &Selector) -> Result<RawManifest, RepositoryError> {
        self.reader.manifest(selector).await
    }

    /// Says whether content need not be pushed: a blob of the artifacts is not where blobs of signatures go.
    async fn exists(&self, descriptor: &Descriptor) -> Result<bool, RepositoryError> {
        if descriptor.media_type.is_manifest() {
            return self.reader.exists(descriptor).await;
        }
        self.signatures.exists(descriptor).await
    }

    async fn fetch(&self, descriptor: &Descriptor) -> Result<Content, RepositoryError> {
        self.reader.fetch(descriptor).await
    }

    async fn referrers(
        &self,
        subject: &Digest,
        listing: ReferrersListing,
    ) -> Result<Option<Vec<Descriptor>>, RepositoryError> {
        self.reader.referrers(subject, listing).await
    }

    async fn tags(&self) -> Result<Vec<Tag>, RepositoryError> {
        self.reader.tags().await
    }
}

#[async_trait]
impl Repository for WritableSignaturesApart {
    fn as_read(&self) -> &dyn ReadRepository {
        self
    }

    async fn push(&self, descriptor: &Descriptor, content: Content) -> Result<Pushed, RepositoryError> {
        self.reader.note([&descriptor.digest].into_iter());
        self.signatures.push(descriptor, content).await
    }

    async fn transfer(&self, descriptor: &Descriptor, source: &dyn ReadRepository) -> Result<Arrival, RepositoryError> {
        self.reader.note([&descriptor.digest].into_iter());
        self.signatures.transfer(descriptor, source).await
    }

    async fn link_referrers(&self, subject: &Digest, entries: &[Descriptor]) -> Result<(), RepositoryError> {
        self.signatures.link_referrers(subject, entries).await
    }

    async fn unlink_referrers(&self, subject: &Digest, entries: &[Digest]) -> Result<(), RepositoryError> {
        self.signatures.unlink_referrers(subject, entries).await
    }

    async fn tag(&self, manifest: &RawManifest, tag: &Tag) -> Result<(), RepositoryError> {
        self.signatures.tag(manifest, tag).await
    }

    async fn move_tag(
        &self,
        manifest: &RawManifest,
        tag: &Tag,
        previous: Option<&Digest>,
    ) -> Result<TagMove, RepositoryError> {
        self.signatures.move_tag(manifest, tag, previous).await
    }

    async fn revise_tag(&self, tag: &Tag, revision: Arc<dyn Revision>) -> Result<Option<RawManifest>, RepositoryError> {
        self.signatures.revise_tag(tag, revision).await
    }

    fn lists_referrers(&self) -> Option<bool> {
        self.signatures.lists_referrers()
    }

    async fn settle(&self) -> Result<Vec<(Tag, RawManifest)>, RepositoryError> {
        self.signatures.settle().await
    }

    async fn flush(&self) -> Result<(), RepositoryError> {
        self.signatures.flush().await
    }

    async fn delete(&self, selector: &Selector) -> Result<(), RepositoryError> {
        self.signatures.delete(selector).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_of_attachments_are_told_from_others() {
        let hex = "a".repeat(64);
        for (tag, expected) in [
            (format!("sha256-{hex}"), true),
            (format!("sha256-{hex}.sig"), true),
            (format!("sha256-{hex}.att"), true),
            (format!("sha256-{}", &hex[1..]), false),
            (format!("md5-{hex}"), false),
            ("v1.0-rc.1".to_owned(), false),
            ("latest".to_owned(), false),
        ] {
            assert_eq!(is_of_attachments(&tag.parse().unwrap()), expected, "{tag}");
        }
    }
}
