//! `approved-registry`: the repository is of a registry that is approved, whoever signed what is there.

use sealift_core::oci::{RegistryHost, RepositoryName};
use sealift_core::pattern::Pattern;

use super::{Assessment, Check, Outcome};
use crate::facts::{Demand, Facts};
use crate::reason::Reason;

/// Passes when the registry's host, with its port, fits one of some patterns.
#[derive(Clone, Debug)]
pub struct ApprovedRegistry {
    repository: RepositoryName,
    approved: Vec<Pattern>,
}

impl ApprovedRegistry {
    /// Returns a check that `repository` is of one of the registries `approved`; without any, it fails.
    pub fn new(repository: RepositoryName, approved: Vec<Pattern>) -> Self {
        Self { repository, approved }
    }

    fn names(&self) -> Vec<String> {
        self.approved.iter().map(ToString::to_string).collect()
    }
}

impl Check for ApprovedRegistry {
    fn name(&self) -> &'static str {
        "approved-registry"
    }

    fn describe(&self) -> String {
        format!("in one of the registries {}", self.names().join(", "))
    }

    fn demand(&self) -> Demand<'_> {
        Demand::Nothing
    }

    fn evaluate(&self, _: &Facts) -> Assessment {
        match self.repository.host().map(RegistryHost::as_str) {
            Some(host) if self.approved.iter().any(|pattern| pattern.matches(host)) => {
                Assessment::new(Outcome::Pass, Reason::Approved { registry: host.to_owned() })
            }
            host => {
                let place = host.map_or_else(|| self.repository.to_string(), str::to_owned);
                Assessment::new(Outcome::Fail, Reason::NotApproved { place, approved: self.names() })
            }
        }
    }
}
