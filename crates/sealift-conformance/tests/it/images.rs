//! The image cases, without a registry: every signature that lies in a case's layout for its subject is verified.

use std::path::Path;

use bytes::Bytes;
use sealift_core::crypto::PublicKey;
use sealift_core::entity::{Bundle, SignedEntity};
use sealift_core::identity::IdentityMatcher;
use sealift_core::oci::{Descriptor, Digest, media_type};
use sealift_core::trust::TrustRoot;
use sealift_core::verify::{Artifact, Claim, LogRequirement, Requirements, Verifier, VerifyError};
use serde_json::Value;

use crate::bundles::public_good;
use crate::shared::{entries, folder, json, read};
use crate::special::signer;

#[test]
fn image_cases() {
    let Some(cases) = folder("conformance/image-cases") else { return };
    let mut counts = [0, 0];
    for folder in entries(&cases).iter().filter(|folder| folder.join("case.json").exists()) {
        let case = json(folder.join("case.json"));
        let results = verify_all(folder, &case);
        let is_accepted = results.iter().any(Result::is_ok);
        let wanted = case["want"] == "accept";
        assert_eq!(is_accepted, wanted, "{}: {results:#?}", folder.display());
        counts[usize::from(wanted)] += 1;
    }
    println!("image cases: {} refused, {} accepted", counts[0], counts[1]);
    assert!(counts.iter().sum::<i32>() >= 29);
}

fn verify_all(folder: &Path, case: &Value) -> Vec<Result<(), VerifyError>> {
    let text = |value: &Value| value.as_str().expect("it is text").to_owned();
    let subject: Digest = text(&case["subject"]).parse().expect("a digest");
    let claim = match case["what"].as_str() {
        Some("attestation") => Claim::Attestation { predicate_type: Some(text(&case["predicate_type"])) },
        _ => Claim::ImageSignature,
    };
    let identity = match case["key"].as_str() {
        Some(key) => {
            let key = PublicKey::from_pem(&read(folder.join(key))).expect("a key");
            IdentityMatcher::keys(vec![key]).expect("one key")
        }
        None => signer(&text(&case["identity"]), &text(&case["issuer"])),
    };
    let flags = case["flags"].as_array().map_or(&[][..], Vec::as_slice);
    let log = if flags.iter().any(|flag| flag == "insecure-ignore-tlog") {
        LogRequirement::ForCertificates
    } else {
        LogRequirement::Required
    };
    let root = case["trusted_root"].as_str().map_or_else(public_good, |root| folder.join(root));
    let trust = TrustRoot::parse(&read(root)).expect("a trust root");
    let verifier = Verifier::new(Requirements::default().with_transparency_log(log)).with_trust_root(trust);
    let verify = |entity: SignedEntity| verifier.verify(&entity, &Artifact::Digest(&subject), &identity, &claim);
    signed_entities(folder, case, &subject).into_iter().map(|entity| verify(entity).map(drop)).collect()
}

/// Returns what the layers of the subject's referrers and of its tags hold, as far as it can be read.
fn signed_entities(folder: &Path, case: &Value, subject: &Digest) -> Vec<SignedEntity> {
    let blobs = folder.join("layout/blobs/sha256");
    let blob = |digest: &str| read(blobs.join(digest.trim_start_matches("sha256:")));
    let mut manifests: Vec<Value> = entries(&blobs)
        .iter()
        .filter_map(|path| serde_json::from_slice::<Value>(&read(path)).ok())
        .filter(|manifest| manifest["subject"]["digest"] == subject.to_string())
        .collect();
    for suffix in ["sig", "att"] {
        let tagged = case["tags"][format!("sha256-{}.{suffix}", subject.hex())].as_str();
        manifests.extend(tagged.map(|digest| serde_json::from_slice(&blob(digest)).expect("a manifest")));
    }
    let layers = manifests.iter().flat_map(|manifest| manifest["layers"].as_array().cloned().unwrap_or_default());
    let layers = layers.filter_map(|layer| serde_json::from_value::<Descriptor>(layer).ok());
    layers.filter_map(|layer| read_layer(&layer, Bytes::from(blob(&layer.digest.to_string())))).collect()
}

fn read_layer(layer: &Descriptor, content: Bytes) -> Option<SignedEntity> {
    if Digest::sha256(&content) != layer.digest {
        return None;
    }
    match layer.media_type.as_str() {
        media_type::SIMPLE_SIGNING => SignedEntity::from_simple_signing_layer(layer, content).ok(),
        media_type::DSSE_ENVELOPE => SignedEntity::from_attestation_layer(layer, content).ok(),
        _ if layer.media_type.is_sigstore_bundle() => Bundle::parse(&content).ok().map(SignedEntity::from),
        _ => None,
    }
}
