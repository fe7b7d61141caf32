//! Google Artifact Registry: `docs/registries/pkg.dev.md`.

use super::Emulation;
use crate::registry::options::{Auth, RegistryOptions, TokenAuth};
use crate::registry::quirk::{Answer, Quirks};

/// The user of access tokens; keys of service accounts have `_json_key` and `_json_key_base64`.
pub(super) const USER: &str = "oauth2accesstoken";
const MISSING_REPOSITORY: Answer = Answer { status: 404, code: "NAME_UNKNOWN", message: "Repository \"{}\" not found" };

pub(super) fn options() -> RegistryOptions {
    let auth = TokenAuth {
        user: USER.to_owned(),
        password: Emulation::PASSWORD.to_owned(),
        path: "/v2/token",
        service: "",
        takes_basic: true,
        expires_in: Some(3600),
        ..TokenAuth::default()
    };
    RegistryOptions {
        auth: Auth::Token(auth),
        quirks: Quirks { missing_repository: Some(MISSING_REPOSITORY), ..Quirks::default() },
        ..RegistryOptions::default()
    }
}
