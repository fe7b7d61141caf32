//! Where a value came from, so that an error can say what to change.

use std::fmt;
use std::path::PathBuf;

/// The source of a value.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Origin {
    /// An environment variable.
    Environment(String),
    /// A file.
    File(PathBuf),
    /// Asked for on the terminal.
    Prompt,
    /// Standard input.
    StandardInput,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Environment(name) => write!(f, "the variable `{name}`"),
            Self::File(path) => write!(f, "`{}`", path.display()),
            Self::Prompt => f.write_str("the prompt"),
            Self::StandardInput => f.write_str("standard input"),
        }
    }
}
