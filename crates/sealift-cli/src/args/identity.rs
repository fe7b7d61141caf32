//! Whose signatures count, and what they must come with: shared by every command that verifies.

use std::path::PathBuf;
use std::str::FromStr;

use sealift_core::pattern::Pattern;
use sealift_core::x509::FulcioExtension;

use crate::args::NO_HEADING;
use crate::args::key::KeySource;
use crate::args::keyless::InstanceName;

/// Whose signatures count
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = NO_HEADING)]
pub(crate) struct IdentityArgs {
    /// Public key whose signatures count: a PEM file or `env://VARIABLE`; repeat for several, any of which counts
    #[arg(long, value_name = "KEY")]
    pub(crate) key: Vec<KeySource>,

    #[command(flatten)]
    pub(crate) certificate: CertificateArgs,

    #[command(flatten)]
    pub(crate) trust: TrustArgs,
}

impl IdentityArgs {
    /// Names nobody: a policy says whose signatures count.
    pub(crate) fn of_nobody(trust: &TrustArgs) -> Self {
        Self { key: Vec::new(), certificate: CertificateArgs::default(), trust: trust.clone() }
    }

    /// Says whether nobody is named.
    pub(crate) fn is_empty(&self) -> bool {
        self.key.is_empty() && self.certificate.is_empty()
    }
}

/// Whose certificates count
///
/// Names are compared whole: an expression that matches somewhere inside a name would accept names that end in it.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Identity options")]
pub(crate) struct CertificateArgs {
    /// Name in the certificate, such as a mail address or a workflow's URI; repeat for several, any of which counts
    #[arg(long, alias = "cert-identity", value_name = "NAME")]
    pub(crate) certificate_identity: Vec<String>,

    /// Regular expression that the whole name must match
    #[arg(long, alias = "cert-identity-regexp", value_name = "EXPRESSION", value_parser = regexp)]
    pub(crate) certificate_identity_regexp: Vec<Pattern>,

    /// Pattern that the whole name must match: `*` is any run of characters but `/`, `**` any run
    #[arg(long, value_name = "PATTERN", value_parser = glob)]
    pub(crate) certificate_identity_glob: Vec<Pattern>,

    /// OIDC issuer that vouched for the name, as a URL; repeat for several, any of which counts for any name
    #[arg(long, alias = "cert-oidc-issuer", value_name = "URL")]
    pub(crate) certificate_oidc_issuer: Vec<String>,

    /// Regular expression that the whole issuer must match
    #[arg(long, alias = "cert-oidc-issuer-regexp", value_name = "EXPRESSION", value_parser = regexp)]
    pub(crate) certificate_oidc_issuer_regexp: Vec<Pattern>,

    /// Pattern that the whole issuer must match
    #[arg(long, value_name = "PATTERN", value_parser = glob)]
    pub(crate) certificate_oidc_issuer_glob: Vec<Pattern>,

    /// Name of the GitHub workflow
    #[arg(long, value_name = "NAME")]
    pub(crate) certificate_github_workflow_name: Option<String>,

    /// Git reference that the GitHub workflow ran on, such as `refs/heads/main`
    #[arg(long, value_name = "REF")]
    pub(crate) certificate_github_workflow_ref: Option<String>,

    /// Repository that the GitHub workflow ran for, such as `owner/name`
    #[arg(long, value_name = "REPOSITORY")]
    pub(crate) certificate_github_workflow_repository: Option<String>,

    /// Commit that the GitHub workflow ran on
    #[arg(long, value_name = "COMMIT")]
    pub(crate) certificate_github_workflow_sha: Option<String>,

    /// Event that started the GitHub workflow, such as `push`
    #[arg(long, value_name = "EVENT")]
    pub(crate) certificate_github_workflow_trigger: Option<String>,

    /// Demand that the certificate makes this claim, such as `source-repository-uri=https://github.com/o/r`; repeat
    /// for several, all of which must hold
    #[arg(long, value_name = "CLAIM=VALUE")]
    pub(crate) certificate_claim: Vec<CertificateClaim>,

    /// Demand that the whole value of this claim matches a regular expression; repeat for several
    #[arg(long, value_name = "CLAIM=EXPRESSION", value_parser = claim_regexp)]
    pub(crate) certificate_claim_regexp: Vec<CertificateClaim>,
}

impl CertificateArgs {
    /// Says whether nothing at all is said about certificates.
    pub(crate) fn is_empty(&self) -> bool {
        !self.names_subject() && !self.names_issuer() && self.claims().is_empty()
    }

    /// Says whether a name is demanded.
    pub(crate) fn names_subject(&self) -> bool {
        !self.subjects().is_empty()
    }

    /// Says whether an issuer is demanded.
    pub(crate) fn names_issuer(&self) -> bool {
        !self.issuers().is_empty()
    }

    /// Returns the patterns of names.
    pub(crate) fn subjects(&self) -> Vec<Pattern> {
        all(&self.certificate_identity, &self.certificate_identity_regexp, &self.certificate_identity_glob)
    }

    /// Returns the patterns of issuers.
    pub(crate) fn issuers(&self) -> Vec<Pattern> {
        all(&self.certificate_oidc_issuer, &self.certificate_oidc_issuer_regexp, &self.certificate_oidc_issuer_glob)
    }

    /// Returns the demands on claims, all of which must hold.
    pub(crate) fn claims(&self) -> Vec<CertificateClaim> {
        let github = [
            (FulcioExtension::GithubWorkflowName, &self.certificate_github_workflow_name),
            (FulcioExtension::GithubWorkflowRef, &self.certificate_github_workflow_ref),
            (FulcioExtension::GithubWorkflowRepository, &self.certificate_github_workflow_repository),
            (FulcioExtension::GithubWorkflowSha, &self.certificate_github_workflow_sha),
            (FulcioExtension::GithubWorkflowTrigger, &self.certificate_github_workflow_trigger),
        ];
        let github = github.into_iter().filter_map(|(extension, value)| {
            value.as_ref().map(|value| CertificateClaim { extension, pattern: Pattern::exact(value) })
        });
        github.chain(self.certificate_claim.clone()).chain(self.certificate_claim_regexp.clone()).collect()
    }
}

fn all(exact: &[String], regexps: &[Pattern], globs: &[Pattern]) -> Vec<Pattern> {
    let exact = exact.iter().map(|text| Pattern::exact(text.as_str()));
    exact.chain(regexps.iter().cloned()).chain(globs.iter().cloned()).collect()
}

/// Whom to trust, and what signatures must come with
#[derive(Clone, Debug, Default, PartialEq, clap::Args)]
#[command(next_help_heading = "Trust options")]
pub(crate) struct TrustArgs {
    /// Sigstore installation to trust: `public-good`, `github`, the URL given to `sealift trust init`, or a trust
    /// configuration file; repeat for several, any of which counts. Default: `SEALIFT_INSTANCE`, else `public-good`
    #[arg(long, value_name = "INSTANCE")]
    pub(crate) instance: Vec<InstanceName>,

    /// Trust the authorities and logs of this `trusted_root.json`; repeat for several instances, any of which counts
    #[arg(long, value_name = "FILE")]
    pub(crate) trusted_root: Vec<PathBuf>,

    /// Trust the certificate authorities of this PEM file, each of which is a root
    #[arg(long, value_name = "FILE", conflicts_with = "certificate_chain")]
    pub(crate) ca_roots: Option<PathBuf>,

    /// Certificates between the roots of `--ca-roots` and those of signers
    #[arg(long, value_name = "FILE", requires = "ca_roots")]
    pub(crate) ca_intermediates: Option<PathBuf>,

    /// Trust the certificate authority of this PEM file, whose root is the last
    #[arg(long, alias = "cert-chain", value_name = "FILE")]
    pub(crate) certificate_chain: Option<PathBuf>,

    /// Trust the timestamp authority of this PEM file, whose root is the last
    #[arg(long, value_name = "FILE")]
    pub(crate) timestamp_certificate_chain: Option<PathBuf>,

    /// Distinct transparency logs that must hold each signature, one made with a key too; default: one, for those made
    /// with a certificate
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=8), conflicts_with = "insecure_ignore_tlog")]
    pub(crate) tlog_threshold: Option<u8>,

    /// Distinct timestamp authorities that must have seen each signature
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=8))]
    pub(crate) timestamp_threshold: Option<u8>,

    /// Distinct certificate transparency logs that must know each certificate; default: one
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=8), conflicts_with = "insecure_ignore_sct")]
    pub(crate) sct_threshold: Option<u8>,

    /// Demand an inclusion proof of every log entry, not only the log's promise
    #[arg(long)]
    pub(crate) require_inclusion_proof: bool,

    /// Demand a timestamp of a trusted authority; the same as `--timestamp-threshold 1`
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL")]
    pub(crate) use_signed_timestamps: Option<bool>,

    /// Accept signatures without a transparency log entry, which signatures made with a key always may be; those made
    /// with a certificate then need a timestamp
    #[arg(long, visible_alias = "private-infrastructure", num_args = 0..=1, require_equals = true,
          default_missing_value = "true", value_name = "BOOL")]
    pub(crate) insecure_ignore_tlog: Option<bool>,

    /// Accept certificates that no certificate transparency log knows
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL")]
    pub(crate) insecure_ignore_sct: Option<bool>,

    /// Ask no Sigstore service: trust roots come from files, the cache and what is built in
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL")]
    pub(crate) offline: Option<bool>,
}

impl TrustArgs {
    /// Says whether nothing is said about whom to trust, nor about what signatures must come with; `--offline`
    /// says neither.
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self { offline: self.offline, ..Self::default() }
    }
}

/// A demand on what a certificate claims.
#[derive(Clone, Debug)]
pub(crate) struct CertificateClaim {
    pub(crate) extension: FulcioExtension,
    pub(crate) pattern: Pattern,
}

impl FromStr for CertificateClaim {
    type Err = IdentityArgsError;

    fn from_str(text: &str) -> Result<Self, IdentityArgsError> {
        let (extension, value) = claim(text)?;
        Ok(Self { extension, pattern: Pattern::exact(value) })
    }
}

fn claim_regexp(text: &str) -> Result<CertificateClaim, IdentityArgsError> {
    let (extension, expression) = claim(text)?;
    Ok(CertificateClaim { extension, pattern: regexp(expression)? })
}

fn claim(text: &str) -> Result<(FulcioExtension, &str), IdentityArgsError> {
    let (name, value) = text.split_once('=').ok_or(IdentityArgsError::NoValue)?;
    let extension = name.parse().map_err(|_| IdentityArgsError::Claim(name.chars().take(40).collect()))?;
    Ok((extension, value))
}

fn regexp(expression: &str) -> Result<Pattern, IdentityArgsError> {
    Pattern::regex(expression).map_err(|_| IdentityArgsError::Expression)
}

#[expect(clippy::unnecessary_wraps, reason = "clap's value parsers may fail")]
fn glob(pattern: &str) -> Result<Pattern, IdentityArgsError> {
    Ok(Pattern::glob(pattern))
}

/// Says why a text describes no identity.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum IdentityArgsError {
    #[error("`{0}` is no claim of a certificate; `sealift inspect` shows those of a signature")]
    Claim(String),
    #[error("not a regular expression, or too large")]
    Expression,
    #[error("expected CLAIM=VALUE")]
    NoValue,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_have_a_known_name() {
        let claim: CertificateClaim = "source-repository-uri=https://github.com/o/r".parse().unwrap();
        assert!(claim.pattern.matches("https://github.com/o/r"));
        assert!("build-trigger".parse::<CertificateClaim>().is_err());
        assert!("nonsense=1".parse::<CertificateClaim>().is_err());
        assert!(claim_regexp("build-trigger=push|tag").unwrap().pattern.matches("tag"));
        assert!(claim_regexp("build-trigger=(").is_err());
    }
}
