//! Signatures of 2022: three without a key, one with RSA, two attestations; and every way to change one bit of them.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use sealift_core::crypto::PublicKey;
use sealift_core::entity::{EntityFormat, MaterialKey, SignedContent, SignedEntity};
use sealift_core::identity::IdentityMatcher;
use sealift_core::oci::{Descriptor, Digest, annotation, media_type};
use sealift_core::trust::{Authority, Log, TrustRoot};
use sealift_core::verify::{Artifact, Claim, LogEvidence, Requirements, Verified, Verifier, VerifyError};
use sealift_core::x509::{Certificate, Validity};
use sealift_sandbox::external::shared;
use serde_json::Value;

use crate::shared::{base64, json, read, text};
use crate::special::{signer, trust};

/// One keyless signature as cosign stored it: payload and annotations of a layer.
struct Stored {
    payload: Vec<u8>,
    signature: String,
    certificate: String,
    bundle: Value,
    digest: Digest,
}

/// Rebuilds the layer from what `cosign verify` printed: the payload's canonical form, and the log entry that holds
/// signature and certificate.
fn stored(path: &Path) -> Stored {
    let printed = json(path)[0].clone();
    let bundle = printed["optional"]["Bundle"].clone();
    let body: Value =
        serde_json::from_slice(&base64(bundle["Payload"]["body"].as_str().expect("a body"))).expect("JSON");
    let signature = &body["spec"]["signature"];
    let certificate = base64(signature["publicKey"]["content"].as_str().expect("a certificate"));
    let critical = &printed["critical"];
    let repository = critical["identity"]["docker-reference"].as_str().expect("a reference");
    let digest = critical["image"]["docker-manifest-digest"].as_str().expect("a digest");
    let payload = format!(
        r#"{{"critical":{{"identity":{{"docker-reference":"{repository}"}},"image":{{"docker-manifest-digest":"{digest}"}},"type":"cosign container image signature"}},"optional":null}}"#
    );
    let logged = body["spec"]["data"]["hash"]["value"].as_str().expect("a hash");
    assert_eq!(Digest::sha256(payload.as_bytes()).hex(), logged);
    Stored {
        payload: payload.into_bytes(),
        signature: signature["content"].as_str().expect("a signature").to_owned(),
        certificate: String::from_utf8(certificate).expect("PEM"),
        bundle,
        digest: digest.parse().expect("a digest"),
    }
}

impl Stored {
    fn entity(&self) -> Option<SignedEntity> {
        let mut layer = Descriptor::of(media_type::SIMPLE_SIGNING, &self.payload);
        layer.annotations = [
            (annotation::COSIGN_SIGNATURE, self.signature.clone()),
            (annotation::COSIGN_CERTIFICATE, self.certificate.clone()),
            (annotation::COSIGN_BUNDLE, self.bundle.to_string()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into();
        SignedEntity::from_simple_signing_layer(&layer, Bytes::from(self.payload.clone())).ok()
    }
}

fn author() -> Option<PathBuf> {
    shared("author-2022")
}

fn verifier() -> Verifier {
    Verifier::new(Requirements::default()).with_trust_root(trust("public-good/trusted_root.json"))
}

fn verify(entity: &SignedEntity, digest: &Digest, verifier: &Verifier) -> Result<Verified, VerifyError> {
    let identity = signer("toddysm_dev1@outlook.com", "https://github.com/login/oauth");
    verifier.verify(entity, &Artifact::Digest(digest), &identity, &Claim::ImageSignature)
}

#[test]
fn three_keyless_signatures_verify_offline() {
    let Some(folder) = author() else { return };
    for name in ["v1.json", "v2.json", "v3.json"] {
        let stored = stored(&folder.join(name));
        let entity = stored.entity().expect("it parses");
        let verified = verify(&entity, &stored.digest, &verifier());
        let verified = verified.unwrap_or_else(|error| panic!("{name}: {error:?}"));
        assert_eq!(verified.log(), LogEvidence::Verified { logs: 1 });
        let other = Digest::sha256(b"another image");
        let refused = verify(&entity, &other, &verifier());
        assert!(matches!(refused, Err(VerifyError::WrongSubject { .. })), "{refused:?}");
    }
}

/// The same with the root, issuer and log key that were kept beside the signatures, and no trust root.
#[test]
fn they_verify_by_certificates_and_keys_given_by_hand() {
    let Some(folder) = author() else { return };
    let stored = stored(&folder.join("v1.json"));
    let chain = ["fulcio_int.pem", "fulcio_v1.pem"].map(|name| text(folder.join(name))).concat();
    let chain = Certificate::chain_from_pem(&chain).expect("PEM");
    let window = Validity::new(0, None);
    let log = Log::of_key("", PublicKey::from_pem(&read(folder.join("rekor.pub"))).expect("a key"), window);
    let root = TrustRoot::default()
        .with_certificate_authority(Authority::new(chain, "", window).expect("a root is last"))
        .with_tlog(log);
    let requirements = Requirements::default().with_certificate_logs(0);
    let verifier = Verifier::new(requirements).with_trust_root(root);
    verify(&stored.entity().expect("it parses"), &stored.digest, &verifier).expect("it verifies");
}

#[test]
fn every_changed_bit_of_a_keyless_signature_is_refused() {
    let Some(folder) = author() else { return };
    let stored = stored(&folder.join("v1.json"));
    let verifier = verifier();
    let good = stored.entity().expect("it parses");
    let MaterialKey::Certificates(certificates) = &good.material.key else { panic!("it has a certificate") };
    verify(&good, &stored.digest, &verifier).expect("unchanged, it verifies");
    let SignedContent::SimpleSigning { payload, signature } = &good.content else { panic!("it is simple signing") };
    let promise = good.material.log_entries[0].inclusion_promise.clone().expect("it has a promise");
    let body = good.material.log_entries[0].canonicalized_body.clone();
    let mut mutants = 0;
    let mut refuse_all = |part: &str, bytes: &[u8], put: &dyn Fn(&mut SignedEntity, Vec<u8>)| {
        for bit in 0..bytes.len() * 8 {
            let mut changed = bytes.to_vec();
            changed[bit / 8] ^= 1 << (bit % 8);
            let mut entity = good.clone();
            put(&mut entity, changed);
            let refused = verify(&entity, &stored.digest, &verifier);
            assert!(refused.is_err(), "bit {} of byte {} of the {part}", bit % 8, bit / 8);
            mutants += 1;
        }
    };
    refuse_all("certificate", &certificates[0], &|entity, changed| {
        entity.material.key = MaterialKey::Certificates(vec![changed]);
    });
    refuse_all("signature", signature, &|entity, changed| {
        entity.content = SignedContent::SimpleSigning { payload: payload.clone(), signature: changed };
    });
    refuse_all("payload", payload, &|entity, changed| {
        entity.content = SignedContent::SimpleSigning { payload: Bytes::from(changed), signature: signature.clone() };
    });
    refuse_all("signed entry timestamp", &promise, &|entity, changed| {
        entity.material.log_entries[0].inclusion_promise = Some(changed);
    });
    refuse_all("log entry", &body, &|entity, changed| {
        entity.material.log_entries[0].canonicalized_body = changed;
    });
    println!("{mutants} mutants, none accepted");
}

/// The same over the text of the annotations, as a registry could change it.
#[test]
fn every_changed_bit_of_an_annotation_is_refused_or_means_the_same() {
    let Some(folder) = author() else { return };
    let good = stored(&folder.join("v1.json"));
    let entity = good.entity().expect("it parses");
    let verifier = verifier();
    verify(&entity, &good.digest, &verifier).expect("unchanged, it verifies");
    let mut mutants = 0;
    for bit in 0..good.signature.len() * 8 {
        let mut changed = good.signature.clone().into_bytes();
        changed[bit / 8] ^= 1 << (bit % 8);
        let Ok(signature) = String::from_utf8(changed) else { continue };
        let mutant = Stored {
            signature,
            payload: good.payload.clone(),
            certificate: good.certificate.clone(),
            bundle: good.bundle.clone(),
            digest: good.digest.clone(),
        };
        let accepted = mutant.entity().filter(|entity| verify(entity, &good.digest, &verifier).is_ok());
        assert_eq!(accepted, None, "bit {bit} of the signature");
        mutants += 1;
    }
    for bit in 0..good.certificate.len() * 8 {
        let mut changed = good.certificate.clone().into_bytes();
        changed[bit / 8] ^= 1 << (bit % 8);
        let Ok(certificate) = String::from_utf8(changed) else { continue };
        let mutant = Stored {
            certificate,
            payload: good.payload.clone(),
            signature: good.signature.clone(),
            bundle: good.bundle.clone(),
            digest: good.digest.clone(),
        };
        let accepted = mutant.entity().filter(|entity| verify(entity, &good.digest, &verifier).is_ok());
        // PEM has white space that says nothing: another spelling of the very same certificate.
        assert!(accepted.is_none_or(|accepted| accepted == entity), "bit {bit} of the certificate");
        mutants += 1;
    }
    println!("{mutants} mutants of the text, none accepted with another meaning");
}

#[test]
fn an_rsa_signature_and_two_attestations_verify_with_their_key() {
    let Some(folder) = author() else { return };
    let key = PublicKey::from_pem(&read(folder.join("recovered.pub"))).expect("a key");
    let identity = IdentityMatcher::keys(vec![key]).expect("one key");
    let verifier = Verifier::new(Requirements::default());
    let manifest = json(folder.join("flasksample-v1-signature-manifest.json"));
    let layer: Descriptor = serde_json::from_value(manifest["layers"][0].clone()).expect("a layer");
    let payload = Bytes::from(read(folder.join("payload_v1.simplesigning.json")));
    assert_eq!(Digest::sha256(&payload), layer.digest);
    let entity = SignedEntity::from_simple_signing_layer(&layer, payload).expect("it parses");
    assert_eq!(entity.format, EntityFormat::CosignSignature);
    let digest: Digest =
        "sha256:9bd049b6b470118cc6a02d58595b86107407c9e288c0d556ce342ea8acbafdf4".parse().expect("a digest");
    let artifact = Artifact::Digest(&digest);
    verifier.verify(&entity, &artifact, &identity, &Claim::ImageSignature).expect("it verifies");

    let layer = Descriptor::new(media_type::DSSE_ENVELOPE, digest.clone(), 0);
    for name in ["slsa.dsse.json", "sbom.dsse.json"] {
        let envelope = read(folder.join(name));
        let entity = SignedEntity::from_attestation_layer(&layer, Bytes::from(envelope)).expect("it parses");
        let claim = Claim::Attestation { predicate_type: None };
        let verified = verifier.verify(&entity, &artifact, &identity, &claim);
        verified.unwrap_or_else(|error| panic!("{name}: {error:?}"));
        let as_signature = verifier.verify(&entity, &artifact, &identity, &Claim::ImageSignature);
        assert!(matches!(as_signature, Err(VerifyError::WrongPredicate { .. })), "{name}: {as_signature:?}");
    }
}
