//! Annotation keys, each with the specification that names it.
//!
//! A literal of these anywhere else is a review stop.

/// Creation time, RFC 3339: <https://github.com/opencontainers/image-spec/blob/v1.1.1/annotations.md>.
pub const CREATED: &str = "org.opencontainers.image.created";
/// Tag of an entry in a layout's `index.json`: <https://github.com/opencontainers/image-spec/blob/v1.1.1/annotations.md>.
pub const REF_NAME: &str = "org.opencontainers.image.ref.name";
/// What the packaged software was made from, such as a commit.
pub const REVISION: &str = "org.opencontainers.image.revision";
/// Human-readable title; the file name of an attached file.
pub const TITLE: &str = "org.opencontainers.image.title";
/// Version of the packaged software.
pub const VERSION: &str = "org.opencontainers.image.version";

/// `dsse-envelope` or `message-signature`: <https://github.com/sigstore/cosign/blob/main/specs/BUNDLE_SPEC.md>.
pub const BUNDLE_CONTENT: &str = "dev.sigstore.bundle.content";
/// Predicate type of the statement inside a bundle.
pub const BUNDLE_PREDICATE_TYPE: &str = "dev.sigstore.bundle.predicateType";

/// Base64 signature over the layer of a `.sig` manifest: <https://github.com/sigstore/cosign/blob/main/specs/SIGNATURE_SPEC.md>.
pub const COSIGN_SIGNATURE: &str = "dev.cosignproject.cosign/signature";
/// PEM leaf certificate of a `.sig` or `.att` layer.
pub const COSIGN_CERTIFICATE: &str = "dev.sigstore.cosign/certificate";
/// PEM certificate chain of a `.sig` or `.att` layer.
pub const COSIGN_CHAIN: &str = "dev.sigstore.cosign/chain";
/// Rekor entry with its signed entry timestamp, JSON.
pub const COSIGN_BUNDLE: &str = "dev.sigstore.cosign/bundle";
/// RFC 3161 timestamp, JSON.
pub const COSIGN_TIMESTAMP: &str = "dev.sigstore.cosign/rfc3161timestamp";
/// Predicate type of an `.att` layer.
pub const COSIGN_PREDICATE_TYPE: &str = "predicateType";

/// What an index child of BuildKit is: <https://docs.docker.com/build/metadata/attestations/attestation-storage/>.
pub const BUILDKIT_REFERENCE_TYPE: &str = "vnd.docker.reference.type";
/// Which index child one of BuildKit's is about: <https://docs.docker.com/build/metadata/attestations/attestation-storage/>.
pub const BUILDKIT_REFERENCE_DIGEST: &str = "vnd.docker.reference.digest";
/// End of life of what a lifecycle marker is attached to, a date or a time, as Microsoft's images have it.
pub const END_OF_LIFE: &str = "vnd.microsoft.artifact.lifecycle.end-of-life.date";
/// What replaces something past its end of life: a reference or a digest. Sealift's own; there is no common one.
pub const SUCCESSOR: &str = "dev.sealift.lifecycle.successor";
