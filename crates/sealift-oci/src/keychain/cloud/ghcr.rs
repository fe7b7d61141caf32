//! The token that GitHub gives to a job of its Actions, for ghcr.io.

use super::sources::{CloudSources, GITHUB_ACTIONS, GITHUB_ACTOR, GITHUB_TOKEN};
use crate::keychain::{Credential, Resolved};

const ORIGIN: &str = "GITHUB_TOKEN of the job";
/// GitHub takes any user name beside a token.
const ANY_USER: &str = "x-access-token";

/// Returns the job's token. A `GITHUB_TOKEN` outside of a job is of other programs and for other things, so it is left
/// alone.
pub(super) fn resolve(sources: &CloudSources) -> Resolved {
    let actor = sources.value(GITHUB_ACTOR);
    if actor.is_none() && sources.value(GITHUB_ACTIONS).is_none() {
        return Resolved::anonymous();
    }
    let Some(token) = sources.secret(GITHUB_TOKEN) else { return Resolved::anonymous() };
    let credential = Credential::Basic { username: actor.unwrap_or(ANY_USER).to_owned(), password: token };
    Resolved::new(credential, ORIGIN)
}
