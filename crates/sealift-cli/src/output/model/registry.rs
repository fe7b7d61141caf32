//! What was found out about a registry.

use std::io::{self, Write};

use sealift_oci::probe::{AuthProbe, AuthReport, ProbeReport, ShownChallenge, TokenOutcome, Verdict};
use serde::Serialize;
use serde_json::json;

use crate::exit::Exit;
use crate::output::style::{DIM, GOOD, STRONG, WARNING};
use crate::output::{Report, json_line};

/// How a registry authenticates.
#[derive(Debug)]
pub(crate) struct Authentication(AuthReport);

impl From<AuthReport> for Authentication {
    fn from(report: AuthReport) -> Self {
        Self(report)
    }
}

impl Report for Authentication {
    fn write_text(&self, out: &mut dyn Write) -> io::Result<()> {
        let report = &self.0;
        writeln!(out, "{STRONG}{}{STRONG:#}", report.host)?;
        match report.origin.as_str() {
            "" => writeln!(out, "credentials: {}", report.credential)?,
            origin => writeln!(out, "credentials: {}, from {origin}", report.credential)?,
        }
        report.probes.iter().try_for_each(|probe| write_probe(out, probe))
    }

    fn write_json(&self, out: &mut dyn Write) -> io::Result<()> {
        let report = &self.0;
        let probes: Vec<_> = report.probes.iter().map(probe_json).collect();
        json_line(
            out,
            &json!({
                "host": report.host.to_string(),
                "credential": { "kind": report.credential, "origin": report.origin },
                "probes": probes,
            }),
        )
    }

    fn exit(&self) -> Exit {
        let Some(last) = self.0.probes.last() else { return Exit::Ok };
        match last.authorized.as_ref().unwrap_or(&last.anonymous) {
            Ok(401 | 403) => Exit::Unauthorized,
            Ok(_) => Exit::Ok,
            Err(_) => Exit::Unavailable,
        }
    }
}

fn write_probe(out: &mut dyn Write, probe: &AuthProbe) -> io::Result<()> {
    write!(out, "{STRONG}{}{STRONG:#}  {}", probe.path, status(&probe.anonymous))?;
    if let Some(location) = &probe.location {
        write!(out, ", to {location}")?;
    }
    writeln!(out)?;
    for challenge in &probe.challenges {
        writeln!(out, "  asks for {}", challenge_text(challenge))?;
    }
    match &probe.token {
        None => {}
        Some(TokenOutcome::Granted { scopes, lifetime }) => {
            let asked = if scopes.is_empty() { "nothing" } else { scopes };
            let lifetime =
                lifetime.map_or_else(|| "lifetime not told".to_owned(), |time| format!("{} s", time.as_secs()));
            writeln!(out, "  {GOOD}token{GOOD:#} for {asked}, {lifetime}")?;
        }
        Some(TokenOutcome::Refused { scopes, reason }) => {
            let asked = if scopes.is_empty() { "nothing" } else { scopes };
            writeln!(out, "  {WARNING}no token{WARNING:#} for {asked}: {reason}")?;
        }
        Some(_) => {}
    }
    match &probe.authorized {
        None => Ok(()),
        Some(answer) => writeln!(out, "  then {}", status(answer)),
    }
}

fn status(answer: &Result<u16, String>) -> String {
    match answer {
        Ok(status) => format!("HTTP {status}"),
        Err(problem) => format!("no answer: {problem}"),
    }
}

fn challenge_text(challenge: &ShownChallenge) -> String {
    let mut text = challenge.scheme.clone();
    let parameters = [("realm", &challenge.realm), ("service", &challenge.service), ("scope", &challenge.scope)];
    for (name, value) in parameters.into_iter().filter_map(|(name, value)| Some((name, value.as_ref()?))) {
        text.push_str(&format!(" {name}={value}"));
    }
    text
}

fn probe_json(probe: &AuthProbe) -> serde_json::Value {
    let answer = |answer: &Result<u16, String>| match answer {
        Ok(status) => json!({ "status": status }),
        Err(problem) => json!({ "problem": problem }),
    };
    let challenges = probe.challenges.iter().map(|challenge| {
        json!({
            "scheme": challenge.scheme, "realm": challenge.realm, "service": challenge.service, "scope": challenge.scope,
        })
    });
    let token = probe.token.as_ref().map(|token| match token {
        TokenOutcome::Granted { scopes, lifetime } => {
            json!({ "granted": true, "scopes": scopes, "expiresIn": lifetime.map(|time| time.as_secs()) })
        }
        TokenOutcome::Refused { scopes, reason } => json!({ "granted": false, "scopes": scopes, "reason": reason }),
        _ => json!({}),
    });
    json!({
        "place": probe.place.name(),
        "path": probe.path,
        "anonymous": answer(&probe.anonymous),
        "location": probe.location,
        "challenges": challenges.collect::<Vec<_>>(),
        "token": token,
        "authorized": probe.authorized.as_ref().map(answer),
    })
}

/// What a registry can do.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Capabilities {
    repository: String,
    findings: Vec<ShownFinding>,
    left_behind: Vec<String>,
}

#[derive(Debug, Serialize)]
struct ShownFinding {
    capability: &'static str,
    #[serde(skip)]
    is_known: bool,
    verdict: &'static str,
    detail: String,
}

impl From<ProbeReport> for Capabilities {
    fn from(report: ProbeReport) -> Self {
        let findings = report.findings.into_iter().map(|finding| ShownFinding {
            capability: finding.capability.name(),
            is_known: matches!(finding.verdict, Verdict::Yes | Verdict::No),
            verdict: finding.verdict.name(),
            detail: finding.detail,
        });
        let (repository, left_behind) = (report.repository.to_string(), report.left_behind);
        Self { repository, findings: findings.collect(), left_behind }
    }
}

impl Report for Capabilities {
    fn write_text(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "{STRONG}{}{STRONG:#}", self.repository)?;
        for finding in &self.findings {
            let style = if finding.is_known { STRONG } else { DIM };
            let (capability, verdict) = (finding.capability, finding.verdict);
            let line = format!("{capability:<20} {style}{verdict:<10}{style:#} {}", finding.detail);
            writeln!(out, "{}", line.trim_end())?;
        }
        Ok(())
    }

    fn write_json(&self, out: &mut dyn Write) -> io::Result<()> {
        json_line(out, self)
    }

    fn write_talk(&self, out: &mut dyn Write) -> io::Result<()> {
        if self.left_behind.is_empty() {
            return Ok(());
        }
        let left = self.left_behind.join(", ");
        writeln!(out, "{WARNING}warning:{WARNING:#} the registry did not let these be removed again: {left}")
    }
}
