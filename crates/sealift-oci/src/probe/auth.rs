//! Four questions about authentication: to the root, the API, the catalog and a repository.
//!
//! Each is asked without credentials first, then with what the challenge makes of those that are found. Tokens are opaque:
//! what one allows is seen by using it.

use std::time::Duration;

use http::header::LOCATION;
use http::{Method, StatusCode};
use sealift_core::oci::RegistryHost;
use sealift_core::repository::{RepositoryError, foreign_text};
use url::Url;

use super::{beside, with_causes};
use crate::auth::{Challenge, Need, ScopeSet};
use crate::keychain::{Credential, Resolved};
use crate::redact::SafeUrl;
use crate::registry::client::{Endpoint, Redirects, Request};
use crate::registry::error::of_auth;

const OPERATION: &str = "probe";

/// How a registry authenticates, as far as four questions tell.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct AuthReport {
    /// The registry.
    pub host: RegistryHost,
    /// Kind of the credentials found, with the user's name but without a secret.
    pub credential: String,
    /// Where they were found; empty where there are none.
    pub origin: String,
    /// What each question led to, in the order of [`Place`].
    pub probes: Vec<AuthProbe>,
}

/// Where a question is put.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum Place {
    /// `/`
    Root,
    /// `/v2/`
    Api,
    /// `/v2/_catalog`
    Catalog,
    /// `/v2/<name>/tags/list`
    Repository,
}

impl Place {
    /// Returns the name, for programs and people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::Api => "api",
            Self::Catalog => "catalog",
            Self::Repository => "repository",
        }
    }
}

/// What one question led to.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct AuthProbe {
    /// Where it was put.
    pub place: Place,
    /// The path.
    pub path: String,
    /// Status of the answer without credentials, or why there was none.
    pub anonymous: Result<u16, String>,
    /// Where the answer leads, without secrets.
    pub location: Option<String>,
    /// What was demanded.
    pub challenges: Vec<ShownChallenge>,
    /// What the token service said, where there is one.
    pub token: Option<TokenOutcome>,
    /// Status of the answer with what was granted, or why there was none.
    pub authorized: Option<Result<u16, String>>,
}

/// A challenge, as it can be shown.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct ShownChallenge {
    /// Scheme, in lower case.
    pub scheme: String,
    /// Realm, without user information and secrets.
    pub realm: Option<String>,
    /// Name of the service.
    pub service: Option<String>,
    /// Scope.
    pub scope: Option<String>,
}

/// What a token service said.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum TokenOutcome {
    /// It gave a token.
    Granted {
        /// What was asked for.
        scopes: String,
        /// How long the token lives, if the service says so.
        lifetime: Option<Duration>,
    },
    /// It gave none, or was not asked because it may not be.
    Refused {
        /// What was or would have been asked for.
        scopes: String,
        /// Why.
        reason: String,
    },
}

pub(super) async fn probe(endpoint: &Endpoint) -> Result<AuthReport, RepositoryError> {
    let host = endpoint
        .name
        .host()
        .cloned()
        .ok_or_else(|| RepositoryError::Unsupported { repository: endpoint.name.clone(), operation: "probing" })?;
    let found = endpoint.host.auth().look_up(&endpoint.path).await;
    let found = found.map_err(|error| of_auth(error, &endpoint.name, OPERATION))?;
    let mut probes = Vec::new();
    let catalog = Need::exactly(ScopeSet::catalog());
    let nothing = || Need::exactly(ScopeSet::default());
    let mut places =
        vec![(Place::Root, "/", nothing()), (Place::Api, "/v2/", nothing()), (Place::Catalog, "/v2/_catalog", catalog)];
    let tags = format!("/v2/{}/tags/list", endpoint.path);
    if !endpoint.path.is_empty() {
        places.push((Place::Repository, &tags, Need::exactly(ScopeSet::pull(&endpoint.path))));
    }
    for (place, path, need) in places {
        let url = beside(endpoint, path);
        match ask(endpoint, place, &url, need, &found).await {
            Ok(probe) => probes.push(probe),
            Err(error) if place == Place::Api => return Err(error),
            Err(error) => probes.push(AuthProbe::failed(place, path, &error)),
        }
    }
    Ok(AuthReport { host, credential: kind_of(found.credential()), origin: found.origin().to_owned(), probes })
}

impl AuthProbe {
    fn failed(place: Place, path: &str, error: &RepositoryError) -> Self {
        Self {
            place,
            path: path.to_owned(),
            anonymous: Err(foreign_text(&with_causes(error))),
            location: None,
            challenges: Vec::new(),
            token: None,
            authorized: None,
        }
    }
}

async fn ask(
    endpoint: &Endpoint,
    place: Place,
    url: &Url,
    need: Need,
    found: &Resolved,
) -> Result<AuthProbe, RepositoryError> {
    let mut request = Request::new(OPERATION, Method::GET, url.clone(), need.clone()).redirects(Redirects::Nowhere);
    let answer = endpoint.exchange_with(&mut request, None).await?;
    let location = answer.header(LOCATION).and_then(|to| answer.url().join(to).ok());
    let challenges = Challenge::parse_all(answer.headers());
    let mut probe = AuthProbe {
        place,
        path: url.path().to_owned(),
        anonymous: Ok(answer.status().as_u16()),
        location: location.map(|to| foreign_text(&SafeUrl(&to).to_string())),
        challenges: challenges.iter().map(shown).collect(),
        token: None,
        authorized: None,
    };
    if answer.status() != StatusCode::UNAUTHORIZED {
        return Ok(probe);
    }
    drop(answer);
    let header = match challenges.iter().find(|challenge| challenge.scheme == "bearer") {
        None => {
            let header = endpoint.host.auth().try_credential(&challenges, found.credential()).await;
            header.map_err(|error| of_auth(error, &endpoint.name, OPERATION))?
        }
        Some(challenge) => {
            let (scopes, trial) = endpoint.host.auth().try_challenge(challenge, &need, found.credential()).await;
            let scopes = foreign_text(&scopes.to_string());
            match trial {
                Ok(token) => {
                    probe.token = Some(TokenOutcome::Granted { scopes, lifetime: token.told });
                    Some(token.header.clone())
                }
                Err(error) => {
                    let reason = foreign_text(&with_causes(&error));
                    probe.token = Some(TokenOutcome::Refused { scopes, reason });
                    None
                }
            }
        }
    };
    if let Some(header) = header {
        let answer = endpoint.exchange_with(&mut request, Some(&header)).await;
        let status = answer.map(|answer| answer.status().as_u16());
        probe.authorized = Some(status.map_err(|error| foreign_text(&with_causes(&error))));
    }
    Ok(probe)
}

fn shown(challenge: &Challenge) -> ShownChallenge {
    let parameter = |name| challenge.parameter(name).map(foreign_text);
    let realm = challenge.parameter("realm").map(|realm| match Url::parse(realm) {
        Ok(url) => foreign_text(&SafeUrl(&url).to_string()),
        // A name for people, as Basic has it; what looks like an address that cannot be read is not repeated.
        Err(_) if realm.contains("://") => "..".to_owned(),
        Err(_) => foreign_text(realm),
    });
    ShownChallenge {
        scheme: foreign_text(&challenge.scheme),
        realm,
        service: parameter("service"),
        scope: parameter("scope"),
    }
}

fn kind_of(credential: &Credential) -> String {
    match credential {
        Credential::Anonymous => "none".to_owned(),
        Credential::Basic { username, .. } => format!("password of {}", foreign_text(username)),
        Credential::IdentityToken(_) => "identity token".to_owned(),
        Credential::RegistryToken(_) => "registry token".to_owned(),
    }
}
