//! Predicate types, each with the specification that names it, the predicate cosign wraps files in, and the record of a
//! promotion.
//!
//! A literal of these anywhere else is a review stop.

use serde::{Deserialize, Serialize};

mod custom;
mod promotion;

pub use custom::{CosignCustom, CustomPredicateError};
pub use promotion::{
    PromotionRecord, RecordedDecision, RecordedDecisions, RecordedDestination, RecordedExclusion, RecordedFinding,
    RecordedObject, RecordedPolicy, RecordedSource,
};

/// An image's signature: <https://github.com/sigstore/cosign/blob/main/specs/BUNDLE_SPEC.md>.
pub const IMAGE_SIGNATURE: &str = "https://sigstore.dev/cosign/sign/v1";
/// Anything, wrapped: <https://github.com/sigstore/cosign/blob/main/specs/COSIGN_PREDICATE_SPEC.md>.
pub const CUSTOM: &str = "https://cosign.sigstore.dev/attestation/v1";
/// What cosign 1 wrote for [`CUSTOM`], without a scheme.
pub const CUSTOM_WITHOUT_SCHEME: &str = "cosign.sigstore.dev/attestation/v1";
/// A vulnerability scan: <https://github.com/sigstore/cosign/blob/main/specs/COSIGN_VULN_ATTESTATION_SPEC.md>.
pub const VULNERABILITY: &str = "https://cosign.sigstore.dev/attestation/vuln/v1";
/// SLSA provenance 0.2: <https://slsa.dev/spec/v0.2/provenance>.
pub const SLSA_PROVENANCE_V02: &str = "https://slsa.dev/provenance/v0.2";
/// SLSA provenance 1: <https://slsa.dev/spec/v1.0/provenance>.
pub const SLSA_PROVENANCE_V1: &str = "https://slsa.dev/provenance/v1";
/// SPDX document: <https://spdx.github.io/spdx-spec/>.
pub const SPDX: &str = "https://spdx.dev/Document";
/// CycloneDX bill of materials: <https://cyclonedx.org/specification/overview/>.
pub const CYCLONEDX: &str = "https://cyclonedx.org/bom";
/// in-toto link: <https://github.com/in-toto/attestation/blob/main/spec/predicates/link.md>.
pub const LINK: &str = "https://in-toto.io/Link/v1";
/// OpenVEX: <https://github.com/openvex/spec/blob/main/ATTESTING.md>.
pub const OPENVEX: &str = "https://openvex.dev/ns";
/// The record of a promotion, [`PromotionRecord`]: Sealift's own, see `docs/promotion-record.md`.
pub const PROMOTION: &str = "https://sealift.dev/promotion/v1";

/// The short names of cosign's `--type` and our own `promotion`, with the predicate type each stands for.
pub const SHORT_NAMES: [(&str, &str); 11] = [
    ("custom", CUSTOM),
    ("cyclonedx", CYCLONEDX),
    ("link", LINK),
    ("openvex", OPENVEX),
    ("promotion", PROMOTION),
    ("slsaprovenance", SLSA_PROVENANCE_V02),
    ("slsaprovenance02", SLSA_PROVENANCE_V02),
    ("slsaprovenance1", SLSA_PROVENANCE_V1),
    ("spdx", SPDX),
    ("spdxjson", SPDX),
    ("vuln", VULNERABILITY),
];

/// Returns the predicate type a short name stands for.
pub fn from_short_name(name: &str) -> Option<&'static str> {
    SHORT_NAMES.iter().find(|(short, _)| *short == name).map(|(_, predicate_type)| *predicate_type)
}

/// Returns the shortest name of a predicate type, to show to people.
pub fn short_name(predicate_type: &str) -> Option<&'static str> {
    SHORT_NAMES.iter().find(|(_, long)| *long == predicate_type).map(|(short, _)| *short)
}

/// The empty predicate `{}`.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Empty {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_names_lead_to_types_and_back() {
        assert_eq!(from_short_name("slsaprovenance"), Some(SLSA_PROVENANCE_V02));
        assert_eq!(from_short_name("spdxjson"), Some(SPDX));
        assert_eq!(from_short_name("SPDX"), None);
        assert_eq!(short_name(SPDX), Some("spdx"));
        assert_eq!(short_name("https://example.com/x"), None);
    }
}
