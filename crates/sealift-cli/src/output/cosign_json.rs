//! Verified signatures in the shape cosign prints, which scripts read.
//!
//! Specification: <https://github.com/sigstore/cosign/blob/main/specs/SIGNATURE_SPEC.md>.

use sealift_core::entity::{SIMPLE_SIGNING_TYPE, SimpleSigning};
use sealift_core::hex;
use sealift_core::identity::Identity;
use sealift_core::oci::Reference;
use sealift_core::verify::Verified;
use sealift_core::x509::FulcioExtension;
use serde::Serialize;
use serde_json::{Map, Value, json};

/// One verified image signature.
#[derive(Serialize)]
pub(crate) struct SignatureLine {
    critical: Critical,
    optional: Map<String, Value>,
}

#[derive(Serialize)]
struct Critical {
    identity: CriticalIdentity,
    image: CriticalImage,
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct CriticalIdentity {
    docker_reference: String,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct CriticalImage {
    docker_manifest_digest: String,
}

impl SignatureLine {
    pub(crate) fn of(reference: &Reference, verified: &Verified) -> Self {
        let legacy = verified.payload().and_then(|payload| SimpleSigning::parse(payload).ok());
        let (identity, kind) = match (&legacy, verified.predicate_type()) {
            (Some(payload), _) => (payload.docker_reference().to_owned(), SIMPLE_SIGNING_TYPE.to_owned()),
            (None, predicate_type) => (reference.to_string(), predicate_type.unwrap_or_default().to_owned()),
        };
        Self {
            critical: Critical {
                identity: CriticalIdentity { docker_reference: identity },
                image: CriticalImage { docker_manifest_digest: verified.digest().to_string() },
                kind,
            },
            optional: optional(verified),
        }
    }
}

/// Returns annotations and, over them, what is proven: a signer cannot annotate a name of their own over the verified
/// one.
fn optional(verified: &Verified) -> Map<String, Value> {
    let annotations = verified.annotations().iter();
    let mut fields: Map<_, _> = annotations.map(|(key, value)| (key.clone(), value.clone().into())).collect();
    if let Identity::Certificate { subject, issuer, extensions } = verified.signer() {
        fields.insert("Subject".to_owned(), subject.clone().into());
        fields.insert("Issuer".to_owned(), issuer.clone().into());
        for (extension, value) in extensions.iter() {
            if let Some(name) = github_name(extension) {
                fields.insert(name.to_owned(), value.into());
            }
        }
        let claims: Map<_, _> = extensions.iter().map(|(name, value)| (name.to_string(), value.into())).collect();
        fields.insert("Claims".to_owned(), claims.into());
    }
    if let Some(record) = verified.log_records().first() {
        let log_id = hex::encode(&record.log_id);
        let payload = json!({ "integratedTime": record.time, "logIndex": record.index, "logID": log_id });
        fields.insert("Bundle".to_owned(), json!({ "Payload": payload }));
    }
    let times: Vec<Value> = verified.times().iter().map(|time| time.time.into()).collect();
    if !times.is_empty() {
        fields.insert("Times".to_owned(), times.into());
    }
    fields
}

/// Returns cosign's name for a claim that it prints.
fn github_name(extension: FulcioExtension) -> Option<&'static str> {
    Some(match extension {
        FulcioExtension::GithubWorkflowName => "githubWorkflowName",
        FulcioExtension::GithubWorkflowRef => "githubWorkflowRef",
        FulcioExtension::GithubWorkflowRepository => "githubWorkflowRepository",
        FulcioExtension::GithubWorkflowSha => "githubWorkflowSha",
        FulcioExtension::GithubWorkflowTrigger => "githubWorkflowTrigger",
        _ => return None,
    })
}
