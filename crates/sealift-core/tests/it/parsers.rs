//! Parsers of foreign bytes are total: arbitrary input and damaged good input give an answer, never a panic.

use proptest::prelude::*;
use sealift_core::crypto::{KeyError, PrivateKey, PublicKey};
use sealift_core::dsse::{Envelope, EnvelopeError, MAX_ENVELOPE_BYTES};
use sealift_core::entity::{Bundle, BundleError, MAX_BUNDLE_BYTES, SignedEntity, SimpleSigning};
use sealift_core::oci::{Descriptor, RawManifest, annotation, media_type};
use sealift_core::statement::{MAX_STATEMENT_BYTES, Statement, StatementError, Subject};

use crate::support::testdata;

/// Gives the same bytes to every parser. A private key's passphrase is never given: derivation takes 0.1 s.
fn parse_all(bytes: &[u8]) {
    let _ = Bundle::parse(bytes).map(|bundle| bundle.to_json());
    let _ = Envelope::parse(bytes).map(|envelope| envelope.to_json());
    let _ = Statement::parse(bytes).map(|statement| statement.predicate_as::<serde_json::Value>());
    let _ = SimpleSigning::parse(bytes).map(|payload| payload.to_bytes());
    let _ = PublicKey::from_pem(bytes);
    let _ = PublicKey::from_der(bytes);
    let _ = PrivateKey::from_pem(bytes, || Err(KeyError::WrongPassphrase));
    let text = String::from_utf8_lossy(bytes).into_owned();
    for name in [
        annotation::COSIGN_SIGNATURE,
        annotation::COSIGN_CERTIFICATE,
        annotation::COSIGN_CHAIN,
        annotation::COSIGN_BUNDLE,
        annotation::COSIGN_TIMESTAMP,
    ] {
        let mut layer = Descriptor::of(media_type::SIMPLE_SIGNING, b"");
        layer.annotations.insert(annotation::COSIGN_SIGNATURE.to_owned(), "YQ==".to_owned());
        layer.annotations.insert(name.to_owned(), text.clone());
        let _ = SignedEntity::from_simple_signing_layer(&layer, bytes.to_vec().into());
        let _ = SignedEntity::from_attestation_layer(&layer, bytes.to_vec().into());
    }
}

/// Good input of every kind.
fn seeds() -> Vec<Vec<u8>> {
    [
        "bundles/cosign-image/cosign3-sign.sigstore.json",
        "bundles/cosign-image/cosign3-attest.sigstore.json",
        "bundles/cosign-image/cosign2-sig.layer.json",
        "bundles/cosign-image/cosign2-att.layer.json",
        "keys/cosign3.key",
        "keys/cosign3.pub",
        "keys/openssl/rsa-3072.pkcs1.pem",
        "keys/openssl/ecdsa-p256.sec1.pem",
        "keys/openssl/ecdsa-p521.pkcs8.pem",
        "keys/openssl/ed25519.pkcs8.pem",
    ]
    .into_iter()
    .map(testdata)
    .chain([Bundle::parse(&testdata("bundles/cosign-image/cosign3-sign.sigstore.json"))
        .unwrap()
        .statement()
        .unwrap()
        .to_bytes()
        .to_vec()])
    .collect()
}

/// One way to damage bytes: at a position, given as a fraction.
#[derive(Clone, Debug)]
enum Damage {
    Cut,
    Flip(u8),
    Insert(Vec<u8>),
    Remove(usize),
}

fn damage() -> impl Strategy<Value = (f64, Damage)> {
    let damage = prop_oneof![
        Just(Damage::Cut),
        any::<u8>().prop_map(Damage::Flip),
        prop::collection::vec(any::<u8>(), 1..8).prop_map(Damage::Insert),
        prop::sample::select(vec![&b"\""[..], b"{", b"}", b"[", b",", b"null", b"\\u0000", b"-----BEGIN ", b"\n"])
            .prop_map(|token| Damage::Insert(token.to_vec())),
        (1..40_usize).prop_map(Damage::Remove),
    ];
    (0.0..1.0_f64, damage)
}

fn apply(bytes: &mut Vec<u8>, fraction: f64, damage: Damage) {
    let position = (0..bytes.len()).rev().find(|position| *position as f64 <= fraction * bytes.len() as f64);
    let Some(position) = position else { return };
    match damage {
        Damage::Cut => bytes.truncate(position),
        Damage::Flip(mask) => bytes[position] ^= mask,
        Damage::Insert(inserted) => {
            bytes.splice(position..position, inserted);
        }
        Damage::Remove(count) => {
            bytes.drain(position..bytes.len().min(position + count));
        }
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes_are_answered(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        parse_all(&bytes);
    }

    #[test]
    fn json_of_the_wrong_shape_is_answered(text in r#"[\[\]{}":,0-9a-z\\ ]{0,200}"#) {
        parse_all(text.as_bytes());
    }

    #[test]
    fn damaged_good_input_is_answered(
        seed in prop::sample::select(seeds()),
        damages in prop::collection::vec(damage(), 1..5),
    ) {
        let mut bytes = seed;
        for (fraction, damage) in damages {
            apply(&mut bytes, fraction, damage);
        }
        parse_all(&bytes);
    }

    #[test]
    fn envelopes_survive_writing_and_reading(
        payload_type in "\\PC{0,40}",
        payload in prop::collection::vec(any::<u8>(), 0..200),
        signature in prop::collection::vec(any::<u8>(), 1..100),
    ) {
        let envelope = Envelope::new(payload_type, payload, signature);
        prop_assert_eq!(Envelope::parse(&envelope.to_json().unwrap()).unwrap(), envelope);
    }

    /// Different types and payloads never encode alike, else a signature over one would be one over another.
    #[test]
    fn pre_authentication_is_injective(
        (one_type, one_payload) in ("[a /0-9]{0,6}", "[a 0-9]{0,6}"),
        (other_type, other_payload) in ("[a /0-9]{0,6}", "[a 0-9]{0,6}"),
    ) {
        let encode = |kind: &str, payload: &str| {
            Envelope::new(kind, payload.as_bytes().to_vec(), vec![1]).pre_authentication().to_bytes()
        };
        let are_equal = one_type == other_type && one_payload == other_payload;
        prop_assert_eq!(encode(&one_type, &one_payload) == encode(&other_type, &other_payload), are_equal);
    }
}

#[test]
fn bounds_hold() {
    let subject = |digests: usize| {
        let mut subject = Subject::default();
        subject.digest.extend((0..digests).map(|number| (format!("a{number}"), "00".to_owned())));
        subject
    };
    let statement = |subjects| Statement::new(subjects, "t", &serde_json::Value::Null);
    assert!(statement(vec![subject(32); 1024]).is_ok());
    assert!(matches!(statement(vec![subject(1); 1025]), Err(StatementError::TooMany { limit: 1024, .. })));
    assert!(matches!(statement(vec![subject(33)]), Err(StatementError::TooMany { limit: 32, .. })));
    assert!(matches!(statement(vec![]), Err(StatementError::NoSubject)));

    let large = vec![b' '; MAX_BUNDLE_BYTES + 1];
    assert!(matches!(Bundle::parse(&large), Err(BundleError::TooLarge { .. })));
    assert!(matches!(Envelope::parse(&large[..=MAX_ENVELOPE_BYTES]), Err(EnvelopeError::TooLarge { .. })));
    assert!(matches!(Statement::parse(&large[..=MAX_STATEMENT_BYTES]), Err(StatementError::TooLarge { .. })));
    // The whole range of real sizes passes: an SBOM that fills a statement fits into an envelope and a bundle.
    let sbom = "x".repeat(MAX_STATEMENT_BYTES - 1024);
    let statement = Statement::new(vec![subject(1)], "t", &sbom).unwrap();
    let envelope = Envelope::new(media_type::IN_TOTO, statement.to_bytes(), vec![0; 512]).to_json().unwrap();
    assert!(Envelope::parse(&envelope).is_ok());

    let deep = "[".repeat(100_000);
    parse_all(deep.as_bytes());
    parse_all(format!(r#"{{"_type":"https://in-toto.io/Statement/v1","predicate":{deep}"#).as_bytes());
    let manifest = RawManifest::new(media_type::IMAGE_MANIFEST, deep.into_bytes());
    assert!(manifest.parse().is_err());
}
