//! What policies rule, from what a repository holds.

use std::collections::BTreeMap;

use sealift_core::attach::{NewArtifact, NewLayer, attach, attach_bundle};
use sealift_core::crypto::{KeyAlgorithm, PrivateKey};
use sealift_core::evidence::{Effort, Verdict};
use sealift_core::identity::IdentityMatcher;
use sealift_core::oci::{Descriptor, Tag, media_type};
use sealift_core::repository::{MemoryRepository, ReadRepository, ReferrersSupport, Repository};
use sealift_core::sign::{KeySigner, sign};
use sealift_core::statement::{Statement, Subject, predicate};
use sealift_core::verify::{LogRequirement, Requirements, Verifier};
use sealift_policy::check::{Attested, EndOfLife, Outcome, SignedBy};
use sealift_policy::lifecycle::MarkerKind;
use sealift_policy::{AgeLimit, Decision, Policy, Quorum, Reason, Ruling, Signer, lifecycle};
use sealift_sandbox::{WatchedRepository, fixture};

struct Person {
    signer: KeySigner,
    identity: IdentityMatcher,
}

impl Person {
    fn new() -> Self {
        let key = PrivateKey::generate(KeyAlgorithm::EcdsaP256).unwrap();
        let identity = IdentityMatcher::keys(vec![key.public_key().clone()]).unwrap();
        Self { signer: KeySigner::new(key), identity }
    }

    fn signed(&self) -> SignedBy {
        SignedBy::new(self.identity.clone())
    }

    fn attested(&self, predicate_type: &str) -> Attested {
        Attested::new(predicate_type, self.identity.clone())
    }

    fn named(&self, name: &str) -> Signer {
        Signer { name: name.to_owned(), identities: self.identity.clone() }
    }

    async fn state(&self, repository: &dyn Repository, subject: &Descriptor, statement: &Statement) {
        let bundle = sign(statement, &self.signer, &[]).await.unwrap();
        attach_bundle(repository, subject, &bundle, jiff::Timestamp::UNIX_EPOCH).await.unwrap();
    }
}

async fn decide(policy: &Policy, repository: &dyn ReadRepository, subject: &Descriptor) -> Decision {
    decide_with(Requirements::default(), policy, repository, subject).await
}

async fn decide_with(
    requirements: Requirements,
    policy: &Policy,
    repository: &dyn ReadRepository,
    subject: &Descriptor,
) -> Decision {
    let verifier = Verifier::new(requirements);
    policy.gather(repository, &subject.digest, &verifier, Effort::FirstMatch).await.evaluate()
}

#[tokio::test]
async fn every_check_must_pass_and_no_check_denies() {
    let repository = WatchedRepository::new(MemoryRepository::new("store"));
    let image = fixture::image(1).push(&repository, None).await.unwrap();
    let (signer, other) = (Person::new(), Person::new());
    signer.state(&repository, &image, &Statement::image_signature(&image.digest, BTreeMap::new()).unwrap()).await;
    let subjects = vec![Subject::of(&image.digest)];
    let spdx = Statement::new(subjects, predicate::SPDX, &predicate::Empty::default()).unwrap();
    signer.state(&repository, &image, &spdx).await;

    for (policy, ruling, verdict) in [
        (Policy::new(), Ruling::Deny, None),
        (Policy::new().requiring(signer.signed()), Ruling::Allow, Some(Verdict::Verified)),
        (Policy::new().requiring(other.signed()), Ruling::Deny, Some(Verdict::NoMatchingSignature)),
        // Any of several keys is enough.
        (
            Policy::new().requiring(SignedBy::new(other.identity.clone().or(signer.identity.clone()))),
            Ruling::Allow,
            Some(Verdict::Verified),
        ),
        (
            Policy::new().requiring(signer.signed()).requiring(signer.attested(predicate::SPDX)),
            Ruling::Allow,
            Some(Verdict::Verified),
        ),
        (
            Policy::new().requiring(signer.signed()).requiring(signer.attested(predicate::OPENVEX)),
            Ruling::Deny,
            Some(Verdict::NoSignature),
        ),
        // An attestation is no signature.
        (Policy::new().requiring(other.attested(predicate::SPDX)), Ruling::Deny, Some(Verdict::NoMatchingSignature)),
    ] {
        let decision = decide(&policy, &repository, &image).await;
        assert_eq!((decision.ruling(), decision.verdict()), (ruling, verdict), "{policy:?}");
        assert_eq!(decision.is_allowed(), ruling == Ruling::Allow);
        assert_eq!((decision.digest(), decision.repository()), (&image.digest, repository.name()));
    }
}

#[tokio::test]
async fn what_could_not_be_told_is_neither_allowed_nor_denied_unless_something_else_fails() {
    let repository = WatchedRepository::new(MemoryRepository::new("store"));
    let image = fixture::image(1).push(&repository, None).await.unwrap();
    let signer = Person::new();
    signer.state(&repository, &image, &Statement::image_signature(&image.digest, BTreeMap::new()).unwrap()).await;
    let policy = Policy::new().requiring(signer.signed()).requiring(signer.attested(predicate::SPDX));
    // The signature is listed by the API; the attestation might be under the fallback tag.
    repository.fail_calls("fallback");
    let decision = decide(&policy, &repository, &image).await;
    assert_eq!((decision.ruling(), decision.verdict()), (Ruling::Undecided, Some(Verdict::Undecided)));
    assert!(!decision.is_allowed());
    let outcomes: Vec<_> = decision.findings().iter().map(|finding| (finding.check(), finding.outcome())).collect();
    assert_eq!(outcomes, [("signed-by", Outcome::Pass), ("attested", Outcome::Inconclusive)]);
    assert_eq!(decision.findings()[1].evidence().unwrap().undecided().len(), 1);

    // One "no" is enough for a "no".
    let unsigned = fixture::image(2).push(&repository, None).await.unwrap();
    repository.clear();
    let policy = Policy::new().requiring(signer.attested(predicate::SPDX)).requiring(signer.signed());
    repository.fail_calls(&format!("manifest tag sha256-{}.att", unsigned.digest.hex()));
    assert_eq!(decide(&policy, &repository, &unsigned).await.ruling(), Ruling::Deny);
}

/// One decision by one check, whose outcome and reason are returned.
async fn judge(policy: Policy, repository: &dyn ReadRepository, subject: &Descriptor) -> (Outcome, Reason) {
    let decision = decide(&policy, repository, subject).await;
    let finding = &decision.findings()[0];
    (finding.outcome(), finding.reason().clone())
}

#[tokio::test]
async fn quorums_pass_fail_and_stay_open() {
    let repository = WatchedRepository::new(MemoryRepository::new("store"));
    let image = fixture::image(1).push(&repository, None).await.unwrap();
    let (ann, bob) = (Person::new(), Person::new());
    let both = || vec![ann.named("ann"), bob.named("bob")];
    let all = || Policy::new().requiring(SignedBy::of(Quorum::all(both()).unwrap(), None));
    let two = || {
        let quorum = Quorum::at_least(2.try_into().unwrap(), both()).unwrap();
        Policy::new().requiring(SignedBy::of(quorum, None))
    };
    let signature = Statement::image_signature(&image.digest, BTreeMap::new()).unwrap();
    ann.state(&repository, &image, &signature).await;
    let (outcome, reason) = judge(all(), &repository, &image).await;
    assert_eq!((outcome, reason.to_string().contains("missing is bob; only key sha256:")), (Outcome::Fail, true));
    assert!(matches!(judge(two(), &repository, &image).await, (Outcome::Fail, Reason::Unmet { .. })));
    // The other signature might be where nothing could be read.
    repository.fail_calls("fallback");
    for policy in [all(), two()] {
        assert_eq!(judge(policy, &repository, &image).await, (Outcome::Inconclusive, Reason::Unread { count: 1 }));
    }
    // It is not: both are found, so what could not be read does not matter.
    bob.state(&repository, &image, &signature).await;
    for policy in [all(), two()] {
        assert!(matches!(judge(policy, &repository, &image).await, (Outcome::Pass, Reason::Met { .. })));
    }
}

#[tokio::test]
async fn ages_pass_fail_and_stay_open() {
    let repository = WatchedRepository::new(MemoryRepository::new("store"));
    let image = fixture::image(1).push(&repository, None).await.unwrap();
    let person = Person::new();
    let now: jiff::Timestamp = "2026-11-24T00:00:00Z".parse().unwrap();
    let attested = |now| {
        let age = AgeLimit::new("7d".parse().unwrap(), now);
        Policy::new().requiring(Attested::of(predicate::VULNERABILITY, Quorum::any(person.identity.clone()), Some(age)))
    };
    let scan = |metadata: serde_json::Value| {
        let predicate = serde_json::json!({ "metadata": metadata });
        Statement::new(vec![Subject::of(&image.digest)], predicate::VULNERABILITY, &predicate).unwrap()
    };
    person.state(&repository, &image, &scan(serde_json::json!({}))).await;
    assert_eq!(
        judge(attested(Some(now)), &repository, &image).await,
        (Outcome::Fail, Reason::Untimed { future: None })
    );
    let future = "2026-11-24T00:05:01Z";
    person.state(&repository, &image, &scan(serde_json::json!({ "scanFinishedOn": future }))).await;
    let reason = Reason::Untimed { future: Some(future.parse().unwrap()) };
    assert_eq!(judge(attested(Some(now)), &repository, &image).await, (Outcome::Fail, reason));
    let old = "2026-11-16T23:59:59Z";
    person.state(&repository, &image, &scan(serde_json::json!({ "scanFinishedOn": old }))).await;
    let reason = Reason::Old { limit: "7d".parse().unwrap(), made: old.parse().unwrap() };
    assert_eq!(judge(attested(Some(now)), &repository, &image).await, (Outcome::Fail, reason));
    // Without a time to count from, nobody can tell.
    assert_eq!(judge(attested(None), &repository, &image).await, (Outcome::Inconclusive, Reason::NoTime));
    person.state(&repository, &image, &scan(serde_json::json!({ "scanFinishedOn": "2026-11-17T00:00:00Z" }))).await;
    assert_eq!(judge(attested(Some(now)), &repository, &image).await.0, Outcome::Pass);
}

#[tokio::test]
async fn ends_of_life_pass_fail_and_stay_open() {
    let repository = WatchedRepository::new(MemoryRepository::new("store"));
    let image = fixture::image(1).push(&repository, None).await.unwrap();
    let person = Person::new();
    let now: jiff::Timestamp = "2026-11-24T00:00:00Z".parse().unwrap();
    let alive = |grace: Option<&str>| EndOfLife::new(grace.map(|grace| grace.parse().unwrap()), Some(now));
    let judge = async |check: EndOfLife| judge(Policy::new().requiring(check), &repository, &image).await;
    let mark = async |end: &str, created: &str| {
        let kind = MarkerKind::microsoft();
        let marker = lifecycle::marker(&kind, end, Some("app@next"), created.parse().unwrap());
        attach(&repository, &image, &marker).await.unwrap()
    };
    assert_eq!(judge(alive(None)).await, (Outcome::Pass, Reason::Alive { until: None }));
    mark("2026-11-25", "2026-01-01T00:00:00Z").await;
    assert!(matches!(judge(alive(None)).await, (Outcome::Pass, Reason::Alive { until: Some(_) })));
    let second = mark("2026-11-20", "2026-02-01T00:00:00Z").await;
    let (outcome, reason) = judge(alive(None)).await;
    assert_eq!(
        (outcome, reason.to_string().as_str()),
        (Outcome::Fail, "it ended 2026-11-20T00:00:00Z; app@next replaces it")
    );
    assert_eq!(judge(alive(Some("3d"))).await.0, Outcome::Fail);
    assert_eq!(judge(alive(Some("5d"))).await.0, Outcome::Pass);
    assert_eq!(judge(EndOfLife::new(None, None)).await, (Outcome::Inconclusive, Reason::NoTime));
    // Where signers are demanded, what anyone may push says nothing.
    let signed = || alive(None).marked_by(Some(Quorum::any(person.identity.clone())));
    assert_eq!(judge(signed()).await, (Outcome::Pass, Reason::Alive { until: None }));
    let signature = Statement::image_signature(&second.digest, BTreeMap::new()).unwrap();
    person.state(&repository, &second, &signature).await;
    assert!(matches!(judge(signed()).await, (Outcome::Fail, Reason::EndOfLife { .. })));
    mark("soon", "2026-03-01T00:00:00Z").await;
    assert_eq!(judge(alive(None)).await, (Outcome::Fail, Reason::UnreadableDate { found: "soon".to_owned() }));
    repository.fail_calls("fallback");
    assert_eq!(judge(alive(None)).await, (Outcome::Inconclusive, Reason::Unread { count: 1 }));
}

/// A marker that does not count because more is demanded of signatures would allow what it denies.
#[tokio::test]
async fn a_stricter_demand_never_allows_more() {
    let repository = MemoryRepository::new("store");
    let image = fixture::image(1).push(&repository, None).await.unwrap();
    let (person, stranger) = (Person::new(), Person::new());
    let marker = lifecycle::marker(&MarkerKind::microsoft(), "2020-01-01", None, jiff::Timestamp::UNIX_EPOCH);
    let marker = attach(&repository, &image, &marker).await.unwrap();
    let sign = async |person: &Person| {
        let signature = Statement::image_signature(&marker.digest, BTreeMap::new()).unwrap();
        person.state(&repository, &marker, &signature).await;
    };
    let judge = async |requirements: Requirements| {
        let check = EndOfLife::new(None, Some("2026-11-24T00:00:00Z".parse().unwrap()));
        let policy = Policy::new().requiring(check.marked_by(Some(Quorum::any(person.identity.clone()))));
        decide_with(requirements, &policy, &repository, &image).await.findings()[0].outcome()
    };
    let plain = Requirements::default;
    let annotated = || plain().with_annotations(BTreeMap::from([("build".to_owned(), "1".to_owned())]));
    let logged = || plain().with_transparency_log(LogRequirement::Required);
    let timed = || plain().with_timestamps(1);
    // Whoever is not named cannot keep an answer from being reached by signing.
    sign(&stranger).await;
    for requirements in [plain(), annotated(), logged(), timed()] {
        assert_eq!(judge(requirements).await, Outcome::Pass);
    }
    sign(&person).await;
    for (requirements, expected) in [
        (plain(), Outcome::Fail),
        (annotated(), Outcome::Fail),
        (logged(), Outcome::Inconclusive),
        (timed(), Outcome::Inconclusive),
    ] {
        assert_eq!(judge(requirements.clone()).await, expected, "{requirements:?}");
    }
}

/// What is listed, may be a marker or the signature of one, and is not there, leaves the end of life open.
#[tokio::test]
async fn what_may_be_a_marker_is_not_passed_over() {
    let person = Person::new();
    let now = Some("2026-11-24T00:00:00Z".parse().unwrap());
    let judge = async |repository: &dyn ReadRepository, image: &Descriptor| {
        let anyone = judge(Policy::new().requiring(EndOfLife::new(None, now)), repository, image).await.0;
        let signed = EndOfLife::new(None, now).marked_by(Some(Quorum::any(person.identity.clone())));
        (anyone, judge(Policy::new().requiring(signed), repository, image).await.0)
    };
    let store = async || {
        let repository = MemoryRepository::new("store").with_referrers(ReferrersSupport::FallbackTagOnly);
        let image = fixture::image(1).push(&repository, None).await.unwrap();
        (repository, image)
    };
    let (open, pass) = ((Outcome::Inconclusive, Outcome::Inconclusive), (Outcome::Pass, Outcome::Pass));
    let lost = |artifact_type: Option<&str>| Descriptor {
        artifact_type: artifact_type.map(str::to_owned),
        ..Descriptor::of(media_type::IMAGE_MANIFEST, b"lost")
    };
    let not_there = [
        (lost(Some(media_type::MICROSOFT_LIFECYCLE)), open),
        (lost(Some(media_type::EMPTY)), open),
        (lost(None), open),
        (lost(Some("application/spdx+json")), pass),
        // cosign leaves copies of images there, and what is no manifest is no marker.
        (fixture::image(2).descriptor().clone(), pass),
        (Descriptor::of(media_type::EMPTY, b"lost"), pass),
    ];
    for (entry, expected) in not_there {
        let (repository, image) = store().await;
        fixture::image(2).push(&repository, None).await.unwrap();
        repository.link_referrers(&image.digest, std::slice::from_ref(&entry)).await.unwrap();
        assert_eq!(judge(&repository, &image).await, expected, "{entry:?}");
    }
    let (repository, image) = store().await;
    repository.tag(fixture::image(1).root(), &Tag::referrers_fallback(&image.digest)).await.unwrap();
    assert_eq!(judge(&repository, &image).await, open, "the list may have been overwritten");

    // A marker that somebody signed, of whom nothing is known any more: anyone's marker has still not ended.
    let (repository, image) = store().await;
    let marker = lifecycle::marker(&MarkerKind::microsoft(), "2999-01-01", None, jiff::Timestamp::UNIX_EPOCH);
    let marker = attach(&repository, &image, &marker).await.unwrap();
    assert_eq!(judge(&repository, &image).await, pass);
    repository.link_referrers(&marker.digest, &[lost(None)]).await.unwrap();
    assert_eq!(judge(&repository, &image).await, (Outcome::Pass, Outcome::Inconclusive));
    let (repository, image) = store().await;
    let marker = lifecycle::marker(&MarkerKind::microsoft(), "2999-01-01", None, jiff::Timestamp::UNIX_EPOCH);
    let marker = attach(&repository, &image, &marker).await.unwrap();
    let garbage = NewLayer::new(media_type::SIGSTORE_BUNDLE_V03, "{}");
    attach(&repository, &marker, &NewArtifact::new(media_type::SIGSTORE_BUNDLE_V03).with_layer(garbage)).await.unwrap();
    assert_eq!(judge(&repository, &image).await, (Outcome::Pass, Outcome::Inconclusive));
}

#[tokio::test]
async fn markers_of_an_own_kind_count_where_it_is_named() {
    let repository = MemoryRepository::new("store");
    let image = fixture::image(1).push(&repository, None).await.unwrap();
    let now: jiff::Timestamp = "2026-11-24T00:00:00Z".parse().unwrap();
    let judge = async |own: Option<MarkerKind>| {
        let check = EndOfLife::new(None, Some(now)).marked_as(own);
        judge(Policy::new().requiring(check), &repository, &image).await.0
    };
    let own = MarkerKind::new("application/vnd.example.lifecycle", "org.example.end");
    let mark = async |kind: &MarkerKind, end: &str, created: &str| {
        let marker = lifecycle::marker(kind, end, None, created.parse().unwrap());
        attach(&repository, &image, &marker).await.unwrap();
    };
    mark(&own, "2026-11-20", "2026-01-01T00:00:00Z").await;
    assert_eq!(judge(None).await, Outcome::Pass);
    assert_eq!(judge(Some(own.clone())).await, Outcome::Fail);
    // Its date is where the kind says, and nowhere else.
    let elsewhere = MarkerKind::new("application/vnd.example.lifecycle", "org.example.other");
    assert_ne!(judge(Some(elsewhere)).await, Outcome::Pass);
    // Of all kinds together the last one created decides.
    mark(&MarkerKind::microsoft(), "2026-12-31", "2026-02-01T00:00:00Z").await;
    assert_eq!(judge(Some(own)).await, Outcome::Pass);
}

#[tokio::test]
async fn where_nothing_needs_to_be_read_nothing_is() {
    let repository = WatchedRepository::new(MemoryRepository::new("store"));
    let image = fixture::image(1).push(&repository, None).await.unwrap();
    repository.clear();
    let text = "version: 1\nregistries: [ghcr.io]\nscopes: [{repository: ghcr.io/a/b, signatures: [{anyOf: [{key: cosign2.pub}]}]}]";
    let document = crate::documents::parse(text, "p").unwrap();
    let decision = decide(&document.policy_for(repository.name(), None), &repository, &image).await;
    let outcomes: Vec<_> =
        decision.findings().iter().map(|finding| (finding.check(), finding.reason().code())).collect();
    assert_eq!(outcomes, [("approved-registry", "not-approved"), ("scope", "no-scope")]);
    assert_eq!((decision.ruling(), decision.verdict()), (Ruling::Deny, None));
    assert!(repository.calls().is_empty(), "{:?}", repository.calls());
}
