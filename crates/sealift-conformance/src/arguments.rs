//! The protocols' arguments: options with a value, switches, and operands.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::error::ClientError;

/// Arguments by name.
#[derive(Debug)]
pub(crate) struct Arguments {
    options: BTreeMap<String, Vec<String>>,
    switches: BTreeSet<String>,
    operands: Vec<String>,
}

impl Arguments {
    pub(crate) fn parse(arguments: Vec<String>, options: &[&str], switches: &[&str]) -> Result<Self, ClientError> {
        let mut found = Self { options: BTreeMap::new(), switches: BTreeSet::new(), operands: Vec::new() };
        let mut arguments = arguments.into_iter();
        while let Some(argument) = arguments.next() {
            if options.contains(&argument.as_str()) {
                let value = arguments.next().ok_or_else(|| ClientError::Usage { argument: argument.clone() })?;
                found.options.entry(argument).or_default().push(value);
            } else if switches.contains(&argument.as_str()) {
                found.switches.insert(argument);
            } else if argument.starts_with("--") {
                return Err(ClientError::Usage { argument });
            } else {
                found.operands.push(argument);
            }
        }
        Ok(found)
    }

    /// Returns an option's value, which may be given once.
    pub(crate) fn option(&self, name: &str) -> Result<Option<&str>, ClientError> {
        match self.repeated(name) {
            [] => Ok(None),
            [value] => Ok(Some(value)),
            _ => Err(ClientError::Usage { argument: name.to_owned() }),
        }
    }

    pub(crate) fn required(&self, name: &str) -> Result<&str, ClientError> {
        self.option(name)?.ok_or_else(|| ClientError::Usage { argument: name.to_owned() })
    }

    /// Returns all values of an option.
    pub(crate) fn repeated(&self, name: &str) -> &[String] {
        self.options.get(name).map(Vec::as_slice).unwrap_or_default()
    }

    pub(crate) fn has(&self, switch: &str) -> bool {
        self.switches.contains(switch)
    }

    /// Returns what stands alone.
    pub(crate) fn operands(&self) -> Vec<&str> {
        self.operands.iter().map(String::as_str).collect()
    }

    /// Returns the one thing that stands alone.
    pub(crate) fn operand(&self) -> Result<&str, ClientError> {
        match &self.operands[..] {
            [operand] => Ok(operand),
            _ => Err(ClientError::Usage { argument: "what it is about".to_owned() }),
        }
    }
}

pub(crate) fn read(path: impl AsRef<Path>) -> Result<Vec<u8>, ClientError> {
    let path = path.as_ref();
    std::fs::read(path).map_err(|source| ClientError::Io { path: path.to_owned(), source })
}
