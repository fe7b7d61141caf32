//! JFrog Artifactory: `docs/registries/artifactory.md`.

use super::{Emulation, USER};
use crate::registry::options::{Auth, RegistryOptions, TokenAuth};

pub(super) fn options() -> RegistryOptions {
    let auth = TokenAuth {
        user: USER.to_owned(),
        password: Emulation::PASSWORD.to_owned(),
        path: "/artifactory/api/docker/docker-local/v2/token",
        service: "",
        expires_in: Some(3600),
        // The first part of a path is the Artifactory repository, which scopes do not name.
        strips_first_part: true,
        takes_basic: true,
        ..TokenAuth::default()
    };
    RegistryOptions { auth: Auth::Token(auth), ..RegistryOptions::default() }
}
