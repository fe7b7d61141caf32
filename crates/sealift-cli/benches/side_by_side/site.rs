//! Two registries of one kind, at some distance: where a case happens.

use std::time::Duration;

use sealift_core::oci::{Reference, Tag};
use sealift_sandbox::fixture::Fixture;
use sealift_sandbox::peers::{DockerRegistry, Peers};
use sealift_sandbox::registry::{Registry, RegistryOptions, longest_chain};

use crate::Failure;
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
            let registry = DockerRegistry::start(peers)?;
            let relay = Relay::start(registry.host(), latency)?;
            Ok(Host::Distribution { registry, relay })
        };
        Ok(Self { name, latency, source: start()?, destination: start()? })
    }

    /// Forgets the requests of earlier runs.
    pub(crate) fn clear_requests(&self) {
        for host in [&self.source, &self.destination] {
            match host {
                Host::Distribution { relay, .. } => relay.clear_requests(),
                Host::Sandbox(registry) => registry.clear_requests(),
            }
        }
    }

    /// Returns how many requests both registries answered, and how many rounds they took.
    pub(crate) fn requests(&self) -> Requests {
        match (&self.source, &self.destination) {
            (Host::Sandbox(source), Host::Sandbox(destination)) => {
                // Both logs have one clock, so that one chain leads through both.
                let all = [source.requests(), destination.requests()].concat();
                // Without latency, requests made side by side may not overlap, and rounds would be too many.
                let rounds = (!self.latency.is_zero()).then(|| longest_chain(&all));
                Requests { count: all.len(), rounds }
            }
            (source, destination) => Requests { count: source.relayed() + destination.relayed(), rounds: None },
        }
    }
}

/// What the registries of a site were asked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Requests {
    /// How often.
    pub(crate) count: usize,
    /// The longest chain of requests that had to wait for each other; nothing where that is not seen.
    pub(crate) rounds: Option<usize>,
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

    /// Returns how many requests passed the wire; none where there is none.
    fn relayed(&self) -> usize {
        match self {
            Self::Distribution { relay, .. } => relay.requests(),
            Self::Sandbox(_) => 0,
        }
    }

    /// Puts an image into a repository, with the tag `v1`, past the wire.
    pub(crate) fn push(&self, repository: &str, image: &Fixture) -> Result<(), Failure> {
        self.push_as(repository, "v1", image)
    }

    /// Puts an image into a repository, past the wire.
    pub(crate) fn push_as(&self, repository: &str, tag: &str, image: &Fixture) -> Result<(), Failure> {
        let registry = match self {
            Self::Sandbox(registry) => {
                registry.add(repository, image, Some(tag))?;
                return Ok(());
            }
            Self::Distribution { registry, .. } => registry,
        };
        let reference: Reference = format!("{}/{repository}:{tag}", registry.host()).parse()?;
        let tag: Tag = tag.parse()?;
        let client = sealift_oci::Client::new(sealift_oci::Access::anonymous())?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let repository = client.open(&reference.repository()).await?;
            image.push(&*repository, Some(&tag)).await?;
            Ok(())
        })
    }
}
