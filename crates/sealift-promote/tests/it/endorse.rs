//! What the destination's signer signs: before the tags, once, and about what arrived.

use sealift_core::attach::{CosignSuffix, NewArtifact, Scope, attach, attachments};
use sealift_core::copy::CopyOptions;
use sealift_core::evidence::{Effort, Evidence, MAX_CANDIDATES, gather};
use sealift_core::oci::{Descriptor, Digest, RawManifest, Selector, annotation, media_type};
use sealift_core::repository::{MemoryRepository, ReadRepository, Repository as _, RepositoryError, Snapshot};
use sealift_core::statement::predicate::{self, PROMOTION, PromotionRecord};
use sealift_core::verify::{Claim, Requirements, Verifier};
use sealift_promote::{
    EndorseError, Ends, Presence, PromoteError, Promoted, Resigning, SignatureForm, Target, plan, transfer,
};
use serde_json::json;

use crate::support::{MODES, Person, Store, held, laden_index, of, small_index, store, tag};

const BOTH: [SignatureForm; 2] = [SignatureForm::Bundle, SignatureForm::CosignTag];

/// Returns what the repository has by `person`.
pub(crate) async fn evidence(
    repository: &dyn ReadRepository,
    person: &Person,
    subject: &Digest,
    claim: &Claim,
) -> Evidence {
    let verifier = Verifier::new(Requirements::default());
    gather(repository, subject, &verifier, &person.identity(), claim, Effort::All).await
}

pub(crate) fn recorded() -> Claim {
    Claim::Attestation { predicate_type: Some(predicate::PROMOTION.to_owned()) }
}

async fn records(repository: &dyn ReadRepository, person: &Person, subject: &Digest) -> Vec<PromotionRecord> {
    let found = evidence(repository, person, subject, &recorded()).await;
    let statements = found.verified().iter().map(|proof| proof.verified.statement().unwrap());
    statements.map(|statement| statement.predicate_as().unwrap()).collect()
}

async fn promote(
    person: &Person,
    endorser: &Person,
    (staging, prod): (&Store, &Store),
    index: &Descriptor,
) -> Result<Promoted, PromoteError> {
    person.promote_endorsed(endorser, staging, prod, &of(index.clone()), Target::tagged(tag("v1")), &BOTH).await
}

fn count(promoted: &Promoted, presence: Presence) -> usize {
    promoted.resigned.iter().chain(&promoted.record).filter(|endorsed| endorsed.presence == presence).count()
}

#[tokio::test]
async fn everything_that_arrived_is_signed_and_recorded_once() {
    for mode in MODES {
        let (staging, prod) = (store("staging", MODES[0]), store("prod", mode));
        let (person, enterprise) = (Person::new(), Person::new());
        let index = laden_index(&staging, &person).await;
        let promoted = promote(&person, &enterprise, (&staging, &prod), &index).await.unwrap();
        // The index, four platforms, an SBOM, a scan, and what cosign's tag `.sbom` holds: in both forms; and the record.
        assert_eq!((count(&promoted, Presence::Written), promoted.resigned.len()), (17, 16));
        for endorsed in &promoted.resigned {
            let signed = evidence(prod.inner(), &enterprise, &endorsed.subject, &Claim::ImageSignature).await;
            let holds = signed.verified().iter().any(|proof| proof.place.manifest == endorsed.manifest);
            assert!(holds && signed.verified().len() == 2, "{endorsed:?}: {signed:?}");
        }
        let recorded = records(prod.inner(), &enterprise, &index.digest).await;
        let [record] = recorded.as_slice() else { panic!("{recorded:?}") };
        let arrived = &promoted.completeness.arrived;
        let told = |record: &PromotionRecord| -> Vec<_> { record.objects.iter().map(|it| it.digest.clone()).collect() };
        assert_eq!(told(record), arrived.iter().map(|it| it.digest.clone()).collect::<Vec<_>>());
        assert_eq!(record.excluded.len(), promoted.completeness.excluded.len());
        assert_eq!(record.objects[0].role, "root");
        let proofs = arrived.iter().map(|it| serde_json::to_value(it.proof).unwrap());
        assert_eq!(record.objects.iter().map(|it| json!(it.proof)).collect::<Vec<_>>(), proofs.collect::<Vec<_>>());
        assert_eq!(
            (record.source.digest.clone(), record.destination.tags.clone()),
            (index.digest.clone(), vec!["v1".into()])
        );
        assert_eq!(
            (record.source.repository.as_str(), record.destination.repository.as_str()),
            ("memory://staging", "memory://prod")
        );
        assert_eq!(
            (record.promoted_at.as_str(), record.decisions.source.ruling.as_str()),
            ("1970-01-01T00:00:00Z", "allow")
        );

        let before = attachments(prod.inner(), &index.digest, Scope::Nested).await.unwrap().found.len();
        let again = promote(&person, &enterprise, (&staging, &prod), &index).await.unwrap();
        assert_eq!((count(&again, Presence::Written), count(&again, Presence::Found)), (0, 17));
        assert_eq!(attachments(prod.inner(), &index.digest, Scope::Nested).await.unwrap().found.len(), before);

        // What is attached later is signed and recorded too, and nothing else.
        person.attach(&staging, &index, predicate::OPENVEX).await;
        let later = promote(&person, &enterprise, (&staging, &prod), &index).await.unwrap();
        assert_eq!((count(&later, Presence::Written), later.record.unwrap().presence), (1, Presence::Written));
        assert_eq!(records(prod.inner(), &enterprise, &index.digest).await.len(), 2);
        // Another signer does not take the word of this one.
        let other = promote(&person, &Person::new(), (&staging, &prod), &index).await.unwrap();
        assert_eq!(count(&other, Presence::Written), 17);
    }
}

#[tokio::test]
async fn a_record_goes_along_with_the_next_promotion_and_asks_for_no_second_one() {
    let (person, enterprise) = (Person::new(), Person::new());
    let [staging, prod, edge] = ["staging", "prod", "edge"].map(|name| store(name, MODES[0]));
    let index = small_index(&staging, &person).await;
    for (from, to) in [(&staging, &prod), (&prod, &edge), (&edge, &prod), (&edge, &prod)] {
        promote(&person, &enterprise, (from, to), &index).await.unwrap();
    }
    assert_eq!(records(edge.inner(), &enterprise, &index.digest).await.len(), 2, "staging to prod, prod to edge");
    assert_eq!(records(prod.inner(), &enterprise, &index.digest).await.len(), 3, "and edge to prod, once");
}

#[tokio::test]
async fn whatever_fails_no_tag_appears_before_its_record() {
    for mode in MODES {
        let (staging, person, enterprise) = (store("staging", MODES[0]), Person::new(), Person::new());
        let index = small_index(&staging, &person).await;
        let mut failures = 0;
        for nth in 1.. {
            let prod = store("prod", mode);
            prod.fail_nth(nth);
            let outcome = promote(&person, &enterprise, (&staging, &prod), &index).await;
            let was_reached = prod.calls().len() >= nth;
            prod.clear();
            let is_tagged = held(&prod, &tag("v1")).await.is_some();
            assert_eq!(is_tagged, outcome.is_ok(), "call {nth}: {outcome:?}");
            assert!(!is_tagged || records(prod.inner(), &enterprise, &index.digest).await.len() == 1, "call {nth}");
            if !was_reached {
                break;
            }
            failures += usize::from(outcome.is_err());
            promote(&person, &enterprise, (&staging, &prod), &index).await.unwrap();
            assert_eq!(records(prod.inner(), &enterprise, &index.digest).await.len(), 1, "call {nth}");
        }
        assert!(failures > 20, "{failures}");
    }
}

#[tokio::test]
async fn another_name_is_signed_beside_the_first() {
    let (staging, prod) = (store("staging", MODES[0]), store("prod", MODES[0]));
    let (person, enterprise) = (Person::new(), Person::new());
    let index = small_index(&staging, &person).await;
    for (name, written) in [("prod.example.com/app", true), ("prod.example.com/app", false), ("other/app", true)] {
        let how = Resigning { forms: vec![SignatureForm::CosignTag], docker_reference: Some(name.to_owned()) };
        let moved = person.arrive(&staging, &prod, &of(index.clone()), Target::untagged()).await.unwrap();
        let identity = enterprise.identity();
        let verifier = Verifier::new(Requirements::default());
        let signed = moved.resign(&enterprise.endorser(&identity, &verifier), &how).await.unwrap();
        let promoted = signed.publish().await.unwrap();
        assert_eq!(count(&promoted, Presence::Written) > 0, written, "{name}");
    }
    let signed = evidence(prod.inner(), &enterprise, &index.digest, &Claim::ImageSignature).await;
    assert_eq!(signed.verified().len(), 2);
    let held_by = held(&prod, &CosignSuffix::Signature.tag(&index.digest)).await;
    assert!(signed.verified().iter().all(|proof| Some(&proof.place.manifest) == held_by.as_ref()));
}

#[tokio::test]
async fn what_nobody_judged_has_no_record() {
    let (staging, prod, person) = (store("staging", MODES[0]), store("prod", MODES[0]), Person::new());
    let index = small_index(&staging, &person).await;
    let source = Snapshot::new(&staging);
    let admitted = plan(&source, &of(index.clone())).await.unwrap().admit_unverified_unsafe();
    let moved =
        transfer(admitted, Ends { source: &source, destination: &prod }, Target::untagged(), &CopyOptions::default())
            .await
            .unwrap();
    let decision = person.decide(moved.arrived(), &index.digest).await;
    let (identity, verifier) = (person.identity(), Verifier::new(Requirements::default()));
    let refused = moved.approve(&decision).unwrap().record(&person.endorser(&identity, &verifier)).await;
    assert!(matches!(refused, Err(EndorseError::NotJudged)), "{refused:?}");
}

/// Replaces what the fallback tags of `repository` list.
async fn rewrite_fallback_tags(repository: &MemoryRepository, rewrite: impl Fn(Vec<Descriptor>) -> Vec<Descriptor>) {
    for tag in repository.tags().await.unwrap() {
        let listed = repository.manifest(&Selector::Tag(tag.clone())).await.unwrap();
        if !tag.is_derived() || !listed.descriptor().media_type.is_index() {
            continue;
        }
        let entries = rewrite(listed.parse().unwrap().manifests);
        let index = json!({ "schemaVersion": 2, "mediaType": media_type::IMAGE_INDEX, "manifests": entries });
        repository.tag(&RawManifest::new(media_type::IMAGE_INDEX, index.to_string()), &tag).await.unwrap();
    }
}

#[tokio::test]
async fn what_other_tools_write_into_fallback_indexes_makes_nobody_sign_twice() {
    let (staging, prod) = (store("staging", MODES[0]), store("prod", MODES[1]));
    let (person, enterprise) = (Person::new(), Person::new());
    let index = small_index(&staging, &person).await;
    promote(&person, &enterprise, (&staging, &prod), &index).await.unwrap();
    let mistake = |mut entry: Descriptor| {
        entry.artifact_type = Some(media_type::IMAGE_CONFIG.to_owned());
        entry.annotations.clear();
        entry
    };
    rewrite_fallback_tags(prod.inner(), |entries| entries.into_iter().map(mistake).collect()).await;
    let again = promote(&person, &enterprise, (&staging, &prod), &index).await.unwrap();
    assert_eq!((count(&again, Presence::Written), again.record.unwrap().presence), (0, Presence::Found));
}

#[tokio::test]
async fn nobody_signs_once_more_because_there_is_too_much_to_look_through() {
    let staging = store("staging", MODES[0]);
    // It lets an index list what is not there.
    let prod = Store::new(MemoryRepository::new("prod").with_referrers(MODES[1]));
    let (person, enterprise) = (Person::new(), Person::new());
    let index = small_index(&staging, &person).await;
    promote(&person, &enterprise, (&staging, &prod), &index).await.unwrap();
    let flood = (0..=MAX_CANDIDATES).map(|nth| Descriptor::of(media_type::IMAGE_MANIFEST, nth.to_string().as_bytes()));
    let flood: Vec<_> = flood.collect();
    rewrite_fallback_tags(prod.inner(), |entries| flood.iter().cloned().chain(entries).collect()).await;
    let again = promote(&person, &enterprise, (&staging, &prod), &index).await.unwrap();
    assert_eq!(count(&again, Presence::Written), 0, "what says that it is a signature is looked at first");
    let refused = promote(&person, &Person::new(), (&staging, &prod), &index).await;
    let Err(PromoteError::Endorse(EndorseError::Read(error))) = refused else { panic!("{refused:?}") };
    assert!(matches!(error, RepositoryError::TooLarge { limit, .. } if limit == MAX_CANDIDATES as u64), "{error}");
}

#[tokio::test]
async fn whatever_else_arrives_or_stays_behind_is_recorded() {
    let (staging, prod) = (store("staging", MODES[0]), store("prod", MODES[0]));
    let (person, enterprise) = (Person::new(), Person::new());
    let index = small_index(&staging, &person).await;
    promote(&person, &enterprise, (&staging, &prod), &index).await.unwrap();
    // Anybody can say that something is a record, and lifecycle markers stay behind.
    let forged = NewArtifact::new("application/x.any").with_annotation(annotation::BUNDLE_PREDICATE_TYPE, PROMOTION);
    let marker = NewArtifact::new(media_type::MICROSOFT_LIFECYCLE);
    for (expected, artifact) in [(2, forged), (3, marker)] {
        let attached = attach(&staging, &index, &artifact).await.unwrap().digest;
        for _ in 0..2 {
            promote(&person, &enterprise, (&staging, &prod), &index).await.unwrap();
            let recorded = records(prod.inner(), &enterprise, &index.digest).await;
            assert_eq!(recorded.len(), expected);
            let tells = |record: &PromotionRecord| {
                record.objects.iter().any(|it| it.digest == attached)
                    || record.excluded.iter().any(|it| it.digest.as_ref() == Some(&attached))
            };
            assert!(recorded.iter().any(tells), "{recorded:?}");
        }
    }
}
