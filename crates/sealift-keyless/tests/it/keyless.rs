//! The whole way: an identity, a certificate, a batch of signatures with witnesses, and core's verifier with every
//! check on.

use std::collections::BTreeMap;

use sealift_core::entity::{Bundle, SignedEntity};
use sealift_core::identity::{CertificateIdentity, IdentityMatcher};
use sealift_core::oci::Digest;
use sealift_core::pattern::Pattern;
use sealift_core::sign::{sign, sign_message};
use sealift_core::statement::Statement;
use sealift_core::trust::TrustRoot;
use sealift_core::verify::{Artifact, Claim, LogRequirement, Requirements, Verified, Verifier, VerifyError};
use sealift_core::witness::Witness;
use sealift_keyless::oidc::IdentityToken;
use sealift_keyless::oidc::ambient::{Environment, detect};
use sealift_keyless::rekor::RekorWitness;
use sealift_keyless::signing_config::ApiVersion;
use sealift_keyless::timestamp::TimestampWitness;
use sealift_keyless::{FulcioClient, FulcioSigner};
use sealift_sandbox::sigstore::{Fault, Identity, Service, Sigstore, SigstoreOptions, Times, TrustedRootVersion};
use url::Url;

use crate::support::{now, transport};

struct World {
    sigstore: Sigstore,
    rekor: RekorWitness,
    timestamp: TimestampWitness,
    fulcio: FulcioClient,
}

impl World {
    fn new(version: ApiVersion) -> Self {
        let sigstore = Sigstore::start(SigstoreOptions::default()).unwrap();
        let urls = sigstore.urls();
        let url = |text: &str| Url::parse(text).unwrap();
        let log = if version == ApiVersion::V1 { &urls.rekor_v1 } else { &urls.rekor_v2 };
        Self {
            rekor: RekorWitness::new(url(log), version, transport()),
            timestamp: TimestampWitness::new(url(&format!("{}/api/v1/timestamp", urls.timestamp)), transport()),
            fulcio: FulcioClient::new(url(&urls.fulcio), transport()),
            sigstore,
        }
    }

    async fn certify(&self, identity: &Identity) -> FulcioSigner {
        let token = IdentityToken::parse(&self.sigstore.mint(identity).unwrap()).unwrap();
        FulcioSigner::certify(&self.fulcio, &token).await.unwrap()
    }

    fn witnesses(&self) -> [&dyn Witness; 2] {
        [&self.rekor, &self.timestamp]
    }

    async fn signed(&self, artifact: &[u8], signer: &FulcioSigner) -> Bundle {
        let statement = Statement::image_signature(&Digest::sha256(artifact), BTreeMap::new()).unwrap();
        sign(&statement, signer, &self.witnesses()).await.unwrap()
    }

    fn verify(&self, bundle: &Bundle, artifact: &[u8], identity: &Identity) -> Result<Verified, VerifyError> {
        self.verify_as(bundle, artifact, &identity.subject(), &self.sigstore.issuer(identity), &Claim::ImageSignature)
    }

    fn verify_as(
        &self,
        bundle: &Bundle,
        artifact: &[u8],
        subject: &str,
        issuer: &str,
        claim: &Claim,
    ) -> Result<Verified, VerifyError> {
        let received = Bundle::parse(bundle.to_json().unwrap().as_bytes()).unwrap();
        let digest = Digest::sha256(artifact);
        let artifact = if matches!(claim, Claim::Blob) { Artifact::Bytes(artifact) } else { Artifact::Digest(&digest) };
        self.verifier().verify(&SignedEntity::from(received), &artifact, &matcher(subject, issuer), claim)
    }

    fn verifier(&self) -> Verifier {
        let trust = TrustRoot::parse(self.sigstore.trusted_root(TrustedRootVersion::default()).as_bytes()).unwrap();
        let requirements = Requirements::default()
            .with_transparency_log(LogRequirement::Required)
            .with_certificate_logs(1)
            .with_timestamps(1);
        Verifier::new(requirements).with_trust_root(trust)
    }
}

fn matcher(subject: &str, issuer: &str) -> IdentityMatcher {
    let identity = CertificateIdentity::new(Pattern::exact(subject), Pattern::exact(issuer));
    IdentityMatcher::certificates(vec![identity]).unwrap()
}

#[tokio::test]
async fn one_token_one_key_and_one_certificate_sign_a_batch() {
    for version in [ApiVersion::V1, ApiVersion::V2] {
        let world = World::new(version);
        let variables: BTreeMap<_, _> = world.sigstore.actions_environment().into_iter().collect();
        let provider = detect(&Environment::new(|name| variables.get(name).cloned()), &transport()).unwrap();
        let token = provider.token("sigstore").await.unwrap();
        let signer = FulcioSigner::certify(&world.fulcio, &token).await.unwrap();
        let artifacts: Vec<_> = (0..5_u8).map(|number| vec![number; 10]).collect();
        for artifact in &artifacts {
            let bundle = world.signed(artifact, &signer).await;
            world.verify(&bundle, artifact, &Identity::workflow("acme/app")).unwrap();
        }
        let asked = |service| world.sigstore.requests().iter().filter(|request| request.service == service).count();
        assert_eq!((asked(Service::Oidc), asked(Service::Fulcio), asked(Service::Timestamp)), (1, 1, 5));
    }
}

#[tokio::test]
async fn every_kind_of_identity_signs_images_and_files() {
    let world = World::new(ApiVersion::V2);
    for identity in [
        Identity::email("dev@example.com"),
        Identity::workflow("acme/app"),
        Identity::Spiffe { id: "spiffe://sandbox.example/build".to_owned() },
        Identity::Username { name: "dev".to_owned() },
        Identity::Email {
            address: "dev@example.com".to_owned(),
            connector: Some("https://github.com/login/oauth".to_owned()),
        },
    ] {
        let signer = world.certify(&identity).await;
        world.verify(&world.signed(b"image", &signer).await, b"image", &identity).unwrap();
        let (subject, issuer) = (identity.subject(), world.sigstore.issuer(&identity));
        let bundle = sign_message(b"file", &signer, &world.witnesses()).await.unwrap();
        world.verify_as(&bundle, b"file", &subject, &issuer, &Claim::Blob).unwrap();
        for (subject, issuer) in [(&*subject, "https://evil.test"), ("eve@example.com", &*issuer)] {
            assert!(world.verify_as(&bundle, b"file", subject, issuer, &Claim::Blob).is_err(), "{subject} {issuer}");
        }
    }
}

/// What is logged stays logged: a certificate is looked at before anything is signed under it.
#[tokio::test]
async fn what_the_authority_did_wrong_is_found_before_anything_is_logged() {
    let world = World::new(ApiVersion::V2);
    let identity = Identity::email("dev@example.com");
    let (subject, issuer) = (identity.subject(), world.sigstore.issuer(&identity));
    let good = world.certify(&identity).await;
    world.sigstore.inject(Service::CtLog, Fault::WrongPromise, Times::Always);
    let unknown_to_logs = world.certify(&identity).await;
    let of_another_authority = World::new(ApiVersion::V2).certify(&identity).await;

    let check = |signer: &FulcioSigner, subject: &str, later: i64| {
        let now = now().as_second() + later;
        world.verifier().verify_certificate(signer.certificate(), &matcher(subject, &issuer), now)
    };
    assert_eq!(check(&good, &subject, 0).unwrap().to_string(), format!("{subject} (by {issuer})"));
    for (signer, subject, later, step) in [
        (&good, &*subject, 3600, 1),
        (&good, &*subject, -3600, 1),
        (&of_another_authority, &*subject, 0, 1),
        (&unknown_to_logs, &*subject, 0, 2),
        (&good, "eve@example.com", 0, 3),
    ] {
        let error = check(signer, subject, later).unwrap_err();
        assert_eq!(error.step(), Some(step), "{error:?}");
    }
    // Whoever does not look finds out when it is too late, but does.
    for (signer, step) in [(&of_another_authority, 1), (&unknown_to_logs, 2)] {
        let error = world.verify(&world.signed(b"image", signer).await, b"image", &identity).unwrap_err();
        assert_eq!(error.step(), Some(step), "{error:?}");
    }
}
