//! How the process ends: the only file with exit numbers.
//!
//! 10 to 13 are cosign's, because scripts know them. "The answer is no" (10 to 19) and "no answer was reached" (20 to
//! 29) never share a number. `docs/exit-codes.md` is generated from the table below.

use std::fmt::Write as _;
use std::process::ExitCode;

/// What the process says about its work.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Exit {
    Ok,
    Failure,
    Usage,
    NoSignature,
    NotFound,
    NoMatchingSignature,
    NoCertificate,
    PolicyDenied,
    TagTaken,
    ReferrersWrong,
    Quarantined,
    SeveralRefused,
    Configuration,
    Unauthorized,
    Unavailable,
    SeveralUndecided,
    Internal,
}

impl Exit {
    /// Returns the number.
    pub(crate) fn code(self) -> u8 {
        self.row().1
    }

    /// Returns the name in JSON and documents, such as `NO_SIGNATURE`.
    pub(crate) fn name(self) -> &'static str {
        self.row().2
    }

    /// Says whether the answer is "no", rather than "yes" or "could not tell".
    pub(crate) fn is_refusal(self) -> bool {
        REFUSALS.contains(&self.code())
    }

    /// Returns how work on several subjects ends: a refusal outweighs an undecided subject, and different reasons of
    /// one class have a number of their own. Work on nothing is no yes.
    pub(crate) fn of_several(exits: impl IntoIterator<Item = Self>) -> Self {
        let (mut ok, mut refused, mut undecided) = (None, None, None);
        for exit in exits {
            if exit == Self::Ok {
                ok = Some(exit);
                continue;
            }
            let (class, several) = match exit.is_refusal() {
                true => (&mut refused, Self::SeveralRefused),
                false => (&mut undecided, Self::SeveralUndecided),
            };
            *class = Some(class.filter(|seen| *seen != exit).map_or(exit, |_| several));
        }
        refused.or(undecided).or(ok).unwrap_or(Self::Internal)
    }

    /// Returns the one of several subjects that tells why all together end as [`Exit::of_several`] says: the first that
    /// is refused, else the first that is undecided; `None` when there is neither.
    pub(crate) fn decisive<T>(subjects: &[T], exit: impl Fn(&T) -> Self) -> Option<&T> {
        let refused = subjects.iter().find(|subject| exit(subject).is_refusal());
        refused.or_else(|| subjects.iter().find(|subject| exit(subject) != Self::Ok))
    }

    /// Returns the table as Markdown.
    pub(crate) fn table() -> String {
        let mut text = String::from("| Exit | Name | Meaning |\n|---:|---|---|\n");
        for (_, code, name, meaning) in TABLE {
            let _ = writeln!(text, "| {code} | `{name}` | {meaning} |");
        }
        text
    }

    /// Returns the table for people at a terminal.
    pub(crate) fn help() -> String {
        let mut text = String::from("Exit codes:\n");
        for (_, code, name, meaning) in TABLE {
            let _ = writeln!(text, "  {code:>2}  {name:<21}  {meaning}");
        }
        text
    }

    fn row(self) -> &'static (Self, u8, &'static str, &'static str) {
        // `Internal` is the last row; the test below checks that every variant has its own.
        TABLE.iter().find(|row| row.0 == self).unwrap_or(&TABLE[TABLE.len() - 1])
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

const REFUSALS: std::ops::RangeInclusive<u8> = 10..=19;

const TABLE: [(Exit, u8, &str, &str); 17] = [
    (Exit::Ok, 0, "OK", "done; for `verify` and `promote`: yes"),
    (Exit::Failure, 1, "FAILURE", "it failed in a way that has no number of its own"),
    (Exit::Usage, 2, "USAGE", "the arguments do not make sense together"),
    (Exit::NoSignature, 10, "NO_SIGNATURE", "no: nothing signed this digest"),
    (Exit::NotFound, 11, "NOT_FOUND", "no: the reference does not exist"),
    (Exit::NoMatchingSignature, 12, "NO_MATCHING_SIGNATURE", "no: signatures exist, none of them counts"),
    (Exit::NoCertificate, 13, "NO_CERTIFICATE", "no: a certificate is required and the signature has none"),
    (Exit::PolicyDenied, 14, "POLICY_DENIED", "no: the policy denies it"),
    (Exit::TagTaken, 15, "TAG_TAKEN", "no: the destination tag holds another digest"),
    (Exit::ReferrersWrong, 16, "REFERRERS_WRONG", "no: a list of referrers is wrong or incomplete"),
    (Exit::Quarantined, 17, "QUARANTINED", "no: the registry keeps it in quarantine"),
    (Exit::SeveralRefused, 19, "SEVERAL_REFUSED", "no: several subjects, refused for different reasons"),
    (Exit::Configuration, 20, "CONFIGURATION", "no answer: a key, a policy, a trust root or a setting is unusable"),
    (Exit::Unauthorized, 21, "UNAUTHORIZED", "no answer: credentials are missing or refused"),
    (
        Exit::Unavailable,
        22,
        "UNAVAILABLE",
        "no answer: a registry or a service did not answer usably; trying again may help",
    ),
    (
        Exit::SeveralUndecided,
        29,
        "SEVERAL_UNDECIDED",
        "no answer: several subjects, none refused, undecided for different reasons",
    ),
    (Exit::Internal, 70, "INTERNAL", "a bug in sealift"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_exit_has_its_own_number_and_name() {
        for (index, (exit, code, name, _)) in TABLE.iter().enumerate() {
            assert_eq!((exit.code(), exit.name()), (*code, *name));
            assert!(TABLE[..index].iter().all(|(_, other, ..)| other < code), "{code} is out of order");
        }
    }

    #[test]
    fn several_subjects_share_one_answer() {
        use Exit::{NoMatchingSignature, NoSignature, Ok, SeveralRefused, SeveralUndecided, Unauthorized, Unavailable};
        for (exits, expected) in [
            (&[][..], Exit::Internal),
            (&[Ok, Ok], Ok),
            (&[Ok, NoSignature], NoSignature),
            (&[NoSignature, NoSignature], NoSignature),
            (&[NoSignature, NoMatchingSignature, NoSignature], SeveralRefused),
            (&[Unavailable, NoSignature, Unauthorized], NoSignature),
            (&[Unavailable, Ok, Unavailable], Unavailable),
            (&[Unavailable, Unauthorized, Unavailable], SeveralUndecided),
        ] {
            assert_eq!(Exit::of_several(exits.iter().copied()), expected, "{exits:?}");
        }
    }
}
