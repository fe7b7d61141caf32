//! What binds a signature to an artifact, and which of many errors is told.

use std::collections::BTreeMap;

use async_trait::async_trait;
use sealift_core::crypto::{KeyAlgorithm, PublicKey};
use sealift_core::entity::{Bundle, MaterialKey, SignedContent, SignedEntity, SimpleSigning, VerificationMaterial};
use sealift_core::identity::{EmptyIdentity, IdentityMatcher};
use sealift_core::oci::{Descriptor, Digest, DigestAlgorithm, media_type};
use sealift_core::sign::{KeyMaterial, SignError, Signature, Signer, sign, sign_envelope, sign_message, sign_simple};
use sealift_core::statement::{Statement, StatementError, Subject, predicate};
use sealift_core::verify::{Artifact, Claim, Requirements, Verifier, VerifyError};
use sealift_core::witness::{Retry, SignedMessage, Testimony, Witness, WitnessError};

use crate::support::{attestation, signer, verify};

const ARTIFACT: &[u8] = b"artifact";

fn subject(digests: &[(&str, String)]) -> Subject {
    let digest: BTreeMap<_, _> = digests.iter().map(|(name, hex)| ((*name).to_owned(), hex.clone())).collect();
    Subject { digest, ..Subject::default() }
}

#[tokio::test]
async fn every_known_digest_of_a_subject_must_match_and_one_must_be_there() {
    let (signer, key) = signer(KeyAlgorithm::EcdsaP256);
    let identity = IdentityMatcher::keys(vec![key]).unwrap();
    let sha256 = Digest::sha256(ARTIFACT).hex();
    let sha512 = Digest::of(DigestAlgorithm::Sha512, ARTIFACT).hex();
    let other = Digest::sha256(b"other").hex();
    let zeros = "0".repeat(128);
    for (subjects, with_bytes, with_digest) in [
        (vec![subject(&[("sha256", sha256.clone())])], true, true),
        (vec![subject(&[("sha256", sha256.clone()), ("sha512", sha512.clone())])], true, true),
        (vec![subject(&[("sha512", sha512)])], true, false),
        (vec![subject(&[("sha256", sha256.clone()), ("gitCommit", "abc".to_owned())])], true, true),
        // A digest that cannot be computed from another digest is not checked; from the bytes it is.
        (vec![subject(&[("sha256", sha256.clone()), ("sha512", zeros)])], false, true),
        (vec![subject(&[("sha256", sha256.to_uppercase())])], false, false),
        (vec![subject(&[("SHA256", sha256.clone())])], false, false),
        (vec![subject(&[("sha256", other.clone())])], false, false),
        (vec![subject(&[("gitCommit", sha256.clone())])], false, false),
        (vec![subject(&[])], false, false),
        (vec![subject(&[("sha256", other)]), subject(&[("sha256", sha256)])], true, true),
    ] {
        let statement = Statement::new(subjects.clone(), "t", &predicate::Empty::default()).unwrap();
        let entity: SignedEntity = sign(&statement, &signer, &[]).await.unwrap().into();
        let digest = Digest::sha256(ARTIFACT);
        for (artifact, is_expected) in
            [(Artifact::Bytes(ARTIFACT), with_bytes), (Artifact::Digest(&digest), with_digest)]
        {
            let result =
                Verifier::new(Requirements::default()).verify(&entity, &artifact, &identity, &attestation(None));
            match result {
                Ok(_) => assert!(is_expected, "{subjects:?}"),
                Err(error) => {
                    assert!(!is_expected, "{subjects:?}: {error}");
                    assert!(matches!(error, VerifyError::WrongSubject { .. }), "{error:?}");
                }
            }
        }
    }
}

#[tokio::test]
async fn every_form_of_signature_verifies_under_every_algorithm() {
    let digest = Digest::sha256(ARTIFACT);
    for algorithm in [
        KeyAlgorithm::EcdsaP256,
        KeyAlgorithm::EcdsaP384,
        KeyAlgorithm::EcdsaP521,
        KeyAlgorithm::Ed25519,
        KeyAlgorithm::Rsa2048,
    ] {
        let (signer, key) = signer(algorithm);
        let statement = Statement::image_signature(&digest, BTreeMap::new()).unwrap();
        let bundle = sign(&statement, &signer, &[]).await.unwrap();
        assert_eq!(bundle.predicate_type().as_deref(), Some(predicate::IMAGE_SIGNATURE));
        assert_eq!(bundle.media_type(), &media_type::SIGSTORE_BUNDLE_V03);
        assert_eq!(bundle.material().key, MaterialKey::PublicKey { hint: key.key_id() });
        let received = Bundle::parse(bundle.to_json().unwrap().as_bytes()).unwrap();
        assert!(verify(&received.into(), &digest, &key, &Claim::ImageSignature).is_ok(), "{algorithm}");

        let payload = SimpleSigning::new("r.example/o", digest.clone(), BTreeMap::new());
        let signature = sign_simple(&payload, &signer, &[]).await.unwrap();
        let mut layer = Descriptor::of(media_type::SIMPLE_SIGNING, &signature.content);
        layer.annotations = signature.annotations;
        let entity = SignedEntity::from_simple_signing_layer(&layer, signature.content).unwrap();
        assert!(verify(&entity, &digest, &key, &Claim::ImageSignature).is_ok(), "{algorithm}");

        let statement = Statement::new(vec![Subject::of(&digest).named("r")], predicate::SPDX, "SPDX text").unwrap();
        let envelope = sign_envelope(&statement, &signer, &[]).await.unwrap().content;
        let layer = Descriptor::of(media_type::DSSE_ENVELOPE, &envelope);
        let entity = SignedEntity::from_attestation_layer(&layer, envelope).unwrap();
        let verified = verify(&entity, &digest, &key, &attestation(Some(predicate::SPDX))).unwrap();
        assert_eq!(verified.statement().unwrap().predicate_as::<String>().unwrap(), "SPDX text");
    }
}

/// Signs something else than it is given.
#[derive(Debug)]
struct BrokenSigner {
    key: PublicKey,
}

#[async_trait]
impl Signer for BrokenSigner {
    fn key(&self) -> KeyMaterial {
        KeyMaterial::PublicKey(self.key.clone())
    }

    async fn sign(&self, _message: &[u8]) -> Result<Signature, SignError> {
        Ok(Signature { bytes: vec![0; 64], key: self.key() })
    }
}

#[tokio::test]
async fn a_broken_signer_is_found_before_anything_is_stored() {
    let (_, key) = signer(KeyAlgorithm::EcdsaP256);
    let statement = Statement::image_signature(&Digest::sha256(ARTIFACT), BTreeMap::new()).unwrap();
    let error = sign(&statement, &BrokenSigner { key: key.clone() }, &[]).await.unwrap_err();
    assert!(matches!(error, SignError::WrongSignature { key_id } if key_id == key.key_id()));
}

#[tokio::test]
async fn the_most_telling_error_has_the_highest_rank() {
    let digest = Digest::sha256(ARTIFACT);
    let other_digest = Digest::sha256(b"other");
    let (alice, alice_key) = signer(KeyAlgorithm::EcdsaP256);
    let (mallory, _) = signer(KeyAlgorithm::EcdsaP256);
    let image = Statement::image_signature(&digest, BTreeMap::new()).unwrap();
    let sbom = Statement::new(vec![Subject::of(&digest)], predicate::SPDX, &predicate::Empty::default()).unwrap();
    let damaged = {
        let SignedContent::Envelope(envelope) = sign(&image, &mallory, &[]).await.unwrap().content().clone() else {
            panic!("not an envelope")
        };
        let mut material = VerificationMaterial::default();
        material.key = MaterialKey::PublicKey { hint: alice_key.key_id() };
        Bundle::of_envelope(envelope, material)
    };
    let check = |bundle: Bundle, digest: &Digest, annotations: &[&str]| {
        let annotations = annotations.iter().map(|key| ((*key).to_owned(), "v".to_owned())).collect();
        let identity = IdentityMatcher::keys(vec![alice_key.clone()]).unwrap();
        let requirements = Requirements::default().with_annotations(annotations);
        Verifier::new(requirements)
            .verify(&bundle.into(), &Artifact::Digest(digest), &identity, &Claim::ImageSignature)
            .unwrap_err()
    };
    let errors = [
        check(sign(&sbom, &alice, &[]).await.unwrap(), &digest, &[]),
        check(sign(&image, &mallory, &[]).await.unwrap(), &digest, &[]),
        check(damaged, &digest, &[]),
        check(sign(&image, &alice, &[]).await.unwrap(), &other_digest, &[]),
        check(sign(&image, &alice, &[]).await.unwrap(), &digest, &["k"]),
    ];
    let texts: Vec<_> = errors.iter().map(ToString::to_string).collect();
    assert!(matches!(errors[0], VerifyError::WrongPredicate { .. }), "{texts:?}");
    assert!(matches!(errors[1], VerifyError::WrongKey { hint: Some(_) }), "{texts:?}");
    assert!(matches!(errors[2], VerifyError::InvalidSignature { .. }), "{texts:?}");
    assert!(matches!(errors[3], VerifyError::WrongSubject { .. }), "{texts:?}");
    assert!(matches!(errors[4], VerifyError::WrongAnnotation { .. }), "{texts:?}");
    assert!(errors.is_sorted_by_key(VerifyError::rank), "{texts:?}");
    assert_eq!(texts[4], "annotation `k` is missing, not `v`");
}

#[test]
fn nobody_is_not_anybody() {
    assert_eq!(IdentityMatcher::keys(Vec::new()).unwrap_err(), EmptyIdentity);
}

#[test]
fn statements_of_other_types_are_refused() {
    let json = |kind: &str, rest: &str| format!(r#"{{"_type":"{kind}","subject":[{{"digest":{{}}}}],{rest}}}"#);
    let good = r#""predicateType":"t","predicate":{"a":1}"#;
    for (json, is_expected) in [
        (json("https://in-toto.io/Statement/v1", good), None),
        (json("https://in-toto.io/Statement/v0.1", r#""predicateType":"t""#), None),
        (json("https://in-toto.io/Statement/v2", good), Some("no in-toto statement")),
        (json("https://in-toto.io/Statement/v1", r#""predicateType":"""#), Some("no predicate type")),
        (json("https://in-toto.io/Statement/v1", r#""predicate":{}"#), Some("malformed")),
        (json("https://in-toto.io/Statement/v1", &format!(r#""predicateType":"u",{good}"#)), Some("malformed")),
        (json("https://in-toto.io/Statement/v1", good) + "{}", Some("malformed")),
    ] {
        let error = Statement::parse(json.as_bytes()).err().map(|error: StatementError| error.to_string());
        match (is_expected, error) {
            (None, None) => {}
            (Some(expected), Some(error)) => assert!(error.contains(expected), "{json}: {error}"),
            (expected, error) => panic!("{json}: expected {expected:?}, got {error:?}"),
        }
    }
}

/// Says what it was told to say, and remembers nothing.
#[derive(Debug)]
enum ScriptedWitness {
    Says(Testimony),
    Silent,
}

#[async_trait]
impl Witness for ScriptedWitness {
    async fn testify(&self, signed: &SignedMessage<'_>) -> Result<Testimony, WitnessError> {
        assert!(!signed.content.signature().is_empty());
        match self {
            Self::Says(testimony) => Ok(testimony.clone()),
            Self::Silent => Err(WitnessError {
                witness: "log.example".to_owned(),
                retry: Retry::CanHelp,
                source: "no reply".into(),
            }),
        }
    }
}

#[tokio::test]
async fn a_bundle_holds_what_every_witness_said_or_is_not_made() {
    let statement = Statement::image_signature(&Digest::sha256(b"image"), BTreeMap::new()).unwrap();
    let (signer, _) = signer(KeyAlgorithm::EcdsaP256);
    let [first, second] =
        [&b"first"[..], b"second"].map(|said| ScriptedWitness::Says(Testimony::Timestamp(said.to_vec())));
    let bundle = sign(&statement, &signer, &[&first, &second]).await.unwrap();
    assert_eq!(bundle.material().timestamps, [b"first".to_vec(), b"second".to_vec()]);
    let blob = sign_message(b"blob", &signer, &[&first]).await.unwrap();
    assert_eq!(blob.material().timestamps, [b"first".to_vec()]);
    let SignedContent::MessageSignature { digest, signature } = blob.content() else { panic!("{blob:?}") };
    assert_eq!(digest.as_ref(), Some(&Digest::sha256(b"blob")));
    signer.key().public_key().verify(b"blob", signature).unwrap();
    let error = sign(&statement, &signer, &[&first, &ScriptedWitness::Silent]).await.unwrap_err();
    assert!(matches!(error, SignError::Witness(WitnessError { retry: Retry::CanHelp, .. })), "{error:?}");
}
