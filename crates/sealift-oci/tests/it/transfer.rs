//! Blobs on their way from one repository to another, and how few requests that takes.

use futures_util::future::join_all;
use sealift_core::oci::{Descriptor, Selector};
use sealift_core::repository::{Arrival, Content, Repository, RepositoryError};
use sealift_oci::Client;
use sealift_sandbox::fixture::{self, Fixture, Pattern};
use sealift_sandbox::registry::{Auth, Effect, Endpoint, Mount, Registry, RegistryOptions, Rule};

use crate::support::{access, access_as, count, kind, name, open, start, take_log};

fn layer(image: &Fixture) -> Descriptor {
    image.blobs().last().unwrap().0.clone()
}

fn with_image(options: RegistryOptions, size: u64) -> (Registry, Descriptor) {
    let (registry, image) = (start(options), fixture::large_image(1, size));
    registry.add("staging/app", &image, None).unwrap();
    (registry, layer(&image))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blob_of_the_same_registry_is_mounted_in_one_request() {
    let (registry, blob) = with_image(RegistryOptions::default(), 100);
    let client = Client::new(access()).unwrap();
    let source = client.open_read(&name(&registry, "staging/app")).await.unwrap();
    let destination = client.open(&name(&registry, "prod/app")).await.unwrap();
    assert_eq!(destination.transfer(&blob, &*source).await.unwrap(), Arrival::Mounted);
    assert_eq!(take_log(&registry), ["POST upload 201"]);
    assert!(registry.has_blob("prod/app", &blob.digest));
    assert_eq!(destination.transfer(&blob, &*source).await.unwrap(), Arrival::Present);
    assert!(take_log(&registry).is_empty(), "it is known to be there");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mount_asks_for_both_repositories_in_one_token() {
    let (registry, blob) = with_image(RegistryOptions::default().with_auth(Auth::token("user", "pass")), 100);
    let client = Client::new(access_as(&registry, "user", "pass")).unwrap();
    let source = client.open_read(&name(&registry, "staging/app")).await.unwrap();
    let destination = client.open(&name(&registry, "prod/app")).await.unwrap();
    assert_eq!(destination.transfer(&blob, &*source).await.unwrap(), Arrival::Mounted);
    let token = registry.requests().into_iter().find(|request| request.endpoint == Endpoint::Token).unwrap();
    let scopes: Vec<_> =
        token.query.iter().filter(|(key, _)| key == "scope").map(|(_, scope)| scope.as_str()).collect();
    assert_eq!(scopes, ["repository:prod/app:pull,push", "repository:staging/app:pull"]);
    assert_eq!(take_log(&registry), ["POST upload 401", "GET token 200", "POST upload 201"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_mount_goes_on_in_its_session() {
    // Whether a small blob is there is not worth a question.
    for (size, asked) in [(100, &[][..]), (3 << 20, &["HEAD blob 404"])] {
        let (registry, blob) = with_image(RegistryOptions::distribution().with_mount(Mount::No), size);
        let client = Client::new(access()).unwrap();
        let source = client.open_read(&name(&registry, "staging/app")).await.unwrap();
        let destination = client.open(&name(&registry, "prod/app")).await.unwrap();
        assert_eq!(destination.transfer(&blob, &*source).await.unwrap(), Arrival::Copied);
        let expected = [&["POST upload 202"][..], asked, &["GET blob 200", "PUT upload 201"]].concat();
        assert_eq!(take_log(&registry), expected);
        let other = Pattern::new(2, 10);
        registry.add("staging/app", &fixture::large_image(2, 10), None).unwrap();
        let other = other.descriptor("application/octet-stream");
        assert_eq!(destination.transfer(&other, &*source).await.unwrap(), Arrival::Copied);
        assert_eq!(count(&registry, "POST", Endpoint::Upload), 1, "a mount is not tried again");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forbidden_mount_is_copied() {
    let (registry, blob) = with_image(RegistryOptions::default(), 100);
    let client = Client::new(access()).unwrap();
    let source = client.open_read(&name(&registry, "staging/app")).await.unwrap();
    let destination = client.open(&name(&registry, "prod/app")).await.unwrap();
    registry.set_faults([Rule::new(Effect::Status(403)).method("POST").times(1)]);
    assert_eq!(destination.transfer(&blob, &*source).await.unwrap(), Arrival::Copied);
    registry.set_faults([Rule::new(Effect::Status(403)).on(Endpoint::Blob)]);
    let other = Descriptor { size: 1 << 20, ..Descriptor::of("x/y", b"?") };
    let denied = destination.transfer(&other, &*source).await;
    assert_eq!(kind(&denied), "denied", "the destination's own refusal is no source's");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blob_of_another_registry_is_streamed() {
    let (staging, blob) = with_image(RegistryOptions::default(), 5 << 20);
    let prod = start(RegistryOptions::default());
    let source = open(access(), &staging, "staging/app").await;
    let destination = open(access(), &prod, "prod/app").await;
    assert_eq!(destination.transfer(&blob, source.as_read()).await.unwrap(), Arrival::Copied);
    assert_eq!(take_log(&prod), ["HEAD blob 404", "POST upload 202", "PUT upload 201"]);
    assert_eq!(take_log(&staging), ["GET blob 200"]);
    let again = open(access(), &prod, "prod/app").await;
    assert_eq!(again.transfer(&blob, source.as_read()).await.unwrap(), Arrival::Present);
    let small = Descriptor::of("application/json", b"{}");
    staging.add_blob("staging/app", b"{}".to_vec().into()).unwrap();
    prod.clear_requests();
    for destination in [&destination, &again] {
        assert_eq!(destination.transfer(&small, source.as_read()).await.unwrap(), Arrival::Copied);
        assert_eq!(take_log(&prod), ["POST upload 201"], "sent in the time of a question, there or not");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_small_blob_that_is_there_needs_no_right_to_write() {
    let (staging, blob) = with_image(RegistryOptions::default(), 100);
    let source = open(access(), &staging, "staging/app").await;
    for status in [401, 403, 405, 412] {
        let prod = start(RegistryOptions::default());
        let destination = open(access(), &prod, "prod/app").await;
        prod.set_faults([Rule::new(Effect::Status(status)).on(Endpoint::Upload)]);
        assert!(destination.transfer(&blob, source.as_read()).await.is_err(), "{status}: it is not there");
        prod.add("prod/app", &fixture::large_image(1, 100), None).unwrap();
        assert_eq!(destination.transfer(&blob, source.as_read()).await.unwrap(), Arrival::Present, "{status}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_download_that_breaks_off_is_the_sources_error_and_leaves_nothing() {
    let (staging, blob) = with_image(RegistryOptions::default(), 3 << 20);
    let prod = start(RegistryOptions::default());
    let source = open(access(), &staging, "staging/app").await;
    let destination = open(access(), &prod, "prod/app").await;
    for effect in [Effect::CutAfter(2 << 20), Effect::Corrupt] {
        // Every resumed part is cut at once.
        staging.set_faults([
            Rule::new(effect.clone()).on(Endpoint::Blob).times(1),
            Rule::new(Effect::CutAfter(0)).on(Endpoint::Blob).nth(2),
        ]);
        let broken = destination.transfer(&blob, source.as_read()).await;
        assert_eq!(kind(&broken), "source", "{effect:?}: {broken:?}");
        assert!(!prod.has_blob("prod/app", &blob.digest));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_breaks_off_is_begun_anew() {
    for effect in [Effect::Status(500), Effect::LoseReply, Effect::Status(404), Effect::Status(413)] {
        let (staging, blob) = with_image(RegistryOptions::default(), 3 << 20);
        let prod = start(RegistryOptions::default());
        let source = open(access(), &staging, "staging/app").await;
        let destination = open(access(), &prod, "prod/app").await;
        prod.set_faults([Rule::new(effect.clone()).method("PUT").on(Endpoint::Upload).times(1)]);
        assert_eq!(destination.transfer(&blob, source.as_read()).await.unwrap(), Arrival::Copied, "{effect:?}");
        assert!(prod.has_blob("prod/app", &blob.digest));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_wants_chunks_gets_them_and_lost_ones_again() {
    let pattern = Pattern::new(1, 10 << 20);
    let blob = pattern.descriptor("application/octet-stream");
    let options = RegistryOptions { chunk_min_length: Some(1 << 20), ..RegistryOptions::default() };
    for effect in [None, Some(Effect::Status(500)), Some(Effect::LoseReply)] {
        let registry = start(options.clone());
        let repository = open(access(), &registry, "team/app").await;
        let rule = effect.clone().map(|effect| Rule::new(effect).method("PATCH").nth(2).times(1));
        registry.set_faults(rule);
        repository.push(&blob, pattern.content()).await.unwrap();
        assert!(registry.has_blob("team/app", &blob.digest), "{effect:?}");
        let resent = usize::from(matches!(effect, Some(Effect::Status(_))));
        assert_eq!(count(&registry, "PATCH", Endpoint::Upload), 3 + resent, "{:?}", take_log(&registry));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_small_blob_takes_one_request_where_that_is_honoured() {
    for (single_post, expected) in [
        (true, ["POST upload 201", "POST upload 201"].as_slice()),
        (false, &["POST upload 202", "PUT upload 201", "POST upload 202", "PUT upload 201"]),
    ] {
        let registry = start(RegistryOptions { single_post, ..RegistryOptions::default() });
        let repository = open(access(), &registry, "team/app").await;
        for seed in [1, 2] {
            let pattern = Pattern::new(seed, 1000);
            let blob = pattern.descriptor("application/octet-stream");
            repository.push(&blob, pattern.content()).await.unwrap();
        }
        let sent_digest = registry.requests().iter().filter(|r| r.method == "POST" && !r.query.is_empty()).count();
        assert_eq!(sent_digest, if single_post { 2 } else { 1 }, "a trial that failed is not repeated");
        assert_eq!(take_log(&registry), expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_request_plans_hold() {
    for (options, sign, verify) in [
        (
            RegistryOptions::default(),
            vec!["HEAD manifest 200", "POST upload 201", "POST upload 201", "PUT manifest 201", "GET referrers 200"],
            vec!["GET referrers 200", "GET manifest 200", "GET blob 200"],
        ),
        (
            RegistryOptions::distribution(),
            vec![
                "HEAD manifest 200",
                "POST upload 202",
                "PUT upload 201",
                "POST upload 202",
                "PUT upload 201",
                "PUT manifest 201",
                "GET manifest 404",
                "PUT manifest 201",
                "GET manifest 200",
            ],
            vec!["GET referrers 404", "GET manifest 200", "GET manifest 200", "GET blob 200"],
        ),
    ] {
        let (registry, image) = (start(options), fixture::image(1));
        registry.add("team/app", &image, Some("v1")).unwrap();
        let signer = open(access(), &registry, "team/app").await;
        let subject = signer.resolve(&Selector::Tag("v1".parse().unwrap())).await.unwrap();
        let signature = fixture::artifact("application/x.sig", "application/x.layer", b"sig", Some(&subject));
        signature.push(&*signer, None).await.unwrap();
        signer.settle().await.unwrap();
        assert_eq!(take_log(&registry), sign);

        let verifier = open(access(), &registry, "team/app").await;
        let listed = listed(&*verifier, &subject).await.unwrap();
        let found = verifier.manifest(&listed[0].digest.clone().into()).await.unwrap();
        let blob = verifier.fetch(&found.parse().unwrap().layers[0]).await.unwrap();
        assert_eq!(blob.read_all(10).await.unwrap(), "sig");
        assert_eq!(take_log(&registry), verify);
    }
}

async fn listed(repository: &dyn Repository, subject: &Descriptor) -> Result<Vec<Descriptor>, RepositoryError> {
    use sealift_core::repository::ReferrersListing::{Api, FallbackTag};
    if let Some(listed) = repository.referrers(&subject.digest, Api).await? {
        return Ok(listed);
    }
    Ok(repository.referrers(&subject.digest, FallbackTag).await?.unwrap_or_default())
}

#[tokio::test(flavor = "multi_thread")]
async fn tags_come_in_pages() {
    let registry = start(RegistryOptions::default().with_page_size(2));
    let expected: Vec<String> = (0..5).map(|number| format!("v{number}")).collect();
    for tag in &expected {
        registry.add("team/app", &fixture::image(1), Some(tag)).unwrap();
    }
    let repository = open(access(), &registry, "team/app").await;
    let tags: Vec<String> = repository.tags().await.unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(tags, expected);
    registry.set_faults([Rule::new(Effect::Status(404)).on(Endpoint::Tags).nth(2)]);
    assert_eq!(kind(&repository.tags().await), "malformed", "a listing that breaks off is no short listing");
    let missing = open(access(), &registry, "nobody/here").await;
    registry.clear_faults();
    assert_eq!(kind(&missing.tags().await), "not found");
}

#[tokio::test]
async fn those_who_ask_for_tags_at_the_same_time_get_one_listing_that_began_after_all_of_them_asked() {
    let registry = start(RegistryOptions::default());
    registry.add("team/app", &fixture::image(1), Some("v1")).unwrap();
    let client = Client::new(access()).unwrap();
    let repository = client.open_read(&name(&registry, "team/app")).await.unwrap();
    let list_eight = || join_all((0..8).map(|_| repository.tags()));
    assert!(list_eight().await.iter().all(|tags| tags.as_ref().unwrap().len() == 1));
    // The first one's had begun when the others asked.
    assert_eq!(take_log(&registry), ["GET tags 200"; 2]);
    registry.add("team/app", &fixture::image(1), Some("v2")).unwrap();
    assert_eq!(repository.tags().await.unwrap().len(), 2, "nothing is kept for later");

    registry.clear_requests();
    registry.set_faults([Rule::new(Effect::Status(403)).on(Endpoint::Tags).nth(2).times(1)]);
    let listed = list_eight().await;
    let failed = listed.iter().filter(|tags| tags.is_err()).count();
    assert_eq!((failed, count(&registry, "GET", Endpoint::Tags)), (1, 8), "each of the others asked for itself");
}

#[tokio::test(flavor = "multi_thread")]
async fn content_is_checked_before_it_is_sent() {
    let registry = start(RegistryOptions::default());
    let repository = open(access(), &registry, "team/app").await;
    let descriptor = Descriptor::of("x/y", b"described");
    let outcome = repository.push(&descriptor, Content::from(bytes::Bytes::from_static(b"different"))).await;
    assert_eq!(kind(&outcome), "content");
    assert!(registry.requests().is_empty());
}

#[tokio::test]
async fn one_repository_that_nothing_may_be_mounted_from_ends_no_mounting() {
    let (staging, prod) = (start(RegistryOptions::default()), start(RegistryOptions::default()));
    let image = fixture::image_on(&[fixture::layer(1, 300 << 10)], 1);
    staging.add("team/app", &image, None).unwrap();
    let layer = image.blobs().map(|(blob, _)| blob).find(|blob| blob.size == 300 << 10).unwrap();
    let client = Client::new(access()).unwrap();
    let source = client.open_read(&name(&staging, "team/app")).await.unwrap();
    let arrival =
        async |path: &str| client.open(&name(&prod, path)).await.unwrap().transfer(layer, &*source).await.unwrap();
    assert_eq!(arrival("prod/first").await, Arrival::Copied);
    for (path, expected) in [
        // Only the first repository has it.
        ("prod/second", Arrival::Copied),
        // The second has it as well.
        ("prod/third", Arrival::Mounted),
    ] {
        prod.set_faults([Rule::new(Effect::Status(403)).method("POST").repository(path).times(1)]);
        assert_eq!(arrival(path).await, expected, "{path}");
    }
    prod.set_faults([]);
    assert_eq!(arrival("prod/fourth").await, Arrival::Mounted);
}
