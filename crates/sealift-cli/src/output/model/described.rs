//! What came along with a signature, for people: certificate, log entries, timestamps. Nothing here is verified.

use std::io::{self, Write};

use sealift_core::entity::{LogEntry, MaterialKey, VerificationMaterial};
use sealift_core::hex;
use sealift_core::repository::foreign_text;
use sealift_core::timestamp::TimestampResponse;
use sealift_core::tlog::checkpoint::Checkpoint;
use sealift_core::x509::{Certificate, FulcioExtensions};
use serde::Serialize;
use serde_json::Map;

use crate::output::evidence::rfc3339;

/// What came along with a signature.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Described {
    /// What it says about its key.
    pub(crate) signer_hint: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    certificate: Option<DescribedCertificate>,
    log_entries: Vec<DescribedEntry>,
    timestamps: Vec<DescribedTimestamp>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct DescribedCertificate {
    names: Vec<String>,
    issuer: Option<String>,
    not_before: String,
    not_after: String,
    claims: Map<String, serde_json::Value>,
    /// Certificates of issuers that came along.
    issuers: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct DescribedEntry {
    index: i64,
    kind: String,
    log_id: String,
    time: Option<String>,
    promise: bool,
    proof: bool,
    /// The log as its checkpoint names it.
    #[serde(skip_serializing_if = "Option::is_none")]
    origin: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct DescribedTimestamp {
    time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
}

impl Described {
    pub(crate) fn of(material: &VerificationMaterial) -> Self {
        let certificate = match &material.key {
            MaterialKey::Certificates(certificates) => certificates.split_first().map(DescribedCertificate::of),
            _ => None,
        };
        let named = certificate.as_ref().and_then(|certificate| certificate.names.first().cloned());
        Self {
            signer_hint: named.or_else(|| material.key.hint().map(foreign_text)),
            certificate,
            log_entries: material.log_entries.iter().map(DescribedEntry::of).collect(),
            timestamps: material.timestamps.iter().map(|der| DescribedTimestamp::of(der)).collect(),
        }
    }

    /// Writes a line or more for each part.
    pub(crate) fn write_text(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "  signer      {}", self.signer_hint.as_deref().unwrap_or("not named"))?;
        if let Some(certificate) = &self.certificate {
            certificate.write_text(out)?;
        }
        for entry in &self.log_entries {
            let proven = match (entry.promise, entry.proof) {
                (true, true) => "promise and inclusion proof",
                (true, false) => "promise alone",
                (false, true) => "inclusion proof",
                (false, false) => "no proof",
            };
            let origin = entry.origin.as_ref().map_or_else(String::new, |origin| format!(" in {origin}"));
            let time = entry.time.as_ref().map_or_else(String::new, |time| format!(" at {time}"));
            writeln!(out, "  log entry   {}{origin}{time}: {}, {proven}", entry.index, entry.kind)?;
        }
        for timestamp in &self.timestamps {
            let text = timestamp.time.as_ref().or(timestamp.problem.as_ref()).map_or("", String::as_str);
            writeln!(out, "  timestamp   {text}")?;
        }
        Ok(())
    }
}

impl DescribedCertificate {
    fn of((leaf, issuers): (&Vec<u8>, &[Vec<u8>])) -> Self {
        let mut shown = Self {
            names: Vec::new(),
            issuer: None,
            not_before: String::new(),
            not_after: String::new(),
            claims: Map::new(),
            issuers: issuers.len(),
            problem: None,
        };
        let certificate = match Certificate::from_der(leaf) {
            Ok(certificate) => certificate,
            Err(error) => return Self { problem: Some(error.to_string()), ..shown },
        };
        let validity = certificate.validity();
        shown.not_before = rfc3339(validity.start);
        shown.not_after = validity.end.map_or_else(String::new, rfc3339);
        match certificate.subject_names() {
            Ok(names) => shown.names = names.iter().map(|name| foreign_text(name.as_str())).collect(),
            Err(error) => shown.problem = Some(error.to_string()),
        }
        match FulcioExtensions::of(&certificate) {
            Ok(extensions) => {
                shown.issuer = extensions.issuer().map(foreign_text);
                shown.claims =
                    extensions.iter().map(|(name, value)| (name.to_string(), foreign_text(value).into())).collect();
            }
            Err(error) => shown.problem = Some(error.to_string()),
        }
        shown
    }

    fn write_text(&self, out: &mut dyn Write) -> io::Result<()> {
        if let Some(issuer) = &self.issuer {
            writeln!(out, "  vouched by  {issuer}")?;
        }
        writeln!(out, "  certificate {} to {}", self.not_before, self.not_after)?;
        for name in self.names.iter().skip(1) {
            writeln!(out, "  also named  {name}")?;
        }
        for (name, value) in self.claims.iter().filter(|(name, _)| *name != "issuer") {
            writeln!(out, "    {name}: {}", value.as_str().unwrap_or_default())?;
        }
        self.problem.as_ref().map_or(Ok(()), |problem| writeln!(out, "  problem     {problem}"))
    }
}

impl DescribedEntry {
    fn of(entry: &LogEntry) -> Self {
        let checkpoint = entry.inclusion_proof.as_ref().and_then(|proof| proof.checkpoint.as_deref());
        Self {
            index: entry.log_index,
            kind: foreign_text(&format!("{} {}", entry.kind, entry.version)),
            log_id: hex::encode(&entry.log_id),
            time: entry.integrated_time.map(rfc3339),
            promise: entry.inclusion_promise.is_some(),
            proof: entry.inclusion_proof.is_some(),
            origin: checkpoint.and_then(|note| Checkpoint::parse(note).ok()).map(|note| foreign_text(note.origin())),
        }
    }
}

impl DescribedTimestamp {
    fn of(der: &[u8]) -> Self {
        match TimestampResponse::parse(der) {
            Ok(response) => Self { time: Some(rfc3339(response.stated_time())), problem: None },
            Err(error) => Self { time: None, problem: Some(error.to_string()) },
        }
    }
}
