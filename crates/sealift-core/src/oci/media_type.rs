//! Media types, each with the specification that names it.
//!
//! A literal of these anywhere else is a review stop.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

/// OCI image manifest: <https://github.com/opencontainers/image-spec/blob/v1.1.1/manifest.md>.
pub const IMAGE_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// OCI image index: <https://github.com/opencontainers/image-spec/blob/v1.1.1/image-index.md>.
pub const IMAGE_INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// OCI image configuration: <https://github.com/opencontainers/image-spec/blob/v1.1.1/config.md>.
pub const IMAGE_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
/// OCI layer, gzip: <https://github.com/opencontainers/image-spec/blob/v1.1.1/layer.md>.
pub const IMAGE_LAYER_GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
/// What the media types of OCI layers that must not be pushed begin with, deprecated in image-spec 1.1:
/// <https://github.com/opencontainers/image-spec/blob/v1.1.1/layer.md#non-distributable-layers>.
pub const NONDISTRIBUTABLE_LAYER_PREFIX: &str = "application/vnd.oci.image.layer.nondistributable.";
/// Docker's foreign layer, fetched from its `urls`.
pub const DOCKER_FOREIGN_LAYER: &str = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip";
/// Bytes that nothing more is said about (RFC 2046).
pub const OCTET_STREAM: &str = "application/octet-stream";
/// The artifact manifest of image-spec 1.1.0-rc2, dropped since: read and copied, never written.
pub const ARTIFACT_MANIFEST: &str = "application/vnd.oci.artifact.manifest.v1+json";
/// The empty descriptor `{}`: <https://github.com/opencontainers/image-spec/blob/v1.1.1/manifest.md#guidance-for-an-empty-descriptor>.
pub const EMPTY: &str = "application/vnd.oci.empty.v1+json";
/// Docker image manifest, version 2 schema 2.
pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
/// Docker manifest list.
pub const DOCKER_MANIFEST_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";

/// Sigstore bundle v0.3: <https://github.com/sigstore/cosign/blob/main/specs/BUNDLE_SPEC.md>.
pub const SIGSTORE_BUNDLE_V03: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";
/// What every Sigstore bundle media type starts with, v0.1 to v0.3.
pub const SIGSTORE_BUNDLE_PREFIX: &str = "application/vnd.dev.sigstore.bundle";
/// Layer of a cosign signature tag: <https://github.com/sigstore/cosign/blob/main/specs/SIGNATURE_SPEC.md>.
pub const SIMPLE_SIGNING: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
/// DSSE envelope: <https://github.com/secure-systems-lab/dsse/blob/master/envelope.md>.
pub const DSSE_ENVELOPE: &str = "application/vnd.dsse.envelope.v1+json";
/// in-toto statement: <https://github.com/in-toto/attestation/blob/main/spec/v1/envelope.md>.
pub const IN_TOTO: &str = "application/vnd.in-toto+json";
/// Configuration of cosign's experimental OCI 1.1 signature referrers.
pub const COSIGN_SIGNATURE_CONFIG: &str = "application/vnd.dev.cosign.artifact.sig.v1+json";
/// Configuration of cosign's experimental OCI 1.1 attestation referrers.
pub const COSIGN_ATTESTATION_CONFIG: &str = "application/vnd.dev.cosign.artifact.att.v1+json";
/// Configuration of cosign's experimental OCI 1.1 SBOM referrers.
pub const COSIGN_SBOM_CONFIG: &str = "application/vnd.dev.cosign.artifact.sbom.v1+json";
/// Notary Project signature: <https://github.com/notaryproject/specifications/blob/main/specs/signature-specification.md>.
pub const NOTARY_SIGNATURE: &str = "application/vnd.cncf.notary.signature";
/// Helm chart package.
pub const HELM_CHART: &str = "application/vnd.cncf.helm.chart.content.v1.tar+gzip";
/// Helm chart package, as Helm 3 before 3.7 writes it.
pub const HELM_CHART_LEGACY: &str = "application/tar+gzip";
/// Helm chart configuration: <https://helm.sh/docs/topics/registries/>.
pub const HELM_CONFIG: &str = "application/vnd.cncf.helm.config.v1+json";
/// Helm chart provenance layer.
pub const HELM_PROVENANCE: &str = "application/vnd.cncf.helm.chart.provenance.v1.prov";
/// Docker image configuration.
pub const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";
/// CycloneDX SBOM, JSON: <https://cyclonedx.org/specification/overview/>.
pub const CYCLONEDX_JSON: &str = "application/vnd.cyclonedx+json";
/// SPDX SBOM, JSON: <https://spdx.github.io/spdx-spec/>.
pub const SPDX_JSON: &str = "application/spdx+json";
/// SPDX SBOM, tag-value text.
pub const SPDX_TEXT: &str = "text/spdx";
/// Syft SBOM, JSON: <https://github.com/anchore/syft>.
pub const SYFT_JSON: &str = "application/vnd.syft+json";
/// Lifecycle marker of Microsoft's images: <https://learn.microsoft.com/azure/container-registry/>.
pub const MICROSOFT_LIFECYCLE: &str = "application/vnd.microsoft.artifact.lifecycle";

/// A media type as received; compared without parameters or case changes.
#[derive(Clone, Debug, Default, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct MediaType(Cow<'static, str>);

impl MediaType {
    /// Wraps one of this module's constants.
    pub const fn from_static(text: &'static str) -> Self {
        Self(Cow::Borrowed(text))
    }

    /// Returns the text as received.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Says whether registries keep such content as a manifest rather than a blob.
    pub fn is_manifest(&self) -> bool {
        self.is_index() || matches!(self.as_str(), IMAGE_MANIFEST | DOCKER_MANIFEST | ARTIFACT_MANIFEST)
    }

    /// Says whether such content lists other manifests.
    pub fn is_index(&self) -> bool {
        matches!(self.as_str(), IMAGE_INDEX | DOCKER_MANIFEST_LIST)
    }

    /// Says whether such content is a layer that registries need not hold.
    pub fn is_foreign_layer(&self) -> bool {
        self.as_str().starts_with(NONDISTRIBUTABLE_LAYER_PREFIX) || self.as_str() == DOCKER_FOREIGN_LAYER
    }

    /// Says whether such content is a Sigstore bundle of any version.
    pub fn is_sigstore_bundle(&self) -> bool {
        self.as_str().starts_with(SIGSTORE_BUNDLE_PREFIX)
    }
}

impl From<String> for MediaType {
    fn from(text: String) -> Self {
        Self(Cow::Owned(text))
    }
}

impl From<&str> for MediaType {
    fn from(text: &str) -> Self {
        Self(Cow::Owned(text.to_owned()))
    }
}

impl PartialEq<str> for MediaType {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<&str> for MediaType {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

impl fmt::Display for MediaType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
