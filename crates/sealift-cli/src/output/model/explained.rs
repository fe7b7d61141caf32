//! What a policy document demands, in words.

use std::io::{self, Write};

use sealift_core::oci::{Digest, RepositoryName};
use sealift_policy::{Policy, PolicyDocument};
use serde::Serialize;

use crate::exit::Exit;
use crate::output::style::{BAD, DIM, GOOD, STRONG};
use crate::output::{Report, json_line};

/// What a policy document demands: of everything it has a scope for, or of one repository.
#[derive(Debug, Serialize)]
pub(crate) struct Explained {
    file: String,
    digest: Digest,
    #[serde(skip_serializing_if = "Option::is_none")]
    repository: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    registries: Option<Vec<String>>,
    scopes: Vec<ExplainedScope>,
}

#[derive(Debug, Serialize)]
struct ExplainedScope {
    /// The pattern; several where several apply together, none where no scope covers the repository.
    patterns: Vec<String>,
    rules: Vec<ExplainedRule>,
}

#[derive(Debug, Serialize)]
struct ExplainedRule {
    rule: String,
    check: &'static str,
    demand: String,
}

impl Explained {
    /// Explains every scope.
    pub(crate) fn whole(document: &PolicyDocument) -> Self {
        let scopes = document.scopes().map(|(_, policy)| ExplainedScope::of(&policy)).collect();
        Self {
            file: document.file().to_owned(),
            digest: document.digest().clone(),
            repository: None,
            registries: document.registries(),
            scopes,
        }
    }

    /// Explains what applies to `repository`.
    pub(crate) fn of(document: &PolicyDocument, repository: &RepositoryName) -> Self {
        let policy = document.policy_for(repository, None);
        Self {
            repository: Some(repository.to_string()),
            scopes: vec![ExplainedScope::of(&policy)],
            ..Self::whole(document)
        }
    }

    /// Says whether the document has nothing to say about the repository, and so denies it.
    fn is_uncovered(&self) -> bool {
        self.scopes.iter().any(|scope| scope.patterns.is_empty())
    }
}

impl ExplainedScope {
    fn of(policy: &Policy) -> Self {
        let rules = policy.rules().map(|(path, check, demand)| ExplainedRule {
            rule: path.unwrap_or_default().to_owned(),
            check,
            demand,
        });
        let patterns = policy.source().map(|source| source.scopes.clone()).unwrap_or_default();
        Self { patterns, rules: rules.collect() }
    }
}

impl Report for Explained {
    fn write_text(&self, out: &mut dyn Write) -> io::Result<()> {
        match &self.repository {
            Some(repository) => writeln!(out, "{STRONG}{repository}{STRONG:#} under {}", self.file)?,
            None => writeln!(out, "{GOOD}valid{GOOD:#} {STRONG}{}{STRONG:#}", self.file)?,
        }
        writeln!(out, "  {DIM}digest {}{DIM:#}", self.digest)?;
        if let (None, Some(registries)) = (&self.repository, &self.registries) {
            writeln!(out, "  only in the registries {}", registries.join(", "))?;
        }
        for scope in &self.scopes {
            match scope.patterns.as_slice() {
                [] => writeln!(out, "{BAD}no scope{BAD:#}")?,
                patterns => writeln!(out, "{STRONG}{}{STRONG:#}", patterns.join(", "))?,
            }
            for rule in &scope.rules {
                writeln!(out, "  {} {DIM}{}{DIM:#}", rule.demand, rule.rule)?;
            }
        }
        Ok(())
    }

    fn write_json(&self, out: &mut dyn Write) -> io::Result<()> {
        json_line(out, self)
    }

    fn exit(&self) -> Exit {
        if self.is_uncovered() { Exit::PolicyDenied } else { Exit::Ok }
    }
}
