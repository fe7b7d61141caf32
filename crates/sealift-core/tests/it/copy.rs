//! Copying graphs: order, completeness, bounds, and at which side it fails.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::FutureExt;
use sealift_core::copy::{CopyObserver, CopyOptions, CopyReport, Side, Tally, copy_graph};
use sealift_core::oci::{Descriptor, Digest, RawManifest, RepositoryName, Selector, Tag, media_type};
use sealift_core::repository::{
    Arrival, Content, ContentError, MemoryRepository, Pushed, ReadRepository, ReferrersListing, Repository,
    RepositoryError, Revision, TagMove, graph,
};
use serde_json::{Value, json};

const LAYER: &str = media_type::IMAGE_LAYER_GZIP;

async fn push_blob(repository: &MemoryRepository, media_type: &str, bytes: &[u8]) -> Descriptor {
    let descriptor = Descriptor::of(media_type, bytes);
    repository.push(&descriptor, Bytes::copy_from_slice(bytes).into()).await.unwrap();
    descriptor
}

async fn push(repository: &MemoryRepository, media_type: &str, manifest: Value) -> RawManifest {
    let raw = RawManifest::new(media_type, manifest.to_string());
    repository.push(raw.descriptor(), raw.bytes().clone().into()).await.unwrap();
    raw
}

async fn push_image(repository: &MemoryRepository, layers: &[Descriptor]) -> RawManifest {
    let config = push_blob(repository, media_type::IMAGE_CONFIG, b"{}").await;
    push(repository, media_type::IMAGE_MANIFEST, json!({"config": config, "layers": layers})).await
}

async fn push_index(repository: &MemoryRepository, entries: &[&Descriptor]) -> RawManifest {
    push(repository, media_type::IMAGE_INDEX, json!({"schemaVersion": 2, "manifests": entries})).await
}

/// Two platforms that share a layer, and an entry that is no manifest.
async fn push_platforms(repository: &MemoryRepository) -> RawManifest {
    let [shared, own] =
        [push_blob(repository, LAYER, b"shared").await, push_blob(repository, LAYER, b"own layer").await];
    let first = push_image(repository, std::slice::from_ref(&shared)).await;
    let second = push_image(repository, &[shared, own]).await;
    let wheel = push_blob(repository, "application/x.wheel", b"not a manifest").await;
    push_index(repository, &[first.descriptor(), second.descriptor(), &wheel]).await
}

/// Returns the name of a registry's repository, whose manifests prove their blobs.
fn registry_name() -> RepositoryName {
    RepositoryName::Registry { host: "registry.example".parse().unwrap(), path: "app".to_owned() }
}

fn strict() -> MemoryRepository {
    MemoryRepository::new("destination").requiring_children()
}

#[tokio::test]
async fn everything_arrives_once_children_first_and_unchanged() {
    let source = MemoryRepository::new("source");
    let root = push_platforms(&source).await;
    let destination = strict();
    let report = copy_graph(&source, &destination, root.descriptor(), &CopyOptions::default()).await.unwrap();
    assert_eq!(destination.manifest(&root.descriptor().digest.clone().into()).await.unwrap(), root);
    assert_eq!(destination.object_count(), source.object_count());
    // Two images, the index, one configuration, two layers, the wheel.
    assert_eq!(report.copied.objects, 7);
    assert_eq!((report.mounted, report.present, report.skipped), (Tally::default(), Tally::default(), vec![]));

    let again = copy_graph(&source, &destination, root.descriptor(), &CopyOptions::default()).await.unwrap();
    assert_eq!((again.copied, again.present), (Tally::default(), report.copied), "a layout is looked through");
    let options = CopyOptions::default();
    let destination = Watched { name: registry_name(), ..Watched::around(destination) };
    let proven = copy_graph(&source, &destination, root.descriptor(), &options).await.unwrap();
    // The index, its two images, its wheel: an image proves its blobs, an index proves nothing.
    assert_eq!((proven.copied.objects, proven.present.objects), (0, 4));
    let image = push_image(&source, &[]).await;
    copy_graph(&source, &destination, image.descriptor(), &options).await.unwrap();
    let empty = MemoryRepository::new("empty");
    let proven = copy_graph(&empty, &destination, image.descriptor(), &options).await.unwrap();
    assert_eq!(proven.present, Tally { objects: 1, bytes: image.descriptor().size }, "the source is not even read");
}

#[tokio::test]
async fn an_index_that_arrived_without_an_image_is_completed() {
    let source = MemoryRepository::new("source");
    let root = push_platforms(&source).await;
    let destination = Watched { name: registry_name(), ..Watched::around(MemoryRepository::new("sparse")) };
    destination.push(root.descriptor(), root.bytes().clone().into()).await.unwrap();
    copy_graph(&source, &destination, root.descriptor(), &CopyOptions::default()).await.unwrap();
    assert_eq!(destination.inner.object_count(), source.object_count());
}

#[tokio::test]
async fn a_half_finished_copy_is_completed() {
    let source = MemoryRepository::new("source");
    let root = push_platforms(&source).await;
    // The manifests are there, what they consist of is not: a copy of another tool was cut.
    let destination = MemoryRepository::new("destination");
    for raw in graph::walk(&source, root.descriptor(), 4).await.unwrap().manifests() {
        destination.push(raw.descriptor(), raw.bytes().clone().into()).await.unwrap();
    }
    let report = copy_graph(&source, &destination, root.descriptor(), &CopyOptions::default()).await.unwrap();
    assert_eq!((report.present.objects, report.copied.objects), (3, 4));
    assert_eq!(destination.object_count(), source.object_count());
}

#[tokio::test]
async fn a_registry_that_misses_a_child_gets_the_graph_again() {
    let source = MemoryRepository::new("source");
    let root = push_platforms(&source).await;
    let claims_manifests = AtomicBool::new(true);
    let destination = Watched { name: registry_name(), claims_manifests, ..Watched::around(strict()) };
    let root = push_index(&source, &[root.descriptor()]).await;
    let report = copy_graph(&source, &destination, root.descriptor(), &CopyOptions::default()).await.unwrap();
    // The wheel arrived before the registry complained.
    assert_eq!((report.copied.objects, report.present.objects), (7, 1));
    assert_eq!(destination.inner.object_count(), source.object_count());
}

#[tokio::test]
async fn foreign_layers_may_be_missing_and_others_may_not() {
    let source = MemoryRepository::new("source");
    let mut by_urls = json!(Descriptor::of(LAYER, b"elsewhere"));
    by_urls["urls"] = json!(["https://example.com/layer"]);
    let by_urls: Descriptor = serde_json::from_value(by_urls).unwrap();
    let by_type = Descriptor::of(media_type::DOCKER_FOREIGN_LAYER, b"windows base");
    let nondistributable = format!("{}tar", media_type::NONDISTRIBUTABLE_LAYER_PREFIX);
    let held = push_blob(&source, &nondistributable, b"held all the same").await;
    let image = push_image(&source, &[by_urls.clone(), by_type.clone(), held]).await;
    let report = copy_graph(&source, &strict(), image.descriptor(), &CopyOptions::default()).await.unwrap();
    let mut skipped: Vec<_> = report.skipped.iter().map(|layer| layer.digest.clone()).collect();
    skipped.sort();
    let mut expected = [by_urls.digest, by_type.digest];
    expected.sort();
    assert_eq!((skipped, report.copied.objects), (expected.to_vec(), 3));

    let missing = Descriptor::of(LAYER, b"never pushed");
    let image = push_image(&source, std::slice::from_ref(&missing)).await;
    let error = copy_graph(&source, &strict(), image.descriptor(), &CopyOptions::default()).await.unwrap_err();
    assert_eq!((error.side, &error.digest), (Side::Source, &missing.digest));
    assert!(error.source.is_not_found(), "{error:?}");
}

#[tokio::test]
async fn a_layer_that_calls_itself_a_manifest_is_copied_as_the_blob_it_is() {
    let source = MemoryRepository::new("source");
    let blob = push_blob(&source, media_type::OCTET_STREAM, b"pretends").await;
    let pretender = Descriptor { media_type: media_type::IMAGE_MANIFEST.into(), ..blob.clone() };
    let image = push_image(&source, &[pretender]).await;
    let destination = strict();
    copy_graph(&source, &destination, image.descriptor(), &CopyOptions::default()).await.unwrap();
    assert!(destination.exists(&blob).await.unwrap());
}

#[tokio::test]
async fn a_blob_proves_no_image_that_an_index_lists_without_a_type() {
    let source = MemoryRepository::new("source");
    let image = push_image(&source, &[]).await;
    let untyped = json!({"digest": image.descriptor().digest, "size": image.descriptor().size});
    let root = push(&source, media_type::IMAGE_INDEX, json!({"schemaVersion": 2, "manifests": [untyped]})).await;
    for name in [RepositoryName::Memory("destination".to_owned()), registry_name()] {
        let destination = MemoryRepository::new("destination");
        push_blob(&destination, media_type::OCTET_STREAM, image.bytes()).await;
        let destination = Watched { name, ..Watched::around(destination) };
        copy_graph(&source, &destination, root.descriptor(), &CopyOptions::default()).await.unwrap();
        assert!(destination.exists(image.descriptor()).await.unwrap(), "{}", destination.name());
    }
}

#[tokio::test]
async fn a_blob_can_be_the_root() {
    let source = MemoryRepository::new("source");
    let blob = push_blob(&source, "application/x.anything", b"alone").await;
    let report = copy_graph(&source, &strict(), &blob, &CopyOptions::default()).await.unwrap();
    assert_eq!(report.copied, Tally { objects: 1, bytes: 5 });
}

#[tokio::test]
async fn sizes_that_lie_are_the_sources_fault() {
    let source = MemoryRepository::new("source");
    let layer = push_blob(&source, LAYER, b"a layer of some bytes").await;
    let with_size = |size| Descriptor { size, ..layer.clone() };
    let honest = push_image(&source, std::slice::from_ref(&layer)).await;
    let child = |size| Descriptor { size, ..honest.descriptor().clone() };
    let cases = [
        ("too small a blob", push_image(&source, &[with_size(3)]).await),
        ("too large a blob", push_image(&source, &[with_size(100)]).await),
        ("two sizes", push_image(&source, &[layer.clone(), with_size(22)]).await),
        ("too small a manifest", push_index(&source, &[&child(3)]).await),
        ("too large a manifest", push_index(&source, &[&child(9999)]).await),
    ];
    for (what, root) in cases {
        let destination = strict();
        let error = copy_graph(&source, &destination, root.descriptor(), &CopyOptions::default()).await.unwrap_err();
        assert_eq!(error.side, Side::Source, "{what}: {error:?}");
        let is_content = matches!(
            &error.source,
            RepositoryError::Content { repository, source: ContentError::TooLong { .. } | ContentError::TooShort { .. } }
                if repository == source.name()
        );
        assert!(is_content, "{what}: {error:?}");
        assert!(!destination.exists(root.descriptor()).await.unwrap(), "{what}: no parent without its children");
    }
}

#[tokio::test]
async fn a_hundred_nested_indexes_are_too_many_and_sixteen_are_not() {
    let source = MemoryRepository::new("source");
    let mut level = push_image(&source, &[]).await;
    for depth in 2..=100 {
        level = push_index(&source, &[level.descriptor()]).await;
        let outcome = copy_graph(&source, &strict(), level.descriptor(), &CopyOptions::default()).await;
        assert_eq!(outcome.is_ok(), depth <= graph::MAX_DEPTH, "{depth}: {outcome:?}");
        if let Err(error) = outcome {
            let is_bound = matches!(error.source, RepositoryError::TooLarge { what: "nesting of indexes", .. });
            assert!(is_bound && error.side == Side::Source, "{depth}: {error:?}");
        }
    }
}

#[tokio::test]
async fn manifests_of_the_largest_size_do_not_fill_memory() {
    let source = MemoryRepository::new("source");
    let mut children = vec![];
    for number in 0..12 {
        let padding = json!({"number": number.to_string(), "padding": "x".repeat(3 * 1024 * 1024)});
        let raw = push(&source, media_type::IMAGE_MANIFEST, json!({"annotations": padding, "layers": []})).await;
        children.push(raw.descriptor().clone());
    }
    let root = push_index(&source, &children.iter().collect::<Vec<_>>()).await;
    let error = copy_graph(&source, &strict(), root.descriptor(), &CopyOptions::default()).await.unwrap_err();
    assert!(matches!(error.source, RepositoryError::TooLarge { limit: graph::MAX_BYTES, .. }), "{error:?}");
}

#[tokio::test]
async fn a_manifest_at_two_depths_is_read_once_and_pushed_before_both_parents() {
    let source = MemoryRepository::new("source");
    let image = push_image(&source, &[]).await;
    let inner = push_index(&source, &[image.descriptor()]).await;
    let root = push_index(&source, &[image.descriptor(), inner.descriptor(), image.descriptor()]).await;
    let walked = graph::walk(&source, root.descriptor(), 2).await.unwrap();
    let waves: Vec<Vec<_>> = walked.waves().into_iter().map(|wave| wave.into_iter().cloned().collect()).collect();
    assert_eq!(waves, [vec![image], vec![inner], vec![root.clone()]]);
    let report = copy_graph(&source, &strict(), root.descriptor(), &CopyOptions::default()).await.unwrap();
    assert_eq!(report.copied.objects, 4);
}

#[tokio::test]
async fn subjects_are_not_followed() {
    let source = MemoryRepository::new("source");
    let subject = push_image(&source, &[]).await;
    let config = Descriptor::of(media_type::IMAGE_CONFIG, b"{}");
    let referrer = json!({"config": config, "layers": [], "subject": subject.descriptor()});
    let referrer = push(&source, media_type::IMAGE_MANIFEST, referrer).await;
    let destination = strict();
    copy_graph(&source, &destination, referrer.descriptor(), &CopyOptions::default()).await.unwrap();
    assert!(!destination.exists(subject.descriptor()).await.unwrap());
}

#[tokio::test]
async fn a_destination_that_refuses_is_named_and_gets_no_root() {
    let source = MemoryRepository::new("source");
    let root = push_platforms(&source).await;
    let destination = Watched { refuses: Some(Digest::sha256(b"own layer")), ..Watched::around(strict()) };
    let error = copy_graph(&source, &destination, root.descriptor(), &CopyOptions::default()).await.unwrap_err();
    assert_eq!((error.side, error.digest), (Side::Destination, Digest::sha256(b"own layer")));
    assert!(!destination.inner.exists(root.descriptor()).await.unwrap());
}

#[tokio::test]
async fn a_copy_dropped_halfway_leaves_no_parent_and_can_be_done_again() {
    let source = MemoryRepository::new("source");
    let root = push_platforms(&source).await;
    let destination = Watched { hangs: Some(Digest::sha256(b"shared")), ..Watched::around(strict()) };
    let options = CopyOptions::default();
    let mut copy = Box::pin(copy_graph(&source, &destination, root.descriptor(), &options));
    while destination.hanging.load(Ordering::SeqCst) == 0 {
        assert!((&mut copy).now_or_never().is_none(), "the copy waits for the blob");
    }
    drop(copy);
    assert!(!destination.inner.exists(root.descriptor()).await.unwrap());
    copy_graph(&source, &destination.inner, root.descriptor(), &CopyOptions::default()).await.unwrap();
    assert_eq!(destination.inner.object_count(), source.object_count());
}

#[tokio::test]
async fn no_more_is_on_the_way_than_allowed() {
    let source = MemoryRepository::new("source");
    let mut layers = vec![];
    for number in 0..20u8 {
        layers.push(push_blob(&source, LAYER, &[number]).await);
    }
    let image = push_image(&source, &layers).await;
    for concurrency in [1, 3] {
        let destination = Watched::around(strict());
        let options = CopyOptions::default().with_concurrency(concurrency);
        copy_graph(&source, &destination, image.descriptor(), &options).await.unwrap();
        assert_eq!(destination.most_at_once.load(Ordering::SeqCst), concurrency);
    }
}

#[tokio::test]
async fn the_observer_sees_every_object_and_every_byte() {
    #[derive(Default)]
    struct Log(Mutex<(Vec<Digest>, u64, CopyReport)>);
    impl CopyObserver for Log {
        fn started(&self, descriptor: &Descriptor) {
            self.0.lock().unwrap().0.push(descriptor.digest.clone());
        }
        fn progressed(&self, _: &Descriptor, bytes: u64) {
            self.0.lock().unwrap().1 += bytes;
        }
        fn finished(&self, descriptor: &Descriptor, arrival: Arrival) {
            let mut log = self.0.lock().unwrap();
            assert_eq!(arrival, Arrival::Copied);
            log.2.copied.objects += 1;
            log.2.copied.bytes += descriptor.size;
        }
    }
    let source = MemoryRepository::new("source");
    let root = push_platforms(&source).await;
    let log = Arc::new(Log::default());
    let options = CopyOptions::default().with_observer(log.clone());
    let report = copy_graph(&source, &strict(), root.descriptor(), &options).await.unwrap();
    let (started, bytes, finished) = &*log.0.lock().unwrap();
    assert_eq!((started.len(), finished), (7, &report));
    let blobs = ["{}", "shared", "own layer", "not a manifest"].map(|blob| blob.len() as u64).iter().sum::<u64>();
    assert_eq!(*bytes, blobs, "what streams is counted");
}

#[tokio::test]
async fn the_blobs_of_a_graph_are_begun_in_one_order_whoever_answers_first() {
    #[derive(Default)]
    struct Begun(Mutex<Vec<Digest>>);
    impl CopyObserver for Begun {
        fn started(&self, descriptor: &Descriptor) {
            if !descriptor.media_type.is_manifest() {
                self.0.lock().unwrap().push(descriptor.digest.clone());
            }
        }
        fn progressed(&self, _: &Descriptor, _: u64) {}
        fn finished(&self, _: &Descriptor, _: Arrival) {}
    }
    let source = MemoryRepository::new("source");
    let layers = [push_blob(&source, LAYER, b"one").await, push_blob(&source, LAYER, b"two").await];
    let images = [push_image(&source, &layers[..1]).await, push_image(&source, &layers[1..]).await];
    let root = push_index(&source, &[images[0].descriptor(), images[1].descriptor()]).await;
    let mut orders = vec![];
    for slow in [None, Some(&images[0]), Some(&images[1])] {
        let destination =
            Watched { slow: slow.map(|image| image.descriptor().digest.clone()), ..Watched::around(strict()) };
        let begun = Arc::new(Begun::default());
        let options = CopyOptions::default().with_observer(begun.clone());
        copy_graph(&source, &destination, root.descriptor(), &options).await.unwrap();
        orders.push(begun.0.lock().unwrap().clone());
    }
    assert!(orders[0].len() == 3 && orders.iter().all(|order| *order == orders[0]), "{orders:?}");
}

/// A destination that watches what is done to it, and misbehaves where told.
#[derive(Debug)]
struct Watched {
    inner: MemoryRepository,
    /// What it goes by: a registry's manifests prove their blobs.
    name: RepositoryName,
    /// Says that every manifest below the root is there, until a push shows that one is not.
    claims_manifests: AtomicBool,
    is_asked: AtomicBool,
    refuses: Option<Digest>,
    hangs: Option<Digest>,
    /// Is looked up longer than anything else.
    slow: Option<Digest>,
    hanging: AtomicUsize,
    at_once: AtomicUsize,
    most_at_once: AtomicUsize,
}

impl Watched {
    fn around(inner: MemoryRepository) -> Self {
        Self {
            name: inner.name().clone(),
            inner,
            claims_manifests: AtomicBool::new(false),
            is_asked: AtomicBool::new(false),
            refuses: None,
            hangs: None,
            slow: None,
            hanging: AtomicUsize::new(0),
            at_once: AtomicUsize::new(0),
            most_at_once: AtomicUsize::new(0),
        }
    }
}

#[async_trait]
impl ReadRepository for Watched {
    fn name(&self) -> &RepositoryName {
        &self.name
    }

    async fn resolve(&self, selector: &Selector) -> Result<Descriptor, RepositoryError> {
        self.inner.resolve(selector).await
    }

    async fn manifest(&self, selector: &Selector) -> Result<RawManifest, RepositoryError> {
        self.inner.manifest(selector).await
    }

    async fn exists(&self, descriptor: &Descriptor) -> Result<bool, RepositoryError> {
        for _ in 0..if self.slow.as_ref() == Some(&descriptor.digest) { 100 } else { 0 } {
            tokio::task::yield_now().await;
        }
        // The root is asked for first.
        let is_root = !self.is_asked.swap(true, Ordering::SeqCst);
        let is_claimed = self.claims_manifests.load(Ordering::SeqCst) && descriptor.media_type.is_manifest();
        Ok(is_claimed && !is_root || self.inner.exists(descriptor).await?)
    }

    async fn fetch(&self, descriptor: &Descriptor) -> Result<Content, RepositoryError> {
        self.inner.fetch(descriptor).await
    }

    async fn referrers(
        &self,
        subject: &Digest,
        listing: ReferrersListing,
    ) -> Result<Option<Vec<Descriptor>>, RepositoryError> {
        self.inner.referrers(subject, listing).await
    }

    async fn tags(&self) -> Result<Vec<Tag>, RepositoryError> {
        self.inner.tags().await
    }
}

#[async_trait]
impl Repository for Watched {
    fn as_read(&self) -> &dyn ReadRepository {
        self
    }

    async fn push(&self, descriptor: &Descriptor, content: Content) -> Result<Pushed, RepositoryError> {
        let pushed = self.inner.push(descriptor, content).await;
        if pushed.is_err() {
            self.claims_manifests.store(false, Ordering::SeqCst);
        }
        pushed
    }

    async fn transfer(&self, descriptor: &Descriptor, source: &dyn ReadRepository) -> Result<Arrival, RepositoryError> {
        if self.refuses.as_ref() == Some(&descriptor.digest) {
            return Err(RepositoryError::Unsupported { repository: self.name().clone(), operation: "this blob" });
        }
        if self.hangs.as_ref() == Some(&descriptor.digest) {
            self.hanging.fetch_add(1, Ordering::SeqCst);
            std::future::pending::<()>().await;
        }
        let now = self.at_once.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_at_once.fetch_max(now, Ordering::SeqCst);
        tokio::task::yield_now().await;
        let arrival = self.inner.transfer(descriptor, source).await;
        self.at_once.fetch_sub(1, Ordering::SeqCst);
        arrival
    }

    async fn link_referrers(&self, subject: &Digest, entries: &[Descriptor]) -> Result<(), RepositoryError> {
        self.inner.link_referrers(subject, entries).await
    }

    async fn unlink_referrers(&self, subject: &Digest, entries: &[Digest]) -> Result<(), RepositoryError> {
        self.inner.unlink_referrers(subject, entries).await
    }

    async fn tag(&self, manifest: &RawManifest, tag: &Tag) -> Result<(), RepositoryError> {
        self.inner.tag(manifest, tag).await
    }

    async fn move_tag(
        &self,
        manifest: &RawManifest,
        tag: &Tag,
        previous: Option<&Digest>,
    ) -> Result<TagMove, RepositoryError> {
        self.inner.move_tag(manifest, tag, previous).await
    }

    async fn revise_tag(&self, tag: &Tag, revision: Arc<dyn Revision>) -> Result<Option<RawManifest>, RepositoryError> {
        self.inner.revise_tag(tag, revision).await
    }

    async fn delete(&self, selector: &Selector) -> Result<(), RepositoryError> {
        self.inner.delete(selector).await
    }
}
