//! What the composition root builds for Sigstore: HTTP client, trust store, identities of the surroundings, the person.

use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;

use sealift_core::repository::foreign_text;
use sealift_keyless::oidc::ambient;
use sealift_keyless::signing_config::{SigningConfig, SigningConfigError};
use sealift_keyless::trust::{
    Access, DEFAULT_MAX_AGE, Instance, MAX_TRUST_CONFIG_BYTES, TrustConfig, TrustMaterial, TrustStore, github,
    public_good,
};
use sealift_keyless::{Transport, TransportOptions};

use crate::args::keyless::InstanceName;
use crate::config::environment::{self, COSIGN_TLOG_UPLOAD, Effect, OtherVariable};
use crate::context::Context;
use crate::error::{CliError, UsageError};
use crate::files;

/// Whether services may be asked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Network {
    Allowed,
    Forbidden,
}

/// What an installation is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum InstanceUse {
    Signing {
        /// Whether a flag says if signatures are logged.
        says_logging: bool,
    },
    Trusting,
}

/// Whom to trust and what to sign with.
#[derive(Debug)]
pub(crate) struct Installation {
    pub(crate) trust_root: sealift_core::trust::TrustRoot,
    /// Who only verifies does not need to understand it.
    pub(crate) signing_config: Option<Result<SigningConfig, SigningConfigError>>,
}

impl Context {
    /// Returns the HTTP client for identity providers and Sigstore services; opens no connection.
    pub(crate) fn transport(&self) -> Result<Transport, CliError> {
        Transport::new(TransportOptions::default()).map_err(CliError::Transport)
    }

    /// Returns the same client where services may be asked.
    pub(crate) fn allowed_transport(&self, network: Network) -> Result<Option<Transport>, CliError> {
        match network {
            Network::Allowed => self.transport().map(Some),
            Network::Forbidden => Ok(None),
        }
    }

    /// Returns what the environment says about identities.
    pub(crate) fn ambient(&self) -> ambient::Environment {
        let text = |name: &str| environment::named(name).and_then(|value| value.into_string().ok());
        ambient::Environment::new(text)
    }

    /// Returns where trust roots are kept.
    pub(crate) fn trust_store(&self) -> Result<TrustStore, CliError> {
        Ok(TrustStore::new(self.data_directory()?.join("trust")))
    }

    /// Returns the directory of what is kept from run to run.
    pub(crate) fn data_directory(&self) -> Result<PathBuf, CliError> {
        let environment = self.environment();
        let default = || environment.home.as_ref().map(|home| home.join(".local").join("share"));
        let data = environment.data_home.clone().or_else(default).ok_or(UsageError::NoHome)?;
        Ok(data.join("sealift"))
    }

    /// Returns the installation that is meant where none is named: that of `SEALIFT_INSTANCE`, else the public one.
    ///
    /// # Errors
    /// [`CliError::OtherTrust`] where a variable of cosign's says that another one is meant: those that the public one
    /// vouches for, or what it publishes, is not what was asked for.
    pub(crate) fn default_instance(&self, usage: InstanceUse) -> Result<InstanceName, CliError> {
        match &self.environment().instance {
            None => {
                let others = &self.environment().others;
                let is_against = |other: &&OtherVariable| match other.effect {
                    Effect::Trust => true,
                    Effect::Signing => match usage {
                        InstanceUse::Signing { says_logging } => !says_logging || other.name != COSIGN_TLOG_UPLOAD,
                        InstanceUse::Trusting => false,
                    },
                    Effect::Cache | Effect::Command | Effect::Other => false,
                };
                if let Some(variable) = others.iter().find(is_against) {
                    return Err(CliError::OtherTrust { variable: variable.name, instead: variable.instead });
                }
                for OtherVariable { name, instead, .. } in others.iter().filter(|other| other.effect == Effect::Cache) {
                    self.warn_once(format_args!("the variable {name} is set and not read: {instead}"));
                }
                Ok(InstanceName::PublicGood)
            }
            Some(text) => {
                let malformed = |source| UsageError::InstanceVariable { text: foreign_text(text), source };
                Ok(text.parse().map_err(malformed)?)
            }
        }
    }

    /// Refuses a variable of cosign's that no flag answers.
    pub(crate) fn check_unset(&self, name: &'static str) -> Result<(), CliError> {
        match self.environment().others.iter().find(|other| other.name == name) {
            Some(OtherVariable { instead, .. }) => Err(CliError::UnreadVariable { variable: name, instead }),
            None => Ok(()),
        }
    }

    /// Returns whom an installation consists of, asking its repository where what is known is too old.
    pub(crate) async fn installation(&self, name: &InstanceName, network: Network) -> Result<Installation, CliError> {
        if let InstanceName::File(path) = name {
            let json = files::read(path, MAX_TRUST_CONFIG_BYTES as u64)?;
            let config = TrustConfig::parse(&json);
            let config = config.map_err(|source| CliError::TrustConfig { path: path.clone(), source })?;
            return Ok(Installation { trust_root: config.trust_root, signing_config: Some(Ok(config.signing_config)) });
        }
        let material = self.trust_material(name, network).await?;
        let signing_config = material.signing_config();
        Ok(Installation { trust_root: material.trust_root, signing_config })
    }

    /// Returns what is known of an installation that has a repository, and how.
    pub(crate) async fn trust_material(
        &self,
        name: &InstanceName,
        network: Network,
    ) -> Result<TrustMaterial, CliError> {
        let store = self.trust_store()?;
        let instance = match name {
            InstanceName::Github => github(),
            InstanceName::PublicGood => public_good(),
            InstanceName::File(path) => return Err(UsageError::NoRepository { path: path.clone() }.into()),
            InstanceName::Url(url) => {
                let kept = store.instance(url).map_err(CliError::Trust)?;
                kept.ok_or_else(|| UsageError::UnknownInstance { url: url.to_string() })?
            }
        };
        self.material_of(&store, &instance, network).await
    }

    /// Returns what is known of one instance.
    pub(crate) async fn material_of(
        &self,
        store: &TrustStore,
        instance: &Instance,
        network: Network,
    ) -> Result<TrustMaterial, CliError> {
        let transport = self.transport()?;
        let access = match network {
            Network::Allowed => Access::Online { transport: &transport, max_age: DEFAULT_MAX_AGE },
            Network::Forbidden => Access::Offline,
        };
        store.material(instance, access, Self::clock()).await.map_err(CliError::Trust)
    }
}

/// Says whether there is a person to talk to.
pub(crate) fn has_terminal() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// Asks a question that only `y` or `yes` answers with yes.
pub(crate) fn confirm(question: &str) -> std::io::Result<bool> {
    write!(anstream::stderr(), "{question} [y/N] ")?;
    anstream::stderr().flush()?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}
