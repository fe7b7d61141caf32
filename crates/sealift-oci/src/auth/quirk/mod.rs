//! What single token services do unlike all others, chosen by the name in their challenge.
//!
//! Only what generic behaviour cannot cover. A registry that borrows a name gains nothing by it: a rule may cost a
//! request more, never credentials. Each registry has its page in `docs/registries/`.

mod ecr_public;

/// Rules for one token service.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Quirk {
    /// A token that is of no use any more is answered with 400 and no challenge.
    pub(crate) stale_token_is_bad_request: bool,
}

/// Returns the rules for the token service of this name.
pub(crate) fn of(service: Option<&str>) -> Quirk {
    match service {
        Some(ecr_public::SERVICE) => ecr_public::QUIRK,
        _ => Quirk::default(),
    }
}
