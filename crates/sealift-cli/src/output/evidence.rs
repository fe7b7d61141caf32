//! Evidence for people: what was found, why it does or does not count, and what to do about it.

use std::io::{self, Write};

use sealift_core::attach::Unread;
use sealift_core::entity::EntityFormat;
use sealift_core::evidence::{Evidence, Proof, Rejection, RejectionReason, Verdict};
use sealift_core::identity::Identity;
use sealift_core::oci::Reference;
use sealift_core::repository::foreign_text;
use sealift_core::verify::{Claim, LogEvidence, TimeSource, Verified, VerifyError};
use sealift_core::x509::FulcioExtension;

use super::style::{BAD, DIM, GOOD, WARNING};
use crate::error::{Failure, causes, exit_of_repository, undecided};
use crate::exit::Exit;
use crate::hint;

/// Returns what evidence means for the process.
pub(crate) fn exit(evidence: &Evidence) -> Exit {
    match evidence.verdict() {
        Verdict::Verified => Exit::Ok,
        Verdict::NoSignature => Exit::NoSignature,
        Verdict::NoMatchingSignature => match closest(evidence).map(|rejection| &rejection.reason) {
            Some(RejectionReason::Verify(VerifyError::NoCertificate)) => Exit::NoCertificate,
            _ => Exit::NoMatchingSignature,
        },
        Verdict::Undecided => {
            let unread = evidence.undecided().first();
            unread.map_or(Exit::Unavailable, |unread| undecided(exit_of_repository(&unread.error)))
        }
    }
}

/// Describes evidence that does not verify.
pub(crate) fn failure(reference: &Reference, platform: Option<&str>, evidence: &Evidence) -> Failure {
    let place = platform.map_or_else(String::new, |platform| format!(" ({platform})"));
    let causes = match evidence.verdict() {
        Verdict::Undecided => evidence.undecided().first().map(|unread| chain(&unread.error)),
        _ => closest(evidence).map(reasons),
    };
    let message = format!("{reference}{place}: {}", message(evidence));
    Failure::new(exit(evidence), message, advice(reference, evidence), causes.unwrap_or_default())
}

/// Writes a line for everything that was found.
pub(crate) fn write_text(out: &mut dyn Write, evidence: &Evidence) -> io::Result<()> {
    for proof in evidence.verified() {
        write_proof(out, proof)?;
    }
    for rejection in evidence.rejected().iter().filter(|rejection| rejection.is_for_claim()) {
        writeln!(out, "  {BAD}no{BAD:#}   {}: {}", rejection.place, reasons(rejection).join(": "))?;
    }
    let others = evidence.rejected().iter().filter(|rejection| !rejection.is_for_claim()).count();
    if others > 0 {
        writeln!(out, "  {DIM}-    {others} of other types, which are not asked for{DIM:#}")?;
    }
    for Unread { storage, digest, error, .. } in evidence.undecided() {
        let digest = digest.as_ref().map_or_else(|| "listing".to_owned(), ToString::to_string);
        let reason = chain(error).join(": ");
        writeln!(out, "  {WARNING}?{WARNING:#}    {digest} ({storage}) could not be read: {reason}")?;
    }
    for problem in evidence.problems() {
        let digest = problem.digest.as_ref().map_or_else(|| "listing".to_owned(), ToString::to_string);
        let reason = chain(&problem.reason).join(": ");
        writeln!(out, "  {DIM}-    {digest} ({}) is no attachment: {reason}{DIM:#}", problem.storage)?;
    }
    Ok(())
}

fn write_proof(out: &mut dyn Write, proof: &Proof) -> io::Result<()> {
    let verified = &proof.verified;
    let form = match verified.format() {
        EntityFormat::SigstoreBundle => "Sigstore bundle",
        EntityFormat::CosignSignature => "cosign signature",
        EntityFormat::CosignAttestation => "cosign attestation",
        _ => "signature",
    };
    writeln!(out, "  {GOOD}yes{GOOD:#}  {}: {form} by {}", proof.place, verified.signer())?;
    write_verified(out, verified)
}

/// Writes what else is proven: predicate, annotations, claims of the certificate, logs and times.
pub(crate) fn write_verified(out: &mut dyn Write, verified: &Verified) -> io::Result<()> {
    if let Some(predicate_type) = verified.predicate_type() {
        writeln!(out, "       {DIM}predicate {predicate_type}{DIM:#}")?;
    }
    for (key, value) in verified.annotations() {
        writeln!(out, "       {DIM}annotation {key}={value}{DIM:#}")?;
    }
    if let Identity::Certificate { extensions, .. } = verified.signer() {
        for (claim, value) in extensions.iter().filter(|(claim, _)| *claim != FulcioExtension::Issuer) {
            writeln!(out, "       {DIM}claim {claim}={}{DIM:#}", foreign_text(value))?;
        }
    }
    for record in verified.log_records() {
        let time = record.time.map_or_else(String::new, |time| format!(" at {}", rfc3339(time)));
        writeln!(out, "       {DIM}log entry {} of {}{time}{DIM:#}", record.index, record.log_url)?;
    }
    for time in verified.times() {
        // A log's time is in the line of its entry.
        if time.source == TimeSource::TimestampAuthority {
            writeln!(out, "       {DIM}timestamp of an authority: {}{DIM:#}", rfc3339(time.time))?;
        }
    }
    if let Some(time) = verified.assumed_time() {
        writeln!(out, "       {DIM}no proven time; its certificate is valid now: {}{DIM:#}", rfc3339(time))?;
    }
    match verified.log() {
        LogEvidence::NotChecked { entries } => {
            writeln!(out, "       {DIM}transparency log: entries came along ({entries}), not checked{DIM:#}")
        }
        _ => Ok(()),
    }
}

/// Returns a proven time for people.
pub(crate) fn rfc3339(time: i64) -> String {
    jiff::Timestamp::from_second(time).map_or_else(|_| time.to_string(), |time| time.to_string())
}

fn message(evidence: &Evidence) -> String {
    let what = match evidence.claim() {
        Claim::Attestation { predicate_type: Some(predicate_type) } => format!("attestation `{predicate_type}`"),
        Claim::Attestation { .. } => "attestation".to_owned(),
        _ => "signature".to_owned(),
    };
    match evidence.verdict() {
        Verdict::NoMatchingSignature => format!("no {what} that counts"),
        Verdict::NoSignature => format!("no {what} found"),
        Verdict::Undecided => format!("could not read every {what}"),
        Verdict::Verified => format!("{what} verified"),
    }
}

/// Returns the rejected signature that came closest to counting.
fn closest(evidence: &Evidence) -> Option<&Rejection> {
    // Of equals the last wins, and the first listed is the likeliest.
    let for_claim = evidence.rejected().iter().rev().filter(|rejection| rejection.is_for_claim());
    for_claim.max_by_key(|rejection| match &rejection.reason {
        RejectionReason::Verify(error) => error.rank() + 1,
        _ => 0,
    })
}

fn advice(reference: &Reference, evidence: &Evidence) -> Option<String> {
    match evidence.verdict() {
        Verdict::NoMatchingSignature => match &closest(evidence)?.reason {
            RejectionReason::Verify(error) => advice_on(reference, error),
            _ => None,
        },
        Verdict::NoSignature if *evidence.claim() == Claim::ImageSignature => Some(format!(
            "`sealift tree {reference}` shows what is attached; sign it with `sealift sign --key KEY {}`",
            reference.with_digest(evidence.subject().clone())
        )),
        Verdict::NoSignature => Some(format!("`sealift tree {reference}` shows what is attached")),
        Verdict::Undecided => evidence.undecided().first().and_then(|unread| hint::of_repository(&unread.error)),
        Verdict::Verified => None,
    }
}

fn advice_on(reference: &Reference, error: &VerifyError) -> Option<String> {
    Some(match error {
        VerifyError::WrongKey { .. } => {
            format!("`sealift inspect {reference}` shows who signed; accept another key with one more `--key`")
        }
        VerifyError::WrongAnnotation { key, found: Some(found), .. } => format!("it is signed with `-a {key}={found}`"),
        VerifyError::WrongAnnotation { key, .. } => format!("it is signed without the annotation `{key}`"),
        other => return advice_on_certificate(other),
    })
}

/// Returns what to do about a certificate that does not count, wherever it was found.
pub(crate) fn advice_on_certificate(error: &VerifyError) -> Option<String> {
    Some(match error {
        VerifyError::CertificateUnsupported => "it was signed keyless: name the signer with `--certificate-identity` \
                                                and `--certificate-oidc-issuer`"
            .to_owned(),
        VerifyError::NoCertificate => "it was signed with a key: name the key with `--key`".to_owned(),
        VerifyError::NoLogEntry | VerifyError::LogNotChecked { .. } => {
            "signatures of an installation without a log need `--insecure-ignore-tlog`, and a timestamp".to_owned()
        }
        VerifyError::NoProvenTime => "without a log entry, a timestamp of a trusted authority must say when".to_owned(),
        VerifyError::SctThreshold { .. } => {
            "certificates of an authority without certificate transparency need `--insecure-ignore-sct`".to_owned()
        }
        VerifyError::WrongIdentity { subject, issuer } => {
            let compared = "names, issuers and claims are compared whole, expressions too: \
                            `https://github.com/owner/.*` rather than `^https://github.com/owner/`";
            let flags = subject.first().zip(issuer.as_ref()).and_then(|(name, issuer)| signer_flags(name, issuer));
            flags.map_or_else(
                || compared.to_owned(),
                |flags| {
                    // The name is compared before the signature, so this may be anybody's certificate with no signature
                    // of its holder; and each name is accepted by each issuer, which the flags given may be others of.
                    format!(
                        "{compared}. A certificate of the name below is attached; nothing says yet that it signed this. \
                         If you know and trust that name, these flags instead of those given accept it, which means \
                         trusting it wherever it signs; beside others, every name counts by every issuer:\n  {flags}"
                    )
                },
            )
        }
        VerifyError::Chain { .. } | VerifyError::UnknownLog { .. } => {
            "it may be of another Sigstore installation, whose trust root goes to `--trusted-root`".to_owned()
        }
        _ => return None,
    })
}

/// Returns the flags that accept a signer, to be pasted into a shell; `None` where what is shown need not be the name.
fn signer_flags(name: &str, issuer: &str) -> Option<String> {
    /// Longer names may be cut off.
    const MAX_CHARS: usize = 256;
    // Whoever signed chose the name: what looks like another one, or is cut, is not offered.
    let is_plain = |text: &str| {
        (1..=MAX_CHARS).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ')
    };
    let quoted = |text: &str| format!("'{}'", text.replace('\'', r"'\''"));
    (is_plain(name) && is_plain(issuer))
        .then(|| format!("--certificate-identity {} --certificate-oidc-issuer {}", quoted(name), quoted(issuer)))
}

/// Says why a signature does not count; that it does not verify goes without saying.
fn reasons(rejection: &Rejection) -> Vec<String> {
    let all = chain(&rejection.reason);
    let skipped = usize::from(matches!(rejection.reason, RejectionReason::Verify(_)) && all.len() > 1);
    all.into_iter().skip(skipped).collect()
}

fn chain(error: &(dyn std::error::Error + 'static)) -> Vec<String> {
    std::iter::once(error.to_string()).chain(causes(error)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_break_out_of_the_flags() {
        let flags = signer_flags("ci@example.com", "https://issuer.example.com").unwrap();
        assert_eq!(
            flags,
            "--certificate-identity 'ci@example.com' --certificate-oidc-issuer 'https://issuer.example.com'"
        );
        let hostile = signer_flags("x'; rm -rf ~; `id` $(id) '", "https://i").unwrap();
        assert!(hostile.starts_with(r"--certificate-identity 'x'\''; rm -rf ~; `id` $(id) '\''' --"), "{hostile}");
        for wrong in ["", "\u{430}dmin@example.com", "a\u{202e}b", &"x".repeat(300)] {
            assert_eq!(signer_flags(wrong, "https://i"), None, "{wrong}");
            assert_eq!(signer_flags("ci", wrong), None, "{wrong}");
        }
    }
}
