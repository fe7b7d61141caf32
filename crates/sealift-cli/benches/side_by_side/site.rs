//! Two registries of one kind, at some distance: where a case happens.

use std::time::Duration;

use sealift_core::oci::{Reference, Tag};
use sealift_sandbox::fixture::Fixture;
use sealift_sandbox::registry::{Registry, RegistryOptions, longest_chain};

use crate::Failure;
use crate::peers::{DockerRegistry, Peers};
use crate::relay::Relay;

/// What one request costs at a distance.
pub(crate) const DISTANCE: Duration = Duration::from_millis(50);

/// A source and a destination.
pub(crate) struct Site {
    /// How tables name it.
    pub(crate) name: &'static str,
    /// What one request costs.
    pub(crate) latency: Duration,
    /// Where images come from.
    pub(crate) source: Host,
    /// Where they go.
    pub(crate) destination: Host,
}

impl Site {
    /// Returns every kind of registry, near and far.
    pub(crate) fn all(peers: &Peers) -> Result<Vec<Self>, Failure> {
        let api = RegistryOptions::default;
        let fallback = || RegistryOptions::default().without_referrers_api();
        Ok(vec![
            Self::sandbox("sandbox, referrers API", Duration::ZERO, api)?,
            Self::sandbox("sandbox, referrers API, 50 ms", DISTANCE, api)?,
            Self::sandbox("sandbox, fallback tags, 50 ms", DISTANCE, fallback)?,
            Self::distribution("docker-registry", Duration::ZERO, peers)?,
            Self::distribution("docker-registry, 50 ms", DISTANCE, peers)?,
        ])
    }

    /// Returns the nearest kind only.
    pub(crate) fn near(peers: &Peers) -> Result<Vec<Self>, Failure> {
        Ok(vec![
            Self::sandbox("sandbox, referrers API", Duration::ZERO, RegistryOptions::default)?,
            Self::distribution("docker-registry", Duration::ZERO, peers)?,
        ])
    }

    fn sandbox(name: &'static str, latency: Duration, options: impl Fn() -> RegistryOptions) -> Result<Self, Failure> {
        let start = || -> Result<Host, Failure> {
            let registry = Registry::start(options().with_latency(latency))?;
            Ok(Host::Sandbox(registry))
        };
        Ok(Self { name, latency, source: start()?, destination: start()? })
    }

    fn distribution(name: &'static str, latency: Duration, peers: &Peers) -> Result<Self, Failure> {
        let start = || -> Result<Host, Failure> {
            let registry = DockerRegistry::start(peers);
            let relay = Relay::start(registry.host(), latency)?;
            Ok(Host::Distribution { registry, relay })
        };
        Ok(Self { name, latency, source: start()?, destination: start()? })
    }

    /// Forgets the requests of earlier runs.
    pub(crate) fn clear_requests(&self) {
        for host in [&self.source, &self.destination] {
            if let Host::Sandbox(registry) = host {
                registry.clear_requests();
            }
        }
    }

    /// Returns how many requests both registries answered, and how many rounds they took; nothing where nobody counts.
    pub(crate) fn requests(&self) -> Option<(usize, usize)> {
        let (Host::Sandbox(source), Host::Sandbox(destination)) = (&self.source, &self.destination) else {
            return None;
        };
        // Two logs have no common order: the longer chain is what one end alone imposes.
        let (source, destination) = (source.requests(), destination.requests());
        Some((source.len() + destination.len(), longest_chain(&source).max(longest_chain(&destination))))
    }
}

/// A registry.
pub(crate) enum Host {
    /// CNCF distribution, behind a wire of some length.
    Distribution {
        /// The process.
        registry: DockerRegistry,
        /// The wire.
        relay: Relay,
    },
    /// The sandbox's.
    Sandbox(Registry),
}

impl Host {
    /// Returns host and port.
    pub(crate) fn host(&self) -> String {
        match self {
            Self::Distribution { relay, .. } => relay.host(),
            Self::Sandbox(registry) => registry.host(),
        }
    }

    /// Puts an image into a repository, with the tag `v1`, past the wire.
    pub(crate) fn push(&self, repository: &str, image: &Fixture) -> Result<(), Failure> {
        let registry = match self {
            Self::Sandbox(registry) => {
                registry.add(repository, image, Some("v1"))?;
                return Ok(());
            }
            Self::Distribution { registry, .. } => registry,
        };
        let reference: Reference = format!("{}/{repository}:v1", registry.host()).parse()?;
        let tag: Tag = "v1".parse()?;
        let client = sealift_oci::Client::new(sealift_oci::Access::anonymous())?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let repository = client.open(&reference.repository()).await?;
            image.push(&*repository, Some(&tag)).await?;
            Ok(())
        })
    }
}
