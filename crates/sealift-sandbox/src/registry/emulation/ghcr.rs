//! GitHub's registry: `docs/registries/ghcr.io.md`.

use std::time::Duration;

use super::{Emulation, USER};
use crate::registry::options::{Auth, Excess, RegistryOptions, TokenAuth};
use crate::registry::quirk::{Answer, MissingApi, Quirks, Root};

/// No token for more than its owner may do, not even one for less.
const REFUSED: Answer = Answer { status: 403, code: "DENIED", message: "requested access to the resource is denied" };

pub(super) fn options() -> RegistryOptions {
    let auth = TokenAuth {
        user: USER.to_owned(),
        password: Emulation::PASSWORD.to_owned(),
        service: "ghcr.io",
        anonymous_pull: true,
        public: "public/*",
        excess: Excess::Refused(REFUSED),
        fields: &["token"],
        expires_in: None,
        lifetime: Duration::from_secs(60),
        placeholder_scope: Some("repository:user/image:pull".to_owned()),
        oauth: false,
        ..TokenAuth::default()
    };
    let quirks = Quirks {
        missing_api: MissingApi::Code("MANIFEST_UNKNOWN"),
        single_patch: true,
        cancelled_upload: Some(Answer { status: 405, code: "UNSUPPORTED", message: "the operation is unsupported" }),
        root: Root::WebPage,
        ..Quirks::default()
    };
    RegistryOptions {
        auth: Auth::Token(auth),
        referrers_api: false,
        single_post: false,
        // Packages are deleted through GitHub's own API.
        deletes: false,
        quirks,
        ..RegistryOptions::default()
    }
}

/// With the redirect to a web page.
pub(super) fn redirecting_options() -> RegistryOptions {
    let mut options = options();
    // A name that resolves nowhere: whoever follows it fails.
    options.quirks.missing_api = MissingApi::SeeOther("https://github.invalid/-/v2/packages/container/package");
    options
}
