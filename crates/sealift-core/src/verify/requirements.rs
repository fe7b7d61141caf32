//! What a signature must come with.

use std::collections::BTreeMap;

use crate::trust::TrustRoot;
use crate::x509::UnixTime;

/// What a signature must come with, whoever made it. The default is that of the public instance: for a certificate, one
/// log entry and one certificate transparency timestamp.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Requirements {
    /// What is demanded of transparency logs.
    pub transparency_log: LogRequirement,
    /// Distinct transparency logs that must hold the signature, where one is demanded at all.
    pub logs: usize,
    /// What a log entry must prove.
    pub proof: ProofRequirement,
    /// Distinct certificate transparency logs that must know a certificate.
    pub certificate_logs: usize,
    /// Distinct timestamp authorities that must have seen the signature.
    pub timestamps: usize,
    /// Time at which a certificate must have been valid when nothing in the evidence proves one. For authorities of
    /// one's own whose certificates last: with Fulcio's ten minutes, evidence always does.
    pub time: Option<UnixTime>,
    /// Annotations that must all be there with these values.
    pub annotations: BTreeMap<String, String>,
}

impl Default for Requirements {
    fn default() -> Self {
        Self {
            transparency_log: LogRequirement::default(),
            logs: 1,
            proof: ProofRequirement::default(),
            certificate_logs: 1,
            timestamps: 0,
            time: None,
            annotations: BTreeMap::new(),
        }
    }
}

impl Requirements {
    /// Returns the requirements of an instance that has no logs and proves time by timestamps, as GitHub's for private
    /// repositories.
    pub fn of_timestamped_instance() -> Self {
        Self { transparency_log: LogRequirement::NotUsed, certificate_logs: 0, timestamps: 1, ..Self::default() }
    }

    /// Returns the requirements that fit a trust root: an instance without any log can only prove time by timestamps.
    pub fn suited_to(trust: &TrustRoot) -> Self {
        match trust.tlogs.is_empty() && trust.ctlogs.is_empty() && !trust.timestamp_authorities.is_empty() {
            true => Self::of_timestamped_instance(),
            false => Self::default(),
        }
    }

    /// Returns the same requirements with another demand on logs.
    #[must_use]
    pub fn with_transparency_log(self, transparency_log: LogRequirement) -> Self {
        Self { transparency_log, ..self }
    }

    /// Returns the same requirements with these annotations demanded.
    #[must_use]
    pub fn with_annotations(self, annotations: BTreeMap<String, String>) -> Self {
        Self { annotations, ..self }
    }

    /// Returns the same requirements with another number of distinct transparency logs.
    #[must_use]
    pub fn with_logs(self, logs: usize) -> Self {
        Self { logs, ..self }
    }

    /// Returns the same requirements with another demand on what log entries prove.
    #[must_use]
    pub fn with_proof(self, proof: ProofRequirement) -> Self {
        Self { proof, ..self }
    }

    /// Returns the same requirements with another number of distinct certificate transparency logs.
    #[must_use]
    pub fn with_certificate_logs(self, certificate_logs: usize) -> Self {
        Self { certificate_logs, ..self }
    }

    /// Returns the same requirements with another number of distinct timestamp authorities.
    #[must_use]
    pub fn with_timestamps(self, timestamps: usize) -> Self {
        Self { timestamps, ..self }
    }

    /// Returns the same requirements with a time for certificates without a proven one.
    #[must_use]
    pub fn with_time(self, time: UnixTime) -> Self {
        Self { time: Some(time), ..self }
    }
}

/// What is demanded of transparency logs.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum LogRequirement {
    /// Signatures made with a certificate need a verified entry; those made with a managed key do not.
    #[default]
    ForCertificates,
    /// No signature needs an entry, and entries are not looked at.
    IgnoredUnsafe,
    /// The instance has no log; its certificates prove their time by timestamps.
    NotUsed,
    /// Every signature needs a verified entry.
    Required,
}

/// What a log entry must prove.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum ProofRequirement {
    /// The log's promise, or an inclusion proof: what old bundles and cosign's tags have.
    #[default]
    Any,
    /// An inclusion proof under a signed checkpoint.
    Inclusion,
}
