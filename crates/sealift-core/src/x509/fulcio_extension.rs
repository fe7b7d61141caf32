//! What Fulcio writes into certificates about whose token it saw.
//!
//! Specification: <https://github.com/sigstore/fulcio/blob/main/docs/oid-info.md>.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use x509_cert::der::Decode;
use x509_cert::der::asn1::{ObjectIdentifier, Utf8StringRef};

use super::Certificate;

/// An extension of Fulcio's, by what it says.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum FulcioExtension {
    /// Commit of the workflow's definition.
    BuildConfigDigest,
    /// The workflow that was started.
    BuildConfigUri,
    /// Commit of the workflow that signed.
    BuildSignerDigest,
    /// The workflow that signed, such as a reusable one.
    BuildSignerUri,
    /// What started the build, such as `push`.
    BuildTrigger,
    /// The deployment environment.
    DeploymentEnvironment,
    /// Name of the workflow; GitHub only, deprecated.
    GithubWorkflowName,
    /// Branch or tag; GitHub only, deprecated.
    GithubWorkflowRef,
    /// Repository; GitHub only, deprecated.
    GithubWorkflowRepository,
    /// Commit; GitHub only, deprecated.
    GithubWorkflowSha,
    /// Event; GitHub only, deprecated.
    GithubWorkflowTrigger,
    /// The OIDC issuer whose token it was.
    Issuer,
    /// The run, as a URL.
    RunInvocationUri,
    /// Whose machine it ran on, such as `github-hosted`.
    RunnerEnvironment,
    /// Commit of the source.
    SourceRepositoryDigest,
    /// Number of the source repository.
    SourceRepositoryIdentifier,
    /// Number of its owner.
    SourceRepositoryOwnerIdentifier,
    /// Its owner, as a URL.
    SourceRepositoryOwnerUri,
    /// Branch or tag of the source.
    SourceRepositoryRef,
    /// The source repository, as a URL.
    SourceRepositoryUri,
    /// `public` or `private` when it was signed.
    SourceRepositoryVisibility,
}

/// Number below Fulcio's arc, extension, name. The first issuer is the deprecated spelling.
const TABLE: [(u32, FulcioExtension, &str); 22] = {
    use FulcioExtension as E;
    [
        (1, E::Issuer, "issuer"),
        (2, E::GithubWorkflowTrigger, "github-workflow-trigger"),
        (3, E::GithubWorkflowSha, "github-workflow-sha"),
        (4, E::GithubWorkflowName, "github-workflow-name"),
        (5, E::GithubWorkflowRepository, "github-workflow-repository"),
        (6, E::GithubWorkflowRef, "github-workflow-ref"),
        (8, E::Issuer, "issuer"),
        (9, E::BuildSignerUri, "build-signer-uri"),
        (10, E::BuildSignerDigest, "build-signer-digest"),
        (11, E::RunnerEnvironment, "runner-environment"),
        (12, E::SourceRepositoryUri, "source-repository-uri"),
        (13, E::SourceRepositoryDigest, "source-repository-digest"),
        (14, E::SourceRepositoryRef, "source-repository-ref"),
        (15, E::SourceRepositoryIdentifier, "source-repository-identifier"),
        (16, E::SourceRepositoryOwnerUri, "source-repository-owner-uri"),
        (17, E::SourceRepositoryOwnerIdentifier, "source-repository-owner-identifier"),
        (18, E::BuildConfigUri, "build-config-uri"),
        (19, E::BuildConfigDigest, "build-config-digest"),
        (20, E::BuildTrigger, "build-trigger"),
        (21, E::RunInvocationUri, "run-invocation-uri"),
        (22, E::SourceRepositoryVisibility, "source-repository-visibility"),
        (23, E::DeploymentEnvironment, "deployment-environment"),
    ]
};

/// Numbers up to this one hold bare text; later ones a DER `UTF8String`.
const LAST_BARE_NUMBER: u32 = 6;

impl FulcioExtension {
    /// Returns the name, such as `source-repository-uri`.
    pub fn as_str(self) -> &'static str {
        TABLE.iter().find(|(_, extension, _)| *extension == self).map_or("", |(_, _, name)| name)
    }
}

impl fmt::Display for FulcioExtension {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for FulcioExtension {
    type Err = FulcioExtensionError;

    fn from_str(text: &str) -> Result<Self, FulcioExtensionError> {
        let found = TABLE.iter().find(|(_, _, name)| *name == text);
        found.map(|(_, extension, _)| *extension).ok_or(FulcioExtensionError::UnknownName)
    }
}

/// All of Fulcio's extensions of one certificate.
#[derive(Clone, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct FulcioExtensions(BTreeMap<FulcioExtension, String>);

impl FromIterator<(FulcioExtension, String)> for FulcioExtensions {
    fn from_iter<I: IntoIterator<Item = (FulcioExtension, String)>>(extensions: I) -> Self {
        Self(extensions.into_iter().collect())
    }
}

impl FulcioExtensions {
    /// Reads them.
    ///
    /// # Errors
    /// When one is malformed, or the two issuers differ: two readers would then believe two issuers.
    pub fn of(certificate: &Certificate) -> Result<Self, FulcioExtensionError> {
        let mut found = BTreeMap::new();
        for (number, extension, _) in TABLE {
            let id = FULCIO.push_arc(number).map_err(|_| FulcioExtensionError::UnknownName)?;
            let Some((_, value)) = certificate.extension(id) else { continue };
            let text = if number <= LAST_BARE_NUMBER {
                std::str::from_utf8(value).ok().map(str::to_owned)
            } else {
                Utf8StringRef::from_der(value).ok().map(|text| text.as_str().to_owned())
            };
            let text = text.ok_or(FulcioExtensionError::Malformed { extension })?;
            if found.get(&extension).is_some_and(|earlier| *earlier != text) {
                return Err(FulcioExtensionError::Contradiction { extension });
            }
            found.insert(extension, text);
        }
        Ok(Self(found))
    }

    /// Returns one.
    pub fn value(&self, extension: FulcioExtension) -> Option<&str> {
        self.0.get(&extension).map(String::as_str)
    }

    /// Returns the OIDC issuer.
    pub fn issuer(&self) -> Option<&str> {
        self.value(FulcioExtension::Issuer)
    }

    /// Returns all, by their names.
    pub fn iter(&self) -> impl Iterator<Item = (FulcioExtension, &str)> {
        self.0.iter().map(|(extension, value)| (*extension, value.as_str()))
    }
}

const FULCIO: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.57264.1");

/// Says why Fulcio's extensions cannot be read.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum FulcioExtensionError {
    /// Two spellings say two things.
    #[error("the certificate says two different things about its {extension}")]
    Contradiction {
        /// The extension.
        extension: FulcioExtension,
    },
    /// It is not the text it should be.
    #[error("the certificate's {extension} is malformed")]
    Malformed {
        /// The extension.
        extension: FulcioExtension,
    },
    /// The name is no extension's.
    #[error("unknown certificate extension; known are {}", TABLE.iter().skip(1).map(|(_, _, name)| *name).collect::<Vec<_>>().join(", "))]
    UnknownName,
}
