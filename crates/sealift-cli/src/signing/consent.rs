//! Nothing about anybody goes into a public log unasked.

use super::provider::Origin;
use crate::context::Context;
use crate::error::{CliError, UsageError};
use crate::output::style::{STRONG, WARNING};
use crate::sigstore::{confirm, has_terminal};

/// What will be published.
#[derive(Debug)]
pub(super) struct Publication<'a> {
    /// Who publishes.
    pub(super) publishers: Vec<String>,
    /// What is signed, as typed.
    pub(super) artifacts: &'a [String],
}

/// Says what will be published, and asks unless somebody said yes already: with `--yes`, or by asking for a token in
/// the definition of a job.
///
/// `origin` is how the signer is known; with a key, which names nobody, there is none.
pub(super) fn obtain(
    context: &Context,
    yes: bool,
    origin: Option<Origin>,
    publication: &Publication<'_>,
) -> Result<(), CliError> {
    let text = publication.text(origin);
    if yes || origin == Some(Origin::Ambient) {
        context.printer.note(text);
        return Ok(());
    }
    if !has_terminal() {
        return Err(UsageError::NoConsent { text }.into());
    }
    // Not a note: `--quiet` must not hide what is asked.
    match confirm(&format!("{text}\nPublish this?")) {
        Ok(true) => Ok(()),
        Ok(false) | Err(_) => Err(UsageError::NoConsent { text }.into()),
    }
}

impl Publication<'_> {
    fn text(&self, origin: Option<Origin>) -> String {
        let who = match origin {
            None => "your public key",
            Some(Origin::Ambient) => "the name of this job, its repository and its commit",
            Some(Origin::Given) => "the name in the identity token, such as a mail address",
            Some(Origin::Person) => "the name you sign in with, such as your mail address",
        };
        let mut lines = vec![
            format!(
                "{WARNING}will be published{WARNING:#}, for everybody and for ever, by {}:",
                self.publishers.join(" and ")
            ),
            format!("  - {who}"),
            "  - when you sign, your signatures, and digests of what you sign:".to_owned(),
        ];
        lines.extend(
            self.artifacts.iter().take(MAX_SHOWN).map(|artifact| format!("      {STRONG}{artifact}{STRONG:#}")),
        );
        match self.artifacts.len().saturating_sub(MAX_SHOWN) {
            0 => {}
            more => lines.push(format!("      and {more} more")),
        }
        lines.join("\n")
    }
}

/// Artifacts named before it is only said how many more there are.
const MAX_SHOWN: usize = 10;
