//! A repository that writes down what it is asked, and fails at a chosen question.
//!
//! Every call lets other tasks go first, so that writers side by side interleave the same way in every run.

use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use sealift_core::locked;
use sealift_core::oci::{Descriptor, Digest, MAX_MANIFEST_BYTES, RawManifest, RepositoryName, Selector, Tag};
use sealift_core::repository::{
    Content, Pushed, ReadRepository, ReferrersListing, Repository, RepositoryError, Revised, Revision, TagMove,
};

/// A repository whose calls are logged and counted from 1.
#[derive(Debug)]
pub struct WatchedRepository<R> {
    inner: R,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    calls: Vec<String>,
    failing: Failing,
    loss: Option<Loss>,
}

/// What a repository acknowledges and does not do.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Loss {
    /// Links under a fallback tag.
    Links,
    /// Manifests with a subject.
    Referrers,
    /// What this tag is to hold.
    Tag(Tag),
}

#[derive(Debug, Default)]
enum Failing {
    #[default]
    Never,
    Nth(usize),
    Calls(String),
}

impl<R: Repository> WatchedRepository<R> {
    /// Watches `inner`.
    pub fn new(inner: R) -> Self {
        Self { inner, state: Mutex::default() }
    }

    /// Returns the repository itself, to look at without being logged.
    pub fn inner(&self) -> &R {
        &self.inner
    }

    /// Returns the calls since the last [`WatchedRepository::clear`], such as `manifest tag v1`.
    pub fn calls(&self) -> Vec<String> {
        self.state().calls.clone()
    }

    /// Forgets the calls, fails no more and loses nothing more.
    pub fn clear(&self) {
        *self.state() = State::default();
    }

    /// Forgets the calls, and makes the nth from now fail as if the repository did not answer.
    pub fn fail_nth(&self, nth: usize) {
        *self.state() = State { failing: Failing::Nth(nth), ..State::default() };
    }

    /// Makes every call that starts with `prefix` fail as if the repository did not answer.
    pub fn fail_calls(&self, prefix: &str) {
        self.state().failing = Failing::Calls(prefix.to_owned());
    }

    /// Makes the repository acknowledge what it then loses.
    pub fn lose(&self, loss: Loss) {
        self.state().loss = Some(loss);
    }

    fn loses(&self, loss: &Loss) -> bool {
        self.state().loss.as_ref() == Some(loss)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        locked(&self.state)
    }

    async fn called(
        &self,
        operation: &'static str,
        what: impl std::fmt::Display + Send,
    ) -> Result<(), RepositoryError> {
        let call = format!("{operation} {what}");
        tokio::task::yield_now().await;
        let mut state = self.state();
        state.calls.push(call.clone());
        let fails = match &state.failing {
            Failing::Never => false,
            Failing::Nth(nth) => state.calls.len() == *nth,
            Failing::Calls(prefix) => call.starts_with(prefix),
        };
        if !fails {
            return Ok(());
        }
        Err(RepositoryError::Unavailable {
            repository: self.inner.name().clone(),
            operation,
            source: "the test says so".into(),
        })
    }
}

fn selected(selector: &Selector) -> String {
    match selector {
        Selector::Digest(digest) => format!("{digest}"),
        Selector::Tag(tag) => format!("tag {tag}"),
    }
}

#[async_trait]
impl<R: Repository> ReadRepository for WatchedRepository<R> {
    fn name(&self) -> &RepositoryName {
        self.inner.name()
    }

    async fn resolve(&self, selector: &Selector) -> Result<Descriptor, RepositoryError> {
        self.called("resolve", selected(selector)).await?;
        self.inner.resolve(selector).await
    }

    async fn manifest(&self, selector: &Selector) -> Result<RawManifest, RepositoryError> {
        self.called("manifest", selected(selector)).await?;
        self.inner.manifest(selector).await
    }

    async fn exists(&self, descriptor: &Descriptor) -> Result<bool, RepositoryError> {
        self.called("exists", &descriptor.digest).await?;
        self.inner.exists(descriptor).await
    }

    async fn fetch(&self, descriptor: &Descriptor) -> Result<Content, RepositoryError> {
        self.called("fetch", &descriptor.digest).await?;
        self.inner.fetch(descriptor).await
    }

    async fn referrers(
        &self,
        subject: &Digest,
        listing: ReferrersListing,
    ) -> Result<Option<Vec<Descriptor>>, RepositoryError> {
        let operation = match listing {
            ReferrersListing::Api => "referrers",
            ReferrersListing::FallbackTag => "fallback",
        };
        self.called(operation, subject).await?;
        self.inner.referrers(subject, listing).await
    }

    async fn tags(&self) -> Result<Vec<Tag>, RepositoryError> {
        self.called("tags", "").await?;
        self.inner.tags().await
    }
}

#[async_trait]
impl<R: Repository> Repository for WatchedRepository<R> {
    fn as_read(&self) -> &dyn ReadRepository {
        self
    }

    async fn push(&self, descriptor: &Descriptor, content: Content) -> Result<Pushed, RepositoryError> {
        self.called("push", &descriptor.digest).await?;
        if !(descriptor.media_type.is_manifest() && self.loses(&Loss::Referrers)) {
            return self.inner.push(descriptor, content).await;
        }
        let bytes = content.read_all(MAX_MANIFEST_BYTES).await;
        let bytes = bytes.map_err(|source| RepositoryError::Content { repository: self.name().clone(), source })?;
        let manifest = RawManifest::new(descriptor.media_type.clone(), bytes.clone()).parse();
        if manifest.is_ok_and(|manifest| manifest.subject.is_some()) {
            return Ok(Pushed::Stored);
        }
        self.inner.push(descriptor, Content::from(bytes)).await
    }

    async fn link_referrers(&self, subject: &Digest, entries: &[Descriptor]) -> Result<(), RepositoryError> {
        self.called("link", subject).await?;
        if self.loses(&Loss::Links) {
            return Ok(());
        }
        self.inner.link_referrers(subject, entries).await
    }

    async fn unlink_referrers(&self, subject: &Digest, entries: &[Digest]) -> Result<(), RepositoryError> {
        self.called("unlink", subject).await?;
        self.inner.unlink_referrers(subject, entries).await
    }

    async fn tag(&self, manifest: &RawManifest, tag: &Tag) -> Result<(), RepositoryError> {
        self.called("tag", tag).await?;
        if self.loses(&Loss::Tag(tag.clone())) {
            return Ok(());
        }
        self.inner.tag(manifest, tag).await
    }

    async fn move_tag(
        &self,
        manifest: &RawManifest,
        tag: &Tag,
        previous: Option<&Digest>,
    ) -> Result<TagMove, RepositoryError> {
        self.called("tag", tag).await?;
        if self.loses(&Loss::Tag(tag.clone())) {
            return Ok(TagMove::Done);
        }
        self.inner.move_tag(manifest, tag, previous).await
    }

    async fn revise_tag(&self, tag: &Tag, revision: Arc<dyn Revision>) -> Result<Option<RawManifest>, RepositoryError> {
        self.called("revise", tag).await?;
        if self.loses(&Loss::Tag(tag.clone())) {
            return Ok(match revision.revise(&self.inner, None).await? {
                Revised::Write(manifest) => Some(*manifest),
                _ => None,
            });
        }
        self.inner.revise_tag(tag, revision).await
    }

    fn lists_referrers(&self) -> Option<bool> {
        self.inner.lists_referrers()
    }

    async fn settle(&self) -> Result<Vec<(Tag, RawManifest)>, RepositoryError> {
        self.inner.settle().await
    }

    async fn flush(&self) -> Result<(), RepositoryError> {
        self.called("flush", "").await?;
        self.inner.flush().await
    }

    async fn delete(&self, selector: &Selector) -> Result<(), RepositoryError> {
        self.called("delete", selected(selector)).await?;
        self.inner.delete(selector).await
    }
}
