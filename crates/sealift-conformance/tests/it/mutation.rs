//! Every part of a bundle dropped, doubled, swapped with another bundle's or changed by a bit: all refused, each with
//! its step.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sealift_core::entity::Bundle;
use sealift_core::oci::Digest;
use sealift_core::verify::{Artifact, Claim, LogRequirement, ProofRequirement, Requirements, Verifier, VerifyError};
use serde_json::Value;

use crate::maker::{EMAIL, ISSUER, Instance};
use crate::shared::base64;
use crate::special::signer;

/// Demands everything that the bundle has, so that nothing of it is dispensable.
fn requirements() -> Requirements {
    Requirements::default()
        .with_transparency_log(LogRequirement::Required)
        .with_proof(ProofRequirement::Inclusion)
        .with_timestamps(1)
}

struct Laboratory {
    verifier: Verifier,
    digest: Digest,
    refused: BTreeMap<String, usize>,
}

impl Laboratory {
    /// Verifies, and says why not.
    fn refusal(&self, bundle: &str) -> Option<String> {
        let step = |error: &VerifyError| error.step().map_or("claim".to_owned(), |step| format!("step {step}"));
        let Ok(parsed) = Bundle::parse(bundle.as_bytes()) else { return Some("structure".to_owned()) };
        let artifact = Artifact::Digest(&self.digest);
        let verified = self.verifier.verify(&parsed.into(), &artifact, &signer(EMAIL, ISSUER), &Claim::ImageSignature);
        verified.err().as_ref().map(step)
    }

    fn must_refuse(&mut self, what: &str, bundle: &Value) {
        let Some(step) = self.refusal(&bundle.to_string()) else { panic!("accepted: {what}") };
        *self.refused.entry(step).or_default() += 1;
    }
}

#[test]
fn no_mutant_of_a_bundle_is_accepted() {
    let instance = Instance::new();
    let digest = Digest::sha256(b"the image");
    let good = instance.sign_image(&digest);
    let verifier = Verifier::new(requirements()).with_trust_root(instance.trust());
    let mut laboratory = Laboratory { verifier, digest: digest.clone(), refused: BTreeMap::new() };
    assert_eq!(laboratory.refusal(&good.to_string()), None);

    // Another genuine bundle of the same instance and signer, for the same image and for another one.
    for other in [instance.sign_image(&digest), instance.sign_image(&Digest::sha256(b"another image"))] {
        for path in paths(&good) {
            let mut mutant = good.clone();
            let donor = other.pointer(&path).expect("both have the same shape").clone();
            let place = mutant.pointer_mut(&path).expect("the path exists");
            if *place != donor {
                *place = donor;
                // The signatures of both are good: exchanging all of one for all of the other is no mutant.
                if mutant != other {
                    laboratory.must_refuse(&format!("{path} swapped"), &mutant);
                }
            }
        }
    }
    for path in paths(&good) {
        laboratory.change(&good, &path);
    }
    let total: usize = laboratory.refused.values().sum();
    println!("{total} mutants, none accepted; refused by {:?}", laboratory.refused);
    assert!(total > 10_000);
}

impl Laboratory {
    fn change(&mut self, good: &Value, path: &str) {
        let (parent, name) = path.rsplit_once('/').expect("a path has a parent");
        let mut dropped = good.clone();
        match dropped.pointer_mut(parent).expect("the parent exists") {
            Value::Object(members) => drop(members.remove(name)),
            Value::Array(items) => {
                let item = items.remove(0);
                let mut doubled = good.clone();
                doubled.pointer_mut(parent).and_then(Value::as_array_mut).expect("an array").push(item);
                self.must_refuse(&format!("{path} doubled"), &doubled);
            }
            other => panic!("{other} has no members"),
        }
        if !is_dispensable(path) {
            self.must_refuse(&format!("{path} dropped"), &dropped);
        }
        let Some(Value::String(text)) = good.pointer(path) else { return };
        if is_dispensable(path) {
            return;
        }
        let put = |text: String| {
            let mut mutant = good.clone();
            *mutant.pointer_mut(path).expect("the path exists") = Value::String(text);
            mutant
        };
        if is_bytes(path) {
            let bytes = base64(text);
            for bit in 0..bytes.len() * 8 {
                let mut changed = bytes.clone();
                changed[bit / 8] ^= 1 << (bit % 8);
                self.must_refuse(&format!("{path} bit {bit}"), &put(STANDARD.encode(changed)));
            }
            self.must_refuse(&format!("{path} shortened"), &put(STANDARD.encode(&bytes[1..])));
            self.must_refuse(&format!("{path} lengthened"), &put(STANDARD.encode([&bytes[..], &[0]].concat())));
        } else {
            for (index, character) in text.char_indices() {
                let other = if character == '1' { '2' } else { '1' };
                let mut changed = text.clone();
                changed.replace_range(index..index + character.len_utf8(), &other.to_string());
                self.must_refuse(&format!("{path} character {index}"), &put(changed));
            }
        }
    }
}

/// The key's name in an envelope, which DSSE leaves unsigned and unused.
fn is_dispensable(path: &str) -> bool {
    path.ends_with("/keyid")
}

fn is_bytes(path: &str) -> bool {
    const BYTES: [&str; 9] = [
        "rawBytes",
        "keyId",
        "signedEntryTimestamp",
        "rootHash",
        "canonicalizedBody",
        "signedTimestamp",
        "payload",
        "sig",
        "hashes/0",
    ];
    BYTES.iter().any(|name| path.ends_with(&format!("/{name}")))
}

/// Returns the path of every member and element.
fn paths(value: &Value) -> Vec<String> {
    let children: Vec<(String, &Value)> = match value {
        Value::Object(members) => members.iter().map(|(name, child)| (name.clone(), child)).collect(),
        Value::Array(items) => items.iter().enumerate().map(|(index, child)| (index.to_string(), child)).collect(),
        _ => Vec::new(),
    };
    let mut found = Vec::new();
    for (name, child) in children {
        found.push(format!("/{name}"));
        found.extend(paths(child).into_iter().map(|path| format!("/{name}{path}")));
    }
    found
}
