//! Images that ACR keeps in quarantine, as its documents describe it.

use std::sync::Arc;

use async_trait::async_trait;
use sealift_core::attach::CosignSuffix;
use sealift_core::oci::{Digest, RawManifest, Selector};
use sealift_core::repository::{Repository, RepositoryError, Revised, Revision};
use sealift_oci::keychain::Credential;
use sealift_oci::{Client, QuarantineError, QuarantineState, ScanDetails};
use sealift_sandbox::fixture;
use sealift_sandbox::registry::{Auth, Effect, Emulation, Endpoint, Registry, Rule};

use crate::support::{access_as, access_with, count, kind, name, open, start};

const PROCESSOR: &str = Emulation::QUARANTINE_WRITER;
const SCANNER: &str = Emulation::QUARANTINE_READER;

/// Returns a registry where `app:v1` is in quarantine, and its digest.
fn kept_back() -> (Registry, Digest) {
    let registry = start(Emulation::AcrQuarantine.options());
    let image = registry.add("app", &fixture::image(1), Some("v1")).unwrap();
    (registry, image.digest)
}

fn publisher() -> &'static str {
    Emulation::AcrQuarantine.user()
}

fn client(registry: &Registry, user: &str) -> Client {
    Client::new(access_as(registry, user, Emulation::PASSWORD)).unwrap()
}

fn v1() -> Selector {
    Selector::Tag("v1".parse().unwrap())
}

async fn read(registry: &Registry, user: &str, selector: &Selector) -> [&'static str; 2] {
    let reader = client(registry, user).open_read(&name(registry, "app")).await.unwrap();
    [kind(&reader.resolve(selector).await), kind(&reader.manifest(selector).await)]
}

#[tokio::test]
async fn what_is_kept_back_is_neither_missing_nor_denied() {
    let (registry, digest) = kept_back();
    let by_digest = Selector::from(digest.clone());
    for (user, selector, expected) in [
        (publisher(), &v1(), "quarantined"),
        (publisher(), &by_digest, "quarantined"),
        (SCANNER, &v1(), "quarantined"),
        (SCANNER, &by_digest, "ok"),
        (PROCESSOR, &by_digest, "ok"),
    ] {
        assert_eq!(read(&registry, user, selector).await, [expected; 2], "{user} {selector}");
    }
    let missing = Selector::Tag("v2".parse().unwrap());
    assert_eq!(read(&registry, publisher(), &missing).await, ["not found"; 2]);
}

#[tokio::test]
async fn the_processor_releases_and_everybody_pulls() {
    let (registry, digest) = kept_back();
    let app = name(&registry, "app");
    let found = client(&registry, publisher()).quarantine(&app, &v1()).await.unwrap();
    assert_eq!((found.digest, found.state.as_deref(), found.is_kept_back), (digest.clone(), Some("Quarantined"), true));

    let details = ScanDetails::parse(br#"{"state":"scan passed","link":"https://scanner.test/1"}"#).unwrap();
    let processor = client(&registry, PROCESSOR);
    for (state, expected) in [
        (QuarantineState::Failed, "quarantined"),
        (QuarantineState::Passed, "ok"),
        (QuarantineState::Quarantined, "quarantined"),
    ] {
        let found = processor.set_quarantine(&app, &v1(), state, Some(&details)).await.unwrap();
        assert_eq!(found.state.as_deref(), Some(state.as_str()));
        assert_eq!(found.details.as_deref(), Some(r#"{"state":"scan passed","link":"https://scanner.test/1"}"#));
        assert_eq!(registry.quarantine_state("app", &digest).as_deref(), Some(state.as_str()));
        assert_eq!(read(&registry, publisher(), &v1()).await, [expected; 2], "{state:?}");
        assert_eq!(read(&registry, publisher(), &digest.clone().into()).await, [expected; 2], "{state:?}");
    }
}

#[tokio::test]
async fn whoever_lacks_the_role_is_told_which() {
    let (registry, digest) = kept_back();
    for user in [publisher(), SCANNER] {
        let released =
            client(&registry, user).set_quarantine(&name(&registry, "app"), &v1(), QuarantineState::Passed, None).await;
        let error = released.unwrap_err();
        assert!(matches!(error, QuarantineError::RoleMissing { role: "AcrQuarantineWriter", .. }), "{error:?}");
        assert!(error.to_string().contains("The operation is disallowed"), "{error}");
    }
    assert_eq!(registry.quarantine_state("app", &digest).as_deref(), Some("Quarantined"));
}

#[tokio::test]
async fn a_registry_that_does_not_do_as_it_says_is_found_out() {
    let (registry, _) = kept_back();
    let app = name(&registry, "app");
    let ignored = Rule::new(Effect::Status(200)).on(Endpoint::Attributes).method("PATCH");
    registry.set_faults([ignored]);
    let released = client(&registry, PROCESSOR).set_quarantine(&app, &v1(), QuarantineState::Passed, None).await;
    assert!(matches!(released, Err(QuarantineError::NotKept { asked: "Passed", .. })), "{released:?}");
}

#[tokio::test]
async fn only_where_it_could_be_kept_back_is_anybody_asked() {
    let registry = start(Emulation::Acr.options());
    registry.add("app", &fixture::image(1), Some("v1")).unwrap();
    let app = name(&registry, "app");
    let client = client(&registry, publisher());
    let reader = client.open_read(&app).await.unwrap();
    reader.manifest(&v1()).await.unwrap();
    assert_eq!(count(&registry, "GET", Endpoint::Attributes), 0);
    for missing in ["v2".to_owned(), format!("sha256-{}.sig", "a".repeat(64))] {
        registry.clear_requests();
        assert_eq!(kind(&reader.manifest(&Selector::Tag(missing.parse().unwrap())).await), "not found");
        assert_eq!(count(&registry, "GET", Endpoint::Attributes), 1, "{missing}");
    }
    let found = client.quarantine(&app, &v1()).await.unwrap();
    assert_eq!((found.state, found.is_kept_back), (None, false), "there is no policy");

    for emulation in [Emulation::Zot, Emulation::Ghcr, Emulation::Ecr] {
        let registry = start(emulation.options());
        registry.add("app", &fixture::image(1), Some("v1")).unwrap();
        let reader = open(access_as(&registry, emulation.user(), Emulation::PASSWORD), &registry, "app").await;
        assert_eq!(kind(&reader.manifest(&Selector::Tag("v2".parse().unwrap())).await), "not found");
        assert_eq!(count(&registry, "GET", Endpoint::Attributes), 0, "{emulation}");
        let client = Client::new(access_as(&registry, emulation.user(), Emulation::PASSWORD)).unwrap();
        let asked = client.quarantine(&name(&registry, "app"), &v1()).await.unwrap_err();
        let is_unsupported = matches!(asked, QuarantineError::Repository(RepositoryError::Unsupported { .. }));
        assert!(is_unsupported, "{emulation}: {asked:?}");
    }
}

#[tokio::test]
async fn what_is_not_told_is_not_missing() {
    let (registry, _) = kept_back();
    for (effect, expected) in [
        (Effect::Status(503), "unavailable"),
        (Effect::Status(429), "throttled"),
        (Effect::Status(403), "denied"),
        (Effect::Body("<html>".into()), "malformed"),
        // The token is good for no more than pulling: the registry's own answer is all there is.
        (Effect::Status(401), "not found"),
        (Effect::Refusal(404, "TAG_UNKNOWN"), "not found"),
    ] {
        registry.set_faults([Rule::new(effect.clone()).on(Endpoint::Attributes)]);
        assert_eq!(read(&registry, publisher(), &v1()).await, [expected; 2], "{effect:?}");
    }
}

/// An image that was passed, and whose signatures were not, is not unsigned.
#[tokio::test]
async fn signatures_that_are_kept_back_are_not_missing() {
    let (registry, digest) = kept_back();
    let tag = CosignSuffix::Signature.tag(&digest);
    let signature = registry.add("app", &fixture::image(2), Some(tag.as_str())).unwrap();
    assert_eq!(read(&registry, publisher(), &tag.clone().into()).await, ["quarantined"; 2]);
    // Nor is one lost to a signature that is added, because whoever looks after the quarantine reads it by its digest.
    let revision: Arc<dyn Revision> = Arc::new(Untouched);
    for (user, expected) in [(publisher(), None), (PROCESSOR, Some(signature.digest))] {
        let writer = open(access_as(&registry, user, Emulation::PASSWORD), &registry, "app").await;
        let held = writer.revise_tag(&tag, Arc::clone(&revision)).await;
        let found = held.as_ref().ok().and_then(|held| Some(held.as_ref()?.descriptor().digest.clone()));
        assert_eq!(found, expected, "{user}: {held:?}");
        assert_eq!(kind(&held), if expected.is_some() { "ok" } else { "quarantined" }, "{user}");
    }
}

/// Leaves a tag as it is.
#[derive(Debug)]
struct Untouched;

#[async_trait]
impl Revision for Untouched {
    async fn revise(&self, _: &dyn Repository, _: Option<&RawManifest>) -> Result<Revised, RepositoryError> {
        Ok(Revised::Unchanged)
    }
}

#[tokio::test]
async fn a_registry_without_a_record_is_told_from_one_that_does_not_answer() {
    let emulation = Emulation::Zot;
    let registry = start(emulation.options());
    registry.add("app", &fixture::image(1), Some("v1")).unwrap();
    let client = client(&registry, emulation.user());
    for (effect, expected) in [
        (Effect::Status(404), "unsupported"),
        (Effect::Status(405), "unsupported"),
        (Effect::Refusal(404, "NAME_UNKNOWN"), "not found"),
        (Effect::Refusal(404, "MANIFEST_UNKNOWN"), "not found"),
        (Effect::Status(403), "denied"),
        (Effect::Status(500), "unavailable"),
    ] {
        registry.set_faults([Rule::new(effect.clone()).on(Endpoint::Attributes)]);
        let asked = client.quarantine(&name(&registry, "app"), &v1()).await;
        let Err(QuarantineError::Repository(error)) = asked else { panic!("{effect:?}: {asked:?}") };
        assert_eq!(kind::<()>(&Err(error)), expected, "{effect:?}");
    }
}

#[tokio::test]
async fn images_are_pushed_into_quarantine() {
    let registry = start(Emulation::AcrQuarantine.options());
    let repository = open(access_as(&registry, publisher(), Emulation::PASSWORD), &registry, "app").await;
    let image = fixture::image(1).push(&*repository, Some(&"v1".parse().unwrap())).await.unwrap();
    assert_eq!(registry.quarantine_state("app", &image.digest).as_deref(), Some("Quarantined"));
    assert!(repository.exists(&image).await.unwrap(), "kept back, and there");
}

#[tokio::test]
async fn anonymous_pulls_are_told_the_same() {
    let mut options = Emulation::AcrQuarantine.options();
    if let Auth::Token(auth) = &mut options.auth {
        auth.anonymous_pull = true;
    }
    let registry = start(options);
    registry.add("app", &fixture::image(1), Some("v1")).unwrap();
    let reader = open(access_with(&registry, Credential::Anonymous), &registry, "app").await;
    // Anybody may pull, and only accounts may see attributes: what the registry says is all there is.
    assert_eq!(kind(&reader.manifest(&v1()).await), "not found");
}
