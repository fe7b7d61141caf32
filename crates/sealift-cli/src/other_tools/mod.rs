//! Command lines in the words of other tools: what their words mean here is looked up where arguments are read.
//!
//! Only what the parser refuses is looked up, so a word of ours always means what it means here, and a command line
//! without foreign words costs nothing more. Never guesses: a word that is not in the table stays an error.

mod place;
pub(crate) mod words;

use std::ffi::{OsStr, OsString};

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{ArgMatches, Command};

use crate::error::Failure;
use crate::exit::Exit;
use place::Place;
use words::{Equivalent, Meaning, WORDS, Word};

/// The most words of one command line that are replaced. Stops a table that leads in a circle.
const MAX_REPLACED: usize = 64;

/// Why a command line is not carried out.
#[derive(Debug)]
pub(crate) enum CommandLineError {
    /// It asks for help, or is wrong in a way that the parser explains.
    Parser(Box<clap::Error>),
    /// It has a word that other tools take.
    Foreign(Box<Failure>),
}

/// Reads a command line; `command` describes what there is, without what only help needs.
pub(crate) fn read(command: impl Fn() -> Command, words: Vec<OsString>) -> Result<ArgMatches, CommandLineError> {
    // Descriptions of all commands, which take long to make.
    let described = || {
        let mut command = command();
        command.build();
        command
    };
    let mut words = words;
    if words.iter().any(|word| place::may_lack_a_dash(word)) {
        words = Place::of(&described(), &words).with_both_dashes(&words, is_foreign);
    }
    for _ in 0..MAX_REPLACED {
        let error = match command().try_get_matches_from(&words) {
            Ok(matches) => return Ok(matches),
            Err(error) => error,
        };
        match translated(&described(), &words, &error) {
            Some(Ok(replaced)) => words = replaced,
            Some(Err(failure)) => return Err(CommandLineError::Foreign(Box::new(failure))),
            None => break,
        }
    }
    described().try_get_matches_from(words).map_err(|error| CommandLineError::Parser(Box::new(error)))
}

/// Returns the command line with one word less that the parser refuses, or why there is no such; `None` where nothing is
/// known of it.
fn translated(root: &Command, words: &[OsString], error: &clap::Error) -> Option<Result<Vec<OsString>, Failure>> {
    let place = Place::of(root, words);
    if let Some(replaced) = place.with_plain_switch(words) {
        return Some(Ok(replaced));
    }
    match (error.kind(), error.get(ContextKind::InvalidArg)) {
        (ErrorKind::InvalidSubcommand, _) => {
            let index = place.operand?;
            let typed = words[index].to_str()?;
            match find(&place.path, typed)?.meaning {
                Meaning::Verb(equivalent) => substituted(equivalent, &place.path, typed, None, words, index..=index),
                _ => None,
            }
        }
        (ErrorKind::UnknownArgument, Some(ContextValue::String(name))) => {
            let index =
                words[..place.end].iter().position(|word| flag_of(word).is_some_and(|(flag, _)| flag == name))?;
            of_flag(&place, words, index)
        }
        _ => None,
    }
}

fn of_flag(place: &Place<'_>, words: &[OsString], index: usize) -> Option<Result<Vec<OsString>, Failure>> {
    let (flag, value) = flag_of(&words[index])?;
    let meaning = find(&place.path, flag)?.meaning;
    let (equivalent, last) = match (meaning, value) {
        (Meaning::Verb(_), _) => return None,
        (Meaning::Switch(on, off), value) => match value.map(place::switched) {
            None | Some(Some(true)) => (on, index),
            Some(Some(false)) => (off, index),
            Some(None) => return None,
        },
        (Meaning::Value(equivalent @ Equivalent::No(..)), _) => (equivalent, index),
        (meaning, value) => {
            let (value, last) = match value {
                Some(value) => (value, index),
                // A flag is no value: it would be left out along with this one.
                None => (words[..place.end].get(index + 1)?.to_str().filter(|next| !next.starts_with('-'))?, index + 1),
            };
            (meaning.of_value(value), last)
        }
    };
    // A value that counts here too is left where it is.
    let keeps_value = matches!((meaning, equivalent), (Meaning::Value(_), Equivalent::Ours(_)));
    let (value, last) = if keeps_value { (value, index) } else { (None, last) };
    substituted(equivalent, &place.path, flag, value, words, index..=last)
}

/// Puts in what the equivalent says, in place of the words in `range`.
fn substituted(
    equivalent: Equivalent,
    path: &str,
    typed: &str,
    value: Option<&str>,
    words: &[OsString],
    range: std::ops::RangeInclusive<usize>,
) -> Option<Result<Vec<OsString>, Failure>> {
    let ours = match equivalent {
        Equivalent::Done => &[],
        Equivalent::Ours(ours) => ours,
        Equivalent::No(why, instead) => return Some(Err(refusal(path, typed, why, instead))),
    };
    let mut put: Vec<OsString> = ours.iter().map(OsString::from).collect();
    if let (Some(last), Some(value)) = (put.last_mut(), value) {
        last.push("=");
        last.push(value);
    }
    let mut replaced = words.to_vec();
    replaced.splice(range, put);
    Some(Ok(replaced))
}

fn refusal(path: &str, typed: &str, why: &str, instead: &str) -> Failure {
    let command = if path.is_empty() { "sealift".to_owned() } else { format!("sealift {path}") };
    let message = match typed.starts_with('-') {
        true => format!("`{command}` takes no `{typed}`: {why}"),
        false => format!("there is no `{command} {typed}`: {why}"),
    };
    Failure::new(Exit::Usage, message, Some(instead.to_owned()), Vec::new())
}

impl Meaning {
    fn of_value(self, value: &str) -> Equivalent {
        match self {
            Self::Choice(known, other) => {
                known.iter().find(|(known, _)| *known == value).map_or(other, |(_, equivalent)| *equivalent)
            }
            Self::Switch(equivalent, _) | Self::Value(equivalent) | Self::Verb(equivalent) => equivalent,
        }
    }
}

/// Says whether a flag of another tool is typed at this command.
fn is_foreign(path: &str, flag: &str) -> bool {
    find(path, flag).is_some()
}

fn find(path: &str, typed: &str) -> Option<&'static Word> {
    WORDS.iter().find(|word| word.word == typed && (word.at.is_empty() || word.at.contains(&path)))
}

/// Splits a flag from the value that is typed in one word with it.
fn flag_of(word: &OsStr) -> Option<(&str, Option<&str>)> {
    let word = word.to_str().filter(|word| word.starts_with('-'))?;
    Some(word.split_once('=').map_or((word, None), |(flag, value)| (flag, Some(value))))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;
    use crate::cli::Cli;

    fn described() -> Command {
        let mut command = Cli::command();
        command.build();
        command
    }

    /// Returns what becomes of a line after `sealift`.
    fn line(text: &str) -> Result<ArgMatches, CommandLineError> {
        read(Cli::command, std::iter::once("sealift").chain(text.split(' ')).map(OsString::from).collect())
    }

    fn of_leaf(matches: &ArgMatches) -> &ArgMatches {
        std::iter::successors(Some(matches), |matches| Some(matches.subcommand()?.1)).last().unwrap()
    }

    #[test]
    fn every_word_is_one_that_its_commands_do_not_take() {
        let root = described();
        for (index, word) in WORDS.iter().enumerate() {
            for path in word.at {
                let path_words: Vec<OsString> = std::iter::once("sealift")
                    .chain(path.split(' '))
                    .filter(|word| !word.is_empty())
                    .map(OsString::from)
                    .collect();
                let place = Place::of(&root, &path_words);
                assert_eq!((place.path.as_str(), place.operand), (*path, None), "no such command: {word:?}");
                let is_ours = match word.meaning {
                    Meaning::Verb(_) => place.command.find_subcommand(word.word).is_some(),
                    _ => place.arg(word.word).is_some(),
                };
                assert!(!is_ours, "`sealift {path}` takes {} by itself", word.word);
                let is_found =
                    |other: &Word| other.word == word.word && (other.at.is_empty() || other.at.contains(path));
                assert_eq!(WORDS.iter().position(is_found), Some(index), "{} stands twice for `{path}`", word.word);
            }
        }
    }

    #[test]
    fn what_other_tools_are_told_is_kept_or_refused() {
        let verified = line("verify --key k.pub --check-claims --max-workers=3 --new-bundle-format=false r:1").unwrap();
        assert_eq!(of_leaf(&verified).get_one::<u16>("concurrency"), Some(&3));
        let verified = line("verify --key k.pub --deny-self-hosted-runners r:1").unwrap();
        assert!(of_leaf(&verified).contains_id("certificate_claim"));
        let signed = line("sign --key k --registry-referrers-mode legacy --use-signing-config=true r:1").unwrap();
        let format = of_leaf(&signed).get_raw("format").unwrap().next().unwrap();
        assert_eq!(format, "legacy");
        assert!(line("copy -f r:1 s:1").is_ok());
        for refused in [
            "verify --check-claims=false r:1",
            "copy --force=false r:1 s:1",
            "copy -f=false r:1 s:1",
            "sign --sk r:1",
            "clean r:1",
            "--config f bundle create",
            "sign --slot r:1",
        ] {
            assert!(matches!(line(refused), Err(CommandLineError::Foreign(_))), "{refused}");
        }
        for unknown in [
            "verify --nonsense r:1",
            "nonsense",
            "verify --check-claims=perhaps r:1",
            "verify r:1 -- --sk",
            "verify --registry-referrers-mode --require-inclusion-proof r:1",
        ] {
            assert!(!matches!(line(unknown), Err(CommandLineError::Foreign(_))), "{unknown}");
        }
    }

    #[test]
    fn switches_may_be_off() {
        for (text, is_on) in [
            ("delete --yes=true r:1", true),
            ("delete --yes=false r:1", false),
            ("delete -y=false r:1", false),
            ("delete --force=1 r:1", true),
            ("-q=false delete --yes=T r:1", true),
        ] {
            assert_eq!(of_leaf(&line(text).unwrap()).get_flag("yes"), is_on, "{text}");
        }
        // Which of two counts is not guessed.
        for wrong in [
            "delete --yes --yes=false r:1",
            "delete -y --force=false r:1",
            "delete --yes=maybe r:1",
            "delete --yes= r:1",
        ] {
            assert!(matches!(line(wrong), Err(CommandLineError::Parser(_))), "{wrong}");
        }
        // A value that is typed like a switch stays a value.
        let signed = line("sign --key k -a --yes=false r:1");
        assert!(matches!(signed, Err(CommandLineError::Parser(_))));
        assert_eq!(
            of_leaf(&line("delete -- --yes=true").unwrap()).get_raw("reference").unwrap().next().unwrap(),
            "--yes=true"
        );
    }

    #[test]
    fn one_dash_may_stand_for_two() {
        let matches = line("verify -key k.pub -annotations a=b -recursive=true -check-claims r:1").unwrap();
        let matches = of_leaf(&matches);
        assert_eq!(matches.get_raw("key").unwrap().next().unwrap(), "k.pub");
        assert_eq!(matches.get_raw("annotations").unwrap().next().unwrap(), "a=b");
        assert!(matches.get_flag("recursive"));
        let matches = line("verify --key k.pub -abuild=7 -ojson -vv r:1").unwrap();
        assert_eq!(of_leaf(&matches).get_raw("annotations").unwrap().next().unwrap(), "build=7");
    }
}
