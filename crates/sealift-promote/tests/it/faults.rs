//! Whatever fails at the destination leaves no tag, and the next promotion finishes.

use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use sealift_core::oci::{Descriptor, Digest, RawManifest, RepositoryName, Selector, Tag};
use sealift_core::repository::{
    Arrival, Content, MemoryRepository, Pushed, ReadRepository, ReferrersListing, ReferrersSupport, Repository,
    RepositoryError,
};
use sealift_promote::{PromoteError, Role};

use crate::scene::{MODES, Scene, destination, held, tag};

#[tokio::test]
async fn no_failed_write_leaves_a_tag() {
    for mode in MODES {
        let scene = Scene::new(mode).await;
        for nth in 0.. {
            let memory = destination(mode);
            let target = Faulty { repository: &memory, fault: Fault::FailWrite(nth), writes: AtomicUsize::new(0) };
            let promoted = scene.promote(&scene.promotion(), &target).await;
            if promoted.is_ok() {
                // Blobs, manifests and tags together: the fault was met at each of them.
                assert!(nth > 40, "{nth} writes");
                break;
            }
            assert!(held(&memory, &tag()).await.is_none(), "write {nth}: {promoted:?}");
            scene.promote(&scene.promotion(), &memory).await.unwrap();
        }
    }
}

#[tokio::test]
async fn names_what_a_destination_takes_and_does_not_list() {
    for (mode, fault) in
        [(ReferrersSupport::Api, Fault::LoseReferrers), (ReferrersSupport::FallbackTagOnly, Fault::LoseLinks)]
    {
        let scene = Scene::new(mode).await;
        let memory = destination(mode);
        let target = Faulty { repository: &memory, fault, writes: AtomicUsize::new(0) };
        let Err(PromoteError::Missing { missing, .. }) = scene.promote(&scene.promotion(), &target).await else {
            panic!("{fault:?}");
        };
        let plan = scene.plan().await;
        let referrers = plan.objects().iter().filter(|object| object.role == Role::Referrer);
        for referrer in referrers {
            assert!(missing.contains(&referrer.manifest.descriptor().digest), "{fault:?}");
        }
        assert!(held(&memory, &tag()).await.is_none());
    }
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Fault {
    /// The write of this number fails.
    FailWrite(usize),
    /// Links are acknowledged and not written.
    LoseLinks,
    /// Manifests with a subject are acknowledged and not stored.
    LoseReferrers,
}

#[derive(Debug)]
struct Faulty<'a> {
    repository: &'a MemoryRepository,
    fault: Fault,
    writes: AtomicUsize,
}

impl Faulty<'_> {
    fn write(&self) -> Result<(), RepositoryError> {
        if self.fault != Fault::FailWrite(self.writes.fetch_add(1, Ordering::SeqCst)) {
            return Ok(());
        }
        Err(RepositoryError::Throttled { repository: self.name().clone(), retry_after: None })
    }
}

#[async_trait]
impl ReadRepository for Faulty<'_> {
    fn name(&self) -> &RepositoryName {
        self.repository.name()
    }

    async fn resolve(&self, selector: &Selector) -> Result<Descriptor, RepositoryError> {
        self.repository.resolve(selector).await
    }

    async fn manifest(&self, selector: &Selector) -> Result<RawManifest, RepositoryError> {
        self.repository.manifest(selector).await
    }

    async fn exists(&self, descriptor: &Descriptor) -> Result<bool, RepositoryError> {
        self.repository.exists(descriptor).await
    }

    async fn fetch(&self, descriptor: &Descriptor) -> Result<Content, RepositoryError> {
        self.repository.fetch(descriptor).await
    }

    async fn referrers(
        &self,
        subject: &Digest,
        listing: ReferrersListing,
    ) -> Result<Option<Vec<Descriptor>>, RepositoryError> {
        self.repository.referrers(subject, listing).await
    }

    async fn tags(&self) -> Result<Vec<Tag>, RepositoryError> {
        self.repository.tags().await
    }
}

#[async_trait]
impl Repository for Faulty<'_> {
    fn as_read(&self) -> &dyn ReadRepository {
        self
    }

    async fn push(&self, descriptor: &Descriptor, content: Content) -> Result<Pushed, RepositoryError> {
        self.write()?;
        if self.fault == Fault::LoseReferrers && descriptor.media_type.is_manifest() {
            let bytes = content.read_all(u64::MAX).await.unwrap();
            let manifest = RawManifest::new(descriptor.media_type.clone(), bytes.clone());
            if manifest.parse().unwrap().subject.is_some() {
                return Ok(Pushed::Stored);
            }
            return self.repository.push(descriptor, bytes.into()).await;
        }
        self.repository.push(descriptor, content).await
    }

    async fn transfer(&self, descriptor: &Descriptor, source: &dyn ReadRepository) -> Result<Arrival, RepositoryError> {
        self.write()?;
        self.repository.transfer(descriptor, source).await
    }

    async fn link_referrers(&self, subject: &Digest, entries: &[Descriptor]) -> Result<(), RepositoryError> {
        self.write()?;
        if self.fault == Fault::LoseLinks {
            return Ok(());
        }
        self.repository.link_referrers(subject, entries).await
    }

    async fn unlink_referrers(&self, subject: &Digest, entries: &[Digest]) -> Result<(), RepositoryError> {
        self.write()?;
        self.repository.unlink_referrers(subject, entries).await
    }

    async fn tag(&self, manifest: &RawManifest, tag: &Tag) -> Result<(), RepositoryError> {
        self.write()?;
        self.repository.tag(manifest, tag).await
    }

    async fn delete(&self, selector: &Selector) -> Result<(), RepositoryError> {
        self.write()?;
        self.repository.delete(selector).await
    }
}
