//! Another verifier's verdict on every bundle case, by code that shares nothing with ours.

use std::path::Path;

use sigstore_verify::trust_root::TrustedRoot;
use sigstore_verify::types::{Artifact, Bundle, DerPublicKey, Sha256Hash};
use sigstore_verify::{PublicKeyVerificationPolicy, VerificationPolicy, Verifier};

use crate::bundles::{IDENTITY, ISSUER, artifacts, or, public_good};
use crate::shared::{entries, folder, read, text};

#[test]
fn agrees_on_every_bundle_case() {
    let mut agreed = 0;
    for set in ["upstream", "real"] {
        let Some(cases) = folder(&format!("conformance/bundle-cases/{set}")) else { return };
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
    let show = |error: &dyn std::fmt::Display| error.to_string();
    let own_root = case.join("trusted_root.json");
    let root = if own_root.exists() { own_root } else { public_good() };
    let root = TrustedRoot::from_json(&text(root)).map_err(|error| show(&error))?;
    let bundle = Bundle::from_json(&text(case.join("bundle.sigstore.json"))).map_err(|error| show(&error))?;
    let verifier = Verifier::new(&root).map_err(|error| show(&error))?;
    let content;
    let artifact = match artifact.strip_prefix("sha256:") {
        Some(hex) => Artifact::from_digest(Sha256Hash::from_hex(hex).map_err(|error| show(&error))?),
        None => {
            content = read(artifact);
            Artifact::from_blob(&content)
        }
    };
    let key = case.join("key.pub");
    let verified = if key.exists() {
        let key = DerPublicKey::from_pem(&text(key)).map_err(|error| show(&error))?;
        verifier.verify(artifact, &bundle, &PublicKeyVerificationPolicy::new(key))
    } else {
        let policy = VerificationPolicy::new(or(&case.join("identity"), IDENTITY), or(&case.join("issuer"), ISSUER));
        verifier.verify(artifact, &bundle, &policy)
    };
    verified.map(drop).map_err(|error| show(&error))
}
