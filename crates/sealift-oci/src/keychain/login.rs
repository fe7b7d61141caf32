//! Stores and erases credentials where Docker and its relatives find them again.
//!
//! Never stores anything unverified: see [`crate::Client::check_login`].

use std::io;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sealift_core::oci::RegistryHost;
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::docker_config::{DockerConfig, KeychainSources, is_key_of, read_if_present, server_key};
use super::{Credential, KeychainError};

/// Docker's `config.json` as a place to keep credentials in, or the helper it names.
#[derive(Clone, Debug)]
pub struct CredentialStore {
    path: PathBuf,
}

/// Where credentials were stored or erased.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Stored {
    /// In a file, readable by its owner only, not encrypted.
    File(PathBuf),
    /// By a credential helper.
    Helper(String),
}

impl CredentialStore {
    /// Returns the store that `sources` point to.
    ///
    /// # Errors
    /// [`KeychainError::NoPlace`] when they name neither a configuration directory nor a home directory.
    pub fn new(sources: &KeychainSources) -> Result<Self, KeychainError> {
        sources.docker_config_file().map(|path| Self { path }).ok_or(KeychainError::NoPlace)
    }

    /// Stores the credentials of `host`, replacing earlier ones; everything else in the file stays as it is.
    ///
    /// # Errors
    /// [`KeychainError`] when the file or the helper fails.
    pub async fn store(&self, host: &RegistryHost, credential: &Credential) -> Result<Stored, KeychainError> {
        let (mut config, helper) = self.read(host).await?;
        let server = server_key(host);
        if let Some(helper) = helper {
            helper.store(&server, credential).await?;
            return Ok(Stored::Helper(helper.program().to_owned()));
        }
        let auths = config.entry("auths").or_insert_with(|| Value::Object(Map::new()));
        if auths.is_null() {
            *auths = Value::Object(Map::new());
        }
        let Value::Object(auths) = auths else { return Err(self.malformed("`auths` is not an object")) };
        auths.insert(server, auth_entry(credential));
        self.write(config).await
    }

    /// Erases the credentials of `host`; says where, or `None` when there were none.
    ///
    /// # Errors
    /// [`KeychainError`] when the file or the helper fails.
    pub async fn erase(&self, host: &RegistryHost) -> Result<Option<Stored>, KeychainError> {
        let (mut config, helper) = self.read(host).await?;
        let server = server_key(host);
        let mut removed = false;
        if let Some(Value::Object(auths)) = config.get_mut("auths") {
            let before = auths.len();
            auths.retain(|key, _| !is_key_of(key, host));
            removed = auths.len() < before;
        }
        if removed {
            self.write(config).await?;
        }
        if let Some(helper) = helper {
            helper.erase(&server).await?;
            return Ok(Some(Stored::Helper(helper.program().to_owned())));
        }
        Ok(removed.then(|| Stored::File(self.path.clone())))
    }

    async fn read(
        &self,
        host: &RegistryHost,
    ) -> Result<(Map<String, Value>, Option<super::helper::Helper>), KeychainError> {
        let Some(text) = read_if_present(&self.path).await? else { return Ok((Map::new(), None)) };
        let helper = DockerConfig::parse(&self.path.display().to_string(), &text)?.helper(host)?;
        let config = serde_json::from_slice(&text).map_err(|_| self.malformed("it is not a JSON object"))?;
        Ok((config, helper))
    }

    async fn write(&self, config: Map<String, Value>) -> Result<Stored, KeychainError> {
        let failed = |path: &Path, source| KeychainError::File { path: path.to_owned(), operation: "write", source };
        let text = serde_json::to_vec_pretty(&config).map_err(|_| self.malformed("it cannot be written as JSON"))?;
        let (path, text) = (self.path.clone(), Zeroizing::new(text));
        let written = tokio::task::spawn_blocking(move || write_private(&path, &text)).await;
        written
            .map_err(|_| failed(&self.path, io::Error::other("the write was cancelled")))?
            .map_err(|source| failed(&self.path, source))?;
        Ok(Stored::File(self.path.clone()))
    }

    fn malformed(&self, problem: &str) -> KeychainError {
        KeychainError::Malformed { origin: self.path.display().to_string(), problem: problem.to_owned() }
    }
}

fn auth_entry(credential: &Credential) -> Value {
    let mut entry = Map::new();
    match credential {
        Credential::Anonymous => {}
        Credential::Basic { username, password } => {
            let pair = Zeroizing::new(format!("{username}:{}", password.expose()));
            entry.insert("auth".to_owned(), STANDARD.encode(pair.as_bytes()).into());
        }
        Credential::IdentityToken(token) => {
            entry.insert("identitytoken".to_owned(), token.expose().into());
        }
        Credential::RegistryToken(token) => {
            entry.insert("registrytoken".to_owned(), token.expose().into());
        }
    }
    Value::Object(entry)
}

/// Replaces a file in one step; the new one is readable by its owner only, as temporary files are (mode 0600).
fn write_private(path: &Path, text: &[u8]) -> io::Result<()> {
    // A configuration is often a symbolic link into a dotfiles directory: replace what it points to.
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let directory = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
    std::fs::create_dir_all(directory)?;
    let mut file = tempfile::NamedTempFile::new_in(directory)?;
    file.write_all(text)?;
    file.as_file().sync_all()?;
    file.persist(&path)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::{DockerConfigKeychain, Keychain, Resource};
    use super::*;

    #[tokio::test]
    async fn stores_finds_and_erases_without_touching_the_rest() {
        let directory = tempfile::tempdir().unwrap();
        let sources =
            KeychainSources { docker_config: Some(directory.path().to_owned()), ..KeychainSources::default() };
        let path = directory.path().join("config.json");
        std::fs::write(
            &path,
            r#"{"psFormat":"x","auths":{"other.test":{"auth":"dTpw","email":"e"},"https://docker.io/v1/":{}}}"#,
        )
        .unwrap();
        let store = CredentialStore::new(&sources).unwrap();
        let hub = RegistryHost::docker_hub();
        let credential = Credential::from_pair("u", "p");
        assert_eq!(store.store(&hub, &credential).await.unwrap(), Stored::File(path.clone()));

        let keychain = DockerConfigKeychain::new(sources);
        let found = keychain.resolve(&Resource { host: hub.clone(), path: None }).await.unwrap();
        assert_eq!(found.credential(), &credential);
        let text: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        assert_eq!(text["psFormat"], "x");
        assert_eq!(text["auths"]["other.test"]["email"], "e");

        assert!(store.erase(&hub).await.unwrap().is_some());
        assert!(store.erase(&hub).await.unwrap().is_none());
        let text: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        assert_eq!(text["auths"].as_object().unwrap().len(), 1);
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn a_new_file_is_private() {
        use std::os::unix::fs::PermissionsExt as _;
        let directory = tempfile::tempdir().unwrap();
        let sources = KeychainSources { home: Some(directory.path().to_owned()), ..KeychainSources::default() };
        let store = CredentialStore::new(&sources).unwrap();
        store.store(&"reg.test".parse().unwrap(), &Credential::from_pair("u", "p")).await.unwrap();
        let mode = std::fs::metadata(directory.path().join(".docker/config.json")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
