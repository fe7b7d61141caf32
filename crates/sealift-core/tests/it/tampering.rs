//! Our own bundle, changed in every way: refused, or of exactly the same meaning.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sealift_core::crypto::{KeyAlgorithm, PublicKey};
use sealift_core::entity::{Bundle, BundleError};
use sealift_core::oci::Digest;
use sealift_core::sign::sign;
use sealift_core::statement::Statement;
use sealift_core::verify::{Claim, Verified};
use serde_json::Value;

use crate::support::{signer, verify};

struct Signed {
    json: String,
    digest: Digest,
    key: PublicKey,
    original: Verified,
}

async fn signed(algorithm: KeyAlgorithm) -> Signed {
    let (signer, key) = signer(algorithm);
    let digest = Digest::sha256(b"artifact");
    let statement = Statement::image_signature(&digest, [("env".to_owned(), "prod".to_owned())].into()).unwrap();
    let bundle = sign(&statement, &signer, &[]).await.unwrap();
    let json = bundle.to_json().unwrap();
    let original = verify(&bundle.into(), &digest, &key, &Claim::ImageSignature).unwrap();
    Signed { json, digest, key, original }
}

impl Signed {
    /// Says whether changed bytes verify; panics when they verify and mean something else.
    fn is_accepted(&self, json: &[u8], what: &str) -> bool {
        let Ok(bundle) = Bundle::parse(json) else { return false };
        let Ok(verified) = verify(&bundle.into(), &self.digest, &self.key, &Claim::ImageSignature) else {
            return false;
        };
        assert_eq!(verified.payload(), self.original.payload(), "{what}");
        assert_eq!(verified.digest(), self.original.digest(), "{what}");
        assert_eq!(verified.annotations(), self.original.annotations(), "{what}");
        assert_eq!(verified.signer(), self.original.signer(), "{what}");
        assert_eq!(verified.statement(), self.original.statement(), "{what}");
        true
    }
}

#[tokio::test]
async fn every_flipped_byte() {
    for algorithm in [KeyAlgorithm::EcdsaP256, KeyAlgorithm::Ed25519] {
        let signed = signed(algorithm).await;
        let mut accepted = Vec::new();
        for position in 0..signed.json.len() {
            for mask in [1, 0x20, 0x80] {
                let mut json = signed.json.clone().into_bytes();
                json[position] ^= mask;
                if signed.is_accepted(&json, &format!("byte {position} ^ {mask:#x}")) {
                    accepted.push(position);
                }
            }
        }
        // Only what nobody signed and nobody relies on may change: the hint, and the name and value of `keyid`.
        let hint = signed.json.find("\"hint\":\"").unwrap() + 8;
        let hint = hint..signed.json[hint..].find('"').unwrap() + hint;
        let key_id = signed.json.find("keyid").unwrap();
        for position in accepted {
            let is_unsigned = hint.contains(&position) || (key_id..key_id + "keyid".len()).contains(&position);
            assert!(is_unsigned, "byte {position} of {}", signed.json);
        }
    }
}

#[tokio::test]
async fn every_dropped_field() {
    let signed = signed(KeyAlgorithm::EcdsaP256).await;
    let original: Value = serde_json::from_str(&signed.json).unwrap();
    for (pointer, is_accepted) in [
        ("/mediaType", false),
        ("/verificationMaterial", false),
        ("/verificationMaterial/publicKey", false),
        ("/verificationMaterial/publicKey/hint", true),
        ("/dsseEnvelope", false),
        ("/dsseEnvelope/payload", false),
        ("/dsseEnvelope/payloadType", false),
        ("/dsseEnvelope/signatures", false),
        ("/dsseEnvelope/signatures/0/sig", false),
        ("/dsseEnvelope/signatures/0/keyid", true),
    ] {
        let (parent, field) = pointer.rsplit_once('/').unwrap();
        let mut changed = original.clone();
        assert!(changed.pointer_mut(parent).unwrap().as_object_mut().unwrap().remove(field).is_some(), "{pointer}");
        assert_eq!(signed.is_accepted(changed.to_string().as_bytes(), pointer), is_accepted, "without {pointer}");
        let mut changed = original.clone();
        *changed.pointer_mut(pointer).unwrap() = Value::Null;
        let is_null_accepted = is_accepted && pointer.ends_with("keyid");
        assert_eq!(signed.is_accepted(changed.to_string().as_bytes(), pointer), is_null_accepted, "null {pointer}");
    }
}

#[tokio::test]
async fn everything_twice_and_everything_added() {
    let signed = signed(KeyAlgorithm::EcdsaP256).await;
    let (_, other) = signer(KeyAlgorithm::EcdsaP256);
    let signature_start = signed.json.find("{\"sig\"").unwrap();
    let signature = &signed.json[signature_start..signed.json.find("]}").unwrap()];
    let message = r#","messageSignature":{"signature":"YQ=="}}"#;
    let key = r#""publicKey":{"#;
    for (what, from, to) in [
        ("signature twice", signature, format!("{signature},{signature}")),
        ("a forged signature first", signature, format!(r#"{{"sig":"YQ=="}},{signature}"#)),
        ("both contents", "]}}", format!("]}}{message}")),
        ("the envelope twice", r#""dsseEnvelope":"#, r#""dsseEnvelope":{},"dsseEnvelope":"#.to_owned()),
        ("the payload twice", r#""payload":"#, r#""payload":"YQ==","payload":"#.to_owned()),
        ("key and certificate", key, format!(r#""certificate":{{"rawBytes":"YQ=="}},{key}"#)),
        ("an unknown field", key, format!(r#""publicKeys":1,{key}"#)),
        ("an unknown field on top", r#"{"mediaType""#, r#"{"MediaType":"","mediaType""#.to_owned()),
        ("another payload type", "application/vnd.in-toto+json", "application/vnd.in-toto".to_owned()),
        ("version 0.4", "bundle.v0.3", "bundle.v0.4".to_owned()),
        ("trailing bytes", "]}}", "]}}x".to_owned()),
        ("a second bundle", "]}}", format!("]}}}}{}", signed.json)),
        ("a line break in base64", r#""payload":"ey"#, r#""payload":"e\ny"#.to_owned()),
        ("no content", r#""dsseEnvelope""#, r#""dsseEnvelop""#.to_owned()),
    ] {
        let changed = signed.json.replacen(from, &to, 1);
        assert_ne!(changed, signed.json, "{what}");
        assert!(!signed.is_accepted(changed.as_bytes(), what), "{what}");
    }
    for (what, from, to) in [
        ("another key's hint", signed.key.key_id(), other.key_id()),
        ("the other spelling of version 0.3", ".v0.3+json".to_owned(), "+json;version=0.3".to_owned()),
        ("white space", ",".to_owned(), ", \n\t".to_owned()),
        ("empty lists", "\"publicKey\"".to_owned(), "\"tlogEntries\":[],\"publicKey\"".to_owned()),
    ] {
        let changed = signed.json.replacen(&from, &to, 1);
        assert_ne!(changed, signed.json, "{what}");
        assert!(signed.is_accepted(changed.as_bytes(), what), "{what}");
    }
}

#[tokio::test]
async fn too_many_log_entries_and_timestamps() {
    let signed = signed(KeyAlgorithm::EcdsaP256).await;
    let entry = |index: usize| {
        format!(
            r#"{{"logIndex":{index},"logId":{{"keyId":""}},"kindVersion":{{"kind":"k","version":"1"}},"inclusionProof":{{"rootHash":"","treeSize":"1","checkpoint":{{"envelope":"c"}}}},"canonicalizedBody":""}}"#
        )
    };
    let with = |field: String| signed.json.replacen(r#""publicKey""#, &format!(r#"{field},"publicKey""#), 1);
    let entries = |count: usize| {
        let entries: Vec<_> = (0..count).map(entry).collect();
        with(format!(r#""tlogEntries":[{}]"#, entries.join(",")))
    };
    let timestamps = |count: u8| {
        let timestamp = |number: u8| format!(r#"{{"signedTimestamp":"{}"}}"#, STANDARD.encode([number]));
        let timestamps: Vec<_> = (0..count).map(timestamp).collect();
        with(format!(r#""timestampVerificationData":{{"rfc3161Timestamps":[{}]}}"#, timestamps.join(",")))
    };
    for json in [entries(32), timestamps(32)] {
        assert!(Bundle::parse(json.as_bytes()).is_ok());
    }
    for json in [entries(33), timestamps(33), entries(1000)] {
        assert!(matches!(Bundle::parse(json.as_bytes()), Err(BundleError::TooMany { limit: 32, .. })));
    }
    let repeated = with(format!(r#""tlogEntries":[{0},{0}]"#, entry(1)));
    assert!(matches!(Bundle::parse(repeated.as_bytes()), Err(BundleError::RepeatedLogEntry { position: 1 })));
}
