//! Whom a Sigstore installation consists of.

use std::io::{self, Write};

use jiff::Timestamp;
use sealift_core::repository::foreign_text;
use sealift_core::trust::{Authority, Log};
use sealift_core::x509::Validity;
use sealift_keyless::trust::{Source, TrustMaterial};
use serde::Serialize;

use crate::output::evidence::rfc3339;
use crate::output::style::{DIM, STRONG};
use crate::output::{Report, json_line};

/// Whom an installation consists of, and how that is known.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Trusted {
    instance: String,
    source: String,
    certificate_authorities: Vec<TrustedParty>,
    certificate_logs: Vec<TrustedParty>,
    logs: Vec<TrustedParty>,
    timestamp_authorities: Vec<TrustedParty>,
    /// Whether it says what to sign with.
    signs: bool,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct TrustedParty {
    url: String,
    name: String,
    since: String,
    until: Option<String>,
}

impl Trusted {
    pub(crate) fn of(instance: &str, material: &TrustMaterial) -> Self {
        let root = &material.trust_root;
        Self {
            instance: instance.to_owned(),
            source: source(material.source),
            certificate_authorities: root.certificate_authorities.iter().map(TrustedParty::authority).collect(),
            certificate_logs: root.ctlogs.iter().map(TrustedParty::log).collect(),
            logs: root.tlogs.iter().map(TrustedParty::log).collect(),
            timestamp_authorities: root.timestamp_authorities.iter().map(TrustedParty::authority).collect(),
            signs: material.signing_config_json.is_some(),
        }
    }
}

impl TrustedParty {
    fn authority(authority: &Authority) -> Self {
        let (root, _) = authority.root_and_issuers();
        let name = root.first().map(|root| foreign_text(&root.subject())).unwrap_or_default();
        Self::new(authority.uri(), name, authority.validity())
    }

    fn log(log: &Log) -> Self {
        Self::new(log.base_url(), format!("key sha256:{}", log.key().fingerprint()), log.validity())
    }

    fn new(url: &str, name: String, validity: Validity) -> Self {
        Self { url: foreign_text(url), name, since: rfc3339(validity.start), until: validity.end.map(rfc3339) }
    }

    fn write_text(&self, out: &mut dyn Write) -> io::Result<()> {
        let until = self.until.as_ref().map_or_else(String::new, |until| format!(" until {until}"));
        writeln!(out, "    {}\n      {DIM}{}, since {}{until}{DIM:#}", self.url, self.name, self.since)
    }
}

fn source(source: Source) -> String {
    let time = |checked: Option<Timestamp>| checked.map_or("an unknown time".to_owned(), |time| time.to_string());
    match source {
        Source::Cache { checked } => format!("kept, asked for at {}", time(checked)),
        Source::CacheInPlaceOfRepository { checked } => {
            format!("kept, since the repository does not answer; asked for at {}", time(checked))
        }
        Source::Embedded => "built in".to_owned(),
        Source::Repository => "the repository, just now".to_owned(),
        _ => "elsewhere".to_owned(),
    }
}

impl Report for Trusted {
    fn write_text(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "{STRONG}{}{STRONG:#}  {DIM}from {}{DIM:#}", self.instance, self.source)?;
        for (title, parties) in [
            ("certificate authorities", &self.certificate_authorities),
            ("certificate transparency logs", &self.certificate_logs),
            ("transparency logs of signatures", &self.logs),
            ("timestamp authorities", &self.timestamp_authorities),
        ] {
            writeln!(out, "  {title}{}", if parties.is_empty() { ": none" } else { "" })?;
            parties.iter().try_for_each(|party| party.write_text(out))?;
        }
        let signs = if self.signs { "says what to sign with" } else { "does not say what to sign with" };
        writeln!(out, "  {signs}")
    }

    fn write_json(&self, out: &mut dyn Write) -> io::Result<()> {
        json_line(out, self)
    }
}
