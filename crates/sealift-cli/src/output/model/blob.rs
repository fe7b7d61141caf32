//! Files that were signed or verified.

use std::io::{self, Write};
use std::path::PathBuf;

use sealift_core::dsse::Envelope;
use sealift_core::identity::Identity;
use sealift_core::oci::{Digest, media_type};
use sealift_core::verify::Verified;
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::output::style::{DIM, GOOD, STRONG};
use crate::output::{Report, evidence, json_line};

/// A file whose signature or attestation counts.
#[derive(Debug)]
pub(crate) struct VerifiedBlob {
    pub(crate) name: String,
    pub(crate) verified: Verified,
}

impl Report for VerifiedBlob {
    fn write_text(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "{GOOD}verified{GOOD:#} {STRONG}{}{STRONG:#}", self.name)?;
        writeln!(out, "  {DIM}digest {}{DIM:#}", self.verified.digest())?;
        writeln!(out, "  {GOOD}yes{GOOD:#}  {} by {}", self.verified.format(), self.verified.signer())?;
        evidence::write_verified(out, &self.verified)
    }

    /// Writes who signed, and for an attestation its envelope as well, so that `jq -r .envelope.payload | base64 -d`
    /// gives the statement.
    fn write_json(&self, out: &mut dyn Write) -> io::Result<()> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Line<'a> {
            name: &'a str,
            digest: &'a Digest,
            signer: Value,
            predicate_type: Option<&'a str>,
            log_entries: Vec<Value>,
            times: Vec<i64>,
            #[serde(skip_serializing_if = "Option::is_none")]
            envelope: Option<Value>,
        }
        let verified = &self.verified;
        let records = verified.log_records().iter();
        let envelope = verified.payload().map(|payload| {
            let envelope = Envelope::new(media_type::IN_TOTO, payload.clone(), verified.signature().to_vec());
            envelope.to_json().ok().and_then(|json| serde_json::from_slice(&json).ok()).unwrap_or_default()
        });
        json_line(
            out,
            &Line {
                name: &self.name,
                digest: verified.digest(),
                signer: signer(verified.signer()),
                predicate_type: verified.predicate_type(),
                log_entries: records
                    .map(|record| json!({ "logIndex": record.index, "logUrl": record.log_url, "time": record.time }))
                    .collect(),
                times: verified.times().iter().map(|time| time.time).collect(),
                envelope,
            },
        )
    }
}

fn signer(identity: &Identity) -> Value {
    match identity {
        Identity::Certificate { subject, issuer, extensions } => {
            let claims: Map<_, _> = extensions.iter().map(|(name, value)| (name.to_string(), value.into())).collect();
            json!({ "subject": subject, "issuer": issuer, "claims": claims })
        }
        Identity::Key { key_id, fingerprint } => json!({ "keyId": key_id, "fingerprint": fingerprint }),
        _ => Value::Null,
    }
}

/// A file that was signed or attested.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SignedBlob {
    pub(crate) name: String,
    pub(crate) digest: Digest,
    pub(crate) bundle_file: PathBuf,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) predicate_type: Option<String>,
    /// Indexes of its entries in transparency logs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) log_indexes: Vec<i64>,
}

impl Report for SignedBlob {
    fn write_text(&self, out: &mut dyn Write) -> io::Result<()> {
        let verb = if self.predicate_type.is_some() { "attested" } else { "signed" };
        writeln!(out, "{GOOD}{verb}{GOOD:#} {}", self.name)?;
        writeln!(out, "  {DIM}digest {}{DIM:#}", self.digest)?;
        for index in &self.log_indexes {
            writeln!(out, "  {DIM}log entry {index}{DIM:#}")?;
        }
        writeln!(out, "  {DIM}bundle written to {}{DIM:#}", self.bundle_file.display())
    }

    fn write_json(&self, out: &mut dyn Write) -> io::Result<()> {
        json_line(out, self)
    }
}
