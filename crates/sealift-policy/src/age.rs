//! How old a signature or an attestation may be.

use std::fmt;
use std::str::FromStr;

use jiff::{SignedDuration, Timestamp};
use sealift_core::statement::{Statement, predicate};
use sealift_core::verify::Verified;
use serde_json::Value;

/// A span of whole minutes, such as `90m`, `12h` or `30d`.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Duration {
    minutes: u32,
}

impl Duration {
    fn signed(self) -> SignedDuration {
        SignedDuration::from_mins(i64::from(self.minutes))
    }

    /// Returns the moment this long after `time`; the end of time where there is none.
    pub fn after(self, time: Timestamp) -> Timestamp {
        time.checked_add(self.signed()).unwrap_or(Timestamp::MAX)
    }
}

impl FromStr for Duration {
    type Err = DurationError;

    fn from_str(text: &str) -> Result<Self, DurationError> {
        let digits = text.find(|c: char| !c.is_ascii_digit()).ok_or(DurationError)?;
        let (number, unit) = text.split_at(digits);
        let unit = match unit {
            "m" => 1,
            "h" => HOUR,
            "d" => DAY,
            _ => return Err(DurationError),
        };
        let minutes = number.parse::<u32>().ok().and_then(|number| number.checked_mul(unit)).ok_or(DurationError)?;
        if minutes == 0 || minutes > MAX_MINUTES { Err(DurationError) } else { Ok(Self { minutes }) }
    }
}

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.minutes {
            minutes if minutes % DAY == 0 => write!(f, "{}d", minutes / DAY),
            minutes if minutes % HOUR == 0 => write!(f, "{}h", minutes / HOUR),
            minutes => write!(f, "{minutes}m"),
        }
    }
}

/// Minutes of an hour.
const HOUR: u32 = 60;
/// Minutes of a day.
const DAY: u32 = 24 * HOUR;
/// The longest span: a hundred years, beyond which there is no date arithmetic to get right.
const MAX_MINUTES: u32 = 36_525 * DAY;

/// Says that a text is no span of time.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("expected a whole number of minutes, hours or days, such as `90m`, `12h` or `30d`, at most 100 years")]
pub struct DurationError;

/// How old something may be, at a time.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct AgeLimit {
    limit: Duration,
    now: Option<Timestamp>,
}

impl AgeLimit {
    /// Demands at most `limit` at `now`; without a time, nothing can be told.
    pub fn new(limit: Duration, now: Option<Timestamp>) -> Self {
        Self { limit, now }
    }

    /// Returns the limit.
    pub fn limit(&self) -> Duration {
        self.limit
    }

    /// Says how old what was verified is.
    pub(crate) fn judge(&self, verified: &Verified) -> Age {
        let Some(now) = self.now else { return Age::Unknown };
        let Some(made) = made(verified) else { return Age::Unproven };
        if made > CLOCK_SKEW.after(now) {
            return Age::Future(made);
        }
        if self.limit.after(made) < now { Age::Old(made) } else { Age::Fresh }
    }
}

/// How old something is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Age {
    /// Young enough.
    Fresh,
    /// It says that it was made in the future.
    Future(Timestamp),
    /// It was made then, which is too long ago.
    Old(Timestamp),
    /// No time was given to compare with.
    Unknown,
    /// Nothing says when it was made.
    Unproven,
}

/// How far the clocks of signers, logs and this machine may differ.
const CLOCK_SKEW: Duration = Duration { minutes: 5 };

/// Returns when something was made: the earliest of the times that logs and timestamp authorities prove and that the
/// signed statement gives, because a new timestamp on an old scan does not make it new.
fn made(verified: &Verified) -> Option<Timestamp> {
    let proven = verified.times().iter().filter_map(|proven| Timestamp::from_second(proven.time).ok());
    proven.chain(verified.statement().and_then(stated_time)).min()
}

/// Returns the time that a statement gives for what it is about, where its type has a place for it.
fn stated_time(statement: &Statement) -> Option<Timestamp> {
    let pointer = TIMES.iter().find(|(known, _)| *known == statement.predicate_type()).map(|(_, pointer)| *pointer)?;
    let predicate: Value = statement.predicate_as().ok()?;
    predicate.pointer(pointer)?.as_str()?.parse().ok()
}

/// Where predicates give the time of what they are about.
const TIMES: [(&str, &str); 7] = [
    (predicate::CUSTOM, "/Timestamp"),
    (predicate::CYCLONEDX, "/metadata/timestamp"),
    (predicate::OPENVEX, "/timestamp"),
    (predicate::SLSA_PROVENANCE_V02, "/metadata/buildFinishedOn"),
    (predicate::SLSA_PROVENANCE_V1, "/runDetails/metadata/finishedOn"),
    (predicate::SPDX, "/creationInfo/created"),
    (predicate::VULNERABILITY, "/metadata/scanFinishedOn"),
];

#[cfg(test)]
mod tests {
    use sealift_core::oci::Digest;
    use sealift_core::statement::Subject;
    use serde_json::json;

    use super::*;

    #[test]
    fn spans_have_a_unit() {
        for (text, shown) in [("90m", "90m"), ("120m", "2h"), ("12h", "12h"), ("72h", "3d"), ("30d", "30d")] {
            assert_eq!(text.parse::<Duration>().unwrap().to_string(), shown);
        }
        for text in ["", "3", "d", "0d", "-1d", "1.5h", "1w", "36526d", "99999999999d", "1d2h", " 1d"] {
            assert!(text.parse::<Duration>().is_err(), "{text}");
        }
    }

    #[test]
    fn statements_give_their_time() {
        let time = "2026-11-20T10:00:00Z";
        for (predicate_type, predicate) in [
            (predicate::VULNERABILITY, json!({ "metadata": { "scanFinishedOn": time } })),
            (predicate::SLSA_PROVENANCE_V1, json!({ "runDetails": { "metadata": { "finishedOn": time } } })),
            (predicate::SPDX, json!({ "creationInfo": { "created": time } })),
            (predicate::CUSTOM, json!({ "Data": "x", "Timestamp": time })),
        ] {
            let statement =
                Statement::new(vec![Subject::of(&Digest::sha256(b"x"))], predicate_type, &predicate).unwrap();
            assert_eq!(stated_time(&statement), Some(time.parse().unwrap()), "{predicate_type}");
        }
        for predicate in [json!({}), json!("text"), json!({ "metadata": { "scanFinishedOn": "yesterday" } })] {
            let statement =
                Statement::new(vec![Subject::of(&Digest::sha256(b"x"))], predicate::VULNERABILITY, &predicate).unwrap();
            assert_eq!(stated_time(&statement), None);
        }
    }
}
