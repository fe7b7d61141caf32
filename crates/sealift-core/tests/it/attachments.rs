//! Attaching, and finding again what is attached.

use futures_util::future::join_all;
use sealift_core::attach::{
    AttachError, AttachmentKind, Attachments, CosignSuffix, MAX_ATTACHMENT_BYTES, MAX_ATTACHMENT_DEPTH,
    MAX_BYTES_OF_TYPE, MAX_COSIGN_LAYERS, NewArtifact, NewLayer, ProblemReason, Scope, Squatter, Storage, attach,
    attach_cosign_tag, attachments, audit, referrers_of_type, repair,
};
use sealift_core::oci::{Descriptor, RawManifest, Selector, Tag, annotation, media_type};
use sealift_core::repository::fallback::Linking;
use sealift_core::repository::{
    Content, MemoryRepository, ReadRepository, ReferrersSupport, Repository, RepositoryError, Revised, Revision,
};
use sealift_core::statement::predicate;
use sealift_sandbox::{WatchedRepository, fixture};

use crate::signed::{Person, created};

const MODES: [ReferrersSupport; 2] = [ReferrersSupport::Api, ReferrersSupport::FallbackTagOnly];

async fn store(referrers: ReferrersSupport) -> (WatchedRepository<MemoryRepository>, Descriptor) {
    let repository = MemoryRepository::new("store").with_referrers(referrers).requiring_children();
    let image = fixture::image(1).push(&repository, None).await.unwrap();
    (WatchedRepository::new(repository), image)
}

#[tokio::test]
async fn a_bundle_is_stored_as_cosign_stores_it() {
    for (referrers, calls) in [(MODES[0], 4), (MODES[1], 5)] {
        let (repository, image) = store(referrers).await;
        let signed = Person::new().attach(&repository, &image, predicate::IMAGE_SIGNATURE).await;
        assert_eq!(repository.calls().len(), calls, "{:?}", repository.calls());
        let manifest = repository.manifest(&Selector::Digest(signed.digest)).await.unwrap();
        let json: serde_json::Value = serde_json::from_slice(manifest.bytes()).unwrap();
        let bundle = media_type::SIGSTORE_BUNDLE_V03;
        assert_eq!(json["artifactType"], bundle);
        assert_eq!(json["layers"][0]["mediaType"], bundle);
        assert_eq!(json["layers"].as_array().unwrap().len(), 1);
        assert_eq!(json["config"], serde_json::json!(Descriptor::of(media_type::EMPTY, b"{}")));
        assert_eq!(json["subject"], serde_json::json!(image.to_plain()));
        assert_eq!(
            json["annotations"],
            serde_json::json!({
                annotation::BUNDLE_CONTENT: "dsse-envelope",
                annotation::BUNDLE_PREDICATE_TYPE: predicate::IMAGE_SIGNATURE,
                annotation::CREATED: created().to_string(),
            })
        );
    }
}

#[tokio::test]
async fn an_artifact_of_nothing_but_annotations_is_whole() {
    let (repository, image) = store(ReferrersSupport::Api).await;
    let marker = NewArtifact::new(media_type::MICROSOFT_LIFECYCLE).with_annotation("end-of-life", "2026-01-01");
    attach(&repository, &image, &marker).await.unwrap();
    let found = attachments(&repository, &image.digest, Scope::Direct).await.unwrap().found;
    assert_eq!(found[0].kind, AttachmentKind::Lifecycle);
    let manifest = found[0].manifest.parse().unwrap();
    assert_eq!((manifest.layers.len(), manifest.layers[0].size), (1, 2));
}

#[tokio::test]
async fn every_scheme_is_found_and_told_apart() {
    for referrers in MODES {
        let (repository, image) = store(referrers).await;
        let person = Person::new();
        let bundle = person.attach(&repository, &image, predicate::IMAGE_SIGNATURE).await;
        person.sign_cosign(&repository, &image.digest).await;
        person.attest_cosign(&repository, &image.digest, predicate::SPDX).await;
        let sbom = NewLayer::new("text/spdx+json", "{}");
        attach_cosign_tag(&repository, &image.digest, CosignSuffix::Sbom, &sbom).await.unwrap();
        // Notation's and cosign's experimental form say what they are in the configuration alone.
        for (config, layer) in [
            (media_type::NOTARY_SIGNATURE, "application/jose+json"),
            (media_type::COSIGN_SIGNATURE_CONFIG, media_type::SIMPLE_SIGNING),
        ] {
            let (config, layer) = (NewLayer::new(config, "{}"), NewLayer::new(layer, "x"));
            for blob in [&config, &layer] {
                repository.push(&blob.descriptor(), Content::from(blob.content.clone())).await.unwrap();
            }
            push_referrer(
                &repository,
                &image,
                &serde_json::json!({
                    "schemaVersion": 2, "mediaType": media_type::IMAGE_MANIFEST, "config": config.descriptor(),
                    "layers": [layer.descriptor()], "subject": image.to_plain(),
                }),
            )
            .await;
        }
        let sbom = fixture::artifact("application/spdx+json", "application/spdx+json", b"{}", Some(&image));
        sbom.push(&repository, None).await.unwrap();
        let nested = person.attach(&repository, sbom.descriptor(), predicate::IMAGE_SIGNATURE).await;

        let direct = attachments(&repository, &image.digest, Scope::Direct).await.unwrap();
        assert!(direct.problems.is_empty() && direct.unread.is_empty(), "{direct:?}");
        let mut found: Vec<_> = direct.found.iter().map(|found| (found.kind, found.storage)).collect();
        found.sort_unstable();
        let listed = match referrers {
            ReferrersSupport::Api => Storage::ReferrersApi,
            ReferrersSupport::FallbackTagOnly => Storage::FallbackTag,
        };
        let mut expected = [
            (AttachmentKind::SigstoreBundle, listed),
            (AttachmentKind::NotarySignature, listed),
            (AttachmentKind::CosignSignature, listed),
            (AttachmentKind::Other, listed),
            (AttachmentKind::CosignSignature, Storage::CosignTag(CosignSuffix::Signature)),
            (AttachmentKind::CosignAttestation, Storage::CosignTag(CosignSuffix::Attestation)),
            (AttachmentKind::CosignSbom, Storage::CosignTag(CosignSuffix::Sbom)),
        ];
        expected.sort_unstable();
        assert_eq!(found, expected);
        assert!(direct.found.iter().any(|found| found.descriptor().digest == bundle.digest));

        let tree = attachments(&repository, &image.digest, Scope::Nested).await.unwrap();
        assert_eq!(tree.found.len(), 8);
        let below = tree.found.iter().filter(|found| found.subject == *sbom.digest());
        let below: Vec<_> = below.map(|found| &found.descriptor().digest).collect();
        assert_eq!(below, [&nested.digest]);
    }
}

async fn push_referrer(repository: &dyn Repository, subject: &Descriptor, body: &serde_json::Value) -> Descriptor {
    let manifest = RawManifest::new(media_type::IMAGE_MANIFEST, body.to_string());
    repository.push(manifest.descriptor(), Content::from(manifest.bytes().clone())).await.unwrap();
    let entry = manifest.to_referrer_entry().unwrap();
    repository.link_referrers(&subject.digest, std::slice::from_ref(&entry)).await.unwrap();
    entry
}

#[tokio::test]
async fn entries_that_are_no_attachments_are_told_and_not_followed() {
    // Takes an index whose entries it does not hold, as some registries do.
    let repository = MemoryRepository::new("store").with_referrers(ReferrersSupport::FallbackTagOnly);
    let image = fixture::image(1).push(&repository, None).await.unwrap();
    let other = fixture::image(2).push(&repository, None).await.unwrap();
    let foreign = Person::new().attach(&repository, &other, predicate::IMAGE_SIGNATURE).await;
    // A cycle: each lists the other.
    repository.link_referrers(&image.digest, std::slice::from_ref(&other)).await.unwrap();
    repository.link_referrers(&other.digest, std::slice::from_ref(&image)).await.unwrap();
    let dangling = Descriptor::of(media_type::IMAGE_MANIFEST, b"nowhere");
    let blob = Descriptor::of(media_type::IMAGE_LAYER_GZIP, b"layer");
    repository.link_referrers(&image.digest, &[foreign, dangling, blob]).await.unwrap();
    let found = attachments(&repository, &image.digest, Scope::Nested).await.unwrap();
    assert!(found.found.is_empty() && found.unread.is_empty());
    let reasons: Vec<_> = found.problems.iter().map(|problem| &problem.reason).collect();
    assert!(
        matches!(
            reasons[..],
            [
                ProblemReason::OtherSubject { found: None },
                ProblemReason::OtherSubject { found: Some(_) },
                ProblemReason::Dangling,
                ProblemReason::NotAManifest { .. }
            ]
        ),
        "{reasons:?}"
    );
}

/// A listing is a claim, its media types included.
#[tokio::test]
async fn entries_are_opened_whatever_type_they_say() {
    for listed in ["", media_type::IMAGE_LAYER_GZIP, "application/json", media_type::DOCKER_MANIFEST] {
        // Takes an index of whatever it says.
        let repository = MemoryRepository::new("store").with_referrers(ReferrersSupport::FallbackTagOnly);
        let image = fixture::image(1).push(&repository, None).await.unwrap();
        let marker = NewArtifact::new(media_type::MICROSOFT_LIFECYCLE).to_manifest(&image);
        repository.push(marker.descriptor(), Content::from(marker.bytes().clone())).await.unwrap();
        let (digest, size) = (marker.descriptor().digest.clone(), marker.descriptor().size);
        let gone = Descriptor::of(listed, b"gone");
        repository.link_referrers(&image.digest, &[Descriptor::new(listed, digest, size), gone]).await.unwrap();

        let found = attachments(&repository, &image.digest, Scope::Nested).await.unwrap();
        let kinds: Vec<_> = found.found.iter().map(|found| found.kind).collect();
        assert_eq!(kinds, [AttachmentKind::Lifecycle], "{listed}");
        let of_type = referrers_of_type(&repository, &image.digest, media_type::MICROSOFT_LIFECYCLE).await;
        assert_eq!(of_type.found.len(), 1, "{listed}");
        let [problem] = &found.problems[..] else { panic!("{:?}", found.problems) };
        let says_nothing = matches!(problem.reason, ProblemReason::Dangling);
        assert_eq!(says_nothing, matches!(listed, "" | media_type::DOCKER_MANIFEST), "{listed}: {problem:?}");
        assert!(says_nothing || matches!(problem.reason, ProblemReason::NotAManifest { .. }), "{listed}: {problem:?}");

        // What another writer wrote over is put back, if it is there.
        let linking = Linking::new(&image.digest, &[]);
        let tag = Tag::referrers_fallback(&image.digest);
        let before = repository.manifest(&Selector::Tag(tag)).await.unwrap();
        linking.revise(&repository, Some(&before)).await.unwrap();
        let Revised::Write(restored) = linking.revise(&repository, None).await.unwrap() else { panic!("{listed}") };
        let entries: Vec<_> = restored.parse().unwrap().manifests.into_iter().map(|entry| entry.digest).collect();
        assert_eq!(entries, [marker.descriptor().digest.clone()], "{listed}");
    }
}

#[tokio::test]
async fn a_listing_that_fails_is_an_error_and_an_entry_that_fails_is_unread() {
    for failing in ["referrers", "fallback", "manifest tag"] {
        let (repository, image) = store(ReferrersSupport::FallbackTagOnly).await;
        Person::new().attach(&repository, &image, predicate::IMAGE_SIGNATURE).await;
        repository.fail_calls(failing);
        assert!(attachments(&repository, &image.digest, Scope::Direct).await.is_err(), "{failing}");
    }
    let (repository, image) = store(ReferrersSupport::Api).await;
    Person::new().attach(&repository, &image, predicate::IMAGE_SIGNATURE).await;
    repository.fail_calls("manifest sha256");
    let found = attachments(&repository, &image.digest, Scope::Direct).await.unwrap();
    assert_eq!((found.found.len(), found.unread.len()), (0, 1));
    // Where the tags cannot be listed, each is probed.
    let (repository, image) = store(ReferrersSupport::Api).await;
    Person::new().sign_cosign(&repository, &image.digest).await;
    repository.fail_calls("tags");
    assert_eq!(attachments(&repository, &image.digest, Scope::Nested).await.unwrap().found.len(), 1);
}

#[tokio::test]
async fn chains_are_followed_to_a_bound() {
    for (depth, is_whole) in [(100, true), (MAX_ATTACHMENT_DEPTH + 2, false)] {
        let (repository, mut last) = store(ReferrersSupport::FallbackTagOnly).await;
        let image = last.digest.clone();
        for number in 0..depth {
            let artifact = NewArtifact::new("application/x-link").with_annotation("number", number.to_string());
            last = attach(&repository, &last, &artifact).await.unwrap();
        }
        let found = attachments(&repository, &image, Scope::Nested).await.unwrap();
        assert_eq!(found.found.len(), depth.min(MAX_ATTACHMENT_DEPTH));
        assert_eq!(found.unread.is_empty(), is_whole);
    }
}

/// How many bytes the annotation has that pads a manifest almost to the largest that is read.
const PADDING: usize = 4_000_000;

/// Returns a manifest as large as one may be, as anybody can attach it who may push.
fn padded(artifact_type: &str, subject: &Descriptor, number: usize) -> RawManifest {
    let empty = Descriptor::of(media_type::EMPTY, b"{}");
    let manifest = serde_json::json!({
        "schemaVersion": 2, "mediaType": media_type::IMAGE_MANIFEST, "artifactType": artifact_type,
        "config": empty, "layers": [empty], "subject": subject.to_plain(),
        "annotations": {"number": number.to_string(), "padding": "x".repeat(PADDING)},
    });
    RawManifest::new(media_type::IMAGE_MANIFEST, manifest.to_string())
}

async fn attach_padded(repository: &dyn Repository, artifact_type: &str, subject: &Descriptor, count: usize) {
    for number in 0..count {
        let manifest = padded(artifact_type, subject, number);
        repository.push(manifest.descriptor(), manifest.bytes().clone().into()).await.unwrap();
        let entry = manifest.descriptor().to_plain();
        repository.link_referrers(&subject.digest, &[entry]).await.unwrap();
    }
}

fn assert_bounded(found: &Attachments, limit: u64) {
    let bytes: u64 = found.found.iter().map(|attachment| attachment.descriptor().size).sum();
    assert!(limit - 2 * PADDING as u64 <= bytes && bytes <= limit, "{bytes} of {limit}");
    let unread: Vec<_> = found.unread.iter().map(|unread| &unread.error).collect();
    let [RepositoryError::TooLarge { limit: reached, .. }] = unread[..] else { panic!("{unread:?}") };
    assert_eq!(*reached, limit);
}

#[tokio::test]
async fn manifests_as_large_as_they_may_be_are_gathered_to_a_bound_that_is_told() {
    let repository = MemoryRepository::new("store").with_referrers(ReferrersSupport::FallbackTagOnly);
    let image = fixture::image(1).push(&repository, None).await.unwrap();
    let enough = usize::try_from(MAX_ATTACHMENT_BYTES).unwrap() / PADDING + 2;
    attach_padded(&repository, "application/x-padded", &image, enough).await;
    for scope in [Scope::Direct, Scope::Nested] {
        assert_bounded(&attachments(&repository, &image.digest, scope).await.unwrap(), MAX_ATTACHMENT_BYTES);
    }
    // The same in cosign's tags of what is attached.
    let other = fixture::image(2).push(&repository, None).await.unwrap();
    for number in 0..enough {
        let artifact = NewArtifact::new("application/x-small").with_annotation("number", number.to_string());
        let small = attach(&repository, &other, &artifact).await.unwrap();
        let tag = CosignSuffix::Signature.tag(&small.digest);
        repository.tag(&padded("application/x-padded", &small, number), &tag).await.unwrap();
    }
    assert_bounded(&attachments(&repository, &other.digest, Scope::Nested).await.unwrap(), MAX_ATTACHMENT_BYTES);
}

#[tokio::test]
async fn what_has_another_type_takes_no_room_of_those_looked_for() {
    let repository = MemoryRepository::new("store").with_referrers(ReferrersSupport::FallbackTagOnly);
    let image = fixture::image(1).push(&repository, None).await.unwrap();
    let enough = usize::try_from(MAX_BYTES_OF_TYPE).unwrap() / PADDING + 2;
    attach_padded(&repository, "application/x-other", &image, enough).await;
    let artifact = NewArtifact::new("application/x-wanted");
    attach(&repository, &image, &artifact).await.unwrap();
    let found = referrers_of_type(&repository, &image.digest, "application/x-wanted").await;
    assert_eq!((found.found.len(), found.unread.len()), (1, 0));
    let found = referrers_of_type(&repository, &image.digest, "application/x-other").await;
    assert_bounded(&found, MAX_BYTES_OF_TYPE);
}

#[tokio::test]
async fn a_cosign_tag_keeps_what_it_holds() {
    let (repository, image) = store(ReferrersSupport::Api).await;
    let (first, second) =
        (Person::new().cosign_layer(&image.digest).await, Person::new().cosign_layer(&image.digest).await);
    let suffix = CosignSuffix::Signature;
    attach_cosign_tag(&repository, &image.digest, suffix, &first).await.unwrap();
    let before = tag_of(&repository, &image, suffix).await;
    let both = attach_cosign_tag(&repository, &image.digest, suffix, &second).await.unwrap();
    let after = tag_of(&repository, &image, suffix).await;
    let layers = |manifest: &RawManifest| manifest.parse().unwrap().layers;
    assert_eq!(layers(&before), [first.descriptor()]);
    assert_eq!(layers(&after), [first.descriptor(), second.descriptor()]);

    // The configuration is an image's, with one difference for each layer, as cosign's readers expect.
    let config = after.parse().unwrap().config.unwrap();
    assert_eq!(config.media_type, media_type::IMAGE_CONFIG);
    let config = repository.fetch(&config).await.unwrap().read_all(10_000).await.unwrap();
    let config: serde_json::Value = serde_json::from_slice(&config).unwrap();
    assert_eq!(config["rootfs"]["diff_ids"].as_array().unwrap().len(), 2);
    assert_eq!(config["history"].as_array().unwrap().len(), 2);

    // The same layer again changes nothing and writes nothing.
    repository.clear();
    assert_eq!(attach_cosign_tag(&repository, &image.digest, suffix, &first).await.unwrap(), both);
    assert_eq!(repository.calls().len(), 1, "{:?}", repository.calls());
}

async fn tag_of(repository: &dyn ReadRepository, image: &Descriptor, suffix: CosignSuffix) -> RawManifest {
    repository.manifest(&Selector::Tag(suffix.tag(&image.digest))).await.unwrap()
}

#[tokio::test]
async fn writers_side_by_side_lose_no_signature() {
    let (repository, image) = store(ReferrersSupport::Api).await;
    let layers = join_all((0..6).map(|_| async { Person::new().cosign_layer(&image.digest).await })).await;
    let writes =
        layers.iter().map(|layer| attach_cosign_tag(&repository, &image.digest, CosignSuffix::Signature, layer));
    assert!(join_all(writes).await.into_iter().all(|written| written.is_ok()));
    let held = tag_of(&repository, &image, CosignSuffix::Signature).await.parse().unwrap().layers;
    assert!(layers.iter().all(|layer| held.contains(&layer.descriptor())));
    assert_eq!(held.len(), 6);
}

#[tokio::test]
async fn a_cosign_tag_is_not_filled_beyond_what_cosign_reads() {
    let (repository, image) = store(ReferrersSupport::Api).await;
    let layer = NewLayer::new(media_type::SIMPLE_SIGNING, "x").descriptor();
    let full = serde_json::json!({
        "schemaVersion": 2, "mediaType": media_type::IMAGE_MANIFEST,
        "config": Descriptor::of(media_type::IMAGE_CONFIG, b"{}"), "layers": vec![layer; MAX_COSIGN_LAYERS],
    });
    let full = RawManifest::new(media_type::IMAGE_MANIFEST, full.to_string());
    let memory = MemoryRepository::new("store");
    let tag: Tag = CosignSuffix::Signature.tag(&image.digest);
    memory.tag(&full, &tag).await.unwrap();
    let layer = Person::new().cosign_layer(&image.digest).await;
    let refused = attach_cosign_tag(&memory, &image.digest, CosignSuffix::Signature, &layer).await;
    assert!(matches!(refused, Err(AttachError::TooManyLayers { .. })), "{refused:?}");
    assert!(attach_cosign_tag(&repository, &image.digest, CosignSuffix::Signature, &layer).await.is_ok());
}

#[tokio::test]
async fn a_squatter_gives_way_to_a_listing_even_of_nothing() {
    let memory = MemoryRepository::new("store").with_referrers(ReferrersSupport::FallbackTagOnly);
    let image = fixture::image(1).push(&memory, None).await.unwrap();
    let tag = Tag::referrers_fallback(&image.digest);
    let squatter = memory.manifest(&Selector::Digest(image.digest.clone())).await.unwrap();
    memory.tag(&squatter, &tag).await.unwrap();
    let found = audit(&memory, &image.digest, &[]).await.unwrap();
    repair(&memory, &found, Squatter::Leave).await.unwrap();
    assert_eq!(memory.manifest(&Selector::Tag(tag.clone())).await.unwrap(), squatter);
    // Deleting the tag could take the image along: registries differ in what a tag's deletion leaves.
    repair(&memory, &found, Squatter::Replace).await.unwrap();
    let listing = memory.manifest(&Selector::Tag(tag)).await.unwrap();
    assert_eq!(listing.parse().unwrap().manifests, []);
    assert!(audit(&memory, &image.digest, &[]).await.unwrap().findings.is_empty());
}
