//! Keys of every algorithm, in and out of every file format, and clear refusals.

use sealift_core::crypto::{KeyAlgorithm, KeyError, KeyFileError, Passphrase, PemError, PrivateKey, PublicKey};

use sealift_core::sign::KeySigner;
use sealift_sandbox::conformance;

use crate::support::{private_key, testdata};

fn passphrase(text: &str) -> Passphrase {
    Passphrase::from(text.to_owned())
}

fn never() -> Result<Passphrase, KeyError> {
    panic!("asked for the passphrase of a key that is not encrypted")
}

/// Lets a table compare errors by what they say.
fn message<T: std::fmt::Debug>(result: Result<T, KeyError>) -> String {
    use std::error::Error as _;
    let error = result.unwrap_err();
    error.source().map_or_else(|| error.to_string(), |source| format!("{error}: {source}"))
}

#[tokio::test]
async fn signers_of_every_kind_of_key_keep_the_contract() {
    use KeyAlgorithm::{EcdsaP256, EcdsaP384, EcdsaP521, Ed25519, Rsa2048};
    for algorithm in [EcdsaP256, EcdsaP384, EcdsaP521, Ed25519, Rsa2048] {
        conformance::signer(&KeySigner::new(PrivateKey::generate(algorithm).unwrap())).await;
    }
}

#[test]
fn every_algorithm_signs_and_verifies_and_survives_its_file() {
    for algorithm in KeyAlgorithm::ALL {
        if matches!(algorithm, KeyAlgorithm::Rsa3072 | KeyAlgorithm::Rsa4096) && cfg!(debug_assertions) {
            // Generation takes seconds and tests nothing that 2048 bits do not.
            continue;
        }
        let key = PrivateKey::generate(algorithm).unwrap();
        assert_eq!(key.public_key().algorithm(), algorithm);
        let file = key.to_encrypted_pem(&passphrase("")).unwrap();
        assert!(file.starts_with("-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\n"), "{file}");
        let opened = PrivateKey::from_pem(file.as_bytes(), || Ok(passphrase(""))).unwrap();
        let public_key = PublicKey::from_pem(key.public_key().to_pem().as_bytes()).unwrap();
        let signature = opened.sign(b"message").unwrap();
        assert!(public_key.verify(b"message", &signature).is_ok(), "{algorithm}");
        assert!(public_key.verify(b"massage", &signature).is_err(), "{algorithm}");
        assert!(public_key.verify(b"message", &signature[1..]).is_err(), "{algorithm}");
    }
}

#[test]
fn opens_what_cosign_2_and_3_wrote() {
    for name in ["keys/cosign2", "keys/cosign3"] {
        let key = private_key(&format!("{name}.key"));
        assert_eq!(key.public_key().to_pem().as_bytes(), testdata(&format!("{name}.pub")));
        assert_eq!(key.public_key(), &PublicKey::from_pem(&testdata(&format!("{name}.pub"))).unwrap());
    }
}

#[test]
fn reads_the_label_of_cosign_1() {
    let text = String::from_utf8(testdata("keys/cosign2.key")).unwrap().replace("SIGSTORE", "COSIGN");
    assert!(PrivateKey::from_pem(text.as_bytes(), || Ok(passphrase("test-only passphrase"))).is_ok());
}

#[test]
fn a_second_implementation_agrees() {
    use p256::ecdsa::signature::{Signer as _, Verifier as _};
    use p256::ecdsa::{DerSignature, SigningKey, VerifyingKey};
    use p256::pkcs8::{DecodePublicKey as _, EncodePrivateKey as _};

    let ours = private_key("keys/cosign3.key");
    let theirs = VerifyingKey::from_public_key_pem(&ours.public_key().to_pem()).unwrap();
    let signature = DerSignature::try_from(ours.sign(b"message").unwrap().as_slice()).unwrap();
    assert!(theirs.verify(b"message", &signature).is_ok());

    let theirs = SigningKey::from_slice(&[7; 32]).unwrap();
    let pem = theirs.to_pkcs8_pem(p256::pkcs8::LineEnding::LF).unwrap();
    let ours = PrivateKey::from_pem(pem.as_bytes(), never).unwrap();
    let signature: DerSignature = theirs.sign(b"message");
    assert!(ours.public_key().verify(b"message", signature.as_bytes()).is_ok());
}

#[test]
fn imports_what_openssl_wrote() {
    for (file, algorithm) in [
        ("ecdsa-p256.sec1", KeyAlgorithm::EcdsaP256),
        ("ecdsa-p384.sec1", KeyAlgorithm::EcdsaP384),
        ("ecdsa-p521.pkcs8", KeyAlgorithm::EcdsaP521),
        ("ed25519.pkcs8", KeyAlgorithm::Ed25519),
        ("rsa-2048.pkcs8", KeyAlgorithm::Rsa2048),
        ("rsa-3072.pkcs1", KeyAlgorithm::Rsa3072),
    ] {
        let key = PrivateKey::from_pem(&testdata(&format!("keys/openssl/{file}.pem")), never).unwrap();
        assert_eq!(key.public_key().algorithm(), algorithm, "{file}");
        let signature = key.sign(b"message").unwrap();
        assert!(key.public_key().verify(b"message", &signature).is_ok(), "{file}");
    }
    let info = PublicKey::from_pem(&testdata("keys/openssl/rsa-3072.pub")).unwrap();
    assert_eq!(PublicKey::from_pem(&testdata("keys/openssl/rsa-3072.pkcs1.pub")).unwrap(), info);
    assert_eq!(info.to_pem().as_bytes(), testdata("keys/openssl/rsa-3072.pub"));
}

#[test]
fn private_keys_are_refused_for_one_reason_each() {
    let cosign = String::from_utf8(testdata("keys/cosign3.key")).unwrap();
    let ec = String::from_utf8(testdata("keys/openssl/ecdsa-p384.sec1.pem")).unwrap();
    let without_a_line: String =
        ec.lines().enumerate().filter(|(number, _)| *number != 2).map(|(_, line)| format!("{line}\n")).collect();
    let opened = |text: &str| PrivateKey::from_pem(text.as_bytes(), || Ok(passphrase("wrong")));
    for (text, expected) in [
        (cosign.clone(), "the passphrase does not open the key"),
        (cosign[..cosign.len() / 2].to_owned(), "does not end"),
        (ec[..ec.len() / 2].to_owned(), "does not end"),
        (without_a_line, "malformed or truncated"),
        (String::from_utf8(testdata("keys/cosign3.pub")).unwrap(), "this is a public key"),
        (
            ec.replace("EC PRIVATE KEY", "CERTIFICATE"),
            "found a PEM block `CERTIFICATE` where a private key is expected",
        ),
        (ec.replace("EC PRIVATE KEY", "PRIVATE KEY"), "the PKCS#8 private key is malformed"),
        (ec.replace("EC PRIVATE KEY", "ENCRYPTED PRIVATE KEY"), "PKCS#8 PBES2"),
        (ec.replacen("-----\n", "-----\nProc-Type: 4,ENCRYPTED\n", 1), "the old PEM encryption"),
        (format!("{ec}{ec}"), "several PEM blocks"),
        (String::from_utf8(testdata("keys/openssl/rsa-1024.pkcs8.pem")).unwrap(), "not 1024"),
        (String::from_utf8(testdata("keys/openssl/secp256k1.sec1.pem")).unwrap(), "1.3.132.0.10"),
        (String::new(), "there is no line"),
    ] {
        let message = message(opened(&text));
        assert!(message.contains(expected), "`{message}` should say `{expected}`");
    }
}

#[test]
fn a_passphrase_that_cannot_be_read_is_its_own_error() {
    let error = PrivateKey::from_pem(&testdata("keys/cosign3.key"), || {
        Err(KeyError::PassphraseUnavailable(Box::new(std::io::Error::other("no terminal"))))
    });
    assert!(matches!(error, Err(KeyError::PassphraseUnavailable(_))));
}

#[test]
fn public_keys_are_refused_for_one_reason_each() {
    let good = String::from_utf8(testdata("keys/cosign3.pub")).unwrap();
    for (text, expected) in [
        (good.clone() + &good, "several PEM blocks"),
        (good.clone() + "junk", "text after"),
        (good.replace("PUBLIC KEY", "CERTIFICATE"), "`CERTIFICATE` where a public key is expected"),
        (good.replace("PUBLIC KEY", "RSA PUBLIC KEY"), "the public key is malformed"),
        (good.replacen("MFk", "MFo", 1), "the public key is malformed"),
        (String::from_utf8(testdata("keys/cosign3.key")).unwrap(), "this is a private key"),
        (String::from_utf8(testdata("keys/openssl/ed25519.pkcs8.pem")).unwrap(), "this is a private key"),
        ("x".repeat(1 << 20), "more than 65536 bytes"),
    ] {
        let message = message(PublicKey::from_pem(text.as_bytes()));
        assert!(message.contains(expected), "`{message}` should say `{expected}`");
    }
    let mut trailing = PublicKey::from_pem(good.as_bytes()).unwrap().as_der().to_vec();
    trailing.push(0);
    assert!(matches!(PublicKey::from_der(&trailing), Err(KeyError::Malformed { .. })));
    assert!(matches!(PublicKey::from_pem(b"\xff"), Err(KeyError::Pem(PemError::NoBlock))));
}

#[test]
fn memory_bombs_are_refused_before_the_passphrase_is_asked_for() {
    use base64::Engine as _;
    let file = |n: &str, r: &str, p: &str| {
        let json = format!(
            r#"{{"kdf":{{"name":"scrypt","params":{{"N":{n},"r":{r},"p":{p}}},"salt":"{0}"}},"cipher":{{"name":"nacl/secretbox","nonce":"{0}"}},"ciphertext":"{0}"}}"#,
            "A".repeat(32)
        );
        let body = base64::engine::general_purpose::STANDARD.encode(json);
        format!(
            "-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\n{body}\n-----END ENCRYPTED SIGSTORE PRIVATE KEY-----\n"
        )
    };
    let open = |text: String| PrivateKey::from_pem(text.as_bytes(), || Ok(passphrase("x")));
    for parameters in [
        ("131072", "8", "1"),
        ("65536", "9", "1"),
        ("65536", "8", "5"),
        ("2", "4294967295", "1"),
        ("18446744073709551615", "8", "1"),
        ("9223372036854775808", "8", "1"),
        ("65535", "8", "1"),
        ("0", "8", "1"),
        ("1", "8", "1"),
        ("65536", "8", "0"),
        ("65536", "0", "1"),
    ] {
        let (n, r, p) = parameters;
        let text = file(n, r, p);
        let error = PrivateKey::from_pem(text.as_bytes(), never).unwrap_err();
        assert!(matches!(error, KeyError::File(KeyFileError::Parameters { .. })), "{parameters:?}: {error:?}");
    }
    for n in ["32768", "65536"] {
        assert!(matches!(open(file(n, "8", "1")), Err(KeyError::WrongPassphrase)), "{n}");
    }
    assert!(matches!(open(file("-1", "8", "1")), Err(KeyError::File(KeyFileError::Json(_)))));
}

#[test]
fn secrets_are_not_printed() {
    let key = private_key("keys/cosign3.key");
    let shown = format!("{key:?} {:?}", passphrase("hunter2"));
    assert!(shown.contains("PublicKey(ecdsa-p256") && !shown.contains("hunter2"), "{shown}");
}
