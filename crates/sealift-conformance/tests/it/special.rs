//! Bundles that only some requirements, or some trust, accept.

use std::path::PathBuf;

use sealift_core::crypto::PublicKey;
use sealift_core::entity::{Bundle, BundleError, SignedEntity};
use sealift_core::identity::{CertificateIdentity, IdentityMatcher};
use sealift_core::oci::Digest;
use sealift_core::pattern::Pattern;
use sealift_core::trust::{Authority, TrustRoot};
use sealift_core::verify::{Artifact, Claim, LogRequirement, Requirements, Verified, Verifier, VerifyError};
use sealift_core::x509::{Certificate, Validity};
use sealift_sandbox::external::shared;
use serde_json::{Value, json};

use crate::shared::{base64, json, read, text};

const GITHUB: &str = "https://token.actions.githubusercontent.com";

fn special(path: &str) -> Option<PathBuf> {
    shared("conformance/bundles-special").map(|folder| folder.join(path))
}

pub(crate) fn trust(path: &str) -> TrustRoot {
    let folder = shared("conformance/trust").expect("it lies beside the bundles");
    TrustRoot::parse(&read(folder.join(path))).expect("a trust root parses")
}

pub(crate) fn signer(subject: &str, issuer: &str) -> IdentityMatcher {
    let identity = CertificateIdentity::new(Pattern::exact(subject), Pattern::exact(issuer));
    IdentityMatcher::certificates(vec![identity]).expect("there is one identity")
}

fn entity(json: &[u8]) -> SignedEntity {
    Bundle::parse(json).expect("the bundle parses").into()
}

const ATTESTATION: Claim = Claim::Attestation { predicate_type: None };

#[test]
fn githubs_instance_has_no_log_and_needs_a_timestamp() {
    let Some(bundle) = special("github-internal/bundle.jsonl") else { return };
    let entity = entity(text(&bundle).trim().as_bytes());
    let wheel = read(bundle.with_file_name("github_provenance_demo-0.0.12-py3-none-any.whl"));
    let artifact = Artifact::Bytes(&wheel);
    let workflow = "https://github.com/actions/attest-demo/.github/workflows/build-python.yml@refs/heads/main";
    let identity = signer(workflow, GITHUB);
    let root = trust("github/trusted_root.json");
    let verify = |verifier: Verifier| verifier.verify(&entity, &artifact, &identity, &ATTESTATION);

    let github = Verifier::new(Requirements::of_timestamped_instance()).with_trust_root(root.clone());
    assert_eq!(verify(github.clone()).expect("it verifies").times().len(), 1);
    let both = Verifier::new(Requirements::default())
        .with_trust_root(trust("public-good/trusted_root.json"))
        .or_instance(root.clone(), Requirements::of_timestamped_instance());
    // Whose it is, the instance knows that made the certificate, whatever the other makes of it.
    let other = both.verify(&entity, &artifact, &signer("somebody else", GITHUB), &ATTESTATION);
    assert!(matches!(other, Err(VerifyError::WrongIdentity { .. })), "{other:?}");
    verify(both).expect("it verifies by the other instance");

    let by_default = verify(Verifier::new(Requirements::default()).with_trust_root(root.clone()));
    assert!(matches!(by_default, Err(VerifyError::NoLogEntry)), "{by_default:?}");
    let twice = Requirements::of_timestamped_instance().with_timestamps(2);
    let twice = verify(Verifier::new(twice).with_trust_root(root.clone()));
    assert!(matches!(twice, Err(VerifyError::TimestampThreshold { required: 2, found: 1 })), "{twice:?}");
    let mut without = root;
    without.timestamp_authorities.clear();
    let without = verify(Verifier::new(Requirements::of_timestamped_instance()).with_trust_root(without));
    assert!(matches!(without, Err(VerifyError::Timestamp { .. })), "{without:?}");
    let mut dropped = entity.clone();
    dropped.material.timestamps.clear();
    let dropped = github.verify(&dropped, &artifact, &identity, &ATTESTATION);
    assert!(matches!(dropped, Err(VerifyError::TimestampThreshold { required: 1, found: 0 })), "{dropped:?}");
}

#[test]
fn subjects_may_be_named_by_sha512() {
    let Some(path) = special("sigstore-go-dsse.sigstore.json") else { return };
    let digest: Digest = "sha512:bbfd372fc9beeb777fe35d05bb10c0c70a9733d366a75fed7dd18866c7391de3ee7e88ba74dd47abf3e15c845e547fcf0e5c3da80854c751554224d3a6d4e55f".parse().expect("a digest");
    let verifier = Verifier::new(Requirements::default()).with_trust_root(trust("public-good/trusted_root.json"));
    let anyone = IdentityMatcher::any_identity_unsafe();
    let verified = verifier.verify(&entity(&read(&path)), &Artifact::Digest(&digest), &anyone, &ATTESTATION);
    assert_eq!(verified.expect("it verifies").digest(), &digest);
    let other = Digest::sha256(b"other");
    let refused = verifier.verify(&entity(&read(&path)), &Artifact::Digest(&other), &anyone, &ATTESTATION);
    assert!(matches!(refused, Err(VerifyError::WrongSubject { .. })), "{refused:?}");
}

#[test]
fn two_signatures_are_one_too_many() {
    let Some(path) = special("sigstore-go-dsse-2sigs.sigstore.json") else { return };
    assert!(matches!(Bundle::parse(&read(path)), Err(BundleError::Envelope(_))));
}

#[test]
fn user_names_are_other_names() {
    let Some(path) = special("sigstore-go-othername.sigstore.json") else { return };
    let bundle = read(path);
    let digest = base64(json_of(&bundle)["messageSignature"]["messageDigest"]["digest"].as_str().expect("a digest"));
    let digest = Digest::from_bytes(sealift_core::oci::DigestAlgorithm::Sha256, &digest).expect("a digest");
    let verifier = Verifier::new(Requirements::default()).with_trust_root(trust("other/scaffolding.json"));
    let verify = |identity| verifier.verify(&entity(&bundle), &Artifact::Digest(&digest), &identity, &Claim::Blob);
    let wrong = verify(signer("foo!oidc", "http://oidc.local:8080"));
    let Err(VerifyError::WrongIdentity { subject, issuer }) = wrong else { panic!("{wrong:?}") };
    assert_eq!(subject, ["foo!oidc.local"]);
    let issuer = issuer.expect("the certificate names an issuer");
    verify(signer("foo!oidc.local", &issuer)).expect("it verifies");
}

fn json_of(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).expect("a bundle is JSON")
}

#[test]
fn message_digests_may_be_sha384() {
    let Some(path) = special("PKIX_ECDSA_P384_SHA_384.sigstore.json") else { return };
    let bundle = read(path);
    let digest = base64(json_of(&bundle)["messageSignature"]["messageDigest"]["digest"].as_str().expect("a digest"));
    let digest = Digest::from_bytes(sealift_core::oci::DigestAlgorithm::Sha384, &digest).expect("a digest");
    let verifier = Verifier::new(Requirements::default()).with_trust_root(trust("public-good/trusted_root.json"));
    let anyone = IdentityMatcher::any_identity_unsafe();
    verifier.verify(&entity(&bundle), &Artifact::Digest(&digest), &anyone, &Claim::Blob).expect("it verifies");
}

#[test]
fn model_signing_with_a_key_is_accepted_with_that_key_alone() {
    let Some(path) = special("model-signing-v1.0.1-elliptic-key/model.sig") else { return };
    let keys = special("model-signing-keys/certificate").expect("it lies beside");
    let key = pem_block(&text(keys.join("signing-key-pub.pem")));
    let key = IdentityMatcher::keys(vec![PublicKey::from_pem(key.as_bytes()).expect("a key")]).expect("one key");
    let digest: Digest =
        "sha256:92745110b1ab4368471cbe31664e10174e954b113a3df333db860317b2c6dec4".parse().expect("a digest");
    let verify = |log, identity: &IdentityMatcher| {
        let verifier = Verifier::new(Requirements::default().with_transparency_log(log));
        verifier.verify(&entity(&read(&path)), &Artifact::Digest(&digest), identity, &ATTESTATION)
    };
    verify(LogRequirement::ForCertificates, &key).expect("it verifies");
    let logged = verify(LogRequirement::Required, &key);
    assert!(matches!(logged, Err(VerifyError::NoLogEntry)), "{logged:?}");
    let anyone = verify(LogRequirement::IgnoredUnsafe, &IdentityMatcher::any_identity_unsafe());
    assert!(matches!(anyone, Err(VerifyError::NoCertificate)), "{anyone:?}");
}

#[test]
fn model_signing_with_a_certificate_is_accepted_with_its_authority_alone() {
    let Some(path) = special("model-signing-v1.0.1-certificate/model.sig") else { return };
    let keys = special("model-signing-keys/certificate").expect("it lies beside");
    let root = Certificate::chain_from_pem(&text(keys.join("ca-cert.pem"))).expect("PEM");
    let entity = entity(&read(&path));
    let digest: Digest =
        "sha256:61d4849d9d90076d6215f4d525f13d6574af8e3f67aef3e6f36fc40a14fdd226".parse().expect("a digest");
    let in_2026 = 1_770_000_000;
    let own = Requirements::default().with_transparency_log(LogRequirement::NotUsed).with_certificate_logs(0);
    let verify = |requirements: Requirements, authority: Authority| {
        let trust = TrustRoot::default().with_certificate_authority(authority);
        let verifier = Verifier::new(requirements).with_trust_root(trust);
        let anyone = IdentityMatcher::any_identity_unsafe();
        verifier.verify(&entity, &Artifact::Digest(&digest), &anyone, &ATTESTATION)
    };
    let authority = || Authority::new(root.clone(), "", Validity::new(0, None)).expect("a root");
    verify(own.clone().with_time(in_2026), authority().accepting_other_issuers()).expect("it verifies");
    let closed = verify(own.clone().with_time(in_2026), authority());
    assert!(matches!(closed, Err(VerifyError::Chain { .. })), "{closed:?}");
    let timeless = verify(own.clone(), authority().accepting_other_issuers());
    assert!(matches!(timeless, Err(VerifyError::NoProvenTime)), "{timeless:?}");
    let late = verify(own.with_time(4_000_000_000), authority().accepting_other_issuers());
    assert!(matches!(late, Err(VerifyError::Chain { .. })), "{late:?}");
    let by_default = verify(Requirements::default(), authority().accepting_other_issuers());
    assert!(matches!(by_default, Err(VerifyError::NoLogEntry)), "{by_default:?}");
}

/// Returns the last PEM block; the file explains the key in front of it.
fn pem_block(text: &str) -> String {
    text.rfind("-----BEGIN").map(|start| text[start..].to_owned()).expect("there is a block")
}

#[test]
fn npm_attestations_of_its_builder_and_of_npm_itself() {
    let Some(path) = special("npm/valid-tuf-js-attestations.json") else { return };
    let digest: Digest = "sha512:d5dc6c4301120f30022634dd607438c09d5ffe87fb8c02d629f2441d205651007fe544c9531f525ba1875e9e266752af7414490a91a3b2ca0f1468b886fc3cfc".parse().expect("a digest");
    let root = trust("public-good/trusted_root.json");
    let required = Requirements::default().with_transparency_log(LogRequirement::Required);
    let verifier = Verifier::new(required).with_trust_root(root);
    let attestations = json(&path)["attestations"].as_array().expect("there are two").clone();
    let bundle = |index: usize| entity(attestations[index]["bundle"].to_string().as_bytes());
    let verify = |index: usize, identity: &IdentityMatcher| -> Result<Verified, VerifyError> {
        verifier.verify(&bundle(index), &Artifact::Digest(&digest), identity, &ATTESTATION)
    };
    verify(0, &IdentityMatcher::any_identity_unsafe()).expect("the builder's verifies");

    let keys = shared("conformance/trust/public-good/tuf-targets/registry.npmjs.org/keys.json").expect("it is there");
    let key = base64(json(keys)["keys"][1]["publicKey"]["rawBytes"].as_str().expect("a key"));
    let key = PublicKey::from_der(&key).expect("a key");
    verify(1, &IdentityMatcher::key_within(key.clone(), Validity::new(1_669_852_800, Some(1_738_108_800))))
        .expect("npm's own verifies");
    let early = verify(1, &IdentityMatcher::key_within(key, Validity::new(1_900_000_000, None)));
    assert!(matches!(early, Err(VerifyError::KeyOutsideValidity { time: Some(_) })), "{early:?}");
}

#[test]
fn pypi_provenance_is_a_bundle_in_other_words() {
    let Some(path) = special("pep740/sampleproject-4.0.0.tar.gz.provenance") else { return };
    let provenance = json(&path);
    let attestation = &provenance["attestation_bundles"][0]["attestations"][0];
    let material = &attestation["verification_material"];
    let bundle = json!({
        "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
        "verificationMaterial": {
            "certificate": {"rawBytes": material["certificate"]},
            "tlogEntries": material["transparency_entries"],
        },
        "dsseEnvelope": {
            "payload": attestation["envelope"]["statement"],
            "payloadType": "application/vnd.in-toto+json",
            "signatures": [{"sig": attestation["envelope"]["signature"]}],
        },
    });
    let entity = entity(bundle.to_string().as_bytes());
    let digest: Digest =
        "sha256:0ace7980f82c5815ede4cd7bf9f6693684cec2ae47b9b7ade9add533b8627c6b".parse().expect("a digest");
    let workflow = "https://github.com/pypa/sampleproject/.github/workflows/release.yml@refs/heads/main";
    let verifier = Verifier::new(Requirements::default()).with_trust_root(trust("public-good/trusted_root.json"));
    let verified = verifier.verify(&entity, &Artifact::Digest(&digest), &signer(workflow, GITHUB), &ATTESTATION);
    assert_eq!(verified.expect("it verifies").predicate_type(), Some("https://docs.pypi.org/attestations/publish/v1"),);
}

#[test]
fn trust_roots_parse_or_are_refused_as_their_names_say() {
    let Some(folder) = shared("conformance/trust") else { return };
    let documents = crate::shared::files(&folder);
    let documents: Vec<_> = documents
        .iter()
        .filter(|path| {
            path.ends_with("trusted_root.json") || path.parent().is_some_and(|parent| parent.ends_with("other"))
        })
        .collect();
    assert!(documents.len() >= 7);
    for path in documents {
        let must_fail = path.to_string_lossy().contains("_fail");
        let parsed = TrustRoot::parse(&read(path));
        assert_eq!(parsed.is_err(), must_fail, "{}: {:?}", path.display(), parsed.err());
    }
}
