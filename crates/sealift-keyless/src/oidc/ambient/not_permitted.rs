//! Jobs that could have an identity and do not.

use async_trait::async_trait;

use super::Environment;
use crate::oidc::{IdentityError, IdentityProvider, IdentityToken};

/// A job whose definition does not ask for tokens.
#[derive(Clone, Copy, Debug)]
pub(super) struct NotPermitted {
    place: &'static str,
    lacks: &'static str,
}

impl NotPermitted {
    pub(super) fn new(environment: &Environment) -> Option<Self> {
        let places = [
            ("GITHUB_ACTIONS", "GitHub Actions", "permissions: id-token: write"),
            ("GITLAB_CI", "GitLab", "id_tokens: SIGSTORE_ID_TOKEN: aud: sigstore"),
        ];
        let found = places.into_iter().find(|(variable, ..)| environment.is_true(variable));
        found.map(|(_, place, lacks)| Self { place, lacks })
    }
}

#[async_trait]
impl IdentityProvider for NotPermitted {
    fn name(&self) -> &'static str {
        self.place
    }

    async fn token(&self, _audience: &str) -> Result<IdentityToken, IdentityError> {
        Err(IdentityError::NotPermitted { place: self.place, lacks: self.lacks })
    }
}
