//! Many promotions in one process: what their images share is moved once.

use std::collections::HashSet;
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::join_all;
use futures_util::stream::{self, StreamExt};
use sealift_core::oci::{Descriptor, Digest, RawManifest, Reference, RepositoryName, Selector, Tag};
use sealift_core::repository::{
    Content, ContentError, ReadRepository, ReferrersListing, ReferrersSupport, Repository, RepositoryError, Snapshot,
};
use sealift_core::statement::predicate;
use sealift_oci::{Access, Client, RetryPolicy};
use sealift_promote::{PromoteError, Promoted, TagRule};
use sealift_sandbox::fixture::{self, FixtureBlob};
use sealift_sandbox::registry::{Effect, Endpoint, LoggedRequest, Mount, Registry, RegistryOptions, Rule};

use crate::support::{Person, of, store, target};

/// Layers that all images share, the last of them small enough to be sent without asking.
const SHARED: [u64; 3] = [2 << 20, 300 << 10, 1000];
/// Long enough for requests made side by side to overlap.
const LATENCY: Duration = Duration::from_millis(2);

/// Two kinds of registries, as they answer over a network.
const KINDS: [fn() -> RegistryOptions; 2] =
    [RegistryOptions::default, || RegistryOptions { conditional_writes: true, ..RegistryOptions::distribution() }];

struct Staging {
    registry: Registry,
    person: Person,
    client: Client,
    images: Vec<Descriptor>,
}

impl Staging {
    /// Starts a registry with signed images in `team/app` that share layers.
    async fn with_images(count: u64) -> Self {
        let registry = start(RegistryOptions::default());
        let mut access = Access::anonymous();
        let milliseconds = Duration::from_millis;
        access.retry = RetryPolicy {
            retries: 1,
            base_delay: milliseconds(1),
            max_delay: milliseconds(2),
            budget: milliseconds(50),
        };
        let (person, client) = (Person::new(), Client::new(access).unwrap());
        let repository = client.open(&name(&registry, "team/app")).await.unwrap();
        let mut images = Vec::new();
        for seed in 0..count {
            let image = registry.add("team/app", &fixture::image_on(&base(), seed), None).unwrap();
            person.attach(&*repository, &image, predicate::IMAGE_SIGNATURE).await;
            images.push(image);
        }
        registry.clear_requests();
        Self { registry, person, client, images }
    }

    async fn promote(&self, image: &Descriptor, prod: &Registry, path: &str) -> Result<Promoted, PromoteError> {
        self.promote_from("team/app", image, prod, path).await
    }

    async fn promote_from(
        &self,
        from: &str,
        image: &Descriptor,
        prod: &Registry,
        path: &str,
    ) -> Result<Promoted, PromoteError> {
        let source = self.client.open_read(&name(&self.registry, from)).await.unwrap();
        let destination = self.client.open(&name(prod, path)).await.unwrap();
        let to = target(&format!("v{}", &image.digest.hex()[..8]), TagRule::Move);
        self.person.promote_to(&*source, &*destination, &of(image.clone()), to).await
    }

    /// Returns how often each shared layer was read.
    fn reads(&self) -> [usize; 3] {
        let requests = self.registry.requests();
        layers().map(|layer| {
            let is_read = |request: &&LoggedRequest| {
                request.method == "GET"
                    && request.endpoint == Endpoint::Blob
                    && request.path.ends_with(&layer.to_string())
            };
            requests.iter().filter(is_read).count()
        })
    }
}

fn start(options: RegistryOptions) -> Registry {
    Registry::start(options.with_latency(LATENCY)).unwrap()
}

fn name(registry: &Registry, path: &str) -> RepositoryName {
    registry.reference(path).parse::<Reference>().unwrap().repository()
}

/// The shared layers.
fn base() -> [(Descriptor, FixtureBlob); 3] {
    [(1, SHARED[0]), (2, SHARED[1]), (3, SHARED[2])].map(|(seed, size)| fixture::layer(seed, size))
}

fn layers() -> [Digest; 3] {
    base().map(|(layer, _)| layer.digest)
}

/// Returns how often each blob was stored by what the parameter of its requests says.
fn stored(registry: &Registry, digest: &Digest, parameter: &str) -> usize {
    let is_one = |request: &&LoggedRequest| {
        request.endpoint == Endpoint::Upload
            && request.status == 201
            && request.query.iter().any(|(key, value)| key == parameter && *value == digest.to_string())
    };
    registry.requests().iter().filter(is_one).count()
}

fn uploads(registry: &Registry) -> [usize; 3] {
    layers().map(|layer| stored(registry, &layer, "digest"))
}

fn mounts(registry: &Registry) -> [usize; 3] {
    layers().map(|layer| stored(registry, &layer, "mount"))
}

#[tokio::test]
async fn images_under_way_together_move_what_they_share_once() {
    let staging = Staging::with_images(12).await;
    for kind in KINDS {
        staging.registry.clear_requests();
        let prod = start(kind());
        let promoted = join_all(staging.images.iter().map(|image| staging.promote(image, &prod, "prod/app"))).await;
        let mut copied = 0;
        for promoted in promoted {
            copied += promoted.unwrap().report.copied.objects;
        }
        assert_eq!((uploads(&prod), staging.reads()), ([1; 3], [1; 3]));
        // Three layers, the empty configuration; of each image its configuration, layer, manifest, and the signature's
        // bundle and manifest.
        assert_eq!(copied, 4 + 12 * 5);
    }
}

#[tokio::test]
async fn other_repositories_of_a_registry_mount_what_one_of_them_got() {
    let staging = Staging::with_images(1).await;
    for (mount, uploaded, mounted) in [(Mount::Yes, 1, 5), (Mount::No, 6, 0)] {
        for kind in KINDS {
            staging.registry.clear_requests();
            let prod = start(kind().with_mount(mount));
            let paths: Vec<_> = (0..6).map(|number| format!("prod/app{number}")).collect();
            let promoted = join_all(paths.iter().map(|path| staging.promote(&staging.images[0], &prod, path))).await;
            let mounts_reported: u64 =
                promoted.into_iter().map(|promoted| promoted.unwrap().report.mounted.objects).sum();
            assert_eq!((uploads(&prod), mounts(&prod)), ([uploaded; 3], [mounted; 3]), "{mount:?}");
            assert_eq!(staging.reads(), [uploaded; 3], "{mount:?}");
            // Three layers, the image's own one and its configuration, the signature's bundle and configuration.
            assert_eq!(mounts_reported, 7 * mounted as u64, "{mount:?}");
        }
    }
}

#[tokio::test]
async fn a_registry_that_mounts_nothing_is_not_asked_for_each_blob() {
    let staging = Staging::with_images(1).await;
    let prod = start(RegistryOptions::default().with_mount(Mount::No));
    for path in ["prod/first", "prod/second"] {
        staging.promote(&staging.images[0], &prod, path).await.unwrap();
    }
    let asked = prod.requests().iter().filter(|request| request.query.iter().any(|(key, _)| key == "mount")).count();
    assert!((1..=8).contains(&asked), "{asked} of those that were under way when it refused");
    prod.clear_requests();
    staging.promote(&staging.images[0], &prod, "prod/third").await.unwrap();
    assert!(prod.requests().iter().all(|request| request.query.iter().all(|(key, _)| key != "mount")));
}

#[tokio::test]
async fn one_that_fails_stops_nobody_who_waited_for_it() {
    let staging = Staging::with_images(4).await;
    let repository = staging.client.open(&name(&staging.registry, "team/broken")).await.unwrap();
    let broken = staging.registry.add("team/broken", &fixture::image_on(&base(), 99), None).unwrap();
    staging.person.attach(&*repository, &broken, predicate::IMAGE_SIGNATURE).await;
    let all = fixture::image_on(&base(), 99).root().parse().unwrap().layers;
    staging.registry.set_faults(all.iter().map(|layer| {
        let unreadable = Rule::new(Effect::Status(404)).method("GET").repository("team/broken");
        unreadable.reference(&layer.digest.to_string())
    }));
    for path in ["prod/app", "prod/other"] {
        staging.registry.clear_requests();
        let prod = start(RegistryOptions::default());
        let failing = staging.promote_from("team/broken", &broken, &prod, "prod/app");
        let others = async {
            // The first to move the layers is the one that fails.
            while staging.reads() == [0; 3] {
                tokio::task::yield_now().await;
            }
            join_all(staging.images.iter().map(|image| staging.promote(image, &prod, path))).await
        };
        let (failed, promoted) = tokio::join!(failing, others);
        assert!(failed.is_err());
        promoted.into_iter().for_each(|promoted| drop(promoted.unwrap()));
        assert!(layers().iter().all(|layer| prod.has_blob(path, layer)), "{path}");
        assert_eq!(uploads(&prod), [1; 3], "{path}: one of those who waited goes next");
    }
}

#[tokio::test]
async fn nothing_is_taken_for_there_once_a_manifest_was_refused() {
    let staging = Staging::with_images(2).await;
    // As the specification has it, and as CNCF distribution does.
    for status in [404, 400] {
        let prod = start(RegistryOptions::default());
        staging.promote(&staging.images[0], &prod, "prod/app").await.unwrap();
        prod.clear_requests();
        // As a registry does whose garbage collection came between.
        let refusal = Effect::Refusal(status, "MANIFEST_BLOB_UNKNOWN");
        let root = staging.images[1].digest.to_string();
        prod.set_faults([Rule::new(refusal).method("PUT").on(Endpoint::Manifest).reference(&root).times(1)]);
        staging.promote(&staging.images[1], &prod, "prod/app").await.unwrap();
        let looked_up = |layer: &Digest| {
            let path = format!("/v2/prod/app/blobs/{layer}");
            prod.requests().iter().any(|request| request.method == "HEAD" && request.path == path)
        };
        let [large, medium, small] = layers();
        assert!(looked_up(&large) && looked_up(&medium), "{status}: {:?}", prod.requests());
        assert_eq!(stored(&prod, &small, "digest"), 1, "{status}: it was sent again");
    }
}

/// A source whose large blobs are cut off at the first reading, as from a tee.
#[derive(Debug)]
struct Lagging<'a> {
    source: &'a dyn ReadRepository,
    cut: Mutex<HashSet<Digest>>,
}

#[async_trait]
impl ReadRepository for Lagging<'_> {
    fn name(&self) -> &RepositoryName {
        self.source.name()
    }

    async fn resolve(&self, selector: &Selector) -> Result<Descriptor, RepositoryError> {
        self.source.resolve(selector).await
    }

    async fn manifest(&self, selector: &Selector) -> Result<RawManifest, RepositoryError> {
        self.source.manifest(selector).await
    }

    async fn exists(&self, descriptor: &Descriptor) -> Result<bool, RepositoryError> {
        self.source.exists(descriptor).await
    }

    async fn fetch(&self, descriptor: &Descriptor) -> Result<Content, RepositoryError> {
        let content = self.source.fetch(descriptor).await?;
        let is_first = self.cut.lock().unwrap().insert(descriptor.digest.clone());
        if descriptor.size <= Snapshot::MAX_BLOB_BYTES || !is_first {
            return Ok(content);
        }
        let first = content.into_stream().take(1).chain(stream::once(async { Err(ContentError::Detached) }));
        Ok(Content::verified(descriptor, first))
    }

    async fn referrers(
        &self,
        subject: &Digest,
        listing: ReferrersListing,
    ) -> Result<Option<Vec<Descriptor>>, RepositoryError> {
        self.source.referrers(subject, listing).await
    }

    async fn tags(&self) -> Result<Vec<Tag>, RepositoryError> {
        self.source.tags().await
    }
}

#[tokio::test]
async fn a_destination_that_lagged_behind_the_others_reads_for_itself() {
    let staging = Staging::with_images(1).await;
    let source = staging.client.open_read(&name(&staging.registry, "team/app")).await.unwrap();
    let lagging = Lagging { source: &*source, cut: Mutex::default() };
    let (prod, store) = (start(RegistryOptions::default()), store("prod", ReferrersSupport::Api));
    let registry = staging.client.open(&name(&prod, "prod/app")).await.unwrap();
    let promotion = of(staging.images[0].clone());
    let destinations: [&dyn Repository; 2] = [&*registry, &store];
    for destination in destinations {
        lagging.cut.lock().unwrap().clear();
        staging.person.promote(&lagging, destination, &promotion).await.unwrap();
        let cut = lagging.cut.lock().unwrap().len();
        assert!(cut >= 2, "both large layers were cut off");
    }
    assert_eq!(staging.reads(), [4, 4, 2], "twice for each destination, and a small one once");
}
