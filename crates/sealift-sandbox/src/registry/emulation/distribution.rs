//! CNCF distribution: `docs/registries/distribution.md`.

use super::{Emulation, USER};
use crate::registry::options::{Auth, RegistryOptions};

pub(super) fn options() -> RegistryOptions {
    RegistryOptions::distribution().with_auth(Auth::basic(USER, Emulation::PASSWORD))
}
