//! Credentials as Docker and Podman keep them: `config.json`, `auth.json`, and the helpers they name.
//!
//! Files are read at the first question, so a broken one does not disturb anonymous work.
//! Formats: <https://docs.docker.com/reference/cli/docker/login/> and
//! <https://github.com/containers/image/blob/main/docs/containers-auth.json.5.md>.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sealift_core::oci::RegistryHost;
use serde::Deserialize;
use tokio::sync::OnceCell;
use zeroize::Zeroizing;

use super::helper::{Helper, HelperAnswer};
use super::memo::Memo;
use super::{Credential, Keychain, KeychainError, Resolved, Resource};
use crate::redact::Secret;

/// The key that Docker keeps Docker Hub's credentials under, whatever spelling was typed.
pub(super) const DOCKER_HUB_KEY: &str = "https://index.docker.io/v1/";
/// How long a helper's answer is used: helpers hand out tokens that end without saying when.
const HELPER_LIFETIME: Duration = Duration::from_secs(10 * 60);
/// The largest configuration read; a larger file is not one.
const MAX_CONFIG_BYTES: u64 = 4 * 1024 * 1024;

/// Where to look for configurations: values of variables and directories, read by the caller.
#[derive(Clone, Debug, Default)]
pub struct KeychainSources {
    /// The text of a configuration (`DOCKER_AUTH_CONFIG`, as CI systems set it).
    pub docker_auth_config: Option<Secret>,
    /// Directory of `config.json` (`DOCKER_CONFIG`); without it `.docker` in the home directory.
    pub docker_config: Option<PathBuf>,
    /// The home directory.
    pub home: Option<PathBuf>,
    /// Path of an `auth.json` (`REGISTRY_AUTH_FILE`).
    pub registry_auth_file: Option<PathBuf>,
    /// `XDG_RUNTIME_DIR`, where Podman keeps `containers/auth.json`.
    pub xdg_runtime_dir: Option<PathBuf>,
}

impl KeychainSources {
    /// Returns the file that `login` writes to: Docker's `config.json`.
    pub fn docker_config_file(&self) -> Option<PathBuf> {
        let home = self.home.as_ref().map(|home| home.join(".docker"));
        self.docker_config.clone().or(home).map(|directory| directory.join("config.json"))
    }

    /// Returns every file looked at, in order.
    fn files(&self) -> impl Iterator<Item = PathBuf> {
        let podman = self.xdg_runtime_dir.as_ref().map(|directory| directory.join("containers").join("auth.json"));
        self.docker_config_file().into_iter().chain(self.registry_auth_file.clone()).chain(podman)
    }
}

/// Reads credentials from Docker's and Podman's configurations.
#[derive(Debug)]
pub struct DockerConfigKeychain {
    sources: KeychainSources,
    configs: OnceCell<Vec<DockerConfig>>,
    helpers: HelperMemo,
}

impl DockerConfigKeychain {
    /// Returns a keychain over `sources`; reads nothing yet.
    pub fn new(sources: KeychainSources) -> Self {
        Self { sources, configs: OnceCell::new(), helpers: HelperMemo::default() }
    }

    async fn load(&self) -> Result<Vec<DockerConfig>, KeychainError> {
        let mut configs = Vec::new();
        if let Some(text) = &self.sources.docker_auth_config {
            configs.push(DockerConfig::parse("DOCKER_AUTH_CONFIG", text.expose().as_bytes())?);
        }
        for path in self.sources.files() {
            if let Some(text) = read_if_present(&path).await? {
                configs.push(DockerConfig::parse(&path.display().to_string(), &text)?);
            }
        }
        Ok(configs)
    }
}

#[async_trait]
impl Keychain for DockerConfigKeychain {
    async fn resolve(&self, resource: &Resource) -> Result<Resolved, KeychainError> {
        for config in self.configs.get_or_try_init(|| self.load()).await? {
            let found = config.resolve(resource, &self.helpers).await?;
            if !found.is_anonymous() {
                return Ok(found);
            }
        }
        Ok(Resolved::anonymous())
    }
}

/// The parts of a configuration that concern credentials.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DockerConfig {
    #[serde(default, deserialize_with = "null_as_default")]
    auths: BTreeMap<String, AuthEntry>,
    #[serde(default, deserialize_with = "null_as_default")]
    cred_helpers: BTreeMap<String, String>,
    creds_store: Option<String>,
    /// Where the configuration was read.
    #[serde(skip)]
    origin: String,
}

impl std::fmt::Debug for DockerConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let hosts: Vec<_> = self.auths.keys().collect();
        f.debug_struct("DockerConfig")
            .field("auths", &hosts)
            .field("cred_helpers", &self.cred_helpers)
            .field("creds_store", &self.creds_store)
            .finish()
    }
}

impl DockerConfig {
    pub(super) fn parse(origin: &str, text: &[u8]) -> Result<Self, KeychainError> {
        let parsed = serde_json::from_slice(text).map_err(|error| KeychainError::Malformed {
            origin: origin.to_owned(),
            // Only the place: serde's message quotes values, which may be passwords.
            problem: format!("line {}, column {}", error.line(), error.column()),
        });
        parsed.map(|config: Self| Self { origin: origin.to_owned(), ..config })
    }

    /// Returns the helper that keeps the credentials of `host`, if any does.
    pub(super) fn helper(&self, host: &RegistryHost) -> Result<Option<Helper>, KeychainError> {
        let resource = Resource { host: host.clone(), path: None };
        let own = best_match(&self.cred_helpers, &resource);
        let store = self.creds_store.as_ref().filter(|name| !name.is_empty());
        own.or(store).map(|name| Helper::new(name)).transpose()
    }

    async fn resolve(&self, resource: &Resource, helpers: &HelperMemo) -> Result<Resolved, KeychainError> {
        let server = server_key(&resource.host);
        let own = best_match(&self.cred_helpers, resource).map(|name| (name, Absence::Fails));
        // A config.json shared with another machine names a store that is not here; anonymous work goes on.
        let store = self.creds_store.as_ref().filter(|name| !name.is_empty()).map(|name| (name, Absence::Passes));
        if let Some((name, absence)) = own.or(store) {
            let found =
                helpers.get_or_find((name.clone(), server.clone()), || ask_helper(name, &server, absence)).await?;
            if !found.is_anonymous() {
                return Ok(found);
            }
        }
        let Some(entry) = best_match(&self.auths, resource) else { return Ok(Resolved::anonymous()) };
        let credential = entry.credential(&server)?;
        let is_there = !credential.is_anonymous();
        Ok(if is_there { Resolved::new(credential, self.origin.clone()) } else { Resolved::anonymous() })
    }
}

/// What helpers answered, by the helper's name and the server's: a helper is a process, and may ask a person.
type HelperMemo = Memo<(String, String)>;

/// What it means that a helper's program is not installed.
#[derive(Clone, Copy, Debug)]
enum Absence {
    Fails,
    Passes,
}

async fn ask_helper(name: &str, server: &str, absence: Absence) -> Result<Resolved, KeychainError> {
    let helper = Helper::new(name)?;
    let found = match (helper.find(server).await?, absence) {
        (HelperAnswer::Found(credential), _) => Resolved::new(credential, helper.program()),
        (HelperAnswer::NoProgram, Absence::Fails) => return Err(helper.failed("get", "the program is not installed")),
        (HelperAnswer::NoProgram, Absence::Passes) => {
            tracing::warn!(helper = name, "the credsStore helper is not installed");
            Resolved::anonymous()
        }
        (HelperAnswer::NotFound, _) => Resolved::anonymous(),
    };
    Ok(found.lasting(HELPER_LIFETIME))
}

/// One entry of `auths`.
#[derive(Default, Deserialize)]
struct AuthEntry {
    auth: Option<Secret>,
    username: Option<String>,
    password: Option<Secret>,
    identitytoken: Option<Secret>,
    registrytoken: Option<Secret>,
}

impl AuthEntry {
    fn credential(&self, server: &str) -> Result<Credential, KeychainError> {
        let filled = |text: &Option<Secret>| text.clone().filter(|text| !text.expose().is_empty());
        if let Some(token) = filled(&self.registrytoken) {
            return Ok(Credential::RegistryToken(token));
        }
        if let Some(token) = filled(&self.identitytoken) {
            return Ok(Credential::IdentityToken(token));
        }
        if let Some(auth) = filled(&self.auth) {
            return decode_pair(auth.expose()).ok_or_else(|| KeychainError::Malformed {
                origin: format!("`auths` entry of {server}"),
                problem: "`auth` is not the base64 of `user:password`".to_owned(),
            });
        }
        let pair = self.username.as_ref().filter(|name| !name.is_empty()).zip(filled(&self.password));
        Ok(pair.map_or(Credential::Anonymous, |(name, password)| Credential::from_pair(name.clone(), password)))
    }
}

fn decode_pair(auth: &str) -> Option<Credential> {
    let bytes = Zeroizing::new(STANDARD.decode(auth.trim()).ok()?);
    let (username, password) = std::str::from_utf8(&bytes).ok()?.split_once(':')?;
    // Old Docker versions pad with NUL.
    Some(Credential::from_pair(username, password.trim_end_matches('\0')))
}

/// Returns how Docker names a registry to helpers and in `auths`.
pub(super) fn server_key(host: &RegistryHost) -> String {
    if host.is_docker_hub() { DOCKER_HUB_KEY.to_owned() } else { host.to_string() }
}

/// Returns the entry whose key is the longest prefix of `host/path`, part by part.
fn best_match<'a, V>(entries: &'a BTreeMap<String, V>, resource: &Resource) -> Option<&'a V> {
    let path: Vec<&str> = resource.path.iter().flat_map(|path| path.split('/')).collect();
    entries
        .iter()
        .filter_map(|(key, value)| {
            let (host, prefix) = parse_key(key)?;
            let prefix: Vec<&str> = prefix.split('/').filter(|part| !part.is_empty()).collect();
            (host == resource.host && path.starts_with(&prefix)).then_some((prefix.len(), value))
        })
        .max_by_key(|(length, _)| *length)
        .map(|(_, value)| value)
}

/// Says whether a key stands for the whole registry `host`, in any spelling.
pub(super) fn is_key_of(key: &str, host: &RegistryHost) -> bool {
    parse_key(key).is_some_and(|(named, path)| named == *host && path.trim_matches('/').is_empty())
}

/// Reads a key: `host`, `https://host`, `https://host/v1/`, `host/path`.
fn parse_key(key: &str) -> Option<(RegistryHost, &str)> {
    let bare = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://")).unwrap_or(key);
    let (host, path) = bare.split_once('/').unwrap_or((bare, ""));
    // `/v1/` and `/v2/` are versions of the API, from the time when keys were its addresses.
    let path = if bare.len() < key.len() && matches!(path.trim_end_matches('/'), "v1" | "v2") { "" } else { path };
    Some((host.parse().ok()?, path))
}

pub(super) async fn read_if_present(path: &Path) -> Result<Option<Zeroizing<Vec<u8>>>, KeychainError> {
    let failed = |source| KeychainError::File { path: path.to_owned(), operation: "read", source };
    let size = match tokio::fs::metadata(path).await {
        Ok(metadata) => metadata.len(),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        Err(error) => return Err(failed(error)),
    };
    if size > MAX_CONFIG_BYTES {
        return Err(KeychainError::Malformed {
            origin: path.display().to_string(),
            problem: format!("larger than {MAX_CONFIG_BYTES} bytes"),
        });
    }
    tokio::fs::read(path).await.map(|text| Some(Zeroizing::new(text))).map_err(failed)
}

fn null_as_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resource(host: &str, path: &str) -> Resource {
        Resource { host: host.parse().unwrap(), path: (!path.is_empty()).then(|| path.to_owned()) }
    }

    fn user(credential: &Credential) -> &str {
        match credential {
            Credential::Anonymous => "(anonymous)",
            Credential::Basic { username, .. } => username,
            Credential::IdentityToken(_) => "(identity)",
            Credential::RegistryToken(_) => "(registry)",
        }
    }

    fn entry(name: &str) -> String {
        format!(r#"{{"auth":"{}"}}"#, STANDARD.encode(format!("{name}:pass:word")))
    }

    #[tokio::test]
    async fn finds_entries_by_every_spelling() {
        let text = format!(
            r#"{{"auths":{{"https://index.docker.io/v1/":{},"ghcr.io":{},"ghcr.io/org":{},"ghcr.io/org/app":{},
               "https://reg.test":{},"http://old.test/v2/":{},"plain.test:5000":{{"username":"u","password":"p"}},
               "id.test":{{"auth":"","identitytoken":"t"}},"tok.test":{{"registrytoken":"t"}},"empty.test":{{}}}},
               "credHelpers":null,"psFormat":"x"}}"#,
            entry("hub"),
            entry("host"),
            entry("org"),
            entry("app"),
            entry("https"),
            entry("old"),
        );
        let config = DockerConfig::parse("test", text.as_bytes()).unwrap();
        for (host, path, expected) in [
            ("docker.io", "library/alpine", "hub"),
            ("registry-1.docker.io", "", "hub"),
            ("ghcr.io", "other/app", "host"),
            ("ghcr.io", "org/tool", "org"),
            ("ghcr.io", "org/app", "app"),
            ("ghcr.io", "organisation/app", "host"),
            ("reg.test", "a", "https"),
            ("old.test", "a", "old"),
            ("plain.test:5000", "a", "u"),
            ("plain.test", "a", "(anonymous)"),
            ("id.test", "a", "(identity)"),
            ("tok.test", "a", "(registry)"),
            ("empty.test", "a", "(anonymous)"),
            ("unknown.test", "a", "(anonymous)"),
        ] {
            let found = config.resolve(&resource(host, path), &HelperMemo::default()).await.unwrap();
            assert_eq!(user(found.credential()), expected, "{host}/{path}");
        }
    }

    #[tokio::test]
    async fn keeps_colons_of_passwords_and_takes_token_users() {
        let Some(Credential::Basic { username, password }) = decode_pair(&STANDARD.encode("u:a:b\0")) else { panic!() };
        assert_eq!((username.as_str(), password.expose()), ("u", "a:b"));
        let Some(Credential::IdentityToken(token)) = decode_pair(&STANDARD.encode("<token>:t")) else { panic!() };
        assert_eq!(token.expose(), "t");
        assert!(decode_pair("%%%").is_none());
    }

    #[tokio::test]
    async fn sources_are_read_in_order_and_missing_ones_are_none() {
        let directory = tempfile::tempdir().unwrap();
        let docker = directory.path().join("docker");
        std::fs::create_dir(&docker).unwrap();
        std::fs::write(docker.join("config.json"), format!(r#"{{"auths":{{"a.test":{}}}}}"#, entry("docker"))).unwrap();
        let podman = directory.path().join("auth.json");
        let both = format!(r#"{{"auths":{{"a.test":{},"b.test":{}}}}}"#, entry("podman"), entry("podman"));
        std::fs::write(&podman, both).unwrap();
        let inline = format!(r#"{{"auths":{{"c.test":{}}}}}"#, entry("inline"));
        let keychain = DockerConfigKeychain::new(KeychainSources {
            docker_auth_config: Some(inline.into()),
            docker_config: Some(docker),
            home: Some(directory.path().join("nobody")),
            registry_auth_file: Some(podman),
            xdg_runtime_dir: Some(directory.path().join("none")),
        });
        for (host, expected, origin) in [
            ("a.test", "docker", "config.json"),
            ("b.test", "podman", "auth.json"),
            ("c.test", "inline", "DOCKER_AUTH_CONFIG"),
        ] {
            let found = keychain.resolve(&resource(host, "x")).await.unwrap();
            assert_eq!(user(found.credential()), expected);
            assert!(found.origin().contains(origin), "{}", found.origin());
        }
        assert!(!format!("{keychain:?}").contains("inline:pass"));
    }

    #[tokio::test]
    async fn a_malformed_file_is_an_error_without_its_values() {
        let keychain = DockerConfigKeychain::new(KeychainSources {
            docker_auth_config: Some(r#"{"auths":{"a.test":"hunter2"}}"#.into()),
            ..KeychainSources::default()
        });
        let error = keychain.resolve(&resource("a.test", "")).await.unwrap_err();
        assert!(!error.to_string().contains("hunter2") && error.to_string().contains("DOCKER_AUTH_CONFIG"));
    }
}
