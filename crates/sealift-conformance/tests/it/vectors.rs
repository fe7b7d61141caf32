//! Third parties' vectors: signatures, chains, proofs, canonical JSON, timestamps.

use std::collections::BTreeMap;
use std::path::Path;

use sealift_core::crypto::{PublicKey, SignatureScheme};
use sealift_core::json_canonical::to_canonical_json;
use sealift_core::oci::DigestAlgorithm;
use sealift_core::timestamp::{TimestampError, TimestampResponse};
use sealift_core::tlog::merkle::{Hash, verify_consistency, verify_inclusion};
use sealift_core::trust::Authority;
use sealift_core::x509::{Certificate, Usage, Validity, verify_chain};
use serde_json::Value;

use crate::shared::{base64, entries, files, hex, json, read, text, vectors};

#[test]
fn wycheproof() {
    let Some(folder) = vectors("wycheproof") else { return };
    let mut counts = BTreeMap::new();
    for path in entries(&folder) {
        let file = json(&path);
        for group in file["testGroups"].as_array().expect("there are groups") {
            let key = hex(group["publicKeyDer"].as_str().expect("a group has a key"));
            for test in group["tests"].as_array().expect("a group has tests") {
                let message = hex(test["msg"].as_str().expect("a test has a message"));
                let signature = hex(test["sig"].as_str().expect("a test has a signature"));
                let is_valid = is_valid(group, &key, &message, &signature);
                let result = test["result"].as_str().expect("a test has a result");
                // `acceptable` leaves it to the implementation.
                let is_right = result == "acceptable" || is_valid == (result == "valid");
                assert!(is_right, "{} {}", path.display(), test["tcId"]);
                *counts.entry(result.to_owned()).or_insert(0) += 1;
            }
        }
    }
    println!("wycheproof: {counts:?}");
    assert!(counts["valid"] > 0 && counts["invalid"] > 0);
}

fn is_valid(group: &Value, key: &[u8], message: &[u8], signature: &[u8]) -> bool {
    let digest = match group["sha"].as_str() {
        Some("SHA-384") => DigestAlgorithm::Sha384,
        Some("SHA-512") => DigestAlgorithm::Sha512,
        _ => DigestAlgorithm::Sha256,
    };
    let scheme = match group["type"].as_str() {
        Some("EcdsaVerify") => SignatureScheme::Ecdsa(digest),
        Some("EddsaVerify") => SignatureScheme::Ed25519,
        Some("RsassaPkcs1Verify") => SignatureScheme::RsaPkcs1(digest),
        Some("RsassaPssVerify") => SignatureScheme::RsaPss(digest),
        other => panic!("unknown type {other:?}"),
    };
    let is_valid = scheme.is_valid(key, message, signature);
    // Keys of users go through another door, with the same verdict; it has no RSASSA-PSS.
    if !matches!(scheme, SignatureScheme::RsaPss(_)) && digest == DigestAlgorithm::Sha256 {
        let by_key = PublicKey::from_der(key).is_ok_and(|key| key.verify(message, signature).is_ok());
        assert_eq!(by_key, is_valid);
    }
    is_valid
}

#[test]
fn merkle_proofs() {
    let Some(folder) = vectors("merkle") else { return };
    let mut counts = [0, 0];
    for path in files(&folder) {
        let vector = json(&path);
        let number = |name: &str| vector[name].as_u64();
        let hash = |name: &str| Hash::try_from(base64(vector[name].as_str().unwrap_or_default()));
        let proof: Result<Vec<Hash>, _> = vector["proof"]
            .as_array()
            .map_or(&[][..], Vec::as_slice)
            .iter()
            .map(|node| Hash::try_from(base64(node.as_str().expect("a node is text"))))
            .collect();
        let is_valid = proof.is_ok_and(|proof| {
            if vector.get("leafIdx").is_some() {
                let leaf = (number("leafIdx"), number("treeSize"), hash("leafHash"), hash("root"));
                matches!(leaf, (Some(index), Some(size), Ok(leaf), Ok(root))
                    if verify_inclusion(index, size, &leaf, &proof, &root).is_ok())
            } else {
                let trees = (number("size1"), number("size2"), hash("root1"), hash("root2"));
                matches!(trees, (Some(size1), Some(size2), Ok(root1), Ok(root2))
                    if verify_consistency(size1, size2, &proof, &root1, &root2).is_ok())
            }
        });
        let wants_error = vector["wantErr"].as_bool().expect("a vector says what it wants");
        assert_eq!(is_valid, !wants_error, "{}", path.display());
        counts[usize::from(is_valid)] += 1;
    }
    println!("merkle: {} invalid, {} valid", counts[0], counts[1]);
    assert!(counts.iter().all(|count| *count > 0));
}

#[test]
fn canonical_json() {
    let Some(folder) = vectors("rfc8785") else { return };
    let inputs = entries(&folder.join("input"));
    assert!(!inputs.is_empty());
    for input in inputs {
        let output = folder.join("output").join(input.file_name().expect("an input has a name"));
        assert_eq!(to_canonical_json(&json(&input)), text(&output), "{}", input.display());
    }
}

#[test]
fn timestamps() {
    let Some(folder) = vectors("rfc3161") else { return };
    let staging = folder.join("sigstage");
    let authority = authority(&staging.join("ts_chain.pem"));
    for name in ["sha256", "sha384", "sha512", "no-embedded-cert"] {
        let response = TimestampResponse::parse(&read(staging.join(format!("response-{name}.tsr")))).expect(name);
        assert_eq!(response.verify(b"hello", &authority).expect(name).time, response.stated_time(), "{name}");
        assert!(matches!(response.verify(b"hallo", &authority), Err(TimestampError::Imprint)), "{name}");
    }
    let invalid = TimestampResponse::parse(&read(staging.join("response-invalid-signature.tsr"))).expect("it parses");
    assert!(matches!(invalid.verify(b"hello", &authority), Err(TimestampError::Signature)));
    // The chain has expired since; what counts is the time that was stamped.
    let mock = folder.join("sigstore.mock");
    let expired = TimestampResponse::parse(&read(mock.join("response-expired.tsr"))).expect("it parses");
    let verified = expired.verify(&read(mock.join("payload")), &self::authority(&mock.join("ts_chain.pem")));
    let stamped: sealift_core::x509::UnixTime = 1_675_209_600;
    assert_eq!(verified.expect("it verifies").time / 86_400, stamped / 86_400);
}

/// Returns the authority of a PEM chain, its own certificate first.
fn authority(path: &Path) -> Authority {
    let chain = Certificate::chain_from_pem(&text(path)).expect("a chain is PEM");
    Authority::new(chain, "", Validity::new(0, None)).expect("a chain ends in a root")
}

#[test]
fn every_flipped_bit_of_a_timestamp_is_refused() {
    let Some(folder) = vectors("rfc3161/sigstage") else { return };
    let authority = authority(&folder.join("ts_chain.pem"));
    for name in ["sha256", "no-embedded-cert"] {
        let good = read(folder.join(format!("response-{name}.tsr")));
        for position in 0..good.len() * 8 {
            let mut bytes = good.clone();
            bytes[position / 8] ^= 1 << (position % 8);
            let verified = TimestampResponse::parse(&bytes).and_then(|response| response.verify(b"hello", &authority));
            assert!(verified.is_err(), "{name}: bit {} of byte {}", position % 8, position / 8);
        }
        println!("{name}: {} mutants refused", good.len() * 8);
    }
}

/// Every case of x509-limbo has the verdict that it wants, but for those listed below with the reason; one that needs no
/// excuse any more fails, too.
#[test]
fn x509_limbo() {
    let Some(folder) = vectors("x509-limbo") else { return };
    let limbo = json(folder.join("limbo.json"));
    let cases = limbo["testcases"].as_array().expect("there are cases");
    let (mut excused, mut surprises) = (0, Vec::new());
    for case in cases {
        let id = case["id"].as_str().expect("a case has a name");
        let result = verify_limbo(case, Usage::Any);
        let is_as_wanted = result.is_ok() == (case["expected_result"] == "SUCCESS");
        let reason = OTHERWISE.iter().find(|(_, ids)| ids.contains(&id)).map(|(reason, _)| *reason);
        match (is_as_wanted, reason) {
            (true, None) => {}
            (false, Some(_)) => excused += 1,
            _ => surprises.push(format!("{id}: {result:?}, {reason:?}")),
        }
        let is_refused_elsewhere = match reason {
            Some(PURPOSE) => verify_limbo(case, Usage::CodeSigning).is_err_and(|error| error.contains("Purpose")),
            Some(NAMES) => read_limbo(&case["peer_certificate"])
                .is_ok_and(|leaf| leaf.subject_names().is_ok_and(|names| names.is_empty())),
            _ => true,
        };
        assert!(is_refused_elsewhere, "{id}");
    }
    assert!(surprises.is_empty(), "{}", surprises.join("\n"));
    assert_eq!(excused, OTHERWISE.iter().map(|(_, ids)| ids.len()).sum::<usize>(), "a case that is no more");
    println!("limbo: {} as wanted, {excused} otherwise for a reason", cases.len() - excused);
}

fn verify_limbo(case: &Value, usage: Usage) -> Result<(), String> {
    let read_all = |field: &str| -> Result<Vec<Certificate>, String> {
        case[field].as_array().map_or(&[][..], Vec::as_slice).iter().map(read_limbo).collect()
    };
    let time = case["validation_time"].as_str().unwrap_or("2024-11-01T00:00:00Z");
    let time = time.parse::<jiff::Timestamp>().expect("a time is RFC 3339").as_second();
    let leaf = read_limbo(&case["peer_certificate"])?;
    let (roots, others) = (read_all("trusted_certs")?, read_all("untrusted_intermediates")?);
    verify_chain(&leaf, &others, &roots, time, usage).map(drop).map_err(|error| format!("{error:?}"))
}

fn read_limbo(pem: &Value) -> Result<Certificate, String> {
    let chain = Certificate::chain_from_pem(pem.as_str().expect("a certificate is PEM"));
    chain.map(|mut chain| chain.remove(0)).map_err(|error| error.to_string())
}

/// Refused where verification asks for its own purpose, as it always does.
const PURPOSE: &str = "the purpose is that of TLS, and here the caller says which one counts";
/// Refused in step 3, which comes after the path.
const NAMES: &str = "there are no names that could be an identity's: the path does not ask";

/// Cases whose verdict is another one here, and why that is meant.
const OTHERWISE: [(&str, &[&str]); 9] = [
    (PURPOSE, &["rfc5280::eku::ee-wrong-eku", "webpki::eku::ee-anyeku", "webpki::eku::ee-without-eku"]),
    (NAMES, &["webpki::san::no-san"]),
    (
        "names of TLS peers and their wildcards: no connection is made to anybody by a certificate verified here, and \
         identities are compared whole",
        &[
            "rfc5280::san::underscore-dns",
            "webpki::cn::case-mismatch",
            "webpki::cn::ipv4-hex-mismatch",
            "webpki::cn::ipv6-uncompressed-mismatch",
            "webpki::cn::punycode-not-in-san",
            "webpki::san::mismatch-apex-subdomain-san",
            "webpki::san::mismatch-subdomain-apex-san",
            "webpki::san::public-suffix-private-namespace-wildcard-san",
            "webpki::san::public-suffix-wildcard-san",
            "webpki::san::san-wildcard-only",
            "webpki::san::san-wildcard-only-tld",
            "webpki::san::wildcard-match-across-labels-san",
            "webpki::san::wildcard-not-in-leftmost-san",
        ],
    ),
    (
        "key identifiers help to find a path, and prove nothing: issuers are found by name and signature",
        &[
            "rfc5280::aki::cross-signed-root-missing-aki",
            "rfc5280::aki::intermediate-missing-aki",
            "rfc5280::ski::root-missing-ski",
            "webpki::aki::root-with-aki-all-fields",
            "webpki::aki::root-with-aki-authoritycertserialnumber",
            "webpki::aki::root-with-aki-missing-keyidentifier",
        ],
    ),
    (
        "revocation lists: Sigstore's certificates last minutes, and authorities are taken out of the trust root",
        &["crl::crlnumber-critical", "crl::issuer-missing-crlsign"],
    ),
    ("where an authority tells more about itself is never read", &["webpki::malformed-aia"]),
    (
        "constraints on names in forms that RFC 5280 forbids and authorities use; they limit what they say, and the \
         case of the same name in `webpki::nc` wants it so",
        &["rfc5280::nc::invalid-dnsname-leading-period", "rfc5280::nc::permitted-dns-match-noncritical"],
    ),
    (
        "constraints on kinds of names that are not understood refuse everything under them",
        &[
            "rfc5280::nc::nc-permits-email-exact",
            "rfc5280::nc::nc-permits-email-literal-asterisk-exact-match",
            "rfc5280::nc::nc-permits-email-literal-mid-asterisk",
            "rfc5280::nc::permitted-dn-match",
        ],
    ),
    (
        "constraints hold for self-issued authorities, too: the exception for changes of keys is not made",
        &["rfc5280::nc::permitted-self-issued"],
    ),
];

#[test]
fn certificates_are_authorities_or_signers_by_their_extensions() {
    let Some(folder) = vectors("x509-sigstore-python") else { return };
    for path in entries(&folder) {
        let certificate = Certificate::chain_from_pem(&text(&path)).expect("a certificate is PEM").remove(0);
        let name = path.file_stem().expect("a file has a name").to_string_lossy().into_owned();
        let is_signer = !certificate.is_authority() && certificate.may_sign() && certificate.is_for_code_signing();
        assert_eq!(is_signer, name == "bogus-leaf", "{name}");
        let may_issue = matches!(&*name, "bogus-root" | "bogus-intermediate" | "bogus-intermediate-with-eku");
        assert_eq!(certificate.may_issue(), may_issue, "{name}");
    }
}
