//! Where test data is, and short ways to verify it.

use std::fs;
use std::path::Path;

use sealift_core::crypto::{KeyAlgorithm, Passphrase, PrivateKey, PublicKey};
use sealift_core::entity::SignedEntity;
use sealift_core::identity::IdentityMatcher;
use sealift_core::oci::Digest;
use sealift_core::sign::KeySigner;
use sealift_core::verify::{Artifact, Claim, Requirements, Verified, Verifier, VerifyError};

/// Reads a file of the workspace's `testdata`.
pub(crate) fn testdata(name: &str) -> Vec<u8> {
    let path = workspace().join("testdata").join(name);
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn workspace() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// Reads a key file of `testdata/keys`.
pub(crate) fn private_key(name: &str) -> PrivateKey {
    PrivateKey::from_pem(&testdata(name), || Ok(Passphrase::from("test-only passphrase".to_owned()))).unwrap()
}

/// Returns a signer with a fresh key, and the key.
pub(crate) fn signer(algorithm: KeyAlgorithm) -> (KeySigner, PublicKey) {
    let key = PrivateKey::generate(algorithm).unwrap();
    let public_key = key.public_key().clone();
    (KeySigner::new(key), public_key)
}

/// Verifies under the default requirements.
pub(crate) fn verify(
    entity: &SignedEntity,
    digest: &Digest,
    key: &PublicKey,
    claim: &Claim,
) -> Result<Verified, VerifyError> {
    let identity = IdentityMatcher::keys(vec![key.clone()]).unwrap();
    Verifier::new(Requirements::default()).verify(entity, &Artifact::Digest(digest), &identity, claim)
}

/// The claim of any attestation.
pub(crate) fn attestation(predicate_type: Option<&str>) -> Claim {
    Claim::Attestation { predicate_type: predicate_type.map(str::to_owned) }
}
