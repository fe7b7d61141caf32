//! How a registry behaves when nothing goes wrong.

use std::path::PathBuf;
use std::time::Duration;

/// What a registry can do and asks for. The default is a complete registry in memory, without authentication.
#[derive(Clone, Debug)]
pub struct RegistryOptions {
    /// Address to listen on, port 0 for any free one.
    pub listen: String,
    /// Where content is kept.
    pub storage: Storage,
    /// Whether the referrers API exists.
    pub referrers_api: bool,
    /// Whether `OCI-Subject` is sent though there is no referrers API, as some proxies do.
    pub claims_subject: bool,
    /// Whether the referrers API filters by `artifactType`.
    pub filters: bool,
    /// Most entries on one page of tags, referrers or the catalog.
    pub page_size: Option<usize>,
    /// What becomes of a request to mount.
    pub mount: Mount,
    /// Who may do what.
    pub auth: Auth,
    /// Whether anything can be deleted; else 405.
    pub deletes: bool,
    /// Whether `If-Match` and `If-None-Match` are honoured when a manifest is put or a tag deleted.
    pub conditional_writes: bool,
    /// Whether the tag `sha256-<hex>` stands for the image with that digest when nothing else holds it, as at GitLab.
    pub fallback_tag_is_image: bool,
    /// Whether `POST ...?digest=` stores the body; else it only opens a session, as at docker-registry.
    pub single_post: bool,
    /// Whether `Location` names no host.
    pub relative_locations: bool,
    /// `OCI-Chunk-Min-Length` to announce, in bytes.
    pub chunk_min_length: Option<u64>,
    /// Time every request waits before it is answered.
    pub latency: Duration,
}

impl Default for RegistryOptions {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:0".to_owned(),
            storage: Storage::Memory,
            referrers_api: true,
            claims_subject: false,
            filters: true,
            page_size: None,
            mount: Mount::Yes,
            auth: Auth::None,
            deletes: true,
            conditional_writes: false,
            fallback_tag_is_image: false,
            single_post: true,
            relative_locations: false,
            chunk_min_length: None,
            latency: Duration::ZERO,
        }
    }
}

impl RegistryOptions {
    /// Returns a registry as docker-registry 2.8 is: no referrers API, no single-request upload, deletes allowed.
    pub fn distribution() -> Self {
        Self { referrers_api: false, single_post: false, ..Self::default() }
    }

    /// Takes the referrers API away.
    #[must_use]
    pub fn without_referrers_api(self) -> Self {
        Self { referrers_api: false, ..self }
    }

    /// Makes the referrers API ignore `artifactType`.
    #[must_use]
    pub fn without_filters(self) -> Self {
        Self { filters: false, ..self }
    }

    /// Cuts listings into pages of `size` entries.
    #[must_use]
    pub fn with_page_size(self, size: usize) -> Self {
        Self { page_size: Some(size), ..self }
    }

    /// Sets what becomes of a request to mount.
    #[must_use]
    pub fn with_mount(self, mount: Mount) -> Self {
        Self { mount, ..self }
    }

    /// Sets who may do what.
    #[must_use]
    pub fn with_auth(self, auth: Auth) -> Self {
        Self { auth, ..self }
    }

    /// Answers every deletion with 405.
    #[must_use]
    pub fn without_deletes(self) -> Self {
        Self { deletes: false, ..self }
    }

    /// Sets where content is kept.
    #[must_use]
    pub fn with_storage(self, storage: Storage) -> Self {
        Self { storage, ..self }
    }

    /// Makes every request wait.
    #[must_use]
    pub fn with_latency(self, latency: Duration) -> Self {
        Self { latency, ..self }
    }
}

/// Where a registry keeps its content.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Storage {
    /// A folder: content-addressed, with flat memory for blobs of any size, read again at the next start.
    Folder(PathBuf),
    /// Memory, gone with the registry.
    Memory,
}

/// What becomes of a request to mount a blob from another repository.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Mount {
    /// Refused: 202 and an upload session, as the specification has it.
    No,
    /// Mounted, 201, when the source has the blob.
    Yes,
}

/// Who may do what.
#[derive(Clone, Debug)]
pub enum Auth {
    /// Everybody, everything.
    None,
    /// One user, everything, by HTTP Basic.
    Basic {
        /// Name of the user.
        user: String,
        /// Password of the user.
        password: String,
    },
    /// Bearer tokens of the registry's own token service.
    Token(TokenAuth),
}

impl Auth {
    /// Returns HTTP Basic with one user.
    pub fn basic(user: &str, password: &str) -> Self {
        Self::Basic { user: user.to_owned(), password: password.to_owned() }
    }

    /// Returns bearer tokens with one user, who may do everything, and nobody else.
    pub fn token(user: &str, password: &str) -> Self {
        Self::Token(TokenAuth { user: user.to_owned(), password: password.to_owned(), ..TokenAuth::default() })
    }
}

/// How the token service behaves.
///
/// Specification: <https://distribution.github.io/distribution/spec/auth/token/>.
#[derive(Clone, Debug)]
pub struct TokenAuth {
    /// Name of the user.
    pub user: String,
    /// Password of the user.
    pub password: String,
    /// Whether tokens to pull are given to anybody.
    pub anonymous_pull: bool,
    /// `expires_in` of the answer, in seconds; `None` leaves it out, which means 60.
    pub expires_in: Option<u64>,
    /// How long a token works in fact.
    pub lifetime: Duration,
    /// Scope of the challenge at `/v2/`, such as GHCR's `repository:user/image:pull`.
    pub placeholder_scope: Option<String>,
    /// Realm of the challenge instead of the registry's own `/token`.
    pub realm: Option<String>,
    /// Whether `POST /token` (OAuth 2, refresh tokens) exists; else 405, as at old token services.
    pub oauth: bool,
    /// Actions never granted, such as `push`.
    pub denied_actions: Vec<String>,
}

impl Default for TokenAuth {
    fn default() -> Self {
        Self {
            user: String::new(),
            password: String::new(),
            anonymous_pull: false,
            expires_in: Some(300),
            lifetime: Duration::from_secs(300),
            placeholder_scope: None,
            realm: None,
            oauth: true,
            denied_actions: Vec::new(),
        }
    }
}
