//! Harbor: `docs/registries/harbor.md`.

use super::{Emulation, USER};
use crate::registry::options::{Auth, RegistryOptions, TokenAuth};
use crate::registry::quirk::{Answer, Quirks};

const IMMUTABLE: Answer = Answer {
    status: 412,
    code: "PRECONDITION",
    message: "Failed to process request due to a tag of {} that is configured as immutable.",
};

pub(super) fn options() -> RegistryOptions {
    let auth = TokenAuth {
        user: USER.to_owned(),
        password: Emulation::PASSWORD.to_owned(),
        path: "/service/token",
        service: "harbor-registry",
        anonymous_pull: true,
        public: "public/*",
        expires_in: Some(1800),
        oauth: false,
        takes_basic: true,
        ..TokenAuth::default()
    };
    RegistryOptions {
        auth: Auth::Token(auth),
        single_post: false,
        // As a project with a rule for every tag has it.
        quirks: Quirks { taken_tag: Some(IMMUTABLE), ..Quirks::default() },
        ..RegistryOptions::default()
    }
}
