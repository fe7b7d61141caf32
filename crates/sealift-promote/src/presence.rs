//! Whether something was at the destination already.

use serde::Serialize;

/// How something came to be at the destination.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Presence {
    /// It was there: the destination answered so; a signature also verifies as the signer's own.
    Found,
    /// It was made or moved now, and the destination has acknowledged it.
    Written,
}
