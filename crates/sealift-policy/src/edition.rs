//! Which edition of a version something is, as its publisher wrote into it.
//!
//! Says nothing about who wrote it: who can push can write anything.

use std::collections::BTreeMap;

use jiff::Timestamp;
use sealift_core::oci::{RawManifest, annotation, media_type};
use sealift_core::repository::{ReadRepository, RepositoryError, foreign_text};
use serde::Deserialize;
use serde_json::value::RawValue;

/// What an artifact says of its own version: in the annotations of its manifest, or the labels of its configuration.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Edition {
    /// Version, such as `1.0`, which editions share.
    pub version: Option<String>,
    /// What the edition was made from, such as a commit.
    pub revision: Option<String>,
    /// When it was made.
    pub created: Option<Timestamp>,
}

impl Edition {
    /// Reads what `manifest` says, and where it names no version, what its configuration says.
    ///
    /// # Errors
    /// Fails when there is a configuration of an image and it cannot be read.
    pub async fn read(repository: &dyn ReadRepository, manifest: &RawManifest) -> Result<Self, RepositoryError> {
        let Ok(parsed) = manifest.parse() else { return Ok(Self::default()) };
        let said = Self::of(&parsed.annotations);
        let is_image = |media_type: &str| matches!(media_type, media_type::IMAGE_CONFIG | media_type::DOCKER_CONFIG);
        let config = parsed.config.as_ref().filter(|config| is_image(config.media_type.as_str()));
        let Some(config) = config.filter(|_| said.version.is_none()) else { return Ok(said) };
        let content = repository.fetch(config).await?;
        let json = content.read_all(MAX_CONFIG_BYTES).await;
        let json = json.map_err(|error| RepositoryError::of_content(repository.name(), error))?;
        let labels = Self::of(&labels(&json));
        Ok(Self {
            version: labels.version,
            revision: said.revision.or(labels.revision),
            created: said.created.or(labels.created),
        })
    }

    fn of(annotations: &BTreeMap<String, String>) -> Self {
        let text = |key: &str| annotations.get(key).map(|text| foreign_text(text)).filter(|text| !text.is_empty());
        Self {
            version: text(annotation::VERSION),
            revision: text(annotation::REVISION),
            created: text(annotation::CREATED).and_then(|text| text.parse().ok()),
        }
    }
}

/// The largest configuration read; those of images with long histories have some 100 KiB. Stops one without end.
const MAX_CONFIG_BYTES: u64 = 4 * 1024 * 1024;

/// Returns the labels of a configuration; what is no configuration has none.
///
/// A label that is no text says nothing and takes nothing from the others: because of a number among them, an image would
/// seem to have no version and could not be followed to its newest edition.
fn labels(json: &[u8]) -> BTreeMap<String, String> {
    let config: ConfigJson<'_> = serde_json::from_slice(json).unwrap_or_default();
    let labels = config.config.and_then(|config| config.labels).unwrap_or_default();
    labels.into_iter().filter_map(|(name, value)| Some((name, serde_json::from_str(value.get()).ok()?))).collect()
}

#[derive(Default, Deserialize)]
struct ConfigJson<'a> {
    #[serde(borrow)]
    config: Option<LabelsJson<'a>>,
}

#[derive(Default, Deserialize)]
struct LabelsJson<'a> {
    #[serde(borrow, rename = "Labels")]
    labels: Option<BTreeMap<String, &'a RawValue>>,
}

#[cfg(test)]
mod tests {
    use sealift_core::attach::NewLayer;
    use sealift_core::oci::Descriptor;
    use sealift_core::repository::{Content, MemoryRepository, Repository as _};
    use serde_json::json;

    use super::*;

    #[tokio::test]
    async fn annotations_come_before_labels() {
        let repository = MemoryRepository::new("images");
        let label = json!({ "config": { "Labels": { annotation::VERSION: "1.0", annotation::REVISION: "label" } } });
        let pushed = async |config: &str, annotations: serde_json::Value| {
            let config = NewLayer::new(media_type::IMAGE_CONFIG, config.to_owned());
            repository.push(&config.descriptor(), Content::from(config.content.clone())).await.unwrap();
            let manifest = json!({
                "schemaVersion": 2, "mediaType": media_type::IMAGE_MANIFEST, "config": config.descriptor(), "layers": [],
                "annotations": annotations
            });
            RawManifest::new(media_type::IMAGE_MANIFEST, manifest.to_string())
        };
        let odd =
            json!({ annotation::VERSION: "1.0", annotation::REVISION: 7, "count": 1, "list": ["1.0"], "none": null });
        let odd_label = json!({ "config": { "Labels": odd } });
        for (config, annotations, version, revision) in [
            (label.to_string(), json!({}), Some("1.0"), Some("label")),
            (label.to_string(), json!({ annotation::VERSION: "2.0" }), Some("2.0"), None),
            (label.to_string(), json!({ annotation::REVISION: "abc" }), Some("1.0"), Some("abc")),
            ("{}".to_owned(), json!({}), None, None),
            ("no JSON".to_owned(), json!({ annotation::VERSION: "" }), None, None),
            (json!({ "config": null }).to_string(), json!({}), None, None),
            (odd_label.to_string(), json!({}), Some("1.0"), None),
        ] {
            let manifest = pushed(&config, annotations).await;
            let edition = Edition::read(&repository, &manifest).await.unwrap();
            assert_eq!((edition.version.as_deref(), edition.revision.as_deref()), (version, revision), "{config}");
        }
        let lost = Descriptor::of(media_type::IMAGE_CONFIG, b"lost");
        let body = json!({ "schemaVersion": 2, "config": lost, "layers": [] });
        let manifest = RawManifest::new(media_type::IMAGE_MANIFEST, body.to_string());
        assert!(Edition::read(&repository, &manifest).await.is_err(), "nobody knows what it says");
    }
}
