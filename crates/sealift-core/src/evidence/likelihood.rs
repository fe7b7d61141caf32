//! Likelihood: what is worth opening in search of a signature, and in which order.
//!
//! Never says that something is a signature: the layers do, and the verifier.

use std::collections::BTreeMap;

use crate::oci::{annotation, media_type};
use crate::statement::predicate;
use crate::verify::Claim;

/// How likely something listed is a signature for a claim, judging by its types and annotations alone.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum Likelihood {
    /// It says that it is one.
    Likely,
    /// Its type says nothing.
    Unknown,
    /// It is a signature of another kind, such as an attestation of another type.
    OtherSignature,
    /// It is something else.
    Foreign,
}

impl Likelihood {
    /// Judges what a manifest, or a listing's entry about it, says.
    pub fn of(artifact_type: Option<&str>, annotations: &BTreeMap<String, String>, claim: &Claim) -> Self {
        let wanted = match claim {
            Claim::Attestation { predicate_type } => predicate_type.as_deref(),
            _ => Some(predicate::IMAGE_SIGNATURE),
        };
        match artifact_type.unwrap_or_default() {
            "" | media_type::EMPTY => Self::Unknown,
            bundle if bundle.starts_with(media_type::SIGSTORE_BUNDLE_PREFIX) => {
                match (annotations.get(annotation::BUNDLE_PREDICATE_TYPE), wanted) {
                    (Some(found), Some(wanted)) if found != wanted => Self::OtherSignature,
                    (Some(found), None) if found == predicate::IMAGE_SIGNATURE => Self::OtherSignature,
                    (None, _) => Self::Unknown,
                    _ => Self::Likely,
                }
            }
            media_type::COSIGN_SIGNATURE_CONFIG | media_type::COSIGN_ATTESTATION_CONFIG => Self::Likely,
            _ => Self::Foreign,
        }
    }
}
