//! An OCI registry on loopback.
//!
//! Runs on a thread of its own, so that it serves any test, with or without a runtime. Never speaks TLS.
//! Specification: <https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md>.

mod attributes;
mod auth;
mod blob;
mod emulation;
mod fault;
mod folder;
mod limit;
mod listing;
mod log;
mod manifest;
mod options;
mod quirk;
mod reply;
mod route;
mod server;
mod store;
mod token;
mod upload;

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;

use bytes::Bytes;
use sealift_core::oci::{Descriptor, Digest, RawManifest};
use tokio::sync::oneshot;

pub use emulation::Emulation;
pub use fault::{Effect, RetryAfter, Rule};
pub use log::{LoggedRequest, longest_chain};
pub use options::{Auth, BasicAuth, Excess, Exchange, Mount, RegistryOptions, Storage, TokenAuth};
pub use quirk::{Answer, MissingApi, PullLimit, Quarantine, Quirks, Root, SparseIndex, Throttle};
pub use route::Endpoint;

use crate::fixture::{Fixture, FixtureBlob};
use server::Server;
use store::{Blob, Condition};

/// A running registry, which stops when dropped.
pub struct Registry {
    address: SocketAddr,
    server: Arc<Server>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Registry {
    /// Starts a registry.
    ///
    /// # Errors
    /// Fails when the address is taken or the folder cannot be read.
    pub fn start(options: RegistryOptions) -> Result<Self, RegistryError> {
        Self::start_observed(options, |_| {})
    }

    /// Starts a registry that shows every request to `observer` once it is answered.
    ///
    /// # Errors
    /// As [`Registry::start`].
    pub fn start_observed(
        options: RegistryOptions,
        observer: impl Fn(&LoggedRequest) + Send + Sync + 'static,
    ) -> Result<Self, RegistryError> {
        let listen = options.listen.clone();
        let listener = std::net::TcpListener::bind(&listen)
            .and_then(|listener| listener.set_nonblocking(true).map(|()| listener))
            .map_err(|source| RegistryError::Listen { address: listen, source })?;
        let address = listener.local_addr().map_err(RegistryError::System)?;
        let server = Arc::new(Server::new(options, address, Box::new(observer))?);
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(RegistryError::System)?;
        let (stop, stopped) = oneshot::channel();
        let serving = Arc::clone(&server);
        let serve = move || {
            runtime.block_on(async {
                tokio::select! {
                    () = server::serve(serving, listener) => {}
                    _ = stopped => {}
                }
            });
            runtime.shutdown_background();
        };
        let thread =
            std::thread::Builder::new().name("sandbox".to_owned()).spawn(serve).map_err(RegistryError::System)?;
        Ok(Self { address, server, stop: Some(stop), thread: Some(thread) })
    }

    /// Returns host and port, as in `127.0.0.1:40123`.
    pub fn host(&self) -> String {
        self.address.to_string()
    }

    /// Returns the URL that paths are appended to, as in `http://127.0.0.1:40123`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns a reference to `rest` here, as in `127.0.0.1:40123/team/app:v1`.
    pub fn reference(&self, rest: &str) -> String {
        format!("{}/{rest}", self.address)
    }

    /// Returns the requests since the start or the last [`Registry::clear_requests`], in order of arrival.
    pub fn requests(&self) -> Vec<LoggedRequest> {
        self.server.log.requests()
    }

    /// Forgets all requests.
    pub fn clear_requests(&self) {
        self.server.log.clear();
    }

    /// Replaces all fault rules, from the next request on; every rule counts from zero.
    pub fn set_faults(&self, rules: impl IntoIterator<Item = Rule>) {
        self.server.faults.replace(rules.into_iter().collect());
    }

    /// Removes all fault rules.
    pub fn clear_faults(&self) {
        self.set_faults([]);
    }

    /// Makes every bearer token given so far worthless.
    pub fn revoke_tokens(&self) {
        self.server.tokens.revoke();
    }

    /// Makes an empty repository, without a request, for registries where a push does not.
    pub fn create_repository(&self, repository: &str) {
        self.server.store.create(repository);
    }

    /// Returns a refresh token of the token service, as its login gives it, without a request.
    pub fn refresh_token(&self) -> String {
        let user = match &self.server.options.auth {
            Auth::Token(options) => options.user.as_str(),
            Auth::Basic(_) | Auth::None => "",
        };
        self.server.tokens.new_refresh(user)
    }

    /// Stores a fixture, without a request.
    ///
    /// # Errors
    /// Fails when a manifest is refused or the folder cannot be written.
    pub fn add(&self, repository: &str, fixture: &Fixture, tag: Option<&str>) -> Result<Descriptor, RegistryError> {
        for (descriptor, blob) in fixture.blobs() {
            match blob {
                FixtureBlob::Bytes(bytes) => self.add_blob(repository, bytes.clone()).map(|_| ())?,
                FixtureBlob::Pattern(pattern) => {
                    let blob = Blob::Pattern(*pattern);
                    let stored = self.server.store.put_blob(repository, &descriptor.digest, blob);
                    stored.map_err(RegistryError::System)?;
                }
            }
        }
        for manifest in fixture.manifests() {
            let tag = tag.filter(|_| manifest.descriptor().digest == *fixture.digest());
            self.add_manifest(repository, manifest, tag)?;
        }
        Ok(fixture.descriptor().clone())
    }

    /// Stores a blob, without a request.
    ///
    /// # Errors
    /// Fails when the folder cannot be written.
    pub fn add_blob(&self, repository: &str, bytes: Bytes) -> Result<Digest, RegistryError> {
        let digest = Digest::sha256(&bytes);
        if let Some(folder) = self.server.store.folder() {
            folder.write_blob(&digest, &bytes).map_err(RegistryError::System)?;
        }
        let stored = self.server.store.put_blob(repository, &digest, Blob::Bytes(bytes));
        stored.map(|()| digest).map_err(RegistryError::System)
    }

    /// Stores a manifest, without a request; what it consists of must be here.
    ///
    /// # Errors
    /// Fails when the manifest is refused or the folder cannot be written.
    pub fn add_manifest(
        &self,
        repository: &str,
        manifest: &RawManifest,
        tag: Option<&str>,
    ) -> Result<(), RegistryError> {
        let sparse = self.server.options.quirks.sparse_index;
        let put = self.server.store.put_manifest(repository, manifest, tag, &Condition::Always, sparse);
        put.map(|_| ()).map_err(|refusal| RegistryError::Refused { message: refusal.message().to_owned() })
    }

    /// Returns a manifest by tag or digest, without a request.
    pub fn manifest(&self, repository: &str, reference: &str) -> Option<RawManifest> {
        self.server.store.manifest(repository, reference)
    }

    /// Says whether a repository has a blob, without a request.
    pub fn has_blob(&self, repository: &str, digest: &Digest) -> bool {
        self.server.store.blob(repository, digest).is_some()
    }

    /// Returns the tags of a repository in order, without a request; none where there is no such repository.
    pub fn tags(&self, repository: &str) -> Vec<String> {
        self.server.store.tags(repository).unwrap_or_default()
    }

    /// Returns what state of quarantine a manifest is in, where the registry has such a thing.
    pub fn quarantine_state(&self, repository: &str, digest: &Digest) -> Option<String> {
        let is_kept = self.server.options.quirks.quarantine.is_some();
        is_kept.then(|| self.server.attributes.state(repository, digest))
    }

    /// Returns what refers to `subject`, without a request, whether or not the referrers API is on.
    pub fn referrers(&self, repository: &str, subject: &Digest) -> Vec<Descriptor> {
        self.server.store.referrers(repository, subject)
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic of the thread was printed when it happened.
            let _ = thread.join();
        }
    }
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registry").field("address", &self.address).finish_non_exhaustive()
    }
}

/// Says why a registry did not start, or did not take what was put into it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RegistryError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: String,
        /// The system's error.
        #[source]
        source: std::io::Error,
    },
    /// The registry refuses the content.
    #[error("the registry refuses the content: {message}")]
    Refused {
        /// The registry's words.
        message: String,
    },
    /// The system gives no thread, socket or file.
    #[error("the system refuses what the registry needs")]
    System(#[source] std::io::Error),
}
