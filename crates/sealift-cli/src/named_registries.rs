//! What the command line says of the registries that a command names, and of no others: credentials, certificates and
//! plain HTTP, for both ends of a copy apart.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use sealift_core::oci::{Reference, RegistryHost, RepositoryName};
use sealift_oci::keychain::{Credential, ExplicitKeychain, Keychain, KeychainError, Resolved, Resource};
use sealift_oci::redact::Secret;
use sealift_oci::{Access, Tls};

use crate::args::endpoint::End;
use crate::args::registry::RegistryArgs;
use crate::context;
use crate::error::{CliError, UsageError};
use crate::files;

/// What is said of single registries.
pub(crate) struct NamedRegistries<'a> {
    args: &'a RegistryArgs,
    keychains: Vec<Arc<dyn Keychain>>,
    plain_http: BTreeSet<RegistryHost>,
    certificates: BTreeMap<RegistryHost, Certificates<'a>>,
}

/// What is said of the certificates of one registry.
#[derive(Clone, Copy, Default, Eq, PartialEq)]
struct Certificates<'a> {
    insecure_skip_tls_verify: bool,
    cacert: Option<&'a Path>,
    client: Option<(&'a Path, &'a Path)>,
    cert_dir: Option<&'a Path>,
}

impl<'a> NamedRegistries<'a> {
    /// Names no registry yet.
    pub(crate) fn new(args: &'a RegistryArgs) -> Self {
        Self { args, keychains: Vec::new(), plain_http: BTreeSet::new(), certificates: BTreeMap::new() }
    }

    /// Names a registry, without saying as whom to appear there.
    pub(crate) fn add(&mut self, host: &RegistryHost) -> Result<(), CliError> {
        self.add_host(host, &End::default())
    }

    /// Names the registries of `references`, where the credentials of the registry options are for.
    pub(crate) fn add_all(&mut self, references: &[&Reference]) -> Result<(), CliError> {
        let explicit = explicit_credential(self.args);
        for host in references.iter().filter_map(|reference| reference.repository().host().cloned()) {
            self.add(&host)?;
            if let Some(credential) = explicit.clone() {
                self.keychains.push(Arc::new(ExplicitKeychain::new(host, credential)));
            }
        }
        Ok(())
    }

    /// Names the registries of one end of copies: its credentials are for the repositories of `references` and no others.
    ///
    /// # Errors
    /// [`UsageError::OneRegistry`] when the other end is in the same registry, and something else is said of it there.
    pub(crate) fn add_end(&mut self, end: &End<'a>, references: &[&Reference]) -> Result<(), CliError> {
        let credential = credential_of(end)?.or_else(|| explicit_credential(self.args));
        let names: BTreeSet<_> = references.iter().map(|reference| reference.repository()).collect();
        for name in names {
            let Some(host) = name.host() else { continue };
            self.add_host(host, end)?;
            if let Some(credential) = credential.clone() {
                self.keychains.push(Arc::new(EndKeychain { name, credential }));
            }
        }
        Ok(())
    }

    fn add_host(&mut self, host: &RegistryHost, end: &End<'a>) -> Result<(), CliError> {
        if end.plain_http || self.args.allow_http_registry {
            self.plain_http.insert(host.clone());
        }
        let certificates = Certificates {
            insecure_skip_tls_verify: end.insecure_skip_tls_verify,
            cacert: end.cacert,
            client: end.client,
            cert_dir: end.cert_dir,
        };
        // An end of which nothing is said agrees with the other, so what is said of all registries comes in afterwards.
        let said = self.certificates.entry(host.clone()).or_default();
        if certificates == Certificates::default() {
            return Ok(());
        }
        if *said != Certificates::default() && *said != certificates {
            return Err(UsageError::OneRegistry { host: host.clone() }.into());
        }
        *said = certificates;
        Ok(())
    }

    /// Returns where to ask first as whom to appear.
    pub(crate) fn take_keychains(&mut self) -> Vec<Arc<dyn Keychain>> {
        std::mem::take(&mut self.keychains)
    }

    /// Adds what is said of single registries to what `access` says of all.
    pub(crate) fn apply(self, access: &mut Access) -> Result<(), CliError> {
        access.plain_http.extend(self.plain_http);
        for (host, said) in self.certificates {
            if let Some(folder) = said.cert_dir.or(self.args.cert_dir.as_deref()) {
                access.certificates.set_folder_of(host.clone(), folder.to_owned());
            }
            if said == Certificates::default() {
                continue;
            }
            let mut tls = access.tls.clone();
            if said.insecure_skip_tls_verify {
                tls = tls.insecure_skip_tls_unsafe();
            }
            if let Some(authority) = said.cacert {
                tls.authorities.push(files::read(authority, MAX_CERTIFICATES_BYTES)?);
            }
            if let Some((certificate, key)) = said.client {
                tls.client_identity = Some(identity(certificate, key)?);
            }
            access.own_tls.insert(host, tls);
        }
        Ok(())
    }
}

/// Returns whom to trust as every registry, and as whom to appear there.
pub(crate) fn tls(args: &RegistryArgs, authorities: &[PathBuf]) -> Result<Tls, CliError> {
    let mut tls =
        if args.insecure_skip_tls_verify { Tls::default().insecure_skip_tls_unsafe() } else { Tls::default() };
    for path in args.registry_cacert.iter().chain(authorities) {
        tls.authorities.push(files::read(path, MAX_CERTIFICATES_BYTES)?);
    }
    if let Some((certificate, key)) = args.registry_client_cert.as_ref().zip(args.registry_client_key.as_ref()) {
        tls.client_identity = Some(identity(certificate, key)?);
    }
    Ok(tls)
}

fn identity(certificate: &Path, key: &Path) -> Result<Secret, CliError> {
    let mut pem = text(certificate)?;
    pem.push('\n');
    pem.push_str(&text(key)?);
    Ok(Secret::from(pem))
}

fn text(path: &Path) -> Result<String, CliError> {
    let bytes = files::read(path, MAX_CERTIFICATES_BYTES)?;
    String::from_utf8(bytes).map_err(|_| UsageError::NotText { path: path.to_owned() }.into())
}

/// The largest file of certificates read; a system's whole bundle has 250 KiB.
const MAX_CERTIFICATES_BYTES: u64 = 4 * 1024 * 1024;

fn explicit_credential(args: &RegistryArgs) -> Option<Credential> {
    if let Some(token) = &args.registry_token {
        return Some(Credential::RegistryToken(Secret::from(token.clone())));
    }
    let (username, password) = args.registry_username.clone().zip(args.registry_password.clone())?;
    Some(Credential::from_pair(username, password))
}

fn credential_of(end: &End<'_>) -> Result<Option<Credential>, CliError> {
    if let Some(token) = end.token {
        return Ok(Some(Credential::RegistryToken(Secret::from(token.to_owned()))));
    }
    let Some(username) = end.username else { return Ok(None) };
    let password = match end.password {
        Some(password) => Secret::from(password.to_owned()),
        None if end.password_stdin => context::password_from_standard_input()?,
        None => return Ok(None),
    };
    Ok(Some(Credential::from_pair(username, password)))
}

/// Credentials for one repository: two ends of a copy may be in one registry under two accounts.
#[derive(Debug)]
struct EndKeychain {
    name: RepositoryName,
    credential: Credential,
}

#[async_trait]
impl Keychain for EndKeychain {
    async fn resolve(&self, resource: &Resource) -> Result<Resolved, KeychainError> {
        let is_host = self.name.host() == Some(&resource.host);
        let is_path = resource.path.as_deref().is_none_or(|path| self.name.path() == Some(path));
        if !is_host || !is_path {
            return Ok(Resolved::anonymous());
        }
        Ok(Resolved::new(self.credential.clone(), "the command line"))
    }
}
