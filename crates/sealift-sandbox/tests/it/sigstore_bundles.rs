//! Another verifier's verdict, with every check on, on what the Sigstore services hand out.

use jiff::SignedDuration;
use sealift_sandbox::sigstore::{
    Fault, Identity, KeyKind, LogVersion, Service, SigstoreOptions, Times, TrustedRootVersion, Workflow,
};
use serde_json::Value;
use sigstore_verify::trust_root::TrustedRoot;
use sigstore_verify::types::{Artifact, Bundle};
use sigstore_verify::{VerificationPolicy, VerificationResult, Verifier};

use crate::sigstore_client::World;

#[tokio::test]
async fn bundles_verify_whatever_the_log_the_keys_and_the_identity() {
    // Names that are no address are left to cosign: this verifier does not read OtherName.
    let identities = [
        Identity::email("dev@example.com"),
        Identity::Email {
            address: "dev@example.com".to_owned(),
            connector: Some("https://accounts.example".to_owned()),
        },
        Identity::Spiffe { id: "spiffe://sandbox.example/build".to_owned() },
        Identity::Workflow(Box::new(Workflow::new("acme/app"))),
    ];
    let keys = [(KeyKind::Ed25519, KeyKind::EcdsaP256), (KeyKind::EcdsaP256, KeyKind::EcdsaP384)];
    for (rekor_v2_key, timestamp_key) in keys {
        let world = World::new(SigstoreOptions { rekor_v2_key, timestamp_key, ..SigstoreOptions::default() });
        for identity in &identities {
            for log in [LogVersion::V1, LogVersion::V2] {
                let bundle = world.sign(ARTIFACT, identity, log).await;
                let result = verify(&world, &bundle, identity).unwrap();
                assert!(result.certificate_verified() && result.sct_verified() && result.tlog_verified());
                assert!(result.identity_policy_checked() && !result.verified_timestamps().is_empty());
            }
        }
    }
}

#[tokio::test]
async fn a_log_proves_entries_of_a_tree_of_any_size() {
    let world = World::new(SigstoreOptions::default());
    let identity = Identity::email("dev@example.com");
    for _ in 0..9 {
        for log in [LogVersion::V1, LogVersion::V2] {
            verify(&world, &world.sign(ARTIFACT, &identity, log).await, &identity).unwrap();
        }
    }
}

#[tokio::test]
async fn signatures_can_be_made_in_the_past() {
    let world = World::new(SigstoreOptions::default());
    let identity = Identity::email("dev@example.com");
    let now = world.sign(ARTIFACT, &identity, LogVersion::V1).await;
    world.sigstore.set_clock_offset(SignedDuration::from_hours(-5));
    for log in [LogVersion::V1, LogVersion::V2] {
        let earlier = world.sign(ARTIFACT, &identity, log).await;
        let times = [&earlier, &now].map(|bundle| verify(&world, bundle, &identity).unwrap().verified_timestamps()[0]);
        // The clock goes on between the two, so they are a little less than five hours apart.
        assert!(times[1].duration_since(times[0]) > SignedDuration::from_hours(4), "{times:?}");
    }
}

#[tokio::test]
async fn what_a_fault_distorts_is_refused() {
    let faults = [
        (Service::CtLog, Fault::WrongPromise, LogVersion::V1),
        (Service::RekorV1, Fault::WrongPromise, LogVersion::V1),
        (Service::RekorV1, Fault::WrongProof, LogVersion::V1),
        (Service::RekorV1, Fault::OldCheckpoint, LogVersion::V1),
        (Service::RekorV1, Fault::ForeignCheckpoint, LogVersion::V1),
        (Service::RekorV2, Fault::WrongProof, LogVersion::V2),
        (Service::RekorV2, Fault::OldCheckpoint, LogVersion::V2),
        (Service::Timestamp, Fault::ExpiredCertificate, LogVersion::V2),
    ];
    let world = World::new(SigstoreOptions::default());
    let identity = Identity::email("dev@example.com");
    for (service, fault, log) in faults {
        world.sigstore.inject(service, fault, Times::Next(1));
        let distorted = world.sign(ARTIFACT, &identity, log).await;
        assert!(verify(&world, &distorted, &identity).is_err(), "{service:?} {fault:?}");
        let sound = world.sign(ARTIFACT, &identity, log).await;
        assert!(verify(&world, &sound, &identity).is_ok(), "after {service:?} {fault:?}");
    }
}

#[tokio::test]
async fn a_sandbox_does_not_trust_another() {
    let (one, other) = (World::new(SigstoreOptions::default()), World::new(SigstoreOptions::default()));
    let identity = Identity::email("dev@example.com");
    let bundle = one.sign(ARTIFACT, &identity, LogVersion::V2).await;
    let root = TrustedRoot::from_json(&other.sigstore.trusted_root(TrustedRootVersion::V0_1)).unwrap();
    let bundle = Bundle::from_json(&bundle.to_string()).unwrap();
    let policy = VerificationPolicy::new(identity.subject(), one.sigstore.issuer(&identity));
    assert!(Verifier::new(&root).unwrap().verify(Artifact::from_blob(ARTIFACT), &bundle, &policy).is_err());
}

fn verify(world: &World, bundle: &Value, identity: &Identity) -> Result<VerificationResult, String> {
    let root = world.sigstore.trusted_root(TrustedRootVersion::V0_1);
    let verifier = Verifier::new(&TrustedRoot::from_json(&root).unwrap()).unwrap();
    let bundle = Bundle::from_json(&bundle.to_string()).map_err(|error| error.to_string())?;
    let policy = VerificationPolicy::new(identity.subject(), world.sigstore.issuer(identity));
    verifier.verify(Artifact::from_blob(ARTIFACT), &bundle, &policy).map_err(|error| error.to_string())
}

const ARTIFACT: &[u8] = b"what is signed";
