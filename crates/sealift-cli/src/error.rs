//! What can go wrong in a command, what that means for the exit code, and how it is shown.
//!
//! Variants keep the libraries' errors; the words below are this layer's own, and the chain is printed whole.

use std::error::Error;
use std::io::{self, Write};
use std::path::PathBuf;

use sealift_core::attach::AttachError;
use sealift_core::crypto::KeyError;
use sealift_core::document::DocumentError;
use sealift_core::dsse::EnvelopeError;
use sealift_core::entity::{BundleError, BundleFileError, LayerError, UpgradeError};
use sealift_core::evidence::Evidence;
use sealift_core::identity::EmptyIdentity;
use sealift_core::oci::{Digest, Reference, ReferenceError, RegistryHost};
use sealift_core::repository::RepositoryError;
use sealift_core::sign::SignError;
use sealift_core::statement::StatementError;
use sealift_core::statement::predicate::CustomPredicateError;
use sealift_core::trust::{AuthorityError, TrustedRootError};
use sealift_core::verify::VerifyError;
use sealift_core::witness::Retry;
use sealift_core::x509::{CertificateError, FulcioExtensionError};
use sealift_keyless::TransportError;
use sealift_keyless::fulcio::FulcioError;
use sealift_keyless::oidc::IdentityError;
use sealift_keyless::signing_config::SigningConfigError;
use sealift_keyless::trust::{TrustConfigError, TrustError};
use sealift_oci::keychain::KeychainError;
use sealift_oci::{ClientError, QuarantineError, ScanDetailsError};
use sealift_promote::{EndorseError, PromoteError, PromotionManifestError};
use serde::Serialize;

use crate::config::Origin;
use crate::exit::Exit;
use crate::hint::{self, repository_error};
use crate::output::{json_line, style};
use crate::proofs::UnprovenError;
use crate::signing::LegacyProblem;

/// Why a command did not finish.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CliError {
    #[error("attaching failed")]
    Attach(#[source] AttachError),
    #[error("the certificates in `{path}` are no authority", path = path.display())]
    Authority {
        path: PathBuf,
        #[source]
        source: AuthorityError,
    },
    #[error("the bundle is not usable")]
    Bundle(#[source] BundleError),
    #[error("`{path}` holds no usable signature", path = path.display())]
    BundleFile {
        path: PathBuf,
        #[source]
        source: BundleFileError,
    },
    #[error("`{path}` holds no usable certificates", path = path.display())]
    Certificates {
        path: PathBuf,
        #[source]
        source: CertificateError,
    },
    #[error("the registry client cannot be set up")]
    Client(#[source] ClientError),
    #[error("the configuration is not usable")]
    Config(#[source] DocumentError),
    #[error("copying failed")]
    Copy(#[source] PromoteError),
    #[error("the predicate cannot be wrapped")]
    CustomPredicate(#[source] CustomPredicateError),
    #[error("the envelope is not usable")]
    Envelope(#[source] EnvelopeError),
    #[error("no certificate was issued")]
    Fulcio(#[source] FulcioError),
    #[error("no key is given")]
    Identity(#[source] EmptyIdentity),
    #[error("{key} is not usable")]
    Key {
        key: String,
        /// Where its passphrase came from.
        passphrase: Option<Origin>,
        #[source]
        source: KeyError,
    },
    #[error("the stored credentials are not usable")]
    Keychain(#[source] KeychainError),
    #[error("the signature is not usable")]
    Layer(#[source] LayerError),
    #[error("the promotions do not make sense")]
    Manifest(#[source] PromotionManifestError),
    #[error("{reference} has no platform `{platform}`")]
    NoPlatform { platform: String, reference: String },
    #[error("{reference} has no {what}")]
    NothingAttached { what: &'static str, reference: String },
    #[error("the variable {variable} asks for another Sigstore installation than the public-good one, and is not read")]
    OtherTrust {
        variable: &'static str,
        /// What says the same here.
        instead: &'static str,
    },
    #[error("the variable {variable} says who signs or what is demanded, and is not read")]
    UnreadVariable {
        variable: &'static str,
        /// What says the same here.
        instead: &'static str,
    },
    #[error("writing to standard output failed")]
    Output(#[source] io::Error),
    #[error("the certificate just issued is not usable")]
    OwnCertificate(#[source] CertificateError),
    #[error("nobody would accept the certificate just issued, so nothing was signed under it")]
    OwnCertificateRefused(#[source] VerifyError),
    #[error("the certificate just issued is not usable")]
    OwnClaims(#[source] FulcioExtensionError),
    #[error("the signature just made does not verify, so it was not stored")]
    OwnSignature(#[source] VerifyError),
    #[error("the policy is not usable")]
    Policy(#[source] DocumentError),
    #[error("the predicate in `{path}` is not JSON", path = path.display())]
    Predicate {
        path: PathBuf,
        #[source]
        source: serde_json::Error,
    },
    #[error("not promoted")]
    Promote(#[source] PromoteError),
    #[error("the quarantine of {subject} is not known")]
    Quarantine {
        subject: String,
        #[source]
        source: QuarantineError,
    },
    #[error("reading {origin} failed")]
    Read {
        origin: Origin,
        #[source]
        source: io::Error,
    },
    #[error("`{text}` is not a reference")]
    Reference {
        text: String,
        #[source]
        source: ReferenceError,
    },
    #[error("{subject}: no signature that counts")]
    Refused {
        subject: String,
        #[source]
        source: VerifyError,
    },
    #[error("cannot {task} {subject}")]
    Repository {
        /// What was attempted, such as `resolve`.
        task: &'static str,
        subject: String,
        #[source]
        source: RepositoryError,
    },
    #[error("`{path}` holds no details of a scan", path = path.display())]
    ScanDetails {
        path: PathBuf,
        #[source]
        source: ScanDetailsError,
    },
    #[error("the async runtime does not start")]
    Runtime(#[source] io::Error),
    #[error("signing failed")]
    Sign(#[source] SignError),
    #[error("the signing configuration of {from} is not usable")]
    SigningConfig {
        from: String,
        #[source]
        source: SigningConfigError,
    },
    #[error("the statement is not usable")]
    Statement(#[source] StatementError),
    #[error("{provider} gave no identity")]
    Token {
        provider: &'static str,
        #[source]
        source: IdentityError,
    },
    #[error("{origin} is larger than {limit} bytes")]
    TooLarge { origin: Origin, limit: u64 },
    #[error("the client for Sigstore services cannot be set up")]
    Transport(#[source] TransportError),
    #[error("whom to trust is not known")]
    Trust(#[source] TrustError),
    #[error("the trust configuration `{path}` is not usable", path = path.display())]
    TrustConfig {
        path: PathBuf,
        #[source]
        source: TrustConfigError,
    },
    #[error("the trusted root `{path}` is not usable", path = path.display())]
    TrustedRoot {
        path: PathBuf,
        #[source]
        source: TrustedRootError,
    },
    #[error("whether {reference} is signed already could not be read: {reason}")]
    Undecided {
        reference: String,
        /// What could not be read, and why.
        reason: String,
        exit: Exit,
    },
    #[error("the bundle cannot be upgraded")]
    Unproven(#[source] UnprovenError),
    #[error("the bundle cannot be upgraded")]
    Upgrade(#[source] UpgradeError),
    #[error("the upgraded bundle does not verify, so it was not written")]
    UpgradedRefused(#[source] VerifyError),
    #[error("`{path}` is no bundle", path = path.display())]
    UnreadableBundle {
        path: PathBuf,
        #[source]
        source: BundleFileError,
    },
    #[error(transparent)]
    Usage(#[from] UsageError),
    #[error("writing `{path}` failed", path = path.display())]
    Write {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

/// Arguments that make no sense, alone or together.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum UsageError {
    #[error("`{path}` exists", path = path.display())]
    BundleExists { path: PathBuf },
    #[error("`{path}` exists", path = path.display())]
    FileExists { path: PathBuf },
    #[error("a certificate is described by its name and its issuer together, and only one of them is given")]
    HalfIdentity,
    #[error("`SEALIFT_INSTANCE` is `{text}`, which is no URL")]
    InstanceVariable {
        text: String,
        #[source]
        source: url::ParseError,
    },
    #[error(transparent)]
    Legacy(LegacyProblem),
    #[error("the log {url} takes no signatures by Ed25519 keys: it is of version 2, which takes digests only")]
    LogWithoutEd25519 { url: url::Url },
    #[error("the certificate authority issued a certificate without a name or an issuer")]
    NamelessCertificate,
    #[error("`--sign-identity` is what legacy signatures hold, and none is made")]
    NameWithoutLegacy,
    #[error("`--bundle` writes a Sigstore bundle, and `--format legacy` makes none")]
    NoBundle,
    #[error("nobody said yes to what would be published:\n{text}")]
    NoConsent { text: String },
    #[error("{images} images cannot go to {repositories} repositories: one for all without a tag, or one for each")]
    OneRepositoryEach { images: usize, repositories: usize },
    #[error("`{reference}` would have the name of another image in the archive")]
    SameName { reference: String },
    #[error("`{text}` is neither a date, such as `2026-12-31`, nor a time with its offset")]
    NoDate { text: String },
    #[error("{digest} is given as a referrer, and refers to nothing that can be read")]
    NoReferrer { digest: Digest },
    #[error("`{reference}` has no digest, and `--require-digest` is given")]
    NoDigest { reference: String },
    #[error("`{flag}` needs somebody who signs")]
    NobodySigns { flag: &'static str },
    #[error("standard input has no name; `{flag}` is needed")]
    NoFileName { flag: &'static str },
    #[error("there is no home directory to keep anything in")]
    NoHome,
    #[error("the surroundings have no identity of the source `{place}`")]
    NoIdentityIn { place: &'static str },
    #[error("nobody is named whose signature counts")]
    NoIdentity,
    #[error("the bundle was signed with a key, and none is given to verify it with")]
    NoKey,
    #[error("no password is given")]
    NoPassword,
    #[error("neither `--predicate` nor `--statement` is given")]
    NoPredicate,
    #[error("`{path}` has no repository to ask", path = path.display())]
    NoRepository { path: PathBuf },
    #[error("`{reference}` has neither a tag nor a digest")]
    NoSelector { reference: String },
    #[error("nobody says who signs: there is no key, no token, no identity in the surroundings and no terminal")]
    NoSigner,
    #[error("the installation says nothing about services to sign with")]
    NoSigningConfig,
    #[error("no identity token is given")]
    NoToken,
    #[error("`{reference}` has no tag")]
    NoTag { reference: String },
    #[error("a passphrase is needed and there is no terminal to ask on")]
    NoTerminal,
    #[error("`{reference}` names no version that could be a tag; `--tag` names the tag that follows it")]
    NoVersion { reference: String },
    #[error("`{flag}` is needed, and nothing else says which service to ask")]
    NoService { flag: &'static str },
    #[error("`{text}` is neither a file nor a signature in base64")]
    NoSignature { text: String },
    #[error("certificates are to be verified, and no trust root is given")]
    NoTrustRoot,
    #[error("`{path}` is not text", path = path.display())]
    NotText { path: PathBuf },
    #[error("every promotion names a policy of its own, so that what the flags demand would judge none")]
    NothingLeftToJudge,
    #[error("there is nothing to attach")]
    NothingToAttach,
    #[error("`{flag}` is for one file")]
    OneFile { flag: &'static str },
    #[error("`{flag}` is for one reference")]
    OneReference { flag: &'static str },
    #[error("the two passphrases differ")]
    PassphrasesDiffer,
    #[error("both ends are in {host}, and what is said of its certificates at one differs from the other")]
    OneRegistry { host: RegistryHost },
    #[error("the destination has the digest {found}, and the source has {expected}")]
    OtherDigest { found: Digest, expected: Digest },
    #[error("the statement is not about {digest}")]
    OtherSubject { digest: Digest },
    #[error("`{path}` is of another batch", path = path.display())]
    OtherState { path: PathBuf },
    #[error("`{platform}` is not a platform of {reference}")]
    Platform { platform: String, reference: String },
    #[error("`--policy` comes with keys or identities given as flags")]
    PolicyAndIdentity,
    #[error("`--replace` replaces bundles, not the layers that `--format legacy` and `both` write")]
    ReplaceLegacy,
    #[error("the root has the digest {found}, not `{expected}`")]
    RootChecksum { expected: String, found: Digest },
    #[error("`{text}` is no repository of a registry without tag and digest, which signatures could be kept in")]
    SignatureRepository { text: String },
    #[error("annotation `{key}` cannot be both `{}` and `{}`", .values[0], .values[1])]
    TwoValues { key: String, values: [String; 2] },
    #[error("deleting {reference} is not confirmed")]
    Unconfirmed { reference: String },
    #[error("nothing is known of the installation {url}")]
    UnknownInstance { url: String },
    #[error("the variable `{name}` is not set")]
    UnsetVariable { name: String },
}

impl CliError {
    /// Returns what the process says about it.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::CustomPredicate(_)
            | Self::Predicate { .. }
            | Self::Reference { .. }
            | Self::ScanDetails { .. }
            | Self::Usage(_) => Exit::Usage,
            Self::Authority { .. }
            | Self::Certificates { .. }
            | Self::Client(_)
            | Self::Config(_)
            | Self::Identity(_)
            | Self::Key { .. }
            | Self::Keychain(_)
            | Self::Policy(_)
            | Self::Read { .. }
            | Self::OtherTrust { .. }
            | Self::OwnCertificateRefused(_)
            | Self::SigningConfig { .. }
            | Self::Statement(_)
            | Self::TooLarge { .. }
            | Self::Transport(_)
            | Self::TrustConfig { .. }
            | Self::TrustedRoot { .. }
            | Self::UnreadVariable { .. } => Exit::Configuration,
            Self::Manifest(error) => exit_of_manifest(error),
            Self::NoPlatform { .. } | Self::NothingAttached { .. } => Exit::NotFound,
            Self::Fulcio(error) if error.may_pass() => Exit::Unavailable,
            Self::Fulcio(_) | Self::OwnCertificate(_) | Self::OwnClaims(_) => Exit::Failure,
            Self::Token { source, .. } if source.may_pass() => Exit::Unavailable,
            Self::Token { .. } => Exit::Unauthorized,
            Self::Trust(TrustError::Refresh { source, .. }) if source.is_unavailable() => Exit::Unavailable,
            Self::Trust(_) => Exit::Configuration,
            Self::Sign(SignError::Witness(error)) if error.retry == Retry::CanHelp => Exit::Unavailable,
            Self::BundleFile { .. } => Exit::NoMatchingSignature,
            Self::UnreadableBundle { .. } => Exit::Failure,
            Self::Refused { source: VerifyError::NoCertificate, .. }
            | Self::UpgradedRefused(VerifyError::NoCertificate) => Exit::NoCertificate,
            Self::Refused { .. } | Self::UpgradedRefused(_) => Exit::NoMatchingSignature,
            Self::Quarantine { source: QuarantineError::RoleMissing { .. }, .. } => Exit::Unauthorized,
            Self::Quarantine { source: QuarantineError::Repository(source), .. } | Self::Repository { source, .. } => {
                exit_of_repository(source)
            }
            Self::Quarantine { .. } => Exit::Failure,
            Self::Undecided { exit, .. } => *exit,
            Self::Copy(error) | Self::Promote(error) => exit_of_promotion(error),
            Self::Attach(_) => repository_error(self).map_or(Exit::Failure, exit_of_repository),
            Self::Bundle(_)
            | Self::Envelope(_)
            | Self::Layer(_)
            | Self::Output(_)
            | Self::Runtime(_)
            | Self::Sign(_)
            | Self::Upgrade(_)
            | Self::Write { .. } => Exit::Failure,
            Self::Unproven(error) => error.exit(),
            Self::OwnSignature(_) => Exit::Internal,
        }
    }

    /// Says that what signs `reference` could not be read whole.
    pub(crate) fn undecided(reference: &Reference, evidence: &Evidence) -> Self {
        let unread = evidence.undecided().first();
        Self::Undecided {
            reference: reference.to_string(),
            reason: unread.map_or_else(String::new, |unread| unread.error.to_string()),
            exit: unread.map_or(Exit::Unavailable, |unread| undecided(exit_of_repository(&unread.error))),
        }
    }
}

/// Returns what an error about many promotions means: flags make no sense, or what a document says does not.
fn exit_of_manifest(error: &PromotionManifestError) -> Exit {
    match error {
        PromotionManifestError::NothingFits { .. } => Exit::NotFound,
        PromotionManifestError::Named { place: None } | PromotionManifestError::WrittenTwice { place: None, .. } => {
            Exit::Usage
        }
        _ => Exit::Configuration,
    }
}

/// Returns what a promotion's error means: in every case the tag is where it was.
fn exit_of_promotion(error: &PromoteError) -> Exit {
    match error {
        PromoteError::Denied { .. } => Exit::PolicyDenied,
        PromoteError::TagImmutable { .. }
        | PromoteError::TagMoved { .. }
        | PromoteError::TagTaken { .. }
        | PromoteError::TagUnexpected { .. } => Exit::TagTaken,
        PromoteError::Endorse(error) => exit_of_endorsement(error),
        PromoteError::Incomplete { .. } | PromoteError::NoPlatform { .. } => Exit::NotFound,
        PromoteError::SparseRefused { .. } => Exit::Failure,
        PromoteError::Missing { .. } | PromoteError::Undecided { .. } => Exit::Unavailable,
        PromoteError::Unread { source, .. } => undecided(exit_of_repository(source)),
        PromoteError::WrongDecision { .. } => Exit::Internal,
        _ => repository_error(error).map_or(Exit::Failure, exit_of_repository),
    }
}

fn exit_of_endorsement(error: &EndorseError) -> Exit {
    match error {
        EndorseError::OwnSignature(_) | EndorseError::NotJudged => Exit::Internal,
        EndorseError::Sign(SignError::Witness(error)) if error.retry == Retry::CanHelp => Exit::Unavailable,
        EndorseError::Read(error) => undecided(exit_of_repository(error)),
        _ => repository_error(error).map_or(Exit::Failure, exit_of_repository),
    }
}

/// Returns what it means that something listed could not be read: never that it is not there.
pub(crate) fn undecided(exit: Exit) -> Exit {
    match exit {
        // What is kept back is there, and another account may read it.
        Exit::Quarantined | Exit::Unauthorized => Exit::Unauthorized,
        _ => Exit::Unavailable,
    }
}

/// Returns what a repository's error means: "not there" and "kept back" are a no, everything else is no answer.
pub(crate) fn exit_of_repository(error: &RepositoryError) -> Exit {
    match error {
        RepositoryError::NotFound { .. } => Exit::NotFound,
        RepositoryError::ClientCertificate { .. }
        | RepositoryError::Denied { .. }
        | RepositoryError::Unauthenticated { .. } => Exit::Unauthorized,
        RepositoryError::Quarantined { .. } => Exit::Quarantined,
        RepositoryError::Unsupported { .. } => Exit::Failure,
        RepositoryError::Source(source) => exit_of_repository(source),
        _ => Exit::Unavailable,
    }
}

/// An error as people and programs see it.
#[derive(Debug, Serialize)]
pub(crate) struct Failure {
    code: &'static str,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    causes: Vec<String>,
}

impl Failure {
    /// Describes a refusal, which is no error.
    pub(crate) fn new(exit: Exit, message: String, hint: Option<String>, causes: Vec<String>) -> Self {
        Self { code: exit.name(), message, hint, causes }
    }

    /// Describes an error with its causes and what to do about it.
    pub(crate) fn of(error: &CliError) -> Self {
        Self { code: error.exit().name(), message: error.to_string(), hint: hint::of(error), causes: causes(error) }
    }

    /// Returns the same description under the code of the whole that it stands for.
    pub(crate) fn ending(self, exit: Exit) -> Self {
        Self { code: exit.name(), ..self }
    }

    /// Returns the name of the exit code.
    pub(crate) fn code(&self) -> &'static str {
        self.code
    }

    /// Returns what happened.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// Returns the causes and the hint, a line each.
    pub(crate) fn details(&self) -> String {
        let causes = self.causes.iter().map(|cause| format!("cause: {cause}"));
        causes.chain(self.hint.iter().map(|hint| format!("hint: {hint}"))).collect::<Vec<_>>().join("\n")
    }

    /// Writes `error:`, the causes and the hint.
    pub(crate) fn write_text(&self, out: &mut dyn Write) -> io::Result<()> {
        let (bad, hint) = (style::BAD, style::HINT);
        writeln!(out, "{bad}error:{bad:#} {}", self.message)?;
        for cause in &self.causes {
            writeln!(out, "  cause: {cause}")?;
        }
        self.hint.as_ref().map_or(Ok(()), |text| writeln!(out, "{hint}hint:{hint:#} {text}"))
    }

    /// Writes `{"error": ..}`.
    pub(crate) fn write_json(&self, out: &mut dyn Write) -> io::Result<()> {
        #[derive(Serialize)]
        struct Line<'a> {
            error: &'a Failure,
        }
        json_line(out, &Line { error: self })
    }
}

/// Returns what an error and its causes say, in one line.
pub(crate) fn with_causes(error: &dyn Error) -> String {
    std::iter::once(error.to_string()).chain(causes(error)).collect::<Vec<_>>().join(": ")
}

/// Returns what each error of the chain below the first says, without the repetitions some libraries make.
pub(crate) fn causes(error: &dyn Error) -> Vec<String> {
    /// The longest chain shown; stops a library's cycle.
    const MAX_CAUSES: usize = 16;
    let mut causes: Vec<String> = Vec::new();
    let mut last = error.to_string();
    for cause in std::iter::successors(error.source(), |&error| error.source()).take(MAX_CAUSES) {
        let text = cause.to_string();
        if !last.contains(&text) {
            causes.push(text.clone());
        }
        last = text;
    }
    causes
}
