//! The manifests of an artifact: itself and, for an index, every platform.

use std::collections::{BTreeSet, HashMap};

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
    fn covers(&self, found: &Platforms) -> bool {
        match self {
            Self::Itself => false,
            Self::Platforms(wanted) => wanted.iter().any(|platform| found.contains(platform)),
            Self::Recursive => true,
        }
    }

    /// Refuses answers that leave a platform out: a name that fits nothing must not pass for one that is signed.
    ///
    /// # Errors
    /// [`CliError::NoPlatform`].
    pub(crate) fn refuse_absent<T>(&self, reference: &Reference, answers: &[(Platforms, T)]) -> Result<(), CliError> {
        let Self::Platforms(platforms) = self else { return Ok(()) };
        let is_absent = |wanted: &&String| !answers.iter().any(|(platforms, _)| platforms.contains(wanted));
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

/// Answers about the artifact itself, then about every manifest below it if `depth` says so; each with its platforms.
///
/// # Errors
/// As [`members`].
pub(crate) async fn answers_about<T>(
    repository: &dyn ReadRepository,
    root: &Root,
    depth: &Depth,
    answer: impl AsyncFn(&Digest) -> T,
) -> Result<Vec<(Platforms, T)>, RepositoryError> {
    let mut answers = vec![(Platforms::default(), answer(root.digest()).await)];
    if *depth != Depth::Itself {
        let root = match root {
            Root::Named(digest) => repository.resolve(&Selector::Digest(digest.clone())).await?,
            Root::Resolved(descriptor) => descriptor.clone(),
        };
        let below = members(repository, &root).await?.into_iter().skip(1);
        for member in below.filter(|member| depth.covers(&member.platforms)) {
            let answer = answer(&member.descriptor().digest).await;
            answers.push((member.platforms, answer));
        }
    }
    Ok(answers)
}

/// The platforms that indexes give one manifest, such as `linux/amd64`: mostly one, and several where it is listed again.
#[derive(Clone, Debug, Default)]
pub(crate) struct Platforms(BTreeSet<String>);

impl Platforms {
    /// Says whether the manifest is for `platform`.
    pub(crate) fn contains(&self, platform: &str) -> bool {
        self.0.contains(platform)
    }

    /// Returns all of them as one text; none where no index gives it any.
    pub(crate) fn text(&self) -> Option<String> {
        let platforms: Vec<&str> = self.0.iter().map(String::as_str).collect();
        (!platforms.is_empty()).then(|| platforms.join(", "))
    }
}

/// One manifest of an artifact.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    pub(crate) manifest: RawManifest,
    /// What it is for.
    pub(crate) platforms: Platforms,
    /// The first index it is in; none for the artifact itself.
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
    let mut places: HashMap<Digest, (Platforms, Digest)> = HashMap::new();
    // All of them first: an index may list anew what one before it has listed for another platform.
    for manifest in graph.manifests() {
        // The walk has parsed it already, so this does not fail.
        for entry in manifest.parse().map(|manifest| manifest.manifests).unwrap_or_default() {
            let parent = || (Platforms::default(), manifest.descriptor().digest.clone());
            let (platforms, _) = places.entry(entry.digest).or_insert_with(parent);
            platforms.0.extend(entry.platform.as_ref().map(ToString::to_string));
        }
    }
    let member = |manifest: &RawManifest| {
        let (platforms, parent) = places.remove(&manifest.descriptor().digest).unzip();
        Member { manifest: manifest.clone(), platforms: platforms.unwrap_or_default(), parent }
    };
    Ok(graph.manifests().map(member).collect())
}
