//! Which attachments travel.

use std::sync::Arc;

use sealift_core::attach::Attachment;
use sealift_core::evidence::read_signatures;
use sealift_core::identity::IdentityMatcher;
use sealift_core::oci::{Digest, Manifest, media_type};
use sealift_core::pattern::Pattern;
use sealift_core::repository::{ReadRepository, RepositoryError};
use sealift_core::verify::{Artifact, Claim, Verifier};

/// Which attachments travel: all but those that an exclusion fits and no inclusion, and what is attached to these.
///
/// By default Microsoft's lifecycle markers stay behind: a marker that is right in staging marks a supported image as
/// out of life in production.
#[derive(Clone, Debug)]
pub struct Selection {
    excluded: Vec<Feature>,
    included: Vec<Feature>,
}

impl Selection {
    /// Returns a selection of everything, lifecycle markers included.
    pub fn everything() -> Self {
        Self { excluded: Vec::new(), included: Vec::new() }
    }

    /// Leaves out what has this feature.
    #[must_use]
    pub fn excluding(mut self, feature: Feature) -> Self {
        self.excluded.push(feature);
        self
    }

    /// Takes in what has this feature, whatever excludes it.
    #[must_use]
    pub fn including(mut self, feature: Feature) -> Self {
        self.included.push(feature);
        self
    }

    /// Says whether `attachment` stays behind.
    ///
    /// # Errors
    /// Fails when a signature cannot be read, because what it is then stays open.
    pub async fn excludes(
        &self,
        attachment: &Attachment,
        source: &dyn ReadRepository,
    ) -> Result<bool, RepositoryError> {
        Ok(any(&self.excluded, attachment, source).await? && !any(&self.included, attachment, source).await?)
    }
}

impl Default for Selection {
    fn default() -> Self {
        let lifecycle = Pattern::exact(media_type::MICROSOFT_LIFECYCLE);
        Self::everything().excluding(Feature::ArtifactType(lifecycle))
    }
}

async fn any(
    features: &[Feature],
    attachment: &Attachment,
    source: &dyn ReadRepository,
) -> Result<bool, RepositoryError> {
    for feature in features {
        if feature.fits(attachment, source).await? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Something that attachments are told apart by.
///
/// One of cosign's tags holds several attachments and travels or stays as a whole, so it has a feature only if all of
/// them have it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Feature {
    /// An annotation of its manifest with this key, and a value that the pattern accepts.
    Annotation {
        /// The key.
        key: String,
        /// The value; any when there is none.
        value: Option<Pattern>,
    },
    /// Its own artifact type.
    ArtifactType(Pattern),
    /// The media type of its content.
    MediaType(Pattern),
    /// The type of the predicate that it signs, as its statement says, not its annotations.
    PredicateType(Pattern),
    /// Who signed it, proven: a signature that does not verify is nobody's.
    Signer(Arc<Signers>),
}

/// Some identities, and what proves that a signature is theirs.
#[derive(Debug)]
pub struct Signers {
    /// Whose signatures are meant.
    pub identities: IdentityMatcher,
    /// What makes a signature good.
    pub verifier: Verifier,
}

impl Feature {
    async fn fits(&self, attachment: &Attachment, source: &dyn ReadRepository) -> Result<bool, RepositoryError> {
        // The attachment was opened, so its manifest parses.
        let Ok(manifest) = attachment.manifest.parse() else { return Ok(false) };
        match self {
            Self::Annotation { key, value } => Ok(has_annotation(&manifest, key, value.as_ref())),
            Self::ArtifactType(pattern) => Ok(attachment.artifact_type.as_ref().is_some_and(|it| pattern.matches(it))),
            Self::MediaType(pattern) => {
                let mut types = manifest.layers.iter().map(|layer| layer.media_type.as_str());
                Ok(!manifest.layers.is_empty() && types.all(|it| pattern.matches(it)))
            }
            Self::PredicateType(pattern) => {
                let read = read_signatures(source, attachment).await?;
                let mut types = read.iter().map(|signed| signed.predicate_type());
                Ok(!read.is_empty() && types.all(|it| it.is_some_and(|it| pattern.matches(&it))))
            }
            Self::Signer(signers) => {
                let read = read_signatures(source, attachment).await?;
                let mut entities = read.iter().map(|signed| signed.entity.as_ref());
                Ok(!read.is_empty()
                    && entities.all(|entity| entity.is_ok_and(|entity| signers.made(entity, &attachment.subject))))
            }
        }
    }
}

impl Signers {
    fn made(&self, entity: &sealift_core::entity::SignedEntity, subject: &Digest) -> bool {
        let claims = [Claim::ImageSignature, Claim::Attestation { predicate_type: None }];
        let artifact = Artifact::Digest(subject);
        claims.iter().any(|claim| self.verifier.verify(entity, &artifact, &self.identities, claim).is_ok())
    }
}

fn has_annotation(manifest: &Manifest, key: &str, value: Option<&Pattern>) -> bool {
    let fits = |found: &String| value.is_none_or(|pattern| pattern.matches(found));
    let mut layers = manifest.layers.iter().map(|layer| layer.annotations.get(key));
    manifest.annotations.get(key).is_some_and(fits)
        || (!manifest.layers.is_empty() && layers.all(|found| found.is_some_and(fits)))
}
