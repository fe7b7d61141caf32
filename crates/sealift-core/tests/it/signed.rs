//! Signs what is in a repository, in every storage scheme.

use std::collections::BTreeMap;

use sealift_core::attach::{CosignSuffix, NewLayer, attach_bundle, attach_cosign_tag};
use sealift_core::crypto::{KeyAlgorithm, PrivateKey};
use sealift_core::entity::{Bundle, SimpleSigning};
use sealift_core::identity::IdentityMatcher;
use sealift_core::oci::{Descriptor, Digest, media_type};
use sealift_core::repository::Repository;
use sealift_core::sign::{KeySigner, sign, sign_envelope, sign_simple};
use sealift_core::statement::{Statement, Subject, predicate};

/// A time, the same in every run.
pub(crate) fn created() -> jiff::Timestamp {
    jiff::Timestamp::from_second(1_780_000_000).unwrap()
}

/// Someone with a key.
pub(crate) struct Person {
    pub(crate) signer: KeySigner,
    pub(crate) identity: IdentityMatcher,
}

impl Person {
    pub(crate) fn new() -> Self {
        let key = PrivateKey::generate(KeyAlgorithm::EcdsaP256).unwrap();
        let identity = IdentityMatcher::keys(vec![key.public_key().clone()]).unwrap();
        Self { signer: KeySigner::new(key), identity }
    }

    pub(crate) async fn bundle(&self, subject: &Digest, predicate_type: &str) -> Bundle {
        let statement = match predicate_type {
            predicate::IMAGE_SIGNATURE => Statement::image_signature(subject, BTreeMap::new()).unwrap(),
            _ => Statement::new(vec![Subject::of(subject)], predicate_type, &predicate::Empty::default()).unwrap(),
        };
        sign(&statement, &self.signer, &[]).await.unwrap()
    }

    pub(crate) async fn attach(
        &self,
        repository: &dyn Repository,
        subject: &Descriptor,
        predicate_type: &str,
    ) -> Descriptor {
        let bundle = self.bundle(&subject.digest, predicate_type).await;
        attach_bundle(repository, subject, &bundle, created()).await.unwrap()
    }

    pub(crate) async fn cosign_layer(&self, subject: &Digest) -> NewLayer {
        let payload = SimpleSigning::new("staging.example.com/app", subject.clone(), BTreeMap::new());
        let signed = sign_simple(&payload, &self.signer, &[]).await.unwrap();
        let layer = NewLayer::new(media_type::SIMPLE_SIGNING, signed.content);
        NewLayer { annotations: signed.annotations, ..layer }
    }

    pub(crate) async fn sign_cosign(&self, repository: &dyn Repository, subject: &Digest) {
        let layer = self.cosign_layer(subject).await;
        attach_cosign_tag(repository, subject, CosignSuffix::Signature, &layer).await.unwrap();
    }

    pub(crate) async fn attest_cosign(&self, repository: &dyn Repository, subject: &Digest, predicate_type: &str) {
        let subjects = vec![Subject::of(subject)];
        let statement = Statement::new(subjects, predicate_type, &predicate::Empty::default()).unwrap();
        let envelope = sign_envelope(&statement, &self.signer, &[]).await.unwrap();
        let layer = NewLayer::new(media_type::DSSE_ENVELOPE, envelope.content);
        attach_cosign_tag(repository, subject, CosignSuffix::Attestation, &layer).await.unwrap();
    }
}
