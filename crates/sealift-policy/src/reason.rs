//! Why a check found what it found: data for programs, a sentence for people.

use std::fmt;

use jiff::Timestamp;
use sealift_core::identity::Identity;

use crate::age::Duration;

/// Why a check found what it found.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Reason {
    /// The registry is one of those approved.
    Approved {
        /// The registry.
        registry: String,
    },
    /// Its end of life is to come, or nothing says that there is one.
    Alive {
        /// The end of life.
        until: Option<Timestamp>,
    },
    /// It is past its end of life.
    EndOfLife {
        /// Since when.
        since: Timestamp,
        /// What replaces it, as the marker says.
        successor: Option<String>,
    },
    /// Enough of those who must sign have signed.
    Met {
        /// Who.
        counted: Vec<Identity>,
        /// Whose word is needed, such as `2 distinct of a, b, c`.
        needed: String,
    },
    /// The place has no scope in the policy.
    NoScope {
        /// The patterns there are.
        scopes: Vec<String>,
    },
    /// The rule has a limit of age, and no time was given.
    NoTime,
    /// The place is no approved registry.
    NotApproved {
        /// The registry, or what else the place is.
        place: String,
        /// The patterns of approved registries.
        approved: Vec<String>,
    },
    /// Enough have signed, but not lately.
    Old {
        /// How old it may be.
        limit: Duration,
        /// When the youngest was made.
        made: Timestamp,
    },
    /// A lifecycle marker says something that is no date.
    UnreadableDate {
        /// What it says; empty when it says nothing.
        found: String,
    },
    /// Not everything that matters could be read.
    Unread {
        /// Things not read.
        count: usize,
    },
    /// Not enough of those who must sign have signed.
    Unmet {
        /// Who has.
        counted: Vec<Identity>,
        /// Whose word is needed.
        needed: String,
        /// Those who must have signed and did not; empty where any may.
        missing: Vec<String>,
    },
    /// Enough have signed, but nothing proves when, or they claim to in the future.
    Untimed {
        /// The time claimed, if it is in the future.
        future: Option<Timestamp>,
    },
}

impl Reason {
    /// Returns the name that programs compare, in kebab case.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Alive { .. } => "alive",
            Self::Approved { .. } => "approved",
            Self::EndOfLife { .. } => "end-of-life",
            Self::Met { .. } => "met",
            Self::NoScope { .. } => "no-scope",
            Self::NoTime => "no-time",
            Self::NotApproved { .. } => "not-approved",
            Self::Old { .. } => "old",
            Self::Unread { .. } => "unread",
            Self::UnreadableDate { .. } => "unreadable-date",
            Self::Unmet { .. } => "unmet",
            Self::Untimed { .. } => "untimed",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Alive { until: None } => f.write_str("nothing says that it has one"),
            Self::Alive { until: Some(until) } => write!(f, "it ends {until}"),
            Self::EndOfLife { since, successor: None } => write!(f, "it ended {since}"),
            Self::EndOfLife { since, successor: Some(successor) } => {
                write!(f, "it ended {since}; {successor} replaces it")
            }
            Self::UnreadableDate { found } => write!(f, "a marker gives `{found}`, which is no date"),
            Self::Approved { registry } => write!(f, "{registry} is an approved registry"),
            Self::Met { counted, .. } => write!(f, "by {}", list(counted)),
            Self::NoScope { scopes } => {
                write!(f, "no scope of the policy covers the repository; there are {}", scopes.join(", "))
            }
            Self::NoTime => f.write_str("its age cannot be told without a time"),
            Self::NotApproved { place, approved } => {
                write!(f, "{place} is not an approved registry; approved are {}", approved.join(", "))
            }
            Self::Old { limit, made } => write!(f, "made {made}, which is more than {limit} ago"),
            Self::Unmet { counted, needed, missing } => {
                match missing.as_slice() {
                    [] => write!(f, "needed is {needed}")?,
                    missing => write!(f, "missing is {}", missing.join(", "))?,
                }
                if counted.is_empty() { f.write_str("; nobody did") } else { write!(f, "; only {} did", list(counted)) }
            }
            Self::Unread { count: 1 } => f.write_str("something that may matter could not be read"),
            Self::Unread { count } => write!(f, "{count} things that may matter could not be read"),
            Self::Untimed { future: Some(time) } => write!(f, "it claims to be made {time}, in the future"),
            Self::Untimed { future: None } => f.write_str("nothing proves when it was made"),
        }
    }
}

fn list(identities: &[Identity]) -> String {
    identities.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
