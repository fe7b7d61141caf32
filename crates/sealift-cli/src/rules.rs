//! What is demanded of an artifact, as flags say: a policy document, or keys and identities.

use std::path::Path;

use async_trait::async_trait;
use jiff::Timestamp;
use sealift_core::document::MAX_DOCUMENT_BYTES;
use sealift_core::evidence::Effort;
use sealift_core::identity::IdentityMatcher;
use sealift_core::oci::{Digest, RepositoryName};
use sealift_core::repository::ReadRepository;
use sealift_core::verify::Verifier;
use sealift_policy::check::SignedBy;
use sealift_policy::{Decision, Policy, PolicyDocument};
use sealift_promote::Judge;

use crate::args::identity::IdentityArgs;
use crate::args::policy::PolicyArgs;
use crate::args::reference;
use crate::context::Context;
use crate::error::{CliError, UsageError};
use crate::files;
use crate::key_store::MAX_KEY_BYTES;
use crate::trust::CertificateUse;
use crate::verifiers::accepted;

/// What is demanded of artifacts, wherever they are.
#[derive(Debug)]
pub(crate) enum Rules {
    /// What a document demands, which depends on the repository.
    Document {
        document: PolicyDocument,
        /// The repository to judge by, instead of the artifact's own.
        repository: Option<RepositoryName>,
        now: Timestamp,
    },
    /// A signature by any of these, everywhere.
    Signers(IdentityMatcher),
}

impl Rules {
    /// Returns what is demanded, as the flags say.
    ///
    /// # Errors
    /// [`UsageError::PolicyAndIdentity`] for both kinds of flags, [`UsageError::NoIdentity`] for neither.
    pub(crate) fn read(context: &Context, policy: &PolicyArgs, identity: &IdentityArgs) -> Result<Self, CliError> {
        match &policy.policy {
            Some(_) if !identity.is_empty() => Err(UsageError::PolicyAndIdentity.into()),
            Some(path) => Ok(Self::Document {
                document: document(path)?,
                repository: policy.policy_repository.as_deref().map(repository).transpose()?,
                now: Context::clock(),
            }),
            None => accepted(context, identity).map(Self::Signers),
        }
    }

    /// Returns what is demanded of content in `repository`.
    pub(crate) fn policy_for(&self, repository: &RepositoryName) -> Policy {
        match self {
            Self::Document { document, repository: other, now } => {
                document.policy_for(other.as_ref().unwrap_or(repository), Some(*now))
            }
            Self::Signers(identities) => Policy::new().requiring(SignedBy::new(identities.clone())),
        }
    }

    /// Says whether a certificate can meet a demand.
    pub(crate) fn certificates(&self) -> CertificateUse {
        CertificateUse::from(match self {
            Self::Document { document, .. } => document.scopes().any(|(_, policy)| policy.accepts_certificates()),
            Self::Signers(identities) => identities.accepts_certificates(),
        })
    }
}

/// The judge of a promotion: each end by what is demanded of content there.
#[derive(Debug)]
pub(crate) struct RulesJudge {
    pub(crate) rules: Rules,
    pub(crate) verifier: Verifier,
}

#[async_trait]
impl Judge for RulesJudge {
    async fn judge(&self, repository: &dyn ReadRepository, subject: &Digest) -> Decision {
        let policy = self.rules.policy_for(repository.name());
        policy.gather(repository, subject, &self.verifier, Effort::FirstMatch).await.evaluate()
    }

    fn foresee(&self, repository: &RepositoryName, subject: &Digest) -> Option<Decision> {
        self.rules.policy_for(repository).foresee(repository, subject)
    }
}

/// Reads a policy document, and the key files it names, relative to itself.
pub(crate) fn document(path: &Path) -> Result<PolicyDocument, CliError> {
    let bytes = files::read(path, MAX_DOCUMENT_BYTES as u64)?;
    let directory = path.parent().unwrap_or(Path::new(""));
    let read_key = &mut |key: &Path| Ok(files::read(&directory.join(key), MAX_KEY_BYTES)?);
    PolicyDocument::parse(&bytes, path.display().to_string(), read_key).map_err(CliError::Policy)
}

/// Reads the name of a repository; a tag or a digest is not looked at.
pub(crate) fn repository(text: &str) -> Result<RepositoryName, CliError> {
    reference::parse(text).map(|reference| reference.repository())
}
