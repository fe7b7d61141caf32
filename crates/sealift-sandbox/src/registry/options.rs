//! How a registry behaves when nothing goes wrong.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::quirk::{Answer, Quirks};
use crate::sigstore::RegistryTokens;

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
    /// What it does unlike the specification, or besides it.
    pub quirks: Quirks,
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
            quirks: Quirks::default(),
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
#[expect(clippy::large_enum_variant, reason = "there are few of them, and a box would be in the way of every test")]
pub enum Auth {
    /// Everybody, everything.
    None,
    /// One user, everything, by HTTP Basic.
    Basic(BasicAuth),
    /// Bearer tokens of the registry's own token service.
    Token(TokenAuth),
}

impl Auth {
    /// Returns HTTP Basic with one user.
    pub fn basic(user: &str, password: &str) -> Self {
        Self::Basic(BasicAuth { user: user.to_owned(), password: password.to_owned(), ..BasicAuth::default() })
    }

    /// Returns bearer tokens with one user, who may do everything, and nobody else.
    pub fn token(user: &str, password: &str) -> Self {
        Self::Token(TokenAuth { user: user.to_owned(), password: password.to_owned(), ..TokenAuth::default() })
    }
}

/// How HTTP Basic is asked for.
#[derive(Clone, Debug, Default)]
pub struct BasicAuth {
    /// Name of the user.
    pub user: String,
    /// Password of the user.
    pub password: String,
    /// `service` of the challenge, whose realm is then the registry's address, as at ECR.
    pub service: Option<&'static str>,
    /// What wrong credentials are answered, instead of the challenge.
    pub wrong: Option<Answer>,
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
    /// Names of more users, with the same password and the same rights.
    pub others: &'static [&'static str],
    /// Where the token service is.
    pub path: &'static str,
    /// What the registry calls itself towards its token service; its address where this is empty.
    pub service: &'static str,
    /// Whether tokens to pull are given to anybody.
    pub anonymous_pull: bool,
    /// Which repositories that is about, as a name in which `*` stands for any text.
    pub public: &'static str,
    /// What becomes of a request for more than may be given.
    pub excess: Excess,
    /// Whether tokens for `registry:catalog:*` are given.
    pub catalog: bool,
    /// `expires_in` of the answer, in seconds; `None` leaves it out, which means 60.
    pub expires_in: Option<u64>,
    /// Fields of the answer that hold the token.
    pub fields: &'static [&'static str],
    /// How long a token works in fact.
    pub lifetime: Duration,
    /// Scope of the challenge where the registry does not know the repository, such as GHCR's
    /// `repository:user/image:pull`: at `/v2/`, the catalog, and repositories that do not exist.
    pub placeholder_scope: Option<String>,
    /// Scope of every challenge, such as public ECR's `aws`.
    pub fixed_scope: Option<&'static str>,
    /// Whether scopes leave the first part of a repository's path away, as at Artifactory.
    pub strips_first_part: bool,
    /// Realm of the challenge instead of the registry's own token service.
    pub realm: Option<String>,
    /// What a token that is unknown or expired is answered, instead of a challenge.
    pub stale_token: Option<Answer>,
    /// Whether the API takes user and password directly, too.
    pub takes_basic: bool,
    /// Whether the token service answers `POST` (OAuth 2, refresh tokens); else 405, as old ones do.
    pub oauth: bool,
    /// Whether the token service answers `GET` with a refresh token as the password of this user.
    pub refresh_user: Option<&'static str>,
    /// Where identities of somebody else are exchanged for refresh tokens, as at ACR.
    pub exchange: Option<Exchange>,
    /// Actions never granted, such as `push`.
    pub denied_actions: Vec<String>,
    /// Makes tokens that another registry can check itself, instead of random ones.
    pub signed: Option<Arc<RegistryTokens>>,
}

impl TokenAuth {
    pub(super) fn knows(&self, user: &str, password: &str) -> bool {
        (user == self.user || self.others.contains(&user)) && password == self.password
    }
}

impl Default for TokenAuth {
    fn default() -> Self {
        Self {
            user: String::new(),
            password: String::new(),
            others: &[],
            path: "/token",
            service: "sealift-sandbox",
            anonymous_pull: false,
            public: "*",
            excess: Excess::LeftOut,
            catalog: true,
            expires_in: Some(300),
            fields: &["token", "access_token"],
            lifetime: Duration::from_secs(300),
            placeholder_scope: None,
            fixed_scope: None,
            strips_first_part: false,
            realm: None,
            stale_token: None,
            takes_basic: false,
            oauth: true,
            refresh_user: None,
            exchange: None,
            denied_actions: Vec::new(),
            signed: None,
        }
    }
}

/// What becomes of a request for more than may be given.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Excess {
    /// The token allows less than asked for, without a word, as the specification has it.
    LeftOut,
    /// No token, but this refusal.
    Refused(Answer),
}

/// Where identities of somebody else are exchanged for refresh tokens.
///
/// Specification: <https://github.com/Azure/acr/blob/main/docs/AAD-OAuth.md>.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// The path, `/oauth2/exchange` at ACR.
    pub path: &'static str,
    /// The token of somebody else that is taken.
    pub access_token: String,
}
