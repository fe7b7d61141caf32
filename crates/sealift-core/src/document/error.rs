//! What is wrong with a document, and where.

use std::fmt;

/// Says what is wrong with a document that somebody wrote, and where: file, line, path inside, what was expected and
/// what was found.
#[derive(Debug)]
#[non_exhaustive]
pub struct DocumentError {
    /// The file, as whoever read it calls it.
    pub file: String,
    /// The line and column.
    pub at: Position,
    /// The path inside, such as `scopes[0].repository`; empty for the whole document.
    pub path: String,
    /// What is wrong.
    pub problem: DocumentProblem,
}

impl fmt::Display for DocumentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, at, path, problem } = self;
        let colon = if path.is_empty() { "" } else { ": " };
        write!(f, "{file}:{at}: {path}{colon}{problem}")
    }
}

impl std::error::Error for DocumentError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.problem.source()
    }
}

/// An entry's place, as errors about it begin: file, line, column and path inside.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Place {
    /// The file, as whoever read it calls it.
    pub file: String,
    /// The line and column.
    pub at: Position,
    /// The path inside, such as `promotions[0].source`.
    pub path: String,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, at, path } = self;
        write!(f, "{file}:{at}: {path}")
    }
}

/// A place in a document; both numbers begin at 1.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The column, in characters.
    pub column: usize,
}

impl Position {
    pub(super) const START: Self = Self { line: 1, column: 1 };

    pub(super) fn new(line: usize, column: usize) -> Self {
        Self { line, column }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// What is wrong with a document.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DocumentProblem {
    /// It has an anchor or an alias, from which documents are built that grow without bound when read.
    #[error("anchors and aliases are not accepted")]
    Alias,
    /// A field is there twice, so that two readers would read two documents.
    #[error("duplicate field, first on line {first}")]
    Duplicate {
        /// Line of the first.
        first: usize,
    },
    /// There is nothing in it.
    #[error("the document is empty")]
    Empty,
    /// It is something else.
    #[error("expected {expected}, found {found}")]
    Expected {
        /// What it should be, such as `a list`.
        expected: String,
        /// What it is, bounded and printable.
        found: String,
    },
    /// A field is not there.
    #[error("the field `{field}` is missing")]
    Missing {
        /// Its name.
        field: &'static str,
    },
    /// It is not text.
    #[error("not UTF-8")]
    NotUtf8,
    /// What it says is not usable.
    #[error("{what}")]
    Refused {
        /// What is not usable.
        what: String,
        /// Why not.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync + 'static>,
    },
    /// There is more than one document in it.
    #[error("a second document begins here; one is expected")]
    Second,
    /// It is not YAML.
    #[error("not YAML: {reason}")]
    Syntax {
        /// What the parser says.
        reason: String,
    },
    /// It has a tag, which would give a value another type.
    #[error("tags are not accepted")]
    Tag,
    /// It is nested too deeply.
    #[error("nested deeper than {limit}")]
    TooDeep {
        /// The deepest.
        limit: usize,
    },
    /// It is too large.
    #[error("the document exceeds {limit} bytes")]
    TooLarge {
        /// Most bytes read.
        limit: usize,
    },
    /// There are too many entries.
    #[error("more than {limit} entries")]
    TooMany {
        /// The most.
        limit: usize,
    },
    /// Nobody knows the field.
    #[error("unknown field; known are {}", known.join(", "))]
    Unknown {
        /// The fields known here.
        known: Vec<&'static str>,
    },
}
