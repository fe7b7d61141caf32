//! Reading at mirrors: what comes from where, and what a mirror's word is worth.

use std::sync::Arc;

use sealift_core::oci::{Descriptor, Selector};
use sealift_core::repository::{ReadRepository, ReferrersListing};
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

    async fn open(&self, original: Original) -> Arc<dyn ReadRepository> {
        let prefix = |registry: &Registry, path| format!("{}/{path}", registry.host()).parse().unwrap();
        let mut rule = MirrorRule::new(
            prefix(&self.original, "team"),
            vec![prefix(&self.first, "hub"), prefix(&self.second, "hub")],
        );
        rule.original = original;
        let mut access = access();
        access.mirrors = vec![rule];
        Client::new(access).unwrap().open_read(&name(&self.original, "team/app")).await.unwrap()
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
