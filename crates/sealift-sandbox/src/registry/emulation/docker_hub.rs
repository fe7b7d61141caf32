//! Docker Hub: `docs/registries/docker.io.md`.

use super::{Emulation, USER};
use crate::registry::options::{Auth, RegistryOptions, TokenAuth};
use crate::registry::quirk::{Answer, PullLimit, Quirks, Root};

pub(super) fn options() -> RegistryOptions {
    let auth = TokenAuth {
        user: USER.to_owned(),
        password: Emulation::PASSWORD.to_owned(),
        service: "registry.docker.io",
        anonymous_pull: true,
        public: "library/*",
        // A token for the catalog allows nothing.
        catalog: false,
        expires_in: Some(300),
        ..TokenAuth::default()
    };
    let quirks = Quirks {
        pull_limit: Some(PullLimit { pulls: 100, window_seconds: 21_600 }),
        root: Root::Redirect("https://www.docker.com/"),
        ..Quirks::default()
    };
    RegistryOptions { auth: Auth::Token(auth), deletes: false, quirks, ..RegistryOptions::default() }
}

/// As it was before it had the referrers API.
pub(super) fn options_of_2024() -> RegistryOptions {
    let mut options = options();
    options.referrers_api = false;
    options.claims_subject = true;
    options.quirks.subject_first =
        Some(Answer { status: 404, code: "MANIFEST_UNKNOWN", message: "the subject of the manifest is unknown in {}" });
    options
}
