//! The image cases, without a registry: each layout in memory, with and without a referrers API.

use std::collections::HashMap;
use std::path::Path;

use bytes::Bytes;
use sealift_core::crypto::PublicKey;
use sealift_core::evidence::{Effort, Evidence, Verdict, gather};
use sealift_core::identity::IdentityMatcher;
use sealift_core::oci::{Descriptor, Digest, RawManifest, Tag, media_type};
use sealift_core::repository::{MemoryRepository, ReferrersSupport, Repository};
use sealift_core::trust::TrustRoot;
use sealift_core::verify::{Claim, LogRequirement, Requirements, Verifier};
use sealift_sandbox::external::shared;
use serde_json::Value;

use crate::bundles::{public_good, run_runner};
use crate::shared::{entries, json, read};
use crate::special::signer;

#[tokio::test]
async fn image_cases() {
    let Some(cases) = shared("conformance/image-cases") else { return };
    let (mut refused, mut accepted) = (0, 0);
    for folder in entries(&cases).iter().filter(|folder| folder.join("case.json").exists()) {
        let case = json(folder.join("case.json"));
        let is_wanted = case["want"] == "accept";
        let has_api =
            |api: bool| case["api"].as_array().map_or(api || is_wanted, |apis| apis.contains(&Value::Bool(api)));
        for (api, referrers) in [(true, ReferrersSupport::Api), (false, ReferrersSupport::FallbackTagOnly)] {
            if !has_api(api) {
                continue;
            }
            let repository = repository(folder, &case, referrers).await;
            let evidence = evidence(folder, &case, &repository).await;
            let verdict = evidence.verdict();
            let is_right = if is_wanted {
                verdict == Verdict::Verified
            } else {
                matches!(verdict, Verdict::NoSignature | Verdict::NoMatchingSignature)
            };
            assert!(is_right, "{}, referrers API {api}: {evidence:#?}", folder.display());
            *(if is_wanted { &mut accepted } else { &mut refused }) += 1;
        }
    }
    println!("image cases: {refused} refused, {accepted} accepted");
    assert!(refused >= 13 && accepted >= 16);
}

async fn evidence(folder: &Path, case: &Value, repository: &MemoryRepository) -> Evidence {
    let text = |value: &Value| value.as_str().expect("it is text").to_owned();
    let subject: Digest = text(&case["subject"]).parse().expect("a digest");
    let claim = match case["what"].as_str() {
        Some("attestation") => Claim::Attestation { predicate_type: Some(text(&case["predicate_type"])) },
        _ => Claim::ImageSignature,
    };
    let identity = match case["key"].as_str() {
        Some(key) => {
            let key = PublicKey::from_pem(&read(folder.join(key))).expect("a key");
            IdentityMatcher::keys(vec![key]).expect("one key")
        }
        None => signer(&text(&case["identity"]), &text(&case["issuer"])),
    };
    let flags = case["flags"].as_array().map_or(&[][..], Vec::as_slice);
    let log = if flags.iter().any(|flag| flag == "insecure-ignore-tlog") {
        LogRequirement::ForCertificates
    } else {
        LogRequirement::Required
    };
    let root = case["trusted_root"].as_str().map_or_else(public_good, |root| folder.join(root));
    let trust = TrustRoot::parse(&read(root)).expect("a trust root");
    let verifier = Verifier::new(Requirements::default().with_transparency_log(log)).with_trust_root(trust);
    gather(repository, &subject, &verifier, &identity, &claim, Effort::FirstMatch).await
}

#[test]
fn image_cases_by_the_suites_runner() {
    let Some(conformance) = shared("conformance") else { return };
    let cases = conformance.join("image-cases");
    run_runner(&conformance, "run_oci.py", &["--cases".as_ref(), cases.as_os_str()]);
}

/// Returns a repository that holds the case's layout and tags.
async fn repository(folder: &Path, case: &Value, referrers: ReferrersSupport) -> MemoryRepository {
    let repository = MemoryRepository::new("case").with_referrers(referrers);
    let mut manifests = HashMap::new();
    for path in entries(&folder.join("layout/blobs/sha256")) {
        let content = Bytes::from(read(&path));
        // Cases lie about digests, too: what a blob is called is what is served under that name.
        let digest: Digest = format!("sha256:{}", path.file_name().expect("a blob has a name").to_string_lossy())
            .parse()
            .expect("a blob is named by its digest");
        let media_type = media_type_of(&content);
        let manifest = RawManifest::with_digest(media_type.clone(), content.clone(), &digest);
        if let Some(manifest) = manifest.ok().filter(|found| found.descriptor().media_type.is_manifest()) {
            manifests.insert(digest.clone(), manifest);
        }
        let descriptor = Descriptor::new(media_type, digest, content.len() as u64);
        let _ = repository.push(&descriptor, content.into()).await;
    }
    for (tag, digest) in case["tags"].as_object().expect("a case has tags") {
        let digest: Digest = digest.as_str().expect("a digest").parse().expect("a digest");
        if let Some(manifest) = manifests.get(&digest) {
            repository.tag(manifest, &tag.parse::<Tag>().expect("a tag")).await.expect("it tags");
        }
    }
    repository
}

fn media_type_of(content: &[u8]) -> String {
    let json: Value = serde_json::from_slice(content).unwrap_or_default();
    match (json["mediaType"].as_str(), json.get("manifests"), json.get("layers")) {
        (Some(media_type), ..) => media_type.to_owned(),
        (None, Some(_), _) => media_type::IMAGE_INDEX.to_owned(),
        (None, None, Some(_)) => media_type::IMAGE_MANIFEST.to_owned(),
        (None, None, None) => "application/octet-stream".to_owned(),
    }
}
