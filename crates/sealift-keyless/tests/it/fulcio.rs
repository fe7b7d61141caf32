//! Certificates: from the sandbox's authority, and from one that answers wrongly.

use std::time::Duration;

use sealift_core::crypto::{KeyAlgorithm, PrivateKey};
use sealift_core::sign::{Signer as _, SigningCertificate};
use sealift_core::x509::SignedCertificateTimestamp;
use sealift_keyless::oidc::{IdentityToken, TokenError};
use sealift_keyless::{FulcioClient, FulcioSigner, fulcio::FulcioError};
use sealift_sandbox::conformance;
use sealift_sandbox::sigstore::{Fault, Identity, Service as Place, Sigstore, SigstoreOptions, Times};
use serde_json::{Value, json};
use url::Url;

use crate::support::{Service, sigstore_token, transport};

fn sandbox() -> (Sigstore, FulcioClient) {
    let sigstore = Sigstore::start(SigstoreOptions::default()).unwrap();
    let client = FulcioClient::new(Url::parse(&sigstore.urls().fulcio).unwrap(), transport());
    (sigstore, client)
}

fn token(sigstore: &Sigstore, identity: &Identity) -> IdentityToken {
    IdentityToken::parse(&sigstore.mint(identity).unwrap()).unwrap()
}

#[tokio::test]
async fn certifies_keys_of_every_algorithm_that_the_authority_takes() {
    let (sigstore, client) = sandbox();
    let token = token(&sigstore, &Identity::email("dev@example.com"));
    for algorithm in [KeyAlgorithm::EcdsaP256, KeyAlgorithm::EcdsaP384, KeyAlgorithm::Ed25519, KeyAlgorithm::Rsa2048] {
        let key = PrivateKey::generate(algorithm).unwrap();
        let certificate = client.signing_certificate(&token, &key).await.unwrap();
        assert_eq!(certificate.public_key(), key.public_key(), "{algorithm}");
        assert_eq!(certificate.issuers().len(), 2);
        let promises = SignedCertificateTimestamp::embedded_in(certificate.certificate()).unwrap();
        assert_eq!(promises.len(), 1);
    }
}

#[tokio::test]
async fn certificates_say_whose_the_key_is() {
    let (sigstore, client) = sandbox();
    for identity in [
        Identity::email("dev@example.com"),
        Identity::workflow("acme/app"),
        Identity::Spiffe { id: "spiffe://sandbox.example/build".to_owned() },
        Identity::Username { name: "dev".to_owned() },
    ] {
        let signer = FulcioSigner::certify(&client, &token(&sigstore, &identity)).await.unwrap();
        let names = signer.certificate().certificate().subject_names().unwrap();
        assert_eq!(names.iter().map(|name| name.as_str()).collect::<Vec<_>>(), [identity.subject()]);
    }
}

#[tokio::test]
async fn one_certificate_serves_a_batch() {
    let (sigstore, client) = sandbox();
    let token = token(&sigstore, &Identity::email("dev@example.com"));
    sigstore.clear_requests();
    let signer = FulcioSigner::certify(&client, &token).await.unwrap();
    conformance::signer(&signer).await;
    assert_eq!(sigstore.requests().len(), 1);
    let validity = signer.certificate().certificate().validity();
    assert_eq!(Some(signer.not_after().as_second()), validity.end);
    assert_eq!(validity.end.unwrap() - validity.start, 600);
    let other = FulcioSigner::certify(&client, &token).await.unwrap();
    assert_ne!(other.key(), signer.key(), "a key lives as long as its batch");
}

#[tokio::test]
async fn an_authority_that_is_busy_is_asked_again() {
    let (sigstore, client) = sandbox();
    let token = token(&sigstore, &Identity::email("dev@example.com"));
    sigstore.inject(Place::Fulcio, Fault::Status(503), Times::Next(2));
    sigstore.inject(Place::Fulcio, Fault::StatusAfter(500), Times::Next(1));
    sigstore.clear_requests();
    FulcioSigner::certify(&client, &token).await.unwrap();
    let statuses: Vec<_> = sigstore.requests().iter().map(|request| request.status).collect();
    assert_eq!(statuses, [503, 503, 500, 200]);
    sigstore.inject(Place::Fulcio, Fault::Status(500), Times::Always);
    let error = FulcioSigner::certify(&client, &token).await.unwrap_err();
    assert!(error.may_pass(), "{error:?}");
}

#[tokio::test]
async fn refusals_are_final_and_show_no_token() {
    let (sigstore, client) = sandbox();
    let text = sigstore
        .mint_claims(json!({ "iss": "https://evil.test", "sub": "s", "aud": "sigstore" }).as_object().unwrap().clone());
    let token = IdentityToken::parse(&text.unwrap()).unwrap();
    let error = FulcioSigner::certify(&client, &token).await.unwrap_err();
    assert!(matches!(&error, FulcioError::Refused(refusal) if refusal.status == 401), "{error:?}");
    assert!(!error.may_pass() && !format!("{error:?}").contains(token.expose()));

    sigstore.clear_requests();
    let claims =
        json!({ "iss": sigstore.urls().oidc, "sub": "s", "aud": "sigstore", "email": "a@b", "email_verified": false });
    let token = sigstore.mint_claims(claims.as_object().unwrap().clone()).unwrap();
    let error = FulcioSigner::certify(&client, &IdentityToken::parse(&token).unwrap()).await.unwrap_err();
    assert!(matches!(error, FulcioError::Token(TokenError::UnverifiedEmail)), "{error:?}");
    assert!(sigstore.requests().is_empty(), "nothing is sent");
}

/// Returns the certificates of a real answer, and their key.
async fn real_chain() -> (Vec<String>, PrivateKey) {
    let (sigstore, client) = sandbox();
    let key = PrivateKey::generate(KeyAlgorithm::EcdsaP256).unwrap();
    let certificate = client.signing_certificate(&token(&sigstore, &Identity::email("a@b")), &key).await.unwrap();
    let issuers = certificate.issuers();
    let all = std::iter::once(certificate.certificate()).chain(issuers);
    (all.map(|certificate| pem(certificate.as_der())).collect(), key)
}

fn pem(der: &[u8]) -> String {
    use base64::Engine as _;
    let body = base64::engine::general_purpose::STANDARD.encode(der);
    format!("-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n")
}

async fn asked(answer: &Value, key: &PrivateKey) -> Result<SigningCertificate, FulcioError> {
    let service = Service::answering([answer.to_string()]).await;
    let token = IdentityToken::parse(&sigstore_token()).unwrap();
    FulcioClient::new(service.url.clone(), transport()).signing_certificate(&token, key).await
}

#[tokio::test]
async fn reads_both_forms_of_answers_and_only_them() {
    let (chain, key) = real_chain().await;
    let embedded = json!({ "chain": { "certificates": chain } });
    let detached = json!({ "chain": { "certificates": chain }, "signedCertificateTimestamp": "e30=" });
    for answer in
        [json!({ "signedCertificateEmbeddedSct": embedded }), json!({ "signedCertificateDetachedSct": detached })]
    {
        let certificate = asked(&answer, &key).await.unwrap();
        assert_eq!((certificate.public_key(), certificate.issuers().len()), (key.public_key(), 2));
    }

    let other = PrivateKey::generate(KeyAlgorithm::EcdsaP256).unwrap();
    let error = asked(&json!({ "signedCertificateEmbeddedSct": embedded }), &other).await.unwrap_err();
    assert!(matches!(error, FulcioError::OtherKey), "{error:?}");

    let chain_of =
        |certificates: Value| json!({ "signedCertificateEmbeddedSct": { "chain": { "certificates": certificates } } });
    let both = json!({ "signedCertificateEmbeddedSct": embedded, "signedCertificateDetachedSct": detached });
    for (answer, expected) in [
        (both, "NotOneAnswer { found: 2 }"),
        (json!({}), "NotOneAnswer { found: 0 }"),
        (chain_of(json!([])), "ChainLength { found: 0 }"),
        (chain_of(json!(vec![&chain[0]; 11])), "ChainLength { found: 11 }"),
        (chain_of(json!([chain.concat()])), "ChainLength { found: 3 }"),
        (chain_of(json!([chain[1], chain[0]])), "NotForSigning"),
        (chain_of(json!(["garbage"])), "Certificate"),
        (chain_of(json!(["-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])), "Certificate"),
        (chain_of(json!([chain[0], "garbage"])), "Certificate"),
        (chain_of(json!([7])), "Malformed"),
        (json!(sigstore_token()), "Malformed"),
        (json!("x".repeat(300_000)), "Transport(TooLarge"),
    ] {
        let error = asked(&answer, &key).await.unwrap_err();
        assert!(format!("{error:?}").starts_with(expected), "{expected}: {error:?}");
        assert!(!error.may_pass() && !format!("{error:?}").contains("eyJ"));
    }
}

#[tokio::test]
async fn a_silent_authority_is_given_up() {
    let (sigstore, _) = sandbox();
    sigstore.inject(Place::Fulcio, Fault::Latency(Duration::from_secs(5)), Times::Always);
    let transport = crate::support::transport_with(|options| {
        options.attempt_timeout = Duration::from_millis(20);
        options.retry.retries = 1;
    });
    let client = FulcioClient::new(Url::parse(&sigstore.urls().fulcio).unwrap(), transport);
    let error = FulcioSigner::certify(&client, &token(&sigstore, &Identity::email("a@b"))).await.unwrap_err();
    assert!(error.may_pass(), "{error:?}");
}

#[tokio::test]
async fn keys_and_tokens_are_not_shown() {
    let (sigstore, client) = sandbox();
    let token = token(&sigstore, &Identity::email("dev@example.com"));
    let signer = FulcioSigner::certify(&client, &token).await.unwrap();
    let shown = format!("{signer:?} {client:?} {token:?}");
    assert!(!shown.contains("PRIVATE") && !shown.contains("eyJ"), "{shown}");
}
