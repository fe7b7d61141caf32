//! Amazon's public registry: <https://github.com/aws/containers-roadmap/issues/2835>.

use super::Quirk;

/// What it calls itself.
pub(super) const SERVICE: &str = "public.ecr.aws";

pub(super) const QUIRK: Quirk = Quirk { stale_token_is_bad_request: true };
