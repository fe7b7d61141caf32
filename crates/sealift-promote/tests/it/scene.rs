//! A source with everything that evidence can look like, and short ways to promote from it.

use std::collections::BTreeMap;

use sealift_core::attach::{CosignSuffix, NewArtifact, NewLayer, attach, attach_cosign_tag};
use sealift_core::copy::CopyOptions;
use sealift_core::crypto::{KeyAlgorithm, PrivateKey, PublicKey};
use sealift_core::entity::SimpleSigning;
use sealift_core::evidence::Effort;
use sealift_core::identity::IdentityMatcher;
use sealift_core::oci::{Descriptor, Digest, RawManifest, Selector, Tag, media_type};
use sealift_core::repository::{MemoryRepository, ReadRepository, ReferrersSupport, Repository};
use sealift_core::sign::{KeySigner, sign, sign_simple};
use sealift_core::statement::Statement;
use sealift_core::verify::{Requirements, Verifier};
use sealift_policy::check::SignedBy;
use sealift_policy::{Decision, Policy};
use sealift_promote::{Plan, PromoteError, Promotion, PromotionRecord, plan, publish, transfer};
use serde_json::json;

pub(crate) const MODES: [ReferrersSupport; 2] = [ReferrersSupport::Api, ReferrersSupport::FallbackTagOnly];

/// An index of four platforms with eleven referrers, three of cosign's tags and a lifecycle marker.
pub(crate) struct Scene {
    pub(crate) source: MemoryRepository,
    pub(crate) root: Descriptor,
    pub(crate) platforms: Vec<Descriptor>,
    pub(crate) key: PublicKey,
}

impl Scene {
    pub(crate) async fn new(mode: ReferrersSupport) -> Self {
        let source = MemoryRepository::new("source").with_referrers(mode).requiring_children();
        let mut platforms = Vec::new();
        for architecture in ["amd64", "arm64", "riscv64", "s390x"] {
            platforms.push(push_image(&source, architecture).await);
        }
        let index = json!({ "schemaVersion": 2, "mediaType": media_type::IMAGE_INDEX, "manifests": platforms });
        let root = push_manifest(&source, media_type::IMAGE_INDEX, &index).await;
        let key = PrivateKey::generate(KeyAlgorithm::EcdsaP256).unwrap();
        let scene = Self { source, root, platforms, key: key.public_key().clone() };
        let signer = KeySigner::new(key);
        scene.add_referrers(&signer).await;
        scene.add_cosign_tags(&signer).await;
        scene
    }

    async fn add_referrers(&self, signer: &KeySigner) {
        let statement = Statement::image_signature(&self.root.digest, BTreeMap::new()).unwrap();
        let bundle = sign(&statement, signer).await.unwrap();
        let artifact = NewArtifact::new(bundle.media_type().as_str())
            .with_layer(NewLayer::new(bundle.media_type().clone(), bundle.to_json().unwrap()));
        attach(&self.source, &self.root, &artifact).await.unwrap();
        self.attach(&self.root, media_type::NOTARY_SIGNATURE, "notary").await;
        let mut last = None;
        for platform in &self.platforms {
            let sbom = self.attach(platform, "application/spdx+json", &platform.digest.to_string()).await;
            last = Some(self.attach(&sbom, "application/x-sbom-signature", &sbom.digest.to_string()).await);
        }
        self.attach(&last.unwrap(), "application/x-countersignature", "deep").await;
        self.attach(&self.root, media_type::MICROSOFT_LIFECYCLE, "end of life").await;
    }

    async fn attach(&self, subject: &Descriptor, kind: &str, content: &str) -> Descriptor {
        let layer = NewLayer::new("text/plain", content.to_owned());
        attach(&self.source, subject, &NewArtifact::new(kind).with_layer(layer)).await.unwrap()
    }

    async fn add_cosign_tags(&self, signer: &KeySigner) {
        sign_under_tag(&self.source, &self.root.digest, signer).await;
        for (suffix, kind) in
            [(CosignSuffix::Attestation, media_type::DSSE_ENVELOPE), (CosignSuffix::Sbom, "text/spdx")]
        {
            let layer = NewLayer::new(kind, format!("content of .{suffix}"));
            attach_cosign_tag(&self.source, &self.root.digest, suffix, &layer).await.unwrap();
        }
    }

    pub(crate) async fn plan(&self) -> Plan {
        plan(&self.source, &self.promotion()).await.unwrap()
    }

    pub(crate) fn promotion(&self) -> Promotion {
        Promotion { destination_tag: Some(tag()), ..Promotion::of(self.root.clone()) }
    }

    /// Decides about `digest` as both gates do.
    pub(crate) async fn decide(&self, repository: &dyn ReadRepository, digest: &Digest) -> Decision {
        let identities = IdentityMatcher::keys(vec![self.key.clone()]).unwrap();
        let verifier = Verifier::new(Requirements::default());
        let policy = Policy::new().requiring(SignedBy::new(identities));
        policy.gather(repository, digest, &verifier, Effort::FirstMatch).await.evaluate()
    }

    /// Promotes through both gates.
    pub(crate) async fn promote(
        &self,
        promotion: &Promotion,
        destination: &dyn Repository,
    ) -> Result<PromotionRecord, PromoteError> {
        let decision = self.decide(&self.source, &self.root.digest).await;
        let admitted = plan(&self.source, promotion).await?.admit(&decision)?;
        let moved = transfer(admitted, &self.source, destination, &CopyOptions::default()).await?;
        let arrived = self.decide(moved.arrived(), &self.root.digest).await;
        publish(moved, &arrived).await
    }
}

pub(crate) fn tag() -> Tag {
    "1.0".parse().unwrap()
}

pub(crate) fn destination(mode: ReferrersSupport) -> MemoryRepository {
    MemoryRepository::new("destination").with_referrers(mode).requiring_children()
}

/// What a tag holds, if it is there.
pub(crate) async fn held(repository: &dyn ReadRepository, tag: &Tag) -> Option<RawManifest> {
    match repository.manifest(&Selector::Tag(tag.clone())).await {
        Err(error) if error.is_not_found() => None,
        found => Some(found.unwrap()),
    }
}

pub(crate) async fn sign_under_tag(repository: &dyn Repository, digest: &Digest, signer: &KeySigner) {
    let payload = SimpleSigning::new("example.com/app", digest.clone(), BTreeMap::new());
    let signature = sign_simple(&payload, signer).await.unwrap();
    let mut layer = NewLayer::new(media_type::SIMPLE_SIGNING, signature.payload);
    layer.annotations = signature.annotations;
    attach_cosign_tag(repository, digest, CosignSuffix::Signature, &layer).await.unwrap();
}

pub(crate) async fn push_image(repository: &dyn Repository, architecture: &str) -> Descriptor {
    let config = push_blob(repository, media_type::IMAGE_CONFIG, &json!({ "architecture": architecture })).await;
    let layer = push_blob(repository, "application/octet-stream", &json!(format!("layer of {architecture}"))).await;
    let shared = push_blob(repository, "application/octet-stream", &json!("a layer of all")).await;
    let manifest = json!({
        "schemaVersion": 2, "mediaType": media_type::IMAGE_MANIFEST, "config": config, "layers": [layer, shared],
    });
    push_manifest(repository, media_type::IMAGE_MANIFEST, &manifest).await
}

async fn push_blob(repository: &dyn Repository, kind: &str, content: &serde_json::Value) -> Descriptor {
    let bytes = content.to_string().into_bytes();
    let descriptor = Descriptor::of(kind.to_owned(), &bytes);
    repository.push(&descriptor, bytes::Bytes::from(bytes).into()).await.unwrap();
    descriptor
}

async fn push_manifest(repository: &dyn Repository, kind: &str, document: &serde_json::Value) -> Descriptor {
    let manifest = RawManifest::new(kind.to_owned(), document.to_string());
    repository.push(manifest.descriptor(), manifest.bytes().clone().into()).await.unwrap();
    manifest.descriptor().clone()
}
