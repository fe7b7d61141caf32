//! One test for each past vulnerability of a verifier that concerns this one, named after its advisory.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use sealift_core::crypto::PrivateKey;
use sealift_core::entity::{Bundle, BundleError, SignedEntity};
use sealift_core::identity::{CertificateIdentity, IdentityMatcher};
use sealift_core::oci::{Descriptor, Digest, ManifestError, RawManifest, annotation, media_type};
use sealift_core::pattern::Pattern;
use sealift_core::timestamp::{MAX_TIMESTAMP_BYTES, TimestampError, TimestampResponse};
use sealift_core::trust::{Authority, AuthorityError, Log, TrustRoot, TrustedRootError};
use sealift_core::verify::{Artifact, Claim, LogRequirement, Requirements, Verified, Verifier, VerifyError};
use sealift_core::x509::{
    Certificate, CertificateError, ChainError, MAX_CERTIFICATE_BYTES, Usage, verify_authority_as_signer, verify_chain,
};
use serde_json::{Value, json};

use crate::maker::{EMAIL, ISSUER, Instance, NOW, Purpose, Token, around, authority, key, root};
use crate::special::signer;

const IMAGE: &[u8] = b"the image";

fn entity(bundle: &Value) -> SignedEntity {
    Bundle::parse(bundle.to_string().as_bytes()).expect("the bundle parses").into()
}

fn verify(verifier: &Verifier, entity: &SignedEntity, claim: &Claim) -> Result<Verified, VerifyError> {
    verifier.verify(entity, &Artifact::Digest(&Digest::sha256(IMAGE)), &signer(EMAIL, ISSUER), claim)
}

fn verify_image(trust: TrustRoot, bundle: &Value) -> Result<Verified, VerifyError> {
    verify(&Verifier::new(Requirements::default()).with_trust_root(trust), &entity(bundle), &Claim::ImageSignature)
}

fn certificate_of(bundle: &Value) -> Certificate {
    let der = bundle["verificationMaterial"]["certificate"]["rawBytes"].as_str().expect("it has a certificate");
    Certificate::from_der(&STANDARD.decode(der).expect("base64")).expect("a certificate")
}

fn signature_of(bundle: &Value) -> Vec<u8> {
    STANDARD.decode(bundle["dsseEnvelope"]["signatures"][0]["sig"].as_str().expect("a signature")).expect("base64")
}

/// Puts timestamps at these times by this instance into the place of the bundle's.
fn set_timestamps(bundle: &mut Value, instance: &Instance, times: &[i64]) {
    let signature = signature_of(bundle);
    let timestamps =
        times.iter().map(|time| json!({"signedTimestamp": STANDARD.encode(instance.timestamp(&signature, *time))}));
    bundle["verificationMaterial"]["timestampVerificationData"] =
        json!({"rfc3161Timestamps": timestamps.collect::<Vec<_>>()});
}

/// A cosign signature as it lies under a tag, with the log's promise for a body of the caller's.
fn legacy(instance: &Instance, signer: &PrivateKey, logged: Option<&[u8]>) -> SignedEntity {
    let digest = Digest::sha256(IMAGE);
    let payload = json!({
        "critical": {
            "identity": {"docker-reference": ""},
            "image": {"docker-manifest-digest": digest.to_string()},
            "type": "cosign container image signature",
        },
        "optional": null,
    })
    .to_string();
    let signature = signer.sign(payload.as_bytes()).expect("it signs");
    let body = logged.map_or_else(|| hashedrekord(payload.as_bytes(), &signature, signer), <[u8]>::to_vec);
    let entry = instance.log_entry("hashedrekord", "0.0.1", &body, 7);
    let rekor = json!({
        "SignedEntryTimestamp": entry["inclusionPromise"]["signedEntryTimestamp"],
        "Payload": {
            "body": entry["canonicalizedBody"],
            "integratedTime": NOW,
            "logIndex": 7,
            "logID": Digest::sha256(instance.rekor.public_key().as_der()).hex(),
        },
    });
    let mut layer = Descriptor::of(media_type::SIMPLE_SIGNING, payload.as_bytes());
    layer.annotations = [
        (annotation::COSIGN_SIGNATURE.to_owned(), STANDARD.encode(signature)),
        (annotation::COSIGN_BUNDLE.to_owned(), rekor.to_string()),
    ]
    .into();
    SignedEntity::from_simple_signing_layer(&layer, Bytes::from(payload)).expect("it parses")
}

fn hashedrekord(message: &[u8], signature: &[u8], signer: &PrivateKey) -> Vec<u8> {
    json!({
        "apiVersion": "0.0.1",
        "kind": "hashedrekord",
        "spec": {
            "data": {"hash": {"algorithm": "sha256", "value": Digest::sha256(message).hex()}},
            "signature": {
                "content": STANDARD.encode(signature),
                "publicKey": {"content": STANDARD.encode(signer.public_key().to_pem())},
            },
        },
    })
    .to_string()
    .into_bytes()
}

#[test]
fn the_instance_of_these_tests_is_sound() {
    let instance = Instance::new();
    let bundle = instance.sign_image(&Digest::sha256(IMAGE));
    assert_eq!(verify_image(instance.trust(), &bundle).expect("it verifies").times().len(), 2);
}

#[test]
fn cve_2021_41190_a_manifest_is_an_image_or_an_index() {
    let (image, index) = (media_type::IMAGE_MANIFEST, media_type::IMAGE_INDEX);
    let part = json!({"mediaType": image, "digest": Digest::sha256(IMAGE).to_string(), "size": 9});
    let read = |served: &str, body: &Value| RawManifest::new(served, body.to_string()).parse();
    let of_image = json!({"schemaVersion": 2, "config": part, "layers": [part]});
    let of_index = json!({"schemaVersion": 2, "manifests": [part]});
    read(image, &of_image).expect("an image");
    read(index, &of_index).expect("an index");
    for (served, body, more) in [
        (image, &of_image, json!({"manifests": [part]})),
        (index, &of_index, json!({"layers": [part]})),
        (index, &of_index, json!({"config": part})),
        (image, &of_index, json!({})),
        (index, &of_image, json!({})),
    ] {
        let mut both = body.clone();
        both.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        let refused = read(served, &both);
        assert!(matches!(refused, Err(ManifestError::Ambiguous)), "{served} {both}: {refused:?}");
    }
    for (served, declared, body) in [(image, index, &of_image), (index, image, &of_index)] {
        let mut other = body.clone();
        other["mediaType"] = declared.into();
        let refused = read(served, &other);
        assert!(matches!(refused, Err(ManifestError::MediaType { .. })), "{served} {other}: {refused:?}");
    }
}

#[test]
fn cve_2022_23649_log_entry_of_another_signature() {
    let instance = Instance::new();
    let mut bundle = instance.sign_image(&Digest::sha256(IMAGE));
    let other = instance.sign_image(&Digest::sha256(IMAGE));
    bundle["verificationMaterial"]["tlogEntries"] = other["verificationMaterial"]["tlogEntries"].clone();
    let refused = verify_image(instance.trust(), &bundle);
    assert!(matches!(refused, Err(VerifyError::LogEntryMismatch { .. })), "{refused:?}");
}

#[test]
fn cve_2022_35929_attestation_of_another_type() {
    let instance = Instance::new();
    let bundle = entity(&instance.sign_image(&Digest::sha256(IMAGE)));
    let verifier = Verifier::new(Requirements::default()).with_trust_root(instance.trust());
    for predicate_type in [None, Some("https://slsa.dev/provenance/v1".to_owned())] {
        let refused = verify(&verifier, &bundle, &Claim::Attestation { predicate_type });
        assert!(matches!(refused, Err(VerifyError::WrongPredicate { .. })), "{refused:?}");
    }
}

#[test]
fn cve_2022_35930_each_claim_stands_alone() {
    let instance = Instance::new();
    let good = entity(&instance.sign_image(&Digest::sha256(IMAGE)));
    let mut broken = instance.sign_image(&Digest::sha256(IMAGE));
    broken["dsseEnvelope"]["signatures"][0]["sig"] = json!(STANDARD.encode(b"no signature"));
    let verifier = Verifier::new(Requirements::default()).with_trust_root(instance.trust());
    assert!(verify(&verifier, &good, &Claim::ImageSignature).is_ok());
    assert!(verify(&verifier, &entity(&broken), &Claim::ImageSignature).is_err());
}

#[test]
fn cve_2022_36056_certificate_of_another_signature() {
    let instance = Instance::new();
    let mut bundle = instance.sign_image(&Digest::sha256(IMAGE));
    let other = instance.sign_image(&Digest::sha256(IMAGE));
    bundle["verificationMaterial"]["certificate"] = other["verificationMaterial"]["certificate"].clone();
    let refused = verify_image(instance.trust(), &bundle);
    assert!(matches!(refused, Err(VerifyError::InvalidCertificateSignature)), "{refused:?}");
}

#[test]
fn cve_2023_25656_and_cve_2025_66564_endless_names_and_identifiers() {
    let refused = Certificate::from_der(&vec![0x30; MAX_CERTIFICATE_BYTES + 1]);
    assert!(matches!(refused, Err(CertificateError::TooLarge { .. })), "{refused:?}");
    let refused = TimestampResponse::parse(&vec![0x30; MAX_TIMESTAMP_BYTES + 1]);
    assert!(matches!(refused, Err(TimestampError::TooLarge { .. })), "{refused:?}");
    // An identifier of one part that has no end: it is answered, and not worked out.
    let long = |tag: u8, content: &[u8]| {
        let length = u32::try_from(content.len()).expect("it is short").to_be_bytes();
        [&[tag, 0x83], &length[1..], content].concat()
    };
    let identifier = long(0x30, &long(0x06, &[0xff; 60_000]));
    let (read, stamped) = (Certificate::from_der(&identifier), TimestampResponse::parse(&identifier));
    assert!(read.is_err() && stamped.is_err(), "{read:?} {stamped:?}");
}

#[test]
fn cve_2023_46737_and_cve_2024_45395_endless_entries_and_timestamps() {
    let instance = Instance::new();
    let good = instance.sign_image(&Digest::sha256(IMAGE));
    for path in
        ["/verificationMaterial/tlogEntries", "/verificationMaterial/timestampVerificationData/rfc3161Timestamps"]
    {
        let mut bundle = good.clone();
        let list = bundle.pointer_mut(path).and_then(Value::as_array_mut).expect("a list");
        *list = vec![list[0].clone(); 33];
        let refused = Bundle::parse(bundle.to_string().as_bytes());
        assert!(matches!(refused, Err(BundleError::TooMany { limit: 32, .. })), "{refused:?}");
    }
}

#[test]
fn cve_2023_47122_keys_never_come_from_the_log() {
    let instance = Instance::new();
    let bundle = instance.sign_image(&Digest::sha256(IMAGE));
    let mut trust = instance.trust();
    trust.tlogs.clear();
    let refused = verify_image(trust, &bundle);
    assert!(matches!(refused, Err(VerifyError::LogNotChecked { entries: 1 })), "{refused:?}");
}

#[test]
fn cve_2024_3727_digests_are_no_paths() {
    let hex = "a".repeat(64);
    assert!(format!("sha256:{hex}").parse::<Digest>().is_ok());
    for text in [
        format!("sha256:../{}", "a".repeat(61)),
        format!("sha256:{}/..", "a".repeat(61)),
        format!("../sha256:{hex}"),
        format!("sha256:{hex}/"),
        format!("sha256:{hex}:{hex}"),
        format!("sha256:{}", "A".repeat(64)),
        format!("sha256:%2e{}", "a".repeat(61)),
        format!("md5:{}", "a".repeat(32)),
    ] {
        assert!(text.parse::<Digest>().is_err(), "{text}");
        let manifest = json!({"schemaVersion": 2, "layers": [{"mediaType": "a/b", "digest": text, "size": 9}]});
        let refused = RawManifest::new(media_type::IMAGE_MANIFEST, manifest.to_string()).parse();
        assert!(matches!(refused, Err(ManifestError::Json(_))), "{text}: {refused:?}");
    }
}

#[test]
fn cve_2026_22703_legacy_log_entry_of_another_signature() {
    let instance = Instance::new();
    let signer = key();
    let required = Requirements::default().with_transparency_log(LogRequirement::Required);
    let verifier = Verifier::new(required).with_trust_root(instance.trust());
    let identity = IdentityMatcher::keys(vec![signer.public_key().clone()]).expect("one key");
    let digest = Digest::sha256(IMAGE);
    let verify =
        |entity: &SignedEntity| verifier.verify(entity, &Artifact::Digest(&digest), &identity, &Claim::ImageSignature);
    verify(&legacy(&instance, &signer, None)).expect("the genuine entry verifies");
    let foreign = hashedrekord(b"other", &signer.sign(b"other").expect("it signs"), &signer);
    let refused = verify(&legacy(&instance, &signer, Some(&foreign)));
    assert!(matches!(refused, Err(VerifyError::LogEntryMismatch { field: "signature", .. })), "{refused:?}");
    let by_another = hashedrekord(b"other", b"x", &key());
    let refused = verify(&legacy(&instance, &signer, Some(&by_another)));
    assert!(matches!(refused, Err(VerifyError::LogEntryMismatch { field: "key", .. })), "{refused:?}");
}

#[test]
fn cve_2026_22772_identity_patterns_are_anchored() {
    let instance = Instance::new();
    let bundle = entity(&instance.sign_image(&Digest::sha256(IMAGE)));
    let verifier = Verifier::new(Requirements::default()).with_trust_root(instance.trust());
    for (subject, issuer, is_accepted) in [
        (r"signer@example\.test", r"https://issuer\.example\.test", true),
        (r"igner@example\.tes", r"https://issuer\.example\.test", false),
        (r"signer@example\.test", r"https://issuer", false),
        (r".*@example\.test", r".*", true),
    ] {
        let pattern = |text| Pattern::regex(text).expect("an expression");
        let identity = CertificateIdentity::new(pattern(subject), pattern(issuer));
        let identity = IdentityMatcher::certificates(vec![identity]).expect("one identity");
        let artifact = Digest::sha256(IMAGE);
        let verified = verifier.verify(&bundle, &Artifact::Digest(&artifact), &identity, &Claim::ImageSignature);
        assert_eq!(verified.is_ok(), is_accepted, "{subject} {issuer}");
    }
}

#[test]
fn cve_2026_24122_intermediate_expired_before_the_signature() {
    let root = root("root", around(86_400, 86_400));
    for (validity, is_accepted) in
        [(around(86_400, 86_400), true), (around(86_400, -1), false), (around(-1, 86_400), false)]
    {
        let intermediate = root.issue("intermediate", validity, &Purpose::Authority);
        let leaf = intermediate.issue("", around(60, 540), &Purpose::Signer(None));
        let roots = [root.certificate.clone()];
        let verified = verify_chain(&leaf.certificate, &[intermediate.certificate], &roots, NOW, Usage::CodeSigning);
        assert_eq!(verified.is_ok(), is_accepted, "{verified:?}");
    }
    // At further times the path is not built anew: it holds as long as every certificate of it.
    let short = root.issue("intermediate", around(86_400, 300), &Purpose::Authority);
    let leaf = short.issue("", around(60, 540), &Purpose::Signer(None));
    let roots = [root.certificate.clone()];
    let chain = verify_chain(&leaf.certificate, &[short.certificate], &roots, NOW, Usage::CodeSigning);
    let chain = chain.expect("valid now");
    for (after, holds) in [(-61, false), (-60, true), (300, true), (301, false)] {
        assert_eq!(chain.holds_at(NOW + after), holds, "{after}");
    }
    // The same for the root, which most path builders take for eternal.
    let expired = crate::maker::root("expired", around(86_400, -1));
    let leaf = expired.issue("", around(60, 540), &Purpose::Signer(None));
    let refused = verify_chain(&leaf.certificate, &[], &[expired.certificate], NOW, Usage::CodeSigning);
    assert!(matches!(refused, Err(ChainError::Path(_))), "{refused:?}");
}

#[test]
fn cve_2026_39395_malformed_payload() {
    let instance = Instance::new();
    let mut bundle = instance.sign_image(&Digest::sha256(IMAGE));
    for payload in ["", "{}", "[]", r#"{"_type":"https://in-toto.io/Statement/v1","subject":[],"predicateType":"x"}"#] {
        bundle["dsseEnvelope"]["payload"] = json!(STANDARD.encode(payload));
        let refused = verify_image(instance.trust(), &bundle);
        assert!(matches!(refused, Err(VerifyError::Statement(_) | VerifyError::WrongPredicate { .. })), "{refused:?}");
    }
}

#[test]
fn cve_2026_39984_planted_timestamp_certificate() {
    let instance = Instance::new();
    let attacker = root("time root", around(86_400, 86_400));
    let forger = attacker.issue("time", around(86_400, 86_400), &Purpose::TimeStamping);
    let genuine = instance.tsa.certificate.as_der().to_vec();
    let pinned = vec![instance.tsa.certificate.clone(), instance.tsa_root.certificate.clone()];
    let by_root_alone = vec![instance.tsa_root.certificate.clone()];
    for chain in [pinned, by_root_alone] {
        let trusted = authority(chain, around(86_400, 86_400)).accepting_other_issuers();
        for bag in [vec![genuine.clone()], vec![genuine.clone(), forger.certificate.as_der().to_vec()]] {
            let forged = Token { signer: &forger, issuer: "time root", time: NOW, bag }.over(b"signature");
            let refused = TimestampResponse::parse(&forged).expect("it parses").verify(b"signature", &trusted);
            assert!(refused.is_err(), "{refused:?}");
        }
    }
}

#[test]
fn cve_2026_49834_one_log_counts_once() {
    let instance = Instance::new();
    let bundle = instance.sign_image(&Digest::sha256(IMAGE));
    let mut twice = entity(&bundle);
    let entry = twice.material.log_entries[0].clone();
    twice.material.log_entries.push(entry);
    let two_logs = Requirements::default().with_logs(2);
    let refused = verify(&Verifier::new(two_logs).with_trust_root(instance.trust()), &twice, &Claim::ImageSignature);
    assert!(matches!(refused, Err(VerifyError::LogThreshold { required: 2, found: 1 })), "{refused:?}");

    let two_ctlogs = Requirements::default().with_certificate_logs(2);
    let refused =
        verify(&Verifier::new(two_ctlogs).with_trust_root(instance.trust()), &entity(&bundle), &Claim::ImageSignature);
    assert!(matches!(refused, Err(VerifyError::SctThreshold { required: 2, found: 1 })), "{refused:?}");

    let mut stamped = bundle;
    set_timestamps(&mut stamped, &instance, &[NOW, NOW + 1]);
    let two_authorities = Requirements::default().with_timestamps(2);
    let verifier = Verifier::new(two_authorities).with_trust_root(instance.trust());
    let refused = verify(&verifier, &entity(&stamped), &Claim::ImageSignature);
    assert!(matches!(refused, Err(VerifyError::TimestampThreshold { required: 2, found: 1 })), "{refused:?}");
}

#[test]
fn cve_2026_54787_key_outside_of_its_window() {
    let instance = Instance::new();
    let signer = key();
    let entity = legacy(&instance, &signer, None);
    let digest = Digest::sha256(IMAGE);
    let verifier = Verifier::new(Requirements::default()).with_trust_root(instance.trust());
    let verify = |verifier: &Verifier, validity| {
        let identity = IdentityMatcher::key_within(signer.public_key().clone(), validity);
        verifier.verify(&entity, &Artifact::Digest(&digest), &identity, &Claim::ImageSignature)
    };
    verify(&verifier, around(10, 10)).expect("it signed in time");
    let late = verify(&verifier, around(10, -1));
    assert!(matches!(late, Err(VerifyError::KeyOutsideValidity { time: Some(NOW) })), "{late:?}");
    let unknown = verify(&Verifier::new(Requirements::default()), around(10, 10));
    assert!(matches!(unknown, Err(VerifyError::KeyOutsideValidity { time: None })), "{unknown:?}");
}

#[test]
fn ghsa_hm8f_75xx_w2vr_message_digest_of_another_artifact() {
    let signer = key();
    let bundle = |digest: Digest| {
        let signature = signer.sign(IMAGE).expect("it signs");
        json!({
            "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
            "verificationMaterial": {"publicKey": {"hint": ""}},
            "messageSignature": {
                "messageDigest": {"algorithm": "SHA2_256", "digest": STANDARD.encode(digest.as_bytes())},
                "signature": STANDARD.encode(signature),
            },
        })
    };
    let identity = IdentityMatcher::keys(vec![signer.public_key().clone()]).expect("one key");
    let verifier = Verifier::new(Requirements::default());
    let verify = |bundle: Value| verifier.verify(&entity(&bundle), &Artifact::Bytes(IMAGE), &identity, &Claim::Blob);
    verify(bundle(Digest::sha256(IMAGE))).expect("it verifies");
    let refused = verify(bundle(Digest::sha256(b"another")));
    assert!(matches!(refused, Err(VerifyError::WrongSubject { .. })), "{refused:?}");
}

#[test]
fn rustsec_2023_0053_authorities_of_one_name_and_no_root() {
    // Each is a candidate for everybody's issuer, and none of them leads to the root.
    let mut namesakes = vec![root("authority", around(86_400, 86_400))];
    for _ in 0..64 {
        let last = namesakes.last().expect("there is one");
        namesakes.push(last.issue("authority", around(86_400, 86_400), &Purpose::Authority));
    }
    let leaf = namesakes.last().expect("there is one").issue("", around(60, 540), &Purpose::Signer(None));
    let trusted = [root("authority", around(86_400, 86_400)).certificate];
    let others: Vec<_> = namesakes.iter().map(|namesake| namesake.certificate.clone()).collect();
    let refused = verify_chain(&leaf.certificate, &others, &trusted, NOW, Usage::CodeSigning);
    assert!(matches!(refused, Err(ChainError::Path(_))), "{refused:?}");
    let refused = verify_authority_as_signer(&leaf.certificate, &others, &trusted, NOW);
    assert!(matches!(refused, Err(ChainError::NoAuthority)), "{refused:?}");
}

#[test]
fn sigstore_go_225_envelope_with_two_signatures() {
    let instance = Instance::new();
    let mut bundle = instance.sign_image(&Digest::sha256(IMAGE));
    let signature = bundle["dsseEnvelope"]["signatures"][0].clone();
    for signatures in [json!([]), json!([signature, {"sig": "AAAA"}])] {
        bundle["dsseEnvelope"]["signatures"] = signatures;
        let refused = Bundle::parse(bundle.to_string().as_bytes());
        assert!(matches!(refused, Err(BundleError::Envelope(_))), "{refused:?}");
    }
}

#[test]
fn sigstore_go_609_nothing_is_verified_about_nothing() {
    assert!(IdentityMatcher::keys(Vec::new()).is_err());
    assert!(IdentityMatcher::certificates(Vec::new()).is_err());
    assert!(!Pattern::exact("").matches(""));
    assert!(!Pattern::glob("**").matches(""));
    let instance = Instance::new();
    let bundle = instance.sign_image(&Digest::sha256(b"another image"));
    let refused = verify_image(instance.trust(), &bundle);
    assert!(matches!(refused, Err(VerifyError::WrongSubject { .. })), "{refused:?}");
}

#[test]
fn sigstore_rust_154_two_authorities_of_one_name() {
    let instance = Instance::new();
    let bundle = instance.sign_image(&Digest::sha256(IMAGE));
    let namesake = root("fulcio", around(86_400, 86_400));
    let mut trust = instance.trust();
    let namesake = authority(vec![namesake.certificate], around(86_400, 86_400));
    trust.certificate_authorities.insert(0, namesake);
    verify_image(trust, &bundle).expect("the issuer is the one of the path, not the first of its name");
}

#[test]
fn tob_sigstore_every_proven_time_counts() {
    let instance = Instance::new();
    let mut bundle = instance.sign_image(&Digest::sha256(IMAGE));
    set_timestamps(&mut bundle, &instance, &[NOW, NOW + 3600]);
    let refused = verify_image(instance.trust(), &bundle);
    assert!(matches!(refused, Err(VerifyError::Chain { time, .. }) if time == NOW + 3600), "{refused:?}");
}

#[test]
fn tob_sigstore_log_time_is_authenticated() {
    let instance = Instance::new();
    let mut bundle = instance.sign_image(&Digest::sha256(IMAGE));
    let entry = &mut bundle["verificationMaterial"]["tlogEntries"][0];
    entry.as_object_mut().expect("an entry").remove("inclusionPromise");
    let refused = verify_image(instance.trust(), &bundle);
    assert!(matches!(refused, Err(VerifyError::LogTimeUnproven { position: 0 })), "{refused:?}");
}

#[test]
fn tob_sigstore_no_tolerance_for_late_log_times() {
    let instance = Instance::new();
    let short = instance.fulcio.issue("", around(60, -1), &Purpose::Signer(Some(&instance.ctlog)));
    let mut bundle = instance.sign_image(&Digest::sha256(IMAGE));
    bundle["verificationMaterial"]["certificate"]["rawBytes"] = json!(STANDARD.encode(short.certificate.as_der()));
    let refused = verify_image(instance.trust(), &bundle);
    assert!(matches!(refused, Err(VerifyError::LogTimeOutsideCertificate { time: NOW })), "{refused:?}");
    assert!(certificate_of(&bundle).validity().contains(NOW - 1));
}

#[test]
fn tob_sigstore_windows_have_a_start() {
    let entry = json!({"certChain": {"certificates": []}, "validFor": {"end": "2030-01-01T00:00:00Z"}});
    let root = json!({
        "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
        "certificateAuthorities": [entry],
    });
    let refused = TrustRoot::parse(root.to_string().as_bytes());
    assert!(matches!(refused, Err(TrustedRootError::Entry { path: "certificateAuthorities", index: 0, .. })));
}

#[test]
fn tob_sigstore_windows_are_not_borrowed() {
    assert_eq!(Authority::new(Vec::new(), "", around(10, 10)).err(), Some(AuthorityError::Empty));
    let instance = Instance::new();
    let bundle = instance.sign_image(&Digest::sha256(IMAGE));
    let mut trust = instance.trust();
    let retired = vec![instance.tsa.certificate.clone(), instance.tsa_root.certificate.clone()];
    let bystander = root("bystander", around(86_400, 86_400));
    trust.timestamp_authorities =
        vec![authority(retired, around(86_400, -60)), authority(vec![bystander.certificate], around(86_400, 86_400))];
    let refused = verify_image(trust, &bundle);
    let Err(VerifyError::Timestamp { source, .. }) = refused else { panic!("{refused:?}") };
    assert!(matches!(source, TimestampError::OutsideWindow { time: NOW } | TimestampError::NoSignerCertificate));

    let mut trust = instance.trust();
    let retired = Log::of_key("", instance.rekor.public_key().clone(), around(86_400, -60));
    trust.tlogs = vec![retired, Log::of_key("", key().public_key().clone(), around(86_400, 86_400))];
    let refused = verify_image(trust, &bundle);
    assert!(matches!(refused, Err(VerifyError::LogOutsideWindow { time: Some(NOW), .. })), "{refused:?}");
}
