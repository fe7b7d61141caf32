//! Whole promotions between registries over HTTP: complete between all kinds, and safe whatever happens on the way.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use sealift_core::attach::{AttachmentKind, NewArtifact, NewLayer, Scope, Storage, attach, attachments_of_all};
use sealift_core::oci::{Descriptor, Digest, Reference, media_type};
use sealift_core::repository::Repository;
use sealift_core::statement::predicate;
use sealift_oci::{Access, Client, RetryPolicy};
use sealift_policy::Ruling;
use sealift_promote::{PromoteError, Promoted, SignatureForm, TagRule};
use sealift_sandbox::fixture;
use sealift_sandbox::registry::{Emulation, Registry, RegistryOptions};
use tokio::sync::Notify;

use crate::endorse::{evidence, recorded};
use crate::support::{Person, laden_index, of, target};

const KINDS: [fn() -> RegistryOptions; 2] = [RegistryOptions::default, RegistryOptions::distribution];

/// The same two where tags are written under conditions, so that nobody has to wait for other writers.
pub(crate) const SWIFT_KINDS: [fn() -> RegistryOptions; 2] =
    [RegistryOptions::default, || RegistryOptions { conditional_writes: true, ..RegistryOptions::distribution() }];

/// Opens a repository as a process of its own would, in a hurry.
pub(crate) async fn open(registry: &Registry, path: &str) -> Arc<dyn Repository> {
    open_with(in_a_hurry(), registry, path).await
}

pub(crate) fn in_a_hurry() -> Access {
    let mut access = Access::anonymous();
    let milliseconds = Duration::from_millis;
    access.retry =
        RetryPolicy { retries: 2, base_delay: milliseconds(1), max_delay: milliseconds(2), budget: milliseconds(50) };
    access
}

pub(crate) async fn open_with(access: Access, registry: &Registry, path: &str) -> Arc<dyn Repository> {
    let reference: Reference = registry.reference(path).parse().unwrap();
    Client::new(access).unwrap().open(&reference.repository()).await.unwrap()
}

async fn promote(
    person: &Person,
    staging: &Registry,
    prod: &Registry,
    root: &Descriptor,
) -> Result<Promoted, PromoteError> {
    let (source, destination) = (open(staging, "team/app").await, open(prod, "prod/app").await);
    person.promote_to(source.as_read(), &*destination, &of(root.clone()), target("v1", TagRule::Move)).await
}

/// What is attached at the destination to the root and to its platforms, as a stranger finds it.
pub(crate) async fn found(prod: &Registry, root: &Descriptor) -> Vec<(AttachmentKind, Storage)> {
    let repository = open(prod, "prod/app").await;
    let index = prod.manifest("prod/app", &root.digest.to_string()).unwrap().parse().unwrap();
    let mut subjects = vec![root.digest.clone()];
    subjects.extend(index.manifests.iter().map(|entry| entry.digest.clone()));
    let found = attachments_of_all(repository.as_read(), &subjects, Scope::Nested).await.unwrap();
    assert!(found.problems.is_empty() && found.unread.is_empty(), "{found:?}");
    found.found.into_iter().map(|attachment| (attachment.kind, attachment.storage)).collect()
}

/// As Docker Hub was in 2024.
#[tokio::test]
async fn a_registry_that_takes_no_referrer_before_its_subject_gets_it_after() {
    for kind in KINDS {
        let mut options = kind();
        options.quirks.subject_first = Emulation::DockerHub2024.options().quirks.subject_first;
        let (staging, prod) = (Registry::start(RegistryOptions::default()).unwrap(), Registry::start(options).unwrap());
        let (person, source) = (Person::new(), open(&staging, "team/app").await);
        let index = laden_index(&*source, &person).await;
        let promoted = promote(&person, &staging, &prod, &index).await.unwrap();
        assert_eq!(promoted.completeness.arrived.len(), 1 + 4 + 11 + 3);
        assert_eq!(found(&prod, &index).await.len(), 11 + 3);
    }
}

pub(crate) fn tagged(prod: &Registry) -> Option<Digest> {
    prod.manifest("prod/app", "v1").map(|manifest| manifest.descriptor().digest.clone())
}

/// One row for each of the ways in which other tools lose something.
#[tokio::test]
async fn every_row_is_complete_between_all_kinds_of_registries() {
    for from in KINDS {
        for to in KINDS {
            let (staging, prod) = (Registry::start(from()).unwrap(), Registry::start(to()).unwrap());
            let (person, source) = (Person::new(), open(&staging, "team/app").await);
            let index = laden_index(&*source, &person).await;
            let notary = NewArtifact::new(media_type::NOTARY_SIGNATURE)
                .with_layer(NewLayer::new("application/jose+json", "{\"signature\":\"\"}"));
            let notary = attach(&*source, &index, &notary).await.unwrap();
            let promoted = promote(&person, &staging, &prod, &index).await.unwrap();
            let found = found(&prod, &index).await;
            let count = |kind| found.iter().filter(|(found, _)| *found == kind).count();

            let root = prod.manifest("prod/app", &index.digest.to_string()).unwrap().parse().unwrap();
            let has = |digest: &Digest| prod.manifest("prod/app", &digest.to_string()).is_some();
            assert!(root.manifests.len() == 4 && root.manifests.iter().all(|child| has(&child.digest)), "children");
            let referrers = found.iter().filter(|(_, storage)| !matches!(storage, Storage::CosignTag(_))).count();
            assert_eq!(referrers, 11 + 1, "referrers at every depth");
            let decision = person.decide(open(&prod, "prod/app").await.as_read(), &index.digest).await;
            assert_eq!(decision.ruling(), Ruling::Allow, "bundles verify at the destination");
            let tags = [AttachmentKind::CosignSignature, AttachmentKind::CosignAttestation, AttachmentKind::CosignSbom];
            assert_eq!(tags.map(count), [1, 1, 1], "tags of cosign 2");
            assert_eq!(count(AttachmentKind::NotarySignature), 1, "the Notary signature");
            let bytes = |registry: &Registry, path| registry.manifest(path, &notary.digest.to_string()).unwrap();
            assert_eq!(bytes(&prod, "prod/app"), bytes(&staging, "team/app"), "untouched");
            assert_eq!(promoted.completeness.arrived.len(), 1 + 4 + 11 + 1 + 3);
            assert_eq!(promoted.completeness.excluded.len(), 2);
        }
    }
}

/// Counts the answers of both registries, and rings when the chosen one is given.
#[derive(Default)]
struct Bell {
    answered: AtomicUsize,
    rings_at: AtomicUsize,
    notify: Notify,
}

impl Bell {
    fn start(self: &Arc<Self>, options: RegistryOptions) -> Registry {
        let bell = Arc::clone(self);
        Registry::start_observed(options, move |_| {
            if bell.answered.fetch_add(1, Ordering::SeqCst) + 1 == bell.rings_at.load(Ordering::SeqCst) {
                bell.notify.notify_one();
            }
        })
        .unwrap()
    }

    fn set(&self, nth: usize) {
        self.answered.store(0, Ordering::SeqCst);
        self.rings_at.store(nth, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn stopping_at_any_request_leaves_the_old_tag_or_the_new_one_with_everything() {
    for (from, to, moves) in [(SWIFT_KINDS[0], SWIFT_KINDS[1], false), (SWIFT_KINDS[1], SWIFT_KINDS[0], true)] {
        let (bell, person) = (Arc::new(Bell::default()), Person::new());
        let staging = bell.start(from());
        let image = modest_image(&staging, &person).await;
        let mut stopped = 0;
        for nth in 1.. {
            let prod = bell.start(to());
            let old = fixture::image(3);
            if moves {
                prod.add("prod/app", &old, Some("v1")).unwrap();
            }
            let before = tagged(&prod);
            bell.set(nth);
            // Dropped in the middle of whatever it does, as a killed process is.
            let outcome = tokio::select! {
                biased;
                () = bell.notify.notified() => None,
                outcome = promote(&person, &staging, &prod, &image) => Some(outcome),
            };
            bell.set(0);
            let after = tagged(&prod);
            if after.as_ref() == Some(&image.digest) {
                assert_eq!(found(&prod, &image).await.len(), 4, "request {nth}");
            } else {
                assert_eq!(after, before, "request {nth}");
            }
            promote(&person, &staging, &prod, &image).await.unwrap();
            assert_eq!(tagged(&prod).as_ref(), Some(&image.digest), "request {nth}");
            assert_eq!(found(&prod, &image).await.len(), 4, "request {nth}");
            if let Some(outcome) = outcome {
                outcome.unwrap();
                break;
            }
            stopped += 1;
        }
        assert!(stopped > 20, "{stopped}");
    }
}

#[tokio::test]
async fn stopping_at_any_request_leaves_no_tag_without_its_record() {
    let (bell, person, enterprise) = (Arc::new(Bell::default()), Person::new(), Person::new());
    let staging = bell.start(SWIFT_KINDS[0]());
    let image = modest_image(&staging, &person).await;
    let forms = [SignatureForm::Bundle];
    let mut stopped = 0;
    for nth in 1.. {
        let prod = bell.start(SWIFT_KINDS[1]());
        let (source, destination) = (open(&staging, "team/app").await, open(&prod, "prod/app").await);
        let (promotion, to) = (of(image.clone()), target("v1", TagRule::Move));
        bell.set(nth);
        let promoting =
            person.promote_endorsed(&enterprise, source.as_read(), &*destination, &promotion, to.clone(), &forms);
        let outcome = tokio::select! {
            biased;
            () = bell.notify.notified() => None,
            outcome = promoting => Some(outcome),
        };
        bell.set(0);
        let records = async || {
            let found =
                evidence(open(&prod, "prod/app").await.as_read(), &enterprise, &image.digest, &recorded()).await;
            found.verified().len()
        };
        match tagged(&prod) {
            // With the image's and the SBOM's second signatures, and the record.
            Some(_) => assert_eq!((found(&prod, &image).await.len(), records().await), (4 + 3, 1), "request {nth}"),
            None => assert!(outcome.is_none(), "request {nth}: {outcome:?}"),
        }
        let destination = open(&prod, "prod/app").await;
        let again = person.promote_endorsed(&enterprise, source.as_read(), &*destination, &promotion, to, &forms).await;
        again.unwrap();
        assert!(tagged(&prod).is_some() && records().await > 0, "request {nth}");
        if let Some(outcome) = outcome {
            outcome.unwrap();
            break;
        }
        stopped += 1;
    }
    assert!(stopped > 30, "{stopped}");
}

/// An image with a signature, and an SBOM with its own.
pub(crate) async fn modest_image(staging: &Registry, person: &Person) -> Descriptor {
    let image = staging.add("team/app", &fixture::image(1), Some("v1")).unwrap();
    let repository = open(staging, "team/app").await;
    person.attach(&*repository, &image, predicate::IMAGE_SIGNATURE).await;
    person.sign_cosign(&*repository, &image).await;
    let sbom = NewArtifact::new("application/spdx+json").with_layer(NewLayer::new("application/spdx+json", "{}"));
    let sbom = attach(&*repository, &image, &sbom).await.unwrap();
    person.attach(&*repository, &sbom, predicate::IMAGE_SIGNATURE).await;
    image
}
