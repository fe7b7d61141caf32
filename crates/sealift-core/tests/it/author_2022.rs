//! Real signatures of 2022, made with an RSA-4096 key without a log: cosign 1's formats, and an SBOM of 1.6 MB.

use std::fs;
use std::path::Path;

use bytes::Bytes;
use sealift_core::crypto::PublicKey;
use sealift_core::dsse::Envelope;
use sealift_core::entity::{SignedContent, SignedEntity};
use sealift_core::oci::{Descriptor, Digest, RawManifest, media_type};
use sealift_core::statement::predicate;
use sealift_core::verify::Claim;
use sealift_sandbox::external::shared;

use crate::support::{attestation, verify};

const SUBJECT: &str = "sha256:9bd049b6b470118cc6a02d58595b86107407c9e288c0d556ce342ea8acbafdf4";

fn read(directory: &Path, name: &str) -> Bytes {
    fs::read(directory.join(name)).unwrap().into()
}

fn layers(directory: &Path, manifest: &str) -> Vec<Descriptor> {
    RawManifest::new(media_type::IMAGE_MANIFEST, read(directory, manifest)).parse().unwrap().layers
}

fn key(directory: &Path) -> PublicKey {
    PublicKey::from_pem(&read(directory, "recovered.pub")).unwrap()
}

fn subject() -> Digest {
    SUBJECT.parse().unwrap()
}

fn image_signature(directory: &Path) -> SignedEntity {
    let layer = layers(directory, "flasksample-v1-signature-manifest.json").remove(0);
    let payload = read(directory, "payload_v1.simplesigning.json");
    assert_eq!(Digest::sha256(&payload), layer.digest);
    SignedEntity::from_simple_signing_layer(&layer, payload).unwrap()
}

fn attestations(directory: &Path) -> Vec<SignedEntity> {
    layers(directory, "flasksample-v1-attestation-manifest.json")
        .iter()
        .zip(["sbom.dsse.json", "slsa.dsse.json"])
        .map(|(layer, name)| {
            let envelope = read(directory, name);
            assert_eq!(Digest::sha256(&envelope), layer.digest, "{name}");
            SignedEntity::from_attestation_layer(layer, envelope).unwrap()
        })
        .collect()
}

#[test]
fn the_image_signature_and_both_attestations_verify() {
    let Some(directory) = shared("author-2022") else { return };
    let key = key(&directory);
    let verified = verify(&image_signature(&directory), &subject(), &key, &Claim::ImageSignature).unwrap();
    assert_eq!(verified.digest(), &subject());
    for entity in attestations(&directory) {
        for claim in [attestation(None), attestation(Some(predicate::CUSTOM))] {
            let verified = verify(&entity, &subject(), &key, &claim).unwrap();
            assert_eq!(verified.predicate_type(), Some(predicate::CUSTOM_WITHOUT_SCHEME));
        }
        assert!(verify(&entity, &subject(), &key, &Claim::ImageSignature).unwrap_err().is_other_claim());
    }
}

#[test]
fn a_bit_changed_anywhere_is_refused() {
    let Some(directory) = shared("author-2022") else { return };
    let key = key(&directory);
    let mut entities = vec![(image_signature(&directory), Claim::ImageSignature)];
    entities.extend(attestations(&directory).into_iter().map(|entity| (entity, attestation(None))));
    let mut tried = 0;
    for (entity, claim) in entities {
        let (payload, signature) = match &entity.content {
            SignedContent::Envelope(envelope) => (envelope.payload().to_vec(), envelope.signature().to_vec()),
            SignedContent::SimpleSigning { payload, signature } => (payload.to_vec(), signature.clone()),
            other => panic!("{other:?}"),
        };
        let with = |payload: Vec<u8>, signature: Vec<u8>| {
            let mut changed = entity.clone();
            changed.content = match &entity.content {
                SignedContent::Envelope(envelope) => {
                    SignedContent::Envelope(Envelope::new(envelope.payload_type(), payload, signature))
                }
                _ => SignedContent::SimpleSigning { payload: payload.into(), signature },
            };
            verify(&changed, &subject(), &key, &claim)
        };
        assert!(with(payload.clone(), signature.clone()).is_ok());
        // Every position of what is small, sixteen of what has megabytes.
        let is_large = payload.len() > 100_000;
        for position in (0..payload.len()).step_by(if is_large { payload.len() / 16 } else { 1 }) {
            let mut changed = payload.clone();
            changed[position] ^= 1 << (position % 8);
            assert!(with(changed, signature.clone()).is_err(), "payload byte {position}");
            tried += 1;
        }
        for position in (0..signature.len()).step_by(if is_large { 32 } else { 1 }) {
            let mut changed = signature.clone();
            changed[position] ^= 1 << (position % 8);
            assert!(with(payload.clone(), changed).is_err(), "signature byte {position}");
            tried += 1;
        }
    }
    assert!(tried > 2000, "{tried}");
}
