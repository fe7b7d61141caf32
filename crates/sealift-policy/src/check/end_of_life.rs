//! `end-of-life`: no marker says that the subject is past its end of life.

use jiff::Timestamp;

use super::{Assessment, Check, Outcome};
use crate::age::Duration;
use crate::facts::{Demand, Facts};
use crate::lifecycle::MarkerKind;
use crate::quorum::Quorum;
use crate::reason::Reason;

/// Passes when the subject is not past its end of life, or not for long.
#[derive(Clone, Debug)]
pub struct EndOfLife {
    grace: Option<Duration>,
    now: Option<Timestamp>,
    signers: Option<Quorum>,
    kinds: Vec<MarkerKind>,
}

impl EndOfLife {
    /// Returns a check that the end of life is less than `grace` ago at `now`, by anyone's markers.
    pub fn new(grace: Option<Duration>, now: Option<Timestamp>) -> Self {
        Self { grace, now, signers: None, kinds: MarkerKind::all(None) }
    }

    /// Returns the check for which only markers that one of `signers` signed count; without, anyone's.
    #[must_use]
    pub fn marked_by(self, signers: Option<Quorum>) -> Self {
        Self { signers, ..self }
    }

    /// Returns the check for which markers of `own` kind count, too, where there is one.
    #[must_use]
    pub fn marked_as(self, own: Option<MarkerKind>) -> Self {
        Self { kinds: MarkerKind::all(own), ..self }
    }
}

impl Check for EndOfLife {
    fn name(&self) -> &'static str {
        "end-of-life"
    }

    fn describe(&self) -> String {
        let grace = self.grace.map_or_else(String::new, |grace| format!(" for more than {grace}"));
        let signers = self.signers.as_ref().map_or_else(String::new, |signers| format!(", as marked by {signers}"));
        format!("not past its end of life{grace}{signers}")
    }

    fn demand(&self) -> Demand<'_> {
        Demand::Lifecycle { signers: self.signers.as_ref().map(Quorum::accepted), kinds: &self.kinds }
    }

    fn evaluate(&self, facts: &Facts) -> Assessment {
        let doubts = facts.markers().map_or(1, |markers| markers.doubts().len());
        let Some(markers) = facts.markers().filter(|_| doubts == 0) else {
            // A marker not read might be the one that decides.
            return Assessment::new(Outcome::Inconclusive, Reason::Unread { count: doubts });
        };
        let Some(marker) = markers.effective() else {
            return Assessment::new(Outcome::Pass, Reason::Alive { until: None });
        };
        let end = match &marker.end_of_life {
            Ok(end) => *end,
            Err(found) => {
                return Assessment::new(Outcome::Fail, Reason::UnreadableDate { found: found.clone() });
            }
        };
        let deadline = self.grace.map_or(end, |grace| grace.after(end));
        match self.now {
            None => Assessment::new(Outcome::Inconclusive, Reason::NoTime),
            Some(now) if deadline <= now => {
                let successor = marker.successor.clone();
                Assessment::new(Outcome::Fail, Reason::EndOfLife { since: end, successor })
            }
            Some(_) => Assessment::new(Outcome::Pass, Reason::Alive { until: Some(end) }),
        }
    }
}
