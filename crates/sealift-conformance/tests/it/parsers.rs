//! Parsers of foreign bytes return, whatever the bytes: random ones, and real ones with a piece exchanged.

use std::sync::LazyLock;

use proptest::collection::vec;
use proptest::prelude::*;
use sealift_core::entity::{Bundle, SignedEntity};
use sealift_core::identity::IdentityMatcher;
use sealift_core::json_canonical::to_canonical_json;
use sealift_core::oci::Digest;
use sealift_core::timestamp::TimestampResponse;
use sealift_core::tlog::checkpoint::Checkpoint;
use sealift_core::tlog::entry::LoggedSignature;
use sealift_core::trust::TrustRoot;
use sealift_core::verify::{Artifact, Claim, Requirements, Verifier};
use sealift_core::x509::{Certificate, FulcioExtensions, SignedCertificateTimestamp};

use crate::maker::{Instance, NOW};
use crate::shared::base64;

/// Real input of every kind.
struct Seeds {
    bundle: Vec<u8>,
    certificate: Vec<u8>,
    checkpoint: Vec<u8>,
    entry: Vec<u8>,
    timestamp: Vec<u8>,
    trust: TrustRoot,
}

static SEEDS: LazyLock<Seeds> = LazyLock::new(|| {
    let instance = Instance::new();
    let bundle = instance.sign_image(&Digest::sha256(b"the image"));
    let material = &bundle["verificationMaterial"];
    let text = |value: &serde_json::Value| value.as_str().expect("it is text").to_owned();
    Seeds {
        certificate: base64(&text(&material["certificate"]["rawBytes"])),
        checkpoint: text(&material["tlogEntries"][0]["inclusionProof"]["checkpoint"]["envelope"]).into_bytes(),
        entry: base64(&text(&material["tlogEntries"][0]["canonicalizedBody"])),
        timestamp: instance.timestamp(b"signature", NOW),
        trust: instance.trust(),
        bundle: bundle.to_string().into_bytes(),
    }
});

/// Puts `piece` over the bytes at a part of the length.
fn exchanged(seed: &[u8], at: f64, piece: &[u8], cut: bool) -> Vec<u8> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a position for a test"
    )]
    let start = (at * seed.len() as f64) as usize;
    let end = if cut { seed.len() } else { seed.len().min(start + piece.len()) };
    [&seed[..start.min(end)], piece, &seed[end..]].concat()
}

fn read_all(bytes: &[u8]) {
    let _ = TimestampResponse::parse(bytes).map(|response| response.stated_time());
    let _ = TrustRoot::parse(bytes);
    let _ = TrustRoot::parse_lines(bytes);
    let _ = LoggedSignature::parse("dsse", "0.0.1", bytes);
    if let Ok(certificate) = Certificate::from_der(bytes) {
        let _ = FulcioExtensions::of(&certificate);
        let _ = SignedCertificateTimestamp::embedded_in(&certificate);
        let _ = certificate.subject_names();
        let _ = certificate.public_key();
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = Checkpoint::parse(text);
        let _ = Certificate::chain_from_pem(text);
    }
    if let Ok(value) = serde_json::from_slice(bytes) {
        let canonical = to_canonical_json(&value);
        let again = serde_json::from_str(&canonical).expect("canonical JSON is JSON");
        assert_eq!(to_canonical_json(&again), canonical);
    }
}

proptest! {
    #[test]
    fn random_bytes(bytes in vec(any::<u8>(), 0..400)) {
        read_all(&bytes);
    }

    #[test]
    fn exchanged_pieces(which in 0..4usize, at in 0.0..1.0f64, piece in vec(any::<u8>(), 0..8), cut: bool) {
        let seeds = [&SEEDS.certificate, &SEEDS.checkpoint, &SEEDS.entry, &SEEDS.timestamp];
        read_all(&exchanged(seeds[which], at, &piece, cut));
    }

    #[test]
    fn exchanged_pieces_of_a_bundle_never_verify_as_something_else(at in 0.0..1.0f64, piece in "[ -~]{0,6}") {
        let bytes = exchanged(&SEEDS.bundle, at, piece.as_bytes(), false);
        if let Ok(bundle) = Bundle::parse(&bytes) {
            let verifier = Verifier::new(Requirements::default()).with_trust_root(SEEDS.trust.clone());
            let artifact = Digest::sha256(b"another image");
            let anyone = IdentityMatcher::any_identity_unsafe();
            let entity = SignedEntity::from(bundle);
            prop_assert!(verifier.verify(&entity, &Artifact::Digest(&artifact), &anyone, &Claim::ImageSignature).is_err());
        }
    }
}
