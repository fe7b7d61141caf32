//! `scope`: the repository is one that the policy says something about. This check is what it gets if it is not.

use super::{Assessment, Check, Outcome};
use crate::facts::{Demand, Facts};
use crate::reason::Reason;

/// Fails: the policy has no scope for the repository, and what nobody thought of is denied.
#[derive(Clone, Debug)]
pub struct Unmatched {
    scopes: Vec<String>,
}

impl Unmatched {
    /// Returns the check, with the patterns of the scopes there are.
    pub fn new(scopes: Vec<String>) -> Self {
        Self { scopes }
    }
}

impl Check for Unmatched {
    fn name(&self) -> &'static str {
        "scope"
    }

    fn describe(&self) -> String {
        "denied: no scope covers the repository".to_owned()
    }

    fn demand(&self) -> Demand<'_> {
        Demand::Nothing
    }

    fn evaluate(&self, _: &Facts) -> Assessment {
        Assessment::new(Outcome::Fail, Reason::NoScope { scopes: self.scopes.clone() })
    }
}
