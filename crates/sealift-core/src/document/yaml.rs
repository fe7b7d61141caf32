//! The tree of a YAML document, built without recursion from the parser's events.

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span};

use super::error::{DocumentProblem, Position};
use super::{MAX_DEPTH, MAX_DOCUMENT_BYTES, MAX_FIELDS};
use crate::repository::foreign_text;

/// A value and where it begins.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) at: Position,
    pub(super) value: Value,
}

/// What a document is made of.
#[derive(Clone, Debug)]
pub(super) enum Value {
    List(Vec<Node>),
    Map(Vec<Field>),
    /// Text, or without quotes perhaps something else.
    Scalar {
        text: String,
        is_plain: bool,
    },
}

/// A field of a mapping.
#[derive(Clone, Debug)]
pub(super) struct Field {
    pub(super) name: String,
    pub(super) at: Position,
    pub(super) node: Node,
}

/// Where, the path inside, and what.
pub(super) type Flaw = (Position, String, DocumentProblem);

/// Reads one document.
pub(super) fn parse(bytes: &[u8]) -> Result<Node, Flaw> {
    let flaw = |at, problem| (at, String::new(), problem);
    if bytes.len() > MAX_DOCUMENT_BYTES {
        return Err(flaw(Position::START, DocumentProblem::TooLarge { limit: MAX_DOCUMENT_BYTES }));
    }
    let text = std::str::from_utf8(bytes)
        .map_err(|error| flaw(position_of(bytes, error.valid_up_to()), DocumentProblem::NotUtf8))?;
    let mut parser = Parser::new_from_str(text);
    let mut tree = Tree::default();
    let mut root = None;
    while let Some(event) = parser.next_event() {
        let (event, span) = event.map_err(|error| {
            let (at, problem) = syntax(&error);
            (at, tree.path(), problem)
        })?;
        let at = position(&span);
        match event {
            Event::DocumentStart(_) if root.is_some() => return Err(flaw(at, DocumentProblem::Second)),
            Event::StreamEnd => return root.ok_or_else(|| flaw(at, DocumentProblem::Empty)),
            event => root = tree.take(event, at)?.or(root),
        }
    }
    root.ok_or_else(|| flaw(Position::START, DocumentProblem::Empty))
}

/// What is open, outermost first.
#[derive(Default)]
struct Tree {
    open: Vec<Open>,
}

struct Open {
    at: Position,
    value: Value,
    /// The field whose value comes next.
    name: Option<(String, Position)>,
}

impl Tree {
    /// Takes an event, and returns the root when it is whole.
    fn take(&mut self, event: Event<'_>, at: Position) -> Result<Option<Node>, Flaw> {
        let (anchor, is_tagged) = match &event {
            Event::Scalar(_, _, anchor, tag) => (*anchor, tag.is_some()),
            Event::MappingStart(anchor, tag) | Event::SequenceStart(anchor, tag) => (*anchor, tag.is_some()),
            Event::Alias(_) => (1, false),
            _ => (0, false),
        };
        if anchor != 0 {
            return Err((at, self.path(), DocumentProblem::Alias));
        }
        if is_tagged {
            return Err((at, self.path(), DocumentProblem::Tag));
        }
        match event {
            Event::Scalar(text, style, ..) => {
                let is_plain = style == ScalarStyle::Plain;
                self.close(Node { at, value: Value::Scalar { text: text.into_owned(), is_plain } })
            }
            Event::MappingStart(..) => self.begin(at, Value::Map(Vec::new())),
            Event::SequenceStart(..) => self.begin(at, Value::List(Vec::new())),
            Event::MappingEnd | Event::SequenceEnd => match self.open.pop() {
                Some(Open { at, value, .. }) => self.close(Node { at, value }),
                None => Ok(None),
            },
            _ => Ok(None),
        }
    }

    fn begin(&mut self, at: Position, value: Value) -> Result<Option<Node>, Flaw> {
        if let Some(Open { value: Value::Map(_), name: None, .. }) = self.open.last() {
            let found = if matches!(value, Value::List(_)) { "a list" } else { "a mapping" };
            return Err((at, String::new(), expected_name(found)));
        }
        if self.open.len() >= MAX_DEPTH {
            return Err((at, String::new(), DocumentProblem::TooDeep { limit: MAX_DEPTH }));
        }
        self.open.push(Open { at, value, name: None });
        Ok(None)
    }

    /// Puts a whole value where it belongs.
    fn close(&mut self, node: Node) -> Result<Option<Node>, Flaw> {
        let Some(parent) = self.open.last_mut() else { return Ok(Some(node)) };
        match (&mut parent.value, parent.name.take()) {
            (Value::List(entries), _) => entries.push(node),
            (Value::Map(fields), Some((name, at))) => fields.push(Field { name, at, node }),
            (Value::Map(fields), None) => {
                let Value::Scalar { text, .. } = node.value else { return Ok(None) };
                let first = fields.iter().find(|field| field.name == text).map(|field| field.at.line);
                let is_full = fields.len() == MAX_FIELDS;
                parent.name = Some((text, node.at));
                if is_full {
                    return Err((node.at, String::new(), DocumentProblem::TooMany { limit: MAX_FIELDS }));
                }
                if let Some(first) = first {
                    return Err((node.at, self.path(), DocumentProblem::Duplicate { first }));
                }
            }
            // Nothing opens a scalar.
            (Value::Scalar { .. }, _) => {}
        }
        Ok(None)
    }

    /// Returns the path of what comes next.
    fn path(&self) -> String {
        let mut path = String::new();
        for open in &self.open {
            match (&open.value, &open.name) {
                (Value::List(entries), _) => path += &format!("[{}]", entries.len()),
                (_, Some((name, _))) => push_name(&mut path, name),
                _ => {}
            }
        }
        path
    }
}

/// Appends a field's name to a path.
pub(super) fn push_name(path: &mut String, name: &str) {
    if !path.is_empty() {
        path.push('.');
    }
    path.push_str(&foreign_text(name));
}

fn expected_name(found: &str) -> DocumentProblem {
    DocumentProblem::Expected { expected: "a field's name".to_owned(), found: found.to_owned() }
}

fn syntax(error: &ScanError) -> (Position, DocumentProblem) {
    let marker = error.marker();
    let at = Position::new(marker.line().max(1), marker.col() + 1);
    (at, DocumentProblem::Syntax { reason: foreign_text(error.info()) })
}

fn position(span: &Span) -> Position {
    Position::new(span.start.line().max(1), span.start.col() + 1)
}

fn position_of(bytes: &[u8], offset: usize) -> Position {
    let before = bytes.get(..offset).unwrap_or_default();
    let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
    let last = before.rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
    Position::new(line, 1 + String::from_utf8_lossy(last).chars().count())
}
