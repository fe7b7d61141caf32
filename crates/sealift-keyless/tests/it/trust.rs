//! Trust roots of the sandbox, of instances that come along, and of none.

use std::time::Duration;

use jiff::SignedDuration;
use sealift_keyless::Transport;
use sealift_keyless::trust::{
    Access, DEFAULT_MAX_AGE, Instance, Source, TrustConfig, TrustError, TrustStore, github, public_good,
};
use sealift_keyless::tuf::TufError;
use sealift_sandbox::sigstore::{
    Fault, LogVersion, Role, Service, Sigstore, SigstoreOptions, Times, TrustedRootVersion,
};
use url::Url;

use crate::support::{chain, now, transport};
use crate::tuf_repository::TufRepository;

/// A sandbox, its instance, and a store that is empty at first.
struct World {
    sigstore: Sigstore,
    instance: Instance,
    store: TrustStore,
    transport: Transport,
    directory: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        let sigstore = Sigstore::start(SigstoreOptions::default()).unwrap();
        let url = Url::parse(&sigstore.urls().tuf).unwrap();
        let instance = Instance::custom(&url, sigstore.tuf_root()).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let store = TrustStore::new(directory.path().join("trust"));
        Self { sigstore, instance, store, transport: transport(), directory }
    }

    fn online(&self, max_age: SignedDuration) -> Access<'_> {
        Access::Online { transport: &self.transport, max_age }
    }

    async fn source_at(&self, access: Access<'_>, hours: i64) -> Result<Source, TrustError> {
        let at = now().saturating_add(SignedDuration::from_hours(hours)).unwrap();
        self.store.material(&self.instance, access, at).await.map(|material| material.source)
    }
}

#[tokio::test]
async fn what_is_young_is_not_asked_for_again() {
    let world = World::new();
    let online = world.online(DEFAULT_MAX_AGE);
    let material = world.store.material(&world.instance, online, now()).await.unwrap();
    assert_eq!(material.source, Source::Repository);
    assert_eq!(material.trust_root.tlogs.len(), 2);
    material.signing_config().unwrap().unwrap().choose(now()).unwrap();
    let requests = world.sigstore.requests().len();
    assert_eq!(requests, 6, "root, timestamp, snapshot, targets and two documents");
    for hours in [0, 23] {
        let source = world.source_at(online, hours).await.unwrap();
        assert!(matches!(source, Source::Cache { checked: Some(_) }), "{source:?}");
    }
    assert_eq!(world.sigstore.requests().len(), requests, "no request while it is young");
    assert_eq!(world.source_at(online, 25).await.unwrap(), Source::Repository);
    assert_eq!(world.sigstore.requests().len(), requests + 2, "then root and timestamp");
    // The last refresh now lies in the future, which proves nothing.
    assert_eq!(world.source_at(online, 0).await.unwrap(), Source::Repository);
    assert_eq!(world.source_at(world.online(SignedDuration::ZERO), 0).await.unwrap(), Source::Repository);
}

#[tokio::test]
async fn offline_uses_what_is_kept_and_asks_nobody() {
    let world = World::new();
    let error = world.source_at(Access::Offline, 0).await.unwrap_err();
    assert!(matches!(error, TrustError::NothingCached { .. }), "{error:?}");
    assert!(world.sigstore.requests().is_empty());
    world.source_at(world.online(DEFAULT_MAX_AGE), 0).await.unwrap();
    world.sigstore.clear_requests();
    let source = world.source_at(Access::Offline, 24 * 80).await.unwrap();
    assert!(matches!(source, Source::Cache { .. }), "{source:?}");
    let error = world.source_at(Access::Offline, 24 * 91).await.unwrap_err();
    assert!(chain(&error).ends_with("Z") && chain(&error).contains("has expired at"), "{}", chain(&error));
    assert!(world.sigstore.requests().is_empty());
}

#[tokio::test]
async fn expired_and_rolled_back_metadata_is_refused_with_the_reason() {
    let world = World::new();
    world.sigstore.publish().unwrap();
    let always = world.online(SignedDuration::ZERO);
    world.source_at(always, 0).await.unwrap();
    world.sigstore.rollback();
    let error = world.source_at(always, 0).await.unwrap_err();
    assert!(chain(&error).contains("`timestamp.json` is rolled back: version 1 after version 2"), "{}", chain(&error));
    for (role, file) in [
        (Role::Timestamp, "timestamp.json"),
        (Role::Snapshot, "snapshot.json"),
        (Role::Targets, "targets.json"),
        (Role::Root, "root.json"),
    ] {
        world.sigstore.set_lifetime(role, SignedDuration::from_hours(-1)).unwrap();
        let error = world.source_at(always, 0).await.unwrap_err();
        let TrustError::Refresh { source: TufError::Expired { file: found, .. }, .. } = &error else {
            panic!("{role:?}: {}", chain(&error))
        };
        assert_eq!(found, file);
        world.sigstore.set_lifetime(role, SignedDuration::from_hours(24)).unwrap();
        world.source_at(always, 0).await.unwrap();
    }
    world.sigstore.rotate_root().unwrap();
    world.source_at(always, 0).await.unwrap();
}

#[tokio::test]
async fn a_repository_that_does_not_answer_takes_nothing_back() {
    let world = World::new();
    world.sigstore.inject(Service::Tuf, Fault::Status(503), Times::Always);
    let always = world.online(SignedDuration::ZERO);
    let error = world.source_at(always, 0).await.unwrap_err();
    assert!(chain(&error).contains("HTTP 503"), "{}", chain(&error));
    world.sigstore.clear_faults();
    world.source_at(always, 0).await.unwrap();
    world.sigstore.inject(Service::Tuf, Fault::Status(503), Times::Always);
    let source = world.source_at(always, 0).await.unwrap();
    assert!(matches!(source, Source::CacheInPlaceOfRepository { checked: Some(_) }), "{source:?}");
    let error = world.source_at(always, 24 * 91).await.unwrap_err();
    assert!(matches!(error, TrustError::Refresh { .. }), "{error:?}");
}

/// A slow retrieval: no file is late by itself.
#[tokio::test(start_paused = true)]
async fn a_repository_that_is_too_slow_takes_nothing_back() {
    let sigstore = Sigstore::start(SigstoreOptions::default()).unwrap();
    let mut repository = TufRepository::new().await;
    repository.add("trusted_root.json", sigstore.trusted_root(TrustedRootVersion::default()).as_bytes());
    repository.bump();
    let first_root = repository.file("/1.root.json").unwrap();
    let instance = Instance::custom(&repository.service_url(), first_root).unwrap();
    let store = TrustStore::new(repository.cache().directory().join("store"));
    let transport = transport();
    let always = Access::Online { transport: &transport, max_age: SignedDuration::ZERO };
    let slow = Duration::from_secs(55);
    repository.answer_after(slow);
    let error = store.material(&instance, always, now()).await.unwrap_err();
    let TrustError::Refresh { source, .. } = &error else { panic!("{error:?}") };
    assert_eq!(source.to_string(), "the repository did not give all that is needed within 180s");
    assert!(source.is_unavailable(), "nothing it said is wrong");
    repository.answer_after(Duration::ZERO);
    assert_eq!(store.material(&instance, always, now()).await.unwrap().source, Source::Repository);
    repository.bump();
    repository.answer_after(slow);
    let source = store.material(&instance, always, now()).await.unwrap().source;
    assert!(matches!(source, Source::CacheInPlaceOfRepository { .. }), "{source:?}");
}

#[tokio::test]
async fn instances_that_come_along_work_offline_from_the_start() {
    let directory = tempfile::tempdir().unwrap();
    let store = TrustStore::new(directory.path().join("trust"));
    for (instance, can_sign) in [(public_good(), true), (github(), false)] {
        let material = store.material(&instance, Access::Offline, now()).await.unwrap();
        assert_eq!(material.source, Source::Embedded);
        assert_eq!(material.signing_config().is_some(), can_sign);
        assert!(!material.trust_root.certificate_authorities.is_empty());
    }
    assert!(!directory.path().join("trust").exists(), "looking keeps nothing");
}

/// What cannot be read may be newer than what comes along, and may have taken back what that trusts.
#[tokio::test]
async fn a_store_that_cannot_be_read_is_not_an_empty_one() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("trust");
    let store = TrustStore::new(&path);
    std::fs::write(&path, "a file where a directory should be").unwrap();
    let error = store.material(&public_good(), Access::Offline, now()).await.unwrap_err();
    assert!(matches!(error, TrustError::Store { .. }), "{error:?}");

    let world = World::new();
    world.source_at(world.online(DEFAULT_MAX_AGE), 0).await.unwrap();
    let kept = world.directory.path().join("trust");
    let kept = std::fs::read_dir(kept).unwrap().next().unwrap().unwrap().path();
    std::fs::remove_file(kept.join("timestamp.json")).unwrap();
    let error = world.source_at(Access::Offline, 0).await.unwrap_err();
    assert!(matches!(error, TrustError::Cached { source: TufError::NotCached { .. }, .. }), "{error:?}");
}

#[tokio::test]
async fn instances_of_one_s_own_are_found_again() {
    let world = World::new();
    let url = Url::parse(world.instance.url()).unwrap();
    assert!(world.store.instance(&url).unwrap().is_none());
    world.store.initialise(&world.instance).unwrap();
    assert_eq!(world.store.instance(&url).unwrap().unwrap(), world.instance);
    world.source_at(world.online(DEFAULT_MAX_AGE), 0).await.unwrap();
    // The same again forgets nothing; another root starts anew.
    world.store.initialise(&world.instance).unwrap();
    world.source_at(Access::Offline, 0).await.unwrap();
    let other = Sigstore::start(SigstoreOptions::default()).unwrap();
    let renewed = Instance::custom(&url, other.tuf_root()).unwrap();
    world.store.initialise(&renewed).unwrap();
    assert_eq!(world.store.instance(&url).unwrap().unwrap(), renewed);
    let error = world.store.material(&renewed, Access::Offline, now()).await.unwrap_err();
    assert!(matches!(error, TrustError::NothingCached { .. }), "{error:?}");
}

#[tokio::test]
async fn no_role_takes_the_place_of_what_the_store_keeps() {
    let sigstore = Sigstore::start(SigstoreOptions::default()).unwrap();
    let mut repository = TufRepository::new().await;
    repository.add("trusted_root.json", sigstore.trusted_root(TrustedRootVersion::default()).as_bytes());
    // The signing configuration is looked for in every role that may name it.
    for role in ["pinned.root", "pinned", "checked"] {
        repository.delegate("targets", role, &["*"]);
    }
    repository.bump();
    let first_root = repository.file("/1.root.json").unwrap();
    let instance = Instance::custom(&repository.service_url(), first_root).unwrap();
    let store = TrustStore::new(repository.cache().directory().join("store"));
    store.initialise(&instance).unwrap();
    let transport = transport();
    let access = Access::Online { transport: &transport, max_age: DEFAULT_MAX_AGE };
    store.material(&instance, access, now()).await.unwrap();
    assert_eq!(store.instance(&repository.service_url()).unwrap().unwrap(), instance);
}

#[tokio::test]
async fn who_only_verifies_needs_no_signing_configuration() {
    let sigstore = Sigstore::start(SigstoreOptions::default()).unwrap();
    let root = sigstore.trusted_root(TrustedRootVersion::default());
    for (config, is_there) in [(None, false), (Some(r#"{"mediaType":"of a later version"}"#), true)] {
        let mut repository = TufRepository::new().await;
        repository.add("trusted_root.json", root.as_bytes());
        if let Some(config) = config {
            repository.add("signing_config.v0.2.json", config.as_bytes());
        }
        repository.bump();
        let first_root = repository.file("/1.root.json").unwrap();
        let instance = Instance::custom(&repository.service_url(), first_root).unwrap();
        let store = TrustStore::new(repository.cache().directory().join("store"));
        let transport = transport();
        let access = Access::Online { transport: &transport, max_age: DEFAULT_MAX_AGE };
        let material = store.material(&instance, access, now()).await.unwrap();
        assert_eq!(material.trust_root.tlogs.len(), 2);
        assert_eq!(material.signing_config().map(|config| config.is_err()), is_there.then_some(true));
    }
    // What is no trusted root is an error for everybody.
    let mut repository = TufRepository::new().await;
    repository.add("trusted_root.json", b"{}");
    repository.bump();
    let first_root = repository.file("/1.root.json").unwrap();
    let instance = Instance::custom(&repository.service_url(), first_root).unwrap();
    let store = TrustStore::new(repository.cache().directory().join("store"));
    let transport = transport();
    let access = Access::Online { transport: &transport, max_age: DEFAULT_MAX_AGE };
    let error = store.material(&instance, access, now()).await.unwrap_err();
    assert!(matches!(error, TrustError::TrustedRoot { .. }), "{error:?}");
}

#[test]
fn a_trust_config_holds_both_documents() {
    let sigstore = Sigstore::start(SigstoreOptions::default()).unwrap();
    let json = sigstore.trust_config(&[LogVersion::V1]);
    let config = TrustConfig::parse(json.as_bytes()).unwrap();
    assert_eq!(config.trust_root.tlogs.len(), 2);
    let services = config.signing_config.choose(now()).unwrap();
    assert_eq!(services.rekor[0].0.as_str().trim_end_matches('/'), sigstore.urls().rekor_v1);
    for (part, other) in [("\"trustedRoot\"", "\"trustRoot\""), ("clienttrustconfig.v0.1", "clienttrustconfig.v0.2")] {
        TrustConfig::parse(json.replace(part, other).as_bytes()).unwrap_err();
    }
}
