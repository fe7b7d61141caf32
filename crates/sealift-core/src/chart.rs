//! Helm charts: what a chart calls itself, and whether the provenance file beside its package is about that package.
//!
//! Never verifies the OpenPGP signature of a provenance file: that a file names a package says nothing about who wrote it.
//! Format: <https://helm.sh/docs/topics/provenance/>, <https://helm.sh/docs/topics/registries/>.

use serde::Deserialize;

use crate::document::{Document, DocumentError};
use crate::oci::{Descriptor, Digest, Manifest, RawManifest, media_type};
use crate::repository::{ReadRepository, RepositoryError, foreign_text};

/// What a chart says of itself.
#[derive(Debug)]
#[non_exhaustive]
pub struct Chart {
    /// Its name, bounded and printable; none where its configuration says none.
    pub name: Option<String>,
    /// Its version, with `+` where the tag has `_`; bounded and printable.
    pub version: Option<String>,
    /// What its provenance file is about.
    pub provenance: Provenance,
}

/// What a provenance file is about, judging by what it says, whoever signed it.
#[derive(Debug)]
#[non_exhaustive]
pub enum Provenance {
    /// There is none.
    Absent,
    /// It names the digest of this chart's package.
    Matching,
    /// It does not.
    Other(ProvenanceError),
}

impl Chart {
    /// Reads the chart that `manifest` is; `None` when it is something else.
    ///
    /// # Errors
    /// Fails when the configuration or the provenance file cannot be read.
    pub async fn read(
        repository: &dyn ReadRepository,
        manifest: &RawManifest,
    ) -> Result<Option<Self>, RepositoryError> {
        let Ok(manifest) = manifest.parse() else { return Ok(None) };
        let is_chart = |config: &&Descriptor| config.media_type == *media_type::HELM_CONFIG;
        let Some(config) = manifest.config.as_ref().filter(is_chart) else { return Ok(None) };
        let said: ConfigJson = serde_json::from_slice(&read(repository, config).await?).unwrap_or_default();
        let provenance = match provenance_layer(&manifest) {
            Ok(None) => Provenance::Absent,
            Ok(Some(layer)) => {
                let file = read(repository, layer).await?;
                said.check(&manifest, &file).map_or_else(Provenance::Other, |()| Provenance::Matching)
            }
            Err(error) => Provenance::Other(error),
        };
        let text = |text: Option<String>| text.map(|text| foreign_text(&text)).filter(|text| !text.is_empty());
        Ok(Some(Self { name: text(said.name), version: text(said.version), provenance }))
    }
}

async fn read(repository: &dyn ReadRepository, blob: &Descriptor) -> Result<Vec<u8>, RepositoryError> {
    let content = repository.fetch(blob).await?.read_all(MAX_CHART_FILE_BYTES).await;
    content.map(Into::into).map_err(|error| RepositoryError::of_content(repository.name(), error))
}

/// Returns the provenance file's descriptor. Helm accepts one, so that which one counts is never a question.
fn provenance_layer(manifest: &Manifest) -> Result<Option<&Descriptor>, ProvenanceError> {
    let mut found = manifest.layers.iter().filter(|layer| layer.media_type == *media_type::HELM_PROVENANCE);
    match (found.next(), found.next()) {
        (layer, None) => Ok(layer),
        _ => Err(ProvenanceError::Several),
    }
}

/// The configuration of a chart, which is its `Chart.yaml` as JSON.
#[derive(Default, Deserialize)]
struct ConfigJson {
    name: Option<String>,
    version: Option<String>,
}

impl ConfigJson {
    /// Says whether a provenance file names the package of `manifest`, under the name that Helm gives its file.
    fn check(&self, manifest: &Manifest, provenance: &[u8]) -> Result<(), ProvenanceError> {
        let is_package = |layer: &&Descriptor| {
            [media_type::HELM_CHART, media_type::HELM_CHART_LEGACY].contains(&layer.media_type.as_str())
        };
        let mut packages = manifest.layers.iter().filter(is_package);
        let (Some(package), None) = (packages.next(), packages.next()) else { return Err(ProvenanceError::NoPackage) };
        let (name, version) = (self.name.as_deref(), self.version.as_deref());
        let file = format!("{}-{}.tgz", name.unwrap_or_default(), version.unwrap_or_default());
        match digest_of(provenance, &file)? {
            found if found == package.digest => Ok(()),
            found => Err(ProvenanceError::OtherPackage { found }),
        }
    }
}

/// Returns the digest that a provenance file names for `file`.
fn digest_of(provenance: &[u8], file: &str) -> Result<Digest, ProvenanceError> {
    let text = std::str::from_utf8(provenance).map_err(|_| ProvenanceError::NoSignedMessage)?.replace("\r\n", "\n");
    let message = text.trim_start().strip_prefix("-----BEGIN PGP SIGNED MESSAGE-----\n");
    // Headers such as `Hash` end with an empty line (RFC 9580, section 7).
    let (_, message) = message.and_then(|text| text.split_once("\n\n")).ok_or(ProvenanceError::NoSignedMessage)?;
    let (message, _) =
        message.split_once("\n-----BEGIN PGP SIGNATURE-----\n").ok_or(ProvenanceError::NoSignedMessage)?;
    // Lines that begin with a dash are escaped with `- `.
    let message: Vec<&str> = message.lines().map(|line| line.strip_prefix("- ").unwrap_or(line)).collect();
    // The chart's metadata, then the digests, as two documents.
    let mut documents = message.split(|line| *line == "...");
    let digests = documents.nth(1).ok_or(ProvenanceError::NoDigests)?.join("\n");
    let document = Document::parse(digests.as_bytes(), "provenance file").map_err(ProvenanceError::Document)?;
    let files = document.root().fields(&["files", "images"]).and_then(|fields| fields.required("files"));
    let files = files.and_then(|files| files.named(MAX_FILES)).map_err(ProvenanceError::Document)?;
    let named = files.into_iter().find(|(name, _)| *name == file);
    let (_, digest) = named.ok_or_else(|| ProvenanceError::NotNamed { file: foreign_text(file) })?;
    digest.parsed("a digest").map_err(ProvenanceError::Document)
}

/// The largest configuration or provenance file read, which holds no more than the chart's metadata; stops one without
/// end.
const MAX_CHART_FILE_BYTES: u64 = 1024 * 1024;
/// The most files one provenance file may name; Helm writes one.
const MAX_FILES: usize = 16;

/// Says why a provenance file is not about the package beside it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProvenanceError {
    /// The digests cannot be read.
    #[error("its digests cannot be read")]
    Document(#[source] DocumentError),
    /// No digests follow the chart's metadata.
    #[error("it names no digests")]
    NoDigests,
    /// The chart has no package, or several.
    #[error("the chart has not one package that it could be about")]
    NoPackage,
    /// It is no cleartext signed message.
    #[error("it is no signed OpenPGP message")]
    NoSignedMessage,
    /// It is about other files.
    #[error("it does not name `{file}`")]
    NotNamed {
        /// The file of the chart's package.
        file: String,
    },
    /// It names another digest.
    #[error("it is about another package, {found}")]
    OtherPackage {
        /// The digest that it names.
        found: Digest,
    },
    /// There are several.
    #[error("there are several provenance files")]
    Several,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::attach::NewLayer;
    use crate::repository::{Content, MemoryRepository, Repository as _};

    fn file(body: &str) -> String {
        format!("-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\n{body}\n-----BEGIN PGP SIGNATURE-----\n\nx\n")
    }

    async fn chart(provenance: &[&str]) -> Chart {
        let repository = MemoryRepository::new("charts");
        let pushed = async |media_type: &str, content: &str| {
            let layer = NewLayer::new(media_type, content.to_owned());
            repository.push(&layer.descriptor(), Content::from(layer.content.clone())).await.unwrap();
            layer.descriptor()
        };
        let config =
            pushed(media_type::HELM_CONFIG, r#"{"name":"web","version":"0.1.0+b1","type":"application"}"#).await;
        let mut layers = vec![pushed(media_type::HELM_CHART, "package").await];
        for text in provenance {
            layers.push(pushed(media_type::HELM_PROVENANCE, text).await);
        }
        let body = json!({ "schemaVersion": 2, "config": config, "layers": layers });
        let manifest = RawManifest::new(media_type::IMAGE_MANIFEST, body.to_string());
        Chart::read(&repository, &manifest).await.unwrap().unwrap()
    }

    #[tokio::test]
    async fn a_provenance_file_names_the_package_or_something_else() {
        let (right, other) = (Digest::sha256(b"package"), Digest::sha256(b"other"));
        let named = |name: &str, digest: &Digest| file(&format!("name: web\n\n...\nfiles:\n  {name}: {digest}"));
        let quoted = file(&format!("name: web\n...\nfiles:\n  'web-0.1.0+b1.tgz': \"{right}\""));
        let escaped = file(&format!("- - a\n...\nfiles:\n  web-0.1.0+b1.tgz: {right}"));
        let twice = file(&format!("a: b\n...\nfiles:\n  web-0.1.0+b1.tgz: {right}\n  web-0.1.0+b1.tgz: {other}"));
        for (text, expected) in [
            (named("web-0.1.0+b1.tgz", &right), ""),
            (named("web-0.1.0+b1.tgz", &right).replace('\n', "\r\n"), ""),
            (quoted, ""),
            (escaped, ""),
            (named("web-0.1.0+b1.tgz", &other), "another package"),
            (named("web-0.1.0.tgz", &right), "does not name `web-0.1.0+b1.tgz`"),
            (twice, "cannot be read"),
            (file("name: web\n...\nfiles: []"), "cannot be read"),
            (file(&format!("files:\n  web-0.1.0+b1.tgz: {right}")), "no digests"),
            (format!("files:\n  web-0.1.0+b1.tgz: {right}"), "no signed OpenPGP message"),
            (String::new(), "no signed OpenPGP message"),
        ] {
            match chart(&[&text]).await.provenance {
                Provenance::Matching => assert_eq!(expected, "", "{text}"),
                Provenance::Other(error) => {
                    assert!(!expected.is_empty() && error.to_string().contains(expected), "{error}: {text}");
                }
                Provenance::Absent => panic!("{text}"),
            }
        }
        assert!(matches!(chart(&[]).await.provenance, Provenance::Absent));
        let several = chart(&["one", "two"]).await.provenance;
        assert!(matches!(several, Provenance::Other(ProvenanceError::Several)), "{several:?}");
    }

    #[tokio::test]
    async fn a_chart_has_a_name_and_an_image_none() {
        let chart = chart(&[]).await;
        assert_eq!((chart.name.as_deref(), chart.version.as_deref()), (Some("web"), Some("0.1.0+b1")));
        let body =
            json!({ "schemaVersion": 2, "config": Descriptor::of(media_type::IMAGE_CONFIG, b"{}"), "layers": [] });
        let image = RawManifest::new(media_type::IMAGE_MANIFEST, body.to_string());
        assert!(Chart::read(&MemoryRepository::new("charts"), &image).await.unwrap().is_none());
        let body =
            json!({ "schemaVersion": 2, "config": Descriptor::of(media_type::HELM_CONFIG, b"{}"), "layers": [] });
        let lost = RawManifest::new(media_type::IMAGE_MANIFEST, body.to_string());
        assert!(Chart::read(&MemoryRepository::new("charts"), &lost).await.is_err(), "nobody knows what it says");
    }
}
