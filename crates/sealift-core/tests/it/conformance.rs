//! Bundles of the Sigstore conformance suite and of real projects: all that must verify must parse, and what is not
//! ours to verify says so.

use std::fs;

use base64::Engine as _;
use sealift_core::crypto::PublicKey;
use sealift_core::entity::{Bundle, BundleError};
use sealift_core::identity::IdentityMatcher;
use sealift_core::oci::Digest;
use sealift_core::verify::{
    Artifact, Claim, LogEvidence, LogRequirement, Requirements, Verified, Verifier, VerifyError,
};
use sealift_sandbox::external::shared;

use crate::support::{attestation, testdata};

fn check(
    bundle: Bundle,
    artifact: &Artifact<'_>,
    key: &[u8],
    claim: &Claim,
    requirement: LogRequirement,
) -> Result<Verified, VerifyError> {
    let identity = IdentityMatcher::keys(vec![PublicKey::from_pem(key).unwrap()]).unwrap();
    let requirements = Requirements::default().with_transparency_log(requirement);
    Verifier::new(requirements).verify(&bundle.into(), artifact, &identity, claim)
}

#[test]
fn every_bundle_that_must_verify_parses_and_is_written_back_equal() {
    let mut parsed = 0;
    for set in ["real", "upstream"] {
        let Some(directory) = shared(&format!("conformance/bundle-cases/{set}")) else { return };
        for case in fs::read_dir(directory).unwrap() {
            let path = case.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let Ok(json) = fs::read(path.join("bundle.sigstore.json")) else { continue };
            match Bundle::parse(&json) {
                Ok(bundle) => {
                    let written = bundle.to_json().unwrap();
                    assert_eq!(Bundle::parse(written.as_bytes()).unwrap(), bundle, "{name}");
                    parsed += 1;
                }
                Err(error) => assert!(name.ends_with("_fail"), "{name}: {error:?}"),
            }
        }
    }
    assert!(parsed > 60, "{parsed}");
}

#[test]
fn structural_faults_are_found_while_parsing() {
    for (case, is_expected) in [
        ("upstream/bundle-malformed-json_fail", (|e| matches!(e, BundleError::Json(_))) as fn(&BundleError) -> bool),
        ("upstream/bundle-empty-certificate-chain_fail", |e| matches!(e, BundleError::CertificateChain { .. })),
        ("upstream/bundle-invalid-base64-signature_fail", |e| matches!(e, BundleError::Json(_))),
        ("upstream/intoto-missing-inclusion-proof_fail", |e| matches!(e, BundleError::LogEntryWithout { .. })),
        ("real/real-sigstore-java-bundle.v3.no.inclusion_fail", |e| matches!(e, BundleError::LogEntryWithout { .. })),
        ("real/real-sigstore-python-bundle.duplicate_fail", |e| matches!(e, BundleError::RepeatedTimestamp { .. })),
        ("real/real-sigstore-python-bundle.many_timestamp_fail", |e| matches!(e, BundleError::TooMany { .. })),
        ("real/real-sigstore-python-bundle_no_checkpoint_fail", |e| matches!(e, BundleError::LogEntryWithout { .. })),
    ] {
        let Some(path) = shared(&format!("conformance/bundle-cases/{case}/bundle.sigstore.json")) else { return };
        let error = Bundle::parse(&fs::read(path).unwrap()).err().unwrap_or_else(|| panic!("{case} parses"));
        assert!(is_expected(&error), "{case}: {error:?}");
    }
    let Some(path) = shared("conformance/bundles-special/sigstore-go-dsse-2sigs.sigstore.json") else { return };
    assert!(matches!(Bundle::parse(&fs::read(path).unwrap()), Err(BundleError::Envelope(_))));
}

#[test]
fn managed_key_bundles_verify_and_report_their_log_entry_as_not_checked() {
    let Some(directory) = shared("conformance/bundle-cases/upstream") else { return };
    let artifact = fs::read(directory.join("a.txt")).unwrap();
    let read = |case: &str, name: &str| fs::read(directory.join(case).join(name)).unwrap();
    let digest = Digest::sha256(&artifact);
    let bundle = Bundle::parse(&read("managed-key-happy-path", "bundle.sigstore.json")).unwrap();
    let key = read("managed-key-happy-path", "key.pub");
    let other = testdata("keys/cosign3.pub");
    for artifact in [Artifact::Bytes(&artifact), Artifact::Digest(&digest)] {
        let check = |key: &[u8], requirement| check(bundle.clone(), &artifact, key, &Claim::Blob, requirement);
        let verified = check(&key, LogRequirement::ForCertificates).unwrap();
        assert_eq!(verified.log(), LogEvidence::NotChecked { entries: 1 });
        let error = check(&key, LogRequirement::Required).unwrap_err();
        assert!(matches!(error, VerifyError::LogNotChecked { entries: 1 }), "{error:?}");
        let error = check(&other, LogRequirement::ForCertificates).unwrap_err();
        assert!(matches!(error, VerifyError::WrongKey { .. }), "{error:?}");
    }
    // The suite's wrong key is no key at all.
    assert!(PublicKey::from_pem(&read("managed-key-wrong-key_fail", "key.pub")).is_err());
}

#[test]
fn a_certificate_s_signature_is_not_malformed_but_another_identity() {
    let Some(directory) = shared("conformance/bundle-cases/upstream") else { return };
    let artifact = fs::read(directory.join("a.txt")).unwrap();
    let json = fs::read(directory.join("happy-path-v0.3/bundle.sigstore.json")).unwrap();
    let bundle = Bundle::parse(&json).unwrap();
    let key = testdata("keys/cosign3.pub");
    let error = check(bundle, &Artifact::Bytes(&artifact), &key, &Claim::Blob, LogRequirement::default()).unwrap_err();
    assert!(matches!(error, VerifyError::CertificateUnsupported), "{error:?}");
}

#[test]
fn model_signing_s_bundles_verify_under_their_keys() {
    let Some(directory) = shared("conformance/bundles-special") else { return };
    let elliptic = fs::read(directory.join("model-signing-v1.0.1-elliptic-key/model.sig")).unwrap();
    let embedded: serde_json::Value = serde_json::from_slice(&elliptic).unwrap();
    let embedded = embedded.pointer("/verificationMaterial/publicKey/rawBytes").unwrap().as_str().unwrap();
    let embedded = base64::engine::general_purpose::STANDARD.decode(embedded).unwrap();
    let certified = fs::read(directory.join("model-signing-v1.0.1-certificate/model.sig")).unwrap();
    let certified_key = fs::read(directory.join("model-signing-keys/certificate/signing-key-pub.pem")).unwrap();
    let other = testdata("keys/cosign3.pub");
    for (json, key) in [(&elliptic, &embedded), (&certified, &certified_key)] {
        let bundle = Bundle::parse(json).unwrap();
        let statement = bundle.statement().unwrap();
        let digest: Digest = format!("sha256:{}", statement.subjects()[0].digest["sha256"]).parse().unwrap();
        let check =
            |key| check(bundle.clone(), &Artifact::Digest(&digest), key, &attestation(None), LogRequirement::default());
        assert!(check(key).is_ok());
        assert!(check(&other).is_err(), "the key that comes along must not count");
    }
}
