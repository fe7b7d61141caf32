//! Where redirects and upload locations lead, and that credentials stay behind.

use bytes::Bytes;
use sealift_core::oci::{Descriptor, Selector, media_type};
use sealift_core::repository::ReferrersListing;
use sealift_sandbox::fixture;
use sealift_sandbox::registry::{Auth, Effect, Endpoint, Registry, RegistryOptions, Rule};

use crate::support::{access, access_as, kind, open, read, start};

/// Returns a registry that wants credentials, and another one to be led to.
fn pair() -> (Registry, Registry) {
    let options = RegistryOptions { single_post: false, ..RegistryOptions::default() };
    (start(options.with_auth(Auth::basic("user", "pass"))), start(RegistryOptions::default()))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_download_goes_on_elsewhere_without_credentials() {
    let (registry, store) = pair();
    let image = fixture::image(1);
    registry.add("team/app", &image, Some("v1")).unwrap();
    store.add("team/app", &image, Some("v1")).unwrap();
    registry.set_faults([Rule::new(Effect::Redirect(store.url())).method("GET")]);
    let repository = open(access_as(&registry, "user", "pass"), &registry, "team/app").await;
    repository.resolve(&Selector::Digest(image.digest().clone())).await.unwrap();
    for (descriptor, _) in image.blobs() {
        read(repository.as_read(), descriptor).await.unwrap();
    }
    repository.manifest(&Selector::Tag("v1".parse().unwrap())).await.unwrap();
    assert_eq!(store.requests().len(), 3);
    assert!(store.requests().iter().all(|request| !request.authorized), "{:?}", store.requests());
    assert!(registry.requests().iter().skip(1).all(|request| request.authorized), "{:?}", registry.requests());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_refusal_of_another_host_is_not_answered_with_credentials() {
    let (registry, image) = (start(RegistryOptions::default()), fixture::image(1));
    let store = start(RegistryOptions::default().with_auth(Auth::basic("user", "pass")));
    registry.set_faults([Rule::new(Effect::Redirect(store.url()))]);
    let repository = open(access_as(&registry, "user", "pass"), &registry, "team/app").await;
    let refused = repository.manifest(&Selector::Digest(image.digest().clone())).await;
    assert_eq!(kind(&refused), "unauthenticated");
    assert!(store.requests().iter().all(|request| !request.authorized), "{:?}", store.requests());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_elsewhere_carries_no_credentials() {
    let (registry, store) = pair();
    registry.set_faults([Rule::new(Effect::LocationAt(store.url())).method("POST")]);
    let repository = open(access_as(&registry, "user", "pass"), &registry, "team/app").await;
    let bytes = Bytes::from_static(b"for the store");
    let descriptor = Descriptor::of(media_type::OCTET_STREAM, &bytes);
    // The store knows nothing of the session.
    assert_eq!(kind(&repository.push(&descriptor, bytes.into()).await), "registry");
    assert!(!store.requests().is_empty());
    assert!(store.requests().iter().all(|request| !request.authorized), "{:?}", store.requests());
}

#[tokio::test(flavor = "multi_thread")]
async fn circles_and_writes_are_not_followed() {
    let (one, two) = (start(RegistryOptions::default()), start(RegistryOptions::default()));
    one.set_faults([Rule::new(Effect::Redirect(two.url()))]);
    two.set_faults([Rule::new(Effect::Redirect(one.url()))]);
    let repository = open(access(), &one, "team/app").await;
    assert_eq!(kind(&repository.manifest(&Selector::Tag("v1".parse().unwrap())).await), "malformed");
    assert_eq!(one.requests().len() + two.requests().len(), 6);
    let image = fixture::image(1);
    two.clear_requests();
    assert_eq!(kind(&repository.tag(image.root(), &"v1".parse().unwrap()).await), "registry");
    assert!(two.requests().is_empty(), "{:?}", two.requests());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listing_elsewhere_is_no_listing() {
    let (registry, web) = (start(RegistryOptions::default()), start(RegistryOptions::default()));
    let image = fixture::image(1);
    registry.set_faults([Rule::new(Effect::Redirect(web.url())).on(Endpoint::Referrers)]);
    let repository = open(access(), &registry, "team/app").await;
    assert_eq!(repository.referrers(image.digest(), ReferrersListing::Api).await.unwrap(), None);
    assert!(web.requests().is_empty(), "{:?}", web.requests());
}
