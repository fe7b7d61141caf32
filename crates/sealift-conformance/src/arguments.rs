//! The protocols' arguments: options with a value, switches, and one operand.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::error::ClientError;

/// Arguments by name; every option at most once.
#[derive(Debug)]
pub(crate) struct Arguments {
    options: BTreeMap<String, String>,
    switches: BTreeSet<String>,
    /// What stands alone.
    pub(crate) operand: String,
}

impl Arguments {
    pub(crate) fn parse(arguments: Vec<String>, options: &[&str], switches: &[&str]) -> Result<Self, ClientError> {
        let mut found = Self { options: BTreeMap::new(), switches: BTreeSet::new(), operand: String::new() };
        let mut operands = Vec::new();
        let mut arguments = arguments.into_iter();
        while let Some(argument) = arguments.next() {
            if options.contains(&argument.as_str()) {
                let value = arguments.next().ok_or_else(|| ClientError::Usage { argument: argument.clone() })?;
                if found.options.insert(argument.clone(), value).is_some() {
                    return Err(ClientError::Usage { argument });
                }
            } else if switches.contains(&argument.as_str()) {
                found.switches.insert(argument);
            } else if argument.starts_with("--") {
                return Err(ClientError::Usage { argument });
            } else {
                operands.push(argument);
            }
        }
        match (operands.pop(), operands.pop()) {
            (Some(operand), None) => Ok(Self { operand, ..found }),
            _ => Err(ClientError::Usage { argument: "what to verify".to_owned() }),
        }
    }

    pub(crate) fn option(&self, name: &str) -> Option<&str> {
        self.options.get(name).map(String::as_str)
    }

    pub(crate) fn has(&self, switch: &str) -> bool {
        self.switches.contains(switch)
    }

    pub(crate) fn required(&self, name: &str) -> Result<&str, ClientError> {
        self.option(name).ok_or_else(|| ClientError::Usage { argument: name.to_owned() })
    }
}

pub(crate) fn read(path: impl AsRef<Path>) -> Result<Vec<u8>, ClientError> {
    let path = path.as_ref();
    std::fs::read(path).map_err(|source| ClientError::Io { path: path.to_owned(), source })
}
