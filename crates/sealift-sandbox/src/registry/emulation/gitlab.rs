//! GitLab's registry: `docs/registries/gitlab.md`.

use super::{Emulation, USER};
use crate::registry::options::{Auth, Excess, RegistryOptions, TokenAuth};
use crate::registry::quirk::{Answer, MissingApi, Quirks};

const REFUSED: Answer = Answer { status: 403, code: "DENIED", message: "access forbidden" };

pub(super) fn options() -> RegistryOptions {
    let auth = TokenAuth {
        user: USER.to_owned(),
        password: Emulation::PASSWORD.to_owned(),
        path: "/jwt/auth",
        service: "container_registry",
        anonymous_pull: true,
        public: "public/*",
        excess: Excess::Refused(REFUSED),
        catalog: false,
        fields: &["token"],
        expires_in: None,
        oauth: false,
        ..TokenAuth::default()
    };
    RegistryOptions {
        auth: Auth::Token(auth),
        referrers_api: false,
        fallback_tag_is_image: true,
        single_post: false,
        quirks: Quirks { missing_api: MissingApi::PlainText, ..Quirks::default() },
        ..RegistryOptions::default()
    }
}
