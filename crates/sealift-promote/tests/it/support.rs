//! Two stores, someone who signs, an image with every kind of evidence, and a promotion from end to end.

use std::collections::BTreeMap;

use sealift_core::attach::{CosignSuffix, NewArtifact, NewLayer, attach, attach_bundle, attach_cosign_tag};
use sealift_core::copy::CopyOptions;
use sealift_core::crypto::{KeyAlgorithm, PrivateKey};
use sealift_core::entity::SimpleSigning;
use sealift_core::evidence::Effort;
use sealift_core::identity::IdentityMatcher;
use sealift_core::oci::{Descriptor, Digest, Selector, Tag, media_type};
use sealift_core::repository::{MemoryRepository, ReadRepository, ReferrersSupport, Repository, Snapshot};
use sealift_core::sign::{KeySigner, Signer as _, sign, sign_envelope, sign_simple};
use sealift_core::statement::{Statement, Subject, predicate};
use sealift_core::verify::{Requirements, Verifier};
use sealift_policy::check::SignedBy;
use sealift_policy::{Decision, Policy};
use sealift_promote::{
    Approved, Endorser, Ends, PromoteError, Promoted, Promotion, Resigning, SignatureForm, TagRule, Target, plan,
    transfer,
};
use sealift_sandbox::{WatchedRepository, fixture};

pub(crate) const MODES: [ReferrersSupport; 2] = [ReferrersSupport::Api, ReferrersSupport::FallbackTagOnly];

pub(crate) type Store = WatchedRepository<MemoryRepository>;

/// Returns an empty store that refuses a manifest before its children, as registries do.
pub(crate) fn store(name: &str, referrers: ReferrersSupport) -> Store {
    WatchedRepository::new(MemoryRepository::new(name).with_referrers(referrers).requiring_children())
}

pub(crate) fn tag(text: &str) -> Tag {
    text.parse().unwrap()
}

pub(crate) async fn held(store: &Store, tag: &Tag) -> Option<Digest> {
    store.inner().resolve(&Selector::Tag(tag.clone())).await.ok().map(|descriptor| descriptor.digest)
}

/// Someone with a key, and the policy that demands their signature.
pub(crate) struct Person {
    pub(crate) signer: KeySigner,
    pub(crate) policy: Policy,
}

impl Person {
    pub(crate) fn new() -> Self {
        let key = PrivateKey::generate(KeyAlgorithm::EcdsaP256).unwrap();
        let identity = IdentityMatcher::keys(vec![key.public_key().clone()]).unwrap();
        Self { signer: KeySigner::new(key), policy: Policy::new().requiring(SignedBy::new(identity)) }
    }

    /// Attaches a bundle: a signature, or an attestation of `predicate_type`.
    pub(crate) async fn attach(
        &self,
        repository: &dyn Repository,
        subject: &Descriptor,
        predicate_type: &str,
    ) -> Descriptor {
        let statement = match predicate_type {
            predicate::IMAGE_SIGNATURE => Statement::image_signature(&subject.digest, BTreeMap::new()).unwrap(),
            _ => self.attestation(subject, predicate_type),
        };
        let bundle = sign(&statement, &self.signer, &[]).await.unwrap();
        attach_bundle(repository, subject, &bundle, jiff::Timestamp::UNIX_EPOCH).await.unwrap()
    }

    fn attestation(&self, subject: &Descriptor, predicate_type: &str) -> Statement {
        Statement::new(vec![Subject::of(&subject.digest)], predicate_type, &predicate::Empty::default()).unwrap()
    }

    pub(crate) async fn sign_cosign(&self, repository: &dyn Repository, subject: &Descriptor) -> Descriptor {
        let payload = SimpleSigning::new("staging/app", subject.digest.clone(), BTreeMap::new());
        let signed = sign_simple(&payload, &self.signer, &[]).await.unwrap();
        let layer = NewLayer::new(media_type::SIMPLE_SIGNING, signed.content);
        let layer = NewLayer { annotations: signed.annotations, ..layer };
        attach_cosign_tag(repository, &subject.digest, CosignSuffix::Signature, &layer).await.unwrap()
    }

    pub(crate) async fn attest_cosign(&self, repository: &dyn Repository, subject: &Descriptor) -> Descriptor {
        let envelope = sign_envelope(&self.attestation(subject, predicate::SPDX), &self.signer, &[]).await.unwrap();
        let layer = NewLayer::new(media_type::DSSE_ENVELOPE, envelope.content);
        attach_cosign_tag(repository, &subject.digest, CosignSuffix::Attestation, &layer).await.unwrap()
    }

    pub(crate) async fn decide(&self, repository: &dyn ReadRepository, digest: &Digest) -> Decision {
        let verifier = Verifier::new(Requirements::default());
        self.policy.gather(repository, digest, &verifier, Effort::FirstMatch).await.evaluate()
    }

    /// Promotes to the tag `v1` from end to end, reading each side through a snapshot.
    pub(crate) async fn promote(
        &self,
        source: &dyn ReadRepository,
        destination: &dyn Repository,
        promotion: &Promotion,
    ) -> Result<Promoted, PromoteError> {
        self.promote_to(source, destination, promotion, Target::tagged(tag("v1"))).await
    }

    pub(crate) async fn promote_to(
        &self,
        source: &dyn ReadRepository,
        destination: &dyn Repository,
        promotion: &Promotion,
        target: Target,
    ) -> Result<Promoted, PromoteError> {
        self.arrive(source, destination, promotion, target).await?.publish().await
    }

    /// Promotes up to where only the tags are missing.
    pub(crate) async fn arrive<'a>(
        &self,
        source: &dyn ReadRepository,
        destination: &'a dyn Repository,
        promotion: &Promotion,
        target: Target,
    ) -> Result<Approved<'a>, PromoteError> {
        let source = Snapshot::new(source);
        let decision = self.decide(&source, &promotion.root.digest).await;
        let admitted = plan(&source, promotion).await?.admit(&decision)?;
        let moved = transfer(admitted, Ends { source: &source, destination }, target, &CopyOptions::default()).await?;
        let decision = self.decide(moved.arrived(), &promotion.root.digest).await;
        moved.approve(&decision)
    }

    /// Promotes from end to end, and `endorser` signs everything at the destination, and a record.
    pub(crate) async fn promote_endorsed(
        &self,
        endorser: &Self,
        source: &dyn ReadRepository,
        destination: &dyn Repository,
        promotion: &Promotion,
        target: Target,
        forms: &[SignatureForm],
    ) -> Result<Promoted, PromoteError> {
        let approved = self.arrive(source, destination, promotion, target).await?;
        let (identity, verifier) = (endorser.identity(), Verifier::new(Requirements::default()));
        let endorser = endorser.endorser(&identity, &verifier);
        let how = Resigning { forms: forms.to_vec(), docker_reference: None };
        approved.resign(&endorser, &how).await?.record(&endorser).await?.publish().await
    }

    pub(crate) fn identity(&self) -> IdentityMatcher {
        let key = self.signer.key().public_key().clone();
        IdentityMatcher::keys(vec![key]).unwrap()
    }

    pub(crate) fn endorser<'a>(&'a self, identity: &'a IdentityMatcher, verifier: &'a Verifier) -> Endorser<'a> {
        let time = jiff::Timestamp::UNIX_EPOCH;
        Endorser { signer: &self.signer, witnesses: Vec::new(), identity, verifier, time }
    }
}

/// Returns a target of one tag that follows `rule`.
pub(crate) fn target(tag_name: &str, rule: TagRule) -> Target {
    Target { tags: vec![tag(tag_name)], rule }
}

/// An index of 4 platforms, 11 referrers that travel, one lifecycle marker that does not, 3 of cosign's tags.
pub(crate) async fn laden_index(repository: &dyn Repository, person: &Person) -> Descriptor {
    let fixture = fixture::index(7, &["amd64", "arm64", "riscv64", "s390x"]);
    let index = fixture.push(repository, Some(&tag("v1"))).await.unwrap();
    person.attach(repository, &index, predicate::IMAGE_SIGNATURE).await;
    person.attach(repository, &index, predicate::SPDX).await;
    // An SBOM, its signature, and an attestation about that: three levels.
    let sbom = NewArtifact::new("application/spdx+json").with_layer(NewLayer::new("application/spdx+json", "{}"));
    let sbom = attach(repository, &index, &sbom).await.unwrap();
    let signature = person.attach(repository, &sbom, predicate::IMAGE_SIGNATURE).await;
    person.attach(repository, &signature, predicate::SLSA_PROVENANCE_V1).await;
    let scan = NewArtifact::new("application/sarif+json").with_layer(NewLayer::new("application/sarif+json", "[]"));
    attach(repository, &index, &scan).await.unwrap();
    let marker = NewArtifact::new(media_type::MICROSOFT_LIFECYCLE).with_annotation("end-of-life", "2026-01-01");
    let marker = attach(repository, &index, &marker).await.unwrap();
    person.attach(repository, &marker, predicate::IMAGE_SIGNATURE).await;
    for platform in fixture.manifests().take(4) {
        person.attach(repository, platform.descriptor(), predicate::IMAGE_SIGNATURE).await;
    }
    let signed = person.sign_cosign(repository, &index).await;
    person.attest_cosign(repository, &index).await;
    let sbom = NewLayer::new("text/spdx+json", "{\"spdxVersion\":\"SPDX-2.3\"}");
    attach_cosign_tag(repository, &index.digest, CosignSuffix::Sbom, &sbom).await.unwrap();
    // What cosign's own tag holds may be a subject too.
    person.attach(repository, &signed, predicate::SLSA_PROVENANCE_V1).await;
    index
}

/// An index of one platform, a signature of each, an SBOM with a signature, and two of cosign's tags.
pub(crate) async fn small_index(repository: &dyn Repository, person: &Person) -> Descriptor {
    let fixture = fixture::index(8, &["amd64"]);
    let index = fixture.push(repository, Some(&tag("v1"))).await.unwrap();
    for manifest in fixture.manifests() {
        person.attach(repository, manifest.descriptor(), predicate::IMAGE_SIGNATURE).await;
    }
    let sbom = NewArtifact::new("application/spdx+json").with_layer(NewLayer::new("application/spdx+json", "{}"));
    let sbom = attach(repository, &index, &sbom).await.unwrap();
    person.attach(repository, &sbom, predicate::IMAGE_SIGNATURE).await;
    person.sign_cosign(repository, &index).await;
    person.attest_cosign(repository, &index).await;
    index
}

/// Returns a promotion of `root`, found under the tag `v1`.
pub(crate) fn of(root: Descriptor) -> Promotion {
    Promotion { source_tag: Some(tag("v1")), ..Promotion::of(root) }
}
