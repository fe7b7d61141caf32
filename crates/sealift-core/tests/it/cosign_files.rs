//! What cosign 2 and 3 wrote about one image, with every key and every claim.

use std::collections::BTreeMap;

use bytes::Bytes;
use sealift_core::crypto::PublicKey;
use sealift_core::entity::{Bundle, EntityFormat, SignedEntity, SimpleSigning};
use sealift_core::identity::IdentityMatcher;
use sealift_core::oci::{Digest, RawManifest, media_type};
use sealift_core::statement::predicate::{self, CosignCustom};
use sealift_core::statement::{Statement, StatementVersion};
use sealift_core::verify::{Artifact, Claim, LogEvidence, LogRequirement, Requirements, Verifier, VerifyError};

use crate::support::{attestation, testdata, verify};

const DIRECTORY: &str = "bundles/cosign-image";

fn file(name: &str) -> Vec<u8> {
    testdata(&format!("{DIRECTORY}/{name}"))
}

fn artifact() -> Digest {
    Digest::sha256(&file("artifact.json"))
}

fn key(name: &str) -> PublicKey {
    PublicKey::from_pem(&testdata(&format!("keys/{name}.pub"))).unwrap()
}

fn bundle(name: &str) -> SignedEntity {
    Bundle::parse(&file(name)).unwrap().into()
}

fn layer(name: &str) -> SignedEntity {
    let manifest = RawManifest::new(media_type::IMAGE_MANIFEST, file(&format!("{name}.manifest.json")));
    let layer = manifest.parse().unwrap().layers.remove(0);
    let content = Bytes::from(file(&format!("{name}.layer.json")));
    assert_eq!(Digest::sha256(&content), layer.digest);
    if layer.media_type == media_type::SIMPLE_SIGNING {
        SignedEntity::from_simple_signing_layer(&layer, content).unwrap()
    } else {
        SignedEntity::from_attestation_layer(&layer, content).unwrap()
    }
}

fn annotations() -> BTreeMap<String, String> {
    [("env", "prod"), ("note", "a<b&c")].into_iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect()
}

#[test]
fn image_signatures_verify_as_image_signatures_only() {
    for (entity, signer, format) in [
        (bundle("cosign3-sign.sigstore.json"), key("cosign3"), EntityFormat::SigstoreBundle),
        (layer("cosign2-sig"), key("cosign2"), EntityFormat::CosignSignature),
    ] {
        let verified = verify(&entity, &artifact(), &signer, &Claim::ImageSignature).unwrap();
        assert_eq!(verified.digest(), &artifact());
        assert_eq!(verified.annotations(), &annotations());
        assert_eq!(verified.format(), format);
        assert_eq!(verified.log(), LogEvidence::None);
        assert!(verified.signer().to_string().contains(&signer.fingerprint()));
        for claim in [attestation(None), attestation(Some(predicate::SPDX)), Claim::Blob] {
            let error = verify(&entity, &artifact(), &signer, &claim).unwrap_err();
            assert!(error.is_other_claim(), "{format}: {error}");
        }
    }
}

#[test]
fn attestations_verify_as_their_type_only() {
    for (entity, signer, predicate_type) in [
        (bundle("cosign3-attest.sigstore.json"), key("cosign3"), predicate::CUSTOM),
        (layer("cosign2-att"), key("cosign2"), "https://example.com/p"),
    ] {
        for claim in [attestation(None), attestation(Some(predicate_type))] {
            let verified = verify(&entity, &artifact(), &signer, &claim).unwrap();
            assert_eq!(verified.predicate_type(), Some(predicate_type));
            assert_eq!(verified.statement().unwrap().version(), StatementVersion::V01);
        }
        for claim in [Claim::ImageSignature, attestation(Some("https://example.com/")), Claim::Blob] {
            let error = verify(&entity, &artifact(), &signer, &claim).unwrap_err();
            assert!(error.is_other_claim(), "{error}");
        }
    }
    let entity = bundle("cosign3-attest.sigstore.json");
    let verified = verify(&entity, &artifact(), &key("cosign3"), &attestation(None)).unwrap();
    let custom: CosignCustom = verified.statement().unwrap().predicate_as().unwrap();
    assert_eq!(custom.data, "{\"a\":1}\n");
}

#[test]
fn other_keys_and_artifacts_are_told_apart() {
    let other = Digest::sha256(b"another artifact");
    for (entity, right, wrong) in
        [(bundle("cosign3-sign.sigstore.json"), "cosign3", "cosign2"), (layer("cosign2-sig"), "cosign2", "cosign3")]
    {
        let error = verify(&entity, &artifact(), &key(wrong), &Claim::ImageSignature).unwrap_err();
        assert!(matches!(error, VerifyError::WrongKey { .. }), "{error:?}");
        let error = verify(&entity, &other, &key(right), &Claim::ImageSignature).unwrap_err();
        assert!(matches!(&error, VerifyError::WrongSubject { signed } if signed == &[artifact().to_string()]));
        assert_eq!(error.step(), Some(8));
        let both = IdentityMatcher::keys(vec![key(wrong), key(right)]).unwrap();
        let verifier = Verifier::new(Requirements::default());
        assert!(verifier.verify(&entity, &Artifact::Digest(&artifact()), &both, &Claim::ImageSignature).is_ok());
        let anyone = IdentityMatcher::any_identity_unsafe();
        let error = verifier.verify(&entity, &Artifact::Digest(&artifact()), &anyone, &Claim::ImageSignature);
        assert!(matches!(error, Err(VerifyError::NoCertificate)), "a bare key names nobody");
    }
}

#[test]
fn demanded_annotations_must_be_there() {
    let pairs = |pairs: &[(&str, &str)]| pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    for (entity, signer) in
        [(bundle("cosign3-sign.sigstore.json"), key("cosign3")), (layer("cosign2-sig"), key("cosign2"))]
    {
        let identity = IdentityMatcher::keys(vec![signer]).unwrap();
        let check = |annotations| {
            Verifier::new(Requirements::default().with_annotations(annotations)).verify(
                &entity,
                &Artifact::Digest(&artifact()),
                &identity,
                &Claim::ImageSignature,
            )
        };
        assert!(check(pairs(&[("env", "prod"), ("note", "a<b&c")])).is_ok());
        for (demanded, found) in [(pairs(&[("env", "dev")]), Some("prod")), (pairs(&[("x", "")]), None)] {
            let error = check(demanded).unwrap_err();
            assert!(
                matches!(&error, VerifyError::WrongAnnotation { found: text, .. } if text.as_deref() == found),
                "{error:?}"
            );
        }
    }
}

#[test]
fn a_required_log_entry_must_be_there() {
    let requirements = Requirements::default().with_transparency_log(LogRequirement::Required);
    let identity = IdentityMatcher::keys(vec![key("cosign3")]).unwrap();
    let error = Verifier::new(requirements).verify(
        &bundle("cosign3-sign.sigstore.json"),
        &Artifact::Digest(&artifact()),
        &identity,
        &Claim::ImageSignature,
    );
    assert!(matches!(error, Err(VerifyError::NoLogEntry)));
}

#[test]
fn what_this_crate_writes_is_what_cosign_writes() {
    let payload = SimpleSigning::new("127.0.0.1:5917/h1/app2", artifact(), annotations());
    assert_eq!(payload.to_bytes().unwrap(), file("cosign2-sig.layer.json"));
    let statement = Statement::image_signature(&artifact(), annotations()).unwrap();
    let signed =
        verify(&bundle("cosign3-sign.sigstore.json"), &artifact(), &key("cosign3"), &Claim::ImageSignature).unwrap();
    assert_eq!(signed.payload(), Some(&statement.to_bytes()));
    let received = file("cosign3-sign.sigstore.json");
    let written = Bundle::parse(&received).unwrap().to_json().unwrap();
    assert_eq!(written.replace(r#","keyid":"""#, "").as_bytes(), received);
}
