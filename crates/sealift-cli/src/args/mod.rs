//! Flag groups, flattened into commands, and their one-way turn into core's types.

pub(crate) mod annotation;
pub(crate) mod blob_output;
pub(crate) mod deadline;
pub(crate) mod end_of_life;
pub(crate) mod endorsement;
pub(crate) mod endpoint;
pub(crate) mod global;
pub(crate) mod identity;
pub(crate) mod key;
pub(crate) mod keyless;
pub(crate) mod many;
pub(crate) mod marker;
pub(crate) mod output;
pub(crate) mod policy;
pub(crate) mod predicate;
pub(crate) mod promotion;
pub(crate) mod reference;
pub(crate) mod registry;
pub(crate) mod signature;
pub(crate) mod signing;

/// The heading of a group that has none of its own: without it, the group stands under that of the one before it.
pub(crate) const NO_HEADING: Option<&str> = None;
