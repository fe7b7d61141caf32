//! The services that one run signs with, and who is trusted when its work is checked.

use jiff::Timestamp;
use sealift_core::trust::{MAX_TRUSTED_ROOT_BYTES, TrustRoot};
use sealift_core::verify::{LogRequirement, Requirements};
use sealift_core::witness::Witness;
use sealift_keyless::Transport;
use sealift_keyless::rekor::RekorWitness;
use sealift_keyless::signing_config::{ApiVersion, MAX_SIGNING_CONFIG_BYTES, SigningConfig};
use sealift_keyless::timestamp::TimestampWitness;
use url::Url;

use crate::args::keyless::ServiceArgs;
use crate::context::Context;
use crate::error::{CliError, UsageError};
use crate::files;
use crate::sigstore::{InstanceUse, Network};

/// Services, by address.
#[derive(Clone, Debug, Default)]
pub(super) struct Services {
    pub(super) fulcio: Option<Url>,
    pub(super) oidc_issuer: Option<String>,
    pub(super) rekor: Vec<(Url, ApiVersion)>,
    pub(super) timestamp: Vec<Url>,
    /// Who is trusted when what was made is verified.
    pub(super) trust: Option<TrustRoot>,
}

impl Services {
    /// Returns the services for signing without a key.
    pub(super) async fn keyless(context: &Context, args: &ServiceArgs) -> Result<Self, CliError> {
        let services = Self::choose(context, args).await?;
        if services.fulcio.is_none() {
            return Err(UsageError::NoService { flag: "--fulcio-url" }.into());
        }
        if services.trust.is_none() {
            return Err(UsageError::NoTrustRoot.into());
        }
        let gives_time = services.rekor.iter().any(|(_, version)| *version == ApiVersion::V1);
        if !gives_time && services.timestamp.is_empty() {
            return Err(UsageError::NoService { flag: "--timestamp-server-url" }.into());
        }
        Ok(services)
    }

    /// Returns the services for signing with a key: only what is asked for.
    pub(super) async fn keyed(context: &Context, args: &ServiceArgs) -> Result<Self, CliError> {
        match args.is_empty() && args.addresses.tlog_upload != Some(true) {
            true => Ok(Self::default()),
            false => Self::choose(context, args).await,
        }
    }

    /// Names on the command line win over those of the installation; an installation's services are never mixed with
    /// those of another one.
    async fn choose(context: &Context, args: &ServiceArgs) -> Result<Self, CliError> {
        let addresses = &args.addresses;
        let mut services = if let Some(path) = &addresses.signing_config {
            let json = files::read(path, MAX_SIGNING_CONFIG_BYTES as u64)?;
            let config = SigningConfig::parse(&json);
            let failed = |source| CliError::SigningConfig { from: path.display().to_string(), source };
            Self::of_config(&config.map_err(failed)?, Context::clock()).map_err(failed)?
        } else if args.instance.is_some() || !addresses.names_service() {
            let usage = InstanceUse::Signing { says_logging: addresses.tlog_upload.is_some() };
            let name = args.instance.clone().map_or_else(|| context.default_instance(usage), Ok)?;
            let installation = context.installation(&name, Network::Allowed).await?;
            let config = installation.signing_config.ok_or(UsageError::NoSigningConfig)?;
            let failed = |source| CliError::SigningConfig { from: "the installation".to_owned(), source };
            let services = Self::of_config(&config.map_err(failed)?, Context::clock()).map_err(failed)?;
            Self { trust: Some(installation.trust_root), ..services }
        } else {
            Self::default()
        };
        if let Some(path) = &args.trusted_root {
            let json = files::read(path, MAX_TRUSTED_ROOT_BYTES as u64)?;
            let root = TrustRoot::parse(&json);
            services.trust = Some(root.map_err(|source| CliError::TrustedRoot { path: path.clone(), source })?);
        }
        services.fulcio = addresses.fulcio_url.clone().or(services.fulcio);
        if let Some(url) = &addresses.rekor_url {
            let version = if addresses.rekor_api_version == Some(2) { ApiVersion::V2 } else { ApiVersion::V1 };
            services.rekor = vec![(url.clone(), version)];
        }
        if addresses.tlog_upload == Some(false) {
            services.rekor.clear();
        }
        if let Some(url) = &addresses.timestamp_server_url {
            services.timestamp = vec![url.clone()];
        }
        Ok(services)
    }

    fn of_config(
        config: &SigningConfig,
        now: Timestamp,
    ) -> Result<Self, sealift_keyless::signing_config::SigningConfigError> {
        let chosen = config.choose(now)?;
        Ok(Self {
            fulcio: Some(chosen.fulcio),
            // Issuers are compared as text, and without the slash that a URL of a host alone ends in.
            oidc_issuer: Some(chosen.oidc_issuer.as_str().trim_end_matches('/').to_owned()),
            rekor: chosen.rekor,
            timestamp: chosen.timestamp,
            trust: None,
        })
    }

    /// Returns those who testify to signatures.
    pub(super) fn witnesses(&self, transport: &Transport) -> Vec<Box<dyn Witness>> {
        let logs = self.rekor.iter().map(|(url, version)| {
            Box::new(RekorWitness::new(url.clone(), *version, transport.clone())) as Box<dyn Witness>
        });
        let authorities = self
            .timestamp
            .iter()
            .map(|url| Box::new(TimestampWitness::new(url.clone(), transport.clone())) as Box<dyn Witness>);
        logs.chain(authorities).collect()
    }

    /// Returns what a stranger demands of what is made: that everyone who was asked testified.
    pub(super) fn requirements(&self) -> Requirements {
        let Some(trust) = &self.trust else { return Requirements::default() };
        let log = if self.rekor.is_empty() { LogRequirement::NotUsed } else { LogRequirement::Required };
        Requirements::default()
            .with_transparency_log(log)
            .with_timestamps(usize::from(!self.timestamp.is_empty()))
            .with_certificate_logs(usize::from(!trust.ctlogs.is_empty()))
    }

    /// Returns the addresses of those who publish what they are shown.
    pub(super) fn publishers(&self) -> Vec<String> {
        self.fulcio.iter().chain(self.rekor.iter().map(|(url, _)| url)).map(Url::to_string).collect()
    }

    /// Refuses logs that know what was signed by its digest only: an Ed25519 signature is over the whole message, and
    /// who has the digest alone cannot check it.
    pub(super) fn check_takes_whole_messages(&self) -> Result<(), UsageError> {
        match self.rekor.iter().find(|(_, version)| *version != ApiVersion::V1) {
            Some((url, _)) => Err(UsageError::LogWithoutEd25519 { url: url.clone() }),
            None => Ok(()),
        }
    }

    /// Returns why cosign's tags have no room for what these witnesses give.
    pub(super) fn legacy_problem(&self) -> Option<LegacyProblem> {
        if self.rekor.iter().any(|(_, version)| *version != ApiVersion::V1) {
            return Some(LegacyProblem::NoPromise);
        }
        match (self.rekor.len(), self.timestamp.len()) {
            (count @ 2.., _) => Some(LegacyProblem::SeveralLogs { count }),
            (_, count @ 2..) => Some(LegacyProblem::SeveralAuthorities { count }),
            _ => None,
        }
    }
}

/// Says why cosign's tags have no room for what witnesses give: they have for the promise of one log, and a timestamp.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum LegacyProblem {
    #[error("cosign's tags have room for a log's promise only, and the log gives none")]
    NoPromise,
    #[error("cosign's tags have room for one timestamp, and {count} authorities are to give one")]
    SeveralAuthorities { count: usize },
    #[error("cosign's tags have room for one log entry, and {count} logs are to make one")]
    SeveralLogs { count: usize },
}
