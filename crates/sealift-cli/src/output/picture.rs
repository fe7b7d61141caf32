//! The evidence tree as a picture.

use std::io::{self, Write};

use super::Report;
use super::model::{Node, Tree};
use crate::exit::Exit;

/// A tree as text for a drawing program.
pub(crate) enum Picture<'a> {
    /// <https://graphviz.org/doc/info/lang.html>
    Dot(&'a Tree),
    /// <https://mermaid.js.org/syntax/flowchart.html>
    Mermaid(&'a Tree),
}

impl Picture<'_> {
    fn tree(&self) -> &Tree {
        match self {
            Self::Dot(tree) | Self::Mermaid(tree) => tree,
        }
    }

    fn write_node(&self, out: &mut dyn Write, node: &Node, next: &mut usize) -> io::Result<usize> {
        let id = *next;
        *next += 1;
        let title = if id == 0 { &self.tree().reference } else { &node.label };
        let storage = node.storage.as_deref().unwrap_or(if id == 0 { &node.label } else { node.kind });
        let hex = node.digest.hex();
        let digest = format!("{}:{}", node.digest.algorithm(), &hex[..12]);
        match self {
            Self::Dot(_) => writeln!(out, "  n{id} [label=\"{}\\n{}\\n{digest}\"];", quoted(title), quoted(storage))?,
            Self::Mermaid(_) => {
                writeln!(out, "  n{id}[\"{}<br/>{}<br/>{digest}\"]", quoted(title), quoted(storage))?;
            }
        }
        let arrow = match self {
            Self::Dot(_) => "->",
            Self::Mermaid(_) => "-->",
        };
        for child in &node.children {
            let child = self.write_node(out, child, next)?;
            writeln!(out, "  n{id} {arrow} n{child}")?;
        }
        Ok(id)
    }
}

impl Report for Picture<'_> {
    fn write_text(&self, out: &mut dyn Write) -> io::Result<()> {
        let (head, foot) = match self {
            Self::Dot(_) => ("digraph evidence {\n  node [shape=box];", "}\n"),
            Self::Mermaid(_) => ("flowchart TD", ""),
        };
        writeln!(out, "{head}")?;
        self.write_node(out, &self.tree().root, &mut 0)?;
        write!(out, "{foot}")
    }

    fn write_json(&self, out: &mut dyn Write) -> io::Result<()> {
        self.write_text(out)
    }

    fn write_talk(&self, out: &mut dyn Write) -> io::Result<()> {
        self.tree().write_talk(out)
    }

    fn exit(&self) -> Exit {
        self.tree().exit()
    }
}

/// Makes foreign text harmless inside a quoted label: types and names come from whoever pushed the manifest.
fn quoted(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '"' | '\\' | '<' | '>' | '&' | '#' | ';' => ' ',
            c if c.is_control() => ' ',
            c => c,
        })
        .collect()
}
