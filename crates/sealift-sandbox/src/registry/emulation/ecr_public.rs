//! Amazon's public registry: `docs/registries/public.ecr.aws.md`.

use std::time::Duration;

use super::{Emulation, ecr};
use crate::registry::options::{Auth, Mount, RegistryOptions, TokenAuth};
use crate::registry::quirk::{Answer, Quirks};

/// A token that is unknown or expired is a bad request, without a challenge.
const STALE: Answer = Answer { status: 400, code: "DENIED", message: "Your Authorization Token is invalid." };

pub(super) fn options() -> RegistryOptions {
    let auth = TokenAuth {
        user: ecr::USER.to_owned(),
        password: Emulation::PASSWORD.to_owned(),
        path: "/token/",
        service: "public.ecr.aws",
        anonymous_pull: true,
        fields: &["token"],
        expires_in: None,
        lifetime: Duration::from_secs(12 * 60 * 60),
        fixed_scope: Some("aws"),
        stale_token: Some(STALE),
        ..TokenAuth::default()
    };
    RegistryOptions {
        auth: Auth::Token(auth),
        mount: Mount::No,
        quirks: Quirks { missing_repository: Some(ecr::MISSING_REPOSITORY), ..Quirks::default() },
        ..RegistryOptions::default()
    }
}
