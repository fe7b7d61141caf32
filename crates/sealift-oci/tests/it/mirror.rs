//! Reading at mirrors: what comes from where, and what a mirror's word is worth.

use std::sync::Arc;
use std::time::Duration;

use sealift_core::oci::{Descriptor, Digest, Selector};
use sealift_core::repository::{Arrival, ContentError, ReadRepository, ReferrersListing, RepositoryError};
use sealift_oci::{Client, MirrorRule, Original};
use sealift_sandbox::fixture;
use sealift_sandbox::registry::{Auth, Effect, Registry, RegistryOptions, Rule};

use crate::support::{access, kind, name, read, start, take_log};

struct World {
    original: Registry,
    first: Registry,
    second: Registry,
}

impl World {
    /// The original has `v1` and a signature of it; the second mirror has another image as `v1`.
    fn start() -> Self {
        let world = Self { original: registry(), first: registry(), second: registry() };
        let image = fixture::image(1);
        world.original.add("team/app", &image, Some("v1")).unwrap();
        let signature = fixture::artifact("application/x.sig", "application/x.layer", b"s", Some(image.descriptor()));
        world.original.add("team/app", &signature, None).unwrap();
        world.second.add("hub/app", &fixture::image(2), Some("v1")).unwrap();
        world
    }

    fn client(&self, original: Original) -> Client {
        let prefix = |registry: &Registry, path| format!("{}/{path}", registry.host()).parse().unwrap();
        let mut rule = MirrorRule::new(
            prefix(&self.original, "team"),
            vec![prefix(&self.first, "hub"), prefix(&self.second, "hub")],
        );
        rule.original = original;
        let mut access = access();
        access.mirrors = vec![rule];
        Client::new(access).unwrap()
    }

    async fn open(&self, original: Original) -> Arc<dyn ReadRepository> {
        self.client(original).open_read(&name(&self.original, "team/app")).await.unwrap()
    }
}

fn registry() -> Registry {
    start(RegistryOptions::default())
}

fn blob(image: &fixture::Fixture) -> Descriptor {
    image.blobs().next().unwrap().0.clone()
}

fn tag() -> Selector {
    Selector::Tag("v1".parse().unwrap())
}

#[tokio::test]
async fn content_comes_from_mirrors_and_tags_from_the_original() {
    let world = World::start();
    let (mine, other) = (fixture::image(1), fixture::image(2));
    world.first.add("hub/app", &mine, Some("v1")).unwrap();
    let repository = world.open(Original::First).await;
    assert_eq!(repository.name(), &name(&world.original, "team/app"));
    assert_eq!(repository.resolve(&tag()).await.unwrap().digest, *mine.digest());
    let listed = repository.referrers(mine.digest(), ReferrersListing::Api).await.unwrap().unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!(world.first.requests().len() + world.second.requests().len(), 0);
    take_log(&world.original);

    read(&*repository, &blob(&mine)).await.unwrap();
    repository.manifest(&Selector::Digest(mine.digest().clone())).await.unwrap();
    assert_eq!(take_log(&world.original), Vec::<String>::new());
    assert_eq!(take_log(&world.second), Vec::<String>::new());
    take_log(&world.first);
    // Only the second mirror has it.
    read(&*repository, &blob(&other)).await.unwrap();
    assert_eq!(take_log(&world.first), ["GET blob 404"]);
    // Only the original has it.
    assert!(repository.fetch(&listed[0]).await.is_ok());
    let nothing = Descriptor::of("application/x", b"nowhere");
    assert_eq!(kind(&repository.fetch(&nothing).await.map(drop)), "not found");
    assert!(!repository.exists(&nothing).await.unwrap());
}

#[tokio::test]
async fn mirrors_decide_about_tags_only_where_the_rule_says_so() {
    let world = World::start();
    let (mine, other) = (fixture::image(1).digest().clone(), fixture::image(2).digest().clone());
    for (rule, tag_is, has_signature) in
        [(Original::First, &mine, true), (Original::Last, &other, false), (Original::Never, &other, false)]
    {
        let repository = world.open(rule).await;
        assert_eq!(&repository.resolve(&tag()).await.unwrap().digest, tag_is, "{rule:?}");
        let listed = repository.referrers(&mine, ReferrersListing::Api).await.unwrap();
        assert_eq!(!listed.unwrap_or_default().is_empty(), has_signature, "{rule:?}");
    }
    let never = world.open(Original::Never).await;
    take_log(&world.original);
    assert_eq!(kind(&never.resolve(&Selector::Digest(mine)).await), "not found");
    assert_eq!(take_log(&world.original), Vec::<String>::new());
}

#[tokio::test]
async fn a_mirror_that_cannot_tell_is_no_answer() {
    let world = World { first: start(RegistryOptions::default().with_auth(Auth::basic("u", "p"))), ..World::start() };
    let image = fixture::image(1);
    let digest = Selector::Digest(image.digest().clone());
    let first = world.open(Original::First).await;
    assert!(first.resolve(&digest).await.is_ok(), "the original has it");
    let never = world.open(Original::Never).await;
    assert_eq!(kind(&never.resolve(&digest).await), "unauthenticated", "not there would be a guess");
    assert_eq!(kind(&never.exists(image.descriptor()).await), "unauthenticated");
    let other = fixture::image(2);
    assert!(never.exists(other.descriptor()).await.unwrap(), "the second mirror has it");
}

#[tokio::test]
async fn a_mirror_that_uses_up_the_time_is_named() {
    let world = World::start();
    world.first.set_faults([Rule::new(Effect::Hang)]);
    for original in [Original::First, Original::Never] {
        let client = world.client(original).within(Duration::from_millis(200));
        let repository = client.open_read(&name(&world.original, "team/app")).await.unwrap();
        let error = repository.manifest(&Selector::Digest(fixture::image(1).digest().clone())).await.unwrap_err();
        let expected = format!("{} still owes the answer to `read`", name(&world.first, "hub/app"));
        assert!(error.to_string().ends_with(&expected), "{original:?}: {error}");
    }
    assert!(world.original.requests().is_empty(), "nobody else was asked in no time");
}

#[tokio::test]
async fn a_mirror_without_a_listing_is_no_answer() {
    let (first, second) = (start(RegistryOptions::distribution()), start(RegistryOptions::distribution()));
    let world = World { first, second, ..World::start() };
    let image = fixture::image(1);
    let last = world.open(Original::Last).await;
    let listed = last.referrers(image.digest(), ReferrersListing::Api).await.unwrap();
    assert_eq!(listed.map(|listed| listed.len()), Some(1), "the original has the API, and a signature");
    for listing in [ReferrersListing::Api, ReferrersListing::FallbackTag] {
        let never = world.open(Original::Never).await;
        assert!(never.referrers(image.digest(), listing).await.unwrap().is_none());
        // One that could not tell outweighs one that has none.
        world.first.set_faults([Rule::new(Effect::Status(403))]);
        assert_eq!(kind(&world.open(Original::Never).await.referrers(image.digest(), listing).await), "denied");
        world.first.set_faults([]);
    }
}

#[tokio::test]
async fn a_mirror_with_other_content_is_passed_over() {
    let world = World::start();
    let image = fixture::image(1);
    world.first.add("hub/app", &image, Some("v1")).unwrap();
    world.first.set_faults([Rule::new(Effect::Corrupt)]);
    let repository = world.open(Original::First).await;
    let manifest = repository.manifest(&Selector::Digest(image.digest().clone())).await.unwrap();
    assert_eq!(manifest.descriptor().digest, image.descriptor().digest);
}

/// An image of which the first blob has 6 MiB.
fn large() -> fixture::Fixture {
    fixture::large_image(7, 6 << 20)
}

fn large_blob(image: &fixture::Fixture) -> Descriptor {
    image.blobs().map(|(descriptor, _)| descriptor).max_by_key(|descriptor| descriptor.size).unwrap().clone()
}

/// Returns the byte from which a registry was first asked for a blob.
fn begun_at(registry: &Registry) -> u64 {
    let first = registry.requests().into_iter().next().unwrap();
    let range = first.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("range"));
    range.map_or(0, |(_, range)| range.trim_start_matches("bytes=").trim_end_matches('-').parse().unwrap())
}

#[tokio::test]
async fn a_blob_goes_on_at_the_next_place_where_a_mirror_breaks_off() {
    let world = World::start();
    let (image, blob) = (large(), large_blob(&large()));
    for registry in [&world.first, &world.second] {
        registry.add("hub/app", &image, None).unwrap();
    }
    world.original.add("team/app", &image, None).unwrap();
    // The first mirror dies after 2 MiB, and stays dead; the second after another one.
    world.first.set_faults([Rule::new(Effect::CutAfter(2 << 20)).nth(1), Rule::new(Effect::Status(403)).nth(2)]);
    world.second.set_faults([Rule::new(Effect::CutAfter(1 << 20)).nth(1), Rule::new(Effect::Status(404)).nth(2)]);
    let repository = world.open(Original::First).await;
    let bytes = read(&*repository, &blob).await.unwrap();
    assert_eq!(Digest::sha256(&bytes), blob.digest);
    let begun = [&world.first, &world.second, &world.original].map(begun_at);
    assert!(begun[0] == 0 && begun[1] > 0 && begun[2] > begun[1] && begun[2] <= 3 << 20, "{begun:?}");
}

#[tokio::test]
async fn a_small_blob_that_is_wrong_is_replaced_unseen() {
    let world = World::start();
    let image = fixture::image(1);
    world.first.add("hub/app", &image, None).unwrap();
    world.first.set_faults([Rule::new(Effect::Corrupt)]);
    let repository = world.open(Original::First).await;
    read(&*repository, &blob(&image)).await.unwrap();
    take_log(&world.first);
    read(&*repository, &blob(&image)).await.unwrap();
    assert_eq!(take_log(&world.first), Vec::<String>::new(), "it is not asked again");
    // Where there is nobody else to ask, it is an error.
    world.second.add("hub/app", &image, None).unwrap();
    world.second.set_faults([Rule::new(Effect::Corrupt)]);
    let never = world.open(Original::Never).await;
    for _ in 0..2 {
        assert_eq!(kind(&read(&*never, &blob(&image)).await), "content");
    }
}

#[tokio::test]
async fn a_large_blob_that_is_wrong_is_pushed_from_another_place() {
    let world = World::start();
    let (image, blob) = (large(), large_blob(&large()));
    world.first.add("hub/app", &image, None).unwrap();
    world.original.add("team/app", &image, None).unwrap();
    world.first.set_faults([Rule::new(Effect::Corrupt)]);
    let source = world.open(Original::First).await;
    let destination = registry();
    let target = Client::new(access()).unwrap().open(&name(&destination, "new")).await.unwrap();
    assert_eq!(target.transfer(&blob, &*source).await.unwrap(), Arrival::Copied);
    assert!(destination.has_blob("new", &blob.digest));
    // Who only reads learns it at the end, and gets the right one the next time.
    let source = world.open(Original::First).await;
    let wrong = read(&*source, &blob).await;
    assert!(matches!(&wrong, Err(RepositoryError::Content { source: ContentError::Mirror(_), .. })), "{wrong:?}");
    assert_eq!(Digest::sha256(&read(&*source, &blob).await.unwrap()), blob.digest);
}
