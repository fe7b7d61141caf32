//! Quay: `docs/registries/quay.io.md`.

use super::{Emulation, USER};
use crate::registry::options::{Auth, RegistryOptions, TokenAuth};
use crate::registry::quirk::{Answer, Quirks};

/// The referrers API answers 400 about a manifest that is not here, though the repository is.
const UNKNOWN_SUBJECT: Answer = Answer { status: 400, code: "MANIFEST_UNKNOWN", message: "manifest unknown in {}" };

pub(super) fn options() -> RegistryOptions {
    let auth = TokenAuth {
        user: USER.to_owned(),
        password: Emulation::PASSWORD.to_owned(),
        path: "/v2/auth",
        service: "quay.io",
        anonymous_pull: true,
        public: "public/*",
        catalog: false,
        fields: &["token"],
        expires_in: None,
        oauth: false,
        ..TokenAuth::default()
    };
    RegistryOptions {
        auth: Auth::Token(auth),
        single_post: false,
        quirks: Quirks { unknown_subject: Some(UNKNOWN_SUBJECT), ..Quirks::default() },
        ..RegistryOptions::default()
    }
}
