//! What to do about an error, chosen by its type.

use std::error::Error;

use sealift_core::crypto::KeyError;
use sealift_core::entity::UpgradeError;
use sealift_core::oci::ReferenceError;
use sealift_core::repository::RepositoryError;
use sealift_core::verify::{Claim, VerifyError};
use sealift_keyless::trust::TrustError;
use sealift_oci::QuarantineError;
use sealift_promote::{EndorseError, PromoteError};

use crate::config::Origin;
use crate::error::{CliError, UsageError};
use crate::output::evidence;
use crate::proofs::UnprovenError;
use crate::signing::LegacyProblem;

/// Returns what to do about the error, if there is something.
pub(crate) fn of(error: &CliError) -> Option<String> {
    match error {
        CliError::Usage(error) => of_usage(error),
        CliError::Reference { source, .. } => of_reference(source),
        CliError::Key { key, passphrase, source } => of_key(key, passphrase.as_ref(), source),
        CliError::Promote(error) => of_promotion(error).or_else(|| repository_error(error).and_then(of_repository)),
        CliError::Predicate { .. } => Some("a file that is not JSON is attested with `--type custom`".to_owned()),
        CliError::NoPlatform { reference, .. } => {
            Some(format!("`sealift tree {reference}` shows the platforms, which are named as there"))
        }
        CliError::OtherTrust { variable, instead } => Some(format!(
            "say it by {instead}; or unset {variable}, or name the public-good installation with `--instance public-good`"
        )),
        CliError::UnreadVariable { variable, instead } => Some(format!("say it by {instead}, or unset {variable}")),
        CliError::OwnCertificateRefused(_) => Some(
            "give the trusted root of the installation that signs, with `--trusted-root` or `--instance`".to_owned(),
        ),
        CliError::Quarantine { source: QuarantineError::RoleMissing { role, .. }, .. } => {
            Some(format!("give the account the role `{role}` on the registry, or log in with one that has it"))
        }
        CliError::Refused { source, .. } => of_refusal(source),
        CliError::Trust(TrustError::Refresh { .. }) => {
            Some("`--offline` uses what is built in or kept; `--trusted-root` needs no service".to_owned())
        }
        CliError::Unproven(UnprovenError::Offline { .. }) => {
            Some("upgrade it where the log can be asked; the bundle is unchanged".to_owned())
        }
        CliError::Upgrade(UpgradeError::NoDigest) => Some("name what was signed with `--artifact`".to_owned()),
        _ => repository_error(error).and_then(of_repository),
    }
}

/// Returns the first repository error of the chain.
pub(crate) fn repository_error<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a RepositoryError> {
    std::iter::successors(Some(error), |&error| error.source()).find_map(|error| {
        let boxed = error.downcast_ref::<Box<RepositoryError>>().map(|error| &**error);
        error.downcast_ref::<RepositoryError>().or(boxed)
    })
}

/// Returns what to do about a repository's error.
pub(crate) fn of_repository(error: &RepositoryError) -> Option<String> {
    let registry = |repository: &sealift_core::oci::RepositoryName| repository.host().map(ToString::to_string);
    match error {
        RepositoryError::ClientCertificate { repository, .. } => {
            let folder = registry(repository).map(|host| format!(", or keep it in `~/.config/containers/certs.d/{host}`"));
            let folder = folder.unwrap_or_default();
            Some(format!("give it with `--registry-client-cert` and `--registry-client-key`{folder}"))
        }
        RepositoryError::Unauthenticated { repository, .. } => {
            registry(repository).map(|host| format!("log in with `sealift login {host}`"))
        }
        RepositoryError::Denied { repository, operation, .. } => registry(repository)
            .map(|host| format!("the account at {host} may not do this ({operation}); log in with another, or ask for the right")),
        RepositoryError::NotFound { repository, .. } => {
            let name = repository.path().map(|_| repository.to_string())?;
            Some(format!("check the spelling of `{name}` and of its tag; a private repository may answer the same"))
        }
        RepositoryError::OutOfTime { .. } => Some("give it more time with `--deadline`, or try again later".to_owned()),
        RepositoryError::Quarantined { repository, digest, .. } => Some(format!(
            "the registry gives it to accounts with the role `AcrQuarantineReader`, by its digest; \
             `sealift quarantine release --native {repository}@{digest}` lets everybody have it"
        )),
        RepositoryError::Throttled { .. } => {
            Some("wait and try again; a login often has a higher limit than anonymous access".to_owned())
        }
        RepositoryError::Squatted { tag, .. } => Some(format!(
            "`cosign copy` leaves images under such tags; delete or move the tag `{tag}` and try again"
        )),
        RepositoryError::Unavailable { repository, .. } => repository.host().map(|host| match host.is_loopback() {
            true => format!("is {host} up? `--https {host}` speaks HTTPS with it; `-vv` shows every request"),
            false => format!("is {host} up, and does it speak HTTPS? `--plain-http {host}` speaks HTTP with it; `-vv` shows every request"),
        }),
        RepositoryError::Source(source) => of_repository(source),
        _ => None,
    }
}

fn of_refusal(error: &VerifyError) -> Option<String> {
    match error {
        VerifyError::WrongPredicate { expected: Claim::Blob, .. } => {
            Some("`sealift verify-blob-attestation` verifies statements about a file".to_owned())
        }
        VerifyError::WrongPredicate { found: None, .. } => {
            Some("`sealift verify-blob` verifies signatures over a file's bytes".to_owned())
        }
        VerifyError::WrongKey { .. } => Some("accept another key with one more `--key`".to_owned()),
        other => evidence::advice_on_certificate(other),
    }
}

fn of_promotion(error: &PromoteError) -> Option<String> {
    Some(match error {
        PromoteError::Endorse(EndorseError::TooMany { .. }) => {
            "promote fewer platforms at once with --platform, or record nothing with --no-record".to_owned()
        }
        PromoteError::Incomplete { .. } => {
            "choose what is there with --platform, leave out an attached index with --exclude, or copy what is missing to \
             the source first"
                .to_owned()
        }
        PromoteError::TagTaken { tag, existing, .. } => format!(
            "promote under another tag, or move `{tag}` with `--expect-previous {existing}`, or `--overwrite-tag` \
             whatever it holds"
        ),
        PromoteError::TagImmutable { .. } => "the registry's rules keep this tag; promote under another".to_owned(),
        PromoteError::TagMoved { .. } => "find out who else promotes to this tag, then run it again".to_owned(),
        PromoteError::SparseRefused { .. } => {
            "promote all platforms, or one by the digest that `sealift tree` shows, under a tag of its own".to_owned()
        }
        _ => return None,
    })
}

fn of_usage(error: &UsageError) -> Option<String> {
    Some(match error {
        UsageError::BundleExists { .. } => "name another with `--bundle`, or overwrite it with `--overwrite`".to_owned(),
        UsageError::Legacy(LegacyProblem::NoPromise) => {
            "name a log of version 1 with `--rekor-url`, or store bundles alone".to_owned()
        }
        UsageError::Legacy(LegacyProblem::SeveralAuthorities { .. }) => {
            "name one with `--timestamp-server-url`, or store bundles alone".to_owned()
        }
        UsageError::Legacy(LegacyProblem::SeveralLogs { .. }) => {
            "name one with `--rekor-url`, or store bundles alone".to_owned()
        }
        UsageError::NameWithoutLegacy => "give `--sign-format both` or `legacy`".to_owned(),
        UsageError::NobodySigns { .. } => "say who with `--sign-key` or `--sign-keyless`".to_owned(),
        UsageError::LogWithoutEd25519 { .. } => {
            "name a log of version 1 with `--rekor-url`, or sign with an ECDSA or RSA key".to_owned()
        }
        UsageError::NoConsent { .. } => "say yes with `--yes`".to_owned(),
        UsageError::NoDigest { .. } => {
            "`sealift triangulate --type digest REFERENCE` prints the reference with its digest".to_owned()
        }
        UsageError::HalfIdentity => {
            "give `--certificate-identity` and `--certificate-oidc-issuer`, or their `-regexp` or `-glob` forms: anyone \
             can run an issuer that vouches for any name"
                .to_owned()
        }
        UsageError::NoIdentity => {
            "name a key with `--key`, or an identity with `--certificate-identity` and `--certificate-oidc-issuer`, or a \
             file of rules with `--policy`"
                .to_owned()
        }
        UsageError::NoKey => "give the public key with `--key`".to_owned(),
        UsageError::NoSigner => "give `--key`, `--identity-token` or `--fulcio-auth-flow device`".to_owned(),
        UsageError::NoSigningConfig => {
            "give `--signing-config`, or the services by `--fulcio-url`, `--rekor-url` and `--timestamp-server-url`"
                .to_owned()
        }
        UsageError::NothingLeftToJudge => {
            "leave out `--policy`, keys and identities, or take `policy` out of the promotions that they are meant for"
                .to_owned()
        }
        UsageError::OneRegistry { .. } => "say the same of both ends, or say it of one".to_owned(),
        UsageError::NoToken => "give it with `--identity-token`".to_owned(),
        UsageError::OtherState { .. } => "give every batch a file of its own".to_owned(),
        UsageError::UnknownInstance { url } => format!("`sealift trust init --url {url} --root FILE` makes it known"),
        UsageError::NoPassword => "pipe it to `--password-stdin`".to_owned(),
        UsageError::PolicyAndIdentity => "the policy file says whose signatures count; leave the other flags out".to_owned(),
        UsageError::ReplaceLegacy => "use `--format bundle`".to_owned(),
        UsageError::Unconfirmed { .. } => "add `--yes`".to_owned(),
        UsageError::FileExists { .. } => "choose another name, or overwrite with `--yes`".to_owned(),
        UsageError::NoSelector { reference } => {
            format!("add a tag or a digest, as in `{reference}:1.0`; `latest` is never assumed")
        }
        UsageError::NoTerminal => "set `SEALIFT_PASSWORD`, or give `--passphrase-file`".to_owned(),
        UsageError::NoTrustRoot => "give `--trusted-root`, or an authority of your own with `--ca-roots`".to_owned(),
        UsageError::PassphrasesDiffer => "run the command again and type the same passphrase twice".to_owned(),
        _ => return None,
    })
}

fn of_key(key: &str, passphrase: Option<&Origin>, error: &KeyError) -> Option<String> {
    Some(match (error, passphrase) {
        (KeyError::WrongPassphrase, Some(origin)) => format!("the passphrase came from {origin}; check it there"),
        (KeyError::PrivateNotPublic, _) => {
            format!("give the public key; `sealift key public --key {}` prints it", key.trim_matches('`'))
        }
        (KeyError::PublicNotPrivate, _) => "signing needs the private key, which ends in `.key`".to_owned(),
        (KeyError::Encryption { .. }, _) => {
            "decrypt it first, as in `openssl pkey -in KEY -out PLAIN`, then `sealift key import --key PLAIN`"
                .to_owned()
        }
        _ => return None,
    })
}

fn of_reference(error: &ReferenceError) -> Option<String> {
    Some(match error {
        ReferenceError::HelmTwoRepository => {
            "Helm 2 repositories hold no OCI artifacts; push the chart with `helm push CHART.tgz oci://REGISTRY/charts`"
                .to_owned()
        }
        ReferenceError::Scheme(scheme) if scheme.starts_with("http") => {
            "leave the scheme away, as in `registry.example.com/app:1.0`".to_owned()
        }
        ReferenceError::Repository(_) => {
            "a reference names a registry, a repository and a tag, as in `registry.example.com/app:1.0`; repositories \
             are in lower case"
                .to_owned()
        }
        _ => return None,
    })
}
