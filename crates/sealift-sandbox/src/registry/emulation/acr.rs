//! Azure Container Registry: `docs/registries/azurecr.io.md`.

use std::time::Duration;

use super::Emulation;
use crate::registry::options::{Auth, Exchange, RegistryOptions, TokenAuth};
use crate::registry::quirk::{Quarantine, Quirks};

/// A service principal or the admin; whoever has a refresh token calls himself `00000000-...`.
pub(super) const USER: &str = "sandbox-principal";
/// The largest request that uploads; larger blobs go in chunks.
const MAX_UPLOAD_BYTES: u64 = 20 * 1024 * 1024;

pub(super) fn options() -> RegistryOptions {
    let exchange = Exchange { path: "/oauth2/exchange", access_token: Emulation::AAD_ACCESS_TOKEN.to_owned() };
    let auth = TokenAuth {
        user: USER.to_owned(),
        password: Emulation::PASSWORD.to_owned(),
        path: "/oauth2/token",
        // The registry's address.
        service: "",
        fields: &["access_token"],
        expires_in: None,
        lifetime: Duration::from_secs(75 * 60),
        takes_basic: true,
        exchange: Some(exchange),
        ..TokenAuth::default()
    };
    RegistryOptions {
        auth: Auth::Token(auth),
        quirks: Quirks { max_upload: Some(MAX_UPLOAD_BYTES), attributes_api: true, ..Quirks::default() },
        ..RegistryOptions::default()
    }
}

/// The same with the quarantine policy.
pub(super) fn quarantine_options() -> RegistryOptions {
    let mut options = options();
    options.quirks.quarantine =
        Some(Quarantine { reader: Emulation::QUARANTINE_READER, writer: Emulation::QUARANTINE_WRITER });
    if let Auth::Token(auth) = &mut options.auth {
        auth.others = &[Emulation::QUARANTINE_READER, Emulation::QUARANTINE_WRITER];
    }
    options
}
