//! The manifests of an artifact: itself and, for an index, every platform.

use std::collections::HashMap;

use sealift_core::oci::{Descriptor, Digest, RawManifest, Reference, Selector};
use sealift_core::repository::graph::walk;
use sealift_core::repository::{ReadRepository, RepositoryError};

use crate::error::CliError;

/// Manifests read at once.
const CONCURRENCY: usize = 8;

/// Which manifests of an artifact something is asked about.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Depth {
    /// The artifact itself.
    Itself,
    /// Itself, and of an index the manifests of these platforms, at any depth.
    Platforms(Vec<String>),
    /// Itself, and for an index every manifest below it.
    Recursive,
}

impl Depth {
    /// Says whether something is asked about a manifest below the artifact.
    fn covers(&self, platform: Option<&String>) -> bool {
        match self {
            Self::Itself => false,
            Self::Platforms(platforms) => platform.is_some_and(|platform| platforms.contains(platform)),
            Self::Recursive => true,
        }
    }

    /// Refuses answers that leave a platform out: a name that fits nothing must not pass for one that is signed.
    ///
    /// # Errors
    /// [`CliError::NoPlatform`].
    pub(crate) fn refuse_absent<T>(
        &self,
        reference: &Reference,
        answers: &[(Option<String>, T)],
    ) -> Result<(), CliError> {
        let Self::Platforms(platforms) = self else { return Ok(()) };
        let is_absent = |wanted: &&String| !answers.iter().any(|(platform, _)| platform.as_ref() == Some(*wanted));
        match platforms.iter().find(is_absent) {
            Some(platform) => {
                Err(CliError::NoPlatform { platform: platform.clone(), reference: reference.to_string() })
            }
            None => Ok(()),
        }
    }
}

/// The artifact itself, as far as it is known.
#[derive(Clone, Debug)]
pub(crate) enum Root {
    /// By the digest that was typed: nobody has asked whether it is there.
    Named(Digest),
    /// It is there.
    Resolved(Descriptor),
}

impl Root {
    /// Returns its digest.
    pub(crate) fn digest(&self) -> &Digest {
        match self {
            Self::Named(digest) => digest,
            Self::Resolved(descriptor) => &descriptor.digest,
        }
    }
}

/// Answers about the artifact itself, then about every manifest below it if `depth` says so; each with its platform.
///
/// # Errors
/// As [`members`].
pub(crate) async fn answers_about<T>(
    repository: &dyn ReadRepository,
    root: &Root,
    depth: &Depth,
    answer: impl AsyncFn(&Digest) -> T,
) -> Result<Vec<(Option<String>, T)>, RepositoryError> {
    let mut answers = vec![(None, answer(root.digest()).await)];
    if *depth != Depth::Itself {
        let root = match root {
            Root::Named(digest) => repository.resolve(&Selector::Digest(digest.clone())).await?,
            Root::Resolved(descriptor) => descriptor.clone(),
        };
        let below = members(repository, &root).await?.into_iter().skip(1);
        for member in below.filter(|member| depth.covers(member.platform.as_ref())) {
            let answer = answer(&member.descriptor().digest).await;
            answers.push((member.platform, answer));
        }
    }
    Ok(answers)
}

/// One manifest of an artifact.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    pub(crate) manifest: RawManifest,
    /// The platform the index gives it, such as `linux/amd64`.
    pub(crate) platform: Option<String>,
    /// The index it is in; none for the artifact itself.
    pub(crate) parent: Option<Digest>,
}

impl Member {
    /// Returns media type, digest and size.
    pub(crate) fn descriptor(&self) -> &Descriptor {
        self.manifest.descriptor()
    }
}

/// Returns the artifact itself, then every manifest below it, parents before children.
///
/// # Errors
/// Also when an index names a manifest that the repository does not hold.
pub(crate) async fn members(
    repository: &dyn ReadRepository,
    root: &Descriptor,
) -> Result<Vec<Member>, RepositoryError> {
    let graph = walk(repository, root, CONCURRENCY).await?;
    let mut places: HashMap<Digest, (Option<String>, Digest)> = HashMap::new();
    let mut members = Vec::new();
    for manifest in graph.manifests() {
        let descriptor = manifest.descriptor();
        // The walk has parsed it already, so this does not fail.
        for entry in manifest.parse().map(|manifest| manifest.manifests).unwrap_or_default() {
            let platform = entry.platform.as_ref().map(ToString::to_string);
            places.entry(entry.digest).or_insert((platform, descriptor.digest.clone()));
        }
        let (platform, parent) = match places.get(&descriptor.digest) {
            Some((platform, parent)) => (platform.clone(), Some(parent.clone())),
            None => (None, None),
        };
        members.push(Member { manifest: manifest.clone(), platform, parent });
    }
    Ok(members)
}
