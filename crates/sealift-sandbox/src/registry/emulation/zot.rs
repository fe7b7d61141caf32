//! zot: `docs/registries/zot.md`.

use super::{Emulation, USER};
use crate::registry::options::{Auth, RegistryOptions};

pub(super) fn options() -> RegistryOptions {
    RegistryOptions::default().with_auth(Auth::basic(USER, Emulation::PASSWORD))
}
