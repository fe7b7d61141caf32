//! What is known of instances, kept in a directory.
//!
//! Each instance has a directory of its own, named by its URL: the TUF metadata under its own names, `root_history/`
//! with all roots seen, `targets/` with the documents, `checked` with the time of the last refresh, and for instances
//! of one's own `pinned_root` with the root to start with.

use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use sealift_core::trust::TrustRoot;
use url::Url;

use super::{Instance, TrustError};
use crate::signing_config::{SigningConfig, SigningConfigError};
use crate::transport::Transport;
use crate::tuf::{Cache, Repository, TufClient, TufError};

/// Keeps what is known of instances.
#[derive(Clone, Debug)]
pub struct TrustStore {
    cache: Cache,
}

/// Whether and when the network may be used.
#[derive(Clone, Copy, Debug)]
pub enum Access<'a> {
    /// Never: no socket is opened.
    Offline,
    /// When what is kept is older than `max_age`.
    Online {
        /// What requests go through.
        transport: &'a Transport,
        /// Until when what is kept counts as new; zero asks always.
        max_age: SignedDuration,
    },
}

/// Whom to trust and what to sign with, and how that is known.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TrustMaterial {
    /// Whom to trust.
    pub trust_root: TrustRoot,
    /// `trusted_root.json`, as signed.
    pub trusted_root_json: Bytes,
    /// `signing_config.json`, as signed, where the instance has one.
    pub signing_config_json: Option<Bytes>,
    /// Where it comes from.
    pub source: Source,
}

/// Where trust material comes from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Source {
    /// From the store; the repository was last asked at this time.
    Cache {
        /// When, if that was kept.
        checked: Option<Timestamp>,
    },
    /// From the store, because the repository did not answer; it has not expired.
    CacheInPlaceOfRepository {
        /// When the repository last answered, if that was kept.
        checked: Option<Timestamp>,
    },
    /// From this program: it is as old as the program.
    Embedded,
    /// From the repository, just now.
    Repository,
}

impl TrustMaterial {
    /// Returns what comes with this program: as old as the program, and for nobody to take back.
    ///
    /// # Errors
    /// [`TrustError::NothingCached`] for an instance of one's own.
    pub fn embedded(instance: &Instance) -> Result<Self, TrustError> {
        let nothing = || TrustError::NothingCached { url: instance.url().to_owned() };
        let embedded = instance.embedded().ok_or_else(nothing)?;
        let documents = Documents {
            trusted_root: Bytes::from_static(embedded.trusted_root),
            signing_config: embedded.signing_config.map(Bytes::from_static),
        };
        documents.into_material(instance, Source::Embedded)
    }

    /// Returns what to sign with, where the instance says so. Read only when asked for: who verifies does not depend on
    /// whether this version understands it.
    ///
    /// # Errors
    /// [`SigningConfigError`] when it is not understood.
    pub fn signing_config(&self) -> Option<Result<SigningConfig, SigningConfigError>> {
        self.signing_config_json.as_deref().map(SigningConfig::parse)
    }
}

impl TrustStore {
    /// Uses a directory, which is made when there is something to keep.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self { cache: Cache::new(directory) }
    }

    /// Keeps an instance of one's own, to be found by [`TrustStore::instance`]. Another root than the one kept so far
    /// starts anew: what was fetched under that one is forgotten.
    ///
    /// # Errors
    /// [`TrustError::Store`].
    pub fn initialise(&self, instance: &Instance) -> Result<(), TrustError> {
        let cache = self.of(instance.url());
        let failed = |source| TrustError::Store { path: cache.directory().to_owned(), source };
        let kept = cache.read(PINNED_ROOT, MAX_PINNED_ROOT_BYTES).map_err(failed)?;
        if kept.is_some_and(|kept| kept != instance.root()[..]) {
            std::fs::remove_dir_all(cache.directory()).map_err(failed)?;
        }
        cache.write(PINNED_ROOT, instance.root()).map_err(failed)
    }

    /// Returns the instance of one's own that was kept under `url`.
    ///
    /// # Errors
    /// [`TrustError::Store`] when it cannot be read, [`TrustError::Root`] when its root was spoilt.
    pub fn instance(&self, url: &Url) -> Result<Option<Instance>, TrustError> {
        let cache = self.of(url.as_str().trim_end_matches('/'));
        let failed = |source| TrustError::Store { path: cache.directory().to_owned(), source };
        let root = cache.read(PINNED_ROOT, MAX_PINNED_ROOT_BYTES).map_err(failed)?;
        root.map(|root| Instance::custom(url, root)).transpose()
    }

    /// Returns what is known of `instance` at `now`, asking its repository if `access` allows and what is kept is not
    /// young enough.
    ///
    /// # Errors
    /// [`TrustError::Refresh`], [`TrustError::Cached`], [`TrustError::NothingCached`] when nothing is trusted;
    /// [`TrustError::TrustedRoot`] when what is trusted is not understood.
    pub async fn material(
        &self,
        instance: &Instance,
        access: Access<'_>,
        now: Timestamp,
    ) -> Result<TrustMaterial, TrustError> {
        let cache = self.of(instance.url());
        let checked = checked(&cache);
        let (transport, max_age) = match access {
            Access::Offline => return offline(instance, &cache, checked, now).await,
            Access::Online { transport, max_age } => (transport, max_age),
        };
        // A time in the future is no proof of youth: a clock was wrong, then or now.
        let is_young = checked.is_some_and(|checked| checked <= now && now.duration_since(checked) < max_age);
        if is_young {
            match fetched(instance, &cache, None, now).await {
                Ok(documents) => return documents.into_material(instance, Source::Cache { checked }),
                Err(error) => tracing::debug!(%error, "what is kept is passed over"),
            }
        }
        let refresh = fetched(instance, &cache, Some(repository(instance, transport)?), now);
        let refreshed = tokio::time::timeout(MAX_REFRESH, refresh).await;
        let failure = match refreshed.unwrap_or(Err(TufError::Slow { limit: MAX_REFRESH })) {
            Ok(documents) => {
                if let Err(error) = cache.write(CHECKED, now.to_string().as_bytes()) {
                    tracing::warn!(%error, "the time of the refresh cannot be kept");
                }
                return documents.into_material(instance, Source::Repository);
            }
            Err(failure) => failure,
        };
        // A repository that does not answer takes nothing back. One that says something wrong is not passed over.
        if failure.is_unavailable()
            && let Ok(documents) = fetched(instance, &cache, None, now).await
        {
            tracing::warn!(error = %failure, "the repository of trust roots did not answer; what is kept is used");
            return documents.into_material(instance, Source::CacheInPlaceOfRepository { checked });
        }
        Err(TrustError::Refresh { url: instance.url().to_owned(), source: failure })
    }

    fn of(&self, url: &str) -> Cache {
        self.cache.below(url)
    }
}

async fn offline(
    instance: &Instance,
    cache: &Cache,
    checked: Option<Timestamp>,
    now: Timestamp,
) -> Result<TrustMaterial, TrustError> {
    let failed = |source| TrustError::Store { path: cache.directory().to_owned(), source };
    // Either is written by every refresh: what came with the program is older than what one of them brought.
    if !cache.contains("timestamp.json").map_err(failed)? && !cache.contains(CHECKED).map_err(failed)? {
        return TrustMaterial::embedded(instance);
    }
    let url = || instance.url().to_owned();
    let documents = fetched(instance, cache, None, now).await;
    let documents = documents.map_err(|source| TrustError::Cached { url: url(), source })?;
    documents.into_material(instance, Source::Cache { checked })
}

/// The documents of an instance, as signed.
struct Documents {
    trusted_root: Bytes,
    signing_config: Option<Bytes>,
}

impl Documents {
    fn into_material(self, instance: &Instance, source: Source) -> Result<TrustMaterial, TrustError> {
        let trust_root = TrustRoot::parse(&self.trusted_root)
            .map_err(|source| TrustError::TrustedRoot { url: instance.url().to_owned(), source })?;
        let Self { trusted_root: trusted_root_json, signing_config: signing_config_json } = self;
        Ok(TrustMaterial { trust_root, trusted_root_json, signing_config_json, source })
    }
}

/// Runs the client; without a repository, on the cache alone.
async fn fetched(
    instance: &Instance,
    cache: &Cache,
    repository: Option<Repository>,
    now: Timestamp,
) -> Result<Documents, TufError> {
    let mut client = TufClient::new(instance.root(), cache.clone(), cache.below("targets"), repository)?;
    client.refresh(now).await?;
    let trusted_root = client.target("trusted_root.json", now).await?;
    let signing_config = match client.target("signing_config.v0.2.json", now).await {
        Ok(config) => Some(config),
        Err(TufError::NotListed { .. }) => None,
        Err(error) => return Err(error),
    };
    Ok(Documents { trusted_root, signing_config })
}

fn repository(instance: &Instance, transport: &Transport) -> Result<Repository, TrustError> {
    let url = instance.url();
    let parsed = Url::parse(url).map_err(|source| TrustError::Url { url: url.to_owned(), source })?;
    Ok(Repository::new(&parsed, transport.clone()))
}

fn checked(cache: &Cache) -> Option<Timestamp> {
    let text = cache.read(CHECKED, MAX_CHECKED_BYTES).ok()??;
    std::str::from_utf8(&text).ok()?.parse().ok()
}

/// How long what is kept counts as new, unless somebody says otherwise: metadata of the public instances is signed
/// daily and lasts for a week.
pub const DEFAULT_MAX_AGE: SignedDuration = SignedDuration::from_hours(24);

/// Longest time for a refresh and its documents. Stops a repository that gives each file just in time, which the
/// specification calls a slow retrieval.
const MAX_REFRESH: Duration = Duration::from_secs(180);

/// Does not end in `.json`, nor does [`CHECKED`]: the metadata of a role, whatever it is called, does.
const PINNED_ROOT: &str = "pinned_root";
const MAX_PINNED_ROOT_BYTES: usize = 512 * 1024;
const CHECKED: &str = "checked";
const MAX_CHECKED_BYTES: usize = 64;
