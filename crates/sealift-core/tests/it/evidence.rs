//! What speaks for a claim: the verdict follows from what is there, and from what could not be read.

use std::collections::BTreeMap;

use async_trait::async_trait;
use sealift_core::attach::{CosignSuffix, NewArtifact, NewLayer, attach, attach_cosign_tag};
use sealift_core::crypto::{KeyAlgorithm, PublicKey};
use sealift_core::entity::SimpleSigning;
use sealift_core::evidence::{Effort, Evidence, Verdict, gather};
use sealift_core::identity::IdentityMatcher;
use sealift_core::oci::{Descriptor, Digest, RawManifest, RepositoryName, Selector, Tag, media_type};
use sealift_core::repository::{
    Content, MemoryRepository, ReadRepository, ReferrersListing, ReferrersSupport, Repository, RepositoryError,
};
use sealift_core::sign::{KeySigner, sign, sign_simple};
use sealift_core::statement::Statement;
use sealift_core::verify::{Claim, Requirements, Verifier};

use crate::support::signer;

const MODES: [ReferrersSupport; 2] = [ReferrersSupport::Api, ReferrersSupport::FallbackTagOnly];

/// A subject in a repository of its own, and who signs it.
struct Scene {
    repository: MemoryRepository,
    subject: Descriptor,
    signer: KeySigner,
    key: PublicKey,
}

impl Scene {
    async fn new(mode: ReferrersSupport) -> Self {
        let repository = MemoryRepository::new("evidence").with_referrers(mode);
        let json = format!(r#"{{"schemaVersion":2,"mediaType":"{}","layers":[]}}"#, media_type::IMAGE_MANIFEST);
        let manifest = RawManifest::new(media_type::IMAGE_MANIFEST, json);
        let subject = manifest.descriptor().clone();
        repository.push(&subject, manifest.bytes().clone().into()).await.unwrap();
        let (signer, key) = signer(KeyAlgorithm::EcdsaP256);
        Self { repository, subject, signer, key }
    }

    async fn attach_bundle(&self, statement: &Statement) {
        let bundle = sign(statement, &self.signer).await.unwrap();
        let kind = bundle.media_type().clone();
        self.attach_content(kind.as_str(), bundle.to_json().unwrap()).await;
    }

    async fn attach_content(&self, kind: &str, content: String) {
        let artifact = NewArtifact::new(kind).with_layer(NewLayer::new(kind, content));
        attach(&self.repository, &self.subject, &artifact).await.unwrap();
    }

    async fn sign(&self) {
        self.attach_bundle(&Statement::image_signature(&self.subject.digest, BTreeMap::new()).unwrap()).await;
    }

    async fn sign_under_tag(&self) {
        let payload = SimpleSigning::new("example.com/app", self.subject.digest.clone(), BTreeMap::new());
        let signature = sign_simple(&payload, &self.signer).await.unwrap();
        let mut layer = NewLayer::new(media_type::SIMPLE_SIGNING, signature.payload);
        layer.annotations = signature.annotations;
        let digest = &self.subject.digest;
        attach_cosign_tag(&self.repository, digest, CosignSuffix::Signature, &layer).await.unwrap();
    }

    async fn judge(&self, key: &PublicKey) -> Evidence {
        judge(&self.repository, &self.subject.digest, key).await
    }
}

async fn judge(repository: &dyn ReadRepository, subject: &Digest, key: &PublicKey) -> Evidence {
    let identities = IdentityMatcher::keys(vec![key.clone()]).unwrap();
    let verifier = Verifier::new(Requirements::default());
    gather(repository, subject, &verifier, &identities, &Claim::ImageSignature, Effort::FirstMatch).await
}

#[tokio::test]
async fn a_signature_counts_wherever_it_is() {
    for mode in MODES {
        let scene = Scene::new(mode).await;
        scene.sign().await;
        let evidence = scene.judge(&scene.key).await;
        assert_eq!(evidence.verdict(), Verdict::Verified, "{evidence:?}");
        assert_eq!(evidence.verified()[0].verified.digest(), &scene.subject.digest);

        let scene = Scene::new(mode).await;
        scene.sign_under_tag().await;
        assert_eq!(scene.judge(&scene.key).await.verdict(), Verdict::Verified);
    }
}

#[tokio::test]
async fn nothing_is_no_signature() {
    for mode in MODES {
        let scene = Scene::new(mode).await;
        assert_eq!(scene.judge(&scene.key).await.verdict(), Verdict::NoSignature);
    }
}

#[tokio::test]
async fn an_attestation_is_no_signature() {
    for mode in MODES {
        let scene = Scene::new(mode).await;
        let subjects = Statement::image_signature(&scene.subject.digest, BTreeMap::new()).unwrap().subjects().to_vec();
        let sbom = Statement::new(subjects, "https://spdx.dev/Document", &BTreeMap::<String, String>::new()).unwrap();
        scene.attach_bundle(&sbom).await;
        let evidence = scene.judge(&scene.key).await;
        assert_eq!(evidence.verdict(), Verdict::NoSignature, "{evidence:?}");
        assert_eq!(evidence.rejected().len(), 1);
    }
}

#[tokio::test]
async fn signatures_of_others_do_not_match() {
    let (_, other) = signer(KeyAlgorithm::EcdsaP256);
    for mode in MODES {
        let scene = Scene::new(mode).await;
        scene.sign().await;
        scene.sign_under_tag().await;
        let evidence = scene.judge(&other).await;
        assert_eq!(evidence.verdict(), Verdict::NoMatchingSignature);
        assert_eq!(evidence.rejected().len(), 2);
    }
}

#[tokio::test]
async fn a_malformed_bundle_does_not_match() {
    let scene = Scene::new(ReferrersSupport::Api).await;
    scene.attach_content("application/vnd.dev.sigstore.bundle.v0.3+json", "{}".to_owned()).await;
    assert_eq!(scene.judge(&scene.key).await.verdict(), Verdict::NoMatchingSignature);
}

#[tokio::test]
async fn what_is_not_read_leaves_it_undecided_unless_another_counts() {
    for broken in [Broken::Api, Broken::Fallback, Broken::Tag, Broken::Blobs] {
        let scene = Scene::new(ReferrersSupport::Api).await;
        scene.attach_content("application/vnd.dev.sigstore.bundle.v0.3+json", "{}".to_owned()).await;
        let repository = Unreadable { repository: &scene.repository, broken };
        let evidence = judge(&repository, &scene.subject.digest, &scene.key).await;
        assert_eq!(evidence.verdict(), Verdict::Undecided, "{broken:?}");
        assert_eq!(evidence.undecided().len(), 1);
    }
    let scene = Scene::new(ReferrersSupport::Api).await;
    scene.sign_under_tag().await;
    let repository = Unreadable { repository: &scene.repository, broken: Broken::Api };
    let evidence = judge(&repository, &scene.subject.digest, &scene.key).await;
    assert_eq!(evidence.verdict(), Verdict::Verified);
}

/// What a repository does not answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Broken {
    Api,
    Blobs,
    Fallback,
    Tag,
}

#[derive(Debug)]
struct Unreadable<'a> {
    repository: &'a MemoryRepository,
    broken: Broken,
}

impl Unreadable<'_> {
    fn refuse_if(&self, is_broken: bool) -> Result<(), RepositoryError> {
        let repository = self.repository.name().clone();
        if is_broken { Err(RepositoryError::Throttled { repository, retry_after: None }) } else { Ok(()) }
    }
}

#[async_trait]
impl ReadRepository for Unreadable<'_> {
    fn name(&self) -> &RepositoryName {
        self.repository.name()
    }

    async fn resolve(&self, selector: &Selector) -> Result<Descriptor, RepositoryError> {
        self.repository.resolve(selector).await
    }

    async fn manifest(&self, selector: &Selector) -> Result<RawManifest, RepositoryError> {
        self.refuse_if(self.broken == Broken::Tag && matches!(selector, Selector::Tag(_)))?;
        self.repository.manifest(selector).await
    }

    async fn exists(&self, descriptor: &Descriptor) -> Result<bool, RepositoryError> {
        self.repository.exists(descriptor).await
    }

    async fn fetch(&self, descriptor: &Descriptor) -> Result<Content, RepositoryError> {
        self.refuse_if(self.broken == Broken::Blobs)?;
        self.repository.fetch(descriptor).await
    }

    async fn referrers(
        &self,
        subject: &Digest,
        listing: ReferrersListing,
    ) -> Result<Option<Vec<Descriptor>>, RepositoryError> {
        let broken = if listing == ReferrersListing::Api { Broken::Api } else { Broken::Fallback };
        self.refuse_if(self.broken == broken)?;
        self.repository.referrers(subject, listing).await
    }

    async fn tags(&self) -> Result<Vec<Tag>, RepositoryError> {
        self.repository.tags().await
    }
}
