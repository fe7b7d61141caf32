//! Content to fill registries with: small images, indexes, charts and artifacts, and blobs of any size.
//!
//! Everything follows from its arguments, so two runs make the same bytes.

use std::fmt::Write as _;

use bytes::{Bytes, BytesMut};
use futures_util::stream;
use sealift_core::oci::{Descriptor, Digest, DigestAlgorithm, Hasher, RawManifest, Tag, media_type};
use sealift_core::repository::{Content, Pushed, Repository, RepositoryError};
use serde_json::{Value, json};

/// A manifest with everything below it.
#[derive(Clone, Debug)]
pub struct Fixture {
    root: RawManifest,
    /// Manifests below the root, children before parents.
    manifests: Vec<RawManifest>,
    blobs: Vec<(Descriptor, FixtureBlob)>,
}

/// The bytes of one blob of a fixture.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum FixtureBlob {
    /// At hand.
    Bytes(Bytes),
    /// Made on the way.
    Pattern(Pattern),
}

impl FixtureBlob {
    /// Returns the bytes as content to push.
    pub fn content(&self) -> Content {
        match self {
            Self::Bytes(bytes) => Content::from(bytes.clone()),
            Self::Pattern(pattern) => pattern.content(),
        }
    }
}

impl Fixture {
    /// Returns the descriptor of the root.
    pub fn descriptor(&self) -> &Descriptor {
        self.root.descriptor()
    }

    /// Returns the digest of the root.
    pub fn digest(&self) -> &Digest {
        &self.root.descriptor().digest
    }

    /// Returns the root.
    pub fn root(&self) -> &RawManifest {
        &self.root
    }

    /// Returns all manifests, children before parents, the root last.
    pub fn manifests(&self) -> impl Iterator<Item = &RawManifest> {
        self.manifests.iter().chain([&self.root])
    }

    /// Returns all blobs.
    pub fn blobs(&self) -> impl Iterator<Item = (&Descriptor, &FixtureBlob)> {
        self.blobs.iter().map(|(descriptor, blob)| (descriptor, blob))
    }

    /// Pushes everything, blobs first, the root last and under `tag` if there is one; links what has a subject.
    ///
    /// # Errors
    /// Whatever the repository answers.
    pub async fn push(&self, repository: &dyn Repository, tag: Option<&Tag>) -> Result<Descriptor, RepositoryError> {
        for (descriptor, blob) in self.blobs() {
            repository.push(descriptor, blob.content()).await?;
        }
        for manifest in self.manifests() {
            let pushed = repository.push(manifest.descriptor(), Content::from(manifest.bytes().clone())).await?;
            let subject = manifest.parse().ok().and_then(|manifest| manifest.subject);
            if let (Pushed::Unlisted, Some(subject), Ok(entry)) = (pushed, subject, manifest.to_referrer_entry()) {
                repository.link_referrers(&subject.digest, &[entry]).await?;
            }
        }
        if let Some(tag) = tag {
            repository.tag(&self.root, tag).await?;
        }
        Ok(self.root.descriptor().clone())
    }

    fn of(media_type: &'static str, body: &Value, blobs: Vec<(Descriptor, FixtureBlob)>) -> Self {
        Self { root: RawManifest::new(media_type, body.to_string()), manifests: Vec::new(), blobs }
    }
}

/// Returns a Linux image of one layer with one file, different for each `seed`.
pub fn image(seed: u64) -> Fixture {
    platform_image(seed, "amd64", &OCI)
}

/// Returns an image whose only layer has `size` bytes, which are made as they are read.
pub fn large_image(seed: u64, size: u64) -> Fixture {
    let pattern = Pattern::new(seed, size);
    let config = image_config("amd64", &[pattern.digest()]);
    let layer = pattern.descriptor("application/vnd.oci.image.layer.v1.tar");
    image_of(config, vec![(layer, FixtureBlob::Pattern(pattern))], &OCI)
}

/// Returns a Linux image of two layers, the first of which registries need not hold, as it is to be had at `url`.
pub fn foreign_image(seed: u64, url: &str) -> Fixture {
    let (base, archive) = (b"sandbox base", archive(seed, "amd64"));
    let mut foreign = json!(Descriptor::of(media_type::DOCKER_FOREIGN_LAYER, base));
    foreign["urls"] = json!([url]);
    let config = image_config("amd64", &[Digest::sha256(base), Digest::sha256(&archive)]);
    let (config, layer) = (blob(DOCKER.config, config.to_string().as_bytes()), blob(DOCKER.layer, &gzip(&archive)));
    let body = json!({
        "schemaVersion": 2, "mediaType": DOCKER.manifest, "config": config.0, "layers": [foreign, layer.0]
    });
    Fixture::of(DOCKER.manifest, &body, vec![config, layer])
}

/// Returns a layer of `size` bytes, for several images to share.
pub fn layer(seed: u64, size: u64) -> (Descriptor, FixtureBlob) {
    let pattern = Pattern::new(seed, size);
    (pattern.descriptor("application/vnd.oci.image.layer.v1.tar"), FixtureBlob::Pattern(pattern))
}

/// Returns a Linux image of one file, different for each `seed`, on top of the layers `base`.
pub fn image_on(base: &[(Descriptor, FixtureBlob)], seed: u64) -> Fixture {
    let archive = archive(seed, "amd64");
    let below = base.iter().map(|(layer, _)| layer.digest.clone());
    let contents: Vec<_> = below.chain([Digest::sha256(&archive)]).collect();
    let top = blob(OCI.layer, &gzip(&archive));
    image_of(image_config("amd64", &contents), base.iter().cloned().chain([top]).collect(), &OCI)
}

/// Returns an index with one image for each of `architectures`, such as `amd64` and `arm64`.
pub fn index(seed: u64, architectures: &[&str]) -> Fixture {
    index_of(seed, architectures, &OCI)
}

/// Returns an index as [`index`] does, of Docker's media types.
pub fn docker_index(seed: u64, architectures: &[&str]) -> Fixture {
    index_of(seed, architectures, &DOCKER)
}

fn index_of(seed: u64, architectures: &[&str], types: &Types) -> Fixture {
    let images: Vec<_> = architectures.iter().map(|architecture| platform_image(seed, architecture, types)).collect();
    let entries = images.iter().zip(architectures).map(|(image, architecture)| {
        let descriptor = image.descriptor();
        json!({
            "mediaType": descriptor.media_type, "digest": descriptor.digest, "size": descriptor.size,
            "platform": { "architecture": architecture, "os": "linux" }
        })
    });
    let body = json!({
        "schemaVersion": 2, "mediaType": types.index, "manifests": entries.collect::<Vec<_>>()
    });
    let mut fixture = Fixture::of(types.index, &body, Vec::new());
    for image in images {
        fixture.blobs.extend(image.blobs);
        fixture.manifests.push(image.root);
    }
    fixture
}

/// Returns an artifact of one layer and the empty configuration, referring to `subject` if there is one.
pub fn artifact(artifact_type: &str, layer_type: &str, layer: &[u8], subject: Option<&Descriptor>) -> Fixture {
    artifact_of(artifact_type, vec![blob(layer_type, layer)], subject)
}

/// Returns an artifact without layers, referring to `subject` if there is one.
pub fn bare_artifact(artifact_type: &str, subject: Option<&Descriptor>) -> Fixture {
    artifact_of(artifact_type, Vec::new(), subject)
}

fn artifact_of(
    artifact_type: &str,
    mut blobs: Vec<(Descriptor, FixtureBlob)>,
    subject: Option<&Descriptor>,
) -> Fixture {
    let layers: Vec<_> = blobs.iter().map(|(descriptor, _)| descriptor).collect();
    let config = blob(media_type::EMPTY, b"{}");
    let mut body = json!({
        "schemaVersion": 2, "mediaType": media_type::IMAGE_MANIFEST, "artifactType": artifact_type,
        "config": config.0, "layers": layers,
        "annotations": { "org.opencontainers.image.created": CREATED }
    });
    if let Some(subject) = subject {
        body["subject"] = json!(subject.to_plain());
    }
    blobs.push(config);
    Fixture::of(media_type::IMAGE_MANIFEST, &body, blobs)
}

/// Returns a Helm chart whose only template runs `image`.
///
/// Format: <https://helm.sh/docs/topics/registries/>.
pub fn chart(name: &str, version: &str, image: &str) -> Fixture {
    chart_of(name, version, image, |_| None)
}

/// Returns a Helm chart with a provenance file beside its package; nobody made the signature in it.
///
/// Format: <https://helm.sh/docs/topics/provenance/>.
pub fn chart_with_provenance(name: &str, version: &str, image: &str) -> Fixture {
    chart_of(name, version, image, |package| {
        let text = format!(
            "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\napiVersion: v2\nname: {name}\nversion: {version}\n\n\
             ...\nfiles:\n  {name}-{version}.tgz: {}\n-----BEGIN PGP SIGNATURE-----\n\nc2FuZGJveA==\n\
             -----END PGP SIGNATURE-----\n",
            package.digest
        );
        Some(blob(media_type::HELM_PROVENANCE, text.as_bytes()))
    })
}

fn chart_of(
    name: &str,
    version: &str,
    image: &str,
    provenance: impl FnOnce(&Descriptor) -> Option<(Descriptor, FixtureBlob)>,
) -> Fixture {
    let metadata = format!("apiVersion: v2\nname: {name}\nversion: {version}\n");
    let pod = format!(
        "apiVersion: v1\nkind: Pod\nmetadata:\n  name: {name}\nspec:\n  containers:\n    - name: {name}\n      \
         image: {image}\n"
    );
    let files = [
        (format!("{name}/Chart.yaml"), metadata.into_bytes()),
        (format!("{name}/templates/pod.yaml"), pod.into_bytes()),
    ];
    let config = json!({ "apiVersion": "v2", "name": name, "version": version, "type": "application" });
    let config = blob(media_type::HELM_CONFIG, config.to_string().as_bytes());
    let package = blob(media_type::HELM_CHART, &gzip(&tar(&files)));
    let provenance = provenance(&package.0);
    let layers: Vec<_> = std::iter::once(package).chain(provenance).collect();
    let listed: Vec<_> = layers.iter().map(|(descriptor, _)| descriptor).collect();
    let body = json!({
        "schemaVersion": 2, "mediaType": media_type::IMAGE_MANIFEST, "config": config.0, "layers": listed,
        "annotations": { "org.opencontainers.image.title": name, "org.opencontainers.image.version": version }
    });
    Fixture::of(media_type::IMAGE_MANIFEST, &body, std::iter::once(config).chain(layers).collect())
}

/// The media types that one kind of images is made of.
struct Types {
    index: &'static str,
    manifest: &'static str,
    config: &'static str,
    layer: &'static str,
}

const OCI: Types = Types {
    index: media_type::IMAGE_INDEX,
    manifest: media_type::IMAGE_MANIFEST,
    config: media_type::IMAGE_CONFIG,
    layer: media_type::IMAGE_LAYER_GZIP,
};
const DOCKER: Types = Types {
    index: media_type::DOCKER_MANIFEST_LIST,
    manifest: media_type::DOCKER_MANIFEST,
    config: media_type::DOCKER_CONFIG,
    layer: "application/vnd.docker.image.rootfs.diff.tar.gzip",
};

fn platform_image(seed: u64, architecture: &str, types: &Types) -> Fixture {
    let archive = archive(seed, architecture);
    let layer = blob(types.layer, &gzip(&archive));
    image_of(image_config(architecture, &[Digest::sha256(&archive)]), vec![layer], types)
}

fn archive(seed: u64, architecture: &str) -> Vec<u8> {
    let text = format!("sandbox image {seed} for {architecture}\n");
    tar(&[("hello.txt".to_owned(), text.into_bytes())])
}

fn image_config(architecture: &str, layers: &[Digest]) -> Value {
    let history = vec![json!({ "created": CREATED }); layers.len()];
    json!({
        "created": CREATED, "architecture": architecture, "os": "linux", "config": { "Cmd": ["/hello"] },
        "rootfs": { "type": "layers", "diff_ids": layers }, "history": history
    })
}

fn image_of(config: Value, layers: Vec<(Descriptor, FixtureBlob)>, types: &Types) -> Fixture {
    let config = blob(types.config, config.to_string().as_bytes());
    let listed: Vec<_> = layers.iter().map(|(descriptor, _)| descriptor).collect();
    let body = json!({
        "schemaVersion": 2, "mediaType": types.manifest, "config": config.0, "layers": listed
    });
    let blobs = std::iter::once(config).chain(layers.iter().cloned()).collect();
    Fixture::of(types.manifest, &body, blobs)
}

fn blob(media_type: &str, bytes: &[u8]) -> (Descriptor, FixtureBlob) {
    (Descriptor::of(media_type, bytes), FixtureBlob::Bytes(Bytes::copy_from_slice(bytes)))
}

/// Bytes that follow from a seed: of any size, never held whole, and not compressible.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Pattern {
    seed: u64,
    size: u64,
}

impl Pattern {
    /// Returns the first `size` bytes of the sequence that `seed` starts.
    pub fn new(seed: u64, size: u64) -> Self {
        Self { seed, size }
    }

    /// Returns the size, in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Returns the SHA-256 digest; makes every byte once.
    pub fn digest(&self) -> Digest {
        let mut hasher = Hasher::new(DigestAlgorithm::Sha256);
        for number in 0..self.size.div_ceil(PIECE_BYTES) {
            hasher.update(&self.piece(number));
        }
        hasher.finish()
    }

    /// Returns the descriptor.
    pub fn descriptor(&self, media_type: &str) -> Descriptor {
        Descriptor::new(media_type, self.digest(), self.size)
    }

    /// Returns the bytes as content to push.
    pub fn content(&self) -> Content {
        let pattern = *self;
        let pieces = (0..self.size.div_ceil(PIECE_BYTES)).map(move |number| Ok(pattern.piece(number)));
        Content::verified(&self.descriptor("application/octet-stream"), stream::iter(pieces))
    }

    /// Returns the bytes from `offset` to the end of the piece they are in; empty past the end.
    pub(crate) fn read_at(&self, offset: u64) -> Bytes {
        let within = usize::try_from(offset % PIECE_BYTES).unwrap_or_default();
        let piece = self.piece(offset / PIECE_BYTES);
        piece.slice(within.min(piece.len())..)
    }

    fn piece(&self, number: u64) -> Bytes {
        let start = number.saturating_mul(PIECE_BYTES).min(self.size);
        let length = usize::try_from((self.size - start).min(PIECE_BYTES)).unwrap_or_default();
        let mut piece = BytesMut::zeroed(length);
        fastrand::Rng::with_seed(self.seed ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15)).fill(&mut piece);
        piece.freeze()
    }
}

/// Returns a tar archive (ustar) of regular files.
fn tar(files: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut archive = Vec::new();
    for (name, content) in files {
        let mut header = [0_u8; 512];
        header[..name.len()].copy_from_slice(name.as_bytes());
        let mut fields = String::new();
        let _ = write!(fields, "0000644\x000000000\x000000000\x00{:011o}\x0000000000000\x00        0", content.len());
        header[100..100 + fields.len()].copy_from_slice(fields.as_bytes());
        header[257..265].copy_from_slice(b"ustar\x0000");
        let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        archive.extend_from_slice(&header);
        archive.extend_from_slice(content);
        archive.resize(archive.len().next_multiple_of(512), 0);
    }
    archive.resize(archive.len() + 1024, 0);
    archive
}

/// Returns `content` as a gzip file of stored blocks: valid, and not a byte smaller.
///
/// Specifications: RFC 1951 section 3.2.4 and RFC 1952.
fn gzip(content: &[u8]) -> Vec<u8> {
    let mut file = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    let blocks: Vec<_> = content.chunks(usize::from(u16::MAX)).collect();
    for (number, block) in blocks.iter().enumerate() {
        let length = u16::try_from(block.len()).unwrap_or(u16::MAX);
        file.push(u8::from(number + 1 == blocks.len()));
        file.extend_from_slice(&length.to_le_bytes());
        file.extend_from_slice(&(!length).to_le_bytes());
        file.extend_from_slice(block);
    }
    let size = u32::try_from(content.len()).unwrap_or(u32::MAX);
    file.extend_from_slice(&crc32(content).to_le_bytes());
    file.extend_from_slice(&size.to_le_bytes());
    file
}

fn crc32(content: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in content {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
        }
    }
    !crc
}

/// Creation time of everything made here.
const CREATED: &str = "2025-01-01T00:00:00Z";
/// Size of the pieces a pattern is made in.
const PIECE_BYTES: u64 = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_arguments_make_the_same_bytes() {
        assert_eq!(image(1).digest(), image(1).digest());
        assert_ne!(image(1).digest(), image(2).digest());
        assert_ne!(Pattern::new(1, 100).digest(), Pattern::new(2, 100).digest());
    }

    #[test]
    fn crc_is_the_one_of_gzip() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }

    #[tokio::test]
    async fn a_pattern_reads_the_same_from_anywhere() {
        let pattern = Pattern::new(7, PIECE_BYTES * 2 + 10);
        let whole = pattern.content().read_all(u64::MAX).await.unwrap();
        for offset in [0, 1, PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES * 2 + 9, PIECE_BYTES * 2 + 10] {
            let piece = pattern.read_at(offset);
            let start = usize::try_from(offset).unwrap();
            assert_eq!(piece, whole[start..start + piece.len()], "{offset}");
            assert_eq!(piece.is_empty(), start == whole.len());
        }
    }
}
