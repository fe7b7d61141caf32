//! The two places of a move.

use sealift_core::repository::{ReadRepository, Repository};

/// Where something comes from, and where it goes.
#[derive(Clone, Copy, Debug)]
pub struct Ends<'s, 'd> {
    /// Is only read.
    pub source: &'s dyn ReadRepository,
    /// Is written to, its tags last.
    pub destination: &'d dyn Repository,
}
