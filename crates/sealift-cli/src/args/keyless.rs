//! Who signs: a key, or whoever an identity provider vouches for.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use clap::ValueEnum;
use sealift_keyless::oidc::ambient::Source;
use url::Url;

use crate::args::NO_HEADING;
use crate::args::key::{KeySource, PassphraseArgs};

/// Who signs
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = NO_HEADING)]
pub(crate) struct SignerArgs {
    /// Private key to sign with: a PEM file or `env://VARIABLE`; without one, an identity provider says who signs
    #[arg(id = "signing_key", long = "key", value_name = "KEY")]
    pub(crate) key: Option<KeySource>,

    #[command(flatten)]
    pub(crate) passphrase: PassphraseArgs,

    /// Ask nothing: what is said to be published may be published
    #[arg(short, long)]
    pub(crate) yes: bool,

    #[command(flatten)]
    pub(crate) identity: SignerIdentityArgs,

    #[command(flatten)]
    pub(crate) services: ServiceArgs,

    /// Whether a flag says that no key signs, so that no variable that names one is obeyed
    #[arg(skip)]
    pub(crate) is_keyless_said: bool,
}

/// Who signs without a key
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Signer options")]
pub(crate) struct SignerIdentityArgs {
    /// Identity token to sign as: the token, or a file that holds it
    #[arg(long, value_name = "TOKEN", conflicts_with = "signing_key")]
    pub(crate) identity_token: Option<String>,

    /// How a person signs in; default: the browser, on a terminal
    #[arg(long, value_enum, value_name = "FLOW", conflicts_with_all = ["signing_key", "identity_token"])]
    pub(crate) fulcio_auth_flow: Option<AuthFlow>,

    /// Take the identity of the surroundings from here only: env, gitlab, github, buildkite, circleci,
    /// google-impersonation, google, spiffe or file
    #[arg(long, value_name = "SOURCE", conflicts_with_all = ["signing_key", "identity_token"])]
    pub(crate) oidc_provider: Option<Source>,

    /// Look for no identity in the surroundings
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL",
          conflicts_with = "oidc_provider")]
    pub(crate) oidc_disable_ambient_providers: Option<bool>,

    /// OIDC issuer that a person signs in at; default: that of the installation
    #[arg(long, value_name = "URL", conflicts_with = "signing_key")]
    pub(crate) oidc_issuer: Option<String>,

    /// Name that the issuer knows this program by; default: `sigstore`
    #[arg(long, value_name = "NAME", conflicts_with = "signing_key")]
    pub(crate) oidc_client_id: Option<String>,

    /// File with the secret that the issuer gave this program
    #[arg(long, value_name = "FILE", conflicts_with = "signing_key")]
    pub(crate) oidc_client_secret_file: Option<PathBuf>,

    /// Port of this machine that the browser comes back to, where the issuer knows one only
    #[arg(long, value_name = "PORT", conflicts_with = "signing_key")]
    pub(crate) oidc_redirect_port: Option<u16>,
}

/// How Sigstore's issuers know every program. No default of the flag's: typed out, it says that somebody is to sign in.
const CLIENT_ID: &str = "sigstore";

impl SignerIdentityArgs {
    /// Returns the name that the issuer knows this program by.
    pub(crate) fn client_id(&self) -> &str {
        self.oidc_client_id.as_deref().unwrap_or(CLIENT_ID)
    }

    /// Returns the first flag that says something, if any does.
    pub(crate) fn given(&self) -> Option<&'static str> {
        let flags = [
            (self.identity_token.is_some(), "--identity-token"),
            (self.fulcio_auth_flow.is_some(), "--fulcio-auth-flow"),
            (self.oidc_provider.is_some(), "--oidc-provider"),
            (self.oidc_disable_ambient_providers.is_some(), "--oidc-disable-ambient-providers"),
            (self.oidc_issuer.is_some(), "--oidc-issuer"),
            (self.oidc_client_id.is_some(), "--oidc-client-id"),
            (self.oidc_client_secret_file.is_some(), "--oidc-client-secret-file"),
            (self.oidc_redirect_port.is_some(), "--oidc-redirect-port"),
        ];
        flags.into_iter().find(|(is_given, _)| *is_given).map(|(_, flag)| flag)
    }
}

/// How a person signs in.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum AuthFlow {
    /// In a browser on this machine
    Normal,
    /// With a code, on any device
    Device,
    /// With an identity token that is there already
    Token,
    /// In a browser anywhere, whose page shows a code to type in here
    Oob,
}

/// Services that keyless signing asks
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Service options")]
pub(crate) struct ServiceArgs {
    /// Sigstore installation to sign with: `public-good`, the URL given to `sealift trust init`, or a trust
    /// configuration file
    #[arg(long, value_name = "INSTANCE", conflicts_with_all = ["signing_config", "trusted_root"])]
    pub(crate) instance: Option<InstanceName>,

    /// Trust the authorities and logs of this `trusted_root.json` when what was made is verified
    #[arg(long, value_name = "FILE")]
    pub(crate) trusted_root: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) addresses: ServiceAddressArgs,
}

/// Addresses of services that keyless signing asks
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Service options")]
pub(crate) struct ServiceAddressArgs {
    /// Sign with the services of this `signing_config.json`
    #[arg(long, value_name = "FILE")]
    pub(crate) signing_config: Option<PathBuf>,

    /// Certificate authority; where no installation and no `--signing-config` is named, only named services are asked
    #[arg(long, value_name = "URL")]
    pub(crate) fulcio_url: Option<Url>,

    /// Transparency log
    #[arg(long, value_name = "URL")]
    pub(crate) rekor_url: Option<Url>,

    /// Version of the API of `--rekor-url`; default: 1
    #[arg(long, value_name = "VERSION", value_parser = clap::value_parser!(u8).range(1..=2))]
    pub(crate) rekor_api_version: Option<u8>,

    /// Timestamp authority: the whole address, such as `https://tsa.example.com/api/v1/timestamp`
    #[arg(long, value_name = "URL")]
    pub(crate) timestamp_server_url: Option<Url>,

    /// Whether to log signatures; default: those made without a key, and those made with one where `--rekor-url` or
    /// `--signing-config` is given
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL")]
    pub(crate) tlog_upload: Option<bool>,
}

impl ServiceArgs {
    /// Says whether anything is said about services.
    pub(crate) fn is_empty(&self) -> bool {
        !self.addresses.names_service() && self.addresses.signing_config.is_none() && self.instance.is_none()
    }
}

impl ServiceAddressArgs {
    /// Returns the first flag that says something, if any does.
    pub(crate) fn given(&self) -> Option<&'static str> {
        let flags = [
            (self.signing_config.is_some(), "--signing-config"),
            (self.fulcio_url.is_some(), "--fulcio-url"),
            (self.rekor_url.is_some(), "--rekor-url"),
            (self.rekor_api_version.is_some(), "--rekor-api-version"),
            (self.timestamp_server_url.is_some(), "--timestamp-server-url"),
            (self.tlog_upload.is_some(), "--tlog-upload"),
        ];
        flags.into_iter().find(|(is_given, _)| *is_given).map(|(_, flag)| flag)
    }

    /// Says whether a service is named by hand.
    pub(crate) fn names_service(&self) -> bool {
        self.fulcio_url.is_some() || self.rekor_url.is_some() || self.timestamp_server_url.is_some()
    }
}

/// A Sigstore installation as users name it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum InstanceName {
    /// A trust configuration file: trusted root and signing configuration in one.
    File(PathBuf),
    /// GitHub's, which signs what private repositories build.
    Github,
    /// The one that everybody may use.
    PublicGood,
    /// One that `sealift trust init` was told of.
    Url(Url),
}

impl FromStr for InstanceName {
    type Err = url::ParseError;

    fn from_str(text: &str) -> Result<Self, url::ParseError> {
        match text {
            "github" => Ok(Self::Github),
            "public-good" => Ok(Self::PublicGood),
            _ if text.contains("://") => text.parse().map(Self::Url),
            _ => Ok(Self::File(text.into())),
        }
    }
}

impl fmt::Display for InstanceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Github => f.write_str("github"),
            Self::PublicGood => f.write_str("public-good"),
            Self::Url(url) => write!(f, "{url}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instances_are_names_urls_or_files() {
        assert_eq!("github".parse(), Ok(InstanceName::Github));
        assert_eq!("./own.json".parse(), Ok(InstanceName::File("./own.json".into())));
        assert!(matches!("https://tuf.example.com".parse(), Ok(InstanceName::Url(_))));
        assert!("https://".parse::<InstanceName>().is_err());
    }
}
