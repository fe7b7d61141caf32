//! Logs and timestamp authorities of the sandbox testify; what they say is verified by core with all checks on.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::future::join_all;
use sealift_core::crypto::{KeyAlgorithm, PrivateKey, PublicKey};
use sealift_core::entity::{Bundle, LogEntry, SignedEntity};
use sealift_core::identity::{CertificateIdentity, IdentityMatcher};
use sealift_core::oci::Digest;
use sealift_core::pattern::Pattern;
use sealift_core::sign::{KeySigner, SignError, sign, sign_message};
use sealift_core::statement::Statement;
use sealift_core::trust::TrustRoot;
use sealift_core::verify::{Artifact, Claim, LogRequirement, Requirements, Verified, Verifier, VerifyError};
use sealift_core::witness::{Retry, Witness};
use sealift_keyless::oidc::IdentityToken;
use sealift_keyless::rekor::{RekorError, RekorWitness};
use sealift_keyless::signing_config::{ApiVersion, SigningConfig};
use sealift_keyless::timestamp::{TimestampWitness, TimestampWitnessError};
use sealift_keyless::transport::Request;
use sealift_keyless::{FulcioClient, FulcioSigner, Transport};
use sealift_sandbox::sigstore::{
    Fault, Identity, LogVersion, Service, Sigstore, SigstoreOptions, Times, TrustedRootVersion,
};
use serde_json::json;
use url::Url;

use crate::support::{self, chain, now, transport};

const ARTIFACT: &[u8] = b"artifact";

struct World {
    sigstore: Sigstore,
    transport: Transport,
}

impl World {
    fn new() -> Self {
        Self { sigstore: Sigstore::start(SigstoreOptions::default()).unwrap(), transport: transport() }
    }

    fn rekor(&self, version: ApiVersion) -> RekorWitness {
        let urls = self.sigstore.urls();
        let url = if version == ApiVersion::V1 { &urls.rekor_v1 } else { &urls.rekor_v2 };
        RekorWitness::new(Url::parse(url).unwrap(), version, self.transport.clone())
    }

    fn timestamp_url(&self) -> Url {
        Url::parse(&format!("{}/api/v1/timestamp", self.sigstore.urls().timestamp)).unwrap()
    }

    fn timestamp(&self) -> TimestampWitness {
        TimestampWitness::new(self.timestamp_url(), self.transport.clone())
    }

    fn verify(&self, bundle: &Bundle, key: &PublicKey, claim: &Claim) -> Result<Verified, VerifyError> {
        let received = Bundle::parse(bundle.to_json().unwrap().as_bytes()).unwrap();
        let trust = TrustRoot::parse(self.sigstore.trusted_root(TrustedRootVersion::default()).as_bytes()).unwrap();
        let requirements = Requirements::default().with_transparency_log(LogRequirement::Required).with_timestamps(1);
        let verifier = Verifier::new(requirements).with_trust_root(trust);
        let identity = IdentityMatcher::keys(vec![key.clone()]).unwrap();
        let digest = Digest::sha256(ARTIFACT);
        let artifact = match claim {
            Claim::Blob => Artifact::Bytes(ARTIFACT),
            _ => Artifact::Digest(&digest),
        };
        verifier.verify(&SignedEntity::from(received), &artifact, &identity, claim)
    }
}

fn signer(algorithm: KeyAlgorithm) -> (KeySigner, PublicKey) {
    let key = PrivateKey::generate(algorithm).unwrap();
    let public = key.public_key().clone();
    (KeySigner::new(key), public)
}

fn statement() -> Statement {
    Statement::image_signature(&Digest::sha256(ARTIFACT), BTreeMap::new()).unwrap()
}

fn witness_error(error: SignError) -> (Retry, String) {
    let SignError::Witness(error) = error else { panic!("{error:?}") };
    (error.retry, chain(&error))
}

#[tokio::test]
async fn a_log_proves_what_it_promised_and_nothing_else() {
    let world = World::new();
    let log = world.rekor(ApiVersion::V1);
    let mut promised = Vec::new();
    for _ in 0..3 {
        let bundle = sign(&statement(), &signer(KeyAlgorithm::EcdsaP256).0, &[&log]).await.unwrap();
        promised.push(LogEntry { inclusion_proof: None, ..bundle.material().log_entries[0].clone() });
    }
    for entry in &promised {
        let proven = log.prove(entry).await.unwrap();
        assert_eq!(proven.inclusion_proof.as_ref().map(|proof| proof.tree_size), Some(3));
        assert_eq!(LogEntry { inclusion_proof: None, ..proven }, *entry);
    }
    let first = promised[0].clone();
    for (other, field) in [
        (LogEntry { log_index: 1, ..first.clone() }, "body"),
        (LogEntry { log_id: vec![0; 32], ..first.clone() }, "log"),
        (LogEntry { integrated_time: Some(0), ..first.clone() }, "time"),
    ] {
        let refused = log.prove(&other).await;
        assert!(matches!(refused, Err(RekorError::OtherEntry { field: found }) if found == field), "{refused:?}");
    }
    assert!(matches!(log.prove(&LogEntry { log_index: 9, ..first }).await, Err(RekorError::Refused(_))));
}

#[tokio::test]
async fn both_logs_and_the_authority_testify_to_both_forms() {
    let world = World::new();
    let (timestamp, (v1, v2)) = (world.timestamp(), (world.rekor(ApiVersion::V1), world.rekor(ApiVersion::V2)));
    for algorithm in [KeyAlgorithm::EcdsaP256, KeyAlgorithm::Rsa2048] {
        let (signer, key) = signer(algorithm);
        for witnesses in [vec![&v1 as &dyn Witness, &timestamp], vec![&v2, &timestamp], vec![&v1, &v2, &timestamp]] {
            let bundle = sign(&statement(), &signer, &witnesses).await.unwrap();
            let kinds: Vec<_> =
                bundle.material().log_entries.iter().map(|entry| format!("{} {}", entry.kind, entry.version)).collect();
            let known = ["dsse 0.0.1", "hashedrekord 0.0.2"];
            assert!(kinds.iter().all(|kind| known.contains(&kind.as_str())), "{kinds:?}");
            assert_eq!(kinds.len(), witnesses.len() - 1);
            world.verify(&bundle, &key, &Claim::ImageSignature).unwrap();

            let bundle = sign_message(ARTIFACT, &signer, &witnesses).await.unwrap();
            assert!(bundle.material().log_entries.iter().all(|entry| entry.kind == "hashedrekord"));
            world.verify(&bundle, &key, &Claim::Blob).unwrap();
        }
    }
}

#[tokio::test]
async fn an_index_is_told_only_as_it_was_proven() {
    let world = World::new();
    let (signer, key) = signer(KeyAlgorithm::EcdsaP256);
    let witnesses: [&dyn Witness; 2] = [&world.rekor(ApiVersion::V2), &world.timestamp()];
    let bundle = sign(&statement(), &signer, &witnesses).await.unwrap();
    let proven = bundle.material().log_entries[0].log_index;
    let mut json: serde_json::Value = serde_json::from_str(&bundle.to_json().unwrap()).unwrap();
    // Nothing signs the index beside the proof.
    json["verificationMaterial"]["tlogEntries"][0]["logIndex"] = "4711".into();
    let changed = Bundle::parse(json.to_string().as_bytes()).unwrap();
    let verified = world.verify(&changed, &key, &Claim::ImageSignature).unwrap();
    assert_eq!(verified.log_records()[0].index, proven);
}

#[tokio::test]
async fn one_certificate_serves_a_batch_that_is_logged_side_by_side() {
    let world = World::new();
    let identity = Identity::email("dev@example.com");
    let token = IdentityToken::parse(&world.sigstore.mint(&identity).unwrap()).unwrap();
    let authority = FulcioClient::new(Url::parse(&world.sigstore.urls().fulcio).unwrap(), world.transport.clone());
    let signer = FulcioSigner::certify(&authority, &token).await.unwrap();
    let (timestamp, (v1, v2)) = (world.timestamp(), (world.rekor(ApiVersion::V1), world.rekor(ApiVersion::V2)));
    let witnesses: [&dyn Witness; 3] = [&v1, &v2, &timestamp];
    let statements: Vec<_> = (0..4_u8)
        .map(|number| Statement::image_signature(&Digest::sha256(&[number]), BTreeMap::new()).unwrap())
        .collect();
    let bundles = join_all(statements.iter().map(|statement| sign(statement, &signer, &witnesses))).await;
    let issuer = Pattern::exact(world.sigstore.issuer(&identity));
    let described = CertificateIdentity::new(Pattern::exact("dev@example.com"), issuer);
    let matcher = IdentityMatcher::certificates(vec![described]).unwrap();
    let trust = TrustRoot::parse(world.sigstore.trusted_root(TrustedRootVersion::V0_2).as_bytes()).unwrap();
    let verifier = Verifier::new(Requirements::default().with_logs(2).with_timestamps(1)).with_trust_root(trust);
    for (number, bundle) in (0..4_u8).zip(bundles) {
        let entity = SignedEntity::from(Bundle::parse(bundle.unwrap().to_json().unwrap().as_bytes()).unwrap());
        let digest = Digest::sha256(&[number]);
        verifier.verify(&entity, &Artifact::Digest(&digest), &matcher, &Claim::ImageSignature).unwrap();
    }
    let certified = world.sigstore.requests().iter().filter(|request| request.service == Service::Fulcio).count();
    assert_eq!(certified, 1);
}

#[tokio::test]
async fn what_the_signing_configuration_names_is_asked() {
    let world = World::new();
    let json = world.sigstore.signing_config(&[LogVersion::V2, LogVersion::V1]);
    let services = SigningConfig::parse(json.as_bytes()).unwrap().choose(now()).unwrap();
    let logs: Vec<_> = services
        .rekor
        .into_iter()
        .map(|(url, version)| RekorWitness::new(url, version, world.transport.clone()))
        .collect();
    let authorities: Vec<_> =
        services.timestamp.into_iter().map(|url| TimestampWitness::new(url, world.transport.clone())).collect();
    let mut witnesses: Vec<&dyn Witness> = Vec::new();
    witnesses.extend(logs.iter().map(|log| log as &dyn Witness));
    witnesses.extend(authorities.iter().map(|authority| authority as &dyn Witness));
    let (signer, key) = signer(KeyAlgorithm::EcdsaP256);
    let bundle = sign(&statement(), &signer, &witnesses).await.unwrap();
    world.verify(&bundle, &key, &Claim::ImageSignature).unwrap();
    let asked: Vec<_> = world.sigstore.requests().into_iter().map(|request| request.service).collect();
    assert_eq!(asked.len(), 2);
    assert!(asked.contains(&Service::RekorV2) && asked.contains(&Service::Timestamp), "{asked:?}");
}

#[tokio::test]
async fn an_entry_whose_answer_was_lost_is_found_again() {
    for version in [ApiVersion::V1, ApiVersion::V2] {
        let world = World::new();
        let service = if version == ApiVersion::V1 { Service::RekorV1 } else { Service::RekorV2 };
        world.sigstore.inject(service, Fault::StatusAfter(502), Times::Next(1));
        let (signer, key) = signer(KeyAlgorithm::EcdsaP256);
        let (log, timestamp) = (world.rekor(version), world.timestamp());
        let bundle = sign(&statement(), &signer, &[&log, &timestamp]).await.unwrap();
        assert_eq!(bundle.material().log_entries[0].log_index, 0, "it is logged once");
        world.verify(&bundle, &key, &Claim::ImageSignature).unwrap();
        let statuses: Vec<_> = world
            .sigstore
            .requests()
            .into_iter()
            .filter(|request| request.service == service)
            .map(|request| request.status)
            .collect();
        let expected: &[u16] = if version == ApiVersion::V1 { &[502, 409, 200] } else { &[502, 201] };
        assert_eq!(statuses, expected);
    }
}

#[tokio::test]
async fn a_log_that_contradicts_itself_is_refused_with_the_reason() {
    for version in [ApiVersion::V1, ApiVersion::V2] {
        let world = World::new();
        let service = if version == ApiVersion::V1 { Service::RekorV1 } else { Service::RekorV2 };
        let (signer, _) = signer(KeyAlgorithm::EcdsaP256);
        let log = world.rekor(version);
        // A proof of one entry alone has no hashes that could be wrong.
        sign_message(b"an earlier one", &signer, &[&log]).await.unwrap();
        for (fault, reason) in [
            (Fault::WrongProof, "the log's inclusion proof does not hold"),
            (Fault::OldCheckpoint, "the log's checkpoint is of "),
        ] {
            world.sigstore.inject(service, fault, Times::Next(1));
            let error = sign(&statement(), &signer, &[&log]).await.unwrap_err();
            let (retry, reasons) = witness_error(error);
            assert_eq!(retry, Retry::Hopeless);
            assert!(reasons.contains(reason), "{reasons}");
        }
        world.sigstore.inject(service, Fault::Status(503), Times::Always);
        let (retry, reasons) = witness_error(sign(&statement(), &signer, &[&log]).await.unwrap_err());
        assert_eq!(retry, Retry::CanHelp, "{reasons}");
        world.sigstore.clear_faults();
        world.sigstore.inject(service, Fault::Status(400), Times::Next(1));
        let (retry, reasons) = witness_error(sign(&statement(), &signer, &[&log]).await.unwrap_err());
        assert!(retry == Retry::Hopeless && reasons.contains("HTTP 400"), "{reasons}");
    }
}

#[tokio::test]
async fn the_entry_of_another_signature_is_refused() {
    let world = World::new();
    let (signer, _) = signer(KeyAlgorithm::EcdsaP256);
    for (version, path) in [(ApiVersion::V1, "api/v1/log/entries"), (ApiVersion::V2, "api/v2/log/entries")] {
        // The log answers every request with what it once said about something else.
        let genuine = sign_message(b"something else", &signer, &[&world.rekor(version)]).await.unwrap();
        let entry = &genuine.material().log_entries[0];
        let base = Url::parse(if version == ApiVersion::V1 {
            &world.sigstore.urls().rekor_v1
        } else {
            &world.sigstore.urls().rekor_v2
        });
        let recorded = if version == ApiVersion::V1 {
            let url = base.unwrap().join(&format!("{path}?logIndex={}", entry.log_index)).unwrap();
            world.transport.send(&Request::get(url)).await.unwrap().body().to_vec()
        } else {
            let json: serde_json::Value = serde_json::from_str(&genuine.to_json().unwrap()).unwrap();
            json["verificationMaterial"]["tlogEntries"][0].to_string().into_bytes()
        };
        let liar = support::Service::answering([(StatusCode::CREATED, recorded)]).await;
        let log = RekorWitness::new(liar.url.clone(), version, world.transport.clone());
        let error = sign_message(ARTIFACT, &signer, &[&log]).await.unwrap_err();
        let (_, reasons) = witness_error(error);
        assert!(reasons.contains("the log's entry is not of this signature: its signature differs"), "{reasons}");
    }
}

#[tokio::test]
async fn answers_that_are_no_entries_are_errors() {
    let (signer, _) = signer(KeyAlgorithm::EcdsaP256);
    for (version, status, headers, body) in [
        (ApiVersion::V1, 201, [("x", "")], "{}".to_owned()),
        (ApiVersion::V1, 201, [("x", "")], "[]".to_owned()),
        (
            ApiVersion::V1,
            201,
            [("x", "")],
            r#"{"a":{"body":"","integratedTime":1,"logID":"","logIndex":1}}"#.to_owned(),
        ),
        (ApiVersion::V1, 201, [("x", "")], " ".repeat(600 * 1024)),
        (ApiVersion::V1, 409, [("x", "")], "{}".to_owned()),
        (ApiVersion::V1, 409, [("location", "https://elsewhere.test/steal?me")], "{}".to_owned()),
        (ApiVersion::V1, 409, [("location", "/api/v1/log/entries/../../admin")], "{}".to_owned()),
        (ApiVersion::V2, 201, [("x", "")], "{}".to_owned()),
        (ApiVersion::V2, 409, [("x", "")], "{}".to_owned()),
    ] {
        let status = StatusCode::from_u16(status).unwrap();
        let liar = support::Service::answering([(status, headers, body)]).await;
        let log = RekorWitness::new(liar.url.clone(), version, transport());
        let (retry, reasons) = witness_error(sign_message(ARTIFACT, &signer, &[&log]).await.unwrap_err());
        assert_eq!(retry, Retry::Hopeless, "{reasons}");
        assert_eq!(liar.seen().len(), 1, "{reasons}");
    }
}

#[tokio::test]
async fn version_2_says_which_keys_it_takes() {
    let world = World::new();
    let (signer, _) = signer(KeyAlgorithm::Ed25519);
    let error = sign(&statement(), &signer, &[&world.rekor(ApiVersion::V2)]).await.unwrap_err();
    assert!(witness_error(error).1.contains("no signatures of ed25519 keys"));
    assert!(world.sigstore.requests().is_empty(), "nothing was sent");
    // Version 1 takes envelopes of such keys.
    sign(&statement(), &signer, &[&world.rekor(ApiVersion::V1)]).await.unwrap();
}

/// Regression test of timestamp-authority issue 1405: an answer without the nonce that was asked for was taken.
#[tokio::test]
async fn a_timestamp_without_the_nonce_asked_for_is_refused() {
    let world = World::new();
    let signature = b"signature";
    let genuine = world.timestamp().stamp(signature).await.unwrap();
    let imprint = STANDARD.encode(Digest::sha256(signature).as_bytes());
    let without = json!({ "hashAlgorithm": "sha256", "artifactHash": imprint, "certificates": true });
    let without = Request::post_json(world.timestamp_url(), &without).unwrap();
    let without = world.transport.send(&without).await.unwrap().body().to_vec();
    let other = world.timestamp().stamp(b"another signature").await.unwrap();
    let cut = genuine[..genuine.len() - 1].to_vec();
    let longer = [&genuine[..], &[0]].concat();
    type Expected = fn(&TimestampWitnessError) -> bool;
    let cases: [(Vec<u8>, Expected); 6] = [
        (genuine, |error| matches!(error, TimestampWitnessError::OtherNonce)),
        (without, |error| matches!(error, TimestampWitnessError::NoNonce)),
        (other, |error| matches!(error, TimestampWitnessError::OtherImprint)),
        (cut, |error| matches!(error, TimestampWitnessError::Response(_))),
        (longer, |error| matches!(error, TimestampWitnessError::Response(_))),
        (vec![0x30; 70 * 1024], |error| matches!(error, TimestampWitnessError::Transport(_))),
    ];
    for (answer, is_expected) in cases {
        let replayer = support::Service::answering([(StatusCode::CREATED, answer)]).await;
        let witness = TimestampWitness::new(replayer.url.clone(), world.transport.clone());
        let error = witness.stamp(signature).await.unwrap_err();
        assert!(is_expected(&error), "{error:?}");
        assert!(!error.may_pass());
    }
}

#[tokio::test]
async fn an_authority_that_is_away_or_refuses_is_told_apart() {
    let world = World::new();
    let (signer, key) = signer(KeyAlgorithm::EcdsaP256);
    for (fault, retry, reason) in
        [(Fault::Status(503), Retry::CanHelp, "HTTP 503"), (Fault::Status(400), Retry::Hopeless, "HTTP 400")]
    {
        world.sigstore.inject(Service::Timestamp, fault, Times::Always);
        let (found, reasons) = witness_error(sign(&statement(), &signer, &[&world.timestamp()]).await.unwrap_err());
        assert!(found == retry && reasons.contains(reason), "{reasons}");
        world.sigstore.clear_faults();
    }
    // The address may hold what lets one in.
    let mut url = world.timestamp_url();
    url.set_query(Some("key=hunter2"));
    url.set_username("user").and_then(|()| url.set_password(Some("hunter3"))).unwrap();
    world.sigstore.inject(Service::Timestamp, Fault::Status(400), Times::Next(1));
    let witness = TimestampWitness::new(url, world.transport.clone());
    let (_, reasons) = witness_error(sign(&statement(), &signer, &[&witness]).await.unwrap_err());
    assert!(reasons.starts_with(&format!("{} did not testify", world.timestamp_url())), "{reasons}");
    assert!(!reasons.contains("hunter"), "{reasons}");
    // An answer that was lost is asked for again, and an expired authority is the verifier's to find.
    world.sigstore.inject(Service::Timestamp, Fault::StatusAfter(502), Times::Next(1));
    let (log, timestamp) = (world.rekor(ApiVersion::V1), world.timestamp());
    let bundle = sign(&statement(), &signer, &[&log, &timestamp]).await.unwrap();
    world.verify(&bundle, &key, &Claim::ImageSignature).unwrap();
    world.sigstore.inject(Service::Timestamp, Fault::ExpiredCertificate, Times::Next(1));
    let bundle = sign(&statement(), &signer, &[&log, &timestamp]).await.unwrap();
    world.verify(&bundle, &key, &Claim::ImageSignature).unwrap_err();
    // So is a promise that is over something else.
    world.sigstore.inject(Service::RekorV1, Fault::WrongPromise, Times::Next(1));
    let bundle = sign(&statement(), &signer, &[&log, &timestamp]).await.unwrap();
    let error = world.verify(&bundle, &key, &Claim::ImageSignature).unwrap_err();
    assert!(matches!(error, VerifyError::InclusionPromise { position: 0 }), "{error:?}");
}
