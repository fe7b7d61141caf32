//! Another verifier's verdict on every bundle case, by code that shares nothing with ours.

use std::path::Path;

use sealift_sandbox::external::shared;
use sigstore_verify::trust_root::TrustedRoot;
use sigstore_verify::types::{Artifact, Bundle, DerPublicKey, Sha256Hash};
use sigstore_verify::{Policy, PublicKeyVerificationPolicy, VerificationPolicy, Verifier};

use crate::bundles::{IDENTITY, ISSUER, artifacts, or, public_good};
use crate::shared::{entries, read, text};

#[test]
fn agrees_on_every_bundle_case() {
    let mut agreed = 0;
    for set in ["upstream", "real"] {
        let Some(cases) = shared(&format!("conformance/bundle-cases/{set}")) else { return };
        for case in entries(&cases).iter().filter(|case| case.join("bundle.sigstore.json").exists()) {
            let name = case.file_name().expect("a case has a name").to_string_lossy().into_owned();
            for (mode, artifact) in artifacts(case, &cases) {
                let opinion = opinion(case, &artifact);
                // Our own verdict is the one the suite wants: see `bundles`.
                let ours = !name.ends_with("_fail");
                assert_eq!(opinion.is_ok(), ours, "{mode} {name}: {opinion:?}");
                agreed += 1;
            }
        }
    }
    println!("the second verifier agrees on {agreed} verdicts");
}

fn opinion(case: &Path, artifact: &str) -> Result<(), String> {
    let own_root = case.join("trusted_root.json");
    let root = text(if own_root.exists() { own_root } else { public_good() });
    let bundle = text(case.join("bundle.sigstore.json"));
    let key = case.join("key.pub");
    if key.exists() {
        let key = DerPublicKey::from_pem(&text(key)).map_err(|error| error.to_string())?;
        return verdict(&root, &bundle, artifact, &PublicKeyVerificationPolicy::new(key));
    }
    let (identity, issuer) = (or(&case.join("identity"), IDENTITY), or(&case.join("issuer"), ISSUER));
    verdict(&root, &bundle, artifact, &VerificationPolicy::new(identity, issuer))
}

/// Returns the second verifier's verdict on a bundle about a file or a digest.
pub(crate) fn verdict(root: &str, bundle: &str, artifact: &str, policy: &impl Policy) -> Result<(), String> {
    let show = |error: &dyn std::fmt::Display| error.to_string();
    let root = TrustedRoot::from_json(root).map_err(|error| show(&error))?;
    let bundle = Bundle::from_json(bundle).map_err(|error| show(&error))?;
    let verifier = Verifier::new(&root).map_err(|error| show(&error))?;
    let content;
    let artifact = match artifact.strip_prefix("sha256:") {
        Some(hex) => Artifact::from_digest(Sha256Hash::from_hex(hex).map_err(|error| show(&error))?),
        None => {
            content = read(artifact);
            Artifact::from_blob(&content)
        }
    };
    verifier.verify(artifact, &bundle, policy).map(drop).map_err(|error| show(&error))
}
