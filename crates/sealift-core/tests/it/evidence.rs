//! Which evidence is found, with which requests, and what becomes of what is broken.

use sealift_core::attach::{NewArtifact, NewLayer, ProblemReason, attach};
use sealift_core::evidence::{Effort, Evidence, MAX_CANDIDATES, RejectionReason, Verdict, gather};
use sealift_core::identity::IdentityMatcher;
use sealift_core::oci::{Descriptor, Digest, MediaType, RawManifest, Selector, Tag, media_type};
use sealift_core::repository::{Content, MemoryRepository, ReadRepository, ReferrersSupport, Repository, Snapshot};
use sealift_core::statement::predicate;
use sealift_core::verify::{Claim, Requirements, Verifier, VerifyError};
use sealift_sandbox::{WatchedRepository, fixture};

use crate::signed::{Person, created};
use crate::support::attestation;

const MODES: [ReferrersSupport; 2] = [ReferrersSupport::Api, ReferrersSupport::FallbackTagOnly];

async fn store(referrers: ReferrersSupport) -> (WatchedRepository<MemoryRepository>, Descriptor) {
    let repository = MemoryRepository::new("store").with_referrers(referrers);
    let image = fixture::image(1).push(&repository, None).await.unwrap();
    (WatchedRepository::new(repository), image)
}

async fn ask(
    repository: &dyn ReadRepository,
    subject: &Digest,
    identity: &IdentityMatcher,
    claim: &Claim,
    effort: Effort,
) -> Evidence {
    gather(repository, subject, &Verifier::new(Requirements::default()), identity, claim, effort).await
}

async fn signature(repository: &dyn ReadRepository, subject: &Descriptor, person: &Person) -> Evidence {
    ask(repository, &subject.digest, &person.identity, &Claim::ImageSignature, Effort::FirstMatch).await
}

#[tokio::test]
async fn the_request_plan_of_a_verification() {
    for (referrers, legacy, expected) in [
        (ReferrersSupport::Api, false, vec!["referrers", "manifest", "fetch"]),
        (ReferrersSupport::FallbackTagOnly, false, vec!["referrers", "fallback", "manifest", "fetch"]),
        (ReferrersSupport::Api, true, vec!["referrers", "fallback", "manifest tag", "fetch"]),
        (ReferrersSupport::FallbackTagOnly, true, vec!["referrers", "fallback", "manifest tag", "fetch"]),
    ] {
        let (repository, image) = store(referrers).await;
        let person = Person::new();
        if legacy {
            person.sign_cosign(&repository, &image.digest).await;
        } else {
            person.attach(&repository, &image, predicate::IMAGE_SIGNATURE).await;
        }
        repository.clear();
        let evidence = signature(&repository, &image, &person).await;
        assert_eq!(evidence.verdict(), Verdict::Verified);
        let calls = repository.calls();
        assert_eq!(calls.len(), expected.len(), "{calls:?}");
        assert!(calls.iter().zip(&expected).all(|(call, expected)| call.starts_with(expected)), "{calls:?}");
    }
}

#[tokio::test]
async fn attestations_and_sboms_beside_a_signature_cost_no_request() {
    let (repository, image) = store(ReferrersSupport::Api).await;
    let person = Person::new();
    for predicate_type in [predicate::SPDX, predicate::SLSA_PROVENANCE_V1, predicate::IMAGE_SIGNATURE] {
        person.attach(&repository, &image, predicate_type).await;
    }
    fixture::artifact("application/spdx+json", "application/spdx+json", b"{}", Some(&image))
        .push(&repository, None)
        .await
        .unwrap();
    repository.clear();
    assert_eq!(signature(&repository, &image, &person).await.verdict(), Verdict::Verified);
    assert_eq!(repository.calls().len(), 3, "{:?}", repository.calls());
    let spdx = attestation(Some(predicate::SPDX));
    let evidence = ask(&repository, &image.digest, &person.identity, &spdx, Effort::FirstMatch).await;
    assert_eq!(evidence.verified()[0].verified.predicate_type(), Some(predicate::SPDX));
    assert_eq!(repository.calls().len(), 6, "{:?}", repository.calls());
}

#[tokio::test]
async fn an_sbom_is_not_a_signature() {
    for referrers in MODES {
        let (repository, image) = store(referrers).await;
        let person = Person::new();
        person.attach(&repository, &image, predicate::SPDX).await;
        person.attest_cosign(&repository, &image.digest, predicate::CYCLONEDX).await;
        assert_eq!(signature(&repository, &image, &person).await.verdict(), Verdict::NoSignature);
        for (predicate_type, verdict) in [
            (Some(predicate::SPDX), Verdict::Verified),
            (Some(predicate::CYCLONEDX), Verdict::Verified),
            (Some(predicate::OPENVEX), Verdict::NoSignature),
            (None, Verdict::Verified),
        ] {
            let claim = attestation(predicate_type);
            let evidence = ask(&repository, &image.digest, &person.identity, &claim, Effort::FirstMatch).await;
            assert_eq!(evidence.verdict(), verdict, "{predicate_type:?}");
        }
        // Nor is a signature an attestation.
        let (repository, image) = store(referrers).await;
        person.attach(&repository, &image, predicate::IMAGE_SIGNATURE).await;
        let evidence = ask(&repository, &image.digest, &person.identity, &attestation(None), Effort::FirstMatch).await;
        assert_eq!(evidence.verdict(), Verdict::NoSignature);
    }
}

#[tokio::test]
async fn a_good_signature_counts_beside_broken_ones_and_each_says_why_it_does_not() {
    for referrers in MODES {
        let (repository, image) = store(referrers).await;
        let (person, stranger) = (Person::new(), Person::new());
        // Garbage, someone else's, a bundle made for another image, and an entry without a manifest.
        let garbage = NewArtifact::new(media_type::SIGSTORE_BUNDLE_V03)
            .with_layer(NewLayer::new(media_type::SIGSTORE_BUNDLE_V03, "{}"));
        attach(&repository, &image, &garbage).await.unwrap();
        stranger.attach(&repository, &image, predicate::IMAGE_SIGNATURE).await;
        let replayed = person.bundle(&Digest::sha256(b"other"), predicate::IMAGE_SIGNATURE).await;
        let replayed = NewArtifact::of_bundle(&replayed, created()).unwrap();
        attach(&repository, &image, &replayed).await.unwrap();
        let dangling = Descriptor::of(media_type::IMAGE_MANIFEST, b"nowhere");
        repository.link_referrers(&image.digest, &[dangling]).await.unwrap();
        stranger.sign_cosign(&repository, &image.digest).await;
        assert_eq!(signature(&repository, &image, &person).await.verdict(), Verdict::NoMatchingSignature);

        person.attach(&repository, &image, predicate::IMAGE_SIGNATURE).await;
        assert_eq!(signature(&repository, &image, &person).await.verdict(), Verdict::Verified);
        let all = ask(&repository, &image.digest, &person.identity, &Claim::ImageSignature, Effort::All).await;
        assert_eq!((all.verdict(), all.verified().len()), (Verdict::Verified, 1));
        let has = |wanted: fn(&RejectionReason) -> bool| all.rejected().iter().any(|found| wanted(&found.reason));
        assert!(has(|reason| matches!(reason, RejectionReason::Malformed(_))));
        assert!(has(|reason| matches!(reason, RejectionReason::Verify(VerifyError::WrongKey { .. }))));
        assert!(has(|reason| matches!(reason, RejectionReason::Verify(VerifyError::WrongSubject { .. }))));
        assert_eq!(all.rejected().len(), 4, "{:?}", all.rejected());
        let has_dangling = all.problems().iter().any(|problem| matches!(problem.reason, ProblemReason::Dangling));
        assert_eq!(has_dangling, referrers == ReferrersSupport::FallbackTagOnly);
    }
}

#[tokio::test]
async fn what_could_not_be_read_is_not_a_no() {
    for referrers in MODES {
        for failing in ["referrers", "fallback", "manifest", "fetch", "manifest tag"] {
            let (repository, image) = store(referrers).await;
            let (person, stranger) = (Person::new(), Person::new());
            stranger.attach(&repository, &image, predicate::IMAGE_SIGNATURE).await;
            repository.clear();
            repository.fail_calls(failing);
            let evidence = signature(&repository, &image, &person).await;
            assert_eq!(evidence.verdict(), Verdict::Undecided, "{failing} on {referrers:?}");
        }
        // A good signature elsewhere is good whatever else fails.
        let (repository, image) = store(referrers).await;
        let person = Person::new();
        person.sign_cosign(&repository, &image.digest).await;
        repository.clear();
        repository.fail_calls("referrers");
        let evidence = signature(&repository, &image, &person).await;
        assert_eq!((evidence.verdict(), evidence.undecided().len()), (Verdict::Verified, 1));
    }
}

#[tokio::test]
async fn thousands_of_referrers_cost_a_bounded_number_of_requests() {
    // Listed by an API, their types are known, and none of them is opened.
    let memory = MemoryRepository::new("store");
    let image = fixture::image(1).push(&memory, None).await.unwrap();
    for number in 0..20_000_u32 {
        let artifact = NewArtifact::new("application/spdx+json").with_annotation("number", number.to_string());
        let manifest = artifact.to_manifest(&image);
        memory.push(manifest.descriptor(), Content::from(manifest.bytes().clone())).await.unwrap();
    }
    let repository = WatchedRepository::new(memory);
    let person = Person::new();
    assert_eq!(signature(&repository, &image, &person).await.verdict(), Verdict::NoSignature);
    assert_eq!(repository.calls().len(), 3, "{:?}", repository.calls().len());
    repository.clear();
    person.attach(&repository, &image, predicate::IMAGE_SIGNATURE).await;
    repository.clear();
    assert_eq!(signature(&repository, &image, &person).await.verdict(), Verdict::Verified);
    assert_eq!(repository.calls().len(), 3);

    // A fallback tag lies about types, so all of them may be signatures.
    let (repository, image) = store(ReferrersSupport::FallbackTagOnly).await;
    let entries: Vec<_> =
        (0..20_000_u32).map(|number| Descriptor::of(media_type::IMAGE_MANIFEST, &number.to_be_bytes())).collect();
    let index = serde_json::json!({
        "schemaVersion": 2, "mediaType": media_type::IMAGE_INDEX, "manifests": entries,
    });
    let index = RawManifest::new(media_type::IMAGE_INDEX, index.to_string());
    repository.inner().tag(&index, &Tag::referrers_fallback(&image.digest)).await.unwrap();
    let evidence = signature(&repository, &image, &person).await;
    assert_eq!(evidence.verdict(), Verdict::Undecided);
    assert!(repository.calls().len() <= MAX_CANDIDATES + 3, "{}", repository.calls().len());
}

#[tokio::test]
async fn a_fallback_tag_that_is_the_image_itself_holds_no_signature() {
    let (repository, image) = store(ReferrersSupport::FallbackTagOnly).await;
    let tag = Tag::referrers_fallback(&image.digest);
    let fixture = fixture::image(1);
    repository.tag(fixture.root(), &tag).await.unwrap();
    let person = Person::new();
    let evidence = signature(&repository, &image, &person).await;
    assert_eq!(evidence.verdict(), Verdict::NoSignature);
    assert!(matches!(evidence.problems()[0].reason, ProblemReason::Squatted { .. }));
    person.sign_cosign(&repository, &image.digest).await;
    assert_eq!(signature(&repository, &image, &person).await.verdict(), Verdict::Verified);
}

#[tokio::test]
async fn a_fallback_index_with_wrong_types_hides_nothing() {
    let (repository, image) = store(ReferrersSupport::FallbackTagOnly).await;
    let person = Person::new();
    let signed = person.attach(&repository, &image, predicate::IMAGE_SIGNATURE).await;
    for artifact_type in [None, Some(media_type::EMPTY), Some("application/spdx+json")] {
        let entry = Descriptor { artifact_type: artifact_type.map(str::to_owned), ..signed.to_plain() };
        let index = serde_json::json!({
            "schemaVersion": 2, "mediaType": media_type::IMAGE_INDEX, "manifests": [entry],
        });
        let index = RawManifest::new(MediaType::from_static(media_type::IMAGE_INDEX), index.to_string());
        repository.tag(&index, &Tag::referrers_fallback(&image.digest)).await.unwrap();
        assert_eq!(signature(&repository, &image, &person).await.verdict(), Verdict::Verified, "{artifact_type:?}");
    }
}

#[tokio::test]
async fn two_signatures_over_one_payload_are_one_read_and_two_answers() {
    let (repository, image) = store(ReferrersSupport::Api).await;
    let (first, second) = (Person::new(), Person::new());
    first.sign_cosign(&repository, &image.digest).await;
    second.sign_cosign(&repository, &image.digest).await;
    repository.clear();
    let identity = first.identity.clone().or(second.identity.clone());
    let evidence = ask(&repository, &image.digest, &identity, &Claim::ImageSignature, Effort::All).await;
    assert_eq!(evidence.verified().len(), 2);
    assert_eq!(repository.calls().len(), 4, "{:?}", repository.calls());
}

/// Of two signers who are accepted, the same one is named however the listing is ordered: what is recorded of a promotion
/// must not depend on it.
#[tokio::test]
async fn the_first_signature_found_is_the_same_in_every_order() {
    let image = fixture::image(1);
    let people = [Person::new(), Person::new(), Person::new()];
    let identity = people.iter().map(|person| person.identity.clone()).reduce(IdentityMatcher::or).unwrap();
    let mut bundles = Vec::new();
    for person in &people {
        bundles.push(person.bundle(&image.descriptor().digest, predicate::IMAGE_SIGNATURE).await);
    }
    for referrers in MODES {
        let mut found = Vec::new();
        for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0]] {
            let (repository, image) = store(referrers).await;
            for index in order {
                let artifact = NewArtifact::of_bundle(&bundles[index], created()).unwrap();
                attach(&repository, &image, &artifact).await.unwrap();
            }
            let claim = Claim::ImageSignature;
            let evidence = ask(&repository, &image.digest, &identity, &claim, Effort::FirstMatch).await;
            assert_eq!(evidence.verified().len(), 1, "the others need not be looked at");
            found.push(evidence.verified()[0].place.manifest.clone());
        }
        assert!(found.iter().all(|place| *place == found[0]), "{referrers:?}: {found:?}");
    }
}

#[tokio::test]
async fn a_snapshot_asks_nothing_twice() {
    let (repository, image) = store(ReferrersSupport::Api).await;
    let person = Person::new();
    person.attach(&repository, &image, predicate::IMAGE_SIGNATURE).await;
    repository.clear();
    let snapshot = Snapshot::new(&repository);
    for _ in 0..3 {
        assert_eq!(signature(&snapshot, &image, &person).await.verdict(), Verdict::Verified);
    }
    assert_eq!(repository.calls().len(), 3, "{:?}", repository.calls());
}

/// A layer may have the bytes of a manifest, and so its digest.
#[tokio::test]
async fn a_blob_that_was_read_proves_no_manifest_of_the_same_bytes_nor_the_reverse() {
    let (bytes, repository) = (fixture::image(1).root().bytes().clone(), MemoryRepository::new("blob"));
    let of_type = |media_type: &str| Descriptor::of(media_type.to_owned(), &bytes);
    let (blob, manifest) = (of_type(media_type::OCTET_STREAM), of_type(media_type::IMAGE_MANIFEST));
    repository.push(&blob, bytes.clone().into()).await.unwrap();
    let snapshot = Snapshot::new(&repository);
    snapshot.fetch(&blob).await.unwrap();
    assert!(snapshot.exists(&blob).await.unwrap());
    assert!(!snapshot.exists(&manifest).await.unwrap(), "it holds the blob alone");

    let repository = MemoryRepository::new("manifest");
    repository.push(&manifest, bytes.clone().into()).await.unwrap();
    let snapshot = Snapshot::new(&repository);
    snapshot.manifest(&Selector::Digest(manifest.digest.clone())).await.unwrap();
    assert!(snapshot.exists(&manifest).await.unwrap());
    assert!(!snapshot.exists(&blob).await.unwrap(), "it holds the manifest alone");
}
