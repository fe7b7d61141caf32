//! Where in a command line something stands: which command is meant, and what its flags are.

use std::ffi::{OsStr, OsString};

use clap::{Arg, Command};

/// The command that a line names.
#[derive(Clone, Debug)]
pub(super) struct Place<'c> {
    /// Its name, as in `trust init`; nothing for the program itself.
    pub(super) path: String,
    pub(super) command: &'c Command,
    /// Where the first word is that is neither a command nor a flag.
    pub(super) operand: Option<usize>,
    /// Where flags end: at `--`, or with the line.
    pub(super) end: usize,
}

impl<'c> Place<'c> {
    /// Finds it; `root` must be built.
    pub(super) fn of(root: &'c Command, words: &[OsString]) -> Self {
        let end = words.iter().position(|word| word == "--").unwrap_or(words.len());
        let mut place = Self { path: String::new(), command: root, operand: None, end };
        let mut words = words[..end].iter().enumerate().skip(1);
        while let Some((index, word)) = words.next() {
            let text = word.to_str().unwrap_or_default();
            if text.starts_with('-') {
                if place.arg(text).is_some_and(|arg| arg.get_action().takes_values() && !arg.is_require_equals_set()) {
                    words.next();
                }
                continue;
            }
            let Some(command) = place.command.find_subcommand(text) else {
                place.operand = Some(index);
                break;
            };
            let gap = if place.path.is_empty() { "" } else { " " };
            place.path = format!("{}{gap}{}", place.path, command.get_name());
            place.command = command;
        }
        place
    }

    /// Returns the flag that a whole word names: `--name` or `-n`.
    pub(super) fn arg(&self, word: &str) -> Option<&'c Arg> {
        self.command.get_arguments().find(|arg| names(arg).iter().any(|name| name == word))
    }

    /// Returns the line with two dashes where one stands before the name of a flag: cosign still takes `-key`.
    ///
    /// Short flags with a value in the same word are told apart by not being a flag's whole name.
    pub(super) fn with_both_dashes(&self, words: &[OsString], is_foreign: fn(&str, &str) -> bool) -> Vec<OsString> {
        let long = |word: &OsString| {
            let text = word.to_str().filter(|_| may_lack_a_dash(word))?;
            let both = format!("-{text}");
            let name = both.split('=').next().unwrap_or_default();
            (self.arg(name).is_some() || is_foreign(&self.path, name)).then(|| OsString::from(&both))
        };
        let flags = words[..self.end].iter().map(|word| long(word).unwrap_or_else(|| word.clone()));
        flags.chain(words[self.end..].iter().cloned()).collect()
    }

    /// Returns the line with the first `--switch=true` as `--switch`, or without the first `--switch=false`, as other
    /// tools take them; `None` where there is neither, and where the switch is given once more: which of them counts is
    /// not guessed.
    pub(super) fn with_plain_switch(&self, words: &[OsString]) -> Option<Vec<OsString>> {
        let is_switch = |arg: &&Arg| !arg.get_action().takes_values();
        let (index, name, is_on, arg) = words[..self.end].iter().enumerate().skip(1).find_map(|(index, word)| {
            let (name, value) = word.to_str()?.split_once('=')?;
            Some((index, name, switched(value)?, self.arg(name).filter(is_switch)?))
        })?;
        let is_again = |word: &OsString| {
            let text = word.to_str().unwrap_or_default();
            let is_cluster = !text.starts_with("--") && text.starts_with('-');
            let mut shorts = arg.get_short_and_visible_aliases().unwrap_or_default().into_iter();
            names(arg).iter().any(|name| text.split('=').next() == Some(name.as_str()))
                || (is_cluster && shorts.any(|short| text.contains(short)))
        };
        let others = words[..self.end].iter().enumerate().skip(1).filter(|(other, _)| *other != index);
        if others.map(|(_, word)| word).any(is_again) {
            return None;
        }
        let mut plain = words.to_vec();
        plain.splice(index..=index, is_on.then(|| OsString::from(name)));
        Some(plain)
    }
}

/// Says whether a word could be a flag's name behind one dash.
pub(super) fn may_lack_a_dash(word: &OsStr) -> bool {
    let bytes = word.as_encoded_bytes();
    bytes.len() > 2 && bytes[0] == b'-' && bytes[1].is_ascii_alphabetic()
}

/// Returns what is written behind a switch, in the spellings of Go's flags.
pub(super) fn switched(value: &str) -> Option<bool> {
    match value {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

/// Returns every spelling of a flag, with its dashes.
fn names(arg: &Arg) -> Vec<String> {
    let longs = arg.get_long().into_iter().chain(arg.get_all_aliases().unwrap_or_default());
    let longs = longs.map(|long| format!("--{long}"));
    let shorts = arg.get_short_and_visible_aliases().unwrap_or_default().into_iter().map(|short| format!("-{short}"));
    longs.chain(shorts).collect()
}
