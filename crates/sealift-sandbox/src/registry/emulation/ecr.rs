//! Amazon's private registry: `docs/registries/ecr.md`.

use super::Emulation;
use crate::registry::options::{Auth, BasicAuth, Mount, RegistryOptions};
use crate::registry::quirk::{Answer, Quirks};

/// The user of every token of Amazon's registries.
pub(super) const USER: &str = "AWS";
/// A push creates no repository.
pub(super) const MISSING_REPOSITORY: Answer = Answer {
    status: 404,
    code: "NAME_UNKNOWN",
    message: "The repository with name '{}' does not exist in the registry with id '123456789012'",
};
/// A token that has expired is no challenge.
const EXPIRED: Answer = Answer {
    status: 403,
    code: "DENIED",
    message: "Your authorization token has expired. Reauthenticate and try again.",
};
/// A tag that is taken, where tags are immutable.
const IMMUTABLE: Answer = Answer {
    status: 400,
    code: "TAG_INVALID",
    message: "The image tag already exists in the '{}' repository and cannot be overwritten because the tag is immutable.",
};

pub(super) fn options() -> RegistryOptions {
    let auth = BasicAuth {
        user: USER.to_owned(),
        password: Emulation::PASSWORD.to_owned(),
        service: Some("ecr.amazonaws.com"),
        wrong: Some(EXPIRED),
    };
    RegistryOptions {
        auth: Auth::Basic(auth),
        // An account has to switch `BLOB_MOUNTING` on.
        mount: Mount::No,
        quirks: Quirks { missing_repository: Some(MISSING_REPOSITORY), ..Quirks::default() },
        ..RegistryOptions::default()
    }
}

/// With immutable tags.
pub(super) fn immutable_options() -> RegistryOptions {
    let mut options = options();
    options.quirks.taken_tag = Some(IMMUTABLE);
    options
}
