//! Registries of this world, as far as their documents and their users describe them.
//!
//! One file for each, which says what differs from a complete registry; `docs/registries/` says where each fact is
//! from, and what was only seen here. No emulation is a proof about the service itself.

mod acr;
mod artifactory;
mod distribution;
mod docker_hub;
mod ecr;
mod ecr_public;
mod gar;
mod ghcr;
mod gitlab;
mod harbor;
mod quay;
mod zot;

use std::str::FromStr;

use super::options::RegistryOptions;

/// A registry to emulate.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum Emulation {
    /// Azure Container Registry.
    Acr,
    /// Azure Container Registry with its quarantine policy.
    AcrQuarantine,
    /// JFrog Artifactory 7.90 and later, with repositories named in the path.
    Artifactory,
    /// CNCF distribution, as docker-registry 2.8 and 3 are.
    Distribution,
    /// Docker Hub since 2025.
    DockerHub,
    /// Docker Hub in 2024: `OCI-Subject` without a referrers API, and no referrer before its subject.
    DockerHub2024,
    /// Amazon's private registry.
    Ecr,
    /// Amazon's private registry with immutable tags.
    EcrImmutable,
    /// Amazon's public registry.
    EcrPublic,
    /// Google Artifact Registry.
    Gar,
    /// GitHub's registry.
    Ghcr,
    /// GitHub's registry as it answered in spring 2026: referrers are a redirect to a web page.
    GhcrRedirecting,
    /// GitLab's registry.
    Gitlab,
    /// Harbor 2.9 and later.
    Harbor,
    /// Quay.
    Quay,
    /// zot.
    Zot,
}

/// One line of the table of emulations.
struct Row {
    emulation: Emulation,
    name: &'static str,
    page: &'static str,
    user: &'static str,
    options: fn() -> RegistryOptions,
}

/// Every emulation, in the order of their names.
const TABLE: [Row; 16] = {
    use Emulation as E;
    const fn row(
        emulation: Emulation,
        name: &'static str,
        page: &'static str,
        user: &'static str,
        options: fn() -> RegistryOptions,
    ) -> Row {
        Row { emulation, name, page, user, options }
    }
    [
        row(E::Acr, "acr", "azurecr.io", acr::USER, acr::options),
        row(E::AcrQuarantine, "acr-quarantine", "azurecr.io", acr::USER, acr::quarantine_options),
        row(E::Artifactory, "artifactory", "artifactory", USER, artifactory::options),
        row(E::Distribution, "distribution", "distribution", USER, distribution::options),
        row(E::DockerHub, "docker-hub", "docker.io", USER, docker_hub::options),
        row(E::DockerHub2024, "docker-hub-2024", "docker.io", USER, docker_hub::options_of_2024),
        row(E::Ecr, "ecr", "ecr", ecr::USER, ecr::options),
        row(E::EcrImmutable, "ecr-immutable", "ecr", ecr::USER, ecr::immutable_options),
        row(E::EcrPublic, "ecr-public", "public.ecr.aws", ecr::USER, ecr_public::options),
        row(E::Gar, "gar", "pkg.dev", gar::USER, gar::options),
        row(E::Ghcr, "ghcr", "ghcr.io", USER, ghcr::options),
        row(E::GhcrRedirecting, "ghcr-redirecting", "ghcr.io", USER, ghcr::redirecting_options),
        row(E::Gitlab, "gitlab", "gitlab", USER, gitlab::options),
        row(E::Harbor, "harbor", "harbor", USER, harbor::options),
        row(E::Quay, "quay", "quay.io", USER, quay::options),
        row(E::Zot, "zot", "zot", USER, zot::options),
    ]
};

/// The user where the registry does not name its users itself.
const USER: &str = "user";

impl Emulation {
    /// The password of every user of an emulation.
    pub const PASSWORD: &'static str = "sandbox-password";

    /// The token of Microsoft's identity platform that the emulation of ACR exchanges.
    pub const AAD_ACCESS_TOKEN: &'static str = "sandbox-aad-access-token";

    /// The user with the role `AcrQuarantineReader` where ACR has its quarantine policy.
    pub const QUARANTINE_READER: &'static str = "sandbox-scanner";

    /// The user with the role `AcrQuarantineWriter` there.
    pub const QUARANTINE_WRITER: &'static str = "sandbox-processor";

    /// Returns every emulation, in the order of their names.
    pub fn all() -> impl Iterator<Item = Self> {
        TABLE.iter().map(|row| row.emulation)
    }

    /// Returns the name, as in `sealift-sandbox registry --as ghcr`.
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// Returns the name of its page in `docs/registries/`, without the suffix.
    pub fn page(self) -> &'static str {
        self.row().page
    }

    /// Returns the user that may do everything.
    pub fn user(self) -> &'static str {
        self.row().user
    }

    /// Returns how the registry behaves.
    pub fn options(self) -> RegistryOptions {
        (self.row().options)()
    }

    fn row(self) -> &'static Row {
        // Every variant has its row, which a test checks; the first one is never returned in its place.
        TABLE.iter().find(|row| row.emulation == self).unwrap_or(&TABLE[0])
    }
}

impl std::fmt::Display for Emulation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Emulation {
    type Err = UnknownEmulation;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::all().find(|emulation| emulation.name() == text).ok_or(UnknownEmulation)
    }
}

/// Says that there is no emulation of this name.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("expected one of {}", TABLE.map(|row| row.name).join(", "))]
pub struct UnknownEmulation;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_emulation_has_its_own_row() {
        let names: Vec<_> = Emulation::all().map(Emulation::name).collect();
        let mut sorted = names.clone();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(names, sorted);
        for row in &TABLE {
            assert_eq!(row.emulation.name(), row.name);
            assert_eq!(row.name.parse::<Emulation>().unwrap(), row.emulation);
        }
        assert!("nexus".parse::<Emulation>().unwrap_err().to_string().contains("ghcr-redirecting"));
    }
}
