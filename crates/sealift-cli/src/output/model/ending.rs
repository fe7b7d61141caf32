//! How promotions ended, in a word each.

use std::fmt;

use serde::Serialize;

/// How the promotion of an image to one destination ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Ending {
    /// There is no answer.
    Failed,
    Planned,
    Promoted,
    /// The answer is no.
    Refused,
    /// Everything was there already, and nothing was written.
    Unchanged,
}

impl Ending {
    /// Says whether somebody has to look after it.
    pub(crate) fn is_trouble(self) -> bool {
        matches!(self, Self::Failed | Self::Refused)
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Failed => "failed",
            Self::Planned => "planned",
            Self::Promoted => "promoted",
            Self::Refused => "refused",
            Self::Unchanged => "unchanged",
        })
    }
}

/// How many promotions ended how.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct Endings {
    promoted: usize,
    unchanged: usize,
    pub(super) planned: usize,
    refused: usize,
    failed: usize,
}

impl Endings {
    /// Counts one more.
    pub(crate) fn count(&mut self, ending: Ending) {
        *match ending {
            Ending::Failed => &mut self.failed,
            Ending::Planned => &mut self.planned,
            Ending::Promoted => &mut self.promoted,
            Ending::Refused => &mut self.refused,
            Ending::Unchanged => &mut self.unchanged,
        } += 1;
    }

    /// Says whether there are none.
    pub(crate) fn is_empty(self) -> bool {
        let Self { promoted, unchanged, planned, refused, failed } = self;
        promoted + unchanged + planned + refused + failed == 0
    }

    /// Says whether somebody has to look after one of them.
    pub(crate) fn has_trouble(self) -> bool {
        self.refused + self.failed > 0
    }
}

impl fmt::Display for Endings {
    /// Writes those that there are, such as `3 promoted, 1 refused`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = [
            (self.promoted, Ending::Promoted),
            (self.unchanged, Ending::Unchanged),
            (self.planned, Ending::Planned),
            (self.refused, Ending::Refused),
            (self.failed, Ending::Failed),
        ];
        let mut separator = "";
        for (count, ending) in all.into_iter().filter(|(count, _)| *count > 0) {
            write!(f, "{separator}{count} {ending}")?;
            separator = ", ";
        }
        Ok(())
    }
}
