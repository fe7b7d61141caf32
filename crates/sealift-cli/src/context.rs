//! The composition root: builds clients, keys, clock and printer from flags and environment, and opens repositories.
//!
//! The only place that asks the system for anything; commands get what it returns.

use std::collections::BTreeSet;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use sealift_core::crypto::{KeyError, Passphrase, PrivateKey, PublicKey};
use sealift_core::oci::{Reference, RegistryHost, RepositoryName};
use sealift_oci::keychain::{
    CloudKeychain, CloudSources, DockerConfigKeychain, Keychain, KeychainChain, KeychainSources,
};
use sealift_oci::redact::Secret;
use sealift_oci::{Access, CertificateFolders, Client};
use zeroize::Zeroizing;

use crate::args::endpoint::EndpointArgs;
use crate::args::global::GlobalArgs;
use crate::args::key::{KeySource, PassphraseArgs};
use crate::args::reference;
use crate::args::registry::RegistryArgs;
use crate::config::{Environment, Origin, Settings, environment};
use crate::error::{CliError, UsageError};
use crate::files;
use crate::key_store::{self, MAX_KEY_BYTES};
use crate::named_registries::{NamedRegistries, tls};
use crate::output::progress::{Progress, Showing};
use crate::output::{Printer, Talk};
use crate::person::TerminalPerson;
use crate::trace;

/// What commands work with.
pub(crate) struct Context {
    config: Option<PathBuf>,
    environment: Environment,
    pub(crate) printer: Printer,
    pub(crate) progress: Progress,
    /// Set once there was a warning about the surroundings.
    warned: OnceLock<()>,
}

impl Context {
    /// Builds the context of one run.
    pub(crate) fn new(args: &GlobalArgs, environment: Environment) -> Self {
        let talk = if args.quiet { Talk::Quiet } else { Talk::Normal };
        let showing = showing(args, environment.log.as_deref(), Showing::best());
        let (printer, progress) = (Printer { talk }, Progress::new(showing));
        Self { config: args.config.clone(), environment, printer, progress, warned: OnceLock::new() }
    }

    /// Warns of something about the surroundings, the first time alone.
    pub(crate) fn warn_once(&self, text: impl std::fmt::Display) {
        if self.warned.set(()).is_ok() {
            self.printer.warning(text);
        }
    }

    /// Returns the time to put into what is made: `SOURCE_DATE_EPOCH`, else now.
    #[expect(clippy::disallowed_methods, reason = "the composition root asks the clock")]
    pub(crate) fn now(&self) -> jiff::Timestamp {
        let fixed = self.environment.source_date_epoch.as_ref().and_then(|text| text.parse().ok());
        fixed.and_then(|seconds| jiff::Timestamp::from_second(seconds).ok()).unwrap_or_else(jiff::Timestamp::now)
    }

    /// Returns the time it is, for what depends on age: nothing that is set for reproducible builds makes evidence
    /// younger.
    #[expect(clippy::disallowed_methods, reason = "the composition root asks the clock")]
    pub(crate) fn clock() -> jiff::Timestamp {
        jiff::Timestamp::now()
    }

    /// Returns what the environment says.
    pub(crate) fn environment(&self) -> &Environment {
        &self.environment
    }

    /// Returns the person at the terminal.
    pub(crate) fn person(&self) -> TerminalPerson {
        TerminalPerson { browser: self.environment.browser.clone() }
    }

    /// Returns where credentials are looked for and stored.
    pub(crate) fn keychain_sources(&self) -> KeychainSources {
        let environment = &self.environment;
        KeychainSources {
            docker_auth_config: environment.docker_auth_config.clone().map(Secret::from),
            docker_config: environment.docker_config.clone(),
            home: environment.home.clone(),
            registry_auth_file: environment.registry_auth_file.clone(),
            xdg_runtime_dir: environment.runtime_directory.clone(),
        }
    }
}

/// Returns how progress is shown where `best` is possible, and diagnostics are filtered by `log`.
fn showing(args: &GlobalArgs, log: Option<&str>, best: Showing) -> Showing {
    if args.quiet || args.no_progress {
        return Showing::Hidden;
    }
    match trace::filter(args.verbose, log) {
        // What is traced would tear a drawing apart.
        Some(_) => Showing::Lines,
        None => best,
    }
}

/// Keys and passphrases.
impl Context {
    /// Reads a private key, asking for its passphrase when it is encrypted.
    pub(crate) fn private_key(&self, source: &KeySource, passphrase: &PassphraseArgs) -> Result<PrivateKey, CliError> {
        let pem = key_store::read(source)?;
        self.open_private_key(&pem, source, passphrase)
    }

    /// Reads the public keys whose signatures count.
    pub(crate) fn public_keys(&self, sources: &[KeySource]) -> Result<Vec<PublicKey>, CliError> {
        sources.iter().map(|source| self.public_key(source)).collect()
    }

    /// Reads a public key.
    pub(crate) fn public_key(&self, source: &KeySource) -> Result<PublicKey, CliError> {
        let pem = key_store::read(source)?;
        PublicKey::from_pem(&pem).map_err(|error| key_error(source, None, error))
    }

    /// Reads a public key, or the public half of a private key.
    pub(crate) fn any_public_key(
        &self,
        source: &KeySource,
        passphrase: &PassphraseArgs,
    ) -> Result<PublicKey, CliError> {
        let pem = key_store::read(source)?;
        match PublicKey::from_pem(&pem) {
            Err(KeyError::PrivateNotPublic) => {
                self.open_private_key(&pem, source, passphrase).map(|key| key.public_key().clone())
            }
            key => key.map_err(|error| key_error(source, None, error)),
        }
    }

    /// Returns the passphrase for a new key; at the prompt it is asked for twice.
    pub(crate) fn new_passphrase(&self, args: &PassphraseArgs) -> Result<Passphrase, CliError> {
        if let Some((passphrase, _)) = self.given_passphrase(args)? {
            return Ok(passphrase);
        }
        let first = prompt("Passphrase for the new key (empty for none): ")?;
        let second = prompt("The same again: ")?;
        if first != second {
            return Err(UsageError::PassphrasesDiffer.into());
        }
        Ok(passphrase_of(&first))
    }

    fn open_private_key(&self, pem: &[u8], source: &KeySource, args: &PassphraseArgs) -> Result<PrivateKey, CliError> {
        // The closure may fail in this crate's ways, which the key's error cannot carry.
        let mut failure = None;
        let mut origin = None;
        let opened = PrivateKey::from_pem(pem, || match self.passphrase(args, source) {
            Ok((passphrase, from)) => {
                origin = Some(from);
                Ok(passphrase)
            }
            Err(error) => {
                failure = Some(error);
                Err(KeyError::PassphraseUnavailable(Box::new(UsageError::NoTerminal)))
            }
        });
        match failure {
            Some(error) => Err(error),
            None => opened.map_err(|error| key_error(source, origin, error)),
        }
    }

    fn passphrase(&self, args: &PassphraseArgs, key: &KeySource) -> Result<(Passphrase, Origin), CliError> {
        match self.given_passphrase(args)? {
            Some(given) => Ok(given),
            None => {
                let typed = prompt(&format!("Passphrase for {}: ", key_store::origin(key)))?;
                Ok((passphrase_of(&typed), Origin::Prompt))
            }
        }
    }

    fn given_passphrase(&self, args: &PassphraseArgs) -> Result<Option<(Passphrase, Origin)>, CliError> {
        if let Some(path) = &args.passphrase_file {
            let bytes = Zeroizing::new(files::read(path, MAX_KEY_BYTES)?);
            let text = std::str::from_utf8(&bytes).map_err(|_| UsageError::NotText { path: path.clone() })?;
            // Editors and `echo` end a file with a line break that nobody means.
            let text = text.strip_suffix('\n').map_or(text, |text| text.strip_suffix('\r').unwrap_or(text));
            return Ok(Some((passphrase_of(text), Origin::File(path.clone()))));
        }
        let variable = self.environment.passphrase.as_ref();
        Ok(variable.map(|(name, text)| (passphrase_of(text), Origin::Environment((*name).to_owned()))))
    }
}

fn passphrase_of(text: &str) -> Passphrase {
    Passphrase::from(text.to_owned())
}

fn key_error(source: &KeySource, passphrase: Option<Origin>, error: KeyError) -> CliError {
    CliError::Key { key: key_store::origin(source).to_string(), passphrase, source: error }
}

/// Asks on the terminal, without echo.
pub(crate) fn prompt(text: &str) -> Result<Zeroizing<String>, CliError> {
    if !std::io::stdin().is_terminal() && !std::io::stderr().is_terminal() {
        return Err(UsageError::NoTerminal.into());
    }
    rpassword::prompt_password(text).map(Zeroizing::new).map_err(|_| UsageError::NoTerminal.into())
}

/// Reads a password from standard input.
pub(crate) fn password_from_standard_input() -> Result<Secret, CliError> {
    let bytes = Zeroizing::new(files::read(Path::new("-"), MAX_KEY_BYTES)?);
    let text = std::str::from_utf8(&bytes).map_err(|_| UsageError::NotText { path: "-".into() })?;
    match text.trim_end_matches(['\r', '\n']) {
        "" => Err(UsageError::NoPassword.into()),
        password => Ok(Secret::from(password)),
    }
}

/// Repositories.
impl Context {
    /// Returns a client for registries and layouts. Credentials and plain HTTP given without a host are for the
    /// registries of `references` and no others.
    pub(crate) fn client(&self, args: &RegistryArgs, references: &[&Reference]) -> Result<Client, CliError> {
        let mut named = NamedRegistries::new(args);
        named.add_all(references)?;
        self.client_with(args, named)
    }

    /// Returns a client for one registry, whose credentials are not known yet.
    pub(crate) fn client_of_host(&self, args: &RegistryArgs, host: &RegistryHost) -> Result<Client, CliError> {
        let mut named = NamedRegistries::new(args);
        named.add(host)?;
        self.client_with(args, named)
    }

    /// Returns a client for the two ends of copies: credentials of one end are for its repositories and no others,
    /// certificates for its registries.
    pub(crate) fn client_of_ends(
        &self,
        args: &RegistryArgs,
        ends: &EndpointArgs,
        sources: &[&Reference],
        destinations: &[&Reference],
    ) -> Result<Client, CliError> {
        let mut named = NamedRegistries::new(args);
        named.add_end(&ends.source(), sources)?;
        named.add_end(&ends.destination(), destinations)?;
        self.client_with(args, named)
    }

    /// Returns where signatures are, when not beside the artifacts.
    pub(crate) fn signature_repository(&self, args: &RegistryArgs) -> Result<Option<RepositoryName>, CliError> {
        let variable = self.environment.signature_repository.as_ref();
        let Some(text) = args.signature_repository.as_ref().or(variable) else { return Ok(None) };
        let reference = reference::parse(text)?;
        if reference.selector().is_some() || reference.repository().host().is_none() {
            return Err(UsageError::SignatureRepository { text: text.clone() }.into());
        }
        Ok(Some(reference.repository()))
    }

    fn cloud_keychain(&self) -> Option<Arc<dyn Keychain>> {
        if self.environment.cloud_credentials.as_deref() == Some("off") {
            return None;
        }
        let mut sources = CloudSources::new(environment::of_cloud, wall_clock);
        sources.home.clone_from(&self.environment.home);
        Some(Arc::new(CloudKeychain::new(sources)))
    }

    fn client_with(&self, args: &RegistryArgs, mut named: NamedRegistries<'_>) -> Result<Client, CliError> {
        let mut plain_http = hosts(&args.plain_http)?;
        let mut https = hosts(&args.https)?;
        let signatures = self.signature_repository(args)?;
        if args.allow_http_registry {
            plain_http.extend(signatures.as_ref().and_then(|name| name.host().cloned()));
        }
        let settings = Settings::load(self.config.as_deref(), &self.environment)?;
        plain_http.extend(settings.plain_http);
        https.extend(settings.https);
        let mut keychains = named.take_keychains();
        keychains.push(Arc::new(DockerConfigKeychain::new(self.keychain_sources())));
        keychains.extend(self.cloud_keychain());
        let mut access = Access::with_keychain(Arc::new(KeychainChain::new(keychains)));
        access.https = https;
        access.plain_http = plain_http;
        access.mirrors = settings.mirrors;
        access.signatures = signatures;
        access.proxies = self.environment.proxies.iter().filter_map(|proxy| proxy_host(proxy)).collect();
        access.tls = tls(args, &settings.authorities)?;
        access.certificates = CertificateFolders::new(self.environment.certificate_folders());
        access.concurrency = usize::from(args.concurrency);
        access.timeouts.answer = args.timeout;
        access.timeouts.connect = access.timeouts.connect.min(args.timeout);
        access.timeouts.idle = access.timeouts.idle.min(args.timeout);
        access.retry.budget = access.retry.budget.min(args.timeout);
        named.apply(&mut access)?;
        Client::new(access).map_err(CliError::Client)
    }
}

fn hosts(texts: &[String]) -> Result<BTreeSet<RegistryHost>, CliError> {
    let host = |text: &String| text.parse().map_err(|source| CliError::Reference { text: text.clone(), source });
    texts.iter().map(host).collect()
}

/// Returns the time, whatever is put into what is made.
#[expect(clippy::disallowed_methods, reason = "the composition root asks the clock")]
fn wall_clock() -> jiff::Timestamp {
    jiff::Timestamp::now()
}

/// Returns the host of a proxy's address, which may come without a scheme.
fn proxy_host(address: &str) -> Option<String> {
    let address = if address.contains("://") { address.to_owned() } else { format!("http://{address}") };
    url::Url::parse(&address).ok()?.host_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_drawn_between_diagnostics() {
        let args = |verbose| GlobalArgs { verbose, quiet: false, config: None, no_progress: false };
        let shown = |verbose, log| showing(&args(verbose), log, Showing::Drawn);
        assert_eq!([shown(0, None), shown(0, Some(""))], [Showing::Drawn; 2]);
        assert_eq!([shown(1, None), shown(0, Some("debug"))], [Showing::Lines; 2]);
        assert_eq!(showing(&args(0), None, Showing::Lines), Showing::Lines);
    }

    #[test]
    fn progress_is_hidden_from_whoever_wants_none() {
        for (quiet, no_progress) in [(true, false), (false, true)] {
            let args = GlobalArgs { verbose: 0, quiet, config: None, no_progress };
            assert_eq!(showing(&args, Some("debug"), Showing::Drawn), Showing::Hidden);
        }
    }
}
