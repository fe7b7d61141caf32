//! Trust roots, and what signatures must come with, as flags say.

use std::path::Path;

use sealift_core::trust::{Authority, MAX_TRUSTED_ROOT_BYTES, TrustRoot};
use sealift_core::verify::{LogRequirement, ProofRequirement, Requirements, Verifier};
use sealift_core::x509::{Certificate, Validity};

use crate::args::identity::TrustArgs;
use crate::context::Context;
use crate::error::{CliError, UsageError};
use crate::files;
use crate::sigstore::{InstanceUse, Network};

/// The largest PEM file of certificates read; a chain has 8 KiB.
const MAX_CERTIFICATES_BYTES: u64 = 1024 * 1024;

/// Whether certificates count, so that somebody must be trusted to issue them.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) enum CertificateUse {
    Accepted,
    Unused,
}

impl From<bool> for CertificateUse {
    /// Returns what certificates are used for, from whether one can meet a demand.
    fn from(is_accepted: bool) -> Self {
        if is_accepted { Self::Accepted } else { Self::Unused }
    }
}

/// One Sigstore installation: whom it consists of, and what its signatures come with.
pub(crate) struct Instance {
    pub(crate) root: TrustRoot,
    pub(crate) requirements: Requirements,
}

impl TrustArgs {
    /// Returns the instances that the flags name, and the default one where they name none and certificates are verified.
    ///
    /// Several are never mixed: a signature meets one instance's requirements by that instance's authorities alone.
    pub(crate) async fn instances(
        &self,
        context: &Context,
        certificates: CertificateUse,
    ) -> Result<Vec<Instance>, CliError> {
        let mut roots = Vec::new();
        let network = self.network();
        for name in &self.instance {
            roots.push(context.installation(name, network).await?.trust_root);
        }
        for path in &self.trusted_root {
            roots.extend(read_trusted_root(path)?);
        }
        let own = self.own_authorities()?;
        if roots.is_empty() && (!own.certificate_authorities.is_empty() || !own.timestamp_authorities.is_empty()) {
            roots.push(TrustRoot::default());
        }
        if roots.is_empty() && certificates == CertificateUse::Accepted {
            let name = context.default_instance(InstanceUse::Trusting)?;
            roots.push(context.installation(&name, network).await?.trust_root);
        }
        let has_own_authority = !own.certificate_authorities.is_empty();
        let instance = |root: TrustRoot| {
            let root = root.combined_with(own.clone());
            let mut requirements = self.demanded(Requirements::suited_to(&root));
            if has_own_authority {
                // Certificates of one's own last: without other evidence, they must be valid now.
                requirements = requirements.with_time(Context::clock().as_second());
            }
            Instance { root, requirements }
        };
        Ok(roots.into_iter().map(instance).collect())
    }

    /// Says whether Sigstore services may be asked.
    pub(crate) fn network(&self) -> Network {
        if self.offline == Some(true) { Network::Forbidden } else { Network::Allowed }
    }

    /// Returns the requirements with what the flags demand beyond or below them.
    pub(crate) fn demanded(&self, requirements: Requirements) -> Requirements {
        let mut demanded = requirements;
        if let Some(logs) = self.tlog_threshold {
            demanded = demanded.with_logs(usize::from(logs)).with_transparency_log(LogRequirement::Required);
        }
        if self.insecure_ignore_tlog == Some(true) {
            demanded = demanded.with_transparency_log(LogRequirement::IgnoredUnsafe);
        }
        let asked = usize::from(self.use_signed_timestamps == Some(true));
        let timestamps = self.timestamp_threshold.map_or(asked, usize::from);
        let timestamps = demanded.timestamps.max(timestamps);
        demanded = demanded.with_timestamps(timestamps);
        if let Some(logs) = self.sct_threshold {
            demanded = demanded.with_certificate_logs(usize::from(logs));
        }
        if self.insecure_ignore_sct == Some(true) {
            demanded = demanded.with_certificate_logs(0);
        }
        match self.require_inclusion_proof {
            true => demanded.with_proof(ProofRequirement::Inclusion),
            false => demanded,
        }
    }

    fn own_authorities(&self) -> Result<TrustRoot, CliError> {
        let mut own = TrustRoot::default();
        if let Some(path) = &self.certificate_chain {
            own = own.with_certificate_authority(authority(path, read_certificates(path)?)?.accepting_other_issuers());
        }
        if let Some(path) = &self.ca_roots {
            let between = self.ca_intermediates.as_deref().map(read_certificates).transpose()?.unwrap_or_default();
            for root in read_certificates(path)? {
                let chain = between.iter().cloned().chain([root]).collect();
                own = own.with_certificate_authority(authority(path, chain)?.accepting_other_issuers());
            }
        }
        if let Some(path) = &self.timestamp_certificate_chain {
            own = own.with_timestamp_authority(authority(path, read_certificates(path)?)?);
        }
        Ok(own)
    }
}

/// Makes one verifier of several instances; without any, one that verifies keys alone.
pub(crate) fn verifier(instances: Vec<Instance>, bare: Requirements) -> Verifier {
    let mut instances = instances.into_iter();
    match instances.next() {
        None => Verifier::new(bare),
        Some(Instance { root, requirements }) => {
            let requirements = requirements.with_annotations(bare.annotations);
            let first = Verifier::new(requirements).with_trust_root(root);
            instances.fold(first, |verifier, other| verifier.or_instance(other.root, other.requirements))
        }
    }
}

/// Reads one or more `trusted_root.json` documents.
fn read_trusted_root(path: &Path) -> Result<Vec<TrustRoot>, CliError> {
    let bytes = files::read(path, MAX_TRUSTED_ROOT_BYTES as u64)?;
    // `gh attestation trusted-root` writes one document on a line, and one document may have many lines.
    let lines = bytes.trim_ascii().split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty());
    let is_lines = lines.clone().count() > 1 && lines.clone().all(|line| line.trim_ascii().starts_with(b"{\""));
    let parsed =
        if is_lines { TrustRoot::parse_lines(&bytes) } else { TrustRoot::parse(&bytes).map(|root| vec![root]) };
    parsed.map_err(|source| CliError::TrustedRoot { path: path.to_owned(), source })
}

fn read_certificates(path: &Path) -> Result<Vec<Certificate>, CliError> {
    let bytes = files::read(path, MAX_CERTIFICATES_BYTES)?;
    let text = String::from_utf8(bytes).map_err(|_| UsageError::NotText { path: path.to_owned() })?;
    Certificate::chain_from_pem(&text).map_err(|source| CliError::Certificates { path: path.to_owned(), source })
}

/// Makes an authority that is trusted for as long as its certificates say.
fn authority(path: &Path, chain: Vec<Certificate>) -> Result<Authority, CliError> {
    let authority = Authority::new(chain, path.display().to_string(), Validity::new(i64::MIN, None));
    authority.map_err(|source| CliError::Authority { path: path.to_owned(), source })
}
