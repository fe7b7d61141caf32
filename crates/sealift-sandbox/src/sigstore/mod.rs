//! A whole Sigstore on loopback: identity provider, certificate authority, transparency logs, timestamp authority and
//! repository of trust roots.
//!
//! Each service has an address of its own and speaks real HTTP on a thread that all share. Keys are made at the start
//! and die with the sandbox: nothing signed here means anything anywhere else. Never speaks TLS.
//!
//! ```
//! use sealift_sandbox::sigstore::{Identity, Sigstore, SigstoreOptions};
//!
//! let sigstore = Sigstore::start(SigstoreOptions::default())?;
//! let token = sigstore.mint(&Identity::email("dev@example.com"))?;
//! assert_eq!(token.split('.').count(), 3);
//! assert!(sigstore.urls().fulcio.starts_with("http://127.0.0.1:"));
//! # Ok::<(), sealift_sandbox::sigstore::SigstoreError>(())
//! ```

mod asn1;
mod certificate;
mod ct_log;
mod encoding;
mod entry_v1;
mod fault;
mod files;
mod fulcio;
mod identity;
mod key;
mod loopback;
mod merkle;
mod note;
mod oidc;
mod rekor_v1;
mod rekor_v2;
mod service;
mod timestamp;
mod trust;
mod tuf;

use std::net::TcpListener;
use std::sync::Arc;
use std::thread::JoinHandle;

use aws_lc_rs::error::Unspecified;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value};
use tokio::sync::oneshot;

pub use fault::{Fault, Times};
pub use files::SigstoreFiles;
pub use identity::{Identity, Workflow};
pub use key::KeyKind;
pub use loopback::{CertificateFiles, LoopbackAuthority, LoopbackError, RegistryTokens};
pub use oidc::DeviceAnswer;
pub use service::{Service, ServiceRequest};
pub use trust::TrustedRootVersion;
pub use tuf::Role;

use certificate::{Authority, CODE_SIGNING, Lifetime};
use ct_log::CtLog;
use fulcio::Fulcio;
use key::SigningKey;
use oidc::Oidc;
use rekor_v1::RekorV1;
use rekor_v2::RekorV2;
use service::{Handler, Shared};
use timestamp::TimestampAuthority;
use tuf::{Target, Tuf};

/// How a sandbox is made.
#[derive(Clone, Debug)]
pub struct SigstoreOptions {
    /// First of the seven ports to listen on, in the order of [`Service::ALL`]; 0 for any free ones.
    pub first_port: u16,
    /// Whom the identity provider approves everything for.
    pub identity: Identity,
    /// Kind of the key that signs the checkpoints of version 2 of the log.
    pub rekor_v2_key: KeyKind,
    /// Kind of the key that signs timestamps.
    pub timestamp_key: KeyKind,
    /// Versions of the log in the signing configuration of the TUF repository.
    pub logs: Vec<LogVersion>,
    /// Version of the trusted root's format in the TUF repository.
    pub trusted_root: TrustedRootVersion,
}

impl Default for SigstoreOptions {
    fn default() -> Self {
        Self {
            first_port: 0,
            identity: Identity::email("dev@example.com"),
            rekor_v2_key: KeyKind::Ed25519,
            timestamp_key: KeyKind::EcdsaP256,
            logs: vec![LogVersion::V2, LogVersion::V1],
            trusted_root: TrustedRootVersion::default(),
        }
    }
}

/// Version of a transparency log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LogVersion {
    /// Rekor, with signed promises and times.
    V1,
    /// Rekor on tiles, without.
    V2,
}

/// Where the services answer, without a path.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Urls {
    /// Certificate transparency log.
    pub ct_log: String,
    /// Certificate authority.
    pub fulcio: String,
    /// Identity provider, and the issuer of tokens about people.
    pub oidc: String,
    /// Transparency log of version 1.
    pub rekor_v1: String,
    /// Transparency log of version 2.
    pub rekor_v2: String,
    /// Timestamp authority; timestamps are made at `/api/v1/timestamp`.
    pub timestamp: String,
    /// TUF repository.
    pub tuf: String,
}

impl Urls {
    /// Returns every service's name and URL.
    pub fn named(&self) -> [(&'static str, &str); 7] {
        Service::ALL.map(|service| {
            let url = match service {
                Service::CtLog => &self.ct_log,
                Service::Fulcio => &self.fulcio,
                Service::Oidc => &self.oidc,
                Service::RekorV1 => &self.rekor_v1,
                Service::RekorV2 => &self.rekor_v2,
                Service::Timestamp => &self.timestamp,
                Service::Tuf => &self.tuf,
            };
            (service.name(), url.as_str())
        })
    }
}

/// A running sandbox, which stops when dropped.
pub struct Sigstore {
    services: Services,
    tuf: Arc<Tuf>,
    options: SigstoreOptions,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Sigstore {
    /// Starts all services.
    ///
    /// # Errors
    /// Fails when a port is taken or a key cannot be made.
    pub fn start(options: SigstoreOptions) -> Result<Self, SigstoreError> {
        let (urls, listeners) = listen(options.first_port)?;
        let services = Services::new(urls, &options)?;
        let tuf = Arc::new(Tuf::new(services.targets(&options), Arc::clone(&services.shared))?);
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(SigstoreError::System)?;
        let (stop, stopped) = oneshot::channel();
        let shared = Arc::clone(&services.shared);
        let serving: Vec<_> = Service::ALL
            .into_iter()
            .zip(listeners)
            .map(|(service, listener)| (service, listener, services.handler(service, &tuf)))
            .collect();
        let serve = move || {
            runtime.block_on(async {
                for (service, listener, handler) in serving {
                    tokio::spawn(service::serve(service, listener, handler, Arc::clone(&shared)));
                }
                // An error means that the sandbox is gone.
                let _ = stopped.await;
            });
            runtime.shutdown_background();
        };
        let thread =
            std::thread::Builder::new().name("sigstore".to_owned()).spawn(serve).map_err(SigstoreError::System)?;
        Ok(Self { services, tuf, options, stop: Some(stop), thread: Some(thread) })
    }

    /// Returns where the services answer.
    pub fn urls(&self) -> &Urls {
        &self.services.urls
    }

    /// Returns the issuer that certificates for this identity name.
    pub fn issuer(&self, identity: &Identity) -> String {
        match identity {
            Identity::Email { connector: Some(connector), .. } => connector.clone(),
            _ => self.services.oidc.issuer(identity),
        }
    }

    /// Returns a token about an identity, for the audience `sigstore`.
    ///
    /// # Errors
    /// Fails when it cannot be signed.
    pub fn mint(&self, identity: &Identity) -> Result<String, SigstoreError> {
        Ok(self.services.oidc.mint(identity, "sigstore", None)?)
    }

    /// Returns a token with exactly these claims, and times where they have none: also one that is malformed, has
    /// expired, or is for another audience.
    ///
    /// # Errors
    /// Fails when it cannot be signed.
    pub fn mint_claims(&self, claims: Map<String, Value>) -> Result<String, SigstoreError> {
        Ok(self.services.oidc.mint_claims(claims)?)
    }

    /// Changes whom the identity provider approves everything for.
    pub fn set_identity(&self, identity: Identity) {
        self.services.oidc.set_identity(identity);
    }

    /// Changes what a device is answered before it gets its token; by default, once that the person has not answered.
    pub fn set_device_answers(&self, answers: impl IntoIterator<Item = DeviceAnswer>) {
        self.services.oidc.set_device_answers(answers);
    }

    /// Returns the environment in which GitHub's runners run a job that may ask for tokens.
    pub fn actions_environment(&self) -> Vec<(&'static str, String)> {
        vec![
            ("GITHUB_ACTIONS", "true".to_owned()),
            ("ACTIONS_ID_TOKEN_REQUEST_URL", self.services.oidc.request_url()),
            ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", self.services.oidc.request_token().to_owned()),
        ]
    }

    /// Returns `trusted_root.json`.
    pub fn trusted_root(&self, version: TrustedRootVersion) -> String {
        trust::trusted_root(&self.services, version).to_string()
    }

    /// Returns `signing_config.json` with the logs of the given versions, of which clients choose one.
    pub fn signing_config(&self, logs: &[LogVersion]) -> String {
        trust::signing_config(&self.services, logs).to_string()
    }

    /// Returns both in one document, which sigstore-python reads.
    pub fn trust_config(&self, logs: &[LogVersion]) -> String {
        let trusted_root = trust::trusted_root(&self.services, TrustedRootVersion::V0_1);
        trust::trust_config(&trusted_root, &trust::signing_config(&self.services, logs)).to_string()
    }

    /// Returns the first TUF root, with which clients start.
    pub fn tuf_root(&self) -> Vec<u8> {
        self.tuf.first_root()
    }

    /// Publishes the trust documents in TUF once more, with new versions of targets, snapshot and timestamp.
    ///
    /// # Errors
    /// Fails when they cannot be signed.
    pub fn publish(&self) -> Result<(), SigstoreError> {
        Ok(self.tuf.publish(self.services.targets(&self.options))?)
    }

    /// Publishes a new TUF root with a new key, signed with the old key as well.
    ///
    /// # Errors
    /// Fails when it cannot be signed.
    pub fn rotate_root(&self) -> Result<(), SigstoreError> {
        Ok(self.tuf.rotate_root()?)
    }

    /// Publishes a TUF role that lasts this long from now; a negative time means that it has expired already.
    ///
    /// # Errors
    /// Fails when it cannot be signed.
    pub fn set_lifetime(&self, role: Role, lifetime: SignedDuration) -> Result<(), SigstoreError> {
        Ok(self.tuf.set_lifetime(role, lifetime)?)
    }

    /// Serves the first `timestamp.json` of TUF again, as an attacker does who has kept it.
    pub fn rollback(&self) {
        self.tuf.rollback();
    }

    /// Makes a service fail.
    pub fn inject(&self, service: Service, fault: Fault, times: Times) {
        self.services.shared.faults.add(service, fault, times);
    }

    /// Makes every service well again.
    pub fn clear_faults(&self) {
        self.services.shared.faults.clear();
    }

    /// Moves the services' clock away from the system's.
    pub fn set_clock_offset(&self, offset: SignedDuration) {
        self.services.shared.clock.set_offset(offset);
    }

    /// Returns the answered requests since the start or the last [`Sigstore::clear_requests`], in order of arrival.
    pub fn requests(&self) -> Vec<ServiceRequest> {
        self.services.shared.log.requests()
    }

    /// Forgets all requests.
    pub fn clear_requests(&self) {
        self.services.shared.log.clear();
    }
}

impl Drop for Sigstore {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            // An error means that the thread has stopped already.
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            // A panic of the thread has been printed where it happened.
            let _ = thread.join();
        }
    }
}

impl std::fmt::Debug for Sigstore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sigstore").field("urls", &self.services.urls).finish_non_exhaustive()
    }
}

/// The services, and what they share.
struct Services {
    urls: Urls,
    /// From when on the keys are trusted.
    trusted_since: Timestamp,
    shared: Arc<Shared>,
    oidc: Arc<Oidc>,
    fulcio: Arc<Fulcio>,
    ct_log: Arc<CtLog>,
    rekor_v1: Arc<RekorV1>,
    rekor_v2: Arc<RekorV2>,
    timestamp: Arc<TimestampAuthority>,
}

impl Services {
    fn new(urls: Urls, options: &SigstoreOptions) -> Result<Self, Unspecified> {
        let shared = Arc::new(Shared::default());
        let now = shared.clock.now();
        let since = now.checked_sub(BACKDATED).unwrap_or(now);
        let trusted_since = Timestamp::from_second(since.as_second()).unwrap_or(since);
        let lifetime = Lifetime::starting(trusted_since, AUTHORITY_LIFETIME);
        let root = Authority::root("root", SigningKey::generate(KeyKind::EcdsaP384)?, lifetime)?;
        let issuing_key = SigningKey::generate(KeyKind::EcdsaP384)?;
        let issuing = root.intermediate("intermediate", issuing_key, lifetime, CODE_SIGNING)?;
        let oidc = Arc::new(Oidc::new(urls.oidc.clone(), options.identity.clone(), Arc::clone(&shared))?);
        let ct_log = Arc::new(CtLog::new(Arc::clone(&shared))?);
        let fulcio =
            Fulcio { root, issuing, ct_log: Arc::clone(&ct_log), oidc: Arc::clone(&oidc), shared: Arc::clone(&shared) };
        Ok(Self {
            trusted_since,
            fulcio: Arc::new(fulcio),
            rekor_v1: Arc::new(RekorV1::new(HOST, Arc::clone(&shared))?),
            rekor_v2: Arc::new(RekorV2::new(HOST, options.rekor_v2_key, Arc::clone(&shared))?),
            timestamp: Arc::new(TimestampAuthority::new(options.timestamp_key, lifetime, Arc::clone(&shared))?),
            urls,
            shared,
            oidc,
            ct_log,
        })
    }

    fn handler(&self, service: Service, tuf: &Arc<Tuf>) -> Arc<dyn Handler> {
        match service {
            Service::CtLog => Arc::clone(&self.ct_log) as Arc<dyn Handler>,
            Service::Fulcio => Arc::clone(&self.fulcio) as _,
            Service::Oidc => Arc::clone(&self.oidc) as _,
            Service::RekorV1 => Arc::clone(&self.rekor_v1) as _,
            Service::RekorV2 => Arc::clone(&self.rekor_v2) as _,
            Service::Timestamp => Arc::clone(&self.timestamp) as _,
            Service::Tuf => Arc::clone(tuf) as _,
        }
    }

    /// Returns what the TUF repository hands out: the documents, and the single keys that older clients want.
    fn targets(&self, options: &SigstoreOptions) -> Vec<Target> {
        let document = |name, value: Value| Target { name, bytes: value.to_string().into_bytes(), usage: None };
        let key = |name, usage, pem: String| Target { name, bytes: pem.into_bytes(), usage: Some(usage) };
        vec![
            document("trusted_root.json", trust::trusted_root(self, options.trusted_root)),
            document("signing_config.v0.2.json", trust::signing_config(self, &options.logs)),
            key("fulcio.crt.pem", "Fulcio", self.fulcio.root.pem()),
            key("fulcio_intermediate.crt.pem", "Fulcio", self.fulcio.issuing.pem()),
            key("rekor.pub", "Rekor", self.rekor_v1.key.public_pem()),
            key("ctfe.pub", "CTFE", self.ct_log.key.public_pem()),
        ]
    }
}

/// Takes a port for every service.
fn listen(first_port: u16) -> Result<(Urls, Vec<TcpListener>), SigstoreError> {
    let mut listeners = Vec::new();
    let mut urls = Vec::new();
    for (number, service) in (0..).zip(Service::ALL) {
        let port = if first_port == 0 { 0 } else { first_port.saturating_add(number) };
        let listener = TcpListener::bind((HOST, port))
            .and_then(|listener| listener.set_nonblocking(true).map(|()| listener))
            .map_err(|source| SigstoreError::Listen { service, port, source })?;
        urls.push(format!("http://{}", listener.local_addr().map_err(SigstoreError::System)?));
        listeners.push(listener);
    }
    let url = |service| {
        let place = Service::ALL.into_iter().position(|other| other == service);
        place.and_then(|place| urls.get(place).cloned()).unwrap_or_default()
    };
    let urls = Urls {
        ct_log: url(Service::CtLog),
        fulcio: url(Service::Fulcio),
        oidc: url(Service::Oidc),
        rekor_v1: url(Service::RekorV1),
        rekor_v2: url(Service::RekorV2),
        timestamp: url(Service::Timestamp),
        tuf: url(Service::Tuf),
    };
    Ok((urls, listeners))
}

/// Why a sandbox does not start, or cannot do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SigstoreError {
    /// The cryptographic library failed.
    #[error("a key could not be made or used")]
    Crypto(#[source] Unspecified),
    /// A port is taken.
    #[error("{} cannot listen on port {port}", service.name())]
    Listen {
        /// The service.
        service: Service,
        /// The port, 0 for any free one.
        port: u16,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The system refused a thread or a socket.
    #[error("the system refused what the sandbox needs")]
    System(#[source] std::io::Error),
}

impl From<Unspecified> for SigstoreError {
    fn from(source: Unspecified) -> Self {
        Self::Crypto(source)
    }
}

const HOST: &str = "127.0.0.1";
/// How long before the start the authorities became valid, so that tests can move the clock into the past.
const BACKDATED: SignedDuration = SignedDuration::from_hours(24);
const AUTHORITY_LIFETIME: SignedDuration = SignedDuration::from_hours(24 * 365 * 10);
